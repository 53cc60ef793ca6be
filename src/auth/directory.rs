use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::base::{Generation, TenantId, Timestamp};

/// What a registered (issuer, claim value) stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The tenant.
    pub tenant: TenantId,
    /// The OAuth clients (`azp`) through which this value counts. An empty list admits nobody.
    pub azp: Vec<String>,
    /// Whether the tenant is served; `false` answers 403, exactly as if the binding were not there.
    pub active: bool,
    /// Tokens issued before are refused.
    pub not_before: Option<Timestamp>,
    /// The tenant's configuration generation this was read under.
    pub generation: Generation,
}

/// The directory cannot answer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryUnavailable;

impl fmt::Display for DirectoryUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the directory of bindings cannot be read")
    }
}

impl std::error::Error for DirectoryUnavailable {}

/// What [`Directory::binding`] gives back; the same type as `futures_util`'s `BoxFuture`.
pub type DirectoryFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Binding>, DirectoryUnavailable>> + Send + 'a>>;

/// Which tenant a verified token belongs to. Asked on every request, so it answers from memory
/// where it can, and never with anything older than an acknowledged change.
pub trait Directory: Send + Sync + 'static {
    /// The binding of that exact value under that exact issuer. The value is empty when the issuer
    /// alone decides. `None` when there is no such binding.
    fn binding<'a>(&'a self, issuer: &'a str, claim_value: &'a str) -> DirectoryFuture<'a>;
}

/// Whether a text can be a tenant's claim value: 1 to 128 of `a-z`, `0-9`, `-`, `_` and `.`,
/// beginning with a letter or digit. Anything else is refused before the directory is asked, so no
/// folding, trimming or look-alike can reach another tenant's binding.
pub fn is_claim_value(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 128
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && bytes.all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_value_is_plain() {
        for good in ["a", "tenant-42", "9", "st.mary_2", &"x".repeat(128)] {
            assert!(is_claim_value(good), "{good}");
        }
        for bad in [
            "",
            "-a",
            ".a",
            "tenant-42 ",
            " tenant-42",
            "TENANT-42",
            "tenant-4\u{0}2",
            "tenаnt-42",
            "tenant-42/../tenant-1",
            "*",
            "%",
            &"x".repeat(129),
        ] {
            assert!(!is_claim_value(bad), "{bad}");
        }
    }
}
