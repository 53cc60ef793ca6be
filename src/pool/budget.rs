//! The connections all tenants share.

use std::sync::atomic::Ordering;

use super::lease::background;
use super::pools::Inner;

impl Inner {
    /// Whether somebody waits for a connection of the budget.
    pub(crate) fn budget_is_wanted(&self) -> bool {
        self.budget_wanted.load(Ordering::Relaxed) > 0
    }

    /// Closes one idle connection of the lane that was unused longest.
    pub(super) fn press(&self) {
        let mut candidates: Vec<_> = self
            .lanes
            .iter()
            .filter_map(|(_, lane)| lane.could_spare_since().map(|since| (since, lane)))
            .collect();
        candidates.sort_by_key(|(since, _)| *since);
        let Some((link, permit)) = candidates.iter().find_map(|(_, lane)| lane.spare()) else {
            return;
        };
        let limit = self.config.close_timeout;
        background(async move {
            link.close(limit).await;
            drop(permit);
        });
    }
}
