//! etcd, JSON-RPC nodes and files.

use std::io::Write as _;

use super::fake::{Fake, Reply, closed_port};
use super::{Run, assert_absent, json, reason};

#[test]
fn an_etcd_without_a_leader_is_described_by_its_members() {
    let alive = Fake::tcp(|request, body| match request {
        "GET /health" => Reply::Json(503, r#"{"health":"false","reason":"RAFT NO LEADER"}"#.to_owned()),
        "GET /version" => Reply::Json(200, r#"{"etcdserver":"3.5.11","etcdcluster":"3.5.0"}"#.to_owned()),
        "GET /metrics" => Reply::Bytes(200, "text/plain", b"etcd_server_has_leader 0\n".to_vec()),
        "POST /v3/maintenance/status" => {
            Reply::Json(200, r#"{"raftTerm":"7","errors":["etcdserver: no leader"]}"#.to_owned())
        }
        "POST /v3/maintenance/alarm" => {
            assert_eq!(body, r#"{"action":"GET"}"#);
            Reply::Hang
        }
        "POST /v3/cluster/member/list" => Reply::Json(200, r#"{"members":[{"name":"etcd-1"}]}"#.to_owned()),
        "POST /v3/kv/range" => {
            assert!(body.contains(r#""keys_only":true"#), "{body}");
            // `/banned/node-3`, with a value that a broken server sends all the same.
            Reply::Json(
                200,
                r#"{"count":"1","kvs":[{"key":"L2Jhbm5lZC9ub2RlLTM=","value":"cGxhbnRlZC12YWx1ZTY2"}]}"#.to_owned(),
            )
        }
        other => panic!("{other} was not expected"),
    });
    let dead = closed_port();
    let tables = "[parameters.etcd]\ndescription=\"d\"\n[[etcd]]\nurl=\"{etcd}\"\nprefixes=[\"/banned/\"]\n";
    let bundle =
        Run::new(tables).set("etcd", &format!("http://{},http://{dead}", alive.address)).run().code(0).bundle();
    assert_eq!(bundle.outcome("services/etcd"), "truncated");
    let said = reason(&bundle, "services/etcd");
    assert!(said.contains("refuses connections") && said.contains("alarms"), "{said}");
    let member = json(&bundle, &format!("services/etcd/members/{}.json", alive.address.replace(':', "_")));
    assert_eq!(member["health"]["body"]["reason"], "RAFT NO LEADER");
    assert_eq!(member["status"]["errors"][0], "etcdserver: no leader");
    let gone = json(&bundle, &format!("services/etcd/members/{}.json", dead.replace(':', "_")));
    assert_eq!(gone["reachable"], false);
    assert_eq!(json(&bundle, "services/etcd/keys.json")[0]["keys"][0]["key"], "/banned/node-3");
    assert_absent(&bundle, &["planted-value66", "cGxhbnRlZC12YWx1ZTY2"]);
    for request in alive.requests() {
        for never in ["/put", "/deleterange", "/defragment", "/snapshot", "/auth/", "/txn", "/compaction"] {
            assert!(!request.contains(never), "{request}");
        }
    }
}

const NODE: &str = "[parameters.rpc]\ndescription=\"d\"\n\
    [[jsonrpc]]\nurl=\"{rpc}\"\nmethods=[\"getblockcount\",\"getblockchaininfo\",\"getassetpolicy\"]\nauth={user=\"u\",password=\"planted-Rpc66\"}\n";

#[test]
fn a_node_is_asked_within_its_budget() {
    let node = Fake::tcp(|request, body| {
        assert_eq!(request, "POST /");
        if body.contains("getblockcount") {
            Reply::Json(200, r#"{"result":51230}"#.to_owned())
        } else if body.contains("getblockchaininfo") {
            Reply::Json(400, r#"{"error":"unknown method"}"#.to_owned())
        } else {
            Reply::Json(200, r#"{"result":{"policy":"a"}}"#.to_owned())
        }
    });
    let throttled = Fake::tcp(|_, _| Reply::Json(429, r#"{"error":"rate limited"}"#.to_owned()));
    let refusing = Fake::tcp(|_, _| Reply::Json(401, r#"{"error":"auth required"}"#.to_owned()));
    let list = format!("a={},b={},c={}", node.address, throttled.address, refusing.address);
    let bundle = Run::new(NODE).set("rpc", &list).run().code(3).bundle();
    let calls = json(&bundle, "services/jsonrpc-a/calls.json");
    let outcomes: Vec<&str> =
        calls["calls"].as_array().unwrap().iter().map(|c| c["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["ok", "not-applicable", "ok", "ok"]);
    assert_eq!(calls["calls"][3]["result"], 51230, "the height is read twice");
    assert_eq!(bundle.outcome("services/jsonrpc-a"), "ok");
    assert_eq!(bundle.outcome("services/jsonrpc-b"), "truncated");
    assert_eq!(bundle.outcome("services/jsonrpc-c"), "forbidden");
    assert_eq!((throttled.requests().len(), refusing.requests().len()), (1, 1), "nobody is asked on after a refusal");
    assert_absent(&bundle, &["planted-Rpc66"]);
}

#[test]
fn files_are_read_by_globs_and_keys_never() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("a.log", "line one\nplanted=none\nlast line\n");
    write("a.log.1", "older\n");
    write("node.key", "planted-Key66");
    write("wallet.dat", "planted-Key66");
    write("n.conf", "network=main\nrpcuser=admin\nrpcpassword=planted-Conf66\n");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"packed line\n").unwrap();
    std::fs::write(dir.path().join("a.log.2.gz"), packed.finish().unwrap()).unwrap();
    let tables = "[parameters.dir]\ndescription=\"d\"\n\
        [[files]]\nid=\"logs\"\npaths=[\"{dir}/*\"]\nwhy=\"w\"\n\
        [[files]]\nid=\"conf\"\npaths=[\"{dir}/*.conf\"]\nkind=\"config\"\nwhy=\"w\"\n\
        [[files]]\nid=\"none\"\npaths=[\"{dir}/nothing-*\"]\nwhy=\"w\"\n";
    let root = dir.path().display().to_string();
    let bundle = Run::new(tables).set("dir", &root).run().code(0).bundle();
    assert_absent(&bundle, &["planted-Key66", "planted-Conf66"]);
    let at = |id: &str, name: &str| bundle.text(&format!("services/files/{id}{root}/{name}"));
    assert!(at("logs", "a.log").contains("last line"));
    assert_eq!((at("logs", "a.log.1").as_str(), at("logs", "a.log.2").as_str()), ("older\n", "packed line\n"));
    assert!(at("conf", "n.conf").contains("network=main"));
    assert!(reason(&bundle, "services/files/logs").contains("2 files with keys or data"));
    assert_eq!(bundle.outcome("services/files/none"), "not-applicable");
}

#[test]
fn of_a_large_file_the_newest_part_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for n in 0..200_000 {
        text.push_str(&format!("line {n} of a log\n"));
    }
    std::fs::write(dir.path().join("a.log"), &text).unwrap();
    let tables = "[parameters.dir]\ndescription=\"d\"\n[[files]]\nid=\"logs\"\npaths=[\"{dir}/*.log\"]\nwhy=\"w\"\n";
    let root = dir.path().display().to_string();
    let bundle = Run::new(tables).set("dir", &root).arg("--log-limit").arg("100KiB").run().code(0).bundle();
    let kept = bundle.text(&format!("services/files/logs{root}/a.log"));
    assert!(kept.ends_with("line 199999 of a log\n") && kept.len() < 200_000, "{} bytes", kept.len());
    assert_eq!(bundle.outcome("services/files/logs"), "truncated");
}
