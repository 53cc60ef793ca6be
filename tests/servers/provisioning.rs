//! Tenants with databases of their own, made on real servers: whole, apart from each other, and with
//! nothing left over when making them is killed or cancelled.

use sqlx::{Connection as _, Row as _};
use wardgate::base::Engine;
use wardgate::control::{NewServer, Ordered};
use wardgate::registry::TenantState;

use crate::control_bed::{Bed, admin, caller, finish, hospital, provision};
use crate::harness::{MariaDb, Postgres, Server};

/// Rights of everybody on a whole server are everybody's: a test that grants some has the servers to itself.
pub static SERVERS: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

/// Databases and roles of the gateway's making on both servers and files in the folder, whose names hold
/// `part`.
async fn traces(bed: &Bed, part: &str) -> (i64, i64, usize) {
    let mut postgres = Postgres::admin().await;
    let sql = "SELECT (SELECT count(*) FROM pg_database WHERE datname LIKE 'wg%' AND position($1 in datname) > 0), \
               (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'wg%' AND position($1 in rolname) > 0)";
    let row = sqlx::query(sql).bind(part).fetch_one(&mut postgres).await.unwrap();
    let (mut databases, mut roles): (i64, i64) = (row.get(0), row.get(1));
    let mut mariadb = MariaDb::admin().await;
    let sql = "SELECT (SELECT count(*) FROM information_schema.schemata WHERE schema_name LIKE 'wg%' AND locate(?, schema_name) > 0), \
               (SELECT count(*) FROM mysql.user WHERE user LIKE 'wg%' AND locate(?, user) > 0)";
    let row = sqlx::query(sql).bind(part).bind(part).fetch_one(&mut mariadb).await.unwrap();
    databases += row.get::<i64, _>(0);
    roles += row.get::<i64, _>(1);
    postgres.close().await.unwrap();
    mariadb.close().await.unwrap();
    let files = std::fs::read_dir(bed.hospitals()).unwrap();
    let named = |f: &std::fs::DirEntry| f.file_name().to_string_lossy().contains(part);
    (databases, roles, files.filter(|f| named(f.as_ref().unwrap())).count())
}

/// The part of the names that is the tenant's alone.
fn short(tenant: Option<uuid::Uuid>) -> String {
    tenant.unwrap().simple().to_string()[..24].to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_made_on_every_engine_and_taken_away_again() {
    let _shared = SERVERS.read().await;
    let bed = Bed::new().await;
    let control = bed.with_servers().await;
    for (server, own) in [("postgres", (1, 1, 0)), ("mysql", (1, 1, 0)), ("sqlite", (0, 0, 1))] {
        for name in ["north", "south"] {
            let done = provision(&control, hospital(&format!("{name}-{server}"), server)).await;
            assert_eq!(done.state, "succeeded", "{server}: {done:#?}");
            assert_eq!(traces(&bed, &short(done.tenant)).await, own, "{server}");
            assert!(done.steps.iter().all(|step| step.state == "done" && step.attempts == 1));
        }
        let name = format!("north-{server}");
        let shown = control.show(&caller(), &name).await.unwrap();
        assert_eq!((shown.state.as_str(), shown.mapping.active), ("active", Some(1)));
        let report = control.check(&caller(), &name).await.unwrap();
        assert!(report.ok && report.same_server == Some(true), "{report:?}");

        // An end without its name is refused, with it everything goes.
        assert!(control.offboard(&caller(), &name, None, None).await.is_err());
        assert!(control.offboard(&caller(), &name, None, Some("other")).await.is_err());
        let ordered = control.offboard(&caller(), &name, None, Some(&name)).await.unwrap();
        let Ordered::Done(ordered) = ordered else { panic!("nobody else is asked") };
        let ended = finish(&control, ordered.id).await;
        assert_eq!(ended.state, "succeeded", "{server}: {ended:#?}");
        assert_eq!(traces(&bed, &short(ended.tenant)).await, (0, 0, 0), "{server}");
        let certificate = ended.result.unwrap()["certificate"].as_str().unwrap().to_owned();
        assert!(certificate.contains("does not open"), "{certificate}");
        let shown = control.show(&caller(), &name).await.unwrap();
        assert_eq!((shown.state.as_str(), shown.identities.len()), ("offboarded", 0));
        // Its neighbour is as it was.
        let report = control.check(&caller(), &format!("south-{server}")).await.unwrap();
        assert!(report.ok, "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_step_it_converges() {
    let _shared = SERVERS.read().await;
    let bed = Bed::new().await;
    let control = bed.with_servers().await;
    for server in ["postgres", "mysql", "sqlite"] {
        let mut killed = 0;
        for step in 0..10 {
            let name = format!("{server}-{step}");
            let ordered = control.provision(&caller(), hospital(&name, server)).await.unwrap();
            killed += u32::from(kill_at(&bed, &control, ordered.id, step).await);
            let heir = bed.gateway("heir");
            let done = finish(&heir, ordered.id).await;
            assert_eq!(done.state, "succeeded", "{name}: {done:#?}");
            let whole = if server == "sqlite" { (0, 0, 1) } else { (1, 1, 0) };
            assert_eq!(traces(&bed, &short(done.tenant)).await, whole, "{name}");
            assert!(control.check(&caller(), &name).await.unwrap().ok, "{name}");
        }
        assert!(killed >= 5, "{server}: killed {killed} times only");
    }
}

/// Carries an operation out and drops everything as soon as that step has been begun. `false`: the end came
/// first.
async fn kill_at(
    bed: &Bed,
    control: &wardgate::control::Control,
    id: uuid::Uuid,
    step: u64,
) -> bool {
    let victim = control.clone();
    let work = tokio::spawn(async move { victim.drive(id, |_| {}).await });
    loop {
        let steps = bed.registry.operation_steps(id).await.unwrap();
        let now = bed.registry.operation(id).await.unwrap().unwrap();
        if now.state.is_over() || steps.iter().any(|s| s.number >= step) {
            break;
        }
        tokio::task::yield_now().await;
    }
    work.abort();
    let killed = work.await.is_err();
    bed.leases_run_out().await;
    killed
}

/// Orders operations until one was killed at that step and can still be cancelled: a step may be over before
/// it was seen. The others are carried out.
async fn killed_in_time(
    bed: &Bed,
    control: &wardgate::control::Control,
    step: u64,
    order: impl AsyncFn(u32) -> uuid::Uuid,
) -> (u32, uuid::Uuid) {
    for attempt in 0..10 {
        let id = order(attempt).await;
        let killed = kill_at(bed, control, id, step).await;
        if killed && control.operation(&caller(), id).await.unwrap().can_cancel {
            return (attempt, id);
        }
        finish(&bed.gateway("heir"), id).await;
    }
    panic!("it is never killed in time at step {step}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_at_any_step_nothing_is_left() {
    let _shared = SERVERS.read().await;
    let bed = Bed::new().await;
    let control = bed.with_servers().await;
    for server in ["postgres", "mysql", "sqlite"] {
        for step in [0, 2, 4, 6, 8] {
            let name = |attempt: u32| format!("{server}-{step}-{attempt}");
            let order = async |attempt: u32| {
                let new = hospital(&name(attempt), server);
                control.provision(&caller(), new).await.unwrap().id
            };
            let (attempt, id) = killed_in_time(&bed, &control, step, order).await;
            let name = name(attempt);
            control.cancel_operation(&caller(), id).await.unwrap();
            let done = finish(&bed.gateway("heir"), id).await;
            assert_eq!(done.state, "cancelled", "{name}: {done:#?}");
            assert_eq!(traces(&bed, &short(done.tenant)).await, (0, 0, 0), "{name}");
            assert!(control.show(&caller(), &name).await.is_err(), "the draft is still there");
            let keys = bed.registry.data_keys_in_use().await.unwrap();
            let stored = wardgate::keyring::WrappedKeys::list(&*bed.key_store, None, 100);
            let orphans = stored.await.unwrap().into_iter().filter(|stored| {
                *stored.tenant.as_uuid() == done.tenant.unwrap()
                    || !keys.iter().any(|(key, _)| *key == stored.id)
                        && !stored.tenant.as_uuid().is_nil()
            });
            assert_eq!(orphans.count(), 0, "{name}: a data key is left");
            // The name is free again.
            let again = provision(&control, hospital(&name, server)).await;
            assert_eq!(again.state, "succeeded");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_rotated_and_the_old_one_refused() {
    let _shared = SERVERS.read().await;
    let bed = Bed::new().await;
    let control = bed.with_servers().await;
    for server in ["postgres", "mysql"] {
        let made = provision(&control, hospital(server, server)).await;
        let before = control.show(&caller(), server).await.unwrap().connection.unwrap().revision;
        for kill in [None, Some(1), Some(3), Some(5)] {
            let ordered = control.rotate_password(&caller(), server).await.unwrap();
            if let Some(step) = kill {
                kill_at(&bed, &control, ordered.id, step).await;
            }
            let done = finish(&bed.gateway("heir"), ordered.id).await;
            assert_eq!(done.state, "succeeded", "{server} {kill:?}: {done:#?}");
            assert_eq!(done.result.unwrap()["old_refused"], true);
            assert_eq!(traces(&bed, &short(made.tenant)).await, (1, 1, 0), "{server} {kill:?}");
            assert!(control.check(&caller(), server).await.unwrap().ok);
        }
        let after = control.show(&caller(), server).await.unwrap().connection.unwrap().revision;
        assert_eq!(after, before + 4, "one new record for each rotation");
        // Cancelled before it is in use, the new role goes.
        let order = async |_| control.rotate_password(&caller(), server).await.unwrap().id;
        let (_, id) = killed_in_time(&bed, &control, 2, order).await;
        control.cancel_operation(&caller(), id).await.unwrap();
        let done = finish(&bed.gateway("heir"), id).await;
        assert_eq!(done.state, "cancelled", "{done:#?}");
        assert_eq!(traces(&bed, &short(made.tenant)).await, (1, 1, 0), "{server}");
        assert!(control.check(&caller(), server).await.unwrap().ok);
        let secrets = bed.registry.operation(id).await.unwrap().unwrap().secret;
        assert!(secrets.is_none(), "the password that was never used is still kept");
    }
    let made = provision(&control, hospital("file", "sqlite")).await;
    assert_eq!(made.state, "succeeded");
    assert!(control.rotate_password(&caller(), "file").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breach_is_found_before_anything_is_served() {
    let _alone = SERVERS.write().await;
    let bed = Bed::new().await;
    let control = bed.with_servers().await;
    // Somebody gave every role the right to read another hospital's tables.
    let other = Postgres::database().await;
    other.execute("CREATE TABLE patients (id int); GRANT SELECT ON patients TO PUBLIC").await;
    let mut admin = Postgres::admin().await;
    let open = format!("GRANT CONNECT ON DATABASE {} TO PUBLIC", other.name);
    sqlx::raw_sql(&open).execute(&mut admin).await.unwrap();
    let failed = provision(&control, hospital("breach", "postgres")).await;
    assert_eq!(
        (failed.state.as_str(), failed.step.as_deref()),
        ("failed", Some("prove isolation"))
    );
    assert_eq!(failed.error.unwrap().code, "isolation");
    let tenant = control.show(&caller(), "breach").await.unwrap();
    assert_eq!(tenant.state, TenantState::Draft.as_str());
    // Mended, it goes on where it stopped.
    let close = format!("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", other.name);
    sqlx::raw_sql(&close).execute(&mut admin).await.unwrap();
    control.retry_operation(&caller(), failed.id).await.unwrap();
    let done = finish(&control, failed.id).await;
    assert_eq!(done.state, "succeeded", "{done:#?}");
    let again = done.steps.iter().filter(|step| step.attempts > 1).count();
    assert_eq!(again, 1, "only the step that failed is begun again");

    // On MariaDB: a grant by pattern that reaches every database of ours.
    let mut admin = MariaDb::admin().await;
    let role = format!("nosy{}", std::process::id());
    for sql in [
        format!("CREATE USER {role}@'%' IDENTIFIED BY 'x'"),
        format!("GRANT SELECT ON `wg\\_%`.* TO {role}@'%'"),
    ] {
        sqlx::raw_sql(&sql).execute(&mut admin).await.unwrap();
    }
    let failed = provision(&control, hospital("pattern", "mysql")).await;
    sqlx::raw_sql(&format!("DROP USER {role}@'%'")).execute(&mut admin).await.unwrap();
    assert_eq!(
        (failed.state.as_str(), failed.step.as_deref()),
        ("failed", Some("prove isolation"))
    );
    assert!(failed.error.unwrap().message.contains("nosy"));
    control.cancel_operation(&caller(), failed.id).await.unwrap();
    let done = finish(&control, failed.id).await;
    assert_eq!(done.state, "cancelled", "{done:#?}");
}

/// The proof looks into other databases of the server, and whoever drops one meanwhile breaks nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_may_come_and_go_while_isolation_is_proven() {
    let _shared = SERVERS.read().await;
    let bed = Bed::new().await;
    let control = bed.with_servers().await;
    let coming_and_going = async {
        let mut admin = Postgres::admin().await;
        let mut round = 0;
        loop {
            round += 1;
            let name = format!("brief{}_{round}", std::process::id());
            for sql in [
                format!("CREATE DATABASE {name}_a"),
                format!("CREATE DATABASE {name}_b"),
                format!("DROP DATABASE {name}_a WITH (FORCE)"),
                format!("DROP DATABASE {name}_b WITH (FORCE)"),
            ] {
                sqlx::raw_sql(&sql).execute(&mut admin).await.unwrap();
            }
        }
    };
    let made = async {
        for number in 0..10 {
            let made = provision(&control, hospital(&format!("brief-{number}"), "postgres")).await;
            assert_eq!(made.state, "succeeded", "{made:#?}");
        }
    };
    tokio::select! {
        () = coming_and_going => {}
        () = made => {}
    }
}

/// The rights the documentation asks for are enough, for everything from making to ending.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_who_is_no_superuser_suffices() {
    let _shared = SERVERS.read().await;
    let bed = Bed::new().await;
    let control = bed.gateway("first");
    let name = format!("plain{}", std::process::id());
    let mut postgres = Postgres::admin().await;
    let sql = format!("CREATE ROLE {name} LOGIN CREATEDB CREATEROLE PASSWORD 'plain'");
    sqlx::raw_sql(&sql).execute(&mut postgres).await.unwrap();
    let mut mariadb = MariaDb::admin().await;
    let rights =
        "CREATE, DROP, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE, DELETE, CREATE USER";
    let weak = format!("{name}weak");
    for sql in [
        format!("CREATE USER {name}@'%' IDENTIFIED BY 'plain'"),
        format!("GRANT {rights} ON *.* TO {name}@'%' WITH GRANT OPTION"),
        format!("CREATE USER {weak}@'%' IDENTIFIED BY 'plain'"),
        format!("GRANT SELECT ON *.* TO {weak}@'%'"),
    ] {
        sqlx::raw_sql(&sql).execute(&mut mariadb).await.unwrap();
    }
    let plain = |user: &str, mut server: Server| {
        (server.user, server.password) = (user.to_owned(), "plain".to_owned());
        server
    };
    let add = async |engine: Engine, server: Server| {
        let connection = Some(admin(engine, &server));
        let new = NewServer { name: engine.as_str().to_owned(), connection };
        control.add_server(&caller(), &new).await
    };
    let lacking = add(Engine::MySql, plain(&weak, MariaDb::server())).await.unwrap_err();
    assert!(lacking.to_string().contains("CREATE USER"), "{lacking}");
    add(Engine::MySql, plain(&name, MariaDb::server())).await.unwrap();
    add(Engine::Postgres, plain(&name, Postgres::server())).await.unwrap();
    for server in ["postgres", "mysql"] {
        let made = provision(&control, hospital(server, server)).await;
        assert_eq!(made.state, "succeeded", "{made:#?}");
        let ordered = control.rotate_password(&caller(), server).await.unwrap();
        let done = finish(&control, ordered.id).await;
        assert_eq!(done.state, "succeeded", "{done:#?}");
        let ordered = control.offboard(&caller(), server, None, Some(server)).await.unwrap();
        let Ordered::Done(ordered) = ordered else { panic!("nobody else is asked") };
        let done = finish(&control, ordered.id).await;
        assert_eq!(done.state, "succeeded", "{done:#?}");
        assert_eq!(traces(&bed, &short(made.tenant)).await, (0, 0, 0), "{server}");
    }
    sqlx::raw_sql(&format!("DROP ROLE {name}")).execute(&mut postgres).await.unwrap();
    for user in [&name, &weak] {
        sqlx::raw_sql(&format!("DROP USER {user}@'%'")).execute(&mut mariadb).await.unwrap();
    }
}
