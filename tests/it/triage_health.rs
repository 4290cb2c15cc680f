//! The health of a KMS in triage: every trap of its documents, and the answers of the core itself.

use casefile::bundle::overlay::MemStore;
use casefile::triage::{self, Severity, Triage};
use serde_json::{Value, json};

const TOOL: &str = "health/n/client/kms-health-check.txt";
const CORE: &str = "health/n/core/grpc.json";

fn run(files: &[(&str, String)]) -> Triage {
    let mut store = MemStore::new();
    for (path, text) in files {
        store.insert(*path, text.clone().into_bytes());
    }
    let (mut manifest, _) = triage::manifest_of(&store, Some("kms")).unwrap();
    manifest.finished = "2026-11-21T06:30:00Z".parse().unwrap();
    triage::run(&store, &manifest).unwrap()
}

/// Severity of a rule's finding; none when it does not fire.
fn severity(triage: &Triage, rule: &str) -> Option<Severity> {
    triage.findings.iter().find(|f| f.rule == rule).map(|f| f.severity)
}

fn title<'a>(triage: &'a Triage, rule: &str) -> &'a str {
    triage.findings.iter().find(|f| f.rule == rule).map_or("", |f| f.title.as_str())
}

/// Peers 2 to `n`, of which the last `down` do not answer.
fn peers(n: usize, down: usize, camel: bool) -> Vec<Value> {
    let (id, latency) = if camel { ("peerId", "latencyMs") } else { ("peer_id", "latency_ms") };
    (2..=n)
        .map(|i| {
            let up = i <= n - down;
            let error = if up { "" } else { "Error : tcp connect error" };
            json!({id: i, "endpoint": format!("mpc-node-{i}.n.svc"), "reachable": up, latency: 3, "error": error})
        })
        .collect()
}

/// What the tool prints: debug lines, then the document, whatever its exit code.
fn tool(contexts: &Value) -> String {
    let document = json!({"config_valid": null, "connectivity": {"reachable": true, "latency_ms": 2, "error": null},
        "key_material": {"available": true, "fhe_key_ids": ["04"], "crs_ids": [], "error": null},
        "context_info": contexts, "overall_health": "Healthy", "recommendations": []});
    format!(
        "Initializing configuration with prefix: HEALTH_CHECK\nDEBUG: SETTINGS: HealthCheckConfig {{ a: 5 }}\n{document:#}\n"
    )
}

fn tool_context(n: usize, down: usize, word: &str) -> Value {
    json!([{"context_id": {"request_id": "07"}, "self_node_info": {"my_party_id": 1, "threshold_required": n / 3 + 1,
        "nodes_reachable": n - down}, "context_health": word, "peers_status": peers(n, down, false)}])
}

fn call(method: &str, code: &str, response: &Value) -> Value {
    json!({"method": format!("kms_service.v1.CoreServiceEndpoint/{method}"), "request": {}, "code": code,
        "message": "why", "latency_ms": 1.0, "response": response})
}

fn core(calls: &[Value]) -> String {
    format!(
        "{:#}\n",
        json!({"endpoint": "n/core:50100", "way": "port-forward", "connected": true, "error": null, "calls": calls})
    )
}

fn core_context(n: usize, down: usize) -> Value {
    json!({"peersFromAllContexts": [{"contextId": {"requestId": "07"}, "myPartyId": 1, "thresholdRequired": n / 3 + 1,
        "nodesReachable": n - down, "status": "HEALTH_STATUS_HEALTHY", "peers": peers(n, down, true)}]})
}

fn keys() -> Value {
    call("GetKeyMaterialAvailability", "OK", &json!({"fheKeyIds": ["04"]}))
}

#[test]
fn peers_count_and_not_the_overall_word() {
    for (down, word, want) in [
        (0, "Optimal", None),
        (1, "Healthy", Some(Severity::Warning)),
        (7, "Degraded", Some(Severity::Warning)),
        (8, "Unhealthy", Some(Severity::Critical)),
        // A word that is missing does not hide the arithmetic: of 13, five are too few.
        (8, "", Some(Severity::Critical)),
    ] {
        let triage = run(&[(TOOL, tool(&tool_context(13, down, word)))]);
        assert_eq!(severity(&triage, "kms-peers-unreachable"), want, "{down} {word}");
        assert_eq!(severity(&triage, "kms-peers-unknown"), None);
    }
}

#[test]
fn no_contexts_is_not_healthy() {
    let triage = run(&[(TOOL, tool(&Value::Null))]);
    assert_eq!(severity(&triage, "kms-peers-unknown"), Some(Severity::Warning));
    // A centralised core has an empty list, and nothing is unknown.
    let triage = run(&[(TOOL, tool(&json!([])))]);
    assert_eq!(severity(&triage, "kms-peers-unknown"), None);
    // The core itself says more: a call that runs into its deadline is a peer that swallows packets.
    let late = call("GetHealthStatus", "DEADLINE_EXCEEDED", &Value::Null);
    let triage = run(&[(CORE, core(&[late, keys()])), (TOOL, tool(&Value::Null))]);
    let found: Vec<_> = triage.findings.iter().filter(|f| f.rule == "kms-peers-unknown").collect();
    assert_eq!(found.len(), 1, "said once: {found:#?}");
    assert!(found[0].because.iter().any(|b| b.contains("did not end in time")), "{:?}", found[0].because);
    let broken = call("GetHealthStatus", "INTERNAL", &Value::Null);
    let triage = run(&[(CORE, core(&[broken, keys()]))]);
    let found = triage.findings.iter().find(|f| f.rule == "kms-peers-unknown").unwrap();
    assert!(found.because.iter().any(|b| b.contains("INTERNAL: why")), "{:?}", found.because);
}

#[test]
fn the_core_is_heard_before_the_tool() {
    let healthy = core(&[call("GetHealthStatus", "OK", &core_context(4, 1)), keys()]);
    let triage = run(&[(CORE, healthy), (TOOL, tool(&Value::Null))]);
    assert_eq!(severity(&triage, "kms-peers-unknown"), None, "the core has said it");
    assert!(title(&triage, "kms-peers-unreachable").starts_with("party 1 reaches 3 of 4 parties"));
    assert_eq!(triage.findings.iter().filter(|f| f.rule == "kms-peers-unreachable").count(), 1);
    // The tool helps where the core's own call failed.
    let late = core(&[call("GetHealthStatus", "DEADLINE_EXCEEDED", &Value::Null), keys()]);
    let triage = run(&[(CORE, late), (TOOL, tool(&tool_context(4, 1, "Healthy")))]);
    assert_eq!(severity(&triage, "kms-peers-unreachable"), Some(Severity::Warning));
    assert_eq!(severity(&triage, "kms-peers-unknown"), None);
}

#[test]
fn a_port_without_a_core_and_a_core_that_serves_nothing() {
    let refused = json!({"endpoint": "n/core:50100", "way": "port-forward", "connected": false, "calls": [],
        "error": "dial tcp4 127.0.0.1:50100: connect: connection refused"});
    let triage = run(&[(CORE, refused.to_string())]);
    assert_eq!(severity(&triage, "kms-endpoint-unreachable"), Some(Severity::Critical));
    let forbidden = json!({"connected": false, "calls": [], "error": "HTTP 403: pods/portforward is forbidden"});
    let triage = run(&[(CORE, forbidden.to_string())]);
    assert_eq!(severity(&triage, "kms-endpoint-unreachable"), None, "a missing right says nothing about the core");
    let calls = ["GetHealthStatus", "GetKeyMaterialAvailability"].map(|m| call(m, "UNIMPLEMENTED", &Value::Null));
    let triage = run(&[(CORE, core(&calls))]);
    assert_eq!(severity(&triage, "kms-endpoint-silent"), Some(Severity::Critical));
}

#[test]
fn failed_requests_show_the_cause_that_clients_do_not_see() {
    let list = json!({"method": "metastore_status.v1.MetaStoreStatusService/ListRequests", "code": "OK",
        "response": {"requests": [{"requestId": "06aa", "metaStoreType": "PUBLIC_DECRYPTION", "status": "FAILED",
            "errorMessage": "Threshold decryption failed: no session"}]}});
    let triage = run(&[(CORE, core(&[call("GetHealthStatus", "OK", &core_context(4, 0)), keys(), list]))]);
    assert_eq!(severity(&triage, "kms-requests-failed"), Some(Severity::Warning));
    assert!(title(&triage, "kms-requests-failed").contains("Threshold decryption failed"));
}

#[test]
fn peers_that_cannot_be_reached_are_named() {
    let row = |id: usize, verdict: &str, problems: &[&str]| {
        json!({"id": id.to_string(), "host": format!("mpc-node-{id}"), "port": 50001, "identity": format!("p{id}"),
            "own": false, "verdict": verdict, "dns": {"rcode": "NOERROR"}, "tcp": {"address": "10.0.0.1:50001"},
            "tls": {"problems": problems, "chain": [{"subject": "CN=x", "not_before": "2026-12-01T00:00:00Z", "not_after": "2026-01-01T00:00:00Z"}]}})
    };
    let table = json!({"of": "n/core", "peers": [
        row(2, "tls-problem", &["expired"]), row(3, "tls-problem", &["not-yet-valid"]), row(4, "tls-problem", &["wrong-name"]),
        row(5, "tls-problem", &["self-signed"]), row(6, "tls-problem", &["not-tls"]), row(12, "black-holed", &[]), row(13, "refused", &[]),
        row(7, "black-holed", &[]), row(8, "reachable", &[])]});
    let health = core(&[call("GetHealthStatus", "OK", &core_context(13, 2)), keys()]);
    let triage = run(&[(CORE, health), ("peers/n/core/reachability.json", format!("{table:#}"))]);
    for (rule, want, host) in [
        ("kms/peer-certificate-expired", Severity::Warning, "mpc-node-2"),
        ("kms/peer-certificate-not-yet-valid", Severity::Warning, "mpc-node-3"),
        ("kms/peer-certificate-wrong", Severity::Warning, "mpc-node-4"),
        ("kms/peer-certificate-self-signed", Severity::Info, "mpc-node-5"),
        ("kms/peer-certificate-unusable", Severity::Warning, "mpc-node-6"),
        ("kms/peer-black-holed", Severity::Warning, "mpc-node-12"),
        ("kms/peer-refused", Severity::Warning, "mpc-node-13"),
        ("kms/peer-not-reached-from-here", Severity::Info, "mpc-node-7"),
    ] {
        assert_eq!(
            severity(&triage, rule),
            Some(want),
            "{rule}: {:?}",
            triage.findings.iter().map(|f| &f.rule).collect::<Vec<_>>()
        );
        let found = triage.findings.iter().find(|f| f.rule == rule).unwrap();
        assert!(found.subjects.iter().any(|s| s.as_str() == format!("peer//{host}")), "{rule}: {:?}", found.subjects);
    }
}
