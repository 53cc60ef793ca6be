use std::collections::{HashMap, HashSet};

use serde::Serialize;
use utoipa::ToSchema;

use super::fault::ControlFault;
use super::{Caller, Control};
use crate::base::Timestamp;
use crate::keyring::{DataKeyId, KekId, KeyFault, WrappedKeys as _};
use crate::registry::{Connection, Reseal};
use crate::tenant::seal_place;

/// A key-encryption key.
#[derive(Debug, Serialize, ToSchema)]
pub struct KekView {
    /// Its id.
    pub id: String,
    /// Data keys wrapped under it.
    pub data_keys: u64,
    /// Whether new data keys are wrapped under it.
    pub current: bool,
    /// When the oldest data key under it was made (RFC 3339).
    pub oldest: Option<String>,
    /// When the newest data key under it was made (RFC 3339).
    pub newest: Option<String>,
}

/// All key-encryption keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeysView {
    /// The keys, by id.
    pub keks: Vec<KekView>,
    /// Data keys no record is sealed under; those that were replaced go a day later.
    pub unreferenced: u64,
}

/// What a rotation did.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct RotationView {
    /// Keys or records changed.
    pub changed: u64,
    /// Keys or records that needed no change.
    pub unchanged: u64,
    /// Keys or records that could not be opened.
    pub unreadable: u64,
}

/// What opening everything once found.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct KeyReport {
    /// Data keys that unwrap.
    pub data_keys: u64,
    /// Sealed records that open.
    pub records: u64,
    /// What does not.
    pub faults: u64,
    /// Data keys no record is sealed under. Those that were replaced go a day later; others are what an
    /// order that broke off has left.
    pub unreferenced: u64,
}

/// Records read at a time when scanning.
const PAGE: u32 = 200;

impl Control {
    pub(super) async fn kek_of(&self, key: DataKeyId) -> Option<String> {
        self.0.key_store.get(key).await.ok().flatten().map(|wrapped| wrapped.kek.0)
    }

    /// Key-encryption keys and what refers to them.
    pub async fn keys(&self, _caller: &Caller) -> Result<KeysView, ControlFault> {
        let references = self.0.keyring.kek_references().await?;
        let (known, current) = self.0.keyring.keks().await?;
        let mut ids: Vec<KekId> = known;
        ids.extend(references.keys().cloned());
        ids.sort();
        ids.dedup();
        let ages = self.ages().await?;
        let view = |id: KekId| KekView {
            data_keys: references.get(&id).copied().unwrap_or(0),
            current: id == current,
            oldest: ages.get(&id).map(|(oldest, _)| oldest.to_string()),
            newest: ages.get(&id).map(|(_, newest)| newest.to_string()),
            id: id.0,
        };
        let unreferenced = self.unreferenced().await?.all;
        Ok(KeysView { keks: ids.into_iter().map(view).collect(), unreferenced })
    }

    /// When the oldest and the newest data key under each key-encryption key were made.
    async fn ages(&self) -> Result<HashMap<KekId, (Timestamp, Timestamp)>, ControlFault> {
        let mut ages = HashMap::new();
        let mut after = None;
        loop {
            let page = self.0.key_store.list(after, PAGE).await.map_err(KeyFault::from)?;
            let Some(last) = page.last() else { return Ok(ages) };
            after = Some(last.id);
            for key in page {
                let made = key.created_at;
                let (oldest, newest) = ages.entry(key.kek).or_insert((made, made));
                (*oldest, *newest) = (made.min(*oldest), made.max(*newest));
            }
        }
    }

    /// Makes a new key-encryption key current and rewraps every data key under it.
    pub async fn rotate_kek(&self, caller: &Caller) -> Result<RotationView, ControlFault> {
        let day: String = self.0.clock.now().to_string().chars().take(10).collect();
        let (known, current) = self.0.keyring.keks().await?;
        // A rotation that was broken off today is gone on with instead of begun again.
        let references = self.0.keyring.kek_references().await?;
        let unfinished = references.iter().any(|(id, count)| *id != current && *count > 0);
        let new = if unfinished { current } else { free_id(&day, &known) };
        let done = self.0.keyring.rotate_kek(new.clone(), |_| {}).await?;
        let detail = serde_json::json!({ "kek": new.0, "rewrapped": done.rewrapped });
        self.0.registry.record_event("keys.rotate", None, &detail, &caller.origin()).await?;
        Ok(RotationView {
            changed: done.rewrapped,
            unchanged: done.current,
            unreadable: done.unreadable.len() as u64,
        })
    }

    /// Rewraps what is not under the current key-encryption key.
    pub async fn rewrap(&self, caller: &Caller) -> Result<RotationView, ControlFault> {
        let done = self.0.keyring.rewrap_all(|_| {}).await?;
        let detail = serde_json::json!({ "rewrapped": done.rewrapped });
        self.0.registry.record_event("keys.rewrap", None, &detail, &caller.origin()).await?;
        Ok(RotationView {
            changed: done.rewrapped,
            unchanged: done.current,
            unreadable: done.unreadable.len() as u64,
        })
    }

    /// Forgets a key-encryption key nothing refers to.
    pub async fn drop_kek(&self, caller: &Caller, id: &str) -> Result<(), ControlFault> {
        self.0.keyring.drop_kek(KekId(id.to_owned())).await?;
        let detail = serde_json::json!({ "kek": id });
        Ok(self.0.registry.record_event("keys.drop", None, &detail, &caller.origin()).await?)
    }

    /// Gives every tenant a new data key and reseals its record under it; the old key goes a day later.
    /// May be broken off and asked again at any point.
    pub async fn renew_data_keys(&self, caller: &Caller) -> Result<RotationView, ControlFault> {
        // What rotations before left over. What this one leaves stays for a day: a gateway that has not
        // heard of the reseal yet, or is cut off from the registry, opens the record under it.
        self.sweep_replaced().await?;
        let mut done = RotationView::default();
        let mut after = None;
        loop {
            let page = self.0.registry.sealed_connections(after.as_deref(), PAGE).await?;
            done.unreadable += page.damaged;
            for connection in page.connections {
                match self.renew(caller, connection).await {
                    Ok(true) => done.changed += 1,
                    Ok(false) => done.unchanged += 1,
                    Err(ControlFault::Keys(_)) => done.unreadable += 1,
                    Err(fault) => return Err(fault),
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        done.changed += self.renew_server_keys(caller).await?;
        Ok(done)
    }

    async fn renew(&self, caller: &Caller, old: Connection) -> Result<bool, ControlFault> {
        let place = seal_place(old.tenant, old.record_id, old.revision);
        let key = self.0.keyring.create_data_key(old.tenant).await?;
        let to = self.0.keyring.reseal(&place, &old.sealed, key).await?;
        let reseal = Reseal { tenant: old.tenant, from: old.sealed, to, data_key: key };
        let changed = self.0.registry.reseal_connection(&reseal, &caller.origin()).await?;
        if let Some(generation) = changed {
            self.announce(old.tenant, generation).await;
        }
        Ok(changed.is_some())
    }

    /// Opens every sealed record once, and with it every data key in use.
    pub async fn check_keys(&self, _caller: &Caller) -> Result<KeyReport, ControlFault> {
        let mut report = KeyReport::default();
        let mut keys = HashSet::new();
        let mut after = None;
        loop {
            let page = self.0.registry.sealed_connections(after.as_deref(), PAGE).await?;
            report.faults += page.damaged;
            for connection in page.connections {
                let place =
                    seal_place(connection.tenant, connection.record_id, connection.revision);
                match self.0.keyring.open(&place, &connection.sealed).await {
                    Ok(_) => {
                        report.records += 1;
                        keys.insert(connection.data_key);
                    }
                    Err(_) => report.faults += 1,
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        for server in self.0.registry.servers().await? {
            let Some((_, key)) = &server.sealed else { continue };
            match super::servers::record(self, &server).await {
                Ok(_) => {
                    report.records += 1;
                    keys.insert(*key);
                }
                Err(_) => report.faults += 1,
            }
        }
        report.data_keys = keys.len() as u64;
        report.unreferenced = self.unreferenced().await?.all;
        Ok(report)
    }
}

/// `kek-DATE`, with a number behind it when the day has seen one already.
fn free_id(day: &str, known: &[KekId]) -> KekId {
    let mut id = KekId(format!("kek-{day}"));
    let mut number = 2;
    while known.contains(&id) {
        id = KekId(format!("kek-{day}-{number}"));
        number += 1;
    }
    id
}
