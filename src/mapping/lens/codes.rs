use std::collections::HashMap;

use crate::mapping::fold::fold;

/// So many are looked through faster than a table is asked.
const FEW: usize = 8;

/// A code with what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coded {
    pub code: String,
    pub display: Option<String>,
    pub system: Option<String>,
}

/// Which part of a code a transform gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Code,
    Display,
    System,
}

/// The hospital's keys to FHIR codes.
#[derive(Debug)]
pub struct CodeMap {
    pub name: String,
    pub entries: Vec<(String, Coded)>,
    /// For keys that are not listed.
    pub otherwise: Option<Coded>,
    /// For no key at all.
    pub missing: Option<Coded>,
    /// Case and accents of a key do not count, here as in a search.
    pub ignore_case: bool,
    lookup: HashMap<String, usize>,
}

impl CodeMap {
    pub fn new(
        name: String,
        entries: Vec<(String, Coded)>,
        otherwise: Option<Coded>,
        missing: Option<Coded>,
        ignore_case: bool,
    ) -> Self {
        let fold = |key: &str| if ignore_case { fold(key) } else { key.to_owned() };
        let lookup = entries.iter().enumerate().map(|(n, (key, _))| (fold(key), n)).collect();
        Self { name, entries, otherwise, missing, ignore_case, lookup }
    }

    /// Whether two keys come to the same.
    pub fn has_doubles(&self) -> bool {
        self.lookup.len() < self.entries.len()
    }

    /// The code of a key; the default where it is not listed.
    pub fn get(&self, key: &str) -> Option<&Coded> {
        if self.entries.len() <= FEW && !self.ignore_case {
            // Of two that are the same the last counts, as in the table.
            let found = self.entries.iter().rfind(|(known, _)| known == key);
            return found.map(|(_, coded)| coded).or(self.otherwise.as_ref());
        }
        let found =
            if self.ignore_case { self.lookup.get(&fold(key)) } else { self.lookup.get(key) };
        found.and_then(|n| self.entries.get(*n)).map(|(_, coded)| coded).or(self.otherwise.as_ref())
    }

    /// Every code it can give.
    pub fn all(&self) -> impl Iterator<Item = &Coded> {
        self.entries.iter().map(|(_, coded)| coded).chain(&self.otherwise).chain(&self.missing)
    }

    /// The one system all its codes have, if they have one.
    pub fn only_system(&self) -> Option<&str> {
        let mut systems = self.all().map(|coded| coded.system.as_deref());
        let first = systems.next()??;
        systems.all(|system| system == Some(first)).then_some(first)
    }
}

impl Coded {
    /// The part asked for.
    pub fn field(&self, field: Field) -> Option<&str> {
        match field {
            Field::Code => Some(&self.code),
            Field::Display => self.display.as_deref(),
            Field::System => self.system.as_deref(),
        }
    }
}
