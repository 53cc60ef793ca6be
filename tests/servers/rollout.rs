//! Many hospitals made by one order, and what a migration that failed leaves behind, on real servers.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wardgate::base::Fault as _;
use wardgate::control::{
    ConnectionInput, Control, ControlFault, NewMigration, NewProvisions, NewServer,
};

use crate::control_bed::{Bed, caller, finish};
use crate::fleet_migration::{ended, inside, make, work_until};
use crate::harness::{Database, Postgres};

/// An order of hospitals with these names.
fn list(server: &str, names: &[String]) -> NewProvisions {
    let one = |name: &String| {
        json!({ "name": name, "display_name": format!("Hospital {name}"), "identities": [{
            "issuer": "https://sso.test/realms/a", "claim_value": name, "azp": ["app"] }] })
    };
    let tenants: Vec<Value> = names.iter().map(one).collect();
    serde_json::from_value(json!({ "server": server, "tenants": tenants })).unwrap()
}

/// Makes an account of the server that may make databases and roles, or gives it another password.
async fn account(name: &str, password: &str, verb: &str) {
    let sql = format!("{verb} ROLE {name} LOGIN CREATEDB CREATEROLE PASSWORD '{password}'");
    sqlx::raw_sql(&sql).execute(&mut Postgres::admin().await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_made_once_though_its_first_fails_and_a_gateway_dies() {
    let _shared = crate::provisioning::SERVERS.read().await;
    let registry = Postgres::database().await;
    let bed = Bed::on_postgres(&registry).await;
    let control = bed.gateway("first");
    // A name of its own on a server that all tests share.
    let maker = format!("maker_{}", registry.name);
    account(&maker, "first-Pa55word", "CREATE").await;
    let Database { server, .. } = &registry;
    let url = format!("postgres://{maker}:first-Pa55word@{}:{}/postgres", server.host, server.port);
    let ca = std::fs::read_to_string(&server.ca_file).unwrap();
    let connection = ConnectionInput::url(wardgate::base::SecretText::new(url), Some(ca), true);
    let new = NewServer { name: "shared".to_owned(), connection: Some(connection) };
    control.add_server(&caller(), &new).await.unwrap();

    let names: Vec<String> = (0..8).map(|n| format!("ward-{n}")).collect();
    let plan = control.plan_provisions(&caller(), &list("shared", &names)).await.unwrap();
    assert_eq!((plan.tenants.len(), plan.engine.as_str(), plan.release), (8, "postgres", 2));
    assert!(known(&control).await.is_empty(), "looking over makes nothing");

    // The account is refused: the first fails, and nobody else is touched.
    account(&maker, "second-Pa55word", "ALTER").await;
    let ordered = control.provision_several(&caller(), &list("shared", &names)).await.unwrap();
    let done = finish(&control, ordered.id).await;
    let error = done.error.expect("an account that is refused");
    assert_eq!((done.state.as_str(), error.code.as_str()), ("failed", "canary"));
    assert_eq!(error.more.unwrap()["failed"][0]["tenant"], "ward-0");
    assert_eq!(known(&control).await, ["ward-0 draft"]);

    // It is mended; one gateway dies in the middle of the others, and its heirs make the rest.
    account(&maker, "first-Pa55word", "ALTER").await;
    control.retry_operation(&caller(), ordered.id).await.unwrap();
    work_until(&bed, "to die", ordered.id, 3).await;
    let stop = CancellationToken::new();
    let heirs = ["heir", "coheir"].map(|name| bed.gateway(name));
    let work = heirs.map(|heir| tokio::spawn(heir.run_operations(stop.clone())));
    let done = ended(&control, ordered.id).await;
    stop.cancel();
    for work in work {
        work.await.unwrap();
    }
    assert_eq!(done.state, "succeeded", "{done:#?}");
    assert_eq!(done.result.as_ref().unwrap()["tenants"]["succeeded"], 8, "{done:#?}");
    let all: Vec<String> = names.iter().map(|name| format!("{name} active")).collect();
    assert_eq!(known(&control).await, all);
    let parts = control.operation_parts(&caller(), ordered.id).await.unwrap();
    assert_eq!(parts.len(), 8, "each was ordered once");
    for part in &parts {
        let database = format!("wg_{}", &part.tenant.unwrap().simple().to_string()[..24]);
        let sql = format!("SELECT count(*) FROM pg_database WHERE datname LIKE '{database}%'");
        let count: i64 =
            sqlx::query_scalar(&sql).fetch_one(&mut Postgres::admin().await).await.unwrap();
        assert_eq!(count, 1, "{}", part.subject);
        assert!(control.check(&caller(), &part.subject).await.unwrap().ok, "{}", part.subject);
    }

    // All that is wrong with a list is said at once, and nothing of it is ordered.
    let mixed = ["new-1", "ward-3", "Not a slug", "new-1"].map(str::to_owned);
    let refused = control.provision_several(&caller(), &list("shared", &mixed)).await.unwrap_err();
    let ControlFault::List(faults) = &refused else { panic!("{refused:?}") };
    let said: Vec<_> = faults.iter().map(|f| (f.pointer.as_str(), f.code.as_str())).collect();
    let expected = [
        ("/tenants/1/name", "taken"),
        ("/tenants/1/identities", "taken"),
        ("/tenants/2/name", "invalid"),
        ("/tenants/2/identities", "invalid"),
        ("/tenants/3/name", "twice"),
        ("/tenants/3/identities", "twice"),
    ];
    assert_eq!(said, expected);
    assert_eq!(refused.kind().as_str(), "invalid");
    assert_eq!(known(&control).await, all);
}

/// All tenants with their states, by name.
async fn known(control: &Control) -> Vec<String> {
    let filter = wardgate::control::TenantFilter::default();
    let page = control.list(&caller(), filter, None, 200).await.unwrap();
    page.tenants.iter().map(|tenant| format!("{} {}", tenant.name, tenant.state)).collect()
}

/// What is not begun when an order is cancelled never is; what is made stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_list_begins_no_more() {
    let bed = Bed::new().await;
    let control = bed.gateway("one");
    let new = NewServer { name: "folder".to_owned(), connection: None };
    control.add_server(&caller(), &new).await.unwrap();
    let names: Vec<String> = (0..12).map(|n| format!("ward-{n:02}")).collect();
    let mut order = list("folder", &names);
    order.parallel = Some(1);
    let ordered = control.provision_several(&caller(), &order).await.unwrap();
    // As after a kill: two are made, and nobody works.
    work_until(&bed, "to die", ordered.id, 2).await;
    let view = control.cancel_operation(&caller(), ordered.id).await.unwrap();
    assert!(view.cancel_asked, "{view:?}");
    let done = finish(&control, ordered.id).await;
    assert_eq!(done.state, "cancelled", "{done:#?}");
    let tally = &done.result.as_ref().unwrap()["tenants"];
    let (made, left) = (tally["succeeded"].as_u64().unwrap(), tally["cancelled"].as_u64().unwrap());
    assert!(made >= 2 && left > 0 && made + left == 12, "{done:#?}");
    let active = known(&control).await;
    assert_eq!(active.len() as u64, made, "{active:?}");
    assert!(active.iter().all(|one| one.ends_with(" active")), "{active:?}");
}

/// Migrates one hospital; gives back the state and the reason it is in afterwards.
async fn migrated(
    control: &Control,
    name: &str,
    again: Option<uuid::Uuid>,
) -> (uuid::Uuid, String) {
    let id = if let Some(id) = again {
        control.retry_operation(&caller(), id).await.unwrap().id
    } else {
        let tenants = Some(vec![name.to_owned()]);
        let wanted = NewMigration { tenants, ..NewMigration::default() };
        control.migrate(&caller(), &wanted).await.unwrap().id
    };
    let done = finish(control, id).await;
    let shown = control.show(&caller(), name).await.unwrap();
    let reason = shown.reason.unwrap_or_default();
    (id, format!("{} {} {reason}", done.state, shown.state).trim_end().to_owned())
}

const IN_THE_WAY: &str = "ALTER TABLE observations ADD COLUMN range_low numeric";
const OUT_OF_THE_WAY: &str = "ALTER TABLE observations DROP COLUMN range_low";
const UNREADABLE: &str = "ALTER TABLE patients RENAME COLUMN birth_date TO born";
const READABLE: &str = "ALTER TABLE patients RENAME COLUMN born TO birth_date";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hospital_the_gateway_suspended_is_served_again_when_its_migration_succeeds() {
    let _shared = crate::provisioning::SERVERS.read().await;
    let bed = Bed::new().await;
    let control = bed.with_servers().await;
    let made = make(&bed, &control, 9).await;
    // Three of each engine, in turn.
    for engine in 0..3 {
        let [own, typed, taken] = [engine, engine + 3, engine + 6].map(|at| &made[at]);
        for view in [own, typed, taken] {
            inside(&bed, view, IN_THE_WAY).await;
            inside(&bed, view, UNREADABLE).await;
        }
        // One that an operator suspended before, in the gateway's own words.
        let reason = "schema-unsound";
        control.suspend(&caller(), &typed.subject, None, reason).await.unwrap();
        let failed = "failed suspended schema-unsound";
        let mut orders = Vec::new();
        for view in [own, typed, taken] {
            let (id, now) = migrated(&control, &view.subject, None).await;
            assert_eq!(now, failed, "{}", view.subject);
            orders.push(id);
        }
        // Its cause is still there.
        inside(&bed, own, OUT_OF_THE_WAY).await;
        let (_, now) = migrated(&control, &own.subject, Some(orders[0])).await;
        assert_eq!(now, failed, "{}: it is migrated and cannot be read", own.subject);
        // One that an operator took into her own hands meanwhile.
        control.resume(&caller(), &taken.subject, None).await.unwrap();
        control.suspend(&caller(), &taken.subject, None, "audit").await.unwrap();

        inside(&bed, own, READABLE).await;
        for view in [typed, taken] {
            inside(&bed, view, OUT_OF_THE_WAY).await;
            inside(&bed, view, READABLE).await;
        }
        let (_, now) = migrated(&control, &own.subject, Some(orders[0])).await;
        assert_eq!(now, "succeeded active", "{}", own.subject);
        let (_, now) = migrated(&control, &typed.subject, Some(orders[1])).await;
        assert_eq!(now, "succeeded suspended schema-unsound", "{}", typed.subject);
        let (_, now) = migrated(&control, &taken.subject, Some(orders[2])).await;
        assert_eq!(now, "succeeded suspended audit", "{}", taken.subject);
        let events = control.tenant_events(&caller(), &own.subject, 50).await.unwrap();
        let state = events.iter().find(|event| event.action == "tenant.state").unwrap();
        assert!(state.actor.starts_with("work_order:"), "{state:?}");
    }
}
