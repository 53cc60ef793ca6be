//! The text of a leaf: `"$col[, $col2] | transform(args) | …"`, or a constant.

/// A leaf taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LeafText {
    /// Everything that does not begin with `$`, and `$$…` with one `$` taken away.
    Constant(String),
    /// Columns through transforms.
    Pipe(Pipe),
}

/// Columns through transforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pipe {
    pub columns: Vec<ColumnName>,
    pub calls: Vec<Call>,
}

/// A column by name, with the alias of a join before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnName {
    pub alias: Option<String>,
    pub name: String,
}

/// A transform with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub name: String,
    pub args: Vec<String>,
}

/// One piece of an id template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdPiece {
    Literal(String),
    Column(String),
}

struct Reader<'t> {
    rest: &'t str,
}

type Parsed<T> = Result<T, String>;

/// Takes a leaf apart; the error says what is wrong with it.
pub(super) fn leaf(text: &str) -> Parsed<LeafText> {
    if let Some(rest) = text.strip_prefix("$$") {
        return Ok(LeafText::Constant(format!("${rest}")));
    }
    if !text.starts_with('$') {
        return Ok(LeafText::Constant(text.to_owned()));
    }
    let mut reader = Reader { rest: text };
    let mut columns = vec![reader.column()?];
    while reader.take(',') {
        reader.blanks();
        columns.push(reader.column()?);
    }
    let mut calls = Vec::new();
    while reader.take('|') {
        calls.push(reader.call()?);
    }
    reader.blanks();
    if reader.rest.is_empty() {
        return Ok(LeafText::Pipe(Pipe { columns, calls }));
    }
    Err(format!("'{}' was not expected here", shown(reader.rest)))
}

/// Takes an id template apart: `adm-$ADM_ID`, `${odd name} | escape`. The second: whether it escapes.
pub(super) fn id_template(text: &str) -> Parsed<(Vec<IdPiece>, bool)> {
    let mut pieces = Vec::new();
    // A name in braces may hold a bar, so it is the last one that counts.
    let piped = text.rsplit_once('|').filter(|(_, call)| !call.contains('}'));
    let (mut rest, escaped) = match piped {
        None => (text, false),
        Some((template, call)) if call.trim() == "escape" => (template.trim_end(), true),
        Some((_, call)) => {
            let call = shown(call.trim());
            return Err(format!("'{call}' is no transform of ids; only `escape` is"));
        }
    };
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('$') {
            let mut reader = Reader { rest: after };
            let name = reader.name()?;
            pieces.push(IdPiece::Column(name));
            rest = reader.rest;
        } else {
            let end = rest.find('$').unwrap_or(rest.len());
            let (literal, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            pieces.push(IdPiece::Literal(literal.to_owned()));
            rest = after;
        }
    }
    Ok((pieces, escaped))
}

/// Reads `name` or `alias.name` as it stands in `filter` and `match`.
pub(super) fn column_name(text: &str) -> ColumnName {
    let text = text.strip_prefix('$').unwrap_or(text);
    match text.split_once('.') {
        Some((alias, name)) if !alias.is_empty() && !name.is_empty() => {
            ColumnName { alias: Some(alias.to_owned()), name: name.to_owned() }
        }
        _ => ColumnName { alias: None, name: text.to_owned() },
    }
}

fn shown(text: &str) -> String {
    text.chars().take(30).collect()
}

fn name_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

impl Reader<'_> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, wanted: char) -> bool {
        self.blanks();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A bare name or one in braces; the `$` is already gone.
    fn name(&mut self) -> Parsed<String> {
        if let Some(rest) = self.rest.strip_prefix('{') {
            let (name, rest) = rest.split_once('}').ok_or("a '}' is missing")?;
            self.rest = rest;
            if name.is_empty() {
                return Err("there is no name between the braces".to_owned());
            }
            return Ok(name.to_owned());
        }
        let end = self.rest.find(|c| !name_char(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end).unwrap_or(("", self.rest));
        self.rest = rest;
        if name.is_empty() {
            return Err("a column name must follow '$'".to_owned());
        }
        Ok(name.to_owned())
    }

    fn column(&mut self) -> Parsed<ColumnName> {
        if !self.take('$') {
            return Err(format!("a column ('$name') was expected at '{}'", shown(self.rest)));
        }
        if self.rest.starts_with('{') {
            return Ok(column_name(&self.name()?));
        }
        let first = self.name()?;
        if let Some(rest) = self.rest.strip_prefix('.') {
            self.rest = rest;
            return Ok(ColumnName { alias: Some(first), name: self.name()? });
        }
        Ok(ColumnName { alias: None, name: first })
    }

    fn call(&mut self) -> Parsed<Call> {
        self.blanks();
        let name = self.name().map_err(|_| "the name of a transform must follow '|'".to_owned())?;
        let mut args = Vec::new();
        if self.take('(') && !self.take(')') {
            loop {
                args.push(self.argument()?);
                if self.take(')') {
                    break;
                }
                if !self.take(',') {
                    return Err(format!("a ',' or ')' is missing after an argument of {name}"));
                }
            }
        }
        Ok(Call { name, args })
    }

    fn argument(&mut self) -> Parsed<String> {
        self.blanks();
        let Some(mut rest) = self.rest.strip_prefix('\'') else {
            let end = self.rest.find([',', ')']).unwrap_or(self.rest.len());
            let (word, after) = self.rest.split_at_checked(end).unwrap_or(("", self.rest));
            self.rest = after;
            let word = word.trim();
            if word.is_empty() || word.contains(['\'', '(', '|']) {
                return Err("an argument is missing or not closed".to_owned());
            }
            return Ok(word.to_owned());
        };
        let mut text = String::new();
        loop {
            let (before, after) = rest.split_once('\'').ok_or("a closing ' is missing")?;
            text.push_str(before);
            rest = after;
            match rest.strip_prefix('\'') {
                Some(after) => {
                    text.push('\'');
                    rest = after;
                }
                None => break,
            }
        }
        self.rest = rest;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pipe(text: &str) -> Pipe {
        match leaf(text).unwrap() {
            LeafText::Pipe(pipe) => pipe,
            LeafText::Constant(c) => panic!("constant {c}"),
        }
    }

    #[test]
    fn columns_transforms_and_arguments() {
        let p =
            pipe("$ap_pat, $m.ap_mat,${odd name} | join(' ') |code( sexo )| bool('1','it''s', 0)");
        assert_eq!(p.columns.len(), 3);
        assert_eq!(p.columns[1].alias.as_deref(), Some("m"));
        assert_eq!(p.columns[2].name, "odd name");
        assert_eq!(p.calls[0].args, [" "]);
        assert_eq!(p.calls[1].args, ["sexo"]);
        assert_eq!(p.calls[2].args, ["1", "it's", "0"]);
        assert_eq!(pipe("$año | trim").columns[0].name, "año");
    }

    #[test]
    fn constants_and_the_escape() {
        assert_eq!(leaf("official"), Ok(LeafText::Constant("official".to_owned())));
        assert_eq!(leaf("$$5 | x"), Ok(LeafText::Constant("$5 | x".to_owned())));
    }

    #[test]
    fn broken_leaves_say_why() {
        for bad in
            ["$", "$a |", "$a | f(", "$a | f('x)", "$a b", "$a, b", "${a", "$a | f(,)", "$a."]
        {
            assert!(leaf(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn id_templates() {
        let (pieces, escaped) = id_template("adm-${ADM ID}-$x").unwrap();
        assert_eq!((pieces.len(), escaped), (4, false));
        assert_eq!(pieces[1], IdPiece::Column("ADM ID".to_owned()));
        let piped = id_template("${a|b}-$c | escape");
        let column = |name: &str| IdPiece::Column(name.to_owned());
        let between = IdPiece::Literal("-".to_owned());
        assert_eq!(piped, Ok((vec![column("a|b"), between, column("c")], true)));
        assert_eq!(id_template("${a|b}"), Ok((vec![column("a|b")], false)));
        for bad in ["a$-", "$a | upper", "$a |"] {
            assert!(id_template(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\$?[$a-z,|(){}' .é]{0,30}") {
            let _ = leaf(&text);
            let _ = id_template(&text);
        }
    }
}
