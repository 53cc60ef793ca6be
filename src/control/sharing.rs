//! Whether a database is another hospital's too. That may be meant: two schemas of one database, under roles of their
//! own. It may be a URL pasted into the wrong place, which looks like any other and gives one hospital's users the
//! other's records. The gateway cannot tell which, so it says so wherever an operator looks.

use super::Control;
use super::fault::ControlFault;
use super::view::CheckFinding;
use crate::base::{ServerIdentity, TenantId};

impl Control {
    /// The slugs of other tenants whose connection leads to that very database. None where nobody was asked
    /// who it is, or it does not say.
    pub(super) async fn others_on(
        &self,
        own: Option<TenantId>,
        reached: Option<&ServerIdentity>,
    ) -> Result<Vec<String>, ControlFault> {
        match reached {
            Some(reached) if !reached.system.is_empty() => {
                Ok(self.0.registry.tenants_on(reached, own).await?)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The same as something a check has found.
    pub(super) async fn found_on(
        &self,
        own: Option<TenantId>,
        reached: &ServerIdentity,
    ) -> Option<CheckFinding> {
        let others = self.others_on(own, Some(reached)).await.ok()?;
        (!others.is_empty()).then(|| CheckFinding {
            what: "other hospitals".to_owned(),
            found: others.join(", "),
            warning: Some(
                "served from this very database: unless roles and schemas of their own keep them apart there, \
                 one hospital's users are given the other's records"
                    .to_owned(),
            ),
        })
    }
}
