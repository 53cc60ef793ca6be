use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use super::line::{Header, Parsed};
use super::segment::{self, Lines, Read};
use super::{AuditFault, AuditPlace, verify};
use crate::base::{TenantId, Timestamp};
use serde_json::Value;

/// A page of a tenant's events, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct LogPage {
    /// The events as the chains hold them, without their hashes.
    pub events: Vec<Value>,
    /// Where the next page begins; nothing on the last one. Names instances and numbers of events.
    pub next: Option<String>,
}

/// An event with its time and number.
type Dated = (Timestamp, u64, Value);

impl AuditPlace {
    /// A tenant's events across the gateway's instances, newest first, at most `limit`. `cursor` is
    /// [`LogPage::next`] of the page before; gives back `None` when it is not one. Events that came
    /// after the first page was read are on none of its next ones. Blocking; reads a segment or two of
    /// each instance.
    pub fn newest(
        &self,
        tenant: TenantId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Option<LogPage>, AuditFault> {
        let bounds = match cursor.map(parse) {
            None => None,
            Some(None) => return Ok(None),
            Some(bounds) => bounds,
        };
        let mut chains: Vec<(String, VecDeque<Dated>, u64)> = Vec::new();
        for instance in verify::instances(self, tenant)? {
            let bound =
                bounds.as_ref().map_or(u64::MAX, |b| b.get(&instance).copied().unwrap_or(0));
            let folder = segment::chain_folder(&self.dir, tenant, &instance);
            let found = tail(&folder, tenant, bound, limit + 1).map_err(AuditFault::io(&folder))?;
            let bound = found.front().map_or(0, |(_, n, _)| n + 1);
            chains.push((instance, found, bound));
        }
        let mut events = Vec::new();
        while events.len() < limit {
            let heads = chains.iter_mut().filter(|(_, found, _)| !found.is_empty());
            let newest =
                heads.max_by_key(|(_, found, _)| found.front().map(|(at, n, _)| (*at, *n)));
            let Some((_, found, bound)) = newest else { break };
            let Some((_, n, event)) = found.pop_front() else { break };
            *bound = n;
            events.push(event);
        }
        let more = chains.iter().any(|(_, found, _)| !found.is_empty());
        let next = more.then(|| {
            let places = chains.iter().map(|(instance, _, bound)| format!("{instance}:{bound}"));
            places.collect::<Vec<_>>().join(",")
        });
        Ok(Some(LogPage { events, next }))
    }
}

fn parse(cursor: &str) -> Option<BTreeMap<String, u64>> {
    let place = |part: &str| {
        let (instance, n) = part.split_once(':')?;
        Some((instance.to_owned(), n.parse().ok()?))
    };
    cursor.split(',').map(place).collect()
}

/// The last events of a chain numbered below `bound`, the last one first.
fn tail(
    folder: &Path,
    tenant: TenantId,
    bound: u64,
    limit: usize,
) -> std::io::Result<VecDeque<Dated>> {
    let mut found = VecDeque::new();
    for number in segment::segments(folder)?.into_iter().rev() {
        if found.len() >= limit {
            break;
        }
        let mut lines = match Lines::open(&segment::segment_path(folder, number)) {
            Ok(lines) => lines,
            // Retention took it in this moment, and all before it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        let begins = match lines.next()? {
            Read::Whole(line) => Header::parse(&line).map_or(0, |(after, _)| after),
            _ => 0,
        };
        if begins.saturating_add(1) >= bound {
            continue;
        }
        let mut of_segment: VecDeque<Dated> = VecDeque::new();
        loop {
            match lines.next()? {
                Read::Whole(line) => {
                    let Some(event) = Parsed::parse(&line) else { continue };
                    let ours = event.facts.tenant == *tenant.as_uuid() && event.facts.n < bound;
                    let value = ours.then(|| serde_json::from_slice(&event.canonical).ok());
                    if let Some(Some(value)) = value {
                        of_segment.push_front((event.facts.at, event.facts.n, value));
                        of_segment.truncate(limit - found.len());
                    }
                }
                Read::TooLong => {}
                Read::Torn(_) | Read::End => break,
            }
        }
        found.extend(of_segment);
    }
    Ok(found)
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_cursor_is_one_of_ours_or_none() {
        assert_eq!(parse("a:1,b-2:9"), Some([("a".to_owned(), 1), ("b-2".to_owned(), 9)].into()));
        for bad in ["", "a", "a:", "a:x", "a:1,", "a:-1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
