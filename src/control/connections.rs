use std::time::Duration;

use serde::Deserialize;
use serde::de::Deserializer;
use utoipa::ToSchema;
use uuid::Uuid;

use super::fault::ControlFault;
use super::view::{CheckFinding, CheckReport, CheckStep, TenantView};
use super::{Caller, Control};
use crate::base::{
    ConnectionRecord, ConnectionRevision, Deadline, Generation, SecretText, ServerIdentity,
    TenantId, TlsException, TlsPolicy, attach_ca_pem, parse_connection_url,
};
use crate::pool::dial::{DialClass, DialFault, Opened, Progress, SessionSettings};
use crate::registry::{NewConnection, Ownership, RegistryFault, Tenant};
use crate::store::admin::{Admin, Finding, WritesBack, preflight};
use crate::tenant::seal_place;

/// A connection as an operator gives it. The URL is parsed into fields and never stored.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionInput {
    /// `postgres://user:password@host[:port]/database`, `mysql://…` or `sqlite:file`.
    #[serde(deserialize_with = "secret")]
    #[schema(value_type = String, format = Password)]
    url: SecretText,
    /// PEM certificates of the hospital's own authority.
    #[serde(default)]
    ca_pem: Option<String>,
    /// A weaker transport the operator answers for, until a date.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    tls_exception: Option<TlsException>,
    /// Whether to connect before sealing; an unchecked connection leaves a new tenant a draft.
    #[serde(default = "yes")]
    check: bool,
}

/// How long one question of the preflight may take.
const LOOK: std::time::Duration = std::time::Duration::from_secs(3);

const fn yes() -> bool {
    true
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<SecretText, D::Error> {
    String::deserialize(from).map(SecretText::new)
}

impl ConnectionInput {
    /// From a URL and, where the server's certificate needs it, the authority's certificates.
    pub const fn url(url: SecretText, ca_pem: Option<String>, check: bool) -> Self {
        Self { url, ca_pem, tls_exception: None, check }
    }

    pub(super) fn record(&self) -> Result<ConnectionRecord, ControlFault> {
        let invalid = |fault: crate::base::UrlFault| {
            ControlFault::Invalid(format!("{fault}; {}", fault.hint()).into())
        };
        let mut record = parse_connection_url(self.url.expose()).map_err(invalid)?;
        if let Some(pem) = &self.ca_pem {
            record = attach_ca_pem(record, pem).map_err(invalid)?;
        }
        if let (Some(exception), ConnectionRecord::Server(server)) =
            (&self.tls_exception, &mut record)
        {
            server.tls.policy = TlsPolicy::Exception(exception.clone());
        }
        Ok(record)
    }
}

/// A connection record on its way to being sealed.
pub(super) struct Prepared {
    pub(super) record: ConnectionRecord,
    pub(super) identity: Option<ServerIdentity>,
}

impl Prepared {
    /// Whether it was connected to.
    pub(super) const fn checked(&self) -> bool {
        self.identity.is_some()
    }
}

impl Control {
    /// Parses and, unless told not to, connects. Nothing is written.
    pub(super) async fn prepare(
        &self,
        caller: &Caller,
        input: &ConnectionInput,
    ) -> Result<Prepared, ControlFault> {
        let record = input.record()?;
        if !input.check {
            return Ok(Prepared { record, identity: None });
        }
        let identity = Some(self.dial(caller.deadline, &record).await?.identity);
        Ok(Prepared { record, identity })
    }

    pub(super) async fn dial(
        &self,
        deadline: Deadline,
        record: &ConnectionRecord,
    ) -> Result<Opened, DialFault> {
        self.0.dialer.open(record, &probing(), deadline).await
    }

    /// Seals a record under the tenant's data key, which is made if there is none: key first, record
    /// second, for an orphan key is harmless.
    pub(super) async fn seal(
        &self,
        tenant: TenantId,
        revision: ConnectionRevision,
        prepared: Prepared,
    ) -> Result<NewConnection, ControlFault> {
        let keyring = &self.0.keyring;
        let key = match keyring.newest_data_key(tenant).await? {
            Some(key) => key,
            None => keyring.create_data_key(tenant).await?,
        };
        let record_id = Uuid::new_v4();
        let place = seal_place(tenant, record_id, revision);
        let sealed = keyring.seal(&place, key, &prepared.record).await?;
        Ok(NewConnection {
            record_id,
            revision,
            engine: prepared.record.engine(),
            sealed,
            data_key: key,
            identity: prepared.identity,
            tls: transport(&prepared.record).to_owned(),
        })
    }

    /// Replaces a tenant's connection: parsed, connected to, sealed, in force at once.
    pub async fn set_connection(
        &self,
        caller: &Caller,
        named: &str,
        expected: Option<Generation>,
        input: ConnectionInput,
    ) -> Result<TenantView, ControlFault> {
        let tenant = self.find(named).await?;
        attached(&tenant)?;
        as_seen(&tenant, expected)?;
        let prepared = self.prepare(caller, &input).await?;
        self.put(caller, &tenant, expected, prepared).await
    }

    /// Seals and writes with compare-and-set; in force on this gateway when it returns.
    async fn put(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        expected: Option<Generation>,
        prepared: Prepared,
    ) -> Result<TenantView, ControlFault> {
        let revision = ConnectionRevision(tenant.connection_revision.0 + 1);
        let new = self.seal(tenant.id, revision, prepared).await?;
        // Whoever names no generation means the tenant as it was found before it was connected to.
        let expected = expected.or(Some(tenant.generation));
        let (registry, origin) = (&self.0.registry, caller.origin());
        let generation = registry.put_connection(tenant.id, expected, &new, &origin).await?;
        self.announce(tenant.id, generation).await;
        self.view(tenant.id).await
    }

    /// Connects to a tenant's database step by step and says how each step went.
    pub async fn check(&self, caller: &Caller, named: &str) -> Result<CheckReport, ControlFault> {
        let tenant = self.find(named).await?;
        let Some(connection) = self.0.registry.connection(tenant.id).await? else {
            return Err(ControlFault::Conflict("the tenant has no connection yet"));
        };
        let place = seal_place(tenant.id, connection.record_id, connection.revision);
        let record = self.0.keyring.open(&place, &connection.sealed).await?;
        let meant = self.writes_back(&tenant).await;
        let expected = connection.identity.as_ref();
        let (mut report, reached) =
            self.try_record(caller, (&record, Some(tenant.id)), expected, meant).await;
        if report.ok {
            report.findings.extend(self.fit_of(caller, &tenant).await);
        }
        // Sealed without being connected to: from now on it is known what it leads to, and watched.
        if let (None, Some(reached)) = (expected, &reached) {
            let (registry, origin) = (&self.0.registry, caller.origin());
            let known = registry.identify_connection(&connection, reached, &origin).await?;
            if let Some(generation) = known {
                self.announce(tenant.id, generation).await;
            }
        }
        Ok(report)
    }

    /// Tries a connection for a tenant step by step and, when every step went well and it is not only a
    /// `trial`, seals it and puts it in force. Gives back the steps, and the tenant when it was changed.
    pub async fn replace_connection(
        &self,
        caller: &Caller,
        named: &str,
        expected: Option<Generation>,
        input: ConnectionInput,
        trial: bool,
    ) -> Result<(CheckReport, Option<TenantView>), ControlFault> {
        let tenant = self.find(named).await?;
        attached(&tenant)?;
        as_seen(&tenant, expected)?;
        let record = input.record()?;
        let meant = self.writes_back(&tenant).await;
        let of = (&record, Some(tenant.id));
        let (report, identity) = self.try_record(caller, of, None, meant).await;
        if trial || !report.ok {
            return Ok((report, None));
        }
        let prepared = Prepared { record, identity };
        Ok((report, Some(self.put(caller, &tenant, expected, prepared).await?)))
    }

    /// Tries a connection that belongs to nobody yet, step by step. Nothing is written.
    pub async fn try_connection(
        &self,
        caller: &Caller,
        input: &ConnectionInput,
    ) -> Result<CheckReport, ControlFault> {
        let record = input.record()?;
        Ok(self.try_record(caller, (&record, None), None, WritesBack::Unknown).await.0)
    }

    /// Whether a tenant's role is meant to write.
    async fn writes_back(&self, tenant: &Tenant) -> WritesBack {
        if tenant.ownership == Ownership::Provisioned {
            return WritesBack::Yes;
        }
        let Ok(Some(config)) = self.0.registry.tenant_config(tenant.id).await else {
            return WritesBack::Unknown;
        };
        let compiled =
            config.mapping.and_then(|m| crate::mapping::of_texts(&m.document, &m.catalog));
        match compiled {
            None => WritesBack::Unknown,
            Some(compiled) if compiled.writes() => WritesBack::Yes,
            Some(_) => WritesBack::No,
        }
    }

    /// Connects step by step with a record, for a tenant where it is meant for one.
    async fn try_record(
        &self,
        caller: &Caller,
        (record, own): (&ConnectionRecord, Option<TenantId>),
        expected: Option<&ServerIdentity>,
        meant: WritesBack,
    ) -> (CheckReport, Option<ServerIdentity>) {
        let begun = tokio::time::Instant::now();
        let (session, progress) = (probing(), Progress::default());
        let dialer = &self.0.dialer;
        let opened =
            dialer.open_noting(record, &session, caller.deadline, Some(progress.clone())).await;
        let step = |step: &str, took: Duration, outcome: &str| CheckStep {
            step: step.to_owned(),
            millis: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            outcome: outcome.to_owned(),
        };
        let done = progress.steps();
        let mut steps: Vec<_> = done.iter().map(|(name, took)| step(name, *took, "ok")).collect();
        match opened {
            Ok(opened) => {
                let same = expected.map(|expected| *expected == opened.identity);
                let report = CheckReport {
                    ok: same != Some(false),
                    steps,
                    class: (same == Some(false)).then(|| "wrong_server".to_owned()),
                    version: Some(opened.facts.version.clone()),
                    tls: Some(opened.facts.tls),
                    same_server: same,
                    hint: (same == Some(false)).then(|| {
                        "this is another server than the registered one: find out why, then \
                         register it with set-connection"
                            .to_owned()
                    }),
                    findings: Vec::new(),
                };
                let identity = opened.identity.clone();
                let mut findings = look(opened, meant).await;
                findings.extend(self.found_on(own, &identity).await);
                (CheckReport { findings, ..report }, Some(identity))
            }
            Err(fault) => {
                let before: Duration = done.iter().map(|(_, took)| *took).sum();
                let took = begun.elapsed().saturating_sub(before);
                steps.push(step(progress.next(record.engine()), took, fault.why()));
                let report = CheckReport {
                    ok: false,
                    steps,
                    class: Some(fault.class().as_str().to_owned()),
                    version: None,
                    tls: None,
                    same_server: None,
                    hint: Some(said(&fault).to_owned()),
                    findings: Vec::new(),
                };
                (report, None)
            }
        }
    }
}

/// Whether a tenant is as whoever orders something of it has seen it: asked before anything is tried.
fn as_seen(tenant: &Tenant, seen: Option<Generation>) -> Result<(), ControlFault> {
    match seen {
        Some(seen) if seen != tenant.generation => {
            Err(RegistryFault::Stale { current: tenant.generation }.into())
        }
        _ => Ok(()),
    }
}

/// What a session that only looks is told.
fn probing() -> SessionSettings {
    SessionSettings { read_only: true, ..SessionSettings::default() }
}

/// Only an attached hospital's connection is an operator's to replace.
fn attached(tenant: &Tenant) -> Result<(), ControlFault> {
    match tenant.ownership {
        Ownership::Attached => Ok(()),
        Ownership::Provisioned => Err(ControlFault::Conflict(
            "its database was made here and so is its connection; `tenant rotate-password` renews it",
        )),
    }
}

/// What there is to know of the database, as far as its role may ask; over the read-only session.
async fn look(opened: Opened, meant: WritesBack) -> Vec<CheckFinding> {
    let mut conn = Admin::new(opened, LOOK);
    let found = preflight(&mut conn, meant).await.unwrap_or_default();
    conn.close().await;
    let view = |finding: Finding| CheckFinding {
        what: finding.what.to_owned(),
        found: finding.found,
        warning: finding.warning.map(str::to_owned),
    };
    found.into_iter().map(view).collect()
}

pub(super) const fn transport(record: &ConnectionRecord) -> &'static str {
    match record {
        ConnectionRecord::Sqlite(_) => "none",
        ConnectionRecord::Server(server) => match server.tls.policy {
            TlsPolicy::VerifyFull => "verify_full",
            TlsPolicy::LoopbackPlaintext => "loopback_plaintext",
            TlsPolicy::Exception(_) => "exception",
        },
    }
}

/// What to do about a connection that could not be opened.
fn said(fault: &DialFault) -> &'static str {
    match fault.code() {
        // The server took the password, and turned the role away.
        Some("42501" | "1044") => {
            "the role's right to use the database was taken away: have the hospital grant it again"
        }
        _ if fault.why().ends_with("has expired") => {
            "the hospital has to renew its server's certificate; nothing is to be changed here"
        }
        // Said at a login by PostgreSQL alone, of MULE_INTERNAL.
        Some("0A000") => {
            "the database's encoding cannot be turned into UTF-8: the hospital would have to convert it"
        }
        Some(_) if fault.class() == DialClass::Refused => {
            "the server is there and turned the session away: its own log says why"
        }
        _ => hint(fault.class()),
    }
}

pub(super) const fn hint(class: DialClass) -> &'static str {
    match class {
        DialClass::Resolve => "the host name does not resolve; ask the hospital or your resolver",
        DialClass::Egress => "add the address to [egress] allow if it is where it should be",
        DialClass::Refused => "nothing listens there: the server is down or the port is another",
        DialClass::Timeout => "no answer: usually a firewall in between",
        DialClass::Tls => {
            "its certificate does not fit: give the hospital's own authority, or the name in the certificate"
        }
        DialClass::Auth => {
            "the role or its password was refused: replace the connection with the right one"
        }
        DialClass::NoSuchDatabase => "the database's name is wrong or it was dropped",
        DialClass::Protocol => {
            "name the server itself, or let the role say what a pooler such as PgBouncer keeps back"
        }
        DialClass::Full => "the server has no connection left for this role",
        DialClass::File => "the file must be a regular file below [egress] sqlite_dir",
        _ => "look at the gateway's log for this moment",
    }
}
