//! The fleet's schemas, in waves.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Order as One;
use crate::base::TenantId;
use crate::control::operations::{Ended, Kind, Running, Step, StepFault, Waves, back};
use crate::registry::NewOperation;

pub(in crate::control) const STEPS: &[&str] = &["select", "canary", "others"];

/// What was ordered of the fleet.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) release: u64,
    pub(super) tenants: Vec<Target>,
    #[serde(flatten)]
    pub(super) waves: Waves,
}

/// A tenant to be migrated.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Target {
    pub(super) id: TenantId,
    pub(super) name: String,
}

pub(in crate::control) async fn carry_out(step: &'static str, at: &mut Running<'_>) -> Step {
    let order: Order = at.input()?;
    let more = json!({"release": order.release});
    match step {
        "select" => select(at, &order).await,
        "canary" => order.waves.first(at).await,
        "others" => {
            let reached = format!("are at release {}", order.release);
            order.waves.others(at, &reached, more).await
        }
        other => back(other, at, more).await,
    }
}

async fn select(at: &Running<'_>, order: &Order) -> Step {
    let one = |target: &Target| -> Result<NewOperation, StepFault> {
        let input = serde_json::to_value(One { release: order.release })
            .map_err(|_| StepFault::defect("a part cannot be ordered"))?;
        Ok(NewOperation {
            kind: Kind::Migrate.as_str(),
            parent: Some(at.operation().id),
            tenant: Some(target.id),
            subject: target.name.clone(),
            input,
        })
    };
    let parts = order.tenants.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    at.control.0.registry.create_parts(at.operation(), &parts).await?;
    let canaries = order.waves.canary.len();
    Ok(Ended::with(format!("{} hospitals, {canaries} of them first", parts.len())))
}
