//! Elements of people and places: names, sex, dates of birth, numbers, contacts, addresses; in the
//! table's own columns or in tables that hang off it.

use super::coded::sexes;
use super::entry::{CodeLines, quoted};
use super::links::{Link, key};
use super::maker::{Col, Maker};
use super::recognise::Sure;
use super::words::{Words, concept};
use crate::mapping::catalog::{SqlType, Table};

/// A member of an object in a list, as YAML.
fn member(name: &str, leaf: &str) -> String {
    format!("{name}: {}", quoted(leaf))
}

impl<'c> Maker<'_, 'c> {
    /// `name` from columns of its own.
    pub fn human_name(&mut self) -> bool {
        let mut seen = Vec::new();
        let mut take = |maker: &mut Self, rule| {
            let col = maker.take_if(rule, |c| is_text(c.column.ty))?;
            seen.push(col.name().to_owned());
            Some(col)
        };
        let second = take(self, concept::FAMILY_2);
        let family = take(self, concept::FAMILY);
        let middle = take(self, concept::MIDDLE);
        let given = take(self, concept::GIVEN);
        let full =
            if family.is_none() && given.is_none() { take(self, concept::FULL_NAME) } else { None };
        if family.is_none() && given.is_none() && full.is_none() {
            return false;
        }
        let (title, suffix) = (take(self, concept::TITLE), take(self, concept::SUFFIX));
        let mut members = Vec::new();
        members.extend(full.as_ref().map(|c| member("text", &c.leaf())));
        match (&family, &second) {
            (Some(a), Some(b)) => {
                members.push(member("family", &format!("{}, {} | join(' ')", a.leaf(), b.leaf())))
            }
            (Some(a), None) | (None, Some(a)) => members.push(member("family", &a.leaf())),
            (None, None) => {}
        }
        let given: Vec<String> =
            given.iter().chain(&middle).map(|c| quoted(&self.split(c))).collect();
        if !given.is_empty() {
            members.push(format!("given: [{}]", given.join(", ")));
        }
        members.extend(title.as_ref().map(|c| format!("prefix: [{}]", quoted(&c.leaf()))));
        members.extend(suffix.as_ref().map(|c| format!("suffix: [{}]", quoted(&c.leaf()))));
        let lines = vec!["name:".to_owned(), format!("  - {{{}}}", members.join(", "))];
        self.part("name", lines, Sure::Likely, format!("by the names {}", seen.join(", ")));
        true
    }

    /// A given name, split at blanks where some cells have them.
    fn split(&self, col: &Col<'_>) -> String {
        let blanks = self.sample(col).and_then(|s| s.percent(col.name(), |c| c.contains(' ')));
        if blanks.is_some_and(|p| p > 0) {
            format!("{} | split(' ')", col.leaf())
        } else {
            col.leaf()
        }
    }

    /// The column of the sex: one whose values are all known, be they another table's keys.
    fn sex(&self) -> Option<Col<'c>> {
        let all = self.any(concept::SEX);
        let known = |c: &&Col<'c>| {
            let values = self.sample(c).map(|s| s.distinct(c.name())).unwrap_or_default();
            let texts: Vec<&str> = values.iter().map(|(v, _)| *v).collect();
            !texts.is_empty() && sexes(&texts).is_some()
        };
        let own = |c: &&Col<'c>| !self.links(c);
        let known = all.iter().filter(own).find(known).or_else(|| all.iter().find(known));
        known.or_else(|| all.iter().find(own)).copied()
    }

    pub fn gender(&mut self) {
        let Some(col) = self.take_if(concept::SEX, |c| {
            !c.words().are("source") && !matches!(c.column.ty, SqlType::Date)
        }) else {
            return;
        };
        let values = self.sample(&col).map(|s| s.distinct(col.name())).unwrap_or_default();
        let texts: Vec<&str> = values.iter().map(|(v, _)| *v).collect();
        let leaf = format!("{} | code(sex)", col.leaf());
        let (entries, sure, why) = match sexes(&texts) {
            Some(entries) if !entries.is_empty() => {
                let sure = if texts.iter().any(|t| matches!(*t, "1" | "2")) {
                    Sure::Likely
                } else {
                    Sure::Sure
                };
                (entries, sure, format!("'{}' by its name; {}", col.name(), self.values(&col)))
            }
            _ => {
                let usual = [("M", "male"), ("F", "female")];
                let entries = usual.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec();
                let why = format!(
                    "'{}' by its name; its values are not all known: {}",
                    col.name(),
                    self.values(&col)
                );
                (entries, Sure::Likely, why)
            }
        };
        let code = CodeLines {
            name: "sex".to_owned(),
            entries,
            otherwise: Some("unknown"),
            missing: None,
            why: why.clone(),
        };
        self.codes.push(code);
        self.leaf("gender", &leaf, sure, why);
    }

    /// `birthDate` and the like: a date without time.
    pub fn day(&mut self, element: &'static str, rule: &str) {
        let candidates = self.all(rule);
        let Some((col, (leaf, sure, why))) =
            candidates.iter().find_map(|c| Some((c, self.date(c, false)?)))
        else {
            return;
        };
        self.mark(col);
        self.leaf(element, &leaf, sure, why);
    }

    /// `deceasedDateTime` from a date, else `deceasedBoolean` from a flag.
    pub fn deceased(&mut self) {
        for col in self.all(concept::DEATH) {
            if let Some((leaf, sure, why)) = self.date(&col, true) {
                self.mark(&col);
                self.leaf("deceasedDateTime", &leaf, sure, why);
                return;
            }
            if let Some(pipe) = self.boolean(&col) {
                self.mark(&col);
                let why = format!("'{}' by its name; {}", col.name(), self.values(&col));
                self.leaf("deceasedBoolean", &pipe, Sure::Likely, why);
                return;
            }
        }
    }

    /// A leaf that reads a flag.
    pub fn boolean(&self, col: &Col<'_>) -> Option<String> {
        if col.column.ty == SqlType::Boolean {
            return Some(col.leaf());
        }
        let (yes, no) = self.sample(col)?.flag(col.name())?;
        Some(format!("{} | bool('{yes}', '{no}')", col.leaf()))
    }

    pub fn active(&mut self) {
        let all = self.all(concept::ACTIVE);
        let Some((col, pipe)) = all.iter().find_map(|c| Some((*c, self.boolean(c)?))) else {
            return;
        };
        self.mark(&col);
        let why = format!("'{}' by its name; {}", col.name(), self.values(&col));
        self.leaf("active", &pipe, Sure::Likely, why);
    }

    /// `identifier` from columns of its own, each with a label until somebody names its system.
    pub fn identifiers(&mut self) -> bool {
        use concept::{IDENTIFIER, INSURANCE_NO, NATIONAL, PASSPORT, RECORD_NO};
        let (mut lines, mut seen) = (vec!["identifier:".to_owned()], Vec::new());
        for rule in [RECORD_NO, NATIONAL, PASSPORT, INSURANCE_NO, IDENTIFIER] {
            let held = |c: &Col<'c>| {
                is_text(c.column.ty) || matches!(c.column.ty, SqlType::Integer { .. })
            };
            let Some(col) = self.take_if(rule, held) else { continue };
            let text = col.words().tokens.join(" ").to_uppercase();
            lines.push(format!(
                "  - {{type: {{text: {}}}, value: {}}}",
                quoted(&text),
                quoted(&col.leaf())
            ));
            seen.push(col.name().to_owned());
        }
        if seen.is_empty() {
            return false;
        }
        let why = format!(
            "by the names {}; give each its `system:`, a URI of the hospital's or the country's",
            seen.join(", ")
        );
        self.part("identifier", lines, Sure::Likely, why);
        true
    }

    /// `telecom` from columns of its own.
    pub fn telecoms(&mut self) -> bool {
        use concept::{EMAIL, FAX, MOBILE, PHONE};
        let (mut lines, mut seen) = (vec!["telecom:".to_owned()], Vec::new());
        for (rule, is) in [
            (MOBILE, "system: phone, use: mobile"),
            (PHONE, "system: phone"),
            (EMAIL, "system: email"),
            (FAX, "system: fax"),
        ] {
            let Some(col) = self.take_if(rule, |c| {
                is_text(c.column.ty) || matches!(c.column.ty, SqlType::Integer { .. })
            }) else {
                continue;
            };
            lines.push(format!("  - {{{is}, value: {}}}", quoted(&col.leaf())));
            seen.push(col.name().to_owned());
        }
        if seen.is_empty() {
            return false;
        }
        self.part("telecom", lines, Sure::Likely, format!("by the names {}", seen.join(", ")));
        true
    }

    /// The members of an address; empty when no column is one.
    fn address_members(&mut self) -> (Vec<String>, Vec<String>) {
        let (mut members, mut seen) = (Vec::new(), Vec::new());
        let mut line = Vec::new();
        let text = |c: &Col<'c>| is_text(c.column.ty);
        if let Some(col) = self.take_if(concept::STREET, text) {
            line.push(col);
            line.extend(self.take_if("address+2 line+2 addr+2 street+2 complemento", text));
        }
        if let Some(first) = line.first() {
            let number = self.take_if(concept::STREET_NO, |_| true);
            let leaf = match number {
                Some(number) => format!("{}, {} | join(' ')", first.leaf(), number.leaf()),
                None => first.leaf(),
            };
            let more = line.iter().skip(1).map(|c| quoted(&c.leaf()));
            let all: Vec<String> = std::iter::once(quoted(&leaf)).chain(more).collect();
            members.push(format!("line: [{}]", all.join(", ")));
            seen.extend(line.iter().map(|c| c.name().to_owned()));
        }
        for (name, rule) in [
            ("city", concept::CITY),
            ("district", concept::DISTRICT),
            ("state", concept::STATE),
            ("postalCode", concept::POSTAL),
            ("country", concept::COUNTRY),
        ] {
            let held = |c: &Col<'c>| {
                is_text(c.column.ty)
                    || (name == "postalCode" && matches!(c.column.ty, SqlType::Integer { .. }))
            };
            let fit = |c: &Col<'c>| held(c) && !c.words().are("birth source concept phone mail");
            if let Some(col) = self.take_if(rule, fit) {
                members.push(member(name, &col.leaf()));
                seen.push(col.name().to_owned());
            }
        }
        (members, seen)
    }

    /// `address` from columns of its own. One city alone is not much of an address, but it is one.
    pub fn address(&mut self, list: bool) -> bool {
        let (members, seen) = self.address_members();
        if members.is_empty() {
            return false;
        }
        let item = format!("{{{}}}", members.join(", "));
        let lines = if list {
            vec!["address:".to_owned(), format!("  - {item}")]
        } else {
            vec![format!("address: {item}")]
        };
        self.part("address", lines, Sure::Likely, format!("by the names {}", seen.join(", ")));
        true
    }

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
        if let Some(link) = rec.graph.between(number, self.found.table).next() {
            return Some(link.own.iter().cloned().zip(link.theirs.iter().cloned()).collect());
        }
        let parent = self.joins.iter().find(|j| j.alias == "p")?;
        let link: &Link = rec.graph.between(number, parent.number).next()?;
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
            .or_else(|| key(table).and_then(|k| k.into_iter().next()));
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
        let sure = if declared { Sure::Sure } else { Sure::Likely };
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
                let system = if all.all(|(_, v)| mail(v)) { "email" } else { "phone" };
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
        let own = |c: &Col<'c>| c.alias.is_empty();
        for col in self.all(concept::DELETED).into_iter().filter(own) {
            let dated =
                matches!(col.column.ty, SqlType::Date | SqlType::DateTime | SqlType::Instant);
            if dated && !filter.is_empty() {
                // When it was deleted says no more than that it was.
                self.mark(&col);
                continue;
            }
            let Some(value) = self.absent(&col) else { continue };
            self.mark(&col);
            words.push_str(&format!(
                "; '{}' looks like a mark of deletion ({})",
                col.name(),
                self.values(&col)
            ));
            filter.push((col.name().to_owned(), value));
        }
        if active {
            for col in self.all(concept::ACTIVE).into_iter().filter(own) {
                let flag = self.sample(&col).and_then(|s| s.flag(col.name()));
                let Some((yes, _)) = flag else { continue };
                self.mark(&col);
                words.push_str(&format!(
                    "; '{}' looks like a mark of what is in force ({})",
                    col.name(),
                    self.values(&col)
                ));
                filter.push((col.name().to_owned(), quoted(yes)));
            }
        }
        (filter, words)
    }

    /// What a mark of deletion is in a row that is not deleted.
    fn absent(&self, col: &Col<'_>) -> Option<String> {
        match col.column.ty {
            SqlType::Date | SqlType::DateTime | SqlType::Instant => {
                Some("{missing: true}".to_owned())
            }
            SqlType::Boolean => Some("false".to_owned()),
            ty => {
                let flag = self.sample(col).and_then(|s| s.flag(col.name()));
                let no = flag.map(|(_, no)| quoted(no));
                no.or_else(|| {
                    (matches!(ty, SqlType::Integer { bits: 8, .. })
                        && !col.words().are("reason by"))
                    .then(|| quoted("0"))
                })
            }
        }
    }
}

/// Whether a column holds texts people read.
pub(super) const fn is_text(ty: SqlType) -> bool {
    matches!(ty, SqlType::Text | SqlType::Char | SqlType::Any | SqlType::Enum)
}

/// Whether a name is only about where its values come from.
pub(super) fn is_source(name: &str) -> bool {
    Words::of(name).are("source")
}
