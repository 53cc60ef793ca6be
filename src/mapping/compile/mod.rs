//! From a document and a catalogue to a compiled mapping, with every problem found on the way.

mod cases;
mod conditions;
mod doubts;
mod each;
mod fit;
mod grouping;
mod key;
mod leaf;
mod more;
mod resource;
mod scope;
mod settings;
mod sources;
mod targets;
mod template;
mod transforms;
mod warnings;
mod write;
mod write_children;
mod write_create;

use std::collections::HashMap;
use std::sync::Arc;

pub(super) use scope::is_credential;
#[cfg(test)]
pub(super) use transforms::NAMES;

use crate::fhir::elements::Elements;

use super::catalog::{Catalog, Table};
use super::document::{Document, Node};
use super::lens::codes::CodeMap;
use super::lens::{Reading, Target};
use super::problem::{Problems, did_you_mean, pointer};
use super::tree::{ChildRows, Source};
use super::{Compiled, MappingProblem};

/// Most sources of one mapping, cases counted one by one.
const MAX_SOURCES: usize = 500;
/// Most columns and transforms of all leaves together.
const MAX_WORK: usize = 20_000;

/// Most columns and transforms of one leaf.
const MAX_STEPS: usize = 64;

/// What compiling carries along.
struct Compiler<'c> {
    catalog: &'c Catalog,
    elements: &'c Elements,
    problems: Problems,
    reading: Arc<Reading>,
    codes: HashMap<String, Arc<CodeMap>>,
    /// What references can point to, by the name of the source.
    targets: Vec<(String, Arc<Target>)>,
    /// What the parts of a text are rows of.
    part: &'c Table,
    /// What stands for tables that are not there.
    unknown: &'c Table,
    /// Whether it is not known of which type an entry is.
    untyped: bool,
    /// Entries whose key is not known.
    unkeyed: Vec<String>,
    /// Columns and transforms of all leaves so far.
    work: usize,
}

impl Compiler<'_> {
    /// Counts what a leaf costs each time a row is shown, which is where nobody can interrupt it.
    fn spend(&mut self, work: usize, at: &str) -> Option<()> {
        if work > MAX_STEPS {
            let message = format!("A value has {MAX_STEPS} columns and transforms at most.");
            self.problems.error(at, "too-many", message, "Have the database do a part of it.");
            return None;
        }
        let before = self.work;
        self.work += work;
        if before <= MAX_WORK && self.work > MAX_WORK {
            let message =
                format!("The leaves have more than {MAX_WORK} columns and transforms together.");
            self.problems.error(at, "too-many", message, "Map what is asked for.");
        }
        (self.work <= MAX_WORK).then_some(())
    }
}

/// What one source gathers while its template is compiled.
#[derive(Default)]
struct Builder {
    /// Those not filled yet are being compiled.
    children: Vec<Option<ChildRows>>,
    paths: Vec<String>,
    /// Whether anything depends on the present time.
    timed: bool,
    /// Constants that are columns' names.
    namesakes: Vec<doubts::Namesake>,
}

impl Builder {
    /// The number of one-to-many rows to come: parents are counted before what hangs off them.
    fn reserve(&mut self) -> usize {
        self.children.push(None);
        self.children.len() - 1
    }

    fn fill(&mut self, number: usize, rows: ChildRows) {
        if let Some(place) = self.children.get_mut(number) {
            *place = Some(rows);
        }
    }

    /// What was gathered. Rows that never came failed to compile.
    fn finish(self) -> (Vec<ChildRows>, Vec<String>) {
        (self.children.into_iter().flatten().collect(), self.paths)
    }

    /// The number of an element path.
    fn path(&mut self, path: &str) -> usize {
        let found = self.paths.iter().position(|p| p == path);
        found.unwrap_or_else(|| {
            self.paths.push(path.to_owned());
            self.paths.len() - 1
        })
    }
}

/// Compiles a document and the catalogue it was published with, as the registry keeps them; `None` when this
/// program cannot.
pub fn of_texts(document: &str, catalog: &str) -> Option<Compiled> {
    let catalog = serde_json::from_str::<Catalog>(catalog).ok()?;
    compile(&Document::parse(document).ok()?, &catalog).ok()
}

/// Compiles a document against what the database holds. All problems come at once; warnings alone do
/// not fail it and are kept in the result.
pub fn compile(document: &Document, catalog: &Catalog) -> Result<Compiled, Vec<MappingProblem>> {
    let elements = Elements::r4();
    let zone = jiff::tz::TimeZone::UTC;
    let (part, unknown) = (sources::part(), sources::unknown());
    let mut compiler = Compiler {
        catalog,
        elements: &elements,
        problems: Problems::default(),
        reading: Arc::new(Reading {
            trim: true,
            empty_is_null: true,
            zone,
            engine: catalog.engine,
            now: jiff::Timestamp::UNIX_EPOCH,
        }),
        codes: HashMap::new(),
        targets: Vec::new(),
        part: &part,
        unknown: &unknown,
        untyped: false,
        unkeyed: Vec::new(),
        work: 0,
    };
    let sources = compiler.run(document.root());
    if compiler.problems.failed() {
        return Err(compiler.problems.into_vec());
    }
    Ok(Compiled::new(sources, &compiler.reading, compiler.problems.into_vec()))
}

impl Compiler<'_> {
    fn run(&mut self, root: &Node) -> Vec<Source> {
        let known = [
            "mapping",
            "fhir",
            "title",
            "description",
            "database",
            "codes",
            "sources",
            "resources",
        ];
        self.keys(root, &known, "");
        self.reading = Arc::new(self.reading(root.get("database")));
        self.code_maps(root.get("codes"));
        self.check_sources(root.get("sources"));
        let Some(Node::List(entries)) = root.get("resources") else {
            let hint =
                "Write `resources:` and a list of entries, each with type, from, key, id and map.";
            self.problems.error("/resources", "missing", "The document maps nothing.", hint);
            return Vec::new();
        };
        if entries.is_empty() {
            let hint = "Add an entry with type, from, key, id and map.";
            self.problems.error("/resources", "missing", "The document maps nothing.", hint);
        }
        let mut heads = Vec::new();
        for (number, entry) in entries.iter().enumerate() {
            let at = pointer("/resources", &number.to_string());
            match cases::expand(entry) {
                Ok(nodes) => {
                    // An entry without a name goes by its place, its cases by theirs in it.
                    for (case, node) in nodes.into_iter().enumerate() {
                        let otherwise = match case {
                            0 => format!("{}", number + 1),
                            case => format!("{}-{}", number + 1, case + 1),
                        };
                        heads.extend(self.head(node, otherwise, &at));
                    }
                }
                Err(message) => {
                    let hint =
                        "Write `cases: {name: {part: value}}`; `$case.part` stands for the value.";
                    self.problems.error(&pointer(&at, "cases"), "shape", message, hint);
                }
            }
        }
        if heads.len() > MAX_SOURCES {
            let message = format!("There are more than {MAX_SOURCES} sources.");
            self.problems.error("/resources", "too-many", message, "Split the mapping.");
            return Vec::new();
        }
        self.check_heads(&heads);
        self.targets = heads.iter().map(|h| (h.name.clone(), Arc::clone(&h.target))).collect();
        let sources = heads.into_iter().filter_map(|head| self.source(head)).collect();
        if self.untyped {
            // It may be the one that is meant.
            self.problems.forget("reference-not-mapped");
        }
        sources
    }

    /// Complains of every member that is not one of these.
    fn keys(&mut self, node: &Node, known: &[&str], at: &str) {
        if !matches!(node, Node::Map(_)) {
            let message = format!("Here stands {}; a group of named parts is wanted.", node.kind());
            let hint = format!("The parts are {}.", known.join(", "));
            self.problems.error(at, "shape", message, hint);
        }
        for (name, _) in node.members() {
            if !known.contains(&name.as_str()) {
                let otherwise = format!("Known here: {}.", known.join(", "));
                let hint = did_you_mean(name, known.iter().copied(), &otherwise);
                let message = format!("'{name}' means nothing here.");
                self.problems.error(&pointer(at, name), "unknown-key", message, hint);
            }
        }
    }
}
