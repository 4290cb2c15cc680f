//! Calls over forwarded ports to real gRPC servers, and HTTP where the proxy is refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use casefile::bundle::DirStore;
use casefile::collect::grpc::messages::HealthStatusResponse;
use casefile::model::Outcome;
use casefile::profile;
use casefile::serve::{Builder, Denial, Running, Server};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tonic::Status;

use super::run::{Run, collect, limits, profile_with};
use crate::support::grpc::{Core, healthy, start};

const NS: &str = "kms-decentralized";
const POD: &str = "kms-party-3-core-3";
const ITEM: &str = "grpc/kms-decentralized/kms-party-3-core-3/core";
const PATH: &str = "health/kms-decentralized/kms-party-3-core-3/grpc.json";

fn grpc(timeout: &str, methods: &str) -> String {
    format!(
        "[[grpc]]\nid = \"core\"\npods = \"app=kms-core\"\nport = 50100\nmethods = {methods}\ntimeout = \"{timeout}\"\n\
         artifact = \"health/{{namespace}}/{{pod}}/grpc.json\"\nwhy = \"w\"\n"
    )
}

async fn serve(change: impl FnOnce(Builder) -> Builder) -> Running {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/clusters/kms");
    change(Server::builder(Arc::new(DirStore::open(&root).unwrap()))).start().await.unwrap()
}

/// Asks the core behind an address.
async fn ask(to: SocketAddr, timeout: &str) -> (Run, Running) {
    let server = serve(|b| b.forward(&format!("{NS}/{POD}"), 50100, to)).await;
    let profile = profile_with(&grpc(timeout, "[\"health\", \"kms-core\", \"kms-meta-store\"]"));
    (collect(server.addr(), NS, &profile, &["grpc/"], limits()).await, server)
}

fn call<'a>(document: &'a Value, method: &str) -> &'a Value {
    let calls = document["calls"].as_array().unwrap();
    calls.iter().find(|c| c["method"].as_str().unwrap().ends_with(method)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_is_asked_over_a_forwarded_port() {
    let (run, server) = ask(start(Core::Answers(healthy())).await, "10s").await;
    assert_eq!(run.outcome(ITEM), (Outcome::Ok, String::new()));
    let document = run.json(PATH);
    assert_eq!((&document["way"], &document["connected"]), (&json!("port-forward"), &json!(true)));
    assert_eq!(document["endpoint"], format!("{NS}/{POD}:50100"));
    let health = call(&document, "/GetHealthStatus");
    assert_eq!((&health["code"], &health["message"]), (&json!("OK"), &json!("")));
    assert!(health["latency_ms"].as_f64().unwrap() >= 0.0);
    let context = &health["response"]["peersFromAllContexts"][0];
    assert_eq!(context["status"], "HEALTH_STATUS_OPTIMAL");
    let peer = json!({"peerId": 3, "endpoint": "mpc-node-3.kms.test", "reachable": true, "latencyMs": 0, "error": ""});
    assert_eq!(context["peers"][0], peer);
    assert_eq!(health["response"]["nodeType"], "NODE_TYPE_THRESHOLD");
    assert_eq!(call(&document, "Health/Check")["response"], json!({"status": "SERVING"}));
    let stores = &call(&document, "/GetMetaStoreInfo")["response"]["metaStores"];
    assert_eq!(stores[0], json!({"type": "KEY_GENERATION", "capacity": -1, "currentCount": 1}));
    let listed: Vec<_> =
        document["calls"].as_array().unwrap().iter().filter_map(|c| c["request"]["metaStoreType"].as_str()).collect();
    assert_eq!(listed.len(), 5, "each store on its own: {listed:?}");
    assert!(server.requests().iter().all(|r| r.method == "GET" || r.path.ends_with("accessreviews")));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_its_outcome_and_says_why() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let quiet = silent.local_addr().unwrap();
    let held = tokio::spawn(async move {
        let mut all = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            all.push(stream);
        }
    });
    let refuses = |status: Status| start(Core::Refuses(status));
    for (to, outcome, text) in [
        (start(Core::Slow).await, Outcome::Ok, "GetHealthStatus: DEADLINE_EXCEEDED, no answer within 500ms"),
        (refuses(Status::unimplemented("")).await, Outcome::NotApplicable, "UNIMPLEMENTED"),
        (refuses(Status::unavailable("not ready")).await, Outcome::Failed, "UNAVAILABLE, not ready"),
        (refuses(Status::unauthenticated("who are you")).await, Outcome::Forbidden, "UNAUTHENTICATED, who are you"),
        (quiet, Outcome::TimedOut, "no answer within 500ms"),
        (garbage(b"220 mail.example ESMTP\r\n".to_vec()).await, Outcome::Failed, "does not speak gRPC"),
        (garbage(vec![0xff; 100_000]).await, Outcome::Failed, "does not speak gRPC"),
    ] {
        let (run, _server) = ask(to, "500ms").await;
        let (got, reason) = run.outcome(ITEM);
        assert_eq!(got, outcome, "{reason}");
        assert!(reason.contains(text), "{text}: {reason}");
        // What failed is a fact as well.
        assert!(run.json(PATH)["calls"].as_array().unwrap().iter().any(|c| c["code"] != "OK"));
    }
    held.abort();
}

/// A program that says these bytes to everyone.
async fn garbage(bytes: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let _ = stream.write_all(&bytes).await;
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_without_a_program_and_a_missing_right_are_told_apart() {
    let profile = profile_with(&grpc("2s", "[\"health\"]").replace("50100", "50999"));
    let server = serve(|b| b).await;
    let run = collect(server.addr(), NS, &profile, &["grpc/"], limits()).await;
    let (outcome, reason) = run.outcome(ITEM);
    assert_eq!(outcome, Outcome::Failed);
    assert!(reason.contains("connection refused"), "{reason}");
    assert_eq!(run.json(PATH)["connected"], false);

    let server = serve(|b| b.deny([Denial::new("*", "", "pods/portforward")])).await;
    let run = collect(server.addr(), NS, &profile, &["grpc/"], limits()).await;
    let (outcome, reason) = run.outcome(ITEM);
    assert_eq!(outcome, Outcome::Forbidden);
    assert!(reason.contains("portforward"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_takes_a_forwarded_port_where_the_proxy_is_refused() {
    let profile = profile_with(
        "[[http]]\nid = \"live\"\npods = \"app=kms-core\"\nport = 9646\npath = \"/live\"\n\
         artifact = \"health/{pod}/live.txt\"\nsamples = 2\ninterval = \"1ms\"\nwhy = \"w\"\n",
    );
    let item = format!("http/{NS}/{POD}/live");
    let deny = |resource: &str| Denial::new("*", "", resource);
    let server = serve(|b| b.deny([deny("pods/proxy")])).await;
    let run = collect(server.addr(), NS, &profile, &["http/"], limits()).await;
    let (outcome, reason) = run.outcome(&item);
    assert_eq!(outcome, Outcome::Ok, "{reason}");
    assert!(reason.contains("over a forwarded port, because the proxy is refused"), "{reason}");
    assert_eq!(run.text("health/kms-party-3-core-3/live.txt"), "alive");
    let second = run.text("health/kms-party-3-core-3/live.sample-2.txt");
    assert!(second.starts_with("alive\n# casefile sample=2 after_ms="), "{second}");

    let server = serve(|b| b.deny([deny("pods/proxy"), deny("pods/portforward")])).await;
    let run = collect(server.addr(), NS, &profile, &["http/"], limits()).await;
    let (outcome, reason) = run.outcome(&item);
    assert_eq!(outcome, Outcome::Forbidden);
    assert!(reason.contains("pods/proxy") && reason.contains("pods/portforward"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_asked_directly() {
    let address = start(Core::Answers(healthy())).await;
    let mut profile = profile::find_builtin("kms").unwrap().clone();
    profile.grpc.retain(|g| g.endpoint.is_some());
    assert!(casefile::collect::grpc::items(&profile, &BTreeMap::new()).is_empty(), "nothing to ask without an address");
    let set = |address: String| BTreeMap::from([("grpc_endpoint".to_owned(), address)]);
    let items = casefile::collect::grpc::items(&profile, &set(address.to_string()));
    assert_eq!(items[0].id().as_str(), format!("grpc/direct/{address}/endpoint"));
    let (result, files) = super::run::items(items).await;
    assert_eq!(result.ledger[0].outcome, Outcome::Ok, "{:?}", result.ledger[0].reason);
    let file = files.iter().find(|(path, _)| path.ends_with("grpc.json")).unwrap();
    let document: Value = serde_json::from_slice(file.1).unwrap();
    assert_eq!((&document["way"], &document["endpoint"]), (&json!("direct"), &json!(address.to_string())));

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (result, _) = super::run::items(casefile::collect::grpc::items(&profile, &set(closed.to_string()))).await;
    assert_eq!(result.ledger[0].outcome, Outcome::Failed);
    assert!(result.ledger[0].reason.as_ref().unwrap().contains("refused"), "{:?}", result.ledger[0]);
}

#[test]
fn messages_have_the_bytes_of_another_encoder() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/clusters/kms/replay");
    let text = std::fs::read_to_string(root.join("grpc-health-status.b64")).unwrap();
    let bytes = BASE64.decode(text.split_whitespace().collect::<String>()).unwrap();
    let message = HealthStatusResponse::decode(bytes.as_slice()).unwrap();
    assert_eq!(message.encode_to_vec(), bytes);
    // The same state as the operators' tool shows it.
    let tool = std::fs::read_to_string(root.join("kms-health-check-live.txt")).unwrap();
    let tool: Value = serde_json::from_str(&tool[tool.find("\n{\n").unwrap()..]).unwrap();
    let (context, want) = (&message.peers_from_all_contexts[0], &tool["context_info"][0]);
    assert_eq!(want["self_node_info"]["nodes_reachable"], context.nodes_reachable);
    let peers: Vec<Value> = context
        .peers
        .iter()
        .map(|p| {
            json!({"peer_id": p.peer_id, "endpoint": p.endpoint, "reachable": p.reachable, "latency_ms": p.latency_ms,
                "error": p.error})
        })
        .collect();
    assert_eq!(want["peers_status"], json!(peers));
    assert_eq!(tool["key_material"]["fhe_key_ids"], json!(message.my_fhe_key_ids));
    assert_eq!(tool["key_material"]["storage_backend"], json!(message.my_storage_info));
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_are_known_from_every_source() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let profile = profile_with(&format!(
        "[[probe]]\nid = \"peers\"\npods = \"app=kms-core\"\nport = 50001\ntimeout = \"500ms\"\ninside = \"kms-core\"\n\
         dns_server = \"{{dns}}\"\nartifact = \"peers/{{namespace}}/{{pod}}/reachability.json\"\nwhy = \"w\"\ntargets = [\n\
         {{ from = \"parameter\", name = \"peers\" }},\n\
         {{ from = \"http\", port = 9646, path = \"/config\", peers = \"/threshold/peers\" }},\n\
         {{ from = \"file\", container = \"kms-core\", path = \"/root/kms-server.toml\", peers = \"/threshold/peers\" }},\n\
         {{ from = \"config-maps\", peers = \"/threshold/peers\" }},\n\
         {{ from = \"external-names\", services = \"mpc.io/partner-service=true\" }},\n]\n\
         [parameters.peers]\ndescription = \"p\"\ndefault = \"{nobody}\"\n\
         [parameters.dns]\ndescription = \"d\"\ndefault = \"{nobody}\"\n"
    ));
    let item = format!("probe/{NS}/{POD}/peers");
    let path = format!("peers/{NS}/{POD}/reachability.json");
    for refused in [false, true] {
        let deny = if refused { vec![Denial::new("*", "", "pods/proxy")] } else { Vec::new() };
        let server = serve(|b| b.deny(deny)).await;
        let run = collect(server.addr(), NS, &profile, &["probe/"], limits()).await;
        assert_eq!(run.outcome(&item), (Outcome::Ok, String::new()));
        let table = run.json(&path);
        let sources = table["sources"].to_string();
        for source in ["--set peers", "GET :9646/config", "/root/kms-server.toml", "ExternalName services"] {
            assert!(sources.contains(&format!("[\"{source}\",\"")), "{sources}");
        }
        assert!(sources.contains("[\"GET :9646/config\",\"13 peers\"]"), "{sources}");
        let peers = table["peers"].as_array().unwrap();
        assert_eq!(peers.iter().filter(|p| p["own"] == true).count(), 1, "{peers:#?}");
        let given = peers.iter().find(|p| p["host"] == "127.0.0.1").unwrap();
        assert_eq!((&given["verdict"], &given["port"]), (&json!("refused"), &json!(nobody.port())));
        let named = peers.iter().find(|p| p["id"] == "7").unwrap();
        assert!(named["sources"].as_array().unwrap().len() >= 2, "{named:#?}");
        assert!(named["through"].is_string(), "the service leads elsewhere: {named:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_peer_there_is_nothing_to_try() {
    let profile = profile_with(
        "[[probe]]\nid = \"peers\"\npods = \"app=kms-core\"\nport = 1\ntimeout = \"1s\"\nartifact = \"peers/x.json\"\n\
         why = \"w\"\ntargets = [{ from = \"http\", port = 9646, path = \"/nothing\", peers = \"/a\" }]\n",
    );
    let server = serve(|b| b).await;
    let run = collect(server.addr(), NS, &profile, &["probe/"], limits()).await;
    let (outcome, reason) = run.outcome(&format!("probe/{NS}/{POD}/peers"));
    assert_eq!(outcome, Outcome::NotApplicable);
    assert!(reason.contains("no peers are known (GET :9646/nothing: "), "{reason}");
}
