//! Starting and stopping the program.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio::sync::oneshot;

use super::Reply;
use super::issuer::TestIssuer;

const PROGRAM: &str = env!("CARGO_BIN_EXE_wardgate");
/// A debug build on a busy machine needs a while.
const START: Duration = Duration::from_mins(1);

/// The control-plane databases and keys of one or more gateways.
#[derive(Clone)]
pub struct Stores {
    /// `[registry] url`.
    pub registry: String,
    /// `[keys] store`.
    pub keys: String,
    /// `[keys] kek_file`.
    pub kek: PathBuf,
}

/// What a gateway is started with, beside what every test needs.
#[derive(Default)]
pub struct Options {
    /// `[egress] allow`.
    pub egress: Vec<String>,
    /// More settings, as TOML tables of their own.
    pub settings: String,
    /// Where its stores are; SQLite files of its own without.
    pub stores: Option<Stores>,
    /// Whether operators can sign in to the panel, at the gateway's own address.
    pub panel: bool,
    /// `[operators]` in full, when it is another issuer than the test's.
    pub operators: Option<String>,
    /// What `[[issuers]]` says besides its issuer, where it is not that people may look at resources on the panel.
    pub hospitals: Option<String>,
    /// `[admin] two_persons`.
    pub two_persons: bool,
    /// Whether those stores are to be migrated and given keys first. Its own always are.
    pub fresh: bool,
    /// The program and its first arguments that start the gateway, where it is not started directly.
    pub through: &'static [&'static str],
    /// `[log] level`; the most talkative one without.
    pub log_level: Option<&'static str>,
}

/// A running gateway.
pub struct Gateway {
    /// Base of the data plane: `http://127.0.0.1:PORT/fhir`.
    pub fhir: String,
    /// Base of the control plane: `http://127.0.0.1:PORT`.
    pub admin: String,
    /// The HTTP client all calls go through.
    pub http: reqwest::Client,
    /// An operator's token.
    pub operator: String,
    pub(super) hospitals: String,
    /// The OAuth clients that its hospitals admit.
    pub(super) clients: &'static [&'static str],
    folder: TempDir,
    log: Arc<Mutex<String>>,
    child: Mutex<Child>,
}

impl Gateway {
    /// Writes the settings, makes keys and databases if there are none, and serves.
    pub async fn start(issuer: &TestIssuer, options: Options) -> Self {
        let folder = tempfile::tempdir().expect("make a folder");
        let fresh = options.fresh || options.stores.is_none();
        let stores = options.stores.clone().unwrap_or_else(|| Stores::in_folder(folder.path()));
        let place = options.panel.then(Place::reserve);
        write_settings(folder.path(), issuer, &options, &stores, place.as_ref());
        if fresh {
            run(folder.path(), &["registry", "migrate"]);
            run(folder.path(), &["keys", "init"]);
        }
        let (log, child, addresses) = spawn(folder.path(), options.through);
        let found = tokio::time::timeout(START, addresses).await;
        let Ok(Ok((fhir, admin))) = found else {
            panic!("the gateway did not start: {}", log.lock().unwrap());
        };
        Self {
            fhir: format!("http://{fhir}/fhir"),
            admin: format!("http://{admin}"),
            // Far less than the gateway keeps an idle connection for: none is met while it is being closed.
            http: reqwest::Client::builder()
                .no_proxy()
                .pool_idle_timeout(Duration::from_secs(5))
                .build()
                .expect("an HTTP client"),
            operator: issuer.token(super::OPERATOR),
            hospitals: issuer.hospitals(),
            clients: if options.panel { &["ward-app", "wardgate-preview"] } else { &["ward-app"] },
            folder,
            log,
            child: Mutex::new(child),
        }
    }

    /// The folder with its settings, stores, access log (`audit`) and SQLite hospitals (`sqlite`).
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What was read so far of what it wrote to standard error.
    pub fn log_so_far(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Everything it wrote to standard error until now, which is read a moment after it was written: a
    /// refusal of our own, found by its id, ends it.
    pub async fn log(&self) -> String {
        let begun = Instant::now();
        while begun.elapsed() < START {
            let refused = self.http.get(format!("{}/Patient", self.fhir));
            let Some(refused) = Reply::of(refused).await else { break };
            let id = refused.header("x-request-id");
            // Lines of refusals are bounded, so that it may have none.
            for _ in 0..40 {
                let log = self.log_so_far();
                if log.contains(id) {
                    return log;
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        }
        panic!("the gateway's log does not go on: {}", self.log_so_far());
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// Whether the process still runs.
    pub fn runs(&self) -> bool {
        matches!(self.child.lock().unwrap().try_wait(), Ok(None))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // A test that failed needs to know why the gateway answered as it did.
        if std::thread::panicking() {
            let log = self.log_so_far();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(60);
            eprintln!("--- the gateway's last lines\n{}\n---", lines[last..].join("\n"));
        }
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ended_before = child.kill().is_err();
        let _ended_before = child.wait().is_err();
    }
}

impl Stores {
    /// SQLite files in that folder, the keys' apart.
    pub fn in_folder(folder: &Path) -> Self {
        let keys = folder.join("keys");
        std::fs::create_dir_all(&keys).expect("make a folder");
        Self {
            registry: format!("sqlite:{}", folder.join("registry.db").display()),
            keys: format!("sqlite:{}", keys.join("keys.db").display()),
            kek: keys.join("kek"),
        }
    }
}

/// An address that nobody else is given while this one lives: taken, and free for whoever listens there.
struct Place {
    _held: TcpSocket,
    address: SocketAddr,
}

impl Place {
    fn reserve() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        // Both sides say so, or the gateway could not take the address too.
        socket.set_reuseaddr(true).expect("an address for two");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = socket.local_addr().expect("its address");
        Self { _held: socket, address }
    }
}

fn write_settings(
    folder: &Path,
    issuer: &TestIssuer,
    options: &Options,
    stores: &Stores,
    place: Option<&Place>,
) {
    for inside in ["audit", "checkpoints", "sqlite"] {
        std::fs::create_dir_all(folder.join(inside)).expect("make a folder");
    }
    let folder_of = |inside: &str| folder.join(inside).display().to_string();
    let mut text = format!(
        r#"
[fhir]
listen = "127.0.0.1:0"
public_url = "http://gateway.test/fhir"
[admin]
{admin}
[registry]
url = "{registry}"
[keys]
kek_file = "{kek}"
store = "{keys}"
[[issuers]]
url = "{hospitals}"
audience = "wardgate-api"
{preview}
[operators]
{operators}
[egress]
allow = {egress:?}
sqlite_dir = "{sqlite}"
[audit]
dir = "{audit}"
checkpoint_dir = "{checkpoints}"
[log]
format = "json"
level = "{level}"
"#,
        admin = admin_settings(options, place),
        level = options.log_level.unwrap_or("trace"),
        registry = stores.registry,
        keys = stores.keys,
        kek = stores.kek.display(),
        hospitals = issuer.hospitals(),
        preview = preview_settings(issuer, options),
        operators = operators_settings(issuer, options),
        egress = options.egress,
        sqlite = folder_of("sqlite"),
        audit = folder_of("audit"),
        checkpoints = folder_of("checkpoints"),
    );
    // As delivered a caller gives up after a second, which a busy machine may need to open a connection.
    if cfg!(test) && !options.settings.contains("[pool]") {
        text.push_str("[pool]\nacquire_timeout = \"8s\"\n");
    }
    writeln!(text, "{}", options.settings).expect("write to memory");
    std::fs::write(folder.join("wardgate.toml"), text).expect("write the settings");
}

/// The panel must know its own address before it listens there.
fn admin_settings(options: &Options, place: Option<&Place>) -> String {
    let two = options.two_persons;
    let (listen, url) = place.map_or_else(
        || ("127.0.0.1:0".to_owned(), "http://ops.test".to_owned()),
        |place| (place.address.to_string(), format!("http://{}", place.address)),
    );
    format!("listen = \"{listen}\"\npublic_url = \"{url}\"\ntwo_persons = {two}")
}

/// The panel's place at the hospitals' issuer.
fn preview_settings(issuer: &TestIssuer, options: &Options) -> String {
    let secret = issuer.panel_secret();
    match &options.hospitals {
        Some(settings) => settings.clone(),
        None if options.panel => format!(
            "preview_client_id = \"wardgate-preview\"\npreview_client_secret = \"{secret}\""
        ),
        None => String::new(),
    }
}

fn operators_settings(issuer: &TestIssuer, options: &Options) -> String {
    if let Some(settings) = &options.operators {
        return settings.clone();
    }
    let (url, secret) = (issuer.operators(), issuer.panel_secret());
    let mut settings = format!("issuer = \"{url}\"\naudience = \"wardgate-admin\"");
    if options.panel {
        let client = format!("\nclient_id = \"wardgate-panel\"\nclient_secret = \"{secret}\"");
        settings.push_str(&client);
    }
    settings
}

fn program(folder: &Path) -> Command {
    let mut program = Command::new(PROGRAM);
    // Nothing of the caller's environment may become a setting.
    program.env_clear().arg("--config").arg(folder.join("wardgate.toml")).current_dir(folder);
    program
}

/// Runs one command of the program to its end.
fn run(folder: &Path, words: &[&str]) {
    let done = program(folder).args(words).output().expect("run the program");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "wardgate {}: {said}", words.join(" "));
}

type Addresses = oneshot::Receiver<(String, String)>;

fn spawn(folder: &Path, through: &[&str]) -> (Arc<Mutex<String>>, Child, Addresses) {
    let mut command = match through {
        [] => program(folder),
        [first, rest @ ..] => {
            let direct = program(folder);
            let mut command = Command::new(first);
            command.env_clear().args(rest).arg(PROGRAM).args(direct.get_args()).current_dir(folder);
            command
        }
    };
    let mut child = command
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start the gateway");
    let stderr = child.stderr.take().expect("its standard error");
    let log = Arc::new(Mutex::new(String::new()));
    let (tell, addresses) = oneshot::channel();
    let kept = Arc::clone(&log);
    std::thread::spawn(move || {
        let mut tell = Some(tell);
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some(found) = listening(&line)
                && let Some(tell) = tell.take()
            {
                let _nobody_waits = tell.send(found).is_err();
            }
            let mut kept = kept.lock().unwrap();
            kept.push_str(&line);
            kept.push('\n');
        }
    });
    (log, child, addresses)
}

/// The addresses of `serving FHIR on A and the admin API on B`.
fn listening(line: &str) -> Option<(String, String)> {
    let rest = line.strip_prefix("serving FHIR on ")?;
    let (fhir, admin) = rest.split_once(" and the admin API on ")?;
    Some((fhir.to_owned(), admin.trim().to_owned()))
}
