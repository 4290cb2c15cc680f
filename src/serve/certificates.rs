//! Certificates of the other parties of an embedded cluster, made up when somebody asks for them and signed by one authority.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::Datelike;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

/// Name of the authority.
const AUTHORITY: &str = "embedded parties CA";
/// Parties that have a certificate at the same time.
const PARTIES_MAX: usize = 100;

/// Gives each name that is asked for a certificate of its own.
#[derive(Debug)]
struct Parties {
    provider: Arc<CryptoProvider>,
    issuer: Issuer<'static, KeyPair>,
    made: Mutex<BTreeMap<String, Arc<CertifiedKey>>>,
}

/// A TLS server as the parties have it: it asks for a certificate of its clients, and shows one for the name that they want.
///
/// # Errors
/// When keys cannot be made.
pub(super) fn server() -> io::Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut params = params(AUTHORITY)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let authority = params.self_signed(&key).map_err(io::Error::other)?;
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).map_err(io::Error::other)?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let clients = clients.build().map_err(io::Error::other)?;
    let parties = Parties { provider: Arc::clone(&provider), issuer: Issuer::new(params, key), made: Mutex::default() };
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(io::Error::other)?.with_client_cert_verifier(clients);
    Ok(Arc::new(config.with_cert_resolver(Arc::new(parties))))
}

/// A certificate that began last year and ends next year.
fn params(name: &str) -> io::Result<CertificateParams> {
    let mut params = CertificateParams::new(vec![name.replace(' ', "-")]).map_err(io::Error::other)?;
    params.distinguished_name.push(DnType::CommonName, name);
    let year = chrono::Utc::now().year();
    params.not_before = date_time_ymd(year - 1, 1, 1);
    params.not_after = date_time_ymd(year + 1, 12, 31);
    Ok(params)
}

impl Parties {
    fn make(&self, name: &str) -> io::Result<CertifiedKey> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params(name)?.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;
        let chain = vec![certificate.der().clone()];
        CertifiedKey::from_der(chain, key, &self.provider).map_err(io::Error::other)
    }
}

impl ResolvesServerCert for Parties {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(&name) {
            return Some(Arc::clone(known));
        }
        if made.len() >= PARTIES_MAX {
            return None;
        }
        let new = Arc::new(self.make(&name).ok()?);
        made.insert(name, Arc::clone(&new));
        Some(new)
    }
}
