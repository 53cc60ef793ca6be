//! What the tests of this room share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use crate::base::{
    Clock, ConnectionRecord, ConnectionRevision, Engine, ManualClock, SecretText, ServerRecord,
    TenantId, Timestamp, TlsPolicy, TlsSettings,
};
use crate::keyring::{
    DataKeyId, KekId, KekLocation, Keyring, KeyringConfig, MemoryKeys, SealPlace, WrappedKey,
    WrappedKeys, WrappedKeysFuture, WrappedKeysUnavailable,
};

pub(super) const KEK_TEXT: &str = "wardgate-kek-file v1\n\
    old AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\
    new ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8= current\n";

pub(super) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_secs(1_700_000_000)))
}

pub(super) fn environment(text: &str) -> KeyringConfig {
    KeyringConfig::new(KekLocation::Environment(SecretText::new(text.to_owned())))
}

pub(super) async fn keyring(keys: &Arc<MemoryKeys>) -> Keyring {
    let clock: Arc<dyn Clock> = clock();
    Keyring::init(environment(KEK_TEXT), keys.clone(), clock).await.unwrap()
}

pub(super) fn tenant(n: u8) -> TenantId {
    TenantId::from_uuid(Uuid::from_bytes([n; 16]))
}

pub(super) fn kek(id: &str) -> KekId {
    KekId(id.to_owned())
}

pub(super) fn place(owner: TenantId) -> SealPlace {
    SealPlace {
        purpose: "tenant-connection",
        table: "tenant",
        column: "connection",
        record_id: Uuid::from_bytes([0x5a; 16]),
        tenant: owner,
        revision: ConnectionRevision(7),
    }
}

pub(super) fn record(password: &str) -> ConnectionRecord {
    ConnectionRecord::Server(ServerRecord {
        engine: Engine::Postgres,
        host: "db.hospital.example".to_owned(),
        port: 5432,
        database: "emr".to_owned(),
        user: "reader".to_owned(),
        password: SecretText::new(password.to_owned()),
        tls: TlsSettings { policy: TlsPolicy::VerifyFull, server_name: None, ca_pem: None },
    })
}

pub(super) fn password(record: &ConnectionRecord) -> String {
    match record {
        ConnectionRecord::Server(server) => server.password.expose().to_owned(),
        ConnectionRecord::Sqlite(_) => panic!("a server record was sealed"),
    }
}

/// A store that breaks at one operation and stays broken, as for a process that is killed there.
pub(super) struct Breaking {
    pub(super) inner: Arc<MemoryKeys>,
    left: AtomicU64,
    /// Whether the operation at which it breaks was still done.
    after: bool,
}

impl Breaking {
    pub(super) fn at(inner: &Arc<MemoryKeys>, operation: u64, after: bool) -> Arc<Self> {
        Arc::new(Self { inner: inner.clone(), left: AtomicU64::new(operation), after })
    }

    fn run<'a, T: Send + 'a>(
        &'a self,
        work: impl FnOnce(&'a MemoryKeys) -> WrappedKeysFuture<'a, T>,
    ) -> WrappedKeysFuture<'a, T> {
        let less = |left: u64| left.checked_sub(1);
        let before = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        let broken = WrappedKeysUnavailable("broken".to_owned());
        match before {
            Ok(left) if left > 1 => work(&self.inner),
            Ok(_) if self.after => {
                let done = work(&self.inner);
                Box::pin(async move { done.await.and(Err(broken)) })
            }
            _ => Box::pin(std::future::ready(Err(broken))),
        }
    }
}

impl WrappedKeys for Breaking {
    fn get(&self, id: DataKeyId) -> WrappedKeysFuture<'_, Option<WrappedKey>> {
        self.run(|keys| keys.get(id))
    }
    fn newest(&self, tenant: TenantId) -> WrappedKeysFuture<'_, Option<WrappedKey>> {
        self.run(|keys| keys.newest(tenant))
    }
    fn insert(&self, key: WrappedKey) -> WrappedKeysFuture<'_, ()> {
        self.run(|keys| keys.insert(key))
    }
    fn rewrap(&self, from: KekId, to: WrappedKey) -> WrappedKeysFuture<'_, bool> {
        self.run(|keys| keys.rewrap(from, to))
    }
    fn list(&self, after: Option<DataKeyId>, limit: u32) -> WrappedKeysFuture<'_, Vec<WrappedKey>> {
        self.run(|keys| keys.list(after, limit))
    }
    fn destroy(&self, id: DataKeyId) -> WrappedKeysFuture<'_, bool> {
        self.run(|keys| keys.destroy(id))
    }
}

#[test]
fn reading_what_the_support_writes() {
    assert_eq!(password(&record("x")), "x");
}
