//! Accepting connections: header and time limits, TLS, and a graceful end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{self, PATIENCE};

/// How long a connection is kept that asks nothing: longer than the 60 s for which the common balancers keep
/// theirs.
pub const IDLE: Duration = Duration::from_secs(75);
/// How long connections are still accepted after the gateway was told to end: whoever had connected by then waits
/// in the kernel's queue and may have asked.
const CLOSED: Duration = Duration::from_millis(100);
/// Connections served at once on one listener; later ones wait in the kernel's queue.
const CONNECTIONS: usize = 4096;

/// A bound listener. Binding happens before anything is spawned, so that a taken port is a plain error.
pub struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    idle: Duration,
}

/// A listener that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ListenFault {
    /// The address is taken or not ours.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, std::io::ErrorKind),
    /// The certificate or key cannot be used.
    #[error("the certificate or key of [tls] cannot be used: {0}")]
    Tls(String),
}

impl Listener {
    /// Binds `address`; port 0 picks a free one.
    pub async fn bind(address: SocketAddr) -> Result<Self, ListenFault> {
        let socket = TcpListener::bind(address)
            .await
            .map_err(|error| ListenFault::Bind(address, error.kind()))?;
        Ok(Self { socket, tls: None, idle: IDLE })
    }

    /// Speaks TLS 1.2 and 1.3 with this PEM certificate chain and key.
    pub fn with_tls(mut self, chain: &Path, key: &Path) -> Result<Self, ListenFault> {
        self.tls = Some(TlsAcceptor::from(Arc::new(tls_config(chain, key)?)));
        Ok(self)
    }

    /// Keeps connections that ask nothing for so long, in place of [`IDLE`].
    #[must_use]
    pub const fn keeping(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// The address it listens on.
    pub fn address(&self) -> Result<SocketAddr, std::io::Error> {
        self.socket.local_addr()
    }

    /// Serves `router` until `stop`; then lets in who had connected, accepts nothing more and gives requests
    /// under way `drain` to end.
    pub async fn serve(self, router: Router, stop: CancellationToken, drain: Duration) {
        let (served, idle) = (TaskTracker::new(), self.idle);
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let begin = |(stream, peer, place): Accepted| {
            let (router, tls, stop) = (router.clone(), self.tls.clone(), stop.clone());
            served.spawn(async move {
                match tls {
                    None => connection::serve(stream, peer, router, idle, stop).await,
                    Some(tls) => {
                        let handshake = tokio::time::timeout(PATIENCE, tls.accept(stream));
                        if let Ok(Ok(stream)) = handshake.await {
                            connection::serve(stream, peer, router, idle, stop).await;
                        }
                    }
                }
                drop(place);
            });
        };
        let closed = async {
            stop.cancelled().await;
            tokio::time::sleep(CLOSED).await;
        };
        tokio::pin!(closed);
        loop {
            tokio::select! {
                () = &mut closed => break,
                accepted = accept(&self.socket, &places) => accepted.into_iter().for_each(begin),
            }
        }
        drop(self.socket);
        served.close();
        let _finished = tokio::time::timeout(drain, served.wait()).await;
    }
}

/// Whether listeners could speak TLS with this certificate chain and key.
pub fn check_tls(chain: &Path, key: &Path) -> Result<(), ListenFault> {
    tls_config(chain, key).map(drop)
}

fn tls_config(chain: &Path, key: &Path) -> Result<ServerConfig, ListenFault> {
    let tls = |error: &dyn std::fmt::Display| ListenFault::Tls(error.to_string());
    let chain = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| tls(&e))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| tls(&e))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|e| tls(&e))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(socket: &TcpListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    if let Ok((stream, peer)) = socket.accept().await {
        let _no_delay = stream.set_nodelay(true);
        return Some((stream, peer, place));
    }
    // Out of file handles: an accept loop without a pause would burn a core.
    tokio::time::sleep(Duration::from_millis(50)).await;
    None
}
