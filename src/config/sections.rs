//! Every setting, once: its name, its default, its bounds.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use toml::{Table, Value};

use super::layers::Origin;
use super::reader::{Findings, Section, SettingFault};
use super::settings::{
    AdminSettings, AuditSettings, BreakerSettings, EgressSettings, FhirSettings, IssuerSettings,
    KeySettings, LimitSettings, ListenerTls, LogSettings, OperatorSettings, PoolSettings, Settings,
    TelemetrySettings,
};
use crate::base::SecretText;

const SECTIONS: [&str; 16] = [
    "fhir",
    "admin",
    "tls",
    "registry",
    "keys",
    "issuers",
    "operators",
    "pool",
    "config_cache",
    "breaker",
    "limits",
    "mapping",
    "egress",
    "audit",
    "log",
    "telemetry",
];

/// The most anybody may be made to wait.
const HOUR: Duration = Duration::from_hours(1);
/// The longest anything is kept in memory.
const MONTH: Duration = Duration::from_hours(30 * 24);

impl Settings {
    /// Every setting, and what is wrong with some: those have their defaults, or are empty.
    pub(super) fn read(
        root: &Table,
        origins: &BTreeMap<String, Origin>,
        faults: Vec<SettingFault>,
    ) -> (Self, Vec<SettingFault>) {
        let mut findings = Findings { origins, faults, shown: Vec::new() };
        for key in root.keys().filter(|key| !SECTIONS.contains(&key.as_str())) {
            let hint = format!("sections are {}", SECTIONS.join(", "));
            findings.faults.push(SettingFault::new(key, "is not a section", hint));
        }
        let f = &mut findings;
        let mut settings = Self {
            fhir: fhir(root, f),
            admin: admin(root, f),
            tls: tls(root, f),
            registry_url: registry(root, f),
            keys: keys(root, f),
            issuers: issuers(root, f),
            operators: operators(root, f),
            pool: pool(root, f),
            config_cache_ttl: config_cache(root, f),
            breaker: breaker(root, f),
            limits: limits(root, f),
            drift_check: mapping(root, f),
            egress: egress(root, f),
            audit: audit(root, f),
            log: log(root, f),
            telemetry: telemetry(root, f),
            shown: Vec::new(),
        };
        settings.shown = findings.shown;
        (settings, findings.faults)
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

fn fhir<'a>(root: &'a Table, f: &mut Findings<'a>) -> FhirSettings {
    let mut s = Section::new(root, "fhir", f);
    let listen = s.address("listen", loopback(8080));
    let public_url = s.url("public_url", &format!("http://{listen}/fhir"));
    let mut trusted_proxies = Vec::new();
    for proxy in s.list("trusted_proxies") {
        match proxy.parse() {
            Ok(address) => trusted_proxies.push(address),
            Err(_) => s.complain(
                "trusted_proxies",
                "names something that is no address",
                "use numeric addresses",
            ),
        }
    }
    s.finish();
    FhirSettings {
        listen,
        public_url: public_url.trim_end_matches('/').to_owned(),
        trusted_proxies,
    }
}

fn admin<'a>(root: &'a Table, f: &mut Findings<'a>) -> AdminSettings {
    let mut s = Section::new(root, "admin", f);
    let listen = s.address("listen", loopback(8081));
    let public_url = s.url("public_url", &format!("http://{listen}"));
    let words = |t: &str| t.parse::<bool>().ok();
    let two_persons = s.parsed("two_persons", false, "true or false", words, ToString::to_string);
    s.finish();
    let public_url = public_url.trim_end_matches('/').to_owned();
    AdminSettings { listen, public_url, two_persons }
}

fn tls<'a>(root: &'a Table, f: &mut Findings<'a>) -> Option<ListenerTls> {
    let mut s = Section::new(root, "tls", f);
    if !s.present() {
        return None;
    }
    let cert_file = s.required("cert_file", "a PEM certificate chain").into();
    let key_file = s.required("key_file", "a PEM key").into();
    s.finish();
    Some(ListenerTls { cert_file, key_file })
}

fn registry<'a>(root: &'a Table, f: &mut Findings<'a>) -> SecretText {
    let mut s = Section::new(root, "registry", f);
    let url = s.secret("url", "url_file");
    if url.is_none() {
        s.complain("url", "is missing", "sqlite:/path/registry.db or postgres://…, or url_file");
    }
    s.finish();
    url.unwrap_or_else(|| SecretText::new(String::new()))
}

fn keys<'a>(root: &'a Table, f: &mut Findings<'a>) -> KeySettings {
    let mut s = Section::new(root, "keys", f);
    let kek_file = s.path_option("kek_file");
    // Not `secret()`: the key file has its own format and rules, and is read by the keyring itself.
    let kek = s.secret("kek", "kek_text_file");
    let store = s.secret("store", "store_file");
    if kek_file.is_none() && kek.is_none() {
        s.complain("kek_file", "is missing", "make one with `wardgate keys init`");
    }
    if kek_file.is_some() && kek.is_some() {
        s.complain("kek", "is given together with kek_file", "keep one of them");
    }
    if store.is_none() {
        s.complain("store", "is missing", "sqlite:/path/keys.db, not beside the registry");
    }
    s.finish();
    KeySettings { kek_file, kek, store: store.unwrap_or_else(|| SecretText::new(String::new())) }
}

fn issuers<'a>(root: &'a Table, f: &mut Findings<'a>) -> Vec<IssuerSettings> {
    let items = match root.get("issuers") {
        None => return Vec::new(),
        Some(Value::Array(items)) => items,
        Some(_) => {
            f.faults.push(SettingFault::new("issuers", "is not a list", "write [[issuers]]"));
            return Vec::new();
        }
    };
    let mut issuers: Vec<IssuerSettings> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Value::Table(table) = item else {
            f.faults.push(SettingFault::new(
                "issuers",
                "is not a list of sections",
                "write [[issuers]]",
            ));
            continue;
        };
        let mut s = Section::item(table, format!("issuers.{index}"), f);
        let url = s.url("url", "");
        if url.is_empty() {
            s.complain("url", "is missing", "the issuer exactly as tokens name it in `iss`");
        }
        if issuers.iter().any(|other| other.url == url) {
            s.complain("url", "is listed twice", "keep one [[issuers]] for each issuer");
        }
        let issuer = IssuerSettings {
            url,
            audience: s
                .required("audience", "what Wardgate is called in `aud`, such as wardgate-api"),
            tenant_claim: s.text("tenant_claim", "client_id"),
            roles_claim: s.text("roles_claim", "realm_access.roles"),
            internal_url: s.optional("internal_url"),
            preview_client_id: s.optional("preview_client_id"),
            preview_client_secret: s.secret("preview_client_secret", "preview_client_secret_file"),
        };
        if issuer.preview_client_id.is_some() != issuer.preview_client_secret.is_some() {
            s.complain(
                "preview_client_id",
                "and the secret go together",
                "give preview_client_id and preview_client_secret_file for looking at resources on the panel, or neither",
            );
        }
        issuers.push(issuer);
        s.finish();
    }
    issuers
}

fn operators<'a>(root: &'a Table, f: &mut Findings<'a>) -> Option<OperatorSettings> {
    let mut s = Section::new(root, "operators", f);
    if !s.present() {
        return None;
    }
    let operators = OperatorSettings {
        issuer: s.required("issuer", "the operators' realm, exactly as in `iss`"),
        audience: s.text("audience", "wardgate-admin"),
        role: s.text("role", "wardgate-operator"),
        viewer_role: s.text("viewer_role", "wardgate-viewer"),
        approver_role: s.text("approver_role", "wardgate-approver"),
        roles_claim: s.text("roles_claim", "realm_access.roles"),
        internal_url: s.optional("internal_url"),
        client_id: s.optional("client_id"),
        client_secret: s.secret("client_secret", "client_secret_file"),
    };
    if operators.client_id.is_some() != operators.client_secret.is_some() {
        s.complain(
            "client_id",
            "and the secret go together",
            "give client_id and client_secret_file for the panel, or neither",
        );
    }
    s.finish();
    Some(operators)
}

fn pool<'a>(root: &'a Table, f: &mut Findings<'a>) -> PoolSettings {
    let mut s = Section::new(root, "pool", f);
    let pool = PoolSettings {
        max_connections: s.number("max_connections", 5, 1, 1000),
        idle_timeout: s.duration("idle_timeout", Duration::from_mins(30), MONTH),
        acquire_timeout: s.duration("acquire_timeout", Duration::from_secs(1), HOUR),
        connect_timeout: s.duration("connect_timeout", Duration::from_secs(3), HOUR),
        statement_timeout: s.duration("statement_timeout", Duration::from_secs(5), HOUR),
        total_connections: s.number("total_connections", 400, 1, 100_000),
        identity_check: s.duration("identity_check", Duration::from_mins(5), HOUR),
    };
    if pool.max_connections > pool.total_connections {
        s.complain(
            "max_connections",
            "is above total_connections",
            "raise the total or lower this",
        );
    }
    s.finish();
    pool
}

fn mapping<'a>(root: &'a Table, f: &mut Findings<'a>) -> Duration {
    let mut s = Section::new(root, "mapping", f);
    let every = s.duration("drift_check", HOUR, MONTH);
    s.finish();
    every
}

fn config_cache<'a>(root: &'a Table, f: &mut Findings<'a>) -> Duration {
    let mut s = Section::new(root, "config_cache", f);
    let ttl = s.duration("ttl", Duration::from_mins(5), MONTH);
    s.finish();
    ttl
}

fn breaker<'a>(root: &'a Table, f: &mut Findings<'a>) -> BreakerSettings {
    let mut s = Section::new(root, "breaker", f);
    let failures = s.number("failures", 5, 1, 1000);
    let open_for = s.duration("open_for", Duration::from_secs(5), HOUR);
    let at_most = open_for.max(Duration::from_secs(6));
    let open_at_most = s.duration("open_at_most", at_most, HOUR);
    let breaker = BreakerSettings { failures, open_for, open_at_most };
    if breaker.open_for < Duration::from_secs(2) || breaker.open_for > breaker.open_at_most {
        s.complain("open_for", "is out of bounds", "at least 2s and at most open_at_most");
    }
    s.finish();
    breaker
}

fn limits<'a>(root: &'a Table, f: &mut Findings<'a>) -> LimitSettings {
    let mut s = Section::new(root, "limits", f);
    let limits = LimitSettings {
        requests_per_second: s.number("requests_per_second", 200, 1, 1_000_000),
        concurrent_requests: s.number("concurrent_requests", 32, 1, 100_000),
        page_size: s.number("page_size", 50, 1, 10_000),
        page_size_max: s.number("page_size_max", 1000, 1, 10_000),
        export_jobs: s.number("export_jobs", 2, 1, 100),
        request_timeout: s.duration("request_timeout", Duration::from_secs(10), HOUR),
        body_bytes: s.number("body_bytes", 1_048_576, 1024, 1 << 30),
        keep_alive: s.duration("keep_alive", Duration::from_secs(75), HOUR),
    };
    if limits.page_size > limits.page_size_max {
        s.complain("page_size", "is above page_size_max", "lower it or raise the maximum");
    }
    s.finish();
    limits
}

fn egress<'a>(root: &'a Table, f: &mut Findings<'a>) -> EgressSettings {
    let mut s = Section::new(root, "egress", f);
    let egress = EgressSettings { allow: s.list("allow"), sqlite_dir: s.path_option("sqlite_dir") };
    s.finish();
    egress
}

fn audit<'a>(root: &'a Table, f: &mut Findings<'a>) -> AuditSettings {
    let mut s = Section::new(root, "audit", f);
    let dir = s.required("dir", "a folder of its own for the access log").into();
    let instance = s.text("instance", "gateway-1");
    let checkpoint_dir = s.path_option("checkpoint_dir");
    let hint =
        "\"for_ever\", or days like \"2192d\", 1d at least (six years: 45 CFR 164.316(b)(2))";
    let days = |text: &str| match text {
        "for_ever" => Some(None),
        days => {
            let days: u64 = days.strip_suffix('d')?.parse().ok()?;
            (1..=36_500).contains(&days).then(|| Some(Duration::from_hours(24 * days)))
        }
    };
    let shown = |keep: &Option<Duration>| {
        keep.map_or("for_ever".to_owned(), |keep| format!("{}d", keep.as_secs() / 86_400))
    };
    let keep = s.parsed("keep", None, hint, days, shown);
    s.finish();
    AuditSettings { dir, instance, checkpoint_dir, keep }
}

fn log<'a>(root: &'a Table, f: &mut Findings<'a>) -> LogSettings {
    let mut s = Section::new(root, "log", f);
    let formats = |t: &str| match t {
        "json" => Some(true),
        "text" => Some(false),
        _ => None,
    };
    let shown = |json: &bool| if *json { "json" } else { "text" }.to_owned();
    let json = s.parsed("format", true, "\"json\" or \"text\"", formats, shown);
    let levels = "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"";
    let info = tracing::level_filters::LevelFilter::INFO;
    let level = s.parsed("level", info, levels, |t| t.parse().ok(), ToString::to_string);
    s.finish();
    LogSettings { json, level }
}

fn telemetry<'a>(root: &'a Table, f: &mut Findings<'a>) -> TelemetrySettings {
    let mut s = Section::new(root, "telemetry", f);
    let telemetry = TelemetrySettings {
        otlp_endpoint: Some(s.url("otlp_endpoint", "")).filter(|url| !url.is_empty()),
        otlp_authorization: s.secret("otlp_authorization", "otlp_authorization_file"),
        otlp_one_in: s.number("otlp_one_in", 1, 1, 1_000_000),
    };
    s.finish();
    telemetry
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
