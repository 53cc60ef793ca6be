//! Named sources: the SELECTs a document names and uses like tables. Here their text is looked at; what
//! it gives is for the database to say, and whether it may run is for an operator.

use super::document::{Document, Node};

/// A source as a document declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredSource {
    /// Its name.
    pub name: String,
    /// Its text, without what stands before and behind.
    pub sql: String,
    /// The columns of its key.
    pub key: Vec<String>,
}

/// Longest text of a source, in bytes.
const MAX_SQL: usize = 20_000;

/// Words that no reading statement needs. Some are functions that do more than compute.
const NEVER: [&str; 55] = [
    "insert",
    "update",
    "delete",
    "merge",
    "replace",
    "truncate",
    "create",
    "alter",
    "drop",
    "rename",
    "grant",
    "revoke",
    "into",
    "outfile",
    "dumpfile",
    "call",
    "exec",
    "execute",
    "do",
    "copy",
    "lock",
    "unlock",
    "set",
    "reset",
    "begin",
    "commit",
    "rollback",
    "savepoint",
    "prepare",
    "deallocate",
    "declare",
    "attach",
    "detach",
    "pragma",
    "vacuum",
    "analyze",
    "explain",
    "listen",
    "notify",
    "load_file",
    "load_extension",
    "pg_sleep",
    "pg_read_file",
    "pg_read_binary_file",
    "pg_ls_dir",
    "lo_import",
    "lo_export",
    "dblink",
    "sleep",
    "benchmark",
    "get_lock",
    "set_config",
    "nextval",
    "setval",
    "pg_terminate_backend",
];

/// Functions among those words that stand for themselves when something is called by that name.
const FUNCTIONS: [&str; 1] = ["replace"];

impl Document {
    /// The named sources whose texts are well-formed; what is wrong with others is said when the
    /// document is compiled.
    pub fn sources(&self) -> Vec<DeclaredSource> {
        let members = self.root().get("sources").map(Node::members).unwrap_or_default();
        members.iter().filter_map(|(name, node)| declared(name, node).ok()).collect()
    }
}

/// Reads one source; the error says what is wrong with its text.
pub(super) fn declared(name: &str, node: &Node) -> Result<DeclaredSource, String> {
    let sql = node.get("sql").and_then(Node::text).ok_or("its `sql` is missing")?;
    let sql = sql.trim().to_owned();
    check(&sql)?;
    let one = |node: &Node| node.text().map(std::borrow::Cow::into_owned);
    let key = match node.get("key") {
        Some(Node::List(items)) => items.iter().filter_map(one).collect(),
        Some(node) => one(node).into_iter().collect(),
        None => Vec::new(),
    };
    Ok(DeclaredSource { name: name.to_owned(), sql, key })
}

/// Whether a text is one SELECT that can stand between brackets: no second statement, no comment, no
/// parameter, nothing that writes, every bracket and quotation closed.
fn check(sql: &str) -> Result<(), String> {
    if sql.len() > MAX_SQL {
        return Err(format!("it is longer than {MAX_SQL} bytes"));
    }
    let mut depth = 0_usize;
    let mut words: Vec<(String, char)> = Vec::new();
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        rest = match c {
            '\'' | '"' | '`' => quoted(after, c)?,
            '(' => {
                depth += 1;
                after
            }
            ')' => {
                depth = depth.checked_sub(1).ok_or("a bracket closes that was not opened")?;
                after
            }
            ';' => return Err("it has a ';': one SELECT alone, without an end mark".to_owned()),
            '\\' | '\0' => return Err("it has a backslash".to_owned()),
            '?' | '$' | '@' | '#' | '{' | '}' => {
                return Err(format!("it has a '{c}': no parameters, variables or comments"));
            }
            ':' if after.starts_with(':') => after.get(1..).unwrap_or_default(),
            ':' => return Err("it has a ':': no parameters".to_owned()),
            '-' if after.starts_with('-') => return Err("it has a comment ('--')".to_owned()),
            '/' if after.starts_with('*') => return Err("it has a comment ('/*')".to_owned()),
            c if c.is_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
                let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
                let next = after.trim_start().chars().next().unwrap_or(' ');
                words.push((word.to_lowercase(), next));
                after
            }
            _ => after,
        };
    }
    if depth > 0 {
        return Err("a bracket is not closed".to_owned());
    }
    if !matches!(words.first().map(|(word, _)| word.as_str()), Some("select" | "with")) {
        return Err("it does not begin with SELECT or WITH".to_owned());
    }
    for (at, (word, next)) in words.iter().enumerate() {
        let function = FUNCTIONS.contains(&word.as_str()) && *next == '(';
        if NEVER.contains(&word.as_str()) && !function {
            return Err(format!("it has the word '{word}'; put a name in quotes that is one"));
        }
        let follows = words.get(at + 1).map(|(word, _)| word.as_str());
        if word == "for" && matches!(follows, Some("update" | "share" | "no" | "key")) {
            return Err("it locks rows".to_owned());
        }
    }
    Ok(())
}

/// What follows a quotation.
fn quoted(text: &str, mark: char) -> Result<&str, String> {
    let mut rest = text;
    loop {
        let (inside, after) = rest.split_once(mark).ok_or("a quotation is not closed")?;
        if inside.contains('\\') || inside.contains('\0') {
            // It ends a quotation on one server and not on the next.
            return Err("it has a backslash in a quotation".to_owned());
        }
        match after.strip_prefix(mark) {
            Some(after) => rest = after,
            None => return Ok(after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_statements_pass() {
        for good in [
            "SELECT rowid AS id, * FROM observations",
            "WITH x AS (SELECT 1 AS a) SELECT a, 'it''s; -- no /* comment' AS b FROM x",
            "SELECT replace(\"update\", '-', '') AS u, value::text FROM t WHERE a - -1 > 2",
            "select `set` from `t` where x in (select y from z)",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn everything_else_does_not() {
        for bad in [
            "",
            "TABLE t",
            "SELECT 1;",
            "SELECT 1; DROP TABLE t",
            "SELECT 1) AS x; SELECT (2",
            "SELECT (1",
            "SELECT 1 -- x",
            "SELECT 1 /* x */",
            "SELECT 1 # x",
            "SELECT 'a",
            "SELECT 'a\\' OR 1=1 --'",
            "SELECT $$a$$",
            "SELECT $1",
            "SELECT ?",
            "SELECT :a",
            "SELECT @@version",
            "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
            "SELECT a INTO b FROM t",
            "SELECT a FROM t INTO OUTFILE '/tmp/x'",
            "SELECT a FROM t FOR UPDATE",
            "SELECT a FROM t FOR NO KEY UPDATE",
            "SELECT pg_sleep(1)",
            "REPLACE INTO t VALUES (1)",
            "EXPLAIN SELECT 1",
            "SELECT\u{0}1",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
