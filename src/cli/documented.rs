//! Every command line that a page, a setting's comment or a hint of the program names is one that can be typed.

use std::fs;
use std::path::Path;

use clap::Parser as _;
use clap::error::ErrorKind;

use super::args::Cli;

/// Where commands are named: these files, and those with these endings below these folders.
const FILES: [&str; 3] = ["README.md", "CHANGELOG.md", "SECURITY.md"];
const FOLDERS: [&str; 3] = ["docs", "config", "src"];
const KINDS: [&str; 4] = ["md", "toml", "yml", "rs"];

fn texts(path: &Path, found: &mut Vec<(String, String)>) {
    let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            texts(&entry.unwrap().path(), found);
        }
    } else if KINDS.contains(&kind) {
        found.push((path.display().to_string(), fs::read_to_string(path).unwrap()));
    }
}

/// The command lines of a shell's block, and all else that stands between backticks.
fn commands(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut typed, mut named) = (Vec::new(), Vec::new());
    let mut prose = String::new();
    // Whether it is a shell's, and its text.
    let mut inside: Option<(bool, String)> = None;
    for line in text.lines().map(str::trim_start) {
        match (&mut inside, line.strip_prefix("```")) {
            (None, Some(tag)) => inside = Some((matches!(tag, "sh" | ""), String::new())),
            (Some((shell, block)), Some(_)) => {
                if *shell {
                    typed.extend(block.replace("\\\n", " ").lines().filter_map(typed_in));
                }
                inside = None;
            }
            (Some((_, block)), None) => block.extend([line, "\n"]),
            (None, None) => {
                // What is named may go over two lines of a page or of a string.
                let line = line.trim_start_matches(['/', '!', '#', ' ']);
                prose.extend([line.strip_suffix('\\').unwrap_or(line), " "]);
                if line.is_empty() || line.ends_with(';') || line.ends_with('|') {
                    named.extend(prose.split('`').skip(1).step_by(2).filter_map(typed_in));
                    prose.clear();
                }
            }
        }
    }
    named.extend(prose.split('`').skip(1).step_by(2).filter_map(typed_in));
    (typed, named)
}

/// The call of the program in a line, without what a shell does with it.
fn typed_in(line: &str) -> Option<String> {
    let line = line.trim_start_matches("$ ").trim_start();
    let call = line.strip_prefix("wardgate ")?;
    let call = call.split([';', '|', '>', '#']).next().unwrap_or_default();
    let call = call.trim_end_matches(['.', ',', ' ']);
    // The words that signatures and derived keys begin with end so.
    (!call.ends_with(" v1")).then(|| call.to_owned())
}

fn judged(call: &str) -> Result<Cli, clap::Error> {
    let words = call.split_whitespace().filter(|word| *word != "…");
    let words = words.map(|word| word.trim_matches(['"', '[', ']']));
    Cli::try_parse_from(["wardgate"].into_iter().chain(words))
}

/// Why a call that somebody is told to type could not be.
fn fault_of(call: &str, whole: bool) -> Option<String> {
    let fault = judged(call).err()?;
    let cut_short = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    let fine =
        fault.kind() == ErrorKind::DisplayHelp || (!whole && cut_short.contains(&fault.kind()));
    (!fine).then(|| format!("wardgate {call}: {:?}", fault.kind()))
}

#[test]
fn every_command_that_is_written_down_can_be_typed() {
    let mut pages = Vec::new();
    for place in FILES.into_iter().chain(FOLDERS) {
        texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join(place), &mut pages);
    }
    let (mut faults, mut count) = (Vec::new(), 0);
    for (page, text) in pages {
        let (typed, named) = commands(&text);
        count += typed.len() + named.len();
        let typed = typed.iter().filter_map(|call| fault_of(call, !call.contains('…')));
        let found = typed.chain(named.iter().filter_map(|call| fault_of(call, false)));
        faults.extend(found.map(|fault| format!("{page}: {fault}")));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    assert!(count > 100, "only {count} found");
}

#[test]
fn a_command_that_is_not_there_is_found() {
    let page = "Call ~wardgate tenant ad~ or ~wardgate keys rotate~.\n\n~~~sh\nwardgate tenant add north \\\n    --isuer x\n\
                $ wardgate keys list   # all\n~~~\n\n~~~toml\nwardgate x\n~~~\n";
    let (typed, named) = commands(&page.replace('~', "`"));
    assert_eq!(named, ["tenant ad", "keys rotate"]);
    assert_eq!(typed.len(), 2, "{typed:?}");
    assert!(fault_of(&named[0], false).is_some() && fault_of(&named[1], false).is_none());
    assert!(fault_of(&typed[0], true).is_some() && fault_of(&typed[1], true).is_none());
    assert!(fault_of("tenant add north", true).is_some(), "cut short where it is to be typed");
}
