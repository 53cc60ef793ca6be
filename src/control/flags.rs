use std::collections::BTreeMap;

use super::ControlFault;
use crate::base::{Flag, Flags};

/// Flags by name, each `on`, `off` or a share of the users such as `25%`.
pub type FlagsView = BTreeMap<String, String>;

/// One flag as a form or a command line shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagEntry {
    /// Its name in the API.
    pub name: &'static str,
    /// What it switches, for people.
    pub title: &'static str,
    /// How it stands.
    pub offer: String,
}

/// All flags there are, as `view` has them; those it leaves out are on.
pub fn flag_entries(view: &FlagsView) -> Vec<FlagEntry> {
    let entry = |flag: Flag| {
        let (name, title) = (flag.as_str(), flag.title());
        let offer = view.get(name).cloned().unwrap_or_else(|| "on".to_owned());
        FlagEntry { name, title, offer }
    };
    Flag::ALL.into_iter().map(entry).collect()
}

pub(super) fn parsed(view: &FlagsView) -> Result<Flags, ControlFault> {
    Flags::parse(view).map_err(|invalid| ControlFault::Invalid(invalid.to_string().into()))
}
