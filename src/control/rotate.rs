//! A new password for a provisioned tenant: a new role with the same rights takes the old one's place, so
//! that there is no moment in which neither password is good.

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::connections::Prepared;
use super::operations::{Ended, Kind, Maintenance, OperationView, Running, Step, StepFault};
use super::provision;
use super::{Caller, Control, ControlFault};
use crate::base::{ConnectionRecord, ConnectionRevision, Engine, ServerRecord};
use crate::keyring::{SealPlace, Sealed, random_password};
use crate::pool::dial::DialClass;
use crate::registry::{NewOperation, Ownership, TenantState};
use crate::store::admin::{Names, seen_by_role};
use crate::tenant::seal_place;

pub(super) const STEPS: &[&str] = &[
    "make password",
    "make role",
    "try new role",
    "switch",
    "let gateways follow",
    "take old role away",
    "prove old password refused",
];
pub(super) const UNDO: &[&str] = &["take new role away"];
/// `switch`: from there on the new role is in use.
pub(super) const WAY_BACK_BEFORE: u64 = 3;

/// The record in force before, as the registry had it: sealed, bound to its place there.
#[derive(Serialize, Deserialize)]
struct Old {
    record_id: Uuid,
    revision: u64,
    sealed: String,
    role: u64,
}

impl Control {
    /// Orders a new password for a provisioned tenant.
    pub async fn rotate_password(
        &self,
        caller: &Caller,
        named: &str,
    ) -> Result<OperationView, ControlFault> {
        let tenant = self.find(named).await?;
        if tenant.ownership != Ownership::Provisioned {
            let text = "an attached hospital's passwords are its own: have one set there, then \
                        `tenant set-connection`";
            return Err(ControlFault::Conflict(text));
        }
        if !matches!(tenant.state, TenantState::Active | TenantState::Suspended) {
            return Err(ControlFault::Conflict("it is not served"));
        }
        let stored = self.0.registry.connection(tenant.id).await?;
        match stored.map(|stored| stored.engine) {
            None => return Err(ControlFault::Conflict("the tenant has no connection yet")),
            Some(Engine::Sqlite) => {
                return Err(ControlFault::Conflict("a SQLite file has no password"));
            }
            Some(_) => {}
        }
        let (kind, tenant_id) = (Kind::Rotate.as_str(), Some(tenant.id));
        let (subject, input) = (tenant.name.to_string(), json!({}));
        let new = NewOperation { kind, parent: None, tenant: tenant_id, subject, input };
        self.order(caller, &new).await
    }
}

/// Where the new record waits between the steps.
const fn waiting(operation: Uuid, tenant: crate::base::TenantId) -> SealPlace {
    SealPlace {
        purpose: "operation's secret",
        table: "operations",
        column: "secret",
        record_id: operation,
        tenant,
        revision: ConnectionRevision(1),
    }
}

pub(super) async fn carry_out(step: &'static str, at: &mut Running<'_>) -> Step {
    let place = Maintenance::of(at).await?;
    match step {
        "make password" => make_password(at, &place).await,
        "make role" => make_role(at, &place).await,
        "try new role" => try_new(at, &place).await,
        "switch" => switch(at, &place).await,
        // Until then others may still open connections as the old role.
        "let gateways follow" => Ok(at.followed("switched_at")),
        "take old role away" => take_away(&place, old(at)?.role).await,
        "prove old password refused" => prove(at, &place).await,
        "take new role away" => match at.noted::<Old>("old") {
            // Nothing was made yet.
            None => Ok(Ended::Done(None)),
            Some(old) => take_away(&place, old.role + 1).await,
        },
        _ => Err(StepFault::defect("there is no such step")),
    }
}

fn old(at: &Running<'_>) -> Result<Old, StepFault> {
    at.noted("old").ok_or_else(|| StepFault::defect("an earlier step's notes are gone"))
}

async fn make_password(at: &mut Running<'_>, place: &Maintenance<'_>) -> Step {
    let (registry, keyring) = (&at.control.0.registry, &at.control.0.keyring);
    let stored = registry.connection(place.tenant).await?;
    let none = || StepFault::lasting("no_connection", "the tenant has no connection");
    let stored = stored.ok_or_else(none)?;
    let (_, names) = place.own().await?;
    let role = names.number();
    // MySQL's names of roles have room for four digits.
    if role >= 9_999 {
        return Err(StepFault::lasting("exhausted", "the numbers of its roles are used up"));
    }
    let next = Names::of(place.tenant, role + 1);
    if at.operation().secret.is_none() {
        let record = provision::record_on(at, place, &next, random_password()?).await?;
        let waiting = waiting(at.operation().id, place.tenant);
        let sealed = keyring.seal(&waiting, stored.data_key, &record).await?;
        let kept = registry.keep_secret(at.operation(), Some((&sealed, stored.data_key))).await?;
        if !kept {
            return Err(StepFault::passing("lost", "another gateway has taken this up"));
        }
    }
    let sealed = stored.sealed.as_str().to_owned();
    let (record_id, revision) = (stored.record_id, stored.revision.0);
    at.note("old", Old { record_id, revision, sealed, role });
    Ok(Ended::with(format!("for the role {}", next.role())))
}

/// The new record, from where it waits.
async fn new_record(
    at: &Running<'_>,
    place: &Maintenance<'_>,
) -> Result<(ConnectionRecord, Names), StepFault> {
    let gone = || StepFault::defect("the new password is gone");
    let sealed = at.operation().secret.as_ref().ok_or_else(gone)?;
    let waiting = waiting(at.operation().id, place.tenant);
    let names = Names::of(place.tenant, old(at)?.role + 1);
    Ok(match at.control.0.keyring.open(&waiting, sealed).await? {
        // Where the server is now: it may have moved since the password was made, and who answers at the old place
        // must not be taken for it.
        ConnectionRecord::Server(waiting) => {
            (provision::record_on(at, place, &names, waiting.password).await?, names)
        }
        file @ ConnectionRecord::Sqlite(_) => (file, names),
    })
}

async fn make_role(at: &Running<'_>, place: &Maintenance<'_>) -> Step {
    let (record, names) = new_record(at, place).await?;
    let ConnectionRecord::Server(new) = &record else {
        return Err(StepFault::defect("a file has no role"));
    };
    let mut admin = place.server().await?;
    let made = admin.make_role(&names, &new.password).await;
    admin.close().await;
    made?;
    let mut database = place.database(&names).await?;
    let granted = database.grant(&names).await;
    database.close().await;
    granted?;
    Ok(Ended::with(names.role()))
}

async fn try_new(at: &Running<'_>, place: &Maintenance<'_>) -> Step {
    let (record, names) = new_record(at, place).await?;
    let mut own = place.open(&record).await?;
    let looked = async {
        if own.owner().await? != Some(place.tenant) {
            return Err(StepFault::lasting("isolation", "the database is not this tenant's"));
        }
        Ok(seen_by_role(&mut own, &names).await?)
    }
    .await;
    own.close().await;
    match looked?.faults.first() {
        None => Ok(Ended::with("logged in, in its own database, without other rights")),
        Some(fault) => Err(StepFault::lasting("isolation", fault.clone())),
    }
}

async fn switch(at: &mut Running<'_>, place: &Maintenance<'_>) -> Step {
    let (record, names) = new_record(at, place).await?;
    let (_, present) = place.own().await?;
    if present != names {
        let own = place.open(&record).await?;
        let identity = Some(own.opened().identity.clone());
        own.close().await;
        let revision = place.next_revision().await?;
        let prepared = Prepared { record, identity };
        let connection = at.control.seal(place.tenant, revision, prepared).await?;
        let (registry, origin) = (&at.control.0.registry, at.order.origin());
        let now = registry.put_connection(place.tenant, None, &connection, &origin).await?;
        at.control.announce(place.tenant, now).await;
    }
    at.note("switched_at", at.control.0.clock.now());
    Ok(Ended::with("new lanes log in as the new role"))
}

async fn take_away(place: &Maintenance<'_>, role: u64) -> Step {
    let names = Names::of(place.tenant, role);
    let (_, present) = place.own().await?;
    if present == names {
        return Err(StepFault::lasting("conflict", "that role is the one in use"));
    }
    let mut database = place.database(&names).await?;
    let revoked = database.drop_grants(&names).await;
    database.close().await;
    revoked?;
    let mut admin = place.server().await?;
    let dropped = admin.drop_role(&names).await;
    admin.close().await;
    dropped?;
    Ok(Ended::with(names.role()))
}

async fn prove(at: &mut Running<'_>, place: &Maintenance<'_>) -> Step {
    let old = old(at)?;
    let seal = seal_place(place.tenant, old.record_id, ConnectionRevision(old.revision));
    let mut record = at.control.0.keyring.open(&seal, &Sealed::from_stored(old.sealed)).await?;
    // Where the server is now: it may have moved since the old record was sealed.
    let (present, _) = new_record(at, place).await?;
    if let (ConnectionRecord::Server(before), ConnectionRecord::Server(now)) =
        (&mut record, present)
    {
        let (user, password) = (before.user.clone(), before.password.clone());
        *before = ServerRecord { user, password, ..now };
    }
    match at
        .control
        .dial(crate::base::Deadline::after(std::time::Duration::from_secs(5)), &record)
        .await
    {
        Err(fault) if fault.class() == DialClass::Auth => {}
        Err(fault) => return Err(fault.into()),
        Ok(_) => {
            return Err(StepFault::lasting(
                "old_password",
                "the old password still opens the database",
            ));
        }
    }
    let names = Names::of(place.tenant, old.role + 1);
    at.result = json!({"role": names.role(), "old_refused": true});
    Ok(Ended::with("the old password was tried and refused"))
}
