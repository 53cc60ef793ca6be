//! What a draft is made of: entries with parts, each of which stands or is commented out on its own.

use super::recognise::Sure;

/// One element of an entry's `map`, or `version` or `last_updated` beside it.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Its name in the document.
    pub element: &'static str,
    /// Its YAML, the first line beginning with the name.
    pub lines: Vec<String>,
    pub sure: Sure,
    /// Why it was guessed, what was seen.
    pub why: String,
    /// Whether it is commented out.
    pub off: bool,
    /// Whether it stands beside `map`, not in it.
    pub beside: bool,
}

/// A table that is joined to an entry's own.
#[derive(Debug, Clone)]
pub(super) struct JoinLine {
    pub alias: String,
    pub table: String,
    /// The table's schema when it is not the default one.
    pub schema: Option<String>,
    /// Their column, our column.
    pub on: Vec<(String, String)>,
    /// Its place in the catalogue.
    pub number: usize,
}

/// A code map.
#[derive(Debug, Clone)]
pub(super) struct CodeLines {
    pub name: String,
    pub entries: Vec<(String, String)>,
    pub otherwise: Option<&'static str>,
    pub missing: Option<&'static str>,
    pub why: String,
}

/// One entry of `resources`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub name: String,
    pub ty: &'static str,
    pub table: String,
    pub schema: Option<String>,
    /// Column, and what it must be as YAML.
    pub filter: Vec<(String, String)>,
    pub joins: Vec<JoinLine>,
    pub key: Vec<String>,
    pub id: String,
    /// Lines of `cases:`.
    pub cases: Vec<String>,
    pub parts: Vec<Part>,
    /// What is said above it.
    pub head: Vec<String>,
    /// What is said below it: columns nothing was made of.
    pub left: Vec<String>,
    /// Why the whole is commented out.
    pub off: Option<String>,
}

/// A text in YAML's double quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A name as YAML takes it without quotes, or in them.
pub(super) fn plain(name: &str) -> String {
    let simple = !name.is_empty()
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&name.to_lowercase().as_str());
    if simple { name.to_owned() } else { quoted(name) }
}

/// A text that stands in a comment: one line, no control characters, not too long.
pub(super) fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect()
}

impl Part {
    pub fn new(
        element: &'static str,
        lines: Vec<String>,
        sure: Sure,
        why: impl Into<String>,
    ) -> Self {
        let off = sure == Sure::Guess;
        Self { element, lines, sure, why: why.into(), off, beside: false }
    }
}

/// Writes lines, commented out or not.
fn push(out: &mut String, indent: usize, off: bool, line: &str) {
    for _ in 0..indent {
        out.push(' ');
    }
    if off {
        out.push_str("# ");
    }
    out.push_str(line);
    out.push('\n');
}

impl Entry {
    /// Whether a join or a code map is used by something that stands.
    pub fn uses(&self, what: &str) -> bool {
        let said = |line: &String| line.contains(what);
        self.off.is_none() && self.parts.iter().any(|p| !p.off && p.lines.iter().any(said))
            || self.off.is_none()
                && self.joins.iter().any(|j| j.on.iter().any(|(_, ours)| ours.contains(what)))
    }

    /// Appends the entry as an item of `resources`.
    pub fn write(&self, out: &mut String) {
        let off = self.off.is_some();
        out.push('\n');
        for line in &self.head {
            push(out, 2, true, &comment(line));
        }
        if let Some(why) = &self.off {
            push(out, 2, true, &comment(&format!("SWITCHED OFF: {why}")));
        }
        push(out, 2, off, &format!("- name: {}", plain(&self.name)));
        push(out, 4, off, &format!("type: {}", self.ty));
        let schema = self.schema.as_ref().map(|s| format!(", schema: {}", plain(s)));
        let filter = self.filter.iter().map(|(c, v)| format!("{}: {v}", plain(c)));
        let filter: Vec<String> = filter.collect();
        let filter = if filter.is_empty() {
            String::new()
        } else {
            format!(", filter: {{{}}}", filter.join(", "))
        };
        let from = format!(
            "from: {{table: {}{}{filter}}}",
            plain(&self.table),
            schema.unwrap_or_default()
        );
        push(out, 4, off, &from);
        let joins: Vec<&JoinLine> =
            self.joins.iter().filter(|j| off || self.uses(&format!("{}.", j.alias))).collect();
        if !joins.is_empty() {
            push(out, 4, off, "join:");
            for join in joins {
                let on = join.on.iter().map(|(a, b)| format!("{}: {}", plain(a), plain(b)));
                let on: Vec<String> = on.collect();
                let schema = join.schema.as_ref().map(|s| format!(", schema: {}", plain(s)));
                let (alias, table) = (&join.alias, plain(&join.table));
                let schema = schema.unwrap_or_default();
                let line =
                    format!("{alias}: {{table: {table}{schema}, match: {{{}}}}}", on.join(", "));
                push(out, 6, off, &line);
            }
        }
        let key: Vec<String> = self.key.iter().map(|c| plain(c)).collect();
        let key = if key.is_empty() {
            "key: [?]".to_owned()
        } else {
            format!("key: [{}]", key.join(", "))
        };
        push(out, 4, off, &key);
        push(out, 4, off, &format!("id: {}", quoted(&self.id)));
        if !self.cases.is_empty() {
            push(out, 4, off, "cases:");
            self.cases.iter().for_each(|line| push(out, 6, off, line));
        }
        self.parts.iter().filter(|p| p.beside).for_each(|p| p.write(out, 4, off));
        push(out, 4, off, "map:");
        self.parts.iter().filter(|p| !p.beside).for_each(|p| p.write(out, 6, off));
        for line in &self.left {
            push(out, 4, true, &comment(line));
        }
    }
}

impl Part {
    fn write(&self, out: &mut String, indent: usize, off: bool) {
        let switched = if self.off { " (switched off)" } else { "" };
        push(out, indent, true, &comment(&format!("{}{switched}: {}", self.sure.word(), self.why)));
        for line in &self.lines {
            push(out, indent, off || self.off, line);
        }
    }
}

impl CodeLines {
    /// Appends the map as a member of `codes`.
    pub fn write(&self, out: &mut String) {
        push(out, 2, true, &comment(&self.why));
        push(out, 2, false, &format!("{}:", plain(&self.name)));
        push(out, 4, false, "values:");
        for (key, code) in &self.entries {
            push(out, 6, false, &format!("{}: {}", quoted(key), quoted(code)));
        }
        for (word, code) in [("otherwise", self.otherwise), ("missing", self.missing)] {
            if let Some(code) = code {
                push(out, 4, false, &format!("{word}: {code}"));
            }
        }
    }
}
