use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::hospital::{self, HOSPITALS, Hospital};
use super::issuer::{self, Issuer};
use super::text;
use crate::app::fault::StartFault;
use crate::app::parts::private_folder;
use crate::app::{Application, Console, init_keys, migrate_stores};
use crate::base::{Generation, SecretText, SystemClock};
use crate::config::{self, Settings};
use crate::control::{ConnectionInput, ControlFault, IdentityView, NewTenant, TenantPatch};
use crate::http::listener::Listener;
use crate::pool::dial::EgressRules;

/// How to start the demo.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// Where it keeps its data.
    pub data_dir: PathBuf,
    /// Port of the FHIR API; 0 picks a free one.
    pub fhir_port: u16,
    /// Port of the admin API; 0 picks a free one.
    pub admin_port: u16,
    /// Database servers beside its own files that hospitals may be on, as in `[egress] allow`.
    pub allow: Vec<String>,
    /// Hospitals beside its own that users are made for.
    pub hospitals: Vec<String>,
}

/// A demo that is ready to run.
pub struct Demo {
    application: Application,
    issuer: Issuer,
    /// Ends the issuer when the demo does.
    _issuing: DropGuard,
    urls: Urls,
    data_dir: PathBuf,
    /// Held as long as the demo lives.
    _lock: File,
}

/// Where the demo's parts are reached.
#[derive(Debug, Serialize, Deserialize)]
struct Urls {
    fhir: String,
    admin: String,
    issuer: String,
}

/// The file in the demo's folder that says where a running demo is.
const RUNNING: &str = "running.json";
/// The file in the demo's folder that a running demo holds locked.
const LOCK: &str = "lock";

impl Demo {
    /// Makes what is missing, opens everything and binds all listeners.
    pub async fn start(options: DemoOptions) -> Result<Self, StartFault> {
        let data_dir = std::path::absolute(&options.data_dir)
            .map_err(|e| StartFault::File(options.data_dir.display().to_string(), e.kind()))?;
        for folder in ["", "hospitals", "registry", "keys", "audit", "checkpoints"] {
            private_folder(&data_dir.join(folder))?;
        }
        let lock = lock(&data_dir)?;
        let listener = issuer_listener(&data_dir).await?;
        let address =
            listener.address().map_err(|e| StartFault::File("listener".to_owned(), e.kind()))?;
        let base = format!("http://{address}");
        let issuer =
            Issuer::new(base.clone(), hospital::users(&options.hospitals), Arc::new(SystemClock))
                .map_err(|fault| StartFault::Setting(fault.to_string()))?;
        // The gateway discovers its issuers while it is being built, so the issuer answers before.
        let issuing = CancellationToken::new();
        tokio::spawn(listener.serve(issuer.router(), issuing.clone(), Duration::from_secs(1)));
        let issuing = issuing.drop_guard();
        let fhir_port = free_port(options.fhir_port).await?;
        let admin_port = free_port(options.admin_port).await?;
        let settings = settings(&data_dir, &issuer, (fhir_port, admin_port), &options.allow)?;
        migrate_stores(&settings).await?;
        init_keys(&settings).await?;
        register(&data_dir, &settings, &issuer).await?;
        let application = Application::build(settings).await?;
        let urls = Urls {
            fhir: format!("http://{}/fhir", application.fhir_address()),
            admin: format!("http://{}", application.admin_address()),
            issuer: base,
        };
        Ok(Self { application, issuer, _issuing: issuing, urls, data_dir, _lock: lock })
    }

    /// One line of JSON that says where everything is.
    pub fn ready_line(&self) -> String {
        let Urls { fhir, admin, issuer } = &self.urls;
        let panel = format!("{admin}/panel/");
        let users = self.issuer.users();
        json!({ "fhir": fhir, "admin": admin, "issuer": issuer, "panel": panel, "users": users })
            .to_string()
    }

    /// What to paste next.
    pub fn welcome(&self) -> String {
        let Urls { fhir, admin, issuer } = &self.urls;
        let program = std::env::current_exe()
            .map_or_else(|_| "wardgate".to_owned(), |path| path.display().to_string());
        text::welcome(fhir, admin, issuer, &self.data_dir.display().to_string(), &program)
    }

    /// Serves until `stop`.
    pub async fn run(self, stop: CancellationToken) -> Result<(), StartFault> {
        let running = self.data_dir.join(RUNNING);
        let text = serde_json::to_string(&self.urls).unwrap_or_default();
        std::fs::write(&running, text)
            .map_err(|e| StartFault::File(running.display().to_string(), e.kind()))?;
        let outcome = self.application.run(stop).await;
        let _gone = std::fs::remove_file(&running);
        outcome
    }
}

/// An access token of the demo that runs on this folder.
pub async fn running_issuer_token(data_dir: &Path, user: &str) -> Result<String, String> {
    let away = || "no demo is running on that folder".to_owned();
    let text = std::fs::read_to_string(data_dir.join(RUNNING)).map_err(|_| away())?;
    let urls: Urls = serde_json::from_str(&text).map_err(|_| away())?;
    let realm = if matches!(user, "operator" | "viewer") { "operators" } else { "hospitals" };
    let address = format!("{}/realms/{realm}/protocol/openid-connect/token", urls.issuer);
    issuer::password_grant(&address, user, hospital::PASSWORD).await
}

/// Takes the folder for this process. A second demo on it would bind the hospitals to an issuer of its
/// own, and the first one's tokens would count no more.
fn lock(data_dir: &Path) -> Result<File, StartFault> {
    let path = data_dir.join(LOCK);
    let fault = |kind| StartFault::File(path.display().to_string(), kind);
    let file = File::options().create(true).write(true).truncate(false).open(&path);
    let file = file.map_err(|e| fault(e.kind()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StartFault::DemoRuns),
        Err(std::fs::TryLockError::Error(e)) => Err(fault(e.kind())),
    }
}

/// Where the issuer listens: on the port it had last time when that is free, because hospitals that somebody added
/// to the folder are bound to its URL.
async fn issuer_listener(data_dir: &Path) -> Result<Listener, StartFault> {
    let settings = std::fs::read_to_string(data_dir.join("wardgate.toml")).unwrap_or_default();
    if let Some(port) = issuer_port(&settings)
        && let Ok(listener) = Listener::bind(([127, 0, 0, 1], port).into()).await
    {
        return Ok(listener);
    }
    Ok(Listener::bind(([127, 0, 0, 1], 0).into()).await?)
}

/// The port of the issuer in the settings of the last start.
fn issuer_port(settings: &str) -> Option<u16> {
    let (_, issuers) = settings.split_once("[[issuers]]")?;
    let (_, after) = issuers.split_once("url = \"http://127.0.0.1:")?;
    after.split_once('/')?.0.parse().ok()
}

/// A port to listen on: the one asked for, or for 0 one that is free now.
async fn free_port(wanted: u16) -> Result<u16, StartFault> {
    if wanted != 0 {
        return Ok(wanted);
    }
    let probe = Listener::bind(([127, 0, 0, 1], 0).into()).await?;
    let address = probe.address();
    address.map(|a| a.port()).map_err(|e| StartFault::File("listener".to_owned(), e.kind()))
}

/// The demo's settings: a file like any other, so that every command works on the demo with `--config`.
fn settings(
    data_dir: &Path,
    issuer: &Issuer,
    (fhir_port, admin_port): (u16, u16),
    allow: &[String],
) -> Result<Settings, StartFault> {
    let dir = data_dir.display();
    // Rules hold nothing that TOML's quotes would not.
    EgressRules::parse(allow).map_err(|fault| StartFault::Setting(format!("--allow: {fault}")))?;
    let allow: Vec<String> = allow.iter().map(|rule| format!("{rule:?}")).collect();
    // Of a client that only this machine knows, and new at every start.
    let secret = data_dir.join("panel-secret");
    std::fs::write(&secret, issuer.panel_secret())
        .map_err(|e| StartFault::File(secret.display().to_string(), e.kind()))?;
    let text = format!(
        r#"# Written anew at every start of the demo.
[fhir]
listen = "127.0.0.1:{fhir_port}"
public_url = "http://127.0.0.1:{fhir_port}/fhir"
[admin]
listen = "127.0.0.1:{admin_port}"
public_url = "http://127.0.0.1:{admin_port}"
[registry]
url = "sqlite:{dir}/registry/registry.db"
[keys]
kek_file = "{dir}/keys/kek"
store = "sqlite:{dir}/keys/keys.db"
[[issuers]]
url = "{hospitals}"
audience = "{audience}"
preview_client_id = "{preview_client}"
preview_client_secret_file = "{dir}/panel-secret"
[operators]
issuer = "{operators}"
audience = "{admin_audience}"
client_id = "{panel_client}"
client_secret_file = "{dir}/panel-secret"
[egress]
sqlite_dir = "{dir}/hospitals"
allow = [{allow}]
[audit]
dir = "{dir}/audit"
checkpoint_dir = "{dir}/checkpoints"
[log]
format = "text"
level = "warn"
"#,
        allow = allow.join(", "),
        hospitals = issuer.realm_url("hospitals"),
        operators = issuer.realm_url("operators"),
        audience = issuer::AUDIENCE,
        admin_audience = issuer::ADMIN_AUDIENCE,
        panel_client = issuer::PANEL_CLIENT,
        preview_client = issuer::PREVIEW_CLIENT,
    );
    let file = data_dir.join("wardgate.toml");
    std::fs::write(&file, &text)
        .map_err(|e| StartFault::File(file.display().to_string(), e.kind()))?;
    config::parse(&text).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        StartFault::Setting(lines.join("; "))
    })
}

/// Makes and registers the hospitals that are not there yet. The issuer's port may be another than last
/// time, so identities are brought up to date.
async fn register(data_dir: &Path, settings: &Settings, issuer: &Issuer) -> Result<(), StartFault> {
    let console = Console::open(settings.clone()).await?;
    for hospital in &HOSPITALS {
        hospital.create(&data_dir.join("hospitals")).await?;
        let registered = enrol(&console, hospital, issuer).await;
        registered.map_err(|fault| StartFault::Setting(format!("{}: {fault}", hospital.name)))?;
    }
    Ok(())
}

async fn enrol(
    console: &Console,
    hospital: &Hospital,
    issuer: &Issuer,
) -> Result<(), ControlFault> {
    let (control, caller) = (console.control(), console.caller());
    let identity = IdentityView {
        issuer: issuer.realm_url("hospitals"),
        claim_value: Some(hospital.name.to_owned()),
        azp: vec![issuer::CLIENT.to_owned(), issuer::PREVIEW_CLIENT.to_owned()],
    };
    match control.show(&caller, hospital.name).await {
        Ok(known) if known.damaged.is_none() && known.identities == [identity.clone()] => {
            return Ok(());
        }
        Ok(known) => {
            let patch = TenantPatch { identities: Some(vec![identity]), ..TenantPatch::default() };
            let seen = Generation(known.generation);
            control.change(&caller, hospital.name, Some(seen), patch).await?;
            return Ok(());
        }
        Err(ControlFault::NoSuchTenant) => {}
        Err(fault) => return Err(fault),
    }
    let url = SecretText::new(format!("sqlite:{}", hospital.file()));
    let new = NewTenant {
        name: hospital.name.to_owned(),
        display_name: Some(hospital.display_name.to_owned()),
        identities: vec![identity],
        limits: None,
        connection: Some(ConnectionInput::url(url, None, true)),
    };
    control.add(&caller, new).await?;
    let report = control.store_mapping(&caller, hospital.name, hospital.mapping).await?;
    match report.version {
        Some(version) => {
            control.publish_mapping(&caller, hospital.name, version, None).await.map(drop)
        }
        None => Err(ControlFault::Mapping(report.problems)),
    }
}
