//! Who vouches for a binding.
//!
//! A binding is what leads a token to a hospital, and it lies in the registry in plain text. Whoever writes to
//! that database, and has no keys, could point one hospital's claim value at another's tenant, or let in a
//! client of her own. So every binding carries a mark: a MAC over all of it under a key that comes from the
//! key store. A binding whose mark does not fit is as if it were not there.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::base::TenantId;
use crate::keyring::{Keyring, Purpose};
use crate::registry::TenantBinding;

/// The binding as the tenant's, with its mark.
pub fn vouched(keyring: &Keyring, tenant: TenantId, binding: TenantBinding) -> TenantBinding {
    let TenantBinding { issuer, claim_value, azp, .. } = &binding;
    let message = message(issuer, claim_value, azp);
    let mark = URL_SAFE_NO_PAD.encode(keyring.derive(Purpose::Binding, tenant).sign(&message));
    TenantBinding { mark, ..binding }
}

/// Whether the mark is that of the tenant's binding of these parts.
pub fn vouches(
    keyring: &Keyring,
    tenant: TenantId,
    (issuer, claim_value, azp): (&str, &str, &[String]),
    mark: &str,
) -> bool {
    let Ok(tag) = URL_SAFE_NO_PAD.decode(mark) else { return false };
    let key = keyring.derive(Purpose::Binding, tenant);
    key.verify(&message(issuer, claim_value, azp), &tag)
}

/// Each part with its length before it, the clients in order: no two bindings are alike.
fn message(issuer: &str, claim_value: &str, azp: &[String]) -> Vec<u8> {
    let mut clients: Vec<&str> = azp.iter().map(String::as_str).collect();
    clients.sort_unstable();
    clients.dedup();
    let mut message = Vec::new();
    for part in [issuer, claim_value].into_iter().chain(clients) {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part.as_bytes());
    }
    message
}
