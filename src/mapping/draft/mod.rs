//! A first mapping, proposed from a database's own catalogue and the first rows of its tables.
//!
//! [`asks`] says which tables to look into, the caller fetches those rows, [`draft`] writes the document:
//! every guess with its reason and how sure it is, what is unsure commented out, what is left over listed.
//! What is written was compiled: whatever the compiler refused is commented out with its words.
//!
//! To teach it a word, add it to the vocabulary in [`words`]; to teach it an element, add it to its type in
//! [`clinical`], [`observation`] or [`people`].

mod attributes;
mod children;
mod clinical;
mod coded;
mod ends;
mod entry;
mod hints;
mod links;
mod looks;
mod maker;
mod numbers;
mod observation;
mod people;
mod recognise;
mod sample;
mod settle;
mod states;
mod visits;
mod words;

#[cfg(test)]
mod eav_tests;
#[cfg(test)]
mod kin_tests;
#[cfg(test)]
mod number_tests;
#[cfg(test)]
mod strange_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod told_tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use sample::Sampled;

use self::entry::{CodeLines, Entry, comment};
use self::maker::Maker;
use self::recognise::{Found, Recognised, recognise};
use super::catalog::{Catalog, SqlType, Table};
use super::plan::{ColumnRef, Predicate, Relation, Select};
use crate::base::Engine;

/// Most tables that are looked into.
const MOST_TABLES: usize = 80;
/// Rows of each that are looked at.
const ROWS: u32 = 1000;
/// Most columns of one table that are looked at.
const MOST_COLUMNS: usize = 120;

/// Rows that a draft wants to look at.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The table's place in the catalogue.
    pub table: usize,
    /// The columns, as [`Sampled`] wants them named.
    pub columns: Vec<String>,
    /// What to fetch.
    pub select: Select,
}

/// A proposed mapping.
#[derive(Debug, Clone)]
pub struct Draft {
    /// YAML with comments.
    pub text: String,
    /// The types that stand in it, each with its table.
    pub mapped: Vec<(String, String)>,
    /// Tables recognised that are commented out, with the reason.
    pub switched_off: Vec<(String, String)>,
    /// How many tables nothing was made of.
    pub unrecognised: usize,
}

/// The rows to look at: of tables that look like resources, and of those that lead to or from them.
pub fn asks(catalog: &Catalog) -> Vec<Ask> {
    let catalog = &*own(catalog);
    let all = recognise(catalog);
    let mut tables: Vec<usize> = all.found.iter().map(|found| found.table).collect();
    let near: Vec<usize> = tables
        .iter()
        .flat_map(|t| all.graph.links.get(*t).into_iter().flatten().map(|link| link.table))
        .collect();
    // A code may stand two tables further on.
    let onward = |from: &usize| {
        std::iter::successors(Some(*from), |n| all.graph.onward(*n).map(|l| l.table)).take(3)
    };
    let near: Vec<usize> = near.iter().flat_map(onward).collect();
    let held = |f: &Found| recognise::holder(&all.graph, f.table).map(|link| link.table);
    let people = all.found.iter().filter(|f| matches!(f.ty, "Patient" | "Practitioner"));
    let people: Vec<usize> = all.patients.into_iter().chain(people.filter_map(held)).collect();
    let of_attributes = attributes::attributes(catalog);
    let things: Vec<usize> = of_attributes.iter().map(|a| a.entity.table).chain(people).collect();
    let hang = (0..catalog.tables.len())
        .filter(|n| things.iter().any(|p| all.graph.between(*n, *p).next().is_some()));
    let near = near.into_iter().chain(attributes::near(&of_attributes));
    for table in near.chain(hang) {
        if !tables.contains(&table) {
            tables.push(table);
        }
    }
    tables.truncate(MOST_TABLES);
    tables.into_iter().filter_map(|n| Some(ask(catalog, n, catalog.tables.get(n)?))).collect()
}

/// The catalogue of the database that was given. On MySQL a login may see others, another hospital's perhaps: their
/// tables keep their places and lose their columns, so that nothing is made of them.
fn own(catalog: &Catalog) -> Cow<'_, Catalog> {
    let ours = |table: &Table| table.schema == catalog.default_schema;
    if catalog.engine != Engine::MySql || !catalog.tables.iter().any(ours) {
        return Cow::Borrowed(catalog);
    }
    let mut own = catalog.clone();
    for table in own.tables.iter_mut().filter(|table| table.schema != catalog.default_schema) {
        *table = Table { columns: Vec::new(), foreign_keys: Vec::new(), ..table.clone() };
    }
    Cow::Owned(own)
}

fn ask(catalog: &Catalog, number: usize, table: &Table) -> Ask {
    let held = |ty: SqlType| !matches!(ty, SqlType::Binary | SqlType::Json | SqlType::Other);
    let secret = |name: &str| super::compile::is_credential(name);
    let columns =
        table.columns.iter().filter(|c| held(c.ty) && !secret(&c.name)).take(MOST_COLUMNS);
    let refs: Vec<ColumnRef> = columns.map(|c| c.of_relation(0)).collect();
    let schema = catalog.written_schema(table);
    Ask {
        table: number,
        columns: refs.iter().map(|c| c.name.clone()).collect(),
        select: Select {
            from: Arc::new(Relation::Table { schema, name: table.name.clone() }),
            joins: Arc::default(),
            columns: refs.into(),
            filter: Predicate::Always,
            order: Vec::new(),
            after: None,
            limit: Some(ROWS),
        },
    }
}

/// Writes the draft. `samples` are the rows of [`asks`], by the table's place in the catalogue; a table that
/// could not be read is simply not there.
pub fn draft(catalog: &Catalog, samples: &BTreeMap<usize, Sampled>) -> Draft {
    let catalog = &*own(catalog);
    let widened = attributes::spread(catalog, samples);
    let all = recognise(&widened.catalog);
    let (mut entries, mut codes) = (Vec::new(), Vec::new());
    for found in &all.found {
        let (mut entry, own) = make(&all, &widened.samples, found);
        widened.hang(&mut entry, &all, found);
        entries.push(entry);
        add_codes(&mut codes, entries.last_mut(), own);
    }
    settle::settle(catalog, &mut entries, &mut codes);
    let others = leftovers(&all, catalog, &entries);
    let text = settle::text(catalog, &entries, &codes, &others.0);
    let mapped = entries.iter().filter(|e| e.off.is_none());
    let off = entries.iter().filter_map(|e| Some((e.table.clone(), e.off.clone()?)));
    Draft {
        text,
        mapped: mapped.map(|e| (e.ty.to_owned(), e.table.clone())).collect(),
        switched_off: off.collect(),
        unrecognised: others.1,
    }
}

/// Code maps have one name space: a second one of a name gets the table's name behind it.
fn add_codes(codes: &mut Vec<CodeLines>, entry: Option<&mut Entry>, own: Vec<CodeLines>) {
    let Some(entry) = entry else { return };
    for mut map in own {
        let same = |known: &&CodeLines| {
            known.name == map.name
                && known.entries == map.entries
                && known.otherwise == map.otherwise
        };
        if codes.iter().any(|known| same(&known)) {
            continue;
        }
        if codes.iter().any(|known| known.name == map.name) {
            let table: String =
                entry.table.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
            let name = format!("{}_{table}", map.name);
            let (from, to) = (format!("code({})", map.name), format!("code({name})"));
            for line in entry.parts.iter_mut().flat_map(|p| &mut p.lines) {
                *line = line.replace(&from, &to);
            }
            map.name = name;
            if codes.iter().any(|known| known.name == map.name) {
                continue;
            }
        }
        codes.push(map);
    }
}

fn make(
    all: &Recognised<'_>,
    samples: &BTreeMap<usize, Sampled>,
    found: &Found,
) -> (Entry, Vec<CodeLines>) {
    let mut maker = Maker::new(all, samples, found);
    let table = all.graph.table(found.table);
    let (mut filter, mut filtered) = maker.standing(false);
    if let Some((column, asked, said)) = maker.of_its_kind() {
        filter.push((column, asked));
        filtered.push_str(&said);
    }
    maker.make();
    modified(&mut maker);
    let same = all.found.iter().filter(|f| f.ty == found.ty).count() > 1;
    let name = table.map(|t| t.name.clone()).unwrap_or_default();
    let cases = if found.ty == "Observation" {
        table.map(observation::cases).unwrap_or_default()
    } else {
        Vec::new()
    };
    if let Some(table) = table.filter(|_| !cases.is_empty()) {
        let (asked, said) = observation::measured(table, samples.get(&found.table));
        filter.push(("$case.column".to_owned(), asked));
        filtered.push_str(&said);
    }
    let key = all.graph.key(found.table).map(<[String]>::to_vec).unwrap_or_default();
    let off = key.is_empty().then(|| table.map_or_else(String::new, looks::no_key));
    if same && off.is_none() {
        filtered.push_str("; ids begin with the table's name, for several tables give this type");
    }
    let mut id = id(&name, &key, same, !cases.is_empty(), found.table, all);
    if let Some(said) = table.and_then(|t| looks::no_ids(t, &key, samples.get(&found.table)?)) {
        id.push_str(" | escape");
        filtered.push_str(&said);
    }
    let rows = table.and_then(|t| t.estimated_rows);
    let rows = rows.map_or(String::new(), |n| format!(", about {n} rows"));
    let head = vec![format!(
        "{} from '{name}'{rows}: {}, {}{filtered}",
        found.ty,
        found.sure.word(),
        found.why
    )];
    let left = left(&maker);
    let entry = Entry {
        id,
        name,
        ty: found.ty,
        table: table.map(|t| t.name.clone()).unwrap_or_default(),
        schema: table.and_then(|t| maker.schema(t)),
        filter,
        joins: std::mem::take(&mut maker.joins),
        key,
        cases,
        parts: std::mem::take(&mut maker.parts),
        head,
        left,
        off: off.or_else(|| {
            (found.sure == recognise::Sure::Guess).then(|| "a guess; look at it first".to_owned())
        }),
    };
    (entry, maker.codes)
}

/// `last_updated` from a column that says when a row was changed.
fn modified(maker: &mut Maker<'_, '_>) {
    let all = maker.all(words::concept::MODIFIED);
    let found = all.iter().find_map(|c| {
        let (leaf, sure, why) = maker.date(c, true)?;
        let timed = !matches!(c.column.ty, SqlType::Date)
            && !leaf.contains("| date(")
            && !leaf.ends_with("| date");
        timed.then_some((*c, leaf, sure, why))
    });
    let Some((col, leaf, sure, why)) = found else { return };
    maker.mark(&col);
    let lines = vec![format!("last_updated: {}", entry::quoted(&leaf))];
    maker.part("last_updated", lines, sure, why);
    if let Some(part) = maker.parts.last_mut() {
        part.beside = true;
    }
}

fn id(
    name: &str,
    key: &[String],
    several: bool,
    cases: bool,
    table: usize,
    all: &Recognised<'_>,
) -> String {
    let column = |c: &String| {
        let bare = c.chars().all(|c| c.is_alphanumeric() || c == '_');
        if bare { format!("${c}") } else { format!("${{{c}}}") }
    };
    let columns: Vec<String> = key.iter().map(column).collect();
    let mut prefix: String = fold_name(name);
    let clash = all
        .found
        .iter()
        .filter(|f| f.table < table)
        .any(|f| all.graph.table(f.table).is_some_and(|t| fold_name(&t.name) == prefix));
    if clash {
        prefix = format!("{prefix}{table}");
    }
    match (several, cases) {
        (_, true) => format!("$case-{}", columns.join("-")),
        (true, false) => format!("{prefix}-{}", columns.join("-")),
        (false, false) => columns.join("-"),
    }
}

/// A table's name as an id may begin with.
fn fold_name(name: &str) -> String {
    let folded = super::fold::fold(name);
    // A dot, because what follows the name begins with a hyphen: no table's ids begin with another's.
    folded.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '.' }).take(24).collect()
}

/// Columns nothing was made of, with what was seen of those that hold few values.
fn left(maker: &Maker<'_, '_>) -> Vec<String> {
    let mut lines = Vec::new();
    for col in maker.unused() {
        let few = maker
            .sample(&col)
            .map(|s| s.distinct(col.name()).len())
            .filter(|n| (1..=12).contains(n));
        let sample = maker.sample(&col).filter(|s| s.saw(col.name()));
        let empty = sample.is_some_and(|s| s.cells(col.name()).next().is_none());
        let seen = match few {
            _ if empty => ": empty in all rows seen".to_owned(),
            Some(_) if !maker.links(&col) => format!(": {}", maker.values(&col)),
            _ => String::new(),
        };
        let told =
            hints::told(col.column).map_or(String::new(), |told| format!("; comment: {told}"));
        lines.push(format!("  {} {}{seen}{told}", col.leaf(), col.column.declared));
    }
    if !lines.is_empty() {
        lines.insert(0, "Not mapped:".to_owned());
    }
    lines
}

/// The tables nothing was made of, and how many there are.
fn leftovers(all: &Recognised<'_>, catalog: &Catalog, entries: &[Entry]) -> (Vec<String>, usize) {
    let mut lines: Vec<String> = all
        .doubtful
        .iter()
        .filter_map(|(n, why)| Some(format!("  {}: {why}", catalog.tables.get(*n)?.name)))
        .collect();
    let hangs = |table: &Table| {
        let each = format!("table: {},", entry::plain(&table.name));
        entries.iter().any(|e| e.uses(&each) || e.joins.iter().any(|j| j.table == table.name))
    };
    let used = |n: usize| {
        catalog.tables.get(n).is_some_and(|t| t.columns.is_empty())
            || all.entry(n).is_some()
            || catalog.tables.get(n).is_some_and(&hangs)
            || all.doubtful.iter().any(|(d, _)| *d == n)
            || all.found.iter().any(|f| all.graph.parent(f.table).is_some_and(|l| l.table == n))
    };
    let mut rest: Vec<&Table> =
        catalog.tables.iter().enumerate().filter(|(n, _)| !used(*n)).map(|(_, t)| t).collect();
    rest.sort_by_key(|t| std::cmp::Reverse(t.estimated_rows.unwrap_or(0)));
    let number = rest.len() + lines.len();
    let listed = rest.iter().take(200).map(|t| {
        let rows = t.estimated_rows.map_or(String::new(), |n| format!(", about {n} rows"));
        format!("  {} ({} columns{rows})", t.name, t.columns.len())
    });
    lines.extend(listed);
    let far = catalog.tables.iter().filter(|t| t.columns.is_empty());
    let far: BTreeSet<&str> = far.filter_map(|t| t.schema.as_deref()).collect();
    if !far.is_empty() {
        let names: Vec<&str> = far.into_iter().take(20).collect();
        lines.push(format!(
            "  and those of other databases that this login sees ({}), which were not looked into: `from: {{table: …, schema: …}}` maps one",
            names.join(", ")
        ));
    }
    if rest.len() > 200 {
        lines.push(format!("  and {} more", rest.len() - 200));
    }
    let lines = lines.iter().map(|line| comment(line)).collect();
    (lines, number)
}
