//! Proves from the sources what `docs/ARCHITECTURE.md` says of the rooms: who may use whom, and which
//! room may name which third-party crate. A control plants one of each fault and must find exactly those.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "architecture/source.rs"]
mod source;

use source::{Token, lex, paths, test_files};

/// Room -> the rooms it may use, lowest first. Everything not named here is a fault.
const MAY_USE: &[(&str, &str)] = &[
    ("base", ""),
    ("telemetry", "base"),
    ("fhir", "base"),
    ("mapping", "base fhir"),
    ("keyring", "base telemetry"),
    ("auth", "base telemetry"),
    ("registry", "base telemetry keyring"),
    ("pool", "base telemetry"),
    ("store", "base telemetry mapping pool"),
    ("audit", "base telemetry keyring"),
    ("tenant", "base telemetry mapping keyring auth registry pool audit"),
    ("records", "base telemetry fhir mapping auth pool store audit tenant"),
    ("control", "base telemetry fhir mapping keyring auth registry pool store audit tenant"),
    ("http", "base fhir telemetry auth tenant records control"),
    ("config", "base"),
    (
        "app",
        "base telemetry fhir mapping keyring auth registry pool store audit tenant records control \
         http config",
    ),
    ("cli", "base config app control"),
    // `src/main.rs`
    ("main", "cli"),
];

/// Third-party crate -> the rooms that may name it, `*` for all. A dependency without a row is a fault.
/// Test code may name more, because it stands on the other side of a door.
const DOORS: &[(&str, &str)] = &[
    // Runtime and plain data, common to all.
    (
        "tokio tokio_util futures_util bytes arc_swap serde serde_json tracing thiserror uuid jiff base64",
        "*",
    ),
    // What a mapping's own patterns cut out of texts.
    ("regex", "mapping"),
    // Secrets and keys.
    ("secrecy", "base"),
    ("zeroize", "base keyring auth pool registry config"),
    ("aes_gcm", "keyring"),
    // `pool` computes the proofs that the databases' logins ask for.
    ("aws_lc_rs", "keyring auth pool app audit"),
    ("md_5 md5", "pool"),
    // Databases and the care for them.
    ("sqlx", "pool store registry audit app"),
    ("failsafe governor hickory_resolver webpki_roots", "pool"),
    ("moka", "auth pool tenant"),
    ("rustls tokio_rustls rustls_pki_types", "pool http app"),
    ("rustix", "keyring pool registry audit app"),
    // Identity.
    ("openidconnect", "auth"),
    // `app` asks a running gateway for the command line.
    ("reqwest", "auth app"),
    ("jsonwebtoken", "auth app"),
    // HTTP.
    (
        "axum tower tower_http hyper hyper_util http_body_util utoipa_axum serde_path_to_error",
        "http app",
    ),
    // Views describe their own shape where they are defined; `registry` has the limits, which are stored as
    // they are shown.
    ("utoipa", "control registry http app"),
    ("http", "auth http app"),
    ("maud", "http"),
    // Documents, settings, seeing, the shell.
    ("serde_saphyr", "mapping"),
    ("toml", "config"),
    ("tracing_subscriber metrics_exporter_prometheus", "telemetry"),
    // The recording side only; the names live in `telemetry`.
    ("metrics", "*"),
    ("clap", "cli"),
    // The process's allocator is chosen where the process begins.
    ("mimalloc", "main"),
    ("anyhow", "config app cli"),
];

/// Rooms without input and output, and the modules of `std` and `tokio` they therefore do not name.
const PURE: &[&str] = &["base", "fhir", "mapping"];
const IO: &[&str] =
    &["std::fs", "std::env", "std::process", "tokio::fs", "tokio::net", "tokio::process"];

/// `config` composes the settings of the rooms and takes nothing else from them.
const SETTINGS: &[&str] = &["Config", "Rules", "Limits"];

const LINES: usize = 400;
/// Files that may be longer, with their length today. It only shrinks.
const LONGER: &[(&str, usize)] = &[];

#[test]
fn the_sources_keep_to_the_rooms() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("read Cargo.toml");
    let mut files = BTreeMap::new();
    for folder in ["src", "tests", "benches"] {
        collect(root, &root.join(folder), &mut files);
    }
    assert!(files.len() > 20, "only {} files found", files.len());
    let faults = check(&manifest, &files);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn one_planted_fault_of_each_kind_is_found_and_nothing_else() {
    let plant = |path: &str, text: &str| (PathBuf::from(path), text.to_owned());
    let files = BTreeMap::from([
        plant("src/lib.rs", "pub mod base; pub mod pool; pub use pool::Lease;"),
        plant("src/main.rs", "fn main() { wardgate::cli::run(); wardgate::pool::run() }"),
        plant("src/base/mod.rs", "use super::pool::Lease;\nuse std::{fmt, fs::File};"),
        plant(
            "src/pool/mod.rs",
            "use crate::{base::Engine, store::{Plan, cell}};\n#[cfg(test)]\nmod tests;",
        ),
        plant("src/pool/tests.rs", "use axum::Router; use super::super::base;"),
        plant(
            "src/pool/quiet.rs",
            "// crate::http axum::x\n/* crate::cli /* */ axum:: */ const A: &str = \
              r#\"crate::http \" axum::x\"#; const B: char = '\"'; fn f<'a>(s: &'a str) { b\"\\\" axum::z\"; x::axum::y; }\n\
              #[cfg(test)] mod tests { use super::super::Lease; use axum::Router; fn g() {} }\nuse sqlx::Row;\n\
              pub(in super::super) const B: u8 = 1; fn h() { for x in crate::store::all() {} }",
        ),
        plant("src/records/mod.rs", "#[cfg(test)] use axum::A;\nfn f() { let x: sqlx::Error; }"),
        plant("src/config/mod.rs", "use crate::pool::{PoolConfig, dial::EgressRules, Lease};"),
        plant("src/attic/mod.rs", "use crate::base::Engine;"),
        plant("src/http/mod.rs", "use crate::cellar::X;"),
        plant("tests/long.rs", &"\n".repeat(LINES + 1)),
    ]);
    let faults = check(
        "[dependencies]\nsqlx = \"1\"\n[dependencies.left-pad]\nx = 1\n[dev-dependencies]\nq = \"1\"",
        &files,
    );
    let expected = [
        "Cargo.toml: the dependency left_pad has no door",
        "src/attic/mod.rs: attic is no room",
        "src/base/mod.rs:1: super leaves the room unseen",
        "src/base/mod.rs:2: base does no input or output, yet names std::fs",
        "src/config/mod.rs:1: config may take only settings from pool, not Lease",
        "src/http/mod.rs:1: crate::cellar is no room",
        "src/lib.rs:1: a re-export hides who uses whom",
        "src/main.rs:1: main may not use pool",
        "src/pool/mod.rs:1: pool may not use store",
        "src/pool/quiet.rs:5: pool may not use store",
        "src/pool/tests.rs:1: super leaves the room unseen",
        "src/records/mod.rs:2: records is no door for sqlx",
        "tests/long.rs: 401 lines, more than 400",
    ];
    assert_eq!(faults, expected);
}

/// What `docs/ARCHITECTURE.md` and `src/lib.rs` say of the rooms, room by room in their order.
#[test]
fn the_page_and_the_crate_tell_of_the_same_rooms() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).expect(path);
    let rooms: Vec<_> = MAY_USE.iter().filter(|(room, _)| *room != "main").collect();
    let library = read("src/lib.rs");
    let declared = library.lines().filter_map(|line| line.strip_prefix("pub mod "));
    let declared: Vec<_> = declared.map(|room| room.trim_end_matches(';')).collect();
    assert_eq!(declared, rooms.iter().map(|(room, _)| *room).collect::<Vec<_>>(), "src/lib.rs");
    let page = read("docs/ARCHITECTURE.md");
    let (_, table) =
        page.split_once("| room | holds | may use |\n|---|---|---|\n").expect("a table");
    let rows = table.lines().map_while(|line| line.strip_prefix("| `"));
    let told: Vec<_> = rows
        .enumerate()
        .map(|(at, row)| {
            let (room, _) = row.split_once('`').expect("a room");
            let words = row.trim_end_matches(" |").rsplit_once("| ").expect("a last cell").1;
            let (above, but) = words.split_once(" but ").unwrap_or((words, ""));
            let used: BTreeSet<&str> = match above {
                "–" => BTreeSet::new(),
                "all above" => declared[..at].iter().copied().filter(|room| *room != but).collect(),
                named => named.split(' ').collect(),
            };
            (room, used)
        })
        .collect();
    let known = listed(MAY_USE);
    let known: Vec<_> = rooms.iter().map(|(room, _)| (*room, known[room].clone())).collect();
    assert_eq!(told, known, "docs/ARCHITECTURE.md");
    for (at, (room, used)) in known.iter().enumerate() {
        assert!(
            used.iter().all(|used| declared[..at].contains(used)),
            "{room} uses a room below it"
        );
    }
}

/// All faults, sorted.
fn check(manifest: &str, files: &BTreeMap<PathBuf, String>) -> Vec<String> {
    let mut faults = BTreeSet::new();
    let doors = listed(DOORS);
    for name in dependencies(manifest) {
        if !doors.contains_key(name.as_str()) {
            faults.insert(format!("Cargo.toml: the dependency {name} has no door"));
        }
    }
    let mut tests = Vec::new();
    let lexed: Vec<_> = files
        .iter()
        .map(|(path, text)| {
            let tokens = lex(text);
            tests.extend(test_files(path, &tokens));
            (path, tokens)
        })
        .collect();
    for (path, tokens) in &lexed {
        if path.starts_with("src") {
            let is_test = tests.iter().any(|test| path.starts_with(test));
            check_file(path, tokens, is_test, &doors, &mut faults);
        }
        check_length(path, files[*path].lines().count(), &mut faults);
    }
    for (name, _) in LONGER.iter().filter(|(name, _)| !files.contains_key(Path::new(name))) {
        faults.insert(format!("{name}: is gone; take it off the list of longer files"));
    }
    faults.into_iter().collect()
}

fn check_length(path: &Path, lines: usize, faults: &mut BTreeSet<String>) {
    let shown = path.display();
    match LONGER.iter().find(|(name, _)| Path::new(name) == path) {
        None if lines > LINES => {
            faults.insert(format!("{shown}: {lines} lines, more than {LINES}"))
        }
        Some((_, most)) if lines > *most => {
            faults.insert(format!("{shown}: grew to {lines} lines"))
        }
        Some(_) if lines <= LINES => {
            faults.insert(format!("{shown}: take it off the list of longer files"))
        }
        _ => false,
    };
}

fn check_file(
    path: &Path,
    tokens: &[Token],
    is_test: bool,
    doors: &BTreeMap<&str, BTreeSet<&str>>,
    faults: &mut BTreeSet<String>,
) {
    let shown = path.display();
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    let rooms = listed(MAY_USE);
    let room = match parts.as_slice() {
        [_, file] if file == "lib.rs" => {
            for pair in
                tokens.windows(2).filter(|pair| pair[0].text == "pub" && pair[1].text == "use")
            {
                faults.insert(format!("{shown}:{}: a re-export hides who uses whom", pair[0].line));
            }
            return;
        }
        [_, file] if file == "main.rs" => "main",
        [_, room, ..] => room.as_ref(),
        _ => return,
    };
    let Some(may_use) = rooms.get(room) else {
        faults.insert(format!("{shown}: {room} is no room"));
        return;
    };
    let own_modules: BTreeSet<_> =
        tokens.windows(2).filter(|p| p[0].text == "mod").map(|p| p[1].text.as_str()).collect();
    for named in paths(tokens) {
        let at = format!("{shown}:{}", named.line);
        let segments: Vec<&str> = named.segments.iter().map(String::as_str).collect();
        let supers = segments.iter().filter(|segment| **segment == "super").count();
        // `src/room/mod.rs` is the room itself, every folder and file below it one step deeper.
        let steps = parts.len() - 2 - usize::from(parts.ends_with(&["mod.rs".into()]));
        let used = match segments.as_slice() {
            _ if room != "main" && supers > steps + named.inline => {
                faults.insert(format!("{at}: super leaves the room unseen"));
                continue;
            }
            ["crate" | "wardgate", used, ..] => *used,
            [first, rest @ ..] => {
                if !is_test && !named.in_test {
                    if let Some(open_to) = doors.get(first).filter(|_| !own_modules.contains(first))
                        && !open_to.contains("*")
                        && !open_to.contains(room)
                    {
                        faults.insert(format!("{at}: {room} is no door for {first}"));
                    }
                    let module = format!("{first}::{}", rest.first().unwrap_or(&""));
                    if PURE.contains(&room) && IO.contains(&module.as_str()) {
                        faults.insert(format!(
                            "{at}: {room} does no input or output, yet names {module}"
                        ));
                    }
                }
                continue;
            }
            [] => continue,
        };
        if !rooms.contains_key(used) {
            faults.insert(format!("{at}: crate::{used} is no room"));
        } else if room == "config" && used != "base" && used != "config" {
            let is_setting = |name: &&str| SETTINGS.iter().any(|suffix| name.ends_with(suffix));
            if !segments[2..].iter().any(is_setting) {
                let what = segments.last().unwrap_or(&"");
                faults
                    .insert(format!("{at}: config may take only settings from {used}, not {what}"));
            }
        } else if used != room && !may_use.contains(used) {
            faults.insert(format!("{at}: {room} may not use {used}"));
        }
    }
}

/// `("a b", "c d")` rows as a map from each of `a`, `b` to the set of `c`, `d`.
fn listed<'t>(rows: &[(&'t str, &'t str)]) -> BTreeMap<&'t str, BTreeSet<&'t str>> {
    let row = |(names, values): &(&'t str, &'t str)| {
        let (names, values) = (*names, *values);
        names.split_whitespace().map(move |name| (name, values.split_whitespace().collect()))
    };
    rows.iter().flat_map(row).collect()
}

/// The crates of `[dependencies]`, as the sources spell them.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end().trim_end_matches(']');
            inside = section == "dependencies";
            names.extend(section.strip_prefix("dependencies.").map(|name| name.replace('-', "_")));
        } else if inside
            && !line.starts_with('#')
            && let Some((name, _)) = line.split_once('=')
        {
            names.push(name.trim().replace('-', "_"));
        }
    }
    names
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("list a folder").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("read a source file");
            files.insert(path.strip_prefix(root).expect("a path below the root").to_owned(), text);
        }
    }
}
