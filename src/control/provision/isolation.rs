//! The proof that a new tenant's role sees nothing of any other tenant, and nobody else anything of it.
//! Asked of the server, and tried.

use crate::base::{ConnectionRecord, Engine};
use crate::control::operations::{Ended, Maintenance, Running, Step, StepFault};
use crate::pool::dial::DialClass;
use crate::store::admin::{Admin, readable_tables, seen_by_others, seen_by_role};
use crate::tenant::seal_place;

/// Other tenants on the same server whose roles are tried; the server is asked about all.
const TRIED: usize = 3;
/// Other databases a role may enter whose tables are looked at.
const LOOKED_AT: usize = 50;

/// How a database answers that is not there, or not for this role.
const CLOSED: [&str; 2] = [DialClass::NoSuchDatabase.as_str(), DialClass::Auth.as_str()];

fn breach(what: impl Into<String>) -> StepFault {
    StepFault::lasting("isolation", what)
        .hint("the tenant stays a draft; mend the server's rights, then retry or cancel")
}

pub(super) async fn prove(at: &Running<'_>, place: &Maintenance<'_>) -> Step {
    let (record, names) = place.own().await?;
    let mut own = place.open(&record).await?;
    let looked = async {
        if own.owner().await? != Some(place.tenant) {
            return Err(breach("the database is not marked as this tenant's"));
        }
        if place.server.engine != Engine::Sqlite && own.can_change_schema().await? {
            return Err(breach("the role may change the schema"));
        }
        Ok(seen_by_role(&mut own, &names).await?)
    }
    .await;
    let identity = own.opened().identity.clone();
    own.close().await;
    let sees = looked?;
    refuse(&sees.faults)?;
    let ConnectionRecord::Server(server) = &record else {
        return alone(at, place, &identity.system).await;
    };
    for database in sees.enters.iter().take(LOOKED_AT) {
        let there = crate::base::ServerRecord { database: database.clone(), ..server.clone() };
        let mut there = match place.open(&ConnectionRecord::Server(there)).await {
            // Since it was listed somebody dropped it, or closed it: one that is just being made is open to all
            // for a moment. Either way there is nothing in it to read. The role and its password are good: they
            // opened its own.
            Err(fault) if CLOSED.contains(&fault.code()) => continue,
            opened => opened?,
        };
        let readable = readable_tables(&mut there).await;
        there.close().await;
        if readable? > 0 {
            return Err(breach("the role can read tables of another database of the server"));
        }
    }
    let mut admin = place.server().await?;
    let others = seen_by_others(&mut admin, &names).await;
    admin.close().await;
    refuse(&others?.faults)?;
    let tried = try_others(at, place, &record).await?;
    Ok(Ended::with(format!(
        "no right beyond its own database; {} other databases hold nothing it can read; \
         {tried} other tenants tried in both directions and refused",
        sees.enters.len().min(LOOKED_AT)
    )))
}

fn refuse(faults: &[String]) -> Result<(), StepFault> {
    match faults.first() {
        None => Ok(()),
        Some(first) => Err(breach(first.clone())),
    }
}

/// A file is no other tenant's.
async fn alone(at: &Running<'_>, place: &Maintenance<'_>, file: &str) -> Step {
    let mut after: Option<String> = None;
    loop {
        let page = at.control.0.registry.sealed_connections(after.as_deref(), 200).await?;
        let same = page.connections.iter().any(|other| {
            other.tenant != place.tenant
                && other.engine == Engine::Sqlite
                && other.identity.as_ref().is_some_and(|identity| identity.system == file)
        });
        if same {
            return Err(breach("another tenant's connection is to the same file"));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(Ended::with("no other tenant's connection is to this file"))
}

/// Tries to enter others' databases as the new role, and the new database as others.
async fn try_others(
    at: &Running<'_>,
    place: &Maintenance<'_>,
    own: &ConnectionRecord,
) -> Result<usize, StepFault> {
    let ConnectionRecord::Server(own) = own else { return Ok(0) };
    let all = at.control.0.registry.schemas(None).await?;
    let others = all.iter().filter(|s| s.server == place.server.id && s.tenant != place.tenant);
    let mut tried = 0;
    for other in others.take(TRIED) {
        let Some(stored) = at.control.0.registry.connection(other.tenant).await? else { continue };
        let at_place = seal_place(other.tenant, stored.record_id, stored.revision);
        let record = at.control.0.keyring.open(&at_place, &stored.sealed).await?;
        let ConnectionRecord::Server(theirs) = record else { continue };
        let mut to_theirs = own.clone();
        to_theirs.database.clone_from(&theirs.database);
        let mut to_ours = theirs;
        to_ours.database.clone_from(&own.database);
        for (record, who) in [
            (to_theirs, "the role enters another tenant's"),
            (to_ours, "another tenant enters the new"),
        ] {
            if let Ok(opened) = place.open(&ConnectionRecord::Server(record)).await {
                Admin::close(opened).await;
                return Err(breach(format!("{who} database")));
            }
        }
        tried += 1;
    }
    Ok(tried)
}
