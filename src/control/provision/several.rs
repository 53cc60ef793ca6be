//! Several hospitals made by one order: all of what is wrong with the list is said before anything is made, then
//! the first is made, then the others.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::Order as One;
use crate::base::{TenantId, TenantName};
use crate::control::operations::{
    Ended, Kind, OperationView, Running, Step, StepFault, Waves, back,
};
use crate::control::view::{IdentityView, MappingProblemView};
use crate::control::{Caller, Control, ControlFault};
use crate::registry::{NewOperation, RegistryFault, Server, StoredLimits};
use crate::store::admin::Schema;

pub(in crate::control) const STEPS: &[&str] = &["list", "canary", "others"];

/// Most hospitals of one order.
const AT_MOST: usize = 1000;

/// Hospitals to be made on one server by one order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProvisions {
    /// The server their databases are made on, by slug.
    pub server: String,
    /// 1 to 1,000 hospitals. The first of them is made first, and nobody else when that fails.
    pub tenants: Vec<ListedTenant>,
    /// Limits of each.
    #[serde(default)]
    pub limits: Option<StoredLimits>,
    /// The release of the schema they begin with; the newest when left out.
    #[serde(default)]
    pub release: Option<u64>,
    /// Hospitals at once, 1 to 32; 4 when left out.
    #[serde(default)]
    pub parallel: Option<u32>,
    /// Stop when more than this share of those that ended have failed, in percent, counted from the tenth
    /// on; 10 when left out. 0 stops at the first.
    #[serde(default)]
    pub stop_at_percent: Option<u32>,
}

/// A hospital of a list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListedTenant {
    /// Slug: 1 to 63 of a-z, 0-9 and -.
    pub name: String,
    /// Name for people; the slug when left out.
    #[serde(default)]
    pub display_name: Option<String>,
    /// How tokens find it.
    pub identities: Vec<IdentityView>,
}

/// What an order of several hospitals would make.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProvisionPlan {
    /// The server.
    pub server: String,
    /// Its engine.
    pub engine: String,
    /// The release of the schema they begin with.
    pub release: u64,
    /// The hospitals, in the order they are made.
    pub tenants: Vec<PlannedTenant>,
}

/// A hospital that would be made.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedTenant {
    /// Its slug.
    pub name: String,
    /// Name for people.
    pub display_name: String,
    /// How tokens find it.
    pub identities: Vec<IdentityView>,
}

/// What was ordered, as the operation keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    tenants: Vec<Listed>,
    #[serde(flatten)]
    waves: Waves,
}

/// A hospital of the list, with the identity it gets.
#[derive(Debug, Serialize, Deserialize)]
struct Listed {
    id: TenantId,
    #[serde(flatten)]
    order: One,
}

pub(in crate::control) async fn carry_out(step: &'static str, at: &mut Running<'_>) -> Step {
    let order: Order = at.input()?;
    match step {
        "list" => list(at, &order).await,
        "canary" => order.waves.first(at).await,
        "others" => order.waves.others(at, "are made", json!({})).await,
        other => back(other, at, json!({})).await,
    }
}

async fn list(at: &Running<'_>, order: &Order) -> Step {
    let one = |listed: &Listed| -> Result<NewOperation, StepFault> {
        let input = serde_json::to_value(&listed.order)
            .map_err(|_| StepFault::defect("a part cannot be ordered"))?;
        Ok(NewOperation {
            kind: Kind::Provision.as_str(),
            parent: Some(at.operation().id),
            tenant: Some(listed.id),
            subject: listed.order.name.clone(),
            input,
        })
    };
    let parts = order.tenants.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    at.control.0.registry.create_parts(at.operation(), &parts).await?;
    Ok(Ended::with(format!("{} hospitals", parts.len())))
}

impl Control {
    /// What an order of several hospitals would make; nothing is made.
    pub async fn plan_provisions(
        &self,
        _caller: &Caller,
        new: &NewProvisions,
    ) -> Result<ProvisionPlan, ControlFault> {
        let (server, release) = self.judge(new).await?;
        let planned = |one: &ListedTenant| PlannedTenant {
            name: one.name.clone(),
            display_name: one.shown().to_owned(),
            identities: one.identities.clone(),
        };
        Ok(ProvisionPlan {
            server: server.name.to_string(),
            engine: server.engine.as_str().to_owned(),
            release,
            tenants: new.tenants.iter().map(planned).collect(),
        })
    }

    /// Orders several hospitals. Either all of the list can be ordered or none of it is, and every fault of it is
    /// said at once.
    pub async fn provision_several(
        &self,
        caller: &Caller,
        new: &NewProvisions,
    ) -> Result<OperationView, ControlFault> {
        let (server, release) = self.judge(new).await?;
        let listed = |one: &ListedTenant| Listed {
            id: TenantId::random(),
            order: One {
                name: one.name.clone(),
                display_name: one.shown().to_owned(),
                identities: one.identities.clone(),
                limits: new.limits.clone(),
                server: server.id.to_string(),
                release,
            },
        };
        let tenants: Vec<Listed> = new.tenants.iter().map(listed).collect();
        let waves = Waves {
            canary: tenants.iter().take(1).map(|listed| listed.id).collect(),
            parallel: new.parallel.unwrap_or(4) as usize,
            stop_at_percent: new.stop_at_percent.unwrap_or(10).into(),
        };
        let subject = match tenants.as_slice() {
            [one] => format!("{} on {}", one.order.name, server.name),
            many => format!("{} hospitals on {}", many.len(), server.name),
        };
        let input = serde_json::to_value(Order { tenants, waves })
            .map_err(|_| ControlFault::Conflict("the order cannot be kept"))?;
        let kind = Kind::ProvisionSeveral.as_str();
        self.order(caller, &NewOperation { kind, parent: None, tenant: None, subject, input }).await
    }

    /// The server and the release, where nothing is wrong with the order.
    async fn judge(&self, new: &NewProvisions) -> Result<(Server, u64), ControlFault> {
        let invalid = |text: &str| ControlFault::Invalid(text.to_owned().into());
        if new.tenants.is_empty() || new.tenants.len() > AT_MOST {
            return Err(invalid("a list has 1 to 1,000 hospitals"));
        }
        if !(1..=32).contains(&new.parallel.unwrap_or(4)) || new.stop_at_percent > Some(100) {
            return Err(invalid("parallel is 1 to 32, stop_at_percent 0 to 100"));
        }
        new.limits.as_ref().map_or(Ok(()), StoredLimits::check)?;
        let found = self.0.registry.server(&new.server).await?;
        let server = found.ok_or(RegistryFault::NotFound("server"))?;
        let newest = Schema::of(server.engine).release();
        let release = new.release.unwrap_or(newest);
        if !(1..=newest).contains(&release) {
            return Err(invalid(&format!("the schema's releases are 1 to {newest}")));
        }
        let faults = self.faults_of(&new.tenants).await?;
        if faults.is_empty() { Ok((server, release)) } else { Err(ControlFault::List(faults)) }
    }

    async fn faults_of(
        &self,
        list: &[ListedTenant],
    ) -> Result<Vec<MappingProblemView>, ControlFault> {
        let mut faults = Vec::new();
        let (mut names, mut claims) = (HashSet::new(), HashSet::new());
        for (at, one) in list.iter().enumerate() {
            let mut wrong = |field: &str, code: &str, message: String| {
                faults.push(MappingProblemView {
                    pointer: format!("/tenants/{at}/{field}"),
                    severity: "error".to_owned(),
                    code: code.to_owned(),
                    message,
                    hint: String::new(),
                });
            };
            match TenantName::for_new(&one.name) {
                Err(fault) => wrong("name", "invalid", fault.to_string()),
                Ok(_) if !names.insert(one.name.as_str()) => {
                    wrong("name", "twice", format!("{} stands in the list twice", one.name));
                }
                Ok(name) if self.0.registry.tenant_by_name(&name).await?.is_some() => {
                    wrong("name", "taken", format!("a tenant named {name} exists already"));
                }
                Ok(_) => {}
            }
            if !(1..=200).contains(&one.shown().trim().chars().count())
                || one.shown().chars().any(char::is_control)
            {
                let text = "a name for people has 1 to 200 characters and no control characters";
                wrong("display_name", "invalid", text.to_owned());
            }
            if one.identities.is_empty() {
                let text = "a tenant needs at least one identity";
                wrong("identities", "invalid", text.to_owned());
            }
            for identity in &one.identities {
                let claim = identity.claim_value.as_deref().unwrap_or_default();
                if let Err(fault) = self.binding(identity) {
                    wrong("identities", "invalid", fault.to_string());
                } else if !claims.insert((identity.issuer.as_str(), claim)) {
                    wrong(
                        "identities",
                        "twice",
                        format!("the identity {claim} stands in the list twice"),
                    );
                } else if self.0.registry.find_binding(&identity.issuer, claim).await?.is_some() {
                    let text = format!("the identity {claim} belongs to a tenant already");
                    wrong("identities", "taken", text);
                }
            }
        }
        Ok(faults)
    }
}

impl ListedTenant {
    /// What people call it.
    fn shown(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.name)
    }
}
