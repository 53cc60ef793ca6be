//! Data keys that were replaced, and when they go.
//!
//! A gateway that is cut off from the registry opens a tenant's lanes from what it knows for up to a day, so a
//! replaced key stays that long. And a key goes only when the record that replaced it opens: whoever writes
//! to the registry, and has no keys, must not be able to have a hospital's key destroyed by pointing its
//! record elsewhere or taking it away.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Control;
use super::fault::ControlFault;
use crate::base::{TenantId, Timestamp};
use crate::keyring::{DataKeyId, KeyFault, WrappedKeys as _};
use crate::registry::{Actor, ActorKind, Connection, Origin};
use crate::tenant::seal_place;

/// How long a replaced key stays: as long as a gateway serves known tenants without the registry.
const KEPT: Duration = Duration::from_hours(24);
/// How often replaced keys are looked for.
const EVERY: Duration = Duration::from_hours(1);
/// Rows read at a time.
const PAGE: u32 = 200;

/// Data keys no record is sealed under.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unreferenced {
    /// Those whose time has come.
    pub(super) due: Vec<DataKeyId>,
    /// How many there are in all.
    pub(super) all: u64,
}

impl Control {
    /// Destroys replaced data keys when their time has come, once an hour, until `shutdown`. Several
    /// gateways may do so at once.
    pub async fn run_sweep(self, shutdown: CancellationToken) {
        while shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            if let Err(fault) = self.sweep_replaced().await {
                tracing::warn!(target: "wardgate::control", %fault, "replaced data keys stay for now");
            }
        }
    }

    /// Destroys replaced data keys whose time has come. Gives back how many.
    pub async fn sweep_replaced(&self) -> Result<u64, ControlFault> {
        let mut destroyed = 0;
        for key in self.unreferenced().await?.due {
            destroyed += u64::from(self.0.keyring.destroy_data_key(key).await?);
        }
        if destroyed > 0 {
            let actor = Actor { kind: ActorKind::WorkOrder, subject: "gateway".to_owned() };
            let origin = Origin { actor, request_id: String::new() };
            let detail = json!({ "destroyed": destroyed });
            self.0.registry.record_event("keys.sweep", None, &detail, &origin).await?;
        }
        Ok(destroyed)
    }

    /// Data keys no record is sealed under, and which of them are due.
    pub(super) async fn unreferenced(&self) -> Result<Unreferenced, ControlFault> {
        let mut found = Unreferenced::default();
        // Keys first: a record written meanwhile is then seen, and its key was not yet there.
        let mut keys: HashMap<TenantId, Vec<(DataKeyId, Timestamp)>> = HashMap::new();
        let mut after = None;
        loop {
            let page = self.0.key_store.list(after, PAGE).await.map_err(KeyFault::from)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for key in page.into_iter().filter(|key| !key.tenant.as_uuid().is_nil()) {
                keys.entry(key.tenant).or_default().push((key.id, key.created_at));
            }
        }
        let mut after = None;
        loop {
            let page = self.0.registry.sealed_connections(after.as_deref(), PAGE).await?;
            for connection in page.connections {
                let Some(own) = keys.remove(&connection.tenant) else { continue };
                // The seal names its key and is bound to the name; the column beside it is not.
                let used = connection.sealed.data_key_id();
                let replaced: Vec<_> =
                    own.into_iter().filter(|(id, _)| Some(*id) != used).collect();
                found.all += replaced.len() as u64;
                if !replaced.is_empty() && self.has_settled(&connection).await {
                    let before = |(_, made): &&(DataKeyId, Timestamp)| *made < connection.sealed_at;
                    found.due.extend(replaced.iter().filter(before).map(|(id, _)| *id));
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        found.all += keys.values().map(|left| left.len() as u64).sum::<u64>();
        Ok(found)
    }

    /// Whether a record was sealed long enough ago, and opens.
    async fn has_settled(&self, connection: &Connection) -> bool {
        let age = self.0.clock.now().since(connection.sealed_at);
        let place = seal_place(connection.tenant, connection.record_id, connection.revision);
        age >= KEPT && self.0.keyring.open(&place, &connection.sealed).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::OperatorPermit;
    use crate::base::{Clock, Deadline, ManualClock, SecretText};
    use crate::control::{Caller, ConnectionInput, IdentityView, NewTenant, Parts, Work};
    use crate::keyring::{HeldKeys, KekLocation, Keyring, KeyringConfig};
    use crate::pool::dial::{DialConfig, Dialer};
    use crate::registry::{KeyStore, Registry};

    struct Bench {
        folder: tempfile::TempDir,
        clock: Arc<ManualClock>,
        control: Control,
    }

    impl Bench {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
            let time: Arc<dyn Clock> = clock.clone();
            let setting = |name: &str| {
                SecretText::new(format!("sqlite:{}", folder.path().join(name).display()))
            };
            let registry = Registry::open(&setting("registry.db"), Arc::clone(&time)).unwrap();
            registry.migrate().await.unwrap();
            let store = KeyStore::open(&setting("keys.db"), Arc::clone(&time)).unwrap();
            store.migrate().await.unwrap();
            let store = Arc::new(store);
            let held = KekLocation::Source(Arc::new(HeldKeys::ephemeral().unwrap()));
            let config = KeyringConfig::new(held);
            let keyring = Keyring::init(config, store.clone(), Arc::clone(&time)).await.unwrap();
            let dialer = Dialer::new(DialConfig::default(), Arc::clone(&time));
            let (issuers, serving) = (Vec::new(), None);
            let control = Control::new(Parts {
                registry,
                key_store: store,
                keyring,
                dialer,
                clock: time,
                issuers,
                two_persons: false,
                serving,
                work: Work::new("here".to_owned()),
            });
            let bench = Self { folder, clock, control };
            for name in ["north", "south"] {
                let url = SecretText::new(format!("sqlite:{name}.db"));
                let identities = vec![IdentityView {
                    issuer: "https://sso.example/realms/a".to_owned(),
                    claim_value: Some(name.to_owned()),
                    azp: vec!["app".to_owned()],
                }];
                let new = NewTenant {
                    name: name.to_owned(),
                    display_name: None,
                    identities,
                    limits: None,
                    connection: Some(ConnectionInput::url(url, None, false)),
                };
                bench.control.add(&Bench::caller(), new).await.unwrap();
            }
            bench
        }

        fn caller() -> Caller {
            Caller {
                permit: OperatorPermit::console("tests"),
                request: uuid::Uuid::nil(),
                deadline: Deadline::after(Duration::from_mins(1)),
            }
        }

        fn pass(&self, hours: u64) {
            self.clock.advance(Duration::from_hours(hours));
        }

        async fn plain(&self, sql: &str) {
            use sqlx::{ConnectOptions as _, Connection as _};
            let file = self.folder.path().join("registry.db");
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
            let mut connection = options.connect().await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_replaced_key_goes_a_day_later_and_no_other() {
        let bench = Bench::new().await;
        let control = &bench.control;
        bench.pass(48);
        assert_eq!(control.unreferenced().await.unwrap(), Unreferenced::default());
        control.renew_data_keys(&Bench::caller()).await.unwrap();
        assert_eq!(control.unreferenced().await.unwrap().all, 2);
        bench.pass(23);
        assert_eq!(control.sweep_replaced().await.unwrap(), 0, "somebody may still use them");
        assert_eq!(control.check_keys(&Bench::caller()).await.unwrap().unreferenced, 2);
        bench.pass(1);
        assert_eq!(control.sweep_replaced().await.unwrap(), 2);
        assert_eq!(control.sweep_replaced().await.unwrap(), 0);
        let report = control.check_keys(&Bench::caller()).await.unwrap();
        assert_eq!((report.records, report.faults, report.unreferenced), (2, 0, 0));
    }

    #[tokio::test]
    async fn a_writer_of_the_registry_has_no_key_destroyed() {
        let bench = Bench::new().await;
        let control = &bench.control;
        bench.pass(1);
        control.renew_data_keys(&Bench::caller()).await.unwrap();
        // North's record is said to be under south's key, sealed after both of north's were made.
        let copied = "UPDATE connections SET sealed_at = sealed_at + 1000, data_key_id = (SELECT \
                      data_key_id FROM connections c JOIN tenants t ON t.id = c.tenant \
                      WHERE t.name = 'south') \
                      WHERE tenant = (SELECT id FROM tenants WHERE name = 'north')";
        bench.plain(copied).await;
        bench.pass(48);
        let found = control.unreferenced().await.unwrap();
        assert_eq!((found.due.len(), found.all), (2, 2), "the replaced ones and no other");
        let sealed = "UPDATE connections SET sealed = (SELECT sealed FROM connections c JOIN tenants t \
                      ON t.id = c.tenant WHERE t.name = 'south') \
                      WHERE tenant = (SELECT id FROM tenants WHERE name = 'north')";
        bench.plain(sealed).await;
        let found = control.unreferenced().await.unwrap();
        assert_eq!((found.due.len(), found.all), (1, 3), "south's, whose record opens");
        bench.plain("DELETE FROM connections").await;
        assert_eq!(control.sweep_replaced().await.unwrap(), 0);
        assert_eq!(control.unreferenced().await.unwrap().all, 4);
    }
}
