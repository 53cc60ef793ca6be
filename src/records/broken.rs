use super::fault::RecordsFault;
use crate::fhir::Issue;
use crate::mapping::Change;
use crate::store::{Breach, RuleKind};

/// A rule of the database that a change broke, in terms of the resource.
pub(super) fn broken(change: &Change, breach: &Breach) -> RecordsFault {
    let (code, message) = match breach.kind {
        RuleKind::Required => ("required", "The organisation's database demands this element."),
        RuleKind::Duplicate => ("duplicate", "The organisation's database has this already."),
        RuleKind::Reference => (
            "conflict",
            "The organisation's database has nothing to point to, or something that still points here.",
        ),
        RuleKind::Check => {
            ("business-rule", "A rule of the organisation's database does not allow it.")
        }
        RuleKind::Value => ("value", "The organisation's database cannot hold this value."),
    };
    let paths = change.elements(&breach.columns).into_iter();
    let issues = paths.map(|path| Issue::new(code, path, message)).collect();
    match breach.kind {
        RuleKind::Duplicate | RuleKind::Reference => RecordsFault::Collides(issues),
        _ => RecordsFault::Refused(issues),
    }
}
