//! What programs inside of a pod say of its peers, beside our own attempt.

use std::path::Path;
use std::sync::Arc;

use casefile::bundle::DirStore;
use casefile::bundle::overlay::{Fixtures, MemStore};
use casefile::model::Outcome;
use casefile::serve::Server;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::run::{Run, collect, limits, profile_with};

const NS: &str = "kms-decentralized";
const POD: &str = "kms-decentralized/kms-party-3-core-3";
const ITEM: &str = "probe/kms-decentralized/kms-party-3-core-3/peers";
const TABLE: &str = "peers/kms-decentralized/kms-party-3-core-3/reachability.json";

/// A healthy cluster whose core answers these commands.
fn cluster(exec: &[Value]) -> MemStore {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let fixtures = Fixtures::new(Box::new(DirStore::open(&root).unwrap())).unwrap();
    let mut store = fixtures.cluster("healthy").unwrap();
    let mut replay: Value = serde_json::from_slice(store.get("replay.json").unwrap()).unwrap();
    for entry in exec {
        let mut entry = entry.clone();
        entry["pods"] = json!(POD);
        entry["container"] = json!("kms-core");
        replay["exec"].as_array_mut().unwrap().push(entry);
    }
    store.insert("replay.json".to_owned(), serde_json::to_vec(&replay).unwrap());
    store
}

/// Probes two peers: one that listens here, and one whose name nobody knows.
async fn probe(exec: &[Value], port: u16) -> (Run, usize) {
    let server = Server::builder(Arc::new(cluster(exec))).start().await.unwrap();
    let profile = profile_with(&format!(
        "[parameters.peers]\ndescription = \"d\"\ndefault = \"127.0.0.1:{port},gone.kms.test:50001\"\n\
         [[probe]]\nid = \"peers\"\npods = \"app=kms-core\"\ntargets = [{{ from = \"parameter\", name = \"peers\" }}]\nport = 50001\n\
         tls = \"no\"\ninside = \"kms-core\"\ndns_server = \"127.0.0.1:9\"\ntimeout = \"1s\"\n\
         artifact = \"peers/{{namespace}}/{{pod}}/reachability.json\"\nwhy = \"w\"\n"
    ));
    let run = collect(server.addr(), NS, &profile, &["probe/"], limits()).await;
    let commands = server.requests().iter().filter(|r| r.path.ends_with("/exec")).count();
    (run, commands)
}

fn row<'a>(table: &'a Value, host: &str) -> &'a Value {
    table["peers"].as_array().unwrap().iter().find(|row| row["host"] == host).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_getent_and_nc_say_stands_beside_our_own_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let nc = |host: &str, port: u16| json!(["nc", "-z", "-w", "1", host, port.to_string()]);
    let answers = [
        json!({"command": ["getent", "hosts", "localhost"], "stdout": "::1 localhost\n"}),
        json!({"command": ["nc", "-h"], "stderr": "usage: nc\n", "exit_code": 1}),
        json!({"command": ["getent", "hosts", "127.0.0.1"], "stdout": "127.0.0.1   localhost\n10.9.8.7  other\n"}),
        json!({"command": ["getent", "hosts", "gone.kms.test"], "exit_code": 2}),
        json!({"command": nc("127.0.0.1", port)}),
        json!({"command": nc("gone.kms.test", 50001), "stderr": "nc: bad address 'gone.kms.test'\n", "exit_code": 1}),
    ];
    let (run, _) = probe(&answers, port).await;
    assert_eq!(run.outcome(ITEM), (Outcome::Ok, String::new()));
    let table = run.json(TABLE);
    let here = &row(&table, "127.0.0.1")["inside"];
    assert_eq!(
        *here,
        json!({"addresses": ["127.0.0.1", "10.9.8.7"], "resolved": true, "connected": true, "error": null})
    );
    let gone = &row(&table, "gone.kms.test")["inside"];
    assert_eq!((&gone["resolved"], &gone["connected"]), (&json!(false), &json!(false)));
    assert_eq!(gone["error"], "nc: bad address 'gone.kms.test'");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_these_programs_is_asked_no_further() {
    let absent = |program: &str| format!("exec failed: \"{program}\": executable file not found in $PATH");
    let answers = [
        json!({"command": ["getent", "hosts", "localhost"], "error": absent("getent")}),
        json!({"command": ["nc", "-h"], "error": absent("nc")}),
    ];
    let (run, commands) = probe(&answers, 9).await;
    assert_eq!(run.outcome(ITEM).0, Outcome::Ok);
    assert_eq!(commands, 2, "one question for each program");
    assert_eq!(row(&run.json(TABLE), "127.0.0.1")["inside"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_hangs_costs_its_own_deadline() {
    let answers = [
        json!({"command": ["getent", "hosts", "localhost"], "stdout": "::1 localhost\n"}),
        json!({"command": ["nc", "-h"], "error": "exec failed: \"nc\": executable file not found in $PATH"}),
        json!({"command": ["getent", "hosts", "127.0.0.1"], "stdout": "127.0.0.1 localhost\n"}),
        json!({"command": ["getent", "hosts", "gone.kms.test"], "hang": true}),
    ];
    let (run, _) = probe(&answers, 9).await;
    assert_eq!(run.outcome(ITEM).0, Outcome::Ok);
    let table = run.json(TABLE);
    assert_eq!(row(&table, "127.0.0.1")["inside"]["resolved"], true);
    let gone = &row(&table, "gone.kms.test")["inside"];
    assert_eq!(gone["resolved"], Value::Null);
    assert!(gone["error"].as_str().unwrap().contains("did not end within"), "{gone}");
}
