//! What is wrong with settings beyond their form: each room judges its own, nothing is opened or connected to.

use super::rooms;
use crate::auth::{self, AuthFault};
use crate::config::{SettingFault, Settings};
use crate::http::listener;
use crate::pool::dial::EgressRules;
use crate::registry::{KeyStore, Registry, RegistryFault};

/// All that a gateway with these settings would stumble over when it starts or when it connects.
pub fn check_settings(settings: &Settings) -> Vec<SettingFault> {
    let mut faults = Vec::new();
    stores(settings, &mut faults);
    issuers(settings, &mut faults);
    looks(settings, &mut faults);
    egress(settings, &mut faults);
    listeners(settings, &mut faults);
    if let Err(fault) = rooms::audit(settings).check() {
        let hint = "each gateway that writes to the folder has a name of its own";
        faults.push(SettingFault::new("audit.instance", fault.to_string(), hint));
    }
    faults
}

fn stores(settings: &Settings, faults: &mut Vec<SettingFault>) {
    let mut judge = |key: &str, judged: Result<(), RegistryFault>| {
        if let Err(fault) = judged {
            let why = match fault {
                RegistryFault::Setting(why) => why.to_owned(),
                other => other.to_string(),
            };
            let hint = "sqlite:/path/file.db, or postgres://user:password@host/database";
            faults.push(SettingFault::new(key, format!("cannot be used: {why}"), hint));
        }
    };
    judge("registry.url", Registry::check_setting(&settings.registry_url));
    judge("keys.store", KeyStore::check_setting(&settings.keys.store));
    if settings.registry_url.expose() == settings.keys.store.expose() {
        let hint = "keep wrapped keys apart from the records they open, and from their backups";
        faults.push(SettingFault::new("keys.store", "is the registry's own database", hint));
    }
}

fn issuers(settings: &Settings, faults: &mut Vec<SettingFault>) {
    let mut judge = |key: String, judged: Result<(), AuthFault>| {
        if let Err(AuthFault::Configuration { what, .. }) = judged {
            let hint = "the issuer exactly as tokens name it in `iss`, such as https://sso.example.org/realms/name";
            faults.push(SettingFault::new(key, format!("cannot be used: {what}"), hint));
        }
    };
    let config = rooms::auth(settings);
    for (at, issuer) in config.issuers.iter().enumerate() {
        judge(format!("issuers.{at}"), auth::check_issuer(issuer));
    }
    let Some(operators) = &config.operators else { return };
    judge("operators".to_owned(), auth::check_issuer(&operators.as_issuer()));
    if config.issuers.iter().any(|issuer| issuer.url == operators.issuer) {
        let hint =
            "operators need a realm of their own: no clinician's token may open the control plane";
        faults.push(SettingFault::new("operators.issuer", "is one of [[issuers]]", hint));
    }
    if let Err(fault) = rooms::sign_in(settings) {
        let (what, hint) = (fault.to_string(), "https://ops.example.org");
        let (key, problem) = what.split_once(": ").unwrap_or(("admin.public_url", &what));
        faults.push(SettingFault::new(key, problem, hint));
    }
}

/// Resources are looked at on the panel.
fn looks(settings: &Settings, faults: &mut Vec<SettingFault>) {
    let panel = settings.operators.as_ref().is_some_and(|o| o.client_id.is_some());
    for (at, issuer) in settings.issuers.iter().enumerate() {
        if issuer.preview_client_id.is_some() && !panel {
            let hint = "resources are looked at on the panel: give [operators] client_id and client_secret_file as well";
            let key = format!("issuers.{at}.preview_client_id");
            faults.push(SettingFault::new(key, "is of no use without a panel", hint));
        }
    }
}

fn egress(settings: &Settings, faults: &mut Vec<SettingFault>) {
    for rule in &settings.egress.allow {
        let why = match EgressRules::parse(std::slice::from_ref(rule)) {
            Err(fault) => fault.why,
            // A name is allowed only where its addresses are, and loopback is allowed by address only.
            Ok(_) if rule.starts_with("localhost:") => {
                "loopback is allowed by its address only, as in 127.0.0.1/32:5432"
            }
            Ok(_) => continue,
        };
        let hint = "10.20.0.0/16:5432, [fd00::]/8:5432 or db.example.org:3306; the port may be *";
        let problem = format!("holds \"{rule}\", which cannot be used: {why}");
        faults.push(SettingFault::new("egress.allow", problem, hint));
    }
}

fn listeners(settings: &Settings, faults: &mut Vec<SettingFault>) {
    let (fhir, admin) = (settings.fhir.listen, settings.admin.listen);
    if fhir == admin && fhir.port() != 0 {
        let hint = "the two listeners are apart, so that the control plane can be kept inside";
        faults.push(SettingFault::new("admin.listen", "is where [fhir] listens", hint));
    }
    if let Some(tls) = &settings.tls
        && let Err(fault) = listener::check_tls(&tls.cert_file, &tls.key_file)
    {
        let hint = "a PEM certificate chain and its PEM key, both readable by this process";
        faults.push(SettingFault::new("tls", fault.to_string(), hint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn faults(more: &str) -> Vec<SettingFault> {
        let text = format!("[audit]\ndir = \"/a\"\n{more}");
        check_settings(&config::parse(&text).unwrap())
    }

    #[test]
    fn what_would_only_show_when_it_is_used_is_found() {
        let text = r#"
            instance = "Gateway 1"
            [fhir]
            listen = "127.0.0.1:8080"
            [admin]
            listen = "127.0.0.1:8080"
            public_url = "http://ops.example.org"
            [registry]
            url = "mysql://u:hunter2@h/d"
            [keys]
            kek_file = "/k"
            store = "sqlite:"
            [tls]
            cert_file = "/nowhere/cert.pem"
            key_file = "/nowhere/key.pem"
            [[issuers]]
            url = "http://sso.example.org/realms/a"
            audience = "a"
            [[issuers]]
            url = "https://sso.example.org/realms/b"
            audience = "a"
            [operators]
            issuer = "https://sso.example.org/realms/b"
            client_id = "panel"
            client_secret = "hunter2"
            [egress]
            allow = ["10.0.0.1/8:5432", "10.0.0.0/8:5432", "db.example.org", "localhost:5432"]
        "#;
        let faults = faults(text);
        let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "registry.url",
                "keys.store",
                "issuers.0",
                "operators.issuer",
                "admin.public_url",
                "egress.allow",
                "egress.allow",
                "egress.allow",
                "admin.listen",
                "tls",
                "audit.instance"
            ],
            "{faults:#?}"
        );
        assert!(faults.iter().all(|fault| !fault.hint.is_empty()));
        assert!(!format!("{faults:?}").contains("hunter2"));
    }

    const STORES: &str =
        "[registry]\nurl = \"sqlite:/r.db\"\n[keys]\nkek_file = \"/k\"\nstore = \"sqlite:/k.db\"\n";

    #[test]
    fn keys_are_kept_apart_from_the_registry() {
        let same = "[registry]\nurl = \"sqlite:/r.db\"\n[keys]\nkek_file = \"/k\"\nstore = ";
        assert_eq!(faults(&format!("{same}\"sqlite:/r.db\"")).len(), 1);
        assert_eq!(faults(&format!("{same}\"sqlite:/k.db\"")), []);
    }

    #[test]
    fn resources_are_looked_at_on_a_panel() {
        let issuer = "[[issuers]]\nurl = \"https://sso.example.org/realms/a\"\naudience = \"a\"\n\
                      preview_client_id = \"p\"\npreview_client_secret = \"hunter2\"\n";
        let faults_of = |more: &str| faults(&format!("{STORES}{issuer}{more}"));
        let found = faults_of("");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].key, "issuers.0.preview_client_id");
        assert!(found[0].hint.contains("client_secret_file"), "{found:?}");
        let operators = "[operators]\nissuer = \"https://sso.example.org/realms/o\"\n";
        assert_eq!(faults_of(operators).len(), 1);
        let panel = format!("{operators}client_id = \"panel\"\nclient_secret = \"hunter2\"\n");
        let url = "[admin]\npublic_url = \"https://ops.example.org\"\n";
        assert_eq!(faults_of(&format!("{panel}{url}")), []);
    }
}
