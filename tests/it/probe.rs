//! Probes against real servers on loopback: names, ports and certificates.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use casefile::collect::probe::{Names, Problem, Row, Target, Verdict, from_list, merge, probe_all};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::Barrier;
use tokio_rustls::TlsAcceptor;

use super::support::names::{TTL, name_server};

const LIMIT: Duration = Duration::from_secs(20);

/// A certificate that is made up for a test.
struct Made {
    name: &'static str,
    years: (i32, i32),
    ca: bool,
}

const GOOD: Made = Made { name: "p2.kms.test", years: (2020, 2120), ca: false };

impl Made {
    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::new(vec![self.name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, self.name);
        params.not_before = date_time_ymd(self.years.0, 1, 1);
        params.not_after = date_time_ymd(self.years.1, 1, 1);
        if self.ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params
    }

    /// Signed by itself: certificate and key.
    fn alone(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = self.params().self_signed(&key).unwrap();
        let pem = certificate.pem();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap(), pem)
    }

    /// Signed by an authority, whose certificate as PEM comes with it.
    fn signed(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>, String) {
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let ca_params = Made { name: "ca.kms.test", years: (2020, 2120), ca: true }.params();
        let ca = ca_params.self_signed(&ca_key).unwrap().pem();
        let issuer = Issuer::new(ca_params, ca_key);
        let certificate = self.params().signed_by(&key, &issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap(), ca)
    }
}

/// A TLS server that asks for a certificate where `mutual`, and begins after `barrier`.
async fn serve(
    (certificate, key): (CertificateDer<'static>, PrivateKeyDer<'static>),
    mutual: bool,
    barrier: Option<Arc<Barrier>>,
) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = if mutual {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(Made { ca: true, ..GOOD }.alone().0).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let config = Arc::new(builder.with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (config, barrier) = (Arc::clone(&config), barrier.clone());
            tokio::spawn(async move {
                if let Some(barrier) = barrier {
                    barrier.wait().await;
                }
                let _ = TlsAcceptor::from(config).accept(stream).await;
            });
        }
    });
    address
}

/// A port whose queue is full: new connections get no answer. The streams keep it so.
async fn black_hole() -> (SocketAddr, Vec<TcpStream>, TcpListener) {
    black_hole_at("127.0.0.1:0".parse().unwrap()).await
}

/// The same at an address.
pub(crate) async fn black_hole_at(address: SocketAddr) -> (SocketAddr, Vec<TcpStream>, TcpListener) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(address).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        held.push(stream.unwrap());
        assert!(held.len() < 100, "the queue of the listener does not fill");
    }
    (address, held, listener)
}

fn target(address: SocketAddr, certificate: Option<String>) -> Target {
    let mut target = from_list(&address.to_string(), 1, "test").remove(0);
    target.identity = Some(GOOD.name.to_owned());
    target.certificate = certificate;
    target
}

async fn probe(target: Target, limit: Duration) -> Row {
    probe_all(vec![target], Names::default(), limit, true).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_certificate_has_its_name() {
    let alone = |made: Made| {
        let (certificate, key, pem) = made.alone();
        ((certificate, key), Some(pem))
    };
    let signed = |made: Made| {
        let (certificate, key, ca) = made.signed();
        ((certificate, key), Some(ca))
    };
    let stranger = Made { name: "other-ca.test", ..GOOD }.alone().2;
    for (name, (pair, pem), want) in [
        ("named by the configuration", alone(GOOD), vec![]),
        ("of the expected authority", signed(GOOD), vec![]),
        ("nobody knows it", (alone(GOOD).0, None), vec![Problem::SelfSigned]),
        ("of another authority", (signed(GOOD).0, Some(stranger)), vec![Problem::NotTheExpectedOne]),
        ("expired", alone(Made { years: (2020, 2021), ..GOOD }), vec![Problem::Expired]),
        ("of the future", alone(Made { years: (2100, 2120), ..GOOD }), vec![Problem::NotYetValid]),
        ("of another party", alone(Made { name: "p5.kms.test", ..GOOD }), vec![Problem::WrongName]),
        ("an authority's own", alone(Made { ca: true, ..GOOD }), vec![Problem::CaAsEndEntity]),
    ] {
        for mutual in [false, true] {
            let address = serve((pair.0.clone(), pair.1.clone_key()), mutual, None).await;
            let row = probe(target(address, pem.clone()), LIMIT).await;
            let tls = row.tls.unwrap();
            assert_eq!(tls.problems, want, "{name}: {tls:?}");
            assert_eq!(tls.asks_for_certificate, mutual, "{name}: {tls:?}");
            assert_eq!(row.verdict, if want.is_empty() { Verdict::Reachable } else { Verdict::TlsProblem }, "{name}");
            assert_eq!(tls.server_name, GOOD.name);
            assert!(tls.chain[0].subject.contains("kms.test") && tls.chain[0].not_after.is_some(), "{tls:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_do_not_answer_are_told_apart() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let row = probe(target(closed, None), LIMIT).await;
    assert_eq!(row.verdict, Verdict::Refused, "{row:?}");

    let (hole, _held, _listener) = black_hole().await;
    let row = probe(target(hole, None), Duration::from_millis(500)).await;
    assert_eq!(row.verdict, Verdict::BlackHoled, "{row:?}");
    assert!(row.tcp.unwrap().error.unwrap().contains("500ms"));

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            tokio::spawn(async move {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            });
        }
    });
    let row = probe(target(address, None), LIMIT).await;
    assert_eq!((row.verdict, row.tls.unwrap().problems), (Verdict::TlsProblem, vec![Problem::NotTls]));

    // Accepts and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let row = probe(target(silent.local_addr().unwrap(), None), Duration::from_millis(500)).await;
    assert_eq!(row.verdict, Verdict::TlsProblem);
    assert!(row.tls.unwrap().error.unwrap().contains("no handshake within 500ms"));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_peers_are_tried_at_once() {
    // Each of eleven servers shakes hands only when all eleven have a connection: one after the other, none ever would.
    let barrier = Arc::new(Barrier::new(11));
    let mut targets = Vec::new();
    for _ in 0..11 {
        let (certificate, key, pem) = GOOD.alone();
        let address = serve((certificate, key), false, Some(Arc::clone(&barrier))).await;
        targets.push(target(address, Some(pem)));
    }
    let (hole, _held, _listener) = black_hole().await;
    targets.push(target(hole, None));
    let rows = probe_all(targets, Names::default(), Duration::from_secs(10), true).await;
    let count = |verdict| rows.iter().filter(|r| r.verdict == verdict).count();
    assert_eq!((count(Verdict::Reachable), count(Verdict::BlackHoled)), (11, 1), "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_looked_up_where_they_should_be() {
    let server = name_server("kms.test.", &[("p2.kms.test.", Ipv4Addr::LOCALHOST)]).await;
    let names = Names { server: Some(server.address) };
    let (certificate, key, _) = GOOD.alone();
    let address = serve((certificate, key), false, None).await;
    let mut all = from_list(&format!("p2.kms.test:{},gone.kms.test:1,mpc-node-7:1", address.port()), 1, "test");
    all.extend(from_list("mpc-node-2", address.port(), "service"));
    let services = BTreeMap::from([("mpc-node-2".to_owned(), "p2.kms.test".to_owned())]);
    let rows = probe_all(merge(all, &services), names, LIMIT, false).await;
    let row = |host: &str| rows.iter().find(|r| r.target.host == host).unwrap_or_else(|| panic!("{host}: {rows:#?}"));
    let found = row("p2.kms.test");
    assert_eq!(found.verdict, Verdict::Reachable);
    assert_eq!((found.dns.rcode.as_deref(), found.dns.ttl), (Some("NOERROR"), Some(TTL)));
    assert_eq!(found.dns.addresses, [Ipv4Addr::LOCALHOST]);
    assert_eq!(found.tcp.as_ref().unwrap().address, address);
    let gone = row("gone.kms.test");
    assert_eq!((gone.verdict, gone.dns.rcode.as_deref()), (Verdict::NotResolved, Some("NXDOMAIN")));
    assert_eq!(row("mpc-node-7").verdict, Verdict::NotResolvableHere);
    let service = row("mpc-node-2");
    assert_eq!((service.verdict, service.target.through.as_deref()), (Verdict::Reachable, Some("p2.kms.test")));

    let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let names = Names { server: Some(nobody.local_addr().unwrap()) };
    let rows = probe_all(from_list("p2.kms.test:1", 1, "test"), names, Duration::from_millis(500), false).await;
    assert_eq!((rows[0].verdict, rows[0].dns.rcode.as_deref()), (Verdict::NotResolved, None));
    assert!(rows[0].dns.error.is_some(), "{rows:?}");
}
