//! A fleet over three engines brought to the next release while gateways are killed: every sound tenant once,
//! every broken one named with its cause. `WARDGATE_TEST_FLEET` is how many tenants; 20 without it.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use wardgate::control::{Control, NewMigration, OperationView};

use crate::control_bed::{Bed, caller, finish, hospital};
use crate::harness::{MariaDb, Postgres, number_from_env};

const ENGINES: [&str; 3] = ["postgres", "mysql", "sqlite"];

/// Orders tenants at release 1 and has two gateways make them.
pub async fn make(bed: &Bed, control: &Control, count: u64) -> Vec<OperationView> {
    let stop = CancellationToken::new();
    let gateways = ["one", "two"].map(|name| bed.gateway(name));
    let work = gateways.map(|gateway| tokio::spawn(gateway.run_operations(stop.clone())));
    let mut ordered = Vec::new();
    for n in 0..count {
        let engine = ENGINES[usize::try_from(n % 3).unwrap()];
        let mut new = hospital(&format!("h{n:03}-{engine}"), engine);
        new.release = Some(1);
        ordered.push(control.provision(&caller(), new).await.unwrap().id);
    }
    let mut made = Vec::new();
    for id in ordered {
        made.push(ended(control, id).await);
    }
    stop.cancel();
    for work in work {
        work.await.unwrap();
    }
    assert!(made.iter().all(|view| view.state == "succeeded"), "{made:#?}");
    made
}

pub async fn ended(control: &Control, id: uuid::Uuid) -> OperationView {
    loop {
        let now = control.operation(&caller(), id).await.unwrap();
        if ["succeeded", "failed", "cancelled"].contains(&now.state.as_str()) {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn database(view: &OperationView) -> String {
    format!("wg_{}", &view.tenant.unwrap().simple().to_string()[..24])
}

/// Runs SQL in a tenant's database as whoever may do anything there.
pub async fn inside(bed: &Bed, view: &OperationView, sql: &str) {
    use sqlx::{ConnectOptions as _, Executor as _};
    let name = database(view);
    let sql = sqlx::raw_sql(sql);
    match view.subject.rsplit('-').next().unwrap() {
        "postgres" => {
            let server = Postgres::server();
            let options = sqlx::postgres::PgConnectOptions::new()
                .host(&server.host)
                .port(server.port)
                .username(&server.user)
                .password(&server.password)
                .database(&name);
            options.connect().await.unwrap().execute(sql).await.unwrap();
        }
        "mysql" => {
            let mut admin = MariaDb::admin().await;
            admin.execute(sqlx::raw_sql(&format!("USE {name}"))).await.unwrap();
            admin.execute(sql).await.unwrap();
        }
        _ => {
            let file = bed.hospitals().join(format!("{name}.db"));
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
            options.connect().await.unwrap().execute(sql).await.unwrap();
        }
    }
}

/// Five tenants, broken in five ways, with the words that must name the cause. None is the first of its
/// engine, which are the canaries.
async fn break_five(bed: &Bed, made: &[OperationView]) -> Vec<(String, &'static str)> {
    let column = "ALTER TABLE observations ADD COLUMN range_low numeric";
    let text = "UPDATE wardgate_migrations SET checksum = 'x' WHERE name = '0102_care'";
    let index = "CREATE INDEX observations_category ON observations (category)";
    let mark = "UPDATE wardgate_identity SET tenant_id = '123e4567-e89b-42d3-a456-426614174000'";
    let gone = format!("DROP DATABASE {}", database(&made[4]));
    let wrongs = [
        (3, column, "42701"),
        (6, text, "another text"),
        (4, gone.as_str(), "no such database"),
        (7, index, "there already"),
        (5, mark, "mark"),
    ];
    let mut broken = Vec::new();
    for (at, sql, cause) in wrongs {
        inside(bed, &made[at], sql).await;
        broken.push((made[at].subject.clone(), cause));
    }
    broken
}

/// Whether every migration of release 2 stands once in the ledger, by one operation only.
async fn applied_once(bed: &Bed, view: &OperationView) -> bool {
    use sqlx::{ConnectOptions as _, Row as _};
    let sql = "SELECT count(*), count(DISTINCT operation) FROM wardgate_migrations \
               WHERE version > 200 AND state = 'applied'";
    let name = database(view);
    macro_rules! counts {
        ($conn:expr) => {{
            let row = sqlx::query(sql).fetch_one(&mut $conn).await.unwrap();
            (row.get::<i64, _>(0), row.get::<i64, _>(1))
        }};
    }
    let counts = match view.subject.rsplit('-').next().unwrap() {
        "postgres" => {
            let server = Postgres::server();
            let options = sqlx::postgres::PgConnectOptions::new()
                .host(&server.host)
                .port(server.port)
                .username(&server.user)
                .password(&server.password)
                .database(&name);
            counts!(options.connect().await.unwrap())
        }
        "mysql" => {
            let mut admin = MariaDb::admin().await;
            sqlx::raw_sql(&format!("USE {name}")).execute(&mut admin).await.unwrap();
            counts!(admin)
        }
        _ => {
            let file = bed.hospitals().join(format!("{name}.db"));
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
            counts!(options.connect().await.unwrap())
        }
    };
    counts == (2, 1)
}

/// Lets a gateway work until that many parts have ended, and kills it.
pub async fn work_until(bed: &Bed, name: &str, id: uuid::Uuid, ended: usize) {
    let gateway = bed.gateway(name);
    let work = tokio::spawn(gateway.run_operations(CancellationToken::new()));
    loop {
        let parts = bed.registry.operation_parts(id).await.unwrap();
        if parts.iter().filter(|part| part.state.is_over()).count() >= ended {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    work.abort();
    assert!(work.await.is_err(), "it was not killed");
    bed.leases_run_out().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_is_migrated_once_though_gateways_die() {
    let _shared = crate::provisioning::SERVERS.read().await;
    let count = number_from_env("WARDGATE_TEST_FLEET", 20).max(12);
    let registry = Postgres::database().await;
    let bed = Bed::on_postgres(&registry).await;
    let control = bed.with_servers().await;
    let begun = Instant::now();
    let made = make(&bed, &control, count).await;
    println!("{count} tenants made in {:.1} s", begun.elapsed().as_secs_f64());
    let broken = break_five(&bed, &made).await;

    let wanted = NewMigration { stop_at_percent: Some(60), ..NewMigration::default() };
    let plan = control.plan_migration(&caller(), &wanted).await.unwrap();
    assert_eq!((plan.release, plan.tenants.len() as u64, plan.canary.len()), (2, count, 3));
    assert!(plan.migrations.iter().all(|m| m.release == 2 && !m.sql.is_empty()), "{plan:?}");
    assert_eq!(plan.migrations.len(), 6);
    let begun = Instant::now();
    let ordered = control.migrate(&caller(), &wanted).await.unwrap();
    assert!(control.migrate(&caller(), &wanted).await.is_err(), "two at a time");
    let share = usize::try_from(count / 3).unwrap();
    work_until(&bed, "first to die", ordered.id, share).await;
    work_until(&bed, "second to die", ordered.id, 2 * share).await;
    let stop = CancellationToken::new();
    let heirs = ["heir", "coheir"].map(|name| bed.gateway(name));
    let work = heirs.map(|heir| tokio::spawn(heir.run_operations(stop.clone())));
    let done = ended(&control, ordered.id).await;
    println!("migrated in {:.1} s, with two gateways killed", begun.elapsed().as_secs_f64());
    stop.cancel();
    for work in work {
        work.await.unwrap();
    }
    assert_eq!(done.state, "failed", "{done:#?}");
    let more = done.error.unwrap().more.unwrap();
    println!("{}", serde_json::to_string_pretty(&more).unwrap());
    let failed = more["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 5, "{failed:#?}");
    for (name, cause) in &broken {
        let named = failed.iter().find(|one| one["tenant"] == name.as_str());
        let text = named.expect(name)["cause"].as_str().unwrap();
        assert!(text.contains(cause), "{name}: {text}");
    }
    let mut once = 0;
    for view in made.iter().filter(|v| !broken.iter().any(|(name, _)| *name == v.subject)) {
        assert!(applied_once(&bed, view).await, "{}", view.subject);
        once += 1;
        assert!(control.check(&caller(), &view.subject).await.unwrap().ok, "{}", view.subject);
    }
    println!("{once} at release 2, each migration once");
    let report = control.schemas(&caller()).await.unwrap();
    let at = |release| report.at_release.iter().find(|c| c.release == release).map(|c| c.tenants);
    // One whose ledger was tampered with, or whose database is away, counts as what it was.
    assert_eq!((at(1), at(2)), (Some(5), Some(count - 5)), "{:?}", report.at_release);
    let troubled = report.tenants.iter().filter(|t| t.trouble.is_some()).count();
    assert_eq!(troubled, 5);

    // One is mended: a retry carries on with what failed, and with nothing else.
    inside(&bed, &made[3], "ALTER TABLE observations DROP COLUMN range_low").await;
    control.retry_operation(&caller(), ordered.id).await.unwrap();
    let again = finish(&control, ordered.id).await;
    let more: Value = again.error.unwrap().more.unwrap();
    assert_eq!(more["failed"].as_array().unwrap().len(), 4);
    assert!(applied_once(&bed, &made[3]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_fails_stops_it_and_what_is_frozen_rests() {
    let _shared = crate::provisioning::SERVERS.read().await;
    let bed = Bed::new().await;
    let control = bed.with_servers().await;
    let made = make(&bed, &control, 6).await;
    inside(&bed, &made[2], "ALTER TABLE observations ADD COLUMN range_low numeric").await;
    let ordered = control.migrate(&caller(), &NewMigration::default()).await.unwrap();
    let done = finish(&control, ordered.id).await;
    assert_eq!((done.state.as_str(), done.error.unwrap().code.as_str()), ("failed", "canary"));
    let parts = control.operation_parts(&caller(), ordered.id).await.unwrap();
    let count = |state: &str| parts.iter().filter(|part| part.state == state).count();
    assert_eq!((count("failed"), count("held")), (1, 3), "{parts:#?}");

    inside(&bed, &made[2], "ALTER TABLE observations DROP COLUMN range_low").await;
    control.retry_operation(&caller(), ordered.id).await.unwrap();
    control.freeze_operation(&caller(), ordered.id, true).await.unwrap();
    let rests = finish(&control, ordered.id).await;
    assert!(rests.frozen && rests.state != "succeeded", "{rests:#?}");
    control.freeze_operation(&caller(), ordered.id, false).await.unwrap();
    let done = finish(&control, ordered.id).await;
    assert_eq!(done.state, "succeeded", "{done:#?}");

    // An attached hospital is never migrated.
    let attached =
        NewMigration { tenants: Some(vec!["nobody".to_owned()]), ..NewMigration::default() };
    assert!(control.migrate(&caller(), &attached).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_somebody_migrates_is_waited_for() {
    use sqlx::{ConnectOptions as _, Executor as _};
    let _shared = crate::provisioning::SERVERS.read().await;
    let registry = Postgres::database().await;
    let bed = Bed::on_postgres(&registry).await;
    let control = bed.with_servers().await;
    let made = make(&bed, &control, 3).await;
    let mut admin = MariaDb::admin().await;
    let name = format!("wardgate {}", database(&made[1]));
    let lock = format!("SELECT GET_LOCK('{name}', 0)");
    admin.execute(sqlx::raw_sql(&lock)).await.unwrap();
    let server = Postgres::server();
    let options = sqlx::postgres::PgConnectOptions::new()
        .host(&server.host)
        .port(server.port)
        .username(&server.user)
        .password(&server.password)
        .database(&database(&made[0]));
    let mut holder = options.connect().await.unwrap();
    holder.execute("SELECT pg_advisory_lock(6292771741193)").await.unwrap();

    let ordered = control.migrate(&caller(), &NewMigration::default()).await.unwrap();
    let stop = CancellationToken::new();
    let work = tokio::spawn(bed.gateway("one").run_operations(stop.clone()));
    let held = async |subject: &str| loop {
        let parts = control.operation_parts(&caller(), ordered.id).await.unwrap();
        let part = parts.into_iter().find(|part| part.subject == subject);
        if part.is_some_and(|part| part.error.is_some_and(|error| error.code == "held")) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    held(&made[0].subject).await;
    held(&made[1].subject).await;
    drop((admin, holder));
    let done = ended(&control, ordered.id).await;
    stop.cancel();
    work.await.unwrap();
    assert_eq!(done.state, "succeeded", "{done:#?}");
    for view in &made {
        assert!(applied_once(&bed, view).await, "{}", view.subject);
        // The mapping knows the columns that came.
        let shown = control.show(&caller(), &view.subject).await.unwrap();
        assert_eq!(shown.mapping.active, Some(2), "{}", view.subject);
    }
}
