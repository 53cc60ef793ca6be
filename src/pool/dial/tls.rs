use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::wire::Wire;
use super::{DialClass, DialFault};
use crate::base::{Clock, ServerRecord, TlsPolicy, TlsWaiver};

/// TLS towards tenants' servers. The cryptography is named here; no process-wide default is used.
pub(super) struct Tls {
    provider: Arc<CryptoProvider>,
    public: Arc<ClientConfig>,
    unverified: Arc<ClientConfig>,
}

/// What one connection's transport must be, decided before the first byte is sent.
pub(super) enum Demand {
    /// TLS by this configuration, the server being called this.
    Tls(Arc<ClientConfig>, ServerName<'static>),
    /// None.
    Plaintext,
}

impl Tls {
    /// Builds the configurations that do not depend on a tenant.
    pub(super) fn new() -> Result<Self, DialFault> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let public = Arc::new(verifying(&provider, roots)?);
        let unverified = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|_| DialFault::internal("TLS could not be set up"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(Arc::clone(&provider))))
            .with_no_client_auth();
        Ok(Self { provider, public, unverified: Arc::new(unverified) })
    }

    /// Decides the transport to `address`. Plaintext is given only to a loopback address, or for an
    /// exception that has not ended.
    pub(super) fn demand(
        &self,
        record: &ServerRecord,
        address: IpAddr,
        clock: &dyn Clock,
    ) -> Result<Demand, DialFault> {
        let refuse = |why| Err(DialFault::new(DialClass::Tls, why));
        let config = match &record.tls.policy {
            TlsPolicy::VerifyFull => match &record.tls.ca_pem {
                None => Arc::clone(&self.public),
                Some(pem) => Arc::new(verifying(&self.provider, roots_of(pem)?)?),
            },
            TlsPolicy::LoopbackPlaintext if address.is_loopback() => return Ok(Demand::Plaintext),
            TlsPolicy::LoopbackPlaintext => {
                return refuse("plaintext is for loopback addresses only");
            }
            TlsPolicy::Exception(exception) if exception.expires_at <= clock.now() => {
                return refuse("the TLS exception has ended");
            }
            TlsPolicy::Exception(exception) => match exception.waiver {
                TlsWaiver::Plaintext => return Ok(Demand::Plaintext),
                TlsWaiver::Unverified => Arc::clone(&self.unverified),
            },
        };
        let name = record.tls.server_name.as_deref().unwrap_or(&record.host).to_owned();
        let name = ServerName::try_from(name)
            .map_err(|_| DialFault::new(DialClass::Tls, "the server's name is not a TLS name"))?;
        Ok(Demand::Tls(config, name))
    }
}

/// The client's side of the handshake on a stream whose next byte belongs to TLS.
pub(super) async fn handshake(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: TcpStream,
) -> Result<Wire, DialFault> {
    match TlsConnector::from(config).connect(name, stream).await {
        Ok(stream) => Ok(Wire::tls(stream)),
        Err(error) => {
            let rustls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
            Err(DialFault::new(DialClass::Tls, why(rustls)))
        }
    }
}

fn why(error: Option<&Error>) -> &'static str {
    match error {
        Some(Error::InvalidCertificate(reason)) => match reason {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another name"
            }
            CertificateError::UnknownIssuer => "the server's certificate has an unknown issuer",
            // As `openssl req -x509` makes them. There is no kind of its own for it.
            CertificateError::Other(reason) if reason.to_string() == "CaUsedAsEndEntity" => {
                "the server's certificate is itself an authority's, and not one that an authority issued"
            }
            _ => "the server's certificate does not verify",
        },
        Some(Error::AlertReceived(_)) => "the server refused the TLS handshake",
        Some(_) => "the server's TLS handshake is malformed or too old",
        None => "the server broke the TLS handshake off",
    }
}

fn roots_of(pem: &str) -> Result<RootCertStore, DialFault> {
    let unusable = || DialFault::new(DialClass::Tls, "the record's CA certificates are unusable");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| unusable())?;
        roots.add(certificate).map_err(|_| unusable())?;
    }
    if roots.is_empty() { Err(unusable()) } else { Ok(roots) }
}

/// Verification against `roots`, every time anew: a resumed session would skip the certificate.
fn verifying(
    provider: &Arc<CryptoProvider>,
    roots: RootCertStore,
) -> Result<ClientConfig, DialFault> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| DialFault::internal("TLS could not be set up"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Accepts whatever certificate the server shows, as an operator's exception allows. The handshake's
/// signature is still checked, so the peer does hold that certificate's key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
