//! Servers whose certificate is wrong, or that hang behind the handshake: one outcome each, with what the certificate says.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{Run, json, reason};

/// A server of HTTP behind TLS with this certificate; it answers `{}`, or nothing at all.
fn server(certificate: &rcgen::Certificate, key: &KeyPair, answers: bool) -> String {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            std::thread::spawn(move || {
                let connection = rustls::ServerConnection::new(config).unwrap();
                let mut stream = rustls::StreamOwned::new(connection, stream);
                // A client that refuses the certificate closes the connection; that is what is tested.
                let mut seen = [0; 2048];
                if stream.read(&mut seen).is_err() {
                    return;
                }
                if !answers {
                    std::thread::sleep(std::time::Duration::from_secs(60));
                    return;
                }
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
                );
                stream.conn.send_close_notify();
                let _ = stream.flush();
            });
        }
    });
    format!("https://localhost:{port}")
}

fn params(names: &[&str], common: &str, years: (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, common);
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    params
}

#[test]
fn each_wrong_certificate_has_one_outcome_and_its_facts() {
    let mut authority = params(&[], "casefile test authority", (2020, 2099));
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let signed = |names: &[&str], years, answers| {
        let key = KeyPair::generate().unwrap();
        let certificate = params(names, "leaf", years).signed_by(&key, &authority).unwrap();
        server(&certificate, &key, answers)
    };
    let own = KeyPair::generate().unwrap();
    let self_signed = params(&["localhost"], "own", (2020, 2099)).self_signed(&own).unwrap();
    let mut other = params(&[], "casefile other authority", (2020, 2099));
    other.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let other = CertifiedIssuer::self_signed(other, KeyPair::generate().unwrap()).unwrap();
    let foreign_key = KeyPair::generate().unwrap();
    let foreign = params(&["localhost"], "foreign", (2020, 2099)).signed_by(&foreign_key, &other).unwrap();
    let cases = [
        ("good", signed(&["localhost"], (2020, 2099), true), "ok", "", None),
        ("expired", signed(&["localhost"], (2020, 2021), true), "failed", "ended at 2021-01-01", Some("expired")),
        ("early", signed(&["localhost"], (2098, 2099), true), "failed", "begins at 2098-01-01", Some("not-yet-valid")),
        ("name", signed(&["other.example.com"], (2020, 2099), true), "failed", "not for this name", Some("wrong-name")),
        ("own", server(&self_signed, &own, true), "failed", "signed by itself", Some("self-signed")),
        ("foreign", server(&foreign, &foreign_key, true), "failed", "not known here", Some("unknown-authority")),
        ("hangs", signed(&["localhost"], (2020, 2099), false), "timed-out", "no whole answer", None),
    ];
    let mut tables = "[parameters.ca]\ndescription=\"d\"\n".to_owned();
    for (id, url, ..) in &cases {
        tables.push_str(&format!(
            "[[endpoint]]\nid=\"{id}\"\nurl=\"{url}\"\npath=\"/\"\nfile=\"x.json\"\nwhy=\"w\"\nauth={{ca_file=\"{{ca}}\"}}\n"
        ));
    }
    let ran = Run::new(&tables).set("ca", &file.display().to_string()).run().code(3);
    let bundle = ran.bundle();
    for (id, _, outcome, why, problem) in &cases {
        let item = format!("services/endpoint-{id}");
        let said = reason(&bundle, &item);
        assert_eq!(bundle.outcome(&item), *outcome, "{id}: {said}");
        assert!(said.contains(why), "{id}: {said}");
        let tls = &json(&bundle, &format!("{item}/connection.json"))["tls"];
        assert_eq!(tls["problem"].as_str(), *problem, "{id}: {tls}");
        assert!(tls["not_after"].is_string() && tls["issuer"].is_string(), "{id}: {tls}");
    }
    let triage = bundle.triage();
    let of = |rule: &str| triage.findings.iter().filter(|f| f.rule == rule).flat_map(|f| f.subjects.clone()).count();
    assert_eq!(of("monitoring/certificate-refused"), 5, "{:?}", triage.findings);
}
