//! Tenants as lists show them: a whole page with as many statements as one tenant needs.

use std::collections::HashMap;

use super::identities::identity;
use super::mappings::of_version;
use super::tenants::{bare, connection_view, unreadable};
use super::view::TenantView;
use super::{Control, ControlFault};
use crate::keyring::{DataKeyId, KekId};
use crate::registry::{self, Listed, Overview};
use crate::tenant::vouches;

impl Control {
    /// What is shown of these tenants, which were listed with that filter.
    pub(super) async fn listed(
        &self,
        filter: &registry::TenantFilter,
        listed: &[Listed],
    ) -> Result<Vec<TenantView>, ControlFault> {
        let all = self.0.registry.overviews(filter, listed).await?;
        let connections = all.values().filter_map(|one| one.connection.as_ref());
        let keys: Vec<_> = connections.map(|connection| connection.data_key).collect();
        // A list is shown although the key store is away, as one tenant is.
        let keks = self.0.key_store.keks_of(keys.into_iter()).await.unwrap_or_default();
        let view = |one: &Listed| match (&one.tenant, one.id) {
            (Some(_), Some(id)) => {
                self.overview(one, all.get(&id).cloned().unwrap_or_default(), &keks)
            }
            _ => unreadable(one),
        };
        Ok(listed.iter().map(view).collect())
    }

    fn overview(
        &self,
        listed: &Listed,
        rest: Overview,
        keks: &HashMap<DataKeyId, KekId>,
    ) -> TenantView {
        let Some(tenant) = listed.tenant.clone() else { return unreadable(listed) };
        let id = tenant.id;
        let mut view = bare(tenant);
        view.damaged = listed.summary.as_ref().err().copied().or(rest.damaged).map(str::to_owned);
        view.connection = rest.connection.as_ref().map(|connection| {
            connection_view(connection, keks.get(&connection.data_key).map(|kek| kek.0.clone()))
        });
        let bindings = rest.bindings.unwrap_or_default();
        let vouched = bindings.iter().all(|binding| {
            let words = (&*binding.issuer, &*binding.claim_value, &*binding.azp);
            vouches(&self.0.keyring, id, words, &binding.mark)
        });
        view.identities = bindings.into_iter().map(identity).collect();
        let (Ok(summary), None) = (&listed.summary, &view.damaged) else { return view };
        // Served through its other bindings, if it has any.
        view.damaged = (!vouched).then(|| "binding".to_owned());
        let active = summary.active_mapping;
        view.mapping.active = active.and_then(|version| u32::try_from(version).ok());
        view.mapping.drift = rest.check.and_then(|check| of_version(&check, active));
        view.limits = rest.limits;
        view.flags = rest.flags.named(true);
        view
    }
}
