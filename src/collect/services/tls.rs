//! TLS for clients of services: the system's authorities or a file, a client certificate, and how much is verified.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use serde_json::{Value, json};

use crate::collect::CollectError;

/// Largest file with certificates or a key.
const PEM_MAX: u64 = 1 << 20;

/// How much of the server's certificate is verified, in the words of libpq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verify {
    /// Its chain and the host's name.
    Full,
    /// Its chain only.
    Chain,
    /// Nothing; the connection is only hidden from listeners.
    Nothing,
}

/// Files of certificates and keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// What a handshake showed, also when it failed.
pub(super) type Seen = Arc<Mutex<Option<Shown>>>;

/// The certificate that a server showed, and what is wrong with it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    der: Vec<u8>,
    /// `expired`, `not-yet-valid`, `wrong-name`, `self-signed`, `unknown-authority` or `refused`.
    pub(super) problem: Option<&'static str>,
}

impl Shown {
    /// What the certificate says, as it stands in `connection.json`.
    pub(super) fn facts(&self) -> Value {
        let mut facts = certificate(&self.der).unwrap_or_else(|| json!({"unreadable": true}));
        facts["problem"] = json!(self.problem);
        facts
    }

    /// What is wrong, and what to try.
    pub(super) fn says(&self) -> Option<String> {
        let end = |key: &str| self.facts()[key].as_str().unwrap_or("an unknown time").to_owned();
        Some(match self.problem? {
            "expired" => format!("its certificate ended at {} (try: renew it on the server)", end("not_after")),
            "not-yet-valid" => {
                format!("its certificate begins at {} (try: compare the clocks of both machines)", end("not_before"))
            }
            "wrong-name" => {
                "its certificate is not for this name (try: ask it by a name of its certificate)".to_owned()
            }
            "self-signed" => {
                "its certificate is signed by itself (try: give its file as ca_file of the profile)".to_owned()
            }
            "unknown-authority" => {
                "the authority of its certificate is not known here (try: give the file of its authority)".to_owned()
            }
            _ => "its certificate is refused (try: openssl x509 -text on it)".to_owned(),
        })
    }
}

/// What a certificate says, in DER.
pub(super) fn certificate(der: &[u8]) -> Option<Value> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let validity = certificate.validity();
    let time =
        |at: x509_parser::time::ASN1Time| chrono::DateTime::from_timestamp(at.timestamp(), 0).map(|t| t.to_rfc3339());
    Some(json!({
        "subject": certificate.subject().to_string(),
        "issuer": certificate.issuer().to_string(),
        "not_before": time(validity.not_before),
        "not_after": time(validity.not_after),
    }))
}

/// The word for what a verifier found.
fn problem(error: &Error, der: &[u8]) -> &'static str {
    use CertificateError as E;
    let own =
        || x509_parser::parse_x509_certificate(der).is_ok_and(|(_, c)| c.subject().as_raw() == c.issuer().as_raw());
    match error {
        Error::InvalidCertificate(E::Expired | E::ExpiredContext { .. }) => "expired",
        Error::InvalidCertificate(E::NotValidYet | E::NotValidYetContext { .. }) => "not-yet-valid",
        Error::InvalidCertificate(E::NotValidForName | E::NotValidForNameContext { .. }) => "wrong-name",
        Error::InvalidCertificate(_) if own() => "self-signed",
        Error::InvalidCertificate(E::UnknownIssuer) => "unknown-authority",
        _ => "refused",
    }
}

/// The configuration of a client.
///
/// # Errors
/// When a file cannot be read or holds no certificate or key; the text names the file.
pub(super) fn config(files: &Files, verify: Verify) -> Result<ClientConfig, CollectError> {
    config_seen(files, verify, &Seen::default())
}

/// As [`config`]; the certificate that the server shows is left in `seen`.
///
/// # Errors
/// As [`config`].
pub(super) fn config_seen(files: &Files, verify: Verify, seen: &Seen) -> Result<ClientConfig, CollectError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let bad = |e: Error| CollectError::Failed(format!("TLS cannot be set up: {e}"));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(bad)?;
    let chain = match verify {
        Verify::Nothing => None,
        Verify::Full | Verify::Chain => {
            let roots = roots(files.ca.as_deref())?;
            let chain = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            Some(chain.map_err(|e| CollectError::Failed(format!("TLS cannot be set up: {e}")))?)
        }
    };
    let verifier = Verifier { chain, name: verify == Verify::Full, seen: Arc::clone(seen), provider };
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    match (&files.cert, &files.key) {
        (Some(cert), key) => {
            let chain = certificates(cert)?;
            // A file may hold both.
            let key = key.as_ref().unwrap_or(cert);
            let key = PrivateKeyDer::from_pem_slice(&read(key)?)
                .map_err(|e| CollectError::Failed(format!("{} holds no private key: {e}", key.display())))?;
            builder.with_client_auth_cert(chain, key).map_err(bad)
        }
        (None, _) => Ok(builder.with_no_client_auth()),
    }
}

/// A configuration that trusts nobody, for clients that never speak TLS: without one, each of them would read all authorities
/// of the system, and fail where there are none.
///
/// # Errors
/// When the cryptography has no version of TLS.
pub(super) fn no_tls() -> Result<ClientConfig, CollectError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| CollectError::Failed(format!("TLS cannot be set up: {e}")))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// The authorities of the system, read once.
fn system() -> Arc<RootCertStore> {
    static STORE: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let mut store = RootCertStore::empty();
        // Single broken files of the system's store are no reason to fail.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(store)
    };
    Arc::clone(STORE.get_or_init(read))
}

fn roots(file: Option<&Path>) -> Result<Arc<RootCertStore>, CollectError> {
    let store = match file {
        Some(file) => {
            let mut store = RootCertStore::empty();
            for certificate in certificates(file)? {
                store
                    .add(certificate)
                    .map_err(|e| CollectError::Failed(format!("{}: not a certificate: {e}", file.display())))?;
            }
            Arc::new(store)
        }
        None => system(),
    };
    if store.is_empty() {
        // Without any authority nothing can be verified, and the handshake says so. The builder refuses an empty store.
        return Err(CollectError::Failed(
            "this host has no certificates of authorities (try: give the file of yours)".to_owned(),
        ));
    }
    Ok(store)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, CollectError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(&read(file)?).filter_map(Result::ok).collect();
    if found.is_empty() {
        return Err(CollectError::Failed(format!("{} holds no certificate in PEM", file.display())));
    }
    Ok(found)
}

fn read(file: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, CollectError> {
    super::files::read_small(file, PEM_MAX).map_err(|e| CollectError::from_io(&file.display().to_string(), &e))
}

/// Verifies signatures always, the chain where there is one to verify against, and the host's name where that is wanted.
/// It leaves what it saw where its owner can find it.
#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    name: bool,
    seen: Seen,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = match &self.chain {
            None => Ok(ServerCertVerified::assertion()),
            Some(chain) => {
                match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
                    // The name is checked after the chain, so the chain holds.
                    Err(Error::InvalidCertificate(
                        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                    )) if !self.name => Ok(ServerCertVerified::assertion()),
                    other => other,
                }
            }
        };
        if let Ok(mut seen) = self.seen.lock() {
            let problem = verified.as_ref().err().map(|e| problem(e, end_entity));
            *seen = Some(Shown { der: end_entity.to_vec(), problem });
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = Files { ca: Some(dir.path().join("ca.pem")), ..Files::default() };
        let error = config(&missing, Verify::Full).unwrap_err();
        assert!(matches!(&error, CollectError::NotFound(e) if e.contains("ca.pem")), "{error:?}");
        let empty = dir.path().join("empty.pem");
        std::fs::write(&empty, "no certificate").unwrap();
        for files in
            [Files { ca: Some(empty.clone()), ..Files::default() }, Files { cert: Some(empty), ..Files::default() }]
        {
            let verify = if files.ca.is_some() { Verify::Full } else { Verify::Nothing };
            let error = config(&files, verify).unwrap_err().to_string();
            assert!(error.contains("empty.pem") && error.contains("no certificate"), "{error}");
        }
    }
}
