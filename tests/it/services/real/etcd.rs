//! Three members of etcd: one stopped, two stopped, the quota reached.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::{Run, assert_absent, json, reason};
use super::{Server, free_port};

struct Cluster {
    members: Vec<Server>,
    ports: Vec<u16>,
    _dir: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let peers: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let all = (0..3).map(|i| format!("m{i}=http://127.0.0.1:{}", peers[i])).collect::<Vec<_>>().join(",");
        let members = (0..3).map(|i| {
            let client = format!("http://127.0.0.1:{}", ports[i]);
            let peer = format!("http://127.0.0.1:{}", peers[i]);
            let mut command = Command::new("etcd");
            command
                .args(["--name", &format!("m{i}"), "--listen-client-urls", &client, "--advertise-client-urls", &client])
                .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer, "--initial-cluster", &all])
                .args([
                    "--initial-cluster-token",
                    "planted-Token88",
                    "--heartbeat-interval",
                    "100",
                    "--election-timeout",
                    "1000",
                ])
                .args(["--quota-backend-bytes", "16777216", "--data-dir"])
                .arg(dir.path().join(format!("m{i}")));
            Server::start(dir.path(), &format!("m{i}"), command)
        });
        let mut cluster = Self { members: members.collect(), ports, _dir: dir };
        for i in 0..3 {
            let port = cluster.ports[i];
            cluster.members[i].until("it is healthy", || post(port, "GET", "/health", "").contains("\"true\""));
        }
        cluster
    }

    fn put(&self, key: &str, value: &str) -> String {
        let body = format!(r#"{{"key":"{}","value":"{}"}}"#, STANDARD.encode(key), STANDARD.encode(value));
        post(self.ports[0], "POST", "/v3/kv/put", &body)
    }

    fn bundle(&self) -> crate::support::cli::Bundle {
        let urls: Vec<String> = self.ports.iter().map(|p| format!("http://127.0.0.1:{p}")).collect();
        let tables =
            "[parameters.etcd]\ndescription=\"d\"\n[[etcd]]\nurl=\"{etcd}\"\nprefixes=[\"/banned/\", \"/fill/\"]\n";
        Run::new(tables).patient().set("etcd", &urls.join(",")).run().code(0).bundle()
    }

    fn member(&self, bundle: &crate::support::cli::Bundle, i: usize) -> serde_json::Value {
        json(bundle, &format!("services/etcd/members/127.0.0.1_{}.json", self.ports[i]))
    }
}

/// One request over a plain socket.
fn post(port: u16, method: &str, path: &str, body: &str) -> String {
    use std::io::{Read as _, Write as _};
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
#[ignore = "needs etcd; .ci/run runs it"]
fn services_etcd_loses_members_and_reaches_its_quota() {
    let mut cluster = Cluster::start();
    assert!(cluster.put("/banned/node-3", "planted-Value88").contains("revision"));
    let bundle = cluster.bundle();
    assert_eq!(bundle.outcome("services/etcd"), "ok", "{}", reason(&bundle, "services/etcd"));
    assert_absent(&bundle, &["planted-Value88", &STANDARD.encode("planted-Value88"), "planted-Token88"]);
    let keys = json(&bundle, "services/etcd/keys.json");
    assert_eq!((keys[0]["count"].as_u64(), &keys[0]["keys"][0]["key"]), (Some(1), &"/banned/node-3".into()));
    assert_eq!(json(&bundle, "services/etcd/member-list.json")["members"].as_array().unwrap().len(), 3);
    assert!(
        bundle
            .text(&format!("services/etcd/members/127.0.0.1_{}.prom", cluster.ports[1]))
            .contains("etcd_server_has_leader 1")
    );

    // The quota: an alarm that only a person can clear.
    let big = "x".repeat(1 << 20);
    for n in 0..40 {
        if cluster.put(&format!("/fill/{n}"), &big).contains("database space exceeded") {
            break;
        }
    }
    let bundle = cluster.bundle();
    assert_eq!(json(&bundle, "services/etcd/alarms.json")["alarms"][0]["alarm"], "NOSPACE");
    assert_eq!(cluster.member(&bundle, 0)["health"]["http_status"], 503);

    cluster.members[2].stop();
    let bundle = cluster.bundle();
    assert_eq!(bundle.outcome("services/etcd"), "truncated");
    assert_eq!(cluster.member(&bundle, 2)["reachable"], false);
    assert_eq!(cluster.member(&bundle, 0)["reachable"], true);

    cluster.members[1].stop();
    let port = cluster.ports[0];
    cluster.members[0]
        .until("it has no leader", || post(port, "GET", "/metrics", "").contains("etcd_server_has_leader 0"));
    let bundle = cluster.bundle();
    let member = cluster.member(&bundle, 0);
    assert!(member["status"]["errors"].to_string().contains("no leader"), "{member}");
    // Names of keys are read from the member itself, so they are there without a leader.
    assert_eq!(json(&bundle, "services/etcd/keys.json")[0]["count"], 1);
}
