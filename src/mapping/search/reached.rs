//! What the conditions of one search look at beyond the searched type, and how much of it they may.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use super::Refusal;

/// Most references one condition follows, forth or back.
pub const MAX_STEPS: u8 = 4;
/// Most sources the conditions of one search look into beyond its own type, each as often as it is looked
/// into: every one is a sub-select, and a reference to several types multiplies with each step.
pub const MAX_LOOKS: u32 = 64;
/// Most values all of those are asked for together; engines bound what one statement may bind.
const MAX_ASKED: usize = 2000;

/// The types beyond the searched one that conditions look at, and the work that is.
#[derive(Debug, Default)]
pub(super) struct Reached {
    types: RefCell<BTreeSet<String>>,
    looks: Cell<u32>,
    asked: Cell<usize>,
    filled: Cell<bool>,
}

impl Reached {
    /// A source of this type is looked into, for so many values.
    pub fn at(&self, ty: &str, values: usize) -> Result<(), Refusal> {
        if !self.types.borrow().contains(ty) {
            self.types.borrow_mut().insert(ty.to_owned());
        }
        self.looks.set(self.looks.get() + 1);
        self.asked.set(self.asked.get().saturating_add(values));
        let within = self.looks.get() <= MAX_LOOKS && self.asked.get() <= MAX_ASKED;
        if within { Ok(()) } else { Err(Refusal::Wide) }
    }

    /// What the condition asks about at its end is filled by one of the sources it looks into.
    pub fn filled(&self) {
        self.filled.set(true);
    }

    /// Whether it is; asked about the next condition from now on.
    pub fn take_filled(&self) -> bool {
        self.filled.replace(false)
    }

    /// The types, each of which the caller must be allowed to search.
    pub fn into_types(self) -> BTreeSet<String> {
        self.types.into_inner()
    }
}
