//! Tables that hang off an entry's: names, identifiers, addresses and contacts with several rows for each
//! of ours; and what a row must be to count at all.

use std::fmt::Write as _;

use super::entry::{CodeLines, quoted};
use super::links::Link;
use super::maker::{Col, Maker};
use super::people::{is_text, member};
use super::recognise::Sure;
use super::words::{Words, concept};
use crate::mapping::catalog::{SqlType, Table};

impl Maker<'_, '_> {
    /// `name`, `identifier`, `address` and `telecom` from tables with several rows for each of ours.
    pub fn children(&mut self) {
        let rec = self.rec;
        for (number, table) in rec.graph.catalog.tables.iter().enumerate() {
            let Some(words) = rec.graph.words.get(number) else { continue };
            if rec.entry(number).is_some()
                || rec.graph.parent(number).is_some_and(|p| p.table == self.found.table)
            {
                continue;
            }
            let type_table =
                words.are("type tipo attribute map log history hierarchy level pool option source");
            let Some(pairs) = self.child_match(number).filter(|_| !type_table) else { continue };
            let element = if words.are("name nombre nome namen alias") {
                "name"
            } else if words.are("identifier identificador documento document kennung identifiant") {
                "identifier"
            } else if words.are("address direccion domicilio endereco adresse") {
                "address"
            } else if words.are(
                "contact contacto contato telecom telefono phone telefon kontakt telephone email",
            ) {
                "telecom"
            } else {
                continue;
            };
            if self.parts.iter().any(|p| p.element == element) {
                continue;
            }
            self.child(element, number, table, &pairs);
        }
    }

    /// Their column, our column; when a table hangs off ours or off the one we share a key with.
    fn child_match(&self, number: usize) -> Option<Vec<(String, String)>> {
        let rec = self.rec;
        // Of several ways the one every row has: the others are about somebody else.
        let first = |to: usize| {
            let firm = |link: &&Link| {
                let table = rec.graph.table(number);
                let own = |name: &String| table.and_then(|t| t.column(name));
                link.own.iter().all(|name| own(name).is_some_and(|c| !c.nullable))
            };
            let mut links = rec.graph.between(number, to);
            rec.graph.between(number, to).find(firm).or_else(|| links.next())
        };
        if let Some(link) = first(self.found.table) {
            return Some(link.own.iter().cloned().zip(link.theirs.iter().cloned()).collect());
        }
        let parent = self.joins.iter().find(|j| j.alias == "p")?;
        let link: &Link = first(parent.number)?;
        let ours = |theirs: &String| {
            parent.on.iter().find(|(t, _)| t.eq_ignore_ascii_case(theirs)).map(|(_, o)| o.clone())
        };
        link.own
            .iter()
            .zip(&link.theirs)
            .map(|(own, theirs)| Some((own.clone(), ours(theirs)?)))
            .collect()
    }

    fn child(
        &mut self,
        element: &'static str,
        number: usize,
        table: &Table,
        pairs: &[(String, String)],
    ) {
        let found = super::recognise::Found {
            table: number,
            ty: "",
            sure: Sure::Likely,
            why: String::new(),
        };
        let mut inner = Maker::new(self.rec, self.samples, &found);
        let (filter, filtered) = inner.standing(true);
        let item = match element {
            "name" => inner.human_name().then(|| inner.item("name")).flatten(),
            "address" => inner.address(true).then(|| inner.item("address")).flatten(),
            "identifier" => {
                let value = inner.take_if("identifier+-type number value valor numero nro", |c| {
                    is_text(c.column.ty)
                });
                value.map(|c| format!("{{{}}}", member("value", &c.leaf())))
            }
            _ => inner.contact(),
        };
        let Some(item) = item else { return };
        let order =
            inner.take_if(concept::ORDER, |c| matches!(c.column.ty, SqlType::Integer { .. }));
        let order = order
            .map(|c| c.name().to_owned())
            .or_else(|| self.rec.graph.key(number).and_then(|k| k.first().cloned()));
        let mut parts = vec![format!("table: {}", super::entry::plain(&table.name))];
        parts.extend(self.schema(table).map(|s| format!("schema: {}", super::entry::plain(&s))));
        let on: Vec<String> = pairs
            .iter()
            .map(|(t, o)| format!("{}: {}", super::entry::plain(t), super::entry::plain(o)))
            .collect();
        parts.push(format!("match: {{{}}}", on.join(", ")));
        let conditions: Vec<String> =
            filter.iter().map(|(c, v)| format!("{}: {v}", super::entry::plain(c))).collect();
        if !conditions.is_empty() {
            parts.push(format!("filter: {{{}}}", conditions.join(", ")));
        }
        parts.extend(order.map(|o| format!("order: [{}]", super::entry::plain(&o))));
        let lines = vec![
            format!("{element}:"),
            format!("  - each: {{{}}}", parts.join(", ")),
            format!("    item: {item}"),
        ];
        self.codes.append(&mut inner.codes);
        let declared = self
            .rec
            .graph
            .links
            .get(number)
            .into_iter()
            .flatten()
            .any(|l| l.declared && l.own.len() == pairs.len());
        let sure = if declared { Sure::Certain } else { Sure::Likely };
        self.part(
            element,
            lines,
            sure,
            format!("the rows of '{}' that belong to ours{filtered}", table.name),
        );
    }

    /// The one item a part was made of, without what is around it.
    fn item(&self, element: &str) -> Option<String> {
        let part = self.parts.iter().find(|p| p.element == element)?;
        part.lines.get(1).and_then(|line| line.trim().strip_prefix("- ")).map(str::to_owned)
    }

    /// A table of contacts: which kind each is, and what it is.
    fn contact(&mut self) -> Option<String> {
        let value = self.take_if(
            "valor value number numero contact contacto telefono phone email nro",
            |c| is_text(c.column.ty),
        )?;
        let kind = self.take_if(concept::KIND, |_| true);
        let rank = self
            .all(concept::ORDER)
            .into_iter()
            .find(|c| matches!(c.column.ty, SqlType::Integer { .. }));
        let mut members = Vec::new();
        let mail = |cell: &str| cell.contains('@');
        let systems = kind.and_then(|kind| {
            let sample = self.sample(&kind)?;
            let mut entries = Vec::new();
            for (code, _) in sample.distinct(kind.name()) {
                let mut all =
                    sample.pairs(kind.name(), value.name()).filter(|(k, _)| *k == code).peekable();
                all.peek()?;
                let words = Words::of(code);
                let system = if words.are("web website url www homepage site") {
                    "url"
                } else if words.are("fax") {
                    "fax"
                } else if all.all(|(_, v)| mail(v)) {
                    "email"
                } else {
                    "phone"
                };
                entries.push((code.to_owned(), system.to_owned()));
            }
            let few = (1..=12).contains(&entries.len());
            few.then_some((kind, entries))
        });
        if let Some((kind, entries)) = systems {
            let why = format!(
                "'{}', by what stands beside it: an @ is an e-mail address; {}",
                kind.name(),
                self.values(&kind)
            );
            let code = CodeLines {
                name: "contact".to_owned(),
                entries,
                otherwise: Some("other"),
                missing: None,
                why,
            };
            self.codes.push(code);
            members.push(member("system", &format!("{} | code(contact)", kind.leaf())));
        } else {
            let mails = self.sample(&value).and_then(|s| s.percent(value.name(), mail));
            members.push(if mails.is_some_and(|p| p >= 90) {
                "system: email".to_owned()
            } else {
                "system: phone".to_owned()
            });
        }
        members.push(member("value", &value.leaf()));
        // FHIR's ranks begin at 1.
        let ranked = rank.filter(|r| {
            self.sample(r)
                .is_some_and(|s| s.percent(r.name(), |c| !c.starts_with(['0', '-'])) == Some(100))
        });
        members.extend(ranked.map(|r| member("rank", &r.leaf())));
        Some(format!("{{{}}}", members.join(", ")))
    }

    /// What a row must be to count at all: not deleted, and for a child also in force. The conditions,
    /// and words for them.
    pub fn standing(&mut self, active: bool) -> (Vec<(String, String)>, String) {
        let (mut filter, mut words) = (Vec::new(), String::new());
        let own = |c: &Col<'_>| c.alias.is_empty();
        for col in self.all(concept::DELETED).into_iter().filter(own) {
            let dated = self.dated(&col);
            if dated && !filter.is_empty() {
                // When it was deleted says no more than that it was.
                self.mark(&col);
                continue;
            }
            let Some(value) = self.absent(&col) else { continue };
            self.mark(&col);
            let (name, values) = (col.name(), self.values(&col));
            let _infallible = write!(words, "; '{name}' looks like a mark of deletion ({values})");
            filter.push((col.name().to_owned(), value));
        }
        for col in self.all(concept::STATUS).into_iter().filter(own) {
            let gone = self.sample(&col).map(|s| s.gone(col.name())).unwrap_or_default();
            if gone.is_empty() || !is_text(col.column.ty) {
                continue;
            }
            let (name, values) = (col.name(), self.values(&col));
            let _infallible =
                write!(words, "; '{name}' says of rows that they were thrown away ({values})");
            let gone: Vec<String> = gone.into_iter().map(quoted).collect();
            filter.push((name.to_owned(), format!("{{not: [{}]}}", gone.join(", "))));
        }
        if active {
            for col in self.all(concept::ACTIVE).into_iter().filter(own) {
                let flag = self.sample(&col).and_then(|s| s.flag(col.name()));
                let Some((yes, _)) = flag else { continue };
                self.mark(&col);
                let (name, values) = (col.name(), self.values(&col));
                let _infallible =
                    write!(words, "; '{name}' looks like a mark of what is in force ({values})");
                filter.push((col.name().to_owned(), quoted(yes)));
            }
        }
        (filter, words)
    }

    /// Whether a column holds days or moments.
    fn dated(&self, col: &Col<'_>) -> bool {
        matches!(col.column.ty, SqlType::Date | SqlType::DateTime | SqlType::Instant)
            || (is_text(col.column.ty)
                && self.sample(col).is_some_and(|s| s.dated(col.name()).is_some()))
    }

    /// What a mark of deletion is in a row that is not deleted.
    fn absent(&self, col: &Col<'_>) -> Option<String> {
        match col.column.ty {
            _ if self.dated(col) => {
                // A day that most rows have is the end of what they tell, and not of themselves.
                let sample = self.sample(col);
                if let Some(none) = sample.and_then(|s| s.no_date(col.name())) {
                    // History: the row in force ends on a day that means never.
                    let last = none.text.get(..4).is_some_and(|year| year > "2050");
                    return last.then(|| quoted(&none.text));
                }
                let most = sample.is_none_or(|s| s.cells(col.name()).count() * 2 < s.rows().max(1));
                most.then(|| "{missing: true}".to_owned())
            }
            SqlType::Boolean => Some("false".to_owned()),
            ty => {
                let flag = self.sample(col).and_then(|s| s.flag(col.name()));
                let no = flag.map(|(_, no)| quoted(no)).or_else(|| self.kept_word(col));
                no.or_else(|| {
                    (matches!(ty, SqlType::Integer { bits: 8, .. })
                        && !col.words().are("reason by"))
                    .then(|| quoted("0"))
                })
            }
        }
    }

    /// The word for "no" that most rows have, where a mark has more than two words: `0` beside `2`.
    fn kept_word(&self, col: &Col<'_>) -> Option<String> {
        let sample = self.sample(col)?;
        let values = sample.distinct(col.name());
        let (word, rows) = values.first().filter(|_| values.len() <= 5)?;
        let no = ["0", "N", "n", "F", "false", "NO"].contains(word);
        let mark = !col.words().are("reason by until to end");
        (no && mark && rows * 2 > sample.rows()).then(|| quoted(word))
    }
}
