use super::*;
use crate::config::layers;

const LEAST: &str = r#"
    [registry]
    url = "sqlite:/r.db"
    [keys]
    kek_file = "/k"
    store = "sqlite:/k.db"
    [audit]
    dir = "/a"
"#;

/// The settings, or all faults.
fn resolve(
    file: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Settings, Vec<SettingFault>> {
    let (settings, faults) = layers::resolve(file, environment);
    settings.filter(|_| faults.is_empty()).ok_or(faults)
}

fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let owned: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    owned.into_iter()
}

#[test]
fn the_least_file_gives_the_documented_defaults() {
    let settings = resolve(LEAST, env(&[])).unwrap();
    assert_eq!(settings.pool.max_connections, 5);
    assert_eq!(settings.config_cache_ttl, Duration::from_mins(5));
    assert_eq!(settings.fhir.public_url, "http://127.0.0.1:8080/fhir");
}

#[test]
fn all_faults_come_at_once_and_none_holds_a_secret() {
    let text = r#"
        [fhir]
        lisen = "127.0.0.1:1"
        [pool]
        max_connections = 0
        idle_timeout = "soon"
        [registry]
        url = "postgres://u:hunter2@h/d"
        url_file = "/nowhere"
        [colour]
        x = 1
    "#;
    let faults = resolve(text, env(&[])).unwrap_err();
    let text = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for key in [
        "fhir.lisen",
        "pool.max_connections",
        "pool.idle_timeout",
        "registry.url",
        "keys.kek_file",
        "keys.store",
        "audit.dir",
        "colour",
    ] {
        assert!(text.contains(key), "{key} in\n{text}");
    }
    assert!(text.contains("did you mean \"listen\""), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn the_environment_wins_and_is_named_as_the_origin() {
    let environment = env(&[
        ("WARDGATE__POOL__MAX_CONNECTIONS", "9"),
        ("WARDGATE__ISSUERS__0__URL", "https://sso.example.org/realms/h"),
        ("WARDGATE__ISSUERS__0__AUDIENCE", "wardgate-api"),
        ("WARDGATE__EGRESS__ALLOW", "10.0.0.0/8:5432, db.example:3306"),
        ("OTHER", "ignored"),
    ]);
    let settings = resolve(LEAST, environment).unwrap();
    assert_eq!(settings.pool.max_connections, 9);
    assert_eq!(settings.issuers.len(), 1);
    assert_eq!(settings.egress.allow.len(), 2);
    let shown = settings.shown.iter().find(|s| s.key == "pool.max_connections").unwrap();
    assert_eq!((shown.value.as_str(), shown.origin), ("9", Origin::Environment));
    let url = settings.shown.iter().find(|s| s.key == "registry.url").unwrap();
    assert_eq!((url.value.as_str(), url.origin), ("***", Origin::File));
}

#[test]
fn a_broken_file_is_named_by_line_without_quoting_it() {
    let faults = resolve("[registry]\nurl = hunter2 = 3\n", env(&[])).unwrap_err();
    let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["line 2"], "what could not be read is not called missing");
    assert!(!format!("{faults:?}").contains("hunter2"));
}

#[test]
fn the_shipped_example_is_accepted() {
    let settings = resolve(include_str!("../../config/wardgate.toml"), env(&[])).unwrap();
    assert_eq!(settings.issuers.len(), 1);
    assert_eq!(settings.audit.dir, std::path::Path::new("/var/lib/wardgate-audit"));
}

#[test]
fn the_shipped_example_names_every_setting() {
    let example = include_str!("../../config/wardgate.toml");
    let (mut section, mut named) = ("", Vec::new());
    for line in example.lines().map(|line| line.trim_start_matches(['#', ' '])) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_start_matches('[').split(']').next().unwrap();
        } else if let Some((key, _)) = line.split_once(" = ") {
            named.push(format!("{section}.{key}"));
        }
    }
    for setting in resolve(example, env(&[])).unwrap().shown {
        // `issuers.0.url`: of the first issuer.
        let key = setting.key.replace(".0.", ".");
        assert!(named.contains(&key), "{key}");
    }
    // What needs not be given is not shown.
    for key in [
        "issuers.internal_url",
        "issuers.preview_client_id",
        "issuers.preview_client_secret_file",
        "operators.internal_url",
        "operators.client_id",
        "tls.key_file",
    ] {
        assert!(named.iter().any(|named| named == key), "{key}");
    }
}

#[test]
fn the_access_log_is_kept_for_ever_unless_days_are_given() {
    assert_eq!(resolve(LEAST, env(&[])).unwrap().audit.keep, None);
    let days = |value| resolve(LEAST, env(&[("WARDGATE__AUDIT__KEEP", value)]));
    assert_eq!(days("for_ever").unwrap().audit.keep, None);
    let six_years = std::time::Duration::from_hours(24 * 2192);
    assert_eq!(days("2192d").unwrap().audit.keep, Some(six_years));
    for bad in ["0d", "7", "6y", "forever", "36501d", "-1d"] {
        let faults = days(bad).unwrap_err();
        assert!(faults.iter().any(|fault| fault.key == "audit.keep"), "{bad}: {faults:?}");
    }
}

#[test]
fn a_client_and_its_secret_go_together() {
    let text = |more: &str| {
        format!(
            "{LEAST}[[issuers]]\nurl = \"https://sso.example.org/realms/a\"\naudience = \"a\"\n{more}"
        )
    };
    for alone in ["preview_client_id = \"p\"", "preview_client_secret = \"hunter2\""] {
        let faults = resolve(&text(alone), env(&[])).unwrap_err();
        let found = faults.iter().find(|fault| fault.key.ends_with(".preview_client_id"));
        assert!(found.expect("a fault").hint.contains("preview_client_secret_file"), "{alone}");
        assert!(!format!("{faults:?}").contains("hunter2"));
    }
    let both = text("preview_client_id = \"p\"\npreview_client_secret = \"hunter2\"");
    let settings = resolve(&both, env(&[])).unwrap();
    assert_eq!(settings.issuers.last().unwrap().preview_client_id.as_deref(), Some("p"));
    assert!(!format!("{settings:?}").contains("hunter2"));
}
