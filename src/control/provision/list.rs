//! A list of hospitals as people have it: one a line, or a table copied out of a spreadsheet.

use super::several::ListedTenant;
use crate::control::ControlFault;
use crate::control::view::IdentityView;

/// A line that names a hospital.
#[derive(Debug, PartialEq, Eq)]
pub struct ListLine {
    /// Its number in the text, from 1.
    pub number: usize,
    /// Slug.
    pub name: String,
    /// Name for people, where there is one.
    pub display_name: Option<String>,
    /// Value of the tenant claim, where it is another than the slug.
    pub claim: Option<String>,
}

impl ListLine {
    /// The hospital it names, whose users that issuer vouches for with these clients.
    pub fn tenant(&self, issuer: &str, azp: &[String]) -> ListedTenant {
        ListedTenant {
            name: self.name.clone(),
            display_name: self.display_name.clone(),
            identities: vec![IdentityView {
                issuer: issuer.to_owned(),
                claim_value: Some(self.claim.clone().unwrap_or_else(|| self.name.clone())),
                azp: azp.to_vec(),
            }],
        }
    }
}

/// What is wrong with a list, by the numbers of the lines it was read from; empty for a fault of another kind.
pub fn faults_by_line(lines: &[ListLine], fault: &ControlFault) -> Vec<(usize, String)> {
    let ControlFault::List(faults) = fault else { return Vec::new() };
    let place = |pointer: &str| pointer.split('/').nth(2)?.parse::<usize>().ok();
    let line = |pointer: &str| Some(lines.get(place(pointer)?)?.number);
    faults.iter().map(|f| (line(&f.pointer).unwrap_or_default(), f.message.clone())).collect()
}

/// The lines of a text with what is wrong with each that cannot be read. Cells stand apart by tabs, semicolons or
/// commas, whichever comes first in the text; a cell in double quotes may hold any of them (RFC 4180). Empty lines
/// count for nothing, and neither does a first line whose first cell is `name`.
pub fn read_list(text: &str) -> (Vec<ListLine>, Vec<(usize, &'static str)>) {
    let (apart, mut lines, mut faults) = (separator(text), Vec::new(), Vec::new());
    let mut first = true;
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let heading = std::mem::take(&mut first);
        let Some(cells) = cells(line, apart) else {
            faults
                .push((number, "a double quote is not closed, or stands in the middle of a cell"));
            continue;
        };
        if heading && cells[0].eq_ignore_ascii_case("name") {
            continue;
        }
        if cells.iter().skip(3).any(|cell| !cell.is_empty()) {
            faults
                .push((number, "a line has a name, a name for people and a claim value, no more"));
            continue;
        }
        let mut cells = cells.into_iter();
        let mut next = || cells.next().filter(|cell| !cell.is_empty());
        let (name, display_name, claim) = (next().unwrap_or_default(), next(), next());
        lines.push(ListLine { number, name, display_name, claim });
    }
    (lines, faults)
}

/// What stands between cells: the first that is found outside of quotes.
fn separator(text: &str) -> char {
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            '\t' | ';' | ',' if !quoted => return letter,
            _ => {}
        }
    }
    ','
}

/// A line's cells without white space around them, at least one; nothing where its quotes do not pair.
fn cells(line: &str, apart: char) -> Option<Vec<String>> {
    let (mut cells, mut rest) = (Vec::new(), line.trim_end_matches(['\r', '\n']));
    loop {
        let begun = rest.trim_start_matches(' ');
        let (cell, after) = match begun.strip_prefix('"') {
            None => {
                let end = rest.find(apart).unwrap_or(rest.len());
                let (cell, after) = rest.split_at(end);
                if cell.contains('"') {
                    return None;
                }
                (cell.trim().to_owned(), after)
            }
            Some(quoted) => {
                let (cell, after) = unquoted(quoted)?;
                (cell.trim().to_owned(), after.trim_start_matches(' '))
            }
        };
        cells.push(cell);
        match after.strip_prefix(apart) {
            Some(more) => rest = more,
            None if after.trim().is_empty() => return Some(cells),
            None => return None,
        }
    }
}

/// A quoted cell from behind its first quote, in which two quotes are one, and what follows its last.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let (mut cell, mut rest) = (String::new(), text);
    loop {
        let (part, after) = rest.split_once('"')?;
        cell.push_str(part);
        let Some(more) = after.strip_prefix('"') else { return Some((cell, after)) };
        cell.push('"');
        rest = more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> Vec<(usize, String)> {
        let (lines, faults) = read_list(text);
        assert_eq!(faults, [], "{text:?}");
        let cell = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
        let line =
            |l: ListLine| (l.number, [l.name, cell(l.display_name), cell(l.claim)].join("|"));
        lines.into_iter().map(line).collect()
    }

    #[test]
    fn names_alone_and_tables_of_all_kinds_are_read() {
        for (text, expected) in [
            ("east\r\n\r\n  west \n", vec![(1, "east|-|-"), (3, "west|-|-")]),
            ("name,display\neast,East\n", vec![(2, "east|East|-")]),
            ("Name\neast", vec![(2, "east|-|-")]),
            ("east, East House , e1", vec![(1, "east|East House|e1")]),
            (
                "east;St. Mary, North;e-1\nwest;;w",
                vec![(1, "east|St. Mary, North|e-1"), (2, "west|-|w")],
            ),
            ("east\tSt. Mary; North\twest", vec![(1, "east|St. Mary; North|west")]),
            ("east,\"St. Mary, \"\"North\"\"\",e", vec![(1, "east|St. Mary, \"North\"|e")]),
            ("\"east;1\";x", vec![(1, "east;1|x|-")]),
            ("east,East,e,,", vec![(1, "east|East|e")]),
            (",nameless", vec![(1, "|nameless|-")]),
            ("east\nname", vec![(1, "east|-|-"), (2, "name|-|-")]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(n, s)| (n, s.to_owned())).collect();
            assert_eq!(read_all(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line() {
        let text = "east\nwest,\"open\nsouth,a\"b\nnorth,\"x\"y\nhill,a,b,c\nlake";
        let (lines, faults) = read_list(text);
        let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
        let numbers: Vec<_> = faults.iter().map(|(number, _)| *number).collect();
        assert_eq!((names, numbers), (vec!["east", "lake"], vec![2, 3, 4, 5]));
    }
}
