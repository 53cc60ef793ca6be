use std::time::Duration;

use reqwest::Url;

use super::{AuthFault, OperatorRoles};
use crate::base::Timestamp;

/// Who may vouch for callers, and how strictly their tokens are judged.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// The issuers of clinicians' and machines' tokens. One issuer, one entry.
    pub issuers: Vec<IssuerConfig>,
    /// Who may use the control plane; nobody without it.
    pub operators: Option<OperatorsConfig>,
    /// How far an issuer's clock may be from ours. Default 30 s.
    pub leeway: Duration,
    /// The longest accepted `exp - iat`. Default 1 h.
    pub max_lifetime: Duration,
    /// How often keys and the realm's not-before are fetched again, give or take a tenth. Default 5 min.
    pub refresh: Duration,
    /// The shortest time between the starts of two key fetches from one issuer. Default 10 s.
    pub min_refetch: Duration,
    /// How long the last good key set is used while its issuer is away. Default 1 h.
    pub max_stale: Duration,
    /// For how many unknown key ids of one issuer requests may wait at a time; those with the same id
    /// share one place. When all are taken, the id that fewest wait for gives way (503), so that invented
    /// key ids push out each other and not a key that is new and real. Default 1,024.
    pub max_waiting: usize,
    /// How many verified tokens are remembered. Default 20,000.
    pub cache_capacity: u64,
    /// How long a verified token is remembered at most. Default 60 s.
    pub cache_ttl: Duration,
    /// How long a logged-out session stays refused. Default 12 h, never less than `max_lifetime`.
    pub deny_for: Duration,
    /// How many logged-out sessions and subjects are kept per issuer. Default 100,000.
    pub deny_capacity: usize,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            operators: None,
            leeway: Duration::from_secs(30),
            max_lifetime: Duration::from_hours(1),
            refresh: Duration::from_mins(5),
            min_refetch: Duration::from_secs(10),
            max_stale: Duration::from_hours(1),
            max_waiting: 1024,
            cache_capacity: 20_000,
            cache_ttl: Duration::from_mins(1),
            deny_for: Duration::from_hours(12),
            deny_capacity: 100_000,
        }
    }
}

/// How an issuer marks its access tokens, so that no other token of its can pass for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenProfile {
    /// Keycloak: claim `typ` is `Bearer`; header `typ` is `JWT` or `at+jwt`.
    #[default]
    Keycloak,
    /// RFC 9068: header `typ` is `at+jwt`; claim `typ` may be absent.
    Rfc9068,
}

/// One issuer of tenants' tokens.
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// The issuer's exact name, as in its tokens' `iss` and its discovery document. Byte for byte.
    pub url: String,
    /// What `aud` must contain.
    pub audience: String,
    /// Where the tenant's value is found: a claim's whole name, or a path with dots. Empty when the
    /// issuer alone decides (one realm per tenant); the directory is then asked with an empty value.
    pub tenant_claim: String,
    /// Where the roles are found: an array of strings, by name or path as above.
    pub roles_claim: String,
    /// Where to connect instead of the issuer's own name. Its answers still carry the name.
    pub internal_url: Option<String>,
    /// How access tokens are told from others.
    pub profile: TokenProfile,
    /// Whether RS384, RS512, PS384, PS512 and ES384 keys count besides RS256, PS256, ES256 and EdDSA.
    pub long_digests: bool,
    /// Tokens issued before are refused, whatever the issuer itself says.
    pub not_before: Option<Timestamp>,
    /// Besides `audience`: login clients whose back-channel logout tokens are believed.
    pub logout_audiences: Vec<String>,
    /// When not empty, [`FhirAdmin`](super::FhirAdmin) needs one of these `acr` values (RFC 9470).
    pub admin_acr_values: Vec<String>,
    /// PEM certificates of a private authority the issuer's TLS certificate may chain to, besides
    /// the system's.
    pub ca_pem: Option<String>,
}

impl IssuerConfig {
    /// An issuer with Keycloak's usual places: claim `client_id`, roles in `realm_access.roles`.
    pub fn keycloak(url: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            audience: audience.into(),
            tenant_claim: "client_id".to_owned(),
            roles_claim: "realm_access.roles".to_owned(),
            internal_url: None,
            profile: TokenProfile::Keycloak,
            long_digests: false,
            not_before: None,
            logout_audiences: Vec::new(),
            admin_acr_values: Vec::new(),
            ca_pem: None,
        }
    }
}

/// The issuer of operators' tokens. Never one of the tenants' issuers.
#[derive(Debug, Clone)]
pub struct OperatorsConfig {
    /// The issuer's exact name.
    pub issuer: String,
    /// What `aud` must contain.
    pub audience: String,
    /// Where the roles are found.
    pub roles_claim: String,
    /// The roles of those who look, operate and approve.
    pub roles: OperatorRoles,
    /// Where to connect instead of the issuer's own name.
    pub internal_url: Option<String>,
    /// The OAuth clients operators may sign in through; any of the issuer's when empty.
    pub azp: Vec<String>,
    /// When not empty, an operator's token needs one of these `acr` values (RFC 9470).
    pub acr_values: Vec<String>,
    /// Besides `audience`: login clients whose back-channel logout tokens are believed.
    pub logout_audiences: Vec<String>,
    /// PEM certificates of a private authority, besides the system's.
    pub ca_pem: Option<String>,
}

impl OperatorsConfig {
    /// Operators of a Keycloak realm, roles in `realm_access.roles`.
    pub fn keycloak(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        role: impl Into<String>,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            roles_claim: "realm_access.roles".to_owned(),
            roles: OperatorRoles { operator: role.into(), ..OperatorRoles::default() },
            internal_url: None,
            azp: Vec::new(),
            acr_values: Vec::new(),
            logout_audiences: Vec::new(),
            ca_pem: None,
        }
    }

    /// The same issuer in the shape the verifier works with.
    pub fn as_issuer(&self) -> IssuerConfig {
        IssuerConfig {
            tenant_claim: String::new(),
            roles_claim: self.roles_claim.clone(),
            internal_url: self.internal_url.clone(),
            logout_audiences: self.logout_audiences.clone(),
            admin_acr_values: self.acr_values.clone(),
            ca_pem: self.ca_pem.clone(),
            ..IssuerConfig::keycloak(self.issuer.clone(), self.audience.clone())
        }
    }
}

/// Checks one issuer's settings by themselves.
pub fn check_issuer(issuer: &IssuerConfig) -> Result<(), AuthFault> {
    let wrong = |what| Err(AuthFault::Configuration { issuer: issuer.url.clone(), what });
    let Some(url) = plain_url(&issuer.url) else {
        return wrong("an issuer is an http(s) URL without user, query or fragment");
    };
    if let Some(internal) = &issuer.internal_url {
        if plain_url(internal).is_none() {
            return wrong("internal_url is an http(s) URL without user, query or fragment");
        }
    } else if url.scheme() != "https" && !is_loopback(&url) {
        return wrong("an issuer off loopback is reached over https, or over an internal_url");
    }
    if issuer.audience.is_empty() {
        return wrong("audience is empty");
    }
    if issuer.roles_claim.is_empty() {
        return wrong("roles_claim is empty");
    }
    Ok(())
}

fn plain_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    (plain && url.has_host()).then_some(url)
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_or_a_named_internal_address() {
        let good = |url: &str| check_issuer(&IssuerConfig::keycloak(url, "a")).is_ok();
        assert!(good("https://sso.example.org/realms/a"));
        assert!(good("http://127.0.0.1:8080/realms/a"));
        assert!(good("http://[::1]:8080/realms/a"));
        assert!(good("http://localhost:8080/realms/a"));
        assert!(!good("http://sso.example.org/realms/a"));
        let named = IssuerConfig {
            internal_url: Some("http://keycloak:8080/realms/a".to_owned()),
            ..IssuerConfig::keycloak("http://keycloak:8080/realms/a", "a")
        };
        assert!(check_issuer(&named).is_ok());
    }

    #[test]
    fn an_issuer_is_a_plain_url() {
        for bad in [
            "",
            "sso",
            "ftp://h/",
            "https://u@h/",
            "https://u:p@h/",
            "https://h/?x",
            "https://h/#x",
        ] {
            assert!(check_issuer(&IssuerConfig::keycloak(bad, "a")).is_err(), "{bad}");
        }
    }
}
