//! By what tokens a tenant is found.

use super::{Caller, Control, ControlFault, IdentityView, TenantPatch, TenantView};
use crate::auth::is_claim_value;
use crate::base::{Generation, TenantId};
use crate::registry::TenantBinding;
use crate::tenant::vouched;

impl Control {
    /// What tokens could match: a binding of another form would be one that looks right and admits nobody.
    pub(super) fn bindings(
        &self,
        tenant: TenantId,
        identities: &[IdentityView],
    ) -> Result<Vec<TenantBinding>, ControlFault> {
        let vouched = |binding| vouched(&self.0.keyring, tenant, binding);
        identities.iter().map(|identity| self.binding(identity).map(vouched)).collect()
    }

    /// Admits tokens of one more client of an issuer that the tenant is bound to, or no longer.
    pub async fn set_client(
        &self,
        caller: &Caller,
        named: &str,
        expected: Option<Generation>,
        (issuer, client): (&str, &str),
        admitted: bool,
    ) -> Result<TenantView, ControlFault> {
        let shown = self.show(caller, named).await?;
        if shown.damaged.is_some() {
            // What the gateway did not write is not to be written by it now.
            return Err(ControlFault::Conflict(
                "its record in the registry is damaged: look at its identities and set them anew first",
            ));
        }
        let expected = Some(expected.unwrap_or(Generation(shown.generation)));
        let mut identities = shown.identities;
        for identity in identities.iter_mut().filter(|identity| identity.issuer == issuer) {
            identity.azp.retain(|azp| azp != client);
            if admitted {
                identity.azp.push(client.to_owned());
            }
        }
        let patch = TenantPatch { identities: Some(identities), ..TenantPatch::default() };
        self.change(caller, named, expected, patch).await
    }

    /// Whether the settings of this process name that issuer. Tokens of any other are refused.
    pub fn knows_issuer(&self, url: &str) -> bool {
        self.0.issuers.iter().any(|known| known.url == url)
    }

    pub(super) fn binding(&self, identity: &IdentityView) -> Result<TenantBinding, ControlFault> {
        let invalid = |why: &'static str| Err(ControlFault::Invalid(why.into()));
        let issuer = self.0.issuers.iter().find(|known| known.url == identity.issuer);
        match (identity.claim_value.as_deref(), issuer.map(|known| known.by_claim)) {
            (Some(value), _) if !is_claim_value(value) => {
                return invalid(
                    "a claim value is 1 to 128 of a-z, 0-9, -, _ and ., beginning with a letter or digit",
                );
            }
            (Some(_), Some(false)) => {
                return invalid(
                    "that issuer names no tenant in a claim (tenant_claim = \"\"): leave the claim value out",
                );
            }
            (None, Some(true)) => {
                return invalid(
                    "that issuer names the tenant in a claim: give its value, or set tenant_claim = \"\" for it",
                );
            }
            (None, None) => {
                return invalid(
                    "without a claim value the issuer must be one of [[issuers]] with tenant_claim = \"\"",
                );
            }
            (Some(_), _) | (None, Some(false)) => {}
        }
        let binding = TenantBinding {
            issuer: identity.issuer.clone(),
            claim_value: identity.claim_value.clone().unwrap_or_default(),
            azp: identity.azp.clone(),
            mark: String::new(),
        };
        binding.check()?;
        Ok(binding)
    }
}

pub(super) fn identity(binding: TenantBinding) -> IdentityView {
    let value = binding.claim_value;
    let claim_value = (!value.is_empty()).then_some(value);
    IdentityView { issuer: binding.issuer, claim_value, azp: binding.azp }
}
