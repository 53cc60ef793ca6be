//! What references lead to.

use std::sync::Arc;

use crate::mapping::lens::{Gather, Target};

use super::Compiler;
use super::leaf::Wanted;
use super::transforms::{Parts, Wrong, wrong};

impl Compiler<'_> {
    /// What `ref(Type)` leads to.
    pub(super) fn target(
        &self,
        parts: &Parts,
        ty: &str,
        source: Option<&str>,
        wanted: &Wanted<'_>,
    ) -> Result<Arc<Target>, Wrong> {
        if !wanted.targets.is_empty() && !wanted.targets.contains(&ty) {
            let message = format!("{} may not point to a {ty}.", wanted.path);
            let hint = format!("It may point to: {}.", wanted.targets.join(", "));
            return wrong("reference-type", message, hint);
        }
        let mut found = self.targets.iter().filter(|(name, target)| {
            target.resource_type == ty && source.is_none_or(|source| source == name)
        });
        let Some((name, target)) = found.next() else {
            let message = format!(
                "No entry maps {ty}{}.",
                source.map(|s| format!(" as '{s}'")).unwrap_or_default()
            );
            let hint = format!("Add an entry of type {ty}, or leave the reference out.");
            return wrong("reference-not-mapped", message, hint);
        };
        if found.next().is_some() {
            let message = format!("Several entries map {ty}.");
            let hint = format!("Say which: `ref({ty}, name)`.");
            return wrong("reference-ambiguous", message, hint);
        }
        if self.unkeyed.contains(name) {
            return Ok(Arc::clone(target));
        }
        let columns = match parts.gather {
            Some(Gather::Column(_) | Gather::Joined { .. } | Gather::First(_)) => 1,
            _ => parts.slots.len(),
        };
        if columns != target.id.key.len() {
            let message = format!(
                "The key of {ty} has {} columns; here stand {columns}.",
                target.id.key.len()
            );
            return wrong("reference-key", message, "Name one column for each column of its key.");
        }
        Ok(Arc::clone(target))
    }
}
