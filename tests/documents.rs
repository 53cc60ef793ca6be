//! The documents against the repository: links and anchors, files and settings that are named, the list of pages,
//! the tables of failures and of rooms. A control plants one fault of each kind and must find exactly those.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Folders whose files may be named by their path from the root.
const FOLDERS: [&str; 9] = [
    ".ci/",
    "benches/",
    "config/",
    "docs/",
    "registry-migrations/",
    "src/",
    "tenant-migrations/",
    "tests/",
    "tools/",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// All pages by their path from the root.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(root().to_owned(), false)];
    folders.extend(FOLDERS.map(|folder| (root().join(folder), true)));
    while let Some((folder, deep)) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("list a folder") {
            let path = entry.expect("list a folder").path();
            if path.is_dir() && deep && !path.ends_with("node_modules") {
                folders.push((path, true));
            } else if path.extension().is_some_and(|kind| kind == "md") {
                let text = fs::read_to_string(&path).expect("read a page");
                found.insert(path.strip_prefix(root()).expect("below the root").to_owned(), text);
            }
        }
    }
    found
}

/// The lines that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// What a heading is linked by, as the usual forges make it.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in prose(text).filter(|line| line.starts_with('#')) {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let mut unique = anchor.clone();
        while !found.insert(unique.clone()) {
            let count = unique.strip_prefix(&format!("{anchor}-")).and_then(|n| n.parse().ok());
            unique = format!("{anchor}-{}", count.unwrap_or(0) + 1);
        }
    }
    found
}

fn between<'t>(text: &'t str, open: &'static str, close: char) -> impl Iterator<Item = &'t str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split_once(close).map(|(part, _)| part))
}

/// `docs/../README.md` as `README.md`.
fn resolved(from: &Path, link: &str) -> PathBuf {
    let mut path = from.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => _ = path.pop(),
            part => path.push(part),
        }
    }
    path
}

/// `[pool] max_connections` where there is no such setting.
fn unknown_settings(text: &str, settings: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for named in between(text, "`[", '`') {
        let Some((section, rest)) = named.trim_start_matches('[').split_once(']') else { continue };
        let key: String = rest
            .trim_start_matches([']', ' ', '.'])
            .chars()
            .take_while(|c| c.is_ascii_lowercase() || *c == '_')
            .collect();
        let is_section = settings.iter().any(|s| s.split('.').next() == Some(section));
        let setting = format!("{section}.{key}");
        if is_section && !key.is_empty() && !settings.contains(&setting) {
            found.push(setting);
        }
    }
    found
}

/// All faults of the pages.
fn faults(pages: &BTreeMap<PathBuf, String>, settings: &BTreeSet<String>) -> Vec<String> {
    let anchors: BTreeMap<_, _> = pages.iter().map(|(page, text)| (page, anchors(text))).collect();
    let exists = |path: &Path| pages.contains_key(path) || root().join(path).exists();
    let mut faults = Vec::new();
    for (page, text) in pages {
        let shown = page.display();
        let text: String = prose(text).flat_map(|line| [line, "\n"]).collect();
        for link in between(&text, "](", ')').filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let to = if file.is_empty() { page.clone() } else { resolved(page, file) };
            if !exists(&to) {
                faults.push(format!("{shown}: {link} leads nowhere"));
            } else if !anchor.is_empty()
                && !anchors.get(&to).is_some_and(|all| all.contains(anchor))
            {
                faults.push(format!("{shown}: {link} has no such heading"));
            }
        }
        for named in text.split('`').skip(1).step_by(2) {
            let pattern = named.contains(['*', '{', '…', ' ', '\n']);
            if FOLDERS.iter().any(|folder| named.starts_with(folder)) && !pattern {
                let path = named.split_once("::").map_or(named, |(path, _)| path);
                if !exists(Path::new(path)) {
                    faults.push(format!("{shown}: {named} is not there"));
                }
            }
        }
        let unknown = unknown_settings(&text, settings);
        faults.extend(unknown.iter().map(|setting| format!("{shown}: no setting {setting}")));
    }
    faults
}

/// Every setting of the example, also those that are commented out, as `section.key`.
fn settings() -> BTreeSet<String> {
    let mut section = String::new();
    let mut found = BTreeSet::new();
    for line in read("config/wardgate.toml").lines() {
        let line = line.trim_start_matches(['#', ' ']);
        if let Some(name) = line.strip_prefix('[') {
            name.trim_start_matches('[')
                .split(']')
                .next()
                .unwrap_or_default()
                .clone_into(&mut section);
        } else if let Some((key, _)) = line.split_once(" = ") {
            found.insert(format!("{section}.{key}"));
        }
    }
    found
}

#[test]
fn what_the_pages_name_is_there() {
    let (pages, settings) = (pages(), settings());
    assert!(pages.len() > 30 && settings.len() > 40, "{} {}", pages.len(), settings.len());
    let faults = faults(&pages, &settings);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn one_planted_fault_of_each_kind_is_found_and_nothing_else() {
    let plant = |path: &str, text: &str| (PathBuf::from(path), text.to_owned());
    let pages = BTreeMap::from([
        plant(
            "README.md",
            "# Top\n[a](docs/A.md#what-is-it), [b](docs/A.md#gone), [c](docs/GONE.md)\n",
        ),
        plant(
            "docs/A.md",
            "# What is it?\n# Twice\n# Twice\n[up](../README.md#top) [again](#twice-1) [x](https://x.test/gone)\n\
             `src/lib.rs` `src/gone.rs` `docs/*.md` `[pool] acquire_timeout` `[pool] acquire_timout` `[1]`\n\
             ```\n[no](link) `src/none.rs`\n```\n",
        ),
    ]);
    let expected = [
        "README.md: docs/A.md#gone has no such heading",
        "README.md: docs/GONE.md leads nowhere",
        "docs/A.md: src/gone.rs is not there",
        "docs/A.md: no setting pool.acquire_timout",
    ];
    assert_eq!(faults(&pages, &settings()), expected);
}

#[test]
fn what_was_measured_is_kept() {
    let page = read("docs/evidence/README.md");
    let named: Vec<_> =
        page.split('`').skip(1).step_by(2).filter_map(|name| name.strip_suffix(".txt")).collect();
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        let file = format!("docs/evidence/{name}.txt");
        assert!(root().join(&file).exists(), "{file} is not there");
    }
}

#[test]
fn every_page_can_be_found() {
    let (readme, decisions) = (read("README.md"), read("docs/decisions/README.md"));
    for page in pages().keys() {
        let shown = page.display().to_string();
        let name = page.file_name().and_then(|name| name.to_str()).expect("a name");
        let found = match page.parent().and_then(Path::to_str).expect("a folder") {
            "docs/decisions" => name == "README.md" || decisions.contains(&format!("({name})")),
            "docs" | "docs/mapping" => readme.contains(&format!("({shown})")),
            _ => true,
        };
        assert!(found, "no list of pages names {shown}");
    }
}

/// The first cells of a table's rows, without backticks, below a heading.
fn first_cells(text: &str, heading: &str) -> BTreeSet<String> {
    let (_, section) = text.split_once(&format!("# {heading}\n")).expect("a heading");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells.flat_map(|cell| cell.split(", ")).map(|cell| cell.replace('`', "")).collect()
}

fn sources(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).expect("list a folder") {
        let path = entry.expect("list a folder").path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push_str(&fs::read_to_string(&path).expect("read a source file"));
        }
    }
}

/// A name that is explained and drawn, and that nothing is ever counted under, tells people that all is well.
#[test]
fn every_metric_is_recorded() {
    let mut source = String::new();
    sources(&root().join("src"), &mut source);
    let mut count = 0;
    for file in ["src/telemetry/metric.rs", "src/telemetry/pool_metrics.rs"] {
        let text = read(file);
        for (name, _) in between(&text, "pub const ", ';')
            .filter_map(|line| line.split_once(": &str = \"wardgate_"))
        {
            count += 1;
            let used = between(&source, "names::", ' ').chain(between(&source, "metrics::", ' '));
            let mut words =
                used.map(|rest| rest.split(|c: char| !c.is_ascii_uppercase() && c != '_').next());
            assert!(
                words.any(|word| word == Some(name)),
                "{file}: nothing is recorded under {name}"
            );
        }
    }
    assert!(count > 25, "{count}");
}

#[test]
fn every_kind_of_failure_is_explained_with_its_status() {
    let (page, source) = (read("docs/ERRORS.md"), read("src/base/fault.rs"));
    let labels: Vec<_> = between(&source, "=> \"", '"').collect();
    let statuses: Vec<_> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("/// "))
        .filter_map(|line| {
            line.split(". ")
                .find_map(|part| part.trim_end_matches('.').get(..3)?.parse::<u16>().ok())
        })
        .collect();
    assert!(labels.len() > 10 && labels.len() == statuses.len(), "{labels:?} {statuses:?}");
    for (label, status) in labels.iter().zip(&statuses) {
        assert!(page.contains(&format!("\n| {label} | {status} | ")), "{label} {status}");
    }
    let rows = first_cells(&page, "Errors");
    let known = labels.iter().map(|label| (*label).to_owned()).chain(["kind".to_owned()]);
    assert_eq!(rows, known.collect(), "and no other");
}

#[test]
fn every_code_of_a_failed_operation_is_explained() {
    let explained = first_cells(&read("docs/ERRORS.md"), "Operations that failed");
    let mut source = String::new();
    sources(&root().join("src/control"), &mut source);
    let words = |open| between(&source, open, '"').map(str::to_owned).collect::<Vec<_>>();
    let without_breaks = source.split_whitespace().collect::<Vec<_>>().join(" ");
    let broken = between(&without_breaks, "lasting( \"", '"').chain(between(
        &without_breaks,
        "passing( \"",
        '"',
    ));
    let mut used: BTreeSet<String> = broken.map(str::to_owned).collect();
    used.extend(words("lasting(\""));
    used.extend(words("passing(\""));
    used.remove("");
    assert!(used.len() > 10, "{used:?}");
    let missing: Vec<_> = used.difference(&explained).collect();
    assert!(missing.is_empty(), "docs/ERRORS.md does not explain {missing:?}");
}
