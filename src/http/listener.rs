//! Accepting connections: header and time limits, TLS, and a graceful end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// All headers of a request together, in bytes: room for a 16 KiB token and the rest.
const HEADER_BYTES: usize = 32 * 1024;
/// How long a client may take to send its headers or its TLS handshake.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections served at once on one listener; later ones wait in the kernel's queue.
const CONNECTIONS: usize = 4096;

/// A bound listener. Binding happens before anything is spawned, so that a taken port is a plain error.
pub struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
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
        Ok(Self { socket, tls: None })
    }

    /// Speaks TLS 1.2 and 1.3 with this PEM certificate chain and key.
    pub fn with_tls(mut self, chain: &Path, key: &Path) -> Result<Self, ListenFault> {
        self.tls = Some(TlsAcceptor::from(Arc::new(tls_config(chain, key)?)));
        Ok(self)
    }

    /// The address it listens on.
    pub fn address(&self) -> Result<SocketAddr, std::io::Error> {
        self.socket.local_addr()
    }

    /// Serves `router` until `stop`; then accepts nothing more and gives requests under way `drain` to
    /// end.
    pub async fn serve(self, router: Router, stop: CancellationToken, drain: Duration) {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accept(&self.socket, &places) => accepted,
            };
            let Some((stream, peer, place)) = accepted else { continue };
            let (router, tls, watcher) = (router.clone(), self.tls.clone(), graceful.watcher());
            tokio::spawn(async move {
                match tls {
                    None => connection(stream, peer, router, watcher).await,
                    Some(tls) => {
                        let handshake = tokio::time::timeout(PATIENCE, tls.accept(stream));
                        if let Ok(Ok(stream)) = handshake.await {
                            connection(stream, peer, router, watcher).await;
                        }
                    }
                }
                drop(place);
            });
        }
        drop(self.socket);
        let _finished = tokio::time::timeout(drain, graceful.shutdown()).await;
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

async fn connection<S>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEADER_BYTES)
        .max_headers(64);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEADER_BYTES).unwrap_or(u32::MAX))
        .max_concurrent_streams(64)
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .keep_alive_timeout(PATIENCE);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    // A broken connection is the client's business; nothing of it may be logged.
    let _ended = watcher.watch(serving.into_owned()).await;
}
