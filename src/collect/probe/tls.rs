//! What a port shows of itself in a TLS handshake. Everything is accepted and recorded; nothing is sent afterwards.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::targets::Target;
use crate::collect::error::shortened;

/// Certificates of a chain that are described, and names of one.
const CHAIN_MAX: usize = 8;
const NAMES_MAX: usize = 32;

/// A handshake.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tls {
    /// Name that was asked for.
    pub server_name: String,
    /// Whether the handshake ended. A server that wants a certificate of ours may break it off; its own is known then.
    pub completed: bool,
    /// `TLSv1_3`.
    pub protocol: Option<String>,
    /// Why it did not end.
    pub error: Option<String>,
    /// Whether the server asks for a certificate, as mutual TLS does.
    pub asks_for_certificate: bool,
    /// The certificate of the server, then those that it sent along.
    pub chain: Vec<Certificate>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Whole subject.
    pub subject: String,
    /// Its common name.
    pub common_name: Option<String>,
    /// Whole issuer.
    pub issuer: String,
    /// DNS names and addresses that it is for.
    pub names: Vec<String>,
    /// First moment of its validity.
    pub not_before: Option<DateTime<Utc>>,
    /// Last moment of its validity.
    pub not_after: Option<DateTime<Utc>>,
    /// Whether it may sign others.
    pub is_ca: bool,
    /// Whether it signed itself, by its names.
    pub self_signed: bool,
    /// Digest of the whole certificate, hexadecimal.
    pub sha256: String,
}

/// What is wrong with a certificate or a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    /// Its validity ended.
    Expired,
    /// Its validity has not begun.
    NotYetValid,
    /// It is for other names than the configured one.
    WrongName,
    /// Nobody else signed it, and the configuration does not name this very certificate.
    SelfSigned,
    /// The configuration names another certificate or issuer.
    NotTheExpectedOne,
    /// It is made to sign others, which strict clients refuse here.
    CaAsEndEntity,
    /// What listens does not speak TLS.
    NotTls,
}

/// What the handshake showed, kept by the callbacks.
#[derive(Debug)]
struct Recorder {
    provider: Arc<CryptoProvider>,
    chain: Mutex<Vec<CertificateDer<'static>>>,
    asked: AtomicBool,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let all = std::iter::once(end_entity).chain(intermediates).take(CHAIN_MAX);
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = all.map(|c| c.clone().into_owned()).collect();
        Ok(ServerCertVerified::assertion())
    }

    // Nothing is sent over the connection, so there is nothing to protect; a curve that we do not know is no fault.
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ResolvesClientCert for Recorder {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        // Only who seems to have one is asked.
        true
    }
}

/// Shakes hands and hangs up.
pub(super) async fn shake(stream: TcpStream, target: &Target, limit: Duration, now: DateTime<Utc>) -> Tls {
    let wanted = target.identity.as_deref().unwrap_or(&target.host);
    let name = ServerName::try_from(wanted.to_owned()).or_else(|_| ServerName::try_from(target.host.clone()));
    let Ok(name) = name else {
        return Tls { error: Some(format!("`{wanted}` is no name for TLS")), ..Tls::default() };
    };
    let server_name = name.to_str().into_owned();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let recorder =
        Arc::new(Recorder { provider: Arc::clone(&provider), chain: Mutex::default(), asked: AtomicBool::new(false) });
    let config = match ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions() {
        Ok(config) => config
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&recorder) as Arc<dyn ServerCertVerifier>)
            .with_client_cert_resolver(Arc::clone(&recorder) as Arc<dyn ResolvesClientCert>),
        Err(error) => return Tls { server_name, error: Some(error.to_string()), ..Tls::default() },
    };
    let mut tls = Tls { server_name, ..Tls::default() };
    let mut plain = false;
    match tokio::time::timeout(limit, TlsConnector::from(Arc::new(config)).connect(name, stream)).await {
        Ok(Ok(stream)) => {
            tls.completed = true;
            tls.protocol = stream.get_ref().1.protocol_version().map(|v| format!("{v:?}"));
        }
        Ok(Err(error)) => {
            let cause = error.get_ref().and_then(|e| e.downcast_ref::<Error>());
            plain = matches!(cause, Some(Error::InvalidMessage(_) | Error::InappropriateMessage { .. }));
            tls.error = Some(shortened(&error.to_string()));
        }
        Err(_) => tls.error = Some(format!("no handshake within {}", humantime::format_duration(limit))),
    }
    tls.asks_for_certificate = recorder.asked.load(Ordering::Relaxed);
    let chain = std::mem::take(&mut *recorder.chain.lock().unwrap_or_else(PoisonError::into_inner));
    tls.chain = chain.iter().filter_map(|der| describe(der)).collect();
    tls.problems = problems(&tls.chain, target, now);
    if plain && tls.chain.is_empty() {
        tls.problems.push(Problem::NotTls);
    }
    tls
}

/// What a certificate says.
fn describe(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let time = |t: x509_parser::time::ASN1Time| DateTime::from_timestamp(t.timestamp(), 0);
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let names = alternative.iter().flat_map(|a| &a.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(four) => Some(IpAddr::from(four).to_string()),
            Err(_) => <[u8; 16]>::try_from(*bytes).ok().map(|six| IpAddr::from(six).to_string()),
        },
        _ => None,
    });
    Some(Certificate {
        subject: shortened(&certificate.subject().to_string()),
        common_name: certificate.subject().iter_common_name().next().and_then(|c| c.as_str().ok()).map(shortened),
        issuer: shortened(&certificate.issuer().to_string()),
        names: names.take(NAMES_MAX).collect(),
        not_before: time(certificate.validity().not_before),
        not_after: time(certificate.validity().not_after),
        is_ca: certificate.is_ca(),
        self_signed: certificate.subject() == certificate.issuer(),
        sha256: digest(der),
    })
}

fn digest(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares a certificate with what the configuration expects.
fn problems(chain: &[Certificate], target: &Target, now: DateTime<Utc>) -> Vec<Problem> {
    let Some(leaf) = chain.first() else { return Vec::new() };
    let mut found = Vec::new();
    if leaf.not_after.is_some_and(|end| end < now) {
        found.push(Problem::Expired);
    }
    if leaf.not_before.is_some_and(|begin| begin > now) {
        found.push(Problem::NotYetValid);
    }
    let fits = |wanted: &str| {
        leaf.common_name.as_deref() == Some(wanted) || leaf.names.iter().any(|name| matches(name, wanted))
    };
    if target.identity.as_deref().is_some_and(|wanted| !fits(wanted)) {
        found.push(Problem::WrongName);
    }
    let expected: Vec<Certificate> = target.certificate.as_deref().map(read_pem).unwrap_or_default();
    if expected.is_empty() {
        if leaf.self_signed {
            found.push(Problem::SelfSigned);
        }
    } else {
        let pinned = expected.iter().any(|e| e.sha256 == leaf.sha256);
        let issued = expected.iter().any(|e| e.subject == leaf.issuer);
        if leaf.self_signed && !pinned && expected.iter().all(|e| !e.self_signed || e.subject != leaf.subject) {
            found.push(Problem::SelfSigned);
        } else if !pinned && !issued {
            found.push(Problem::NotTheExpectedOne);
        }
    }
    if leaf.is_ca {
        found.push(Problem::CaAsEndEntity);
    }
    found
}

/// The certificates of a PEM text.
fn read_pem(text: &str) -> Vec<Certificate> {
    let blocks = x509_parser::pem::Pem::iter_from_buffer(text.as_bytes()).filter_map(Result::ok);
    blocks.take(CHAIN_MAX).filter_map(|block| describe(&block.contents)).collect()
}

/// Whether a name of a certificate covers a name; a star stands for one label.
fn matches(pattern: &str, wanted: &str) -> bool {
    if pattern.eq_ignore_ascii_case(wanted) {
        return true;
    }
    match (pattern.strip_prefix("*."), wanted.split_once('.')) {
        (Some(rest), Some((_, parent))) => rest.eq_ignore_ascii_case(parent),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(matches("*.kms.test", "p2.kms.test") && matches("P2.kms.test", "p2.KMS.test"));
        assert!(!matches("*.kms.test", "a.p2.kms.test") && !matches("*.kms.test", "kms.test") && !matches("*", "a"));
    }

    #[test]
    fn bytes_that_are_no_certificate_are_none() {
        assert_eq!(describe(b"\x30\x03\x02\x01\x01"), None);
        assert!(read_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_empty());
    }
}
