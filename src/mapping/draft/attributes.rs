//! Tables of attributes and values: a row for each thing that is said of a patient. What they say is taken for columns
//! of the patient's own table, so that names, sexes and dates are known by the same words; in what was made of one,
//! the column becomes an `each` over its rows.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::entry::{Entry, plain, quoted};
use super::links::{Graph, Link, writable};
use super::maker::Maker;
use super::people::is_text;
use super::recognise::{Found, Recognised, Sure};
use super::sample::{RARE, Sampled};
use super::words::Words;
use crate::mapping::catalog::{Catalog, Column, SqlType, Table};

/// Most attributes of one table that are looked at.
const MOST: usize = 60;

/// A table of attributes and values.
pub(super) struct Attributes {
    /// Its place in the catalogue.
    pub table: usize,
    /// How its rows lead to what they are about.
    pub entity: Link,
    /// The column that says which attribute a row is of.
    which: String,
    /// Where attributes have a table of their own: its place, its key and the column of their names.
    pub defined: Option<(usize, String, String)>,
    value: String,
}

/// An attribute that was made a column.
pub(super) struct Spread {
    /// The table that was given it.
    entity: usize,
    column: String,
    /// Which of the tables of attributes.
    of: usize,
    /// What the column that says which attribute it is holds of this one.
    which: String,
}

/// What a draft works on: the catalogue and the rows with attributes as columns.
pub(super) struct Widened<'c> {
    pub catalog: Cow<'c, Catalog>,
    pub samples: Cow<'c, BTreeMap<usize, Sampled>>,
    tables: Vec<Attributes>,
    spread: Vec<Spread>,
}

/// Whether a name speaks of attributes.
fn speaks(words: &Words) -> bool {
    words.whole.contains("attribut")
        || words.whole.contains("atribut")
        || words.are("attr property propiedad propriete eigenschaft custom+field extra+field")
}

fn value(table: &Table) -> Option<&Column> {
    let good = |c: &&Column| is_text(c.ty) && writable(&c.name);
    let mut texts = table.columns.iter().filter(good);
    texts.find(|c| Words::of(&c.name).are("value valor wert valeur val"))
}

/// The tables of attributes and values of a catalogue.
pub(super) fn attributes(catalog: &Catalog) -> Vec<Attributes> {
    let may = |table: &Table| {
        let named = speaks(&Words::of(&table.name));
        let column = |c: &Column| speaks(&Words::of(&c.name));
        value(table).is_some() && (named || table.columns.iter().any(column))
    };
    if !catalog.tables.iter().any(may) {
        return Vec::new();
    }
    let graph = Graph::new(catalog);
    let tables = catalog.tables.iter().enumerate().filter(|(_, table)| may(table));
    tables.filter_map(|(number, table)| of_table(&graph, number, table)).collect()
}

fn of_table(graph: &Graph<'_>, number: usize, table: &Table) -> Option<Attributes> {
    let value = value(table)?.name.clone();
    let links = graph.links.get(number)?;
    let defines = |link: &&Link| {
        let named = graph.words.get(link.table).is_some_and(speaks);
        link.own.len() == 1 && link.table != number && named && name_of(graph, link.table).is_some()
    };
    let definition = links.iter().find(defines);
    let entity = links
        .iter()
        .filter(|link| link.table != number && definition.is_none_or(|d| d.table != link.table))
        .max_by_key(|link| {
            (link.declared, link.own.iter().any(|own| table.primary_key.contains(own)))
        })?;
    let (which, defined) = if let Some(link) = definition {
        let name = name_of(graph, link.table)?;
        let theirs = link.theirs.first()?.clone();
        (link.own.first()?.clone(), Some((link.table, theirs, name)))
    } else {
        let named = |c: &&Column| {
            let words = Words::of(&c.name);
            is_text(c.ty)
                && c.name != value
                && writable(&c.name)
                && !links.iter().any(|link| link.own.contains(&c.name))
                && (speaks(&words) || words.are("name nombre nome nom key kind type tipo typ code"))
        };
        (table.columns.iter().find(named)?.name.clone(), None)
    };
    Some(Attributes { table: number, entity: entity.clone(), which, defined, value })
}

/// The column in which a table of attributes has their names.
fn name_of(graph: &Graph<'_>, table: usize) -> Option<String> {
    let columns = &graph.table(table)?.columns;
    let text = |rule: &str| {
        let mut texts = columns.iter().filter(|c| is_text(c.ty) && writable(&c.name));
        texts.find(|c| Words::of(&c.name).are(rule))
    };
    let named = text("=name nombre nome nom bezeichnung label title").or_else(|| text("name code"));
    named.map(|column| column.name.clone())
}

/// The tables that must be looked into for it.
pub(super) fn near(all: &[Attributes]) -> impl Iterator<Item = usize> {
    all.iter().flat_map(|a| {
        [Some(a.entity.table), Some(a.table), a.defined.as_ref().map(|d| d.0)].into_iter().flatten()
    })
}

/// Makes columns of attributes, as far as their rows were seen.
pub(super) fn spread<'c>(
    catalog: &'c Catalog,
    samples: &'c BTreeMap<usize, Sampled>,
) -> Widened<'c> {
    let mut all = Widened {
        catalog: Cow::Borrowed(catalog),
        samples: Cow::Borrowed(samples),
        tables: Vec::new(),
        spread: Vec::new(),
    };
    for found in attributes(catalog) {
        let named = named(&found, samples);
        let (Some(entity), Some(rows), [own], [theirs]) = (
            all.catalog.tables.get(found.entity.table).cloned(),
            samples.get(&found.table),
            found.entity.own.as_slice(),
            found.entity.theirs.as_slice(),
        ) else {
            continue;
        };
        let fresh = |name: &str| entity.column(name).is_none();
        let named: Vec<(String, String)> =
            named.into_iter().filter(|(_, name)| fresh(name)).collect();
        let mut cells: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for [thing, which, value] in rows.triples(own, &found.which, &found.value) {
            cells.entry(thing).or_default().entry(which).or_insert(value);
        }
        let table = &catalog.tables[found.table];
        let number = all.tables.len();
        let widened = all.samples.get(&found.entity.table).map(|sample| {
            let names = named.iter().map(|(_, name)| name.clone()).collect();
            sample.widened(theirs, names, |thing| {
                let said = cells.get(thing);
                named.iter().map(|(which, _)| Some(*said?.get(which.as_str())?)).collect()
            })
        });
        let Some(widened) = widened else { continue };
        all.samples.to_mut().insert(found.entity.table, widened);
        for (which, name) in named {
            let column = Column {
                name: name.clone(),
                ty: SqlType::Text,
                declared: format!("of {} = {which} in '{}'", found.which, table.name),
                nullable: true,
                has_default: false,
                collation: None,
                comment: None,
            };
            all.catalog.to_mut().tables[found.entity.table].columns.push(column);
            all.spread.push(Spread { entity: found.entity.table, column: name, of: number, which });
        }
        all.tables.push(found);
    }
    all
}

/// What the rows hold for an attribute, and its name.
fn named(found: &Attributes, samples: &BTreeMap<usize, Sampled>) -> Vec<(String, String)> {
    let Some(rows) = samples.get(&found.table) else { return Vec::new() };
    let distinct = rows.distinct(&found.which);
    let named: Vec<(String, String)> = if let Some((table, key, name)) = &found.defined {
        // Names that attributes have in a table of their own are nobody's.
        let names: BTreeMap<&str, &str> =
            samples.get(table).into_iter().flat_map(|s| s.pairs(key, name)).collect();
        let named = |(which, _): &(&str, usize)| {
            Some(((*which).to_owned(), (*names.get(which)?).to_owned()))
        };
        distinct.iter().filter_map(named).collect()
    } else {
        let often = distinct.iter().filter(|(_, rows)| *rows >= RARE);
        often.map(|(which, _)| ((*which).to_owned(), (*which).to_owned())).collect()
    };
    let good = |name: &str| {
        writable(name)
            && name.len() <= 60
            && !name.contains(['.', '"', '\\', '|'])
            && !crate::mapping::compile::is_credential(name)
    };
    let mut all: Vec<(String, String)> =
        named.into_iter().filter(|(_, name)| good(name)).take(MOST).collect();
    all.sort_by(|a, b| a.1.cmp(&b.1));
    all.dedup_by(|a, b| a.1.eq_ignore_ascii_case(&b.1));
    all
}

impl Widened<'_> {
    /// Lets what was made of attributes read them where they stand.
    pub fn hang(&self, entry: &mut Entry, all: &Recognised<'_>, found: &Found) {
        let beside = entry.joins.iter().find(|join| join.alias == "p").map(|join| join.number);
        for spread in &self.spread {
            let alias = if spread.entity == found.table {
                ""
            } else if Some(spread.entity) == beside {
                "p."
            } else {
                continue;
            };
            entry.filter.retain(|(column, _)| *column != spread.column);
            let Some(each) = self.each(entry, all, spread, alias) else { continue };
            let name = &spread.column;
            let leaves = [format!("${{{alias}{name}}}"), format!("${alias}{name}")];
            for part in &mut entry.parts {
                let before = part.lines.join("\n");
                part.lines.iter_mut().for_each(|line| *line = read(line, &leaves, &each.0));
                if part.lines.join("\n") != before {
                    part.why.push_str(&each.1);
                }
            }
        }
    }

    /// The beginning of an item of an attribute's row, and where it stands in words.
    fn each(
        &self,
        entry: &Entry,
        all: &Recognised<'_>,
        spread: &Spread,
        alias: &str,
    ) -> Option<(String, String)> {
        let attributes = self.tables.get(spread.of)?;
        let table = all.graph.table(attributes.table)?;
        let (own, theirs) = (attributes.entity.own.first()?, attributes.entity.theirs.first()?);
        let ours = if alias.is_empty() {
            theirs.clone()
        } else {
            let join = entry.joins.iter().find(|join| join.alias == "p")?;
            join.on.iter().find(|(their, _)| their == theirs)?.1.clone()
        };
        let row = Found { table: attributes.table, ty: "", sure: Sure::Likely, why: String::new() };
        let mut maker = Maker::new(all, &self.samples, &row);
        let (mut filter, _) = maker.standing(true);
        filter.retain(|(column, _)| *column != attributes.which && *column != attributes.value);
        filter.insert(0, (attributes.which.clone(), quoted(&spread.which)));
        let filter: Vec<String> =
            filter.iter().map(|(column, value)| format!("{}: {value}", plain(column))).collect();
        let schema = maker.schema(table).map(|s| format!(", schema: {}", plain(&s)));
        let alone = table.tells_apart(&[own, &attributes.which]);
        let key = all.graph.key(attributes.table).and_then(<[String]>::first);
        let order = key.filter(|_| !alone).map(|key| format!(", order: [{}]", plain(key)));
        let each = format!(
            "{{each: {{table: {}{}, match: {{{}: {}}}, filter: {{{}}}{}}}, item: \"",
            plain(&table.name),
            schema.unwrap_or_default(),
            plain(own),
            plain(&ours),
            filter.join(", "),
            order.unwrap_or_default(),
        );
        let value = &attributes.value;
        let bare = value.chars().all(|c| c.is_alphanumeric() || c == '_');
        let leaf = if bare { format!("${value}") } else { format!("${{{value}}}") };
        let why = format!(
            "; '{}' is an attribute, a row of '{}' where {} is {}",
            spread.column, table.name, attributes.which, spread.which
        );
        Some((each + &leaf, why))
    }
}

/// A line in which a leaf that begins with one of these is read by an `each`. One that is put together with
/// others stays, and is refused when the draft is checked.
fn read(line: &str, leaves: &[String], each: &str) -> String {
    let mut out = line.to_owned();
    for leaf in leaves {
        let begins = format!("\"{leaf}");
        let mut from = 0;
        while let Some(at) = out.get(from..).and_then(|rest| rest.find(&begins)).map(|at| at + from)
        {
            let rest = at + begins.len();
            let Some(end) = out.get(rest..).and_then(|text| text.find('"')).map(|end| end + rest)
            else {
                break;
            };
            let steps = out.get(rest..end).unwrap_or_default().to_owned();
            from = end;
            if steps.is_empty() || steps.starts_with(" |") {
                // An item is one value, and no list.
                let steps = steps.replace(" | split(' ')", "");
                let item = format!("{each}{steps}\"}}");
                out.replace_range(at..=end, &item);
                from = at + item.len();
            }
        }
    }
    out
}
