use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::drift;
use super::fault::StartFault;
use super::parts::{Parts, private_folder};
use super::rooms;
use super::traces::Exporter;
use crate::audit::AuditLog;
use crate::auth::{Authority, SignIns};
use crate::base::{Clock, Deadline, TenantId};
use crate::config::Settings;
use crate::control::{Bookkeeping, Control, Serving, Work};
use crate::http::admin;
use crate::http::fhir::{self, DataPlane, DataPlaneSettings};
use crate::http::listener::{ListenFault, Listener};
use crate::http::panel::{self, Panel};
use crate::pool::Pools;
use crate::telemetry::MetricsPage;
use crate::telemetry::trace::Finished;
use crate::tenant::Tenants;

/// How long requests under way may take to end when the gateway stops.
const DRAIN: Duration = Duration::from_secs(10);
/// How long closing connections may take then.
const CLOSE: Duration = Duration::from_secs(3);

/// A whole gateway, ready to run: everything is opened and bound, nothing is served yet.
pub struct Application {
    fhir: Listener,
    admin: Listener,
    fhir_address: SocketAddr,
    admin_address: SocketAddr,
    fhir_router: axum::Router,
    admin_router: axum::Router,
    authority: Authority,
    tenants: Tenants,
    pools: Pools,
    audit: AuditLog,
    control: Control,
    keyring: crate::keyring::Keyring,
    metrics: MetricsPage,
    clock: Arc<dyn Clock>,
    keep: Option<Duration>,
    drift_check: Duration,
    traces: Option<(Exporter, mpsc::Receiver<Finished>)>,
    panel: Option<Panel>,
}

impl Application {
    /// Opens databases, keys and the access log, discovers issuers, binds both listeners.
    pub async fn build(settings: Settings) -> Result<Self, StartFault> {
        let fhir = listener(&settings, settings.fhir.listen).await?;
        let admin = listener(&settings, settings.admin.listen).await?;
        let parts = Parts::open(&settings).await?;
        private_folder(&settings.audit.dir)?;
        let clock = Arc::clone(&parts.clock);
        let audit =
            AuditLog::open(rooms::audit(&settings), parts.keyring.clone(), Arc::clone(&clock))
                .await?;
        let pools =
            Pools::new(rooms::pool(&settings), Arc::new(parts.dialer.clone()), Arc::clone(&clock));
        let tenants = Tenants::new(
            parts.registry.clone(),
            parts.keyring.clone(),
            pools.clone(),
            audit.clone(),
            rooms::tenants(&settings),
            settings.config_cache_ttl,
        );
        let directory = Arc::new(tenants.clone());
        let authority =
            Authority::start(rooms::auth(&settings), Arc::clone(&clock), directory).await?;
        let traffic = tenants.traffic().clone();
        let serving = Serving {
            tenants: tenants.clone(),
            pools: pools.clone(),
            authority: authority.clone(),
            traffic: traffic.clone(),
            usage: Arc::new(Bookkeeping::new(&settings.audit.instance)),
        };
        let keyring = parts.keyring.clone();
        let control = Control::new(crate::control::Parts {
            registry: parts.registry,
            key_store: parts.key_store,
            keyring: parts.keyring,
            dialer: parts.dialer,
            clock: Arc::clone(&clock),
            issuers: rooms::known_issuers(&settings),
            two_persons: settings.admin.two_persons,
            serving: Some(serving),
            work: Work::new(format!("{} {}", settings.audit.instance, uuid::Uuid::new_v4())),
        });
        let plane = DataPlane::new(
            authority.clone(),
            tenants.clone(),
            control.clone(),
            data_plane(&settings),
            rooms::description(&settings),
            traffic.clone(),
            Arc::clone(&clock),
        );
        let traces = traces(&settings, &tenants)?;
        let (fhir_address, admin_address) = (address(&fhir)?, address(&admin)?);
        let panel = panel(&settings, &authority, &control, &tenants, Arc::clone(&clock))?;
        let metrics = MetricsPage::install(traffic);
        let pages = panel.clone().map(panel::router).unwrap_or_default();
        let admin_router = admin::router(authority.clone(), control.clone(), metrics.clone());
        Ok(Self {
            fhir_router: fhir::router(plane),
            admin_router: admin_router.merge(pages),
            fhir,
            admin,
            fhir_address,
            admin_address,
            authority,
            tenants,
            pools,
            audit,
            control,
            keyring,
            metrics,
            clock,
            keep: settings.audit.keep,
            drift_check: settings.drift_check,
            traces,
            panel,
        })
    }

    /// Where the data plane listens.
    pub const fn fhir_address(&self) -> SocketAddr {
        self.fhir_address
    }

    /// Where the control plane listens.
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Serves until `stop`; then accepts nothing more, lets requests under way end, and closes lanes and
    /// the access log.
    pub async fn run(self, stop: CancellationToken) -> Result<(), StartFault> {
        let mut upkeep = JoinSet::new();
        let end = CancellationToken::new();
        let authority = self.authority.clone();
        let flush = move |tenant: TenantId| authority.flush_tenant(tenant);
        self.tenants.learn_cancellations().await;
        upkeep.spawn(self.tenants.clone().follow(end.clone(), flush));
        upkeep.spawn(self.tenants.clone().follow_cancellations(end.clone()));
        upkeep.spawn(self.pools.clone().run_maintenance(end.clone()));
        upkeep.spawn(self.keyring.clone().run_maintenance(end.clone()));
        upkeep.spawn(self.audit.clone().run_watch(end.clone()));
        upkeep.spawn(self.control.clone().run_sweep(end.clone()));
        upkeep.spawn(self.metrics.run_maintenance(end.clone()));
        if let Some(panel) = self.panel {
            upkeep.spawn(panel.run_maintenance(end.clone()));
        }
        if let Some(suspects) = self.tenants.suspects() {
            let every = self.drift_check.max(Duration::from_secs(1));
            let looking = drift::look_after(self.control.clone(), suspects, every, end.clone());
            upkeep.spawn(looking);
        }
        upkeep.spawn(self.control.clone().run_usage(end.clone()));
        upkeep.spawn(self.control.clone().run_operation_metrics(end.clone()));
        let control = self.control.clone();
        upkeep.spawn(self.control.run_operations(end.clone()));
        let exporting = self
            .traces
            .map(|(exporter, finished)| tokio::spawn(exporter.run(finished, end.clone())));
        if let Some(keep) = self.keep {
            let (audit, keyring) = (self.audit.clone(), self.keyring.clone());
            upkeep.spawn(audit.run_retention(keep, keyring, self.clock, end.clone()));
        }
        let serving = async {
            tokio::join!(
                self.fhir.serve(self.fhir_router, stop.clone(), DRAIN),
                self.admin.serve(self.admin_router, stop.clone(), DRAIN),
            )
        };
        let outcome = tokio::select! {
            _ = serving => Ok(()),
            // Upkeep never ends by itself; if it does, serving on would be serving half blind.
            _ = upkeep.join_next() => Err(StartFault::Task("upkeep")),
        };
        end.cancel();
        control.add_up_usage().await;
        if let Some(exporting) = exporting {
            let _ended = exporting.await.is_ok();
        }
        self.pools.close(Deadline::after(CLOSE)).await;
        // A change whose caller has gone still has its outcome written down.
        self.audit.quiet(Deadline::after(CLOSE)).await;
        self.audit.close().await;
        outcome
    }
}

/// Where traces go, when somebody collects them.
fn traces(
    settings: &Settings,
    tenants: &Tenants,
) -> Result<Option<(Exporter, mpsc::Receiver<Finished>)>, StartFault> {
    let telemetry = &settings.telemetry;
    let Some(endpoint) = &telemetry.otlp_endpoint else { return Ok(None) };
    let exporter = Exporter::new(endpoint, telemetry, &settings.audit.instance)?;
    Ok(tenants.traces().collect(telemetry.otlp_one_in).map(|finished| (exporter, finished)))
}

async fn listener(settings: &Settings, address: SocketAddr) -> Result<Listener, ListenFault> {
    let listener = Listener::bind(address).await?.keeping(settings.limits.keep_alive);
    match &settings.tls {
        None => Ok(listener),
        Some(tls) => listener.with_tls(&tls.cert_file, &tls.key_file),
    }
}

fn address(listener: &Listener) -> Result<SocketAddr, StartFault> {
    listener.address().map_err(|error| StartFault::File("listener".to_owned(), error.kind()))
}

/// The panel, where the operators' issuer knows it as a client.
fn panel(
    settings: &Settings,
    authority: &Authority,
    control: &Control,
    tenants: &Tenants,
    clock: Arc<dyn Clock>,
) -> Result<Option<Panel>, StartFault> {
    let Some((operators, sign_in)) = rooms::sign_in(settings)? else { return Ok(None) };
    let looks = rooms::looks(settings);
    let sign_ins = SignIns::new(authority.clone(), &operators, sign_in, looks, Arc::clone(&clock))?;
    let (control, tenants) = (control.clone(), tenants.clone());
    let public_url = &settings.admin.public_url;
    Ok(Some(Panel::new(control, tenants, authority.clone(), sign_ins, clock, public_url)))
}

fn data_plane(settings: &Settings) -> DataPlaneSettings {
    DataPlaneSettings {
        public_url: settings.fhir.public_url.clone(),
        request_timeout: settings.limits.request_timeout,
        body_bytes: settings.limits.body_bytes as usize,
    }
}
