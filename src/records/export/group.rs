//! A group's patients, or those an order names, in parts, so that a file of theirs can be taken up again in the middle.
//!
//! Which part a patient is in is told by her id alone: others who join or leave the group between two
//! connections move nobody.

use std::collections::{BTreeSet, HashSet};

use serde::Deserialize;

use super::file::TOO_LARGE;
use crate::fhir::primitive;
use crate::mapping::{Included, Includes};
use crate::records::Answer;
use crate::records::fault::RecordsFault;

/// Patients a group may have.
const MOST: usize = 100_000;
/// Patients of a part, on average.
const IN_A_PART: usize = 25;
/// Patients of a part asked about in one search at most. Only a group that has grown a hundredfold since
/// the order comes near it.
const IN_A_SEARCH: usize = 2500;

/// The patients who are active members of a group, part by part.
pub(super) struct Members {
    parts: Vec<Vec<String>>,
    all: HashSet<String>,
}

/// How many parts the patients of an order are read in. Whoever is named must be a member of the group, where
/// there is one.
pub(super) fn parts_of(
    group: Option<&Answer>,
    named: &BTreeSet<String>,
) -> Result<u32, RecordsFault> {
    let Some(group) = group else { return parts_for(named.len()).ok_or(TOO_LARGE) };
    let members = ids(group.body()).ok_or(TOO_LARGE)?;
    if !named.is_subset(&members) {
        return Err(RecordsFault::Request(
            "Some of the patients named are no members of this group.",
        ));
    }
    let asked = if named.is_empty() { members.len() } else { named.len() };
    parts_for(asked).ok_or(TOO_LARGE)
}

fn parts_for(members: usize) -> Option<u32> {
    let parts = u32::try_from(members.div_ceil(IN_A_PART)).ok()?;
    (members <= MOST).then(|| parts.max(1))
}

/// Which part a patient is in: FNV-1a, its bits mixed as MurmurHash3 ends, the same on every gateway and in
/// every version.
pub(super) fn part_of(id: &str, parts: u32) -> usize {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    let mix = |hash: u64, by: u64| (hash ^ (hash >> 33)).wrapping_mul(by);
    let mixed = mix(mix(hash, 0xff51_afd7_ed55_8ccd), 0xc4ce_b9fe_1a85_ec53);
    usize::try_from((mixed ^ (mixed >> 33)) % u64::from(parts.max(1))).unwrap_or(0)
}

/// What of a group is looked at. As a tree of everything in it a large one would be thirty times its text.
#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    member: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    #[serde(default)]
    entity: Entity,
    #[serde(default)]
    inactive: bool,
}

#[derive(Default, Deserialize)]
struct Entity {
    #[serde(default)]
    reference: Option<String>,
}

/// The ids of the patients who are active members of a group, each once.
fn ids(group: &[u8]) -> Option<BTreeSet<String>> {
    let group: Group = serde_json::from_slice(group).ok()?;
    let active = group.member.into_iter().filter(|member| !member.inactive);
    let ids = active.filter_map(|member| {
        let id = member.entity.reference?.strip_prefix("Patient/")?.to_owned();
        primitive::is_id(&id).then_some(id)
    });
    Some(ids.collect())
}

impl Members {
    /// The members of a group as it stands, of those who were named if anybody was, or those alone. `None` when
    /// the group has grown out of the order's parts, or does not read.
    pub(super) fn of(group: Option<&Answer>, named: Vec<String>, parts: u32) -> Option<Self> {
        let named: BTreeSet<String> = named.into_iter().collect();
        let Some(group) = group else { return Self::new(named, parts) };
        let mut members = ids(group.body())?;
        members.retain(|id| named.is_empty() || named.contains(id));
        Self::new(members, parts)
    }

    fn new(ids: BTreeSet<String>, parts: u32) -> Option<Self> {
        let count = usize::try_from(parts.max(1)).ok().filter(|count| *count <= MOST)?;
        let mut of = vec![Vec::new(); count];
        for id in &ids {
            of.get_mut(part_of(id, parts))?.push(id.clone());
        }
        let fits = of.iter().all(|part| part.len() <= IN_A_SEARCH);
        fits.then(|| Self { parts: of, all: ids.into_iter().collect() })
    }

    /// The parts from this one on, with their numbers; empty ones are passed by.
    pub(super) fn from(&self, part: usize) -> impl Iterator<Item = (usize, &[String])> {
        let all = self.parts.iter().enumerate().skip(part);
        all.filter(|(_, ids)| !ids.is_empty()).map(|(number, ids)| (number, ids.as_slice()))
    }

    /// The first part among whose patients somebody is that a resource refers to.
    pub(super) fn part(&self, resource: &[u8], by: &Includes, parts: u32) -> Option<usize> {
        let resource = serde_json::from_slice(resource).ok()?;
        let mut found: BTreeSet<Included> = BTreeSet::new();
        by.of(&resource, &mut found);
        let members = found.iter().filter(|(ty, id)| ty == "Patient" && self.all.contains(id));
        members.map(|(_, id)| part_of(id, parts)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_patients_are_members() {
        let group = r#"{"resourceType": "Group", "id": "1", "quantity": 6, "member": [
            {"entity": {"reference": "Patient/b", "display": "B"}, "inactive": false},
            {"entity": {"reference": "Patient/a"}, "period": {"start": "2020"}},
            {"entity": {"reference": "Patient/a"}},
            {"entity": {"reference": "Patient/gone"}, "inactive": true},
            {"entity": {"reference": "Practitioner/c"}}, {"entity": {"display": "?"}}, {}]}"#;
        let found = ids(group.as_bytes()).unwrap();
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(ids(br#"{"resourceType": "Group"}"#), Some(BTreeSet::new()));
        // What does not read is not a group of nobody.
        assert_eq!(ids(br#"{"member": "Patient/a"}"#), None);
    }

    #[test]
    fn each_is_in_one_part_and_stays_in_it_whoever_comes_or_goes() {
        let ids = |range: std::ops::Range<u32>| range.map(|n| n.to_string()).collect();
        let parts = parts_for(1000).unwrap();
        assert_eq!((parts, parts_for(0), parts_for(26)), (40, Some(1), Some(2)));
        assert_eq!(parts_for(MOST + 1), None);
        let all = Members::new(ids(0..1000), parts).unwrap();
        let flat: Vec<&String> = all.from(0).flat_map(|(_, ids)| ids).collect();
        assert_eq!(flat.len(), 1000);
        let most = all.from(0).map(|(_, ids)| ids.len()).max().unwrap();
        assert!(most < 80, "one part has {most}");
        let fewer = Members::new(ids(500..1000), parts).unwrap();
        for (part, ids) in fewer.from(0) {
            let whole = all.from(part).next().unwrap();
            assert_eq!(whole.0, part);
            assert!(ids.iter().all(|id| whole.1.contains(id)));
        }
        // What an address says must not make the gateway set up millions of parts.
        assert!(Members::new(ids(0..10), u32::MAX).is_none());
        assert!(Members::new(ids(0..4000), 1).is_none());
    }
}
