//! What is read as one thing and was most likely meant as another.

use crate::fhir::primitive;
use crate::mapping::catalog::SqlType;
use crate::mapping::lens::{Slot, Step, typed};

use super::leaf::Wanted;
use super::scope::Scope;
use super::transforms::Wrong;
use super::{Builder, Compiler};

/// A constant that is a column's name, and where it stands.
pub(super) struct Namesake {
    pub column: String,
    pub at: String,
    pub path: String,
}

/// Whether an element is the `reference` of a reference.
fn is_link(wanted: &Wanted<'_>) -> bool {
    wanted.ty == "string" && wanted.path.ends_with(".reference")
}

/// Whether a text is a reference as FHIR writes them: `Patient/12`, a URL, `#part`.
fn is_reference(text: &str, known: impl Fn(&str) -> bool) -> bool {
    let local = text.split_once("/_history/").map_or(text, |(before, _)| before);
    let named = local.split_once('/').is_some_and(|(ty, id)| known(ty) && primitive::is_id(id));
    let whole = text.contains("://") || text.starts_with("urn:");
    named || text.starts_with('#') || whole && primitive::is_uri(text)
}

/// The names that `$name`, `${name}`, `{name}` and `{{ name }}` in a text would be of.
fn mentioned(text: &str) -> impl Iterator<Item = &str> {
    let marks = text.char_indices().filter(|(_, c)| matches!(c, '$' | '{'));
    marks.filter_map(move |(at, mark)| {
        let rest = text.get(at + mark.len_utf8()..)?.trim_start_matches('{');
        let rest = if mark == '{' { rest.trim_start() } else { rest };
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        rest.get(..end).filter(|name| !name.is_empty())
    })
}

/// A column whose bare value is put where a reference stands.
pub(super) fn bare_reference(wanted: &Wanted<'_>, slots: &[Slot], steps: &[Step]) -> Option<Wrong> {
    let bare = steps.iter().all(|step| matches!(step, Step::NullIf(_) | Step::Trim));
    let slot = slots.first().filter(|_| is_link(wanted) && bare)?;
    if typed::is_text(slot.column.ty) || slot.column.ty == SqlType::Other {
        return None;
    }
    let message = format!("{} is a reference; the value of a key alone is none.", wanted.path);
    let ty = wanted.targets.first().copied().unwrap_or("Patient");
    let hint = format!("Write `\"${} | ref({ty})\"`, with the type it leads to.", slot.column.name);
    Some(("reference", message, hint))
}

impl<'c> Compiler<'c> {
    /// Looks at a constant that is one by its form.
    pub(super) fn doubt(
        &mut self,
        b: &mut Builder,
        scope: &Scope<'c>,
        wanted: &Wanted<'_>,
        text: &str,
        at: &str,
    ) {
        let column = |name: &str| {
            let of = |(_, table): &(String, &crate::mapping::catalog::Table)| {
                table.column(name).is_some()
            };
            scope.relations.iter().any(of)
        };
        let named = mentioned(text).find(|name| column(name));
        let types = |ty: &str| self.elements.resource(ty).is_some();
        if is_link(wanted) && !is_reference(text, types) {
            let ty = wanted.targets.first().copied().unwrap_or("Patient");
            let hint = format!(
                "Write `\"${} | ref({ty})\"`, with the type it leads to.",
                named.unwrap_or("column")
            );
            let message =
                format!("'{text}' stands in every row as it is here, and is no reference.");
            // A constant is at worst no reference; a mapping that was published with it goes on serving.
            self.problems.warn(at, "reference", message, hint);
            return;
        }
        if let Some(name) = named {
            let message =
                format!("'{text}' is a constant: only what begins with `$` is taken from columns.");
            let hint = format!(
                "Write `\"${name}\"`; a text before it is `| prefix('…')`, several columns are `\"$a, $b | join(' ')\"`."
            );
            self.problems.warn(at, "constant", message, hint);
        } else if text.get(..7).is_some_and(|head| head.eq_ignore_ascii_case("select ")) {
            let message = "This is a constant: SQL is not run here.";
            let hint = "Join the table (`join:`), list its rows (`each:`), or name the SELECT under `sources:`.";
            self.problems.warn(at, "constant", message, hint);
        } else if wanted.codes.is_none() && scope.level == 0 && column(text) {
            let (column, at, path) = (text.to_owned(), at.to_owned(), wanted.path.to_owned());
            b.namesakes.push(Namesake { column, at, path });
        }
        if wanted.ty == "uri" && wanted.path.ends_with(".system") {
            self.doubt_system(text, at);
        }
    }

    /// Codes and identifiers are of a system by its whole URI; validators refuse another.
    pub(super) fn doubt_system(&mut self, text: &str, at: &str) {
        if !text.contains(':') {
            let message = format!("'{text}' is no whole URI, which validators demand of a system.");
            let hint = "Write one that nobody else has, such as \"urn:oid:2.16.…\" or \"https://hospital.example/ids/record\".";
            self.problems.warn(at, "system", message, hint);
        }
    }

    /// Constants that are the names of columns which nothing else reads.
    pub(super) fn doubt_namesakes(&mut self, b: &Builder, scope: &Scope<'c>) {
        for Namesake { column, at, path } in &b.namesakes {
            if scope.columns.iter().any(|read| read.name.eq_ignore_ascii_case(column)) {
                continue;
            }
            let message =
                format!("{path} is the text '{column}' in every row; a column has that name.");
            self.problems.warn(
                at,
                "constant",
                message,
                format!("Write `\"${column}\"` for what stands in it."),
            );
        }
    }
}
