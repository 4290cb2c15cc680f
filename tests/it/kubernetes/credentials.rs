//! TLS, client certificates, credential plugins and impersonation.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use casefile::bundle::DirStore;
use casefile::collect::kubernetes::{Cluster, ConnectError, ConnectOptions};
use casefile::profile;
use casefile::serve::Server;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::fake::Fake;
use super::run::connect_with;

/// A PKI of one day: the authority, the server's and the client's key pair, all as PEM.
struct Pki {
    ca: String,
    client_cert: String,
    client_key: String,
    server: Arc<ServerConfig>,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let sign = |names: Vec<String>| {
            let key = KeyPair::generate().unwrap();
            let cert = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
            (cert, key)
        };
        let (server, server_key) = sign(vec!["127.0.0.1".to_owned()]);
        let (client, client_key) = sign(vec!["operator".to_owned()]);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
        let chain: Vec<CertificateDer<'static>> = vec![server.der().clone()];
        let key = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap();
        Self {
            ca: ca.pem(),
            client_cert: client.pem(),
            client_key: client_key.serialize_pem(),
            server: Arc::new(config),
        }
    }

    /// Answers every request over TLS with a version. Clients without a certificate are turned away.
    fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let config = Arc::clone(&self.server);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                let mut tls = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
                let mut head = [0_u8; 4096];
                if tls.read(&mut head).is_ok_and(|n| n > 0) {
                    let body = r#"{"gitVersion":"v1.36.2"}"#;
                    let _ = write!(
                        tls,
                        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    );
                }
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        });
        addr
    }

    fn kubeconfig(&self, dir: &Path, addr: SocketAddr, user: &str) -> ConnectOptions {
        std::fs::write(dir.join("ca.pem"), &self.ca).unwrap();
        std::fs::write(dir.join("client.pem"), &self.client_cert).unwrap();
        std::fs::write(dir.join("client.key"), &self.client_key).unwrap();
        options(dir, &format!("{{server: 'https://{addr}', certificate-authority: ca.pem}}"), user)
    }
}

fn options(dir: &Path, cluster: &str, user: &str) -> ConnectOptions {
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: t\nclusters:\n- name: t\n  cluster: {cluster}\n\
         users:\n- name: t\n  user: {user}\ncontexts:\n- name: t\n  context: {{cluster: t, user: t}}\n"
    );
    std::fs::write(dir.join("config"), text).unwrap();
    ConnectOptions {
        kubeconfig: Some(dir.join("config")),
        request_timeout: Duration::from_secs(5),
        ..ConnectOptions::default()
    }
}

#[tokio::test]
async fn a_client_certificate_opens_the_door() {
    let (pki, dir) = (Pki::new(), tempfile::tempdir().unwrap());
    let addr = pki.serve();
    let with = pki.kubeconfig(dir.path(), addr, "{client-certificate: client.pem, client-key: client.key}");
    assert_eq!(Cluster::connect(with).await.unwrap().version(), "v1.36.2");
    let without = pki.kubeconfig(dir.path(), addr, "{}");
    assert!(matches!(Cluster::connect(without).await.err().unwrap(), ConnectError::Unreachable { .. }));
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_trusted() {
    let (pki, other, dir) = (Pki::new(), Pki::new(), tempfile::tempdir().unwrap());
    let user = "{client-certificate: client.pem, client-key: client.key}";
    let options = other.kubeconfig(dir.path(), pki.serve(), user);
    let error = Cluster::connect(options).await.err().unwrap().to_string();
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_credential_plugin_gives_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let store = DirStore::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/clusters/recorded")).unwrap();
    let server = Server::builder(Arc::new(store)).token("made-up-token").start().await.unwrap();
    let plugin = |script: &str| {
        std::fs::write(dir.path().join("plugin.sh"), script).unwrap();
        let path = dir.path().join("plugin.sh");
        let user = format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sh, args: ['{}']}}}}",
            path.display()
        );
        options(dir.path(), &format!("{{server: '{}'}}", server.url()), &user)
    };
    let token = |token: &str| {
        format!(
            r#"echo '{{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{{"token":"{token}"}}}}'"#
        )
    };
    assert_eq!(Cluster::connect(plugin(&token("made-up-token"))).await.unwrap().version(), "v1.36.2");
    let error = Cluster::connect(plugin(&token("other-token"))).await.err().unwrap();
    assert!(matches!(error, ConnectError::Unauthorized { .. }), "{error}");
    let error =
        Cluster::connect(plugin("echo pl4nted; echo please log in >&2; exit 1")).await.err().unwrap().to_string();
    assert!(error.contains("please log in") && !error.contains("pl4nted"), "{error}");
}

#[tokio::test]
async fn impersonation_is_sent_with_every_request() {
    let store = DirStore::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/clusters/recorded")).unwrap();
    let server = Server::builder(Arc::new(store)).start().await.unwrap();
    let cluster = connect_with(server.addr(), |o| {
        o.as_user = Some("viewer".to_owned());
        o.as_groups = vec!["readers".to_owned()];
    })
    .await
    .unwrap();
    cluster.detect(profile::builtin(), &[]).await.unwrap();
    assert!(server.requests().len() > 1);
    assert!(server.requests().iter().all(|r| r.impersonate.as_deref() == Some("viewer")));
}

#[tokio::test]
async fn a_proxy_of_the_kubeconfig_is_used() {
    // The proxy is closed, so that nothing but going through it can explain the failure.
    let fake = Fake::start(|_| None).await;
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let direct = options(dir.path(), &format!("{{server: 'http://{}'}}", fake.addr), "{}");
    Cluster::connect(direct).await.unwrap();
    let before = fake.asked().len();
    let cluster = format!("{{server: 'http://{}', proxy-url: 'http://{closed}'}}", fake.addr);
    let error = Cluster::connect(options(dir.path(), &cluster, "{}")).await.err().unwrap();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    assert_eq!(fake.asked().len(), before);
}
