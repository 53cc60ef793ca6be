//! The connections all tenants share.

use std::time::Duration;

use tokio::time::timeout_at;

use super::PoolFault;
use super::fair::Place;
use super::lane::Lane;
use super::lease::background;
use super::link::Link;
use super::pools::Inner;
use crate::base::{Deadline, TenantId};

/// A connection nobody used for so long is taken for whoever wants one.
const UNUSED: Duration = Duration::from_secs(10);

/// What somebody who wants to open a connection got.
pub(super) enum Room {
    /// Leave to open one.
    New(Place),
    /// One of the lane's own that was put back meanwhile.
    Parked(Box<Link>),
}

/// Waits for one of the lane's own connections to be put back.
async fn parked(lane: &Lane, writes: bool) -> Box<Link> {
    let _opener = lane.opener();
    loop {
        let Some(mut link) = lane.take(writes) else {
            lane.parked(writes).notified().await;
            continue;
        };
        if !link.suspect && link.is_quiet() {
            return Box::new(link);
        }
        // Closed, so that a fresh attempt tells what is wrong.
        lane.distrust();
    }
}

impl Inner {
    /// Room for one more connection of the gateway's budget. Where it is spent the lane waits in its tenant's own
    /// turn, and a connection that others do not use, or have above their share, is closed for it. Without a
    /// weight none may be opened, and it waits for one of the lane's own.
    pub(super) async fn room(
        &self,
        lane: &Lane,
        weight: Option<u32>,
        writes: bool,
        patience: Deadline,
    ) -> Result<Room, PoolFault> {
        let tenant = lane.spec.tenant;
        let Some(weight) = weight else {
            let link = timeout_at(patience.at(), parked(lane, writes)).await;
            return link.map(Room::Parked).map_err(|_elapsed| PoolFault::AcquireTimeout);
        };
        if let Some(place) = self.budget.try_take(tenant, weight) {
            return Ok(Room::New(place));
        }
        let mut waiter = self.budget.queue(tenant, weight);
        self.press(tenant);
        let room = async {
            tokio::select! {
                place = waiter.place() => Room::New(place),
                // Another caller's may be free long before it is this tenant's turn.
                link = parked(lane, writes) => Room::Parked(link),
            }
        };
        timeout_at(patience.at(), room).await.map_err(|_elapsed| PoolFault::BudgetSpent)
    }

    /// Closes one idle connection for `wanting`: of the lane that was unused longest among those that should
    /// part with one.
    fn press(&self, wanting: TenantId) {
        let mut candidates: Vec<_> = self
            .lanes
            .iter()
            .filter_map(|(tenant, lane)| {
                let since = lane.could_spare_since()?;
                let unused = since.elapsed() >= UNUSED;
                (unused || self.budget.may_take(*tenant, wanting)).then_some((since, lane))
            })
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
