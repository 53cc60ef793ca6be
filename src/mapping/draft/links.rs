//! How tables hang together: keys, declared foreign keys, and those that only their names tell.

use super::ends::{End, named, names};
use super::words::{TYPES, Words};
use crate::mapping::catalog::{Catalog, Column, SqlType, Table};

/// Columns of one table that hold the key of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub own: Vec<String>,
    /// The other table's place in the catalogue.
    pub table: usize,
    pub theirs: Vec<String>,
    /// Whether the database says so, or only the names.
    pub declared: bool,
}

/// The catalogue as a graph.
pub(super) struct Graph<'c> {
    pub catalog: &'c Catalog,
    pub words: Vec<Words>,
    /// Links of each table.
    pub links: Vec<Vec<Link>>,
    /// The columns that tell each table's rows apart.
    keys: Vec<Option<Vec<String>>>,
}

/// Whether a column may be part of a key, as the language demands.
pub(super) const fn keyable(ty: SqlType) -> bool {
    matches!(
        ty,
        SqlType::Integer { .. }
            | SqlType::Decimal
            | SqlType::Text
            | SqlType::Char
            | SqlType::Uuid
            | SqlType::Enum
    )
}

/// Whether values of two columns can be compared without being told how.
fn alike(a: SqlType, b: SqlType) -> bool {
    let class = |ty| match ty {
        SqlType::Integer { .. } | SqlType::Decimal => 0,
        SqlType::Text | SqlType::Char | SqlType::Enum => 1,
        SqlType::Uuid => 2,
        _ => 3,
    };
    class(a) == class(b) && class(a) != 3
}

/// Whether a name can be written in a mapping: braces cannot.
pub(super) fn writable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['{', '}', '$', '\n', '\r'])
}

/// The columns that tell a table's rows apart: its primary key, or a unique index without NULLs; for a
/// view, which declares nothing, a column called so.
pub(super) fn key(table: &Table) -> Option<Vec<String>> {
    let usable = |names: &[String]| {
        !names.is_empty()
            && names
                .iter()
                .all(|name| writable(name) && table.column(name).is_some_and(|c| keyable(c.ty)))
    };
    if usable(&table.primary_key) {
        return Some(table.primary_key.clone());
    }
    let firm =
        |names: &[String]| names.iter().all(|name| table.column(name).is_some_and(|c| !c.nullable));
    let unique = table.indexes.iter().filter(|i| i.unique && usable(&i.columns));
    let mut unique: Vec<_> = unique.filter(|i| firm(&i.columns)).map(|i| &i.columns).collect();
    unique.sort_by_key(|columns| columns.len());
    if let Some(columns) = unique.first() {
        return Some((*columns).clone());
    }
    if !table.view {
        return None;
    }
    named_key(table).map(|column| vec![column.name.clone()])
}

/// The column whose name says that it is the key: `id`, `<table>_id`, `id_<table>`.
pub(super) fn named_key(table: &Table) -> Option<&Column> {
    let own = Words::of(&table.name);
    let good = |c: &&Column| keyable(c.ty) && writable(&c.name);
    let mut columns = table.columns.iter().filter(good);
    let first = columns.clone().find(|c| Words::of(&c.name).are("id uuid guid pk"));
    first.filter(|c| Words::of(&c.name).meaning().is_empty()).or_else(|| {
        columns.find(|c| {
            let words = Words::of(&c.name);
            let rest = words.meaning();
            rest.len() < words.tokens.len() && !rest.is_empty() && names(&rest, &own)
        })
    })
}

impl<'c> Graph<'c> {
    pub fn new(catalog: &'c Catalog) -> Self {
        let words: Vec<Words> = catalog.tables.iter().map(|t| Words::of(&t.name)).collect();
        let keys: Vec<Option<Vec<String>>> = catalog.tables.iter().map(key).collect();
        let mut graph = Self { catalog, words, links: Vec::new(), keys: Vec::new() };
        let of = |(number, table): (usize, &'c Table)| {
            End::of(table, graph.words.get(number)?, keys.get(number)?.as_deref())
        };
        let ends: Vec<Option<End<'c>>> = catalog.tables.iter().enumerate().map(of).collect();
        let all = 0..catalog.tables.len();
        graph.links = all.map(|n| graph.links_of(n, &keys, &ends)).collect();
        graph.keys = keys;
        for number in 0..catalog.tables.len() {
            if let Some(referred) = graph.referred(number) {
                graph.keys[number] = Some(vec![referred]);
            }
        }
        graph
    }

    /// Lets `patient_id` lead to the table that was taken for the patients, whatever that is called.
    pub fn lead_to_people(&mut self, people: usize) {
        let Some([key]) = self.key(people) else { return };
        let Some(key) = self.table(people).and_then(|t| t.column(key)) else { return };
        let rule = TYPES.iter().find(|(ty, _)| *ty == "Patient").map_or("", |(_, rule)| rule);
        for (number, table) in self.catalog.tables.iter().enumerate().filter(|(n, _)| *n != people)
        {
            let Some(links) = self.links.get_mut(number) else { continue };
            let led = |links: &[Link], name: &String| links.iter().any(|l| l.own.contains(name));
            for column in table.columns.iter().filter(|c| writable(&c.name) && alike(c.ty, key.ty))
            {
                let words = Words::of(&column.name);
                let named = words.meaning().len() == 1 && words.tokens.len() > 1 && words.are(rule);
                if named && !led(links, &column.name) {
                    let (own, theirs) = (vec![column.name.clone()], vec![key.name.clone()]);
                    links.push(Link { own, table: people, theirs, declared: false });
                }
            }
        }
    }

    /// The columns that tell a table's rows apart: its key, or what other tables know it by.
    pub fn key(&self, number: usize) -> Option<&[String]> {
        self.keys.get(number)?.as_deref()
    }

    /// The unique column, other than the key, by which more tables refer to this one than by its key.
    fn referred(&self, number: usize) -> Option<String> {
        let table = self.table(number)?;
        let key = self.key(number)?;
        let leading = |names: &[String]| {
            let links = self.links.iter().flatten().filter(|link| link.table == number);
            links.filter(|link| link.declared && link.theirs == names).count()
        };
        let firm = |name: &String| {
            let column = table.column(name);
            writable(name)
                && column.is_some_and(|c| !c.nullable && keyable(c.ty))
                && table.unique(&[name.as_str()])
        };
        let others = table.columns.iter().map(|c| &c.name).filter(|name| key != [(*name).clone()]);
        let best = others.filter(|name| firm(name)).max_by_key(|n| leading(&[(*n).clone()]))?;
        (leading(std::slice::from_ref(best)) > leading(key)).then(|| best.clone())
    }

    pub fn table(&self, number: usize) -> Option<&'c Table> {
        self.catalog.tables.get(number)
    }

    fn links_of(
        &self,
        number: usize,
        keys: &[Option<Vec<String>>],
        ends: &[Option<End<'c>>],
    ) -> Vec<Link> {
        let Some(table) = self.table(number) else { return Vec::new() };
        let mut links = Vec::new();
        for foreign in &table.foreign_keys {
            let schema = foreign.schema.as_deref().or(table.schema.as_deref());
            let found = self.catalog.tables.iter().position(|t| {
                t.name.eq_ignore_ascii_case(&foreign.table)
                    && (schema.is_none() || t.schema.is_none() || t.schema.as_deref() == schema)
            });
            let Some(target) = found else { continue };
            // SQLite lets the columns be left out; they are then the primary key.
            let theirs = if foreign.references.iter().any(String::is_empty) {
                self.table(target).map(|t| t.primary_key.clone()).unwrap_or_default()
            } else {
                foreign.references.clone()
            };
            let own = foreign.columns.clone();
            let spelt = own.iter().chain(&theirs).all(|name| writable(name));
            if own.len() == theirs.len() && spelt {
                links.push(Link { own, table: target, theirs, declared: true });
            }
        }
        for column in table.columns.iter().filter(|c| writable(&c.name)) {
            if links.iter().any(|l| l.own.len() == 1 && l.own.contains(&column.name)) {
                continue;
            }
            links.extend(self.by_name(number, table, column, (keys, ends)));
        }
        links.extend(self.by_names(number, table, keys));
        links
    }

    /// The tables whose keys of several columns stand in ours under the same names.
    fn by_names<'a>(
        &'a self,
        number: usize,
        table: &'a Table,
        keys: &'a [Option<Vec<String>>],
    ) -> impl Iterator<Item = Link> + 'a {
        let own_key = keys.get(number).and_then(Option::as_deref).unwrap_or_default();
        keys.iter().enumerate().filter_map(move |(other, key)| {
            let key = key.as_deref().filter(|key| key.len() > 1 && other != number)?;
            let target = self.table(other)?;
            let held = |name: &String| {
                let (ours, theirs) = (table.column(name)?, target.column(name)?);
                let telling = !Words::of(name).meaning().is_empty() && writable(name);
                (telling && alike(ours.ty, theirs.ty)).then_some(())
            };
            let whole = key.iter().all(|name| held(name).is_some());
            let shared = key.len() == own_key.len() && key.iter().all(|k| own_key.contains(k));
            let declared = |foreign: &crate::mapping::catalog::ForeignKey| foreign.columns == key;
            if !whole || shared || table.foreign_keys.iter().any(declared) {
                return None;
            }
            let own = key.to_vec();
            Some(Link { theirs: own.clone(), own, table: other, declared: false })
        })
    }

    /// The table a column's name leads to, when exactly one does.
    fn by_name(
        &self,
        number: usize,
        table: &Table,
        column: &Column,
        (keys, ends): (&[Option<Vec<String>>], &[Option<End<'c>>]),
    ) -> Option<Link> {
        let words = Words::of(&column.name);
        let meaning = words.meaning();
        if meaning.is_empty() {
            return None;
        }
        let lower = column.name.to_lowercase();
        let mut found: Option<(u8, usize, &Column)> = None;
        for (other, end) in ends.iter().enumerate() {
            let Some(end) = end.as_ref().filter(|end| alike(end.key.ty, column.ty)) else {
                continue;
            };
            let key = end.key;
            let subject = || end.subject.iter().map(String::as_str).collect::<Vec<_>>();
            let rank = if key.name == column.name && other == number {
                continue;
            } else if end.telling && key.name.eq_ignore_ascii_case(&column.name) {
                // The key of a table called so comes before that of one which shares it.
                if end.own { 0 } else { 2 }
            } else if meaning.len() == end.subject.len()
                && named(&meaning, &subject())
                && other != number
            {
                1
            } else if end.telling && key.name.len() > 4 && lower.ends_with(&end.tail) {
                3
            } else {
                continue;
            };
            // Two tables that share a key's name: nobody can tell which is meant.
            match found {
                Some((known, ..)) if known < rank => {}
                Some((known, known_table, _)) if known == rank && rank >= 2 => {
                    let bigger = |n: usize| self.table(n).and_then(|t| t.estimated_rows);
                    if bigger(other) > bigger(known_table) {
                        found = Some((rank, other, key));
                    }
                }
                Some((known, ..)) if known == rank => {}
                _ => found = Some((rank, other, key)),
            }
        }
        // A key of one's own that another table shares leads to the other only when it is the named one.
        let own_key =
            keys.get(number).and_then(Option::as_deref) == Some(&[column.name.clone()][..]);
        let (rank, other, key) = found?;
        let named_itself = self.words.get(number).is_some_and(|w| names(&meaning, w));
        if own_key && (rank > 1 || named_itself) || table.primary_key.is_empty() && named_itself {
            return None;
        }
        Some(Link {
            own: vec![column.name.clone()],
            table: other,
            theirs: vec![key.name.clone()],
            declared: false,
        })
    }

    /// Links of one table to another.
    pub fn between(&self, from: usize, to: usize) -> impl Iterator<Item = &Link> {
        self.links.get(from).into_iter().flatten().filter(move |link| link.table == to)
    }

    /// The one table that every row of ours leads to, where the database says that it is one.
    pub fn onward(&self, number: usize) -> Option<&Link> {
        let table = self.table(number)?;
        let firm = |link: &&Link| {
            let own = link.own.first().and_then(|name| table.column(name));
            link.declared
                && link.own.len() == 1
                && link.table != number
                && own.is_some_and(|column| !column.nullable)
        };
        let mut links = self.links.get(number)?.iter().filter(firm);
        links.next().filter(|_| links.next().is_none())
    }

    /// The table whose row is the same thing as ours: our key is its key too.
    pub fn parent(&self, number: usize) -> Option<&Link> {
        let own = self.key(number)?;
        self.links.get(number)?.iter().find(|link| link.own == own && link.table != number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::tests::support::{INT, TEXT, catalog, table};

    fn graph_links(catalog: &Catalog, name: &str) -> Vec<(String, String)> {
        let graph = Graph::new(catalog);
        let at = catalog.tables.iter().position(|t| t.name == name).unwrap();
        let name = |n: usize| catalog.tables[n].name.clone();
        graph.links[at].iter().map(|l| (l.own.join("+"), name(l.table))).collect()
    }

    fn pair(a: &str, b: &str) -> (String, String) {
        (a.to_owned(), b.to_owned())
    }

    #[test]
    fn names_alone_lead_from_table_to_table() {
        assert_eq!(graph_links(&catalog(), "mediciones"), [pair("paciente", "pacientes")]);
        let mut other = catalog();
        other.tables = vec![
            table("person", &[("person_id", INT), ("gender_concept_id", INT)], "person_id"),
            table("concept", &[("concept_id", INT), ("concept_name", TEXT)], "concept_id"),
            table("visit", &[("visit_id", INT), ("person_id", INT), ("note", TEXT)], "visit_id"),
            table("patient", &[("patient_id", INT)], "patient_id"),
            table("obs", &[("obs_id", INT), ("PATIENT", INT), ("visit_id", TEXT)], "obs_id"),
        ];
        assert_eq!(graph_links(&other, "person"), [pair("gender_concept_id", "concept")]);
        assert_eq!(graph_links(&other, "visit"), [pair("person_id", "person")]);
        // The text `visit_id` cannot hold the number that the visit's key is.
        assert_eq!(graph_links(&other, "obs"), [pair("PATIENT", "patient")]);
    }

    #[test]
    fn a_key_is_what_the_database_says_is_one() {
        let mut one = table("t", &[("id", INT), ("a", TEXT)], "id");
        assert_eq!(key(&one), Some(vec!["id".to_owned()]));
        one.primary_key.clear();
        assert_eq!(key(&one), Some(vec!["id".to_owned()]), "its unique index");
        one.indexes.clear();
        assert_eq!(key(&one), None);
        one.view = true;
        assert_eq!(key(&one), Some(vec!["id".to_owned()]), "a view declares nothing");
    }
}
