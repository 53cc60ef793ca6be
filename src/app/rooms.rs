//! Settings as each room wants them.

use std::sync::Arc;

use super::fault::StartFault;
use crate::audit::AuditConfig;
use crate::auth::{AuthConfig, IssuerConfig, OperatorRoles, OperatorsConfig, SignInSettings};
use crate::config::{OperatorSettings, Settings};
use crate::control::KnownIssuer;
use crate::keyring::{KekLocation, KeyringConfig};
use crate::pool::dial::{DialConfig, EgressRules, SessionSettings};
use crate::pool::{BreakerConfig, LaneLimits, PoolConfig, TenantLimits};
use crate::records::{Endpoints, ServerDescription};
use crate::tenant::TenantDefaults;

pub(super) fn keyring(settings: &Settings) -> KeyringConfig {
    let keys = &settings.keys;
    let location = match (&keys.kek_file, &keys.kek) {
        (Some(file), _) => KekLocation::File(file.clone()),
        (None, kek) => {
            tracing::warn!(target: "wardgate::app", "key-encryption keys from the environment can be seen by others on this machine");
            let empty = || crate::base::SecretText::new(String::new());
            KekLocation::Environment(kek.clone().unwrap_or_else(empty))
        }
    };
    KeyringConfig::new(location)
}

pub(super) fn dial(settings: &Settings) -> Result<DialConfig, StartFault> {
    let egress = EgressRules::parse(&settings.egress.allow)
        .map_err(|fault| StartFault::Setting(format!("egress.allow: {fault}")))?;
    Ok(DialConfig {
        connect_timeout: settings.pool.connect_timeout,
        egress,
        sqlite_dir: settings.egress.sqlite_dir.clone(),
        ..DialConfig::default()
    })
}

pub(super) fn pool(settings: &Settings) -> PoolConfig {
    PoolConfig {
        idle_timeout: settings.pool.idle_timeout,
        connect_timeout: settings.pool.connect_timeout,
        total_connections: settings.pool.total_connections,
        identity_check: settings.pool.identity_check,
        breaker: BreakerConfig {
            failures: settings.breaker.failures,
            open_for: settings.breaker.open_for,
            open_at_most: settings.breaker.open_at_most,
            ..BreakerConfig::default()
        },
        ..PoolConfig::default()
    }
}

pub(super) fn tenants(settings: &Settings) -> TenantDefaults {
    let session = SessionSettings {
        statement_timeout: settings.pool.statement_timeout,
        read_only: true,
        ..SessionSettings::default()
    };
    TenantDefaults {
        limits: TenantLimits {
            requests_per_second: settings.limits.requests_per_second,
            burst: settings.limits.requests_per_second,
            concurrent_requests: settings.limits.concurrent_requests,
        },
        lane: LaneLimits {
            acquire_timeout: settings.pool.acquire_timeout,
            session,
            ..LaneLimits::with_connections(settings.pool.max_connections)
        },
        page_size: settings.limits.page_size,
        page_size_max: settings.limits.page_size_max,
        export_jobs: settings.limits.export_jobs,
    }
}

pub(super) fn auth(settings: &Settings) -> AuthConfig {
    let issuers = settings.issuers.iter().map(|issuer| IssuerConfig {
        tenant_claim: issuer.tenant_claim.clone(),
        roles_claim: issuer.roles_claim.clone(),
        internal_url: issuer.internal_url.clone(),
        ..IssuerConfig::keycloak(issuer.url.clone(), issuer.audience.clone())
    });
    let operators = settings.operators.as_ref().map(operators);
    AuthConfig { issuers: issuers.collect(), operators, ..AuthConfig::default() }
}

/// What binding tenants to the issuers needs to know of them.
pub(super) fn known_issuers(settings: &Settings) -> Vec<KnownIssuer> {
    let known = |issuer: &crate::config::IssuerSettings| KnownIssuer {
        url: issuer.url.clone(),
        by_claim: !issuer.tenant_claim.is_empty(),
    };
    settings.issuers.iter().map(known).collect()
}

fn operators(o: &OperatorSettings) -> OperatorsConfig {
    OperatorsConfig {
        roles_claim: o.roles_claim.clone(),
        internal_url: o.internal_url.clone(),
        roles: OperatorRoles {
            viewer: o.viewer_role.clone(),
            operator: o.role.clone(),
            approver: o.approver_role.clone(),
        },
        // The panel's own logout tokens name its client.
        logout_audiences: o.client_id.iter().cloned().collect(),
        ..OperatorsConfig::keycloak(o.issuer.clone(), o.audience.clone(), o.role.clone())
    }
}

/// The panel's place at the operators' issuer, when it has one.
pub(super) fn sign_in(
    settings: &Settings,
) -> Result<Option<(OperatorsConfig, SignInSettings)>, StartFault> {
    let Some(operators_settings) = &settings.operators else { return Ok(None) };
    let (Some(client_id), Some(secret)) =
        (&operators_settings.client_id, &operators_settings.client_secret)
    else {
        return Ok(None);
    };
    let public = &settings.admin.public_url;
    let rest = public.strip_prefix("http://");
    let host = rest.map(|rest| rest.trim_end_matches(|c: char| c.is_ascii_digit()));
    let loopback = ["127.0.0.1:", "localhost:", "[::1]:", "127.0.0.1", "localhost", "[::1]"];
    if host.is_some_and(|host| !loopback.contains(&host)) {
        let what = "admin.public_url: the panel needs https, or http on loopback";
        return Err(StartFault::Setting(what.to_owned()));
    }
    if public.matches('/').count() > 2 {
        let what = "admin.public_url: the panel needs a URL without a path";
        return Err(StartFault::Setting(what.to_owned()));
    }
    let sign_in = SignInSettings {
        client_id: client_id.clone(),
        client_secret: secret.clone(),
        redirect_url: format!("{public}/panel/callback"),
        signed_out_url: Some(format!("{public}/panel/welcome")),
    };
    Ok(Some((operators(operators_settings), sign_in)))
}

/// The panel's places at hospitals' issuers, for who may look at resources there.
pub(super) fn looks(settings: &Settings) -> Vec<(IssuerConfig, SignInSettings)> {
    let known = settings.issuers.iter().zip(auth(settings).issuers);
    let place = |(issuer, config): (&crate::config::IssuerSettings, IssuerConfig)| {
        let sign_in = SignInSettings {
            client_id: issuer.preview_client_id.clone()?,
            client_secret: issuer.preview_client_secret.clone()?,
            redirect_url: format!("{}/panel/look", settings.admin.public_url),
            signed_out_url: None,
        };
        Some((config, sign_in))
    };
    known.filter_map(place).collect()
}

pub(super) fn audit(settings: &Settings) -> AuditConfig {
    let mut config = AuditConfig::new(settings.audit.dir.clone(), settings.audit.instance.clone());
    config.checkpoint_dir.clone_from(&settings.audit.checkpoint_dir);
    config
}

/// What the server says of itself. The endpoints are Keycloak's, for SMART discovery.
pub(super) fn description(settings: &Settings) -> ServerDescription {
    let authorization = settings.issuers.first().map(|issuer| {
        let endpoint = |name: &str| format!("{}/protocol/openid-connect/{name}", issuer.url);
        Endpoints {
            issuer: issuer.url.clone(),
            authorize: endpoint("auth"),
            token: endpoint("token"),
            jwks: endpoint("certs"),
        }
    });
    ServerDescription {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        base: settings.fhir.public_url.clone(),
        date: "2026-11-21".to_owned(),
        authorization,
    }
}

/// A clock for the whole gateway.
pub(super) fn clock() -> Arc<dyn crate::base::Clock> {
    Arc::new(crate::base::SystemClock)
}
