//! The whole text, and making it pass its own check.

use std::fmt::Write as _;

use super::entry::{CodeLines, Entry};
use crate::mapping::catalog::Catalog;
use crate::mapping::{Document, MappingProblem, ProblemSeverity, compile};

/// Rounds of compiling and switching off; each round takes at least one thing away.
const ROUNDS: usize = 400;

/// Switches off whatever the compiler refuses, with its words, until nothing is refused.
pub(super) fn settle(catalog: &Catalog, entries: &mut [Entry], codes: &mut Vec<CodeLines>) {
    for _ in 0..ROUNDS {
        if entries.iter().all(|e| e.off.is_some()) {
            return;
        }
        let text = text(catalog, entries, codes, &[]);
        let problems = match Document::parse(&text) {
            Ok(document) => match compile(&document, catalog) {
                Ok(_) => return,
                Err(problems) => problems,
            },
            Err(problems) => problems,
        };
        let errors: Vec<&MappingProblem> =
            problems.iter().filter(|p| p.severity == ProblemSeverity::Error).collect();
        // The problems count the entries of the text that was compiled: one that goes moves no other.
        let standing: Vec<usize> =
            (0..entries.len()).filter(|n| entries[*n].off.is_none()).collect();
        let mut moved = false;
        for problem in &errors {
            moved |= switch_off(entries, &standing, codes, problem);
        }
        if !moved {
            // Nothing the compiler named can be found: the last entry goes, so that there is an end.
            if let Some(entry) = entries.iter_mut().rev().find(|e| e.off.is_none()) {
                let why = errors.first().map_or("it could not be checked", |p| p.message.as_str());
                entry.off = Some(why.to_owned());
            }
        }
    }
}

fn switch_off(
    entries: &mut [Entry],
    standing: &[usize],
    codes: &mut Vec<CodeLines>,
    problem: &MappingProblem,
) -> bool {
    let steps: Vec<String> = problem
        .pointer
        .split('/')
        .skip(1)
        .map(|s| s.replace("~1", "/").replace("~0", "~"))
        .collect();
    let step = |n: usize| steps.get(n).map(String::as_str);
    let why = format!("{} {}", problem.message, problem.hint);
    if step(0) == Some("codes") {
        let before = codes.len();
        codes.retain(|map| Some(map.name.as_str()) != step(1));
        return codes.len() < before;
    }
    let number: Option<usize> = step(1).and_then(|n| n.parse().ok());
    let number = number.and_then(|n| standing.get(n).copied());
    let Some(entry) = number.and_then(|n| entries.get_mut(n)) else { return false };
    if entry.off.is_some() {
        return true;
    }
    let element = match step(2) {
        Some("map") => step(3),
        Some("from") if step(3) == Some("filter") && !entry.filter.is_empty() => {
            let column = step(4).unwrap_or_default().to_owned();
            entry.filter.retain(|(name, _)| !column.is_empty() && *name != column);
            entry.head.push(format!("Its filter on '{column}' was taken away: {why}"));
            return true;
        }
        Some("join") => {
            let alias = format!("{}.", step(3).unwrap_or("?"));
            let mut moved = false;
            for part in entry
                .parts
                .iter_mut()
                .filter(|p| !p.off && p.lines.iter().any(|l| l.contains(&alias)))
            {
                part.off = true;
                part.why = format!("{} REFUSED: {why}", part.why);
                moved = true;
            }
            return moved;
        }
        other => other,
    };
    let part = entry.parts.iter_mut().find(|p| !p.off && Some(p.element) == element);
    if let Some(part) = part {
        part.off = true;
        part.why = format!("{} REFUSED: {why}", part.why);
    } else {
        entry.off = Some(why);
    }
    true
}

/// The document as it stands.
pub(super) fn text(
    catalog: &Catalog,
    entries: &[Entry],
    codes: &[CodeLines],
    others: &[String],
) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    line(
        "# A first mapping, proposed from the tables' names, keys and first rows. Every part says why it is",
    );
    line(
        "# there: `sure` (the schema says so), `likely` (by a name, or by what the cells look like) or `a guess`,",
    );
    line(
        "# which is switched off. Read it from top to bottom, correct it, and run `mapping check` and",
    );
    line(
        "# `mapping preview`. Values of more than two letters seen in fewer than five rows are not listed: they may",
    );
    line("# be a patient's own.");
    line("mapping: 1");
    line("fhir: \"4.0.1\"");
    line(&format!("title: Draft from {}", catalog.engine.as_str()));
    line("# The zone of times that are stored without one; UTC until you say otherwise.");
    line("# database: {timezone: Europe/Madrid}");
    let used: Vec<&CodeLines> = codes
        .iter()
        .filter(|map| entries.iter().any(|e| e.uses(&format!("({})", map.name))))
        .collect();
    if !used.is_empty() {
        line("codes:");
    }
    for map in used {
        map.write(&mut out);
    }
    let off = entries.iter().all(|e| e.off.is_some());
    if off {
        out.push_str("\n# Nothing could be switched on, so there is nothing to check yet: see below why.\nresources: []\n");
    } else {
        out.push_str("\nresources:\n");
    }
    for entry in entries {
        entry.write(&mut out);
    }
    if !others.is_empty() {
        out.push_str("\n# Tables nothing was made of:\n");
        for other in others {
            let _infallible = writeln!(out, "# {other}");
        }
    }
    out
}
