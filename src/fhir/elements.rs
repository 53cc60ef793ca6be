//! The R4 element table: what each type's elements are called, how often they may occur, what they
//! hold. Read from compact texts (`r4/elements.txt`, `r4/values.txt`) whose heads say their form.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

/// The types.
const TYPES: &str = include_str!("r4/elements.txt");

/// The codes of required bindings.
const VALUES: &str = include_str!("r4/values.txt");

/// Every type known, with its elements.
#[derive(Debug)]
pub struct Elements {
    blocks: HashMap<&'static str, Block>,
    value_sets: HashMap<&'static str, Codes>,
    any_type: &'static str,
}

/// A type and its backbones, read when first asked for.
#[derive(Debug)]
struct Block {
    kind: TypeKind,
    text: &'static str,
    types: OnceLock<Vec<TypeDef>>,
}

/// A value set, read when first asked for.
#[derive(Debug)]
struct Codes {
    text: &'static str,
    read: OnceLock<Option<ValueSet>>,
}

/// What a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeKind {
    /// A resource.
    Resource,
    /// A data type with elements of its own.
    Complex,
    /// An element with elements of its own inside a resource or data type.
    Backbone,
    /// What others are derived from, such as `DomainResource`; `Resource` stands for any of them.
    Abstract,
}

/// One type.
#[derive(Debug)]
pub struct TypeDef {
    /// Its name, such as `Patient` or `HumanName`; `Patient.contact` for a backbone.
    pub name: &'static str,
    /// What it is.
    pub kind: TypeKind,
    /// Its elements in the specification's order.
    pub elements: Vec<ElementDef>,
}

/// One element.
#[derive(Debug, Clone)]
pub struct ElementDef {
    /// Its name, without `[x]`.
    pub name: &'static str,
    /// Whether it is a choice of types (`value[x]`).
    pub choice: bool,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it repeats, and so is an array in JSON.
    pub many: bool,
    /// The types it may have.
    pub types: Vec<&'static str>,
    /// The value set its codes must come from (a required binding). [`Elements::value_set`] has its
    /// codes unless it is open.
    pub binding: Option<&'static str>,
    /// The types a reference may point to; empty where anything goes or it is none.
    pub targets: Vec<&'static str>,
    /// The types a canonical may point to; empty where anything goes or it is none.
    pub canonicals: Vec<&'static str>,
    /// Whether it belongs to the summary (`_summary=true`, R4 section 3.1.1.5.8).
    pub summary: bool,
    /// Whether it can change the meaning of what holds it (R4 section 2.1.0.2).
    pub modifier: bool,
}

/// The codes of a required binding.
#[derive(Debug)]
pub struct ValueSet {
    /// The code system, where there is one.
    pub system: Option<&'static str>,
    /// Its codes.
    pub codes: Vec<&'static str>,
}

/// An element as a JSON member names it.
#[derive(Debug, Clone, Copy)]
pub struct Member<'t> {
    /// The element.
    pub element: &'t ElementDef,
    /// The one type it has under this name.
    pub ty: &'static str,
}

impl Elements {
    /// The table of R4. Only an index is made, in a fraction of a millisecond; a type is read when it
    /// is first asked for, and kept.
    pub fn r4() -> Self {
        Self::index(TYPES, VALUES)
    }

    /// The same table for whoever has none of his own, made once.
    pub fn shared() -> &'static Self {
        static R4: LazyLock<Elements> = LazyLock::new(Elements::r4);
        &R4
    }

    /// Whether resources of that type, or of any type where none is named, can have an element of that name:
    /// its own or, of a choice, with or without the type.
    pub fn has_top(&self, ty: Option<&str>, name: &str) -> bool {
        let has = |ty: &TypeDef| {
            ty.elements.iter().any(|element| element.name == name) || ty.member(name).is_some()
        };
        match ty {
            Some(ty) => self.resource(ty).is_some_and(has),
            None => self.resource_types().iter().any(|ty| self.resource(ty).is_some_and(has)),
        }
    }

    fn index(types: &'static str, values: &'static str) -> Self {
        let mut blocks = HashMap::new();
        let mut any_type = "";
        for text in types.split("\n\n") {
            let mut words = text.split_ascii_whitespace();
            match (words.next(), words.next()) {
                (Some("*"), Some(list)) => any_type = list,
                (Some(name), Some(kind)) if !name.starts_with('#') => {
                    let block = Block { kind: kind_of(kind), text, types: OnceLock::new() };
                    blocks.insert(name, block);
                }
                _ => {}
            }
        }
        let sets = values.lines().filter_map(|line| line.strip_prefix('=')?.split_once(' '));
        let value_sets =
            sets.map(|(name, text)| (name, Codes { text, read: OnceLock::new() })).collect();
        Self { blocks, value_sets, any_type }
    }

    fn read(&self, text: &'static str) -> Vec<TypeDef> {
        let mut types: Vec<TypeDef> = Vec::new();
        for line in text.lines() {
            let words: Vec<&'static str> = line.split_ascii_whitespace().collect();
            if line.starts_with(' ') {
                let element = element(&words, self.any_type);
                if let (Some(ty), Some(element)) = (types.last_mut(), element) {
                    ty.elements.push(element);
                }
            } else if let [name, kind, base] = words[..] {
                let elements = self.get(base).map(|base| base.elements.clone());
                let elements = elements.unwrap_or_default();
                types.push(TypeDef { name, kind: kind_of(kind), elements });
            }
        }
        types
    }

    /// A type by name.
    pub fn get(&self, name: &str) -> Option<&TypeDef> {
        let block = self.blocks.get(name.split_once('.').map_or(name, |(head, _)| head))?;
        let types = block.types.get_or_init(|| self.read(block.text));
        types.iter().find(|ty| ty.name == name)
    }

    /// A resource type by name.
    pub fn resource(&self, name: &str) -> Option<&TypeDef> {
        self.get(name).filter(|t| t.kind == TypeKind::Resource)
    }

    /// Names of all resource types known, sorted.
    pub fn resource_types(&self) -> Vec<&'static str> {
        let resources = self.blocks.iter().filter(|(_, block)| block.kind == TypeKind::Resource);
        let mut names: Vec<_> = resources.map(|(name, _)| *name).collect();
        names.sort_unstable();
        names
    }

    /// A value set by name; `None` for one that is open.
    pub fn value_set(&self, name: &str) -> Option<&ValueSet> {
        let set = self.value_sets.get(name)?;
        set.read.get_or_init(|| value_set(set.text)).as_ref()
    }

    /// Whether a value set is known and open: too large to be listed (media types, currencies, units),
    /// or not published with R4.
    pub fn is_open(&self, name: &str) -> bool {
        self.value_sets.contains_key(name) && self.value_set(name).is_none()
    }
}

impl TypeDef {
    /// The element a JSON member names: `gender`, or `valueQuantity` for a choice.
    pub fn member(&self, json_name: &str) -> Option<Member<'_>> {
        self.elements.iter().find_map(|element| {
            if !element.choice {
                let ty = element.types.first()?;
                return (element.name == json_name).then_some(Member { element, ty });
            }
            let suffix = json_name.strip_prefix(element.name)?;
            let ty = element.types.iter().find(|ty| capitalised_is(ty, suffix))?;
            Some(Member { element, ty })
        })
    }

    /// The names JSON members of this type can have.
    pub fn member_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for element in &self.elements {
            if element.choice {
                names.extend(element.types.iter().map(|ty| choice_name(element.name, ty)));
            } else {
                names.push(element.name.to_owned());
            }
        }
        names
    }
}

/// `value` and `Quantity` to `valueQuantity`.
pub fn choice_name(element: &str, ty: &str) -> String {
    let mut letters = ty.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    element.chars().chain(first).chain(letters).collect()
}

fn capitalised_is(ty: &str, suffix: &str) -> bool {
    ty.len() == suffix.len()
        && ty.get(1..) == suffix.get(1..)
        && suffix.starts_with(|c: char| c.is_ascii_uppercase())
        && ty.get(..1).is_some_and(|c| suffix.starts_with(c.to_ascii_uppercase().as_str()))
}

fn kind_of(word: &str) -> TypeKind {
    match word {
        "resource" => TypeKind::Resource,
        "complex" => TypeKind::Complex,
        "abstract" => TypeKind::Abstract,
        _ => TypeKind::Backbone,
    }
}

fn element(words: &[&'static str], any_type: &'static str) -> Option<ElementDef> {
    let [name, min, max, types, rest @ ..] = words else { return None };
    let bare = name.strip_suffix("[x]");
    let types = if *types == "*" { any_type } else { types };
    let word = |mark: char| rest.iter().find_map(|w| w.strip_prefix(mark));
    let list = |mark: char| match word(mark) {
        None | Some("*") => Vec::new(),
        Some(names) => names.split(',').collect(),
    };
    let flags = word('+').unwrap_or_default();
    Some(ElementDef {
        name: bare.unwrap_or(name),
        choice: bare.is_some(),
        required: *min != "0",
        many: *max == "*",
        types: types.split('|').collect(),
        binding: word('@'),
        targets: list('>'),
        canonicals: list('^'),
        summary: flags.contains('s'),
        modifier: flags.contains('m'),
    })
}

fn value_set(text: &'static str) -> Option<ValueSet> {
    let mut words = text.split_ascii_whitespace();
    let system = words.next().filter(|s| *s != "-");
    let codes: Vec<_> = words.collect();
    (codes != ["*"]).then_some(ValueSet { system, codes })
}

#[cfg(test)]
mod tests;
