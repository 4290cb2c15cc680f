//! Prometheus and Alertmanager, with secrets in every place in which they show them.

use serde_json::{Value, json as doc};

use super::fake::{Fake, Reply};
use super::{Run, assert_absent, json, reason};

fn prometheus(request: &str) -> Reply {
    let path = request.strip_prefix("GET ").unwrap_or_else(|| panic!("{request} is no read"));
    let data = |value: Value| Reply::Json(200, doc!({"status": "success", "data": value}).to_string());
    let config = "global: {external_labels: {tenant: planted-Ext55}}\nscrape_configs:\n- job_name: a\n  basic_auth: {username: planted-User55, password: <secret>}\n  \
        params: {token: [planted-Param55]}\n  static_configs: [{targets: ['node-1:8080']}]\nremote_write:\n\
        - {url: 'http://planted-Rw55:xxxxx@h/w?key=planted-Query55', headers: {X-A: planted-Head55}}\n";
    match path.split('?').next().unwrap_or_default() {
        "/api/v1/status/buildinfo" => data(doc!({"version": "2.48"})),
        "/api/v1/status/config" => data(doc!({"yaml": config})),
        "/api/v1/targets" => data(doc!({"activeTargets": [{"labels": {"job": "a", "instance": "i"}, "health": "down",
            "discoveredLabels": {"__param_token": "planted-Param55"}, "scrapeUrl": "http://node-1:8080/m?token=planted-Param55",
            "lastError": "Get \"http://node-1:8080/m?token=planted-Param55\": dial tcp: connect: connection refused"}]})),
        "/api/v1/alerts" => {
            data(doc!({"alerts": [{"labels": {"alertname": "MPCNodeDown"}, "state": "firing", "value": "0e+00"}]}))
        }
        "/api/v1/rules" => data(doc!({"groups": []})),
        "/api/v1/alertmanagers" => data(doc!({"activeAlertmanagers": [{"url": "http://u:planted-Am55@h/api"}]})),
        "/api/v1/label/__name__/values" => data(doc!(["up"])),
        "/api/v1/status/tsdb" => Reply::Json(500, doc!({"status": "error", "error": "head is broken"}).to_string()),
        "/api/v1/status/runtimeinfo" | "/api/v1/status/flags" => data(doc!({"a": "b"})),
        "/api/v1/query" | "/api/v1/query_range" => data(doc!({"resultType": "vector", "result": []})),
        "/-/ready" => Reply::Bytes(503, "text/plain", b"Service Unavailable".to_vec()),
        "/metrics" => Reply::Bytes(200, "text/plain", b"up 1\nprometheus_remote_storage_samples_total{url=\"http://planted-Rw55:xxxxx@h/w?key=planted-Query55\"} 1\n".to_vec()),
        other => panic!("{other} was not expected"),
    }
}

fn alertmanager(request: &str) -> Reply {
    let path = request.strip_prefix("GET ").unwrap_or_else(|| panic!("{request} is no read"));
    let config = "global: {smtp_auth_username: planted-Smtp55}\nreceivers:\n- name: ops\n  webhook_configs: [{url: 'http://h/planted-Hook55?api-key=planted-Key55'}]\n  \
        email_configs: [{to: planted-Mail55@example.com}]\n";
    let reply = |value: Value| Reply::Json(200, value.to_string());
    match path {
        "/api/v2/status" => reply(
            doc!({"versionInfo": {"version": "0.25"}, "config": {"original": config}, "cluster": {"status": "ready"}}),
        ),
        "/api/v2/silences" => {
            reply(doc!([{"id": "1", "createdBy": "planted-Mail55@example.com", "comment": "planted-Comment55"}]))
        }
        "/api/v2/alerts" | "/api/v2/alerts/groups" => reply(doc!([{"generatorURL": "http://u:planted-Gen55@p/g"}])),
        "/api/v2/receivers" => reply(doc!([{"name": "ops"}])),
        "/metrics" => Reply::Bytes(
            200,
            "text/plain",
            b"alertmanager_notifications_failed_total{integration=\"email\"} 3\n".to_vec(),
        ),
        other => panic!("{other} was not expected"),
    }
}

const TABLES: &str = "[parameters.prom]\ndescription=\"d\"\n[parameters.am]\ndescription=\"d\"\n\
    [[prometheus]]\nurl=\"{prom}\"\nseries=[\"rate(x_total[5m])\"]\n[[alertmanager]]\nurl=\"{am}\"\n";

#[test]
fn what_they_show_in_clear_does_not_stay() {
    let prom = Fake::tcp(|request, _| prometheus(request));
    let am = Fake::tcp(|request, _| alertmanager(request));
    let ran = Run::new(TABLES).set("prom", &format!("http://{}", prom.address)).set("am", &am.address).run().code(3);
    let bundle = ran.bundle();
    assert_absent(&bundle, &["planted-"]);
    assert_eq!(json(&bundle, "services/prometheus/alerts.json")["data"]["alerts"][0]["state"], "firing");
    let target = &json(&bundle, "services/prometheus/targets.json")["activeTargets"][0];
    assert_eq!(target["scrapeUrl"], "http://node-1:8080/m?token");
    assert!(target["lastError"].as_str().unwrap().contains("connection refused"), "{target}");
    assert!(bundle.text("services/prometheus/config.json").contains("node-1:8080"));
    assert_eq!(bundle.text("services/prometheus/ready.txt"), "Service Unavailable");
    assert_eq!(bundle.outcome("services/prometheus/tsdb"), "failed");
    assert!(reason(&bundle, "services/prometheus/tsdb").contains("head is broken"));
    assert_eq!(json(&bundle, "services/alertmanager/silences.json")[0]["createdBy"], "person-1");
    for request in prom.requests().iter().chain(&am.requests()) {
        for never in ["/admin/", "/-/reload", "/-/quit", "pprof"] {
            assert!(!request.contains(never), "{request}");
        }
    }
    let range = prom.requests().into_iter().find(|r| r.contains("query_range?query=rate%28x_total")).unwrap();
    assert!(range.contains("&start=") && range.contains("&step=15"), "{range}");
}

#[test]
fn what_answers_instead_of_them_is_told() {
    let other = Fake::tcp(|_, _| Reply::Json(200, r#"{"hello": 1}"#.to_owned()));
    let ran = Run::new(TABLES).set("prom", &other.address).set("am", &other.address).run().code(3);
    let bundle = ran.bundle();
    assert!(reason(&bundle, "services/prometheus").contains("no Prometheus"));
    assert!(reason(&bundle, "services/alertmanager").contains("no Alertmanager"));
    let unset = Run::new(TABLES).run().code(0).bundle();
    assert_eq!(unset.outcome("services/prometheus"), "not-applicable");
    assert!(reason(&unset, "services/prometheus").contains("--set prom="));
}
