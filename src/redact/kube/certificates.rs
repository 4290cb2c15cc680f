//! What may be known of a certificate inside a Secret: who, by whom, and when.

use x509_parser::prelude::{FromDer, X509Certificate};

use super::dom::Node;

/// Most certificates of one value that are described.
const MAX: usize = 16;

/// Describes the certificates of a PEM text.
pub(super) fn describe(pem: &[u8]) -> Vec<Node<'static>> {
    x509_parser::pem::Pem::iter_from_buffer(pem)
        .filter_map(Result::ok)
        .filter(|block| block.label == "CERTIFICATE")
        .take(MAX)
        .filter_map(|block| {
            let (_, certificate) = X509Certificate::from_der(&block.contents).ok()?;
            let date = |t: x509_parser::time::ASN1Time| {
                chrono::DateTime::from_timestamp(t.timestamp(), 0).map(|t| t.format("%Y-%m-%dT%H:%M:%SZ").to_string())
            };
            let field = |key: &'static str, value: String| (key.into(), Node::text(value));
            Some(Node::Object(vec![
                field("subject", certificate.subject().to_string()),
                field("issuer", certificate.issuer().to_string()),
                field("notBefore", date(certificate.validity().not_before)?),
                field("notAfter", date(certificate.validity().not_after)?),
            ]))
        })
        .collect()
}
