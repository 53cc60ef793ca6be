//! What came of trying a mapping, for people.

use crate::cli::output::table;
use crate::control::{BrokenRule, ElementTrial, SearchTrial, SourceTrial, TrialView, misfit_cure};

/// The lines of a trial: per source, what did not go well; per search, what it costs.
pub(super) fn lines(trial: &TrialView) -> Vec<String> {
    let mut lines: Vec<String> = trial.sources.iter().flat_map(brief).collect();
    for one in trial.searches.iter().filter(|s| !s.scans.is_empty()) {
        lines.push(search(one));
        let columns = one.indexes.iter().map(|index| format!("{} ({})", index.table, index.column));
        let columns: Vec<String> = columns.collect();
        if !columns.is_empty() {
            lines.push(format!(
                "  an index of folded texts would serve {}; `mapping preview` prints the statement",
                columns.join(", ")
            ));
        }
    }
    if trial.cut_short {
        lines.push("time ran out before everything was tried".to_owned());
    }
    lines
}

/// Every element of every source, and every statement.
pub(super) fn whole(trial: &TrialView) -> Vec<String> {
    let mut lines = Vec::new();
    for source in &trial.sources {
        lines.push(String::new());
        lines.push(head(source));
        let rows: Vec<Vec<String>> = source.elements.iter().map(element).collect();
        if !rows.is_empty() {
            lines.push(table(&["ELEMENT", "COLUMNS", "FILLED", "EMPTY", "DO NOT FIT"], &rows));
        }
        lines.extend(left_out(source));
        lines.extend(broken(source));
        for statement in &source.statements {
            let scans = if statement.scans.is_empty() {
                "uses an index".to_owned()
            } else {
                format!("reads all of {}", statement.scans.join(", "))
            };
            let rows = statement.rows.map_or(String::new(), |n| format!(", expects {n} rows"));
            lines.push(format!("statement of {}: {scans}{rows}", statement.what));
        }
    }
    lines.push(String::new());
    lines.extend(trial.searches.iter().map(search));
    let mut made: Vec<&str> = Vec::new();
    for index in trial.searches.iter().flat_map(|search| &search.indexes) {
        if !made.contains(&index.statement.as_str()) {
            made.push(&index.statement);
            lines.push(format!("{};", index.statement));
        }
    }
    if trial.cut_short {
        lines.push("time ran out before everything was tried".to_owned());
    }
    lines
}

fn head(source: &SourceTrial) -> String {
    let SourceTrial { resource_type, table, id, rows, written, millis, .. } = source;
    // Of one row's several resources it is the id that says which is meant.
    let id = if id.starts_with('$') || id.is_empty() { String::new() } else { format!(" ({id})") };
    match &source.failed {
        Some(why) => format!("{resource_type} from {table}{id}: not tried: {why}"),
        None => format!(
            "{resource_type} from {table}{id}: {written} of {rows} rows give a resource, {millis} ms"
        ),
    }
}

fn element(element: &ElementTrial) -> Vec<String> {
    vec![
        element.path.clone(),
        element.columns.join(", "),
        element.filled.to_string(),
        element.empty.to_string(),
        element.bad.to_string(),
    ]
}

fn left_out(source: &SourceTrial) -> impl Iterator<Item = String> {
    source.left_out.iter().map(|lost| {
        let (path, count) = (&lost.path, lost.count);
        if path == "id" {
            return format!(
                "  {count} rows left out: their key makes no FHIR id (1 to 64 of A-Z, a-z, 0-9, '-' and '.'); `id: \"… | escape\"` writes others so that they are (cookbook, \"Keys that are no FHIR ids\")"
            );
        }
        format!("  {count} rows left out: they lack {path}")
    })
}

/// Resources are served as they are; a validator refuses these.
fn broken(source: &SourceTrial) -> impl Iterator<Item = String> {
    source.broken.iter().map(|broken| {
        let BrokenRule { rule, says, cure, count } = broken;
        format!(
            "  {count} of {} resources break FHIR's rule {rule}, {says}: {cure}",
            source.written
        )
    })
}

fn brief(source: &SourceTrial) -> Vec<String> {
    let mut lines = vec![head(source)];
    lines.extend(left_out(source));
    lines.extend(broken(source));
    for element in source.elements.iter().filter(|e| e.bad > 0) {
        let of = element.filled + element.empty + element.bad;
        let (path, columns) = (&element.path, element.columns.join(", "));
        let cure = misfit_cure(path, element.bad, of);
        let cure = cure.map(|cure| format!(": {cure}")).unwrap_or_default();
        lines.push(format!("  {} of {of} cells do not fit {path} ({columns}){cure}", element.bad));
    }
    lines.extend(source.elements.iter().filter(|e| e.no_date > 0).map(no_date));
    lines.extend(source.elements.iter().filter(|e| e.lost > 0).map(lost));
    lines
}

/// A reference that leads to nothing is no fault of FHIR's; what it is here is for people to say.
fn lost(element: &ElementTrial) -> String {
    let ElementTrial { path, columns, filled, lost, lost_words, .. } = element;
    let columns = columns.join(", ");
    let words: Vec<String> = lost_words.iter().map(|word| format!("'{word}'")).collect();
    let cure = if words.is_empty() {
        "rows that are gone, or that no mapped table or filter shows".to_owned()
    } else {
        let words = words.join(", ");
        format!("{words} among them; where it stands for none, `| null({words})` leaves it out")
    };
    format!("  {lost} of {filled} references {path} ({columns}) lead to nothing: {cure}")
}

/// A day of the year 1 is nobody's, though it is a day; so it is for people to say.
fn no_date(element: &ElementTrial) -> String {
    let ElementTrial { path, columns, filled, no_date, .. } = element;
    format!(
        "  {no_date} of {filled} values of {path} ({}) lie on a day that stands for none in many systems, such as \
         0001-01-01, 1900-01-01 or 9999-12-31; if it does here, `| null('0001-01-01')` leaves it out",
        columns.join(", ")
    )
}

fn search(search: &SearchTrial) -> String {
    let SearchTrial { resource_type, parameters, scans, .. } = search;
    let cost = if scans.is_empty() {
        "use an index".to_owned()
    } else {
        format!("read all of {}", scans.join(", "))
    };
    format!("searches of {resource_type} by {} {cost}", parameters.join(", "))
}
