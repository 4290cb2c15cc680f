//! TLS for clients of services: the system's authorities or a file, a client certificate, and how much is verified.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

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

/// The configuration of a client.
///
/// # Errors
/// When a file cannot be read or holds no certificate or key; the text names the file.
pub(super) fn config(files: &Files, verify: Verify) -> Result<ClientConfig, CollectError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let bad = |e: Error| CollectError::Failed(format!("TLS cannot be set up: {e}"));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(bad)?;
    let builder = match verify {
        Verify::Nothing => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Lenient { chain: None, provider: Arc::clone(&provider) })),
        Verify::Full => builder.with_root_certificates(roots(files.ca.as_deref())?),
        Verify::Chain => {
            let roots = Arc::new(roots(files.ca.as_deref())?);
            let chain = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|e| CollectError::Failed(format!("TLS cannot be set up: {e}")))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Lenient {
                chain: Some(chain),
                provider: Arc::clone(&provider),
            }))
        }
    };
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

fn roots(file: Option<&Path>) -> Result<RootCertStore, CollectError> {
    let mut store = RootCertStore::empty();
    match file {
        Some(file) => {
            for certificate in certificates(file)? {
                store
                    .add(certificate)
                    .map_err(|e| CollectError::Failed(format!("{}: not a certificate: {e}", file.display())))?;
            }
        }
        None => {
            // Single broken files of the system's store are no reason to fail.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
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

/// Verifies signatures, but not the host's name, and the chain only where there is one to verify against.
#[derive(Debug)]
struct Lenient {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is checked after the chain, so the chain holds.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
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
