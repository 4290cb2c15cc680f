//! Prometheus and Alertmanager, with secrets in every place in which they show them.

use serde_json::{Value, json as doc};

use super::fake::{Fake, Reply};
use super::{Run, assert_absent, json, reason};

pub(super) fn prometheus(request: &str) -> Reply {
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

pub(super) fn alertmanager(request: &str) -> Reply {
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

const GRAFANA: &str = "[parameters.grafana]\ndescription=\"d\"\n[parameters.gu]\ndescription=\"d\"\n[parameters.gp]\ndescription=\"d\"\nsecret=true\n\
    [[grafana]]\nurl=\"{grafana}\"\nauth={user=\"{gu}\", password=\"{gp}\"}\n";

pub(super) fn grafana(request: &str, health: u16) -> Reply {
    let path = request.strip_prefix("GET ").unwrap_or_else(|| panic!("{request} is no read"));
    let reply = |status: u16, value: Value| Reply::Json(status, value.to_string());
    match path.split('?').next().unwrap_or_default() {
        "/api/health" => {
            let database = if health == 200 { "ok" } else { "failing" };
            reply(health, doc!({"commit": "c", "database": database, "version": "10.2.2"}))
        }
        "/metrics" => Reply::Bytes(200, "text/plain", b"grafana_build_info{version=\"10.2.2\"} 1\n".to_vec()),
        "/api/datasources" => reply(
            200,
            doc!([{"uid": "p1", "name": "Prometheus", "type": "prometheus", "url": "http://planted-Gu55:planted-Gs55@prometheus:9090",
                "user": "planted-Du55", "basicAuthUser": "planted-Bu55", "jsonData": {"httpHeaderName1": "planted-Hn55", "httpMethod": "POST"},
                "secureJsonFields": {"basicAuthPassword": true}}, {"uid": "../x", "name": "Odd", "type": "loki"}]),
        ),
        "/api/datasources/uid/p1/health" => reply(
            500,
            doc!({"status": "ERROR", "message": "Post http://planted-Gu55:planted-Gs55@prometheus:9090/q: refused"}),
        ),
        "/api/prometheus/grafana/api/v1/rules" => reply(
            200,
            doc!({"status": "success", "data": {"groups": [{"name": "g", "rules": [{"name": "r", "state": "firing", "query": "planted-Gq55"}]}]}}),
        ),
        "/api/search" => reply(200, doc!([{"uid": "d1", "title": "MPC Cluster Overview", "url": "/d/planted-Gl55"}])),
        other => panic!("{other} was not expected"),
    }
}

#[test]
fn data_sources_of_grafana_are_read_with_a_login_only() {
    let server = Fake::tcp(|request, _| grafana(request, 200));
    let without = Run::new(GRAFANA).set("grafana", &server.address).run().code(0).bundle();
    assert_eq!(json(&without, "services/grafana/health.json")["database"], "ok");
    assert_eq!(without.outcome("services/grafana/datasources"), "not-applicable");
    assert!(reason(&without, "services/grafana/datasources").contains("login"));
    assert!(server.requests().iter().all(|r| !r.contains("datasources")));

    let run = Run::new(GRAFANA)
        .set("grafana", &server.address)
        .set("gu", "viewer")
        .env("GP", "planted-Gp55x")
        .set("gp", "env:GP");
    let bundle = run.run().code(0).bundle();
    assert_absent(&bundle, &["planted-"]);
    assert_eq!(json(&bundle, "services/grafana/datasources.json")[0]["url"], "http://prometheus:9090");
    let health = json(&bundle, "services/grafana/datasource-health/p1.json");
    assert_eq!((&health["http_status"], &health["status"]), (&doc!(500), &doc!("ERROR")));
    assert_eq!(json(&bundle, "services/grafana/rules.json")["groups"][0]["rules"][0]["state"], "firing");
    assert_eq!(json(&bundle, "services/grafana/dashboards.json")[0]["title"], "MPC Cluster Overview");
    assert!(bundle.triage().findings.iter().any(|f| f.rule == "monitoring/grafana-datasource-broken"));
    assert!(server.requests().iter().all(|r| r.starts_with("GET ") && !r.contains("..")), "{:?}", server.requests());
}

#[test]
fn a_grafana_that_fails_or_refuses_has_one_outcome() {
    let failing = Fake::tcp(|request, _| grafana(request, 503));
    let bundle = Run::new(GRAFANA).set("grafana", &failing.address).run().code(0).bundle();
    assert!(reason(&bundle, "services/grafana").contains("database fails"));
    assert!(bundle.triage().findings.iter().any(|f| f.rule == "monitoring/grafana-database-failing"));
    let refusing = Fake::tcp(|request, _| {
        if request.contains("/api/health") { grafana(request, 200) } else { Reply::Json(401, "{}".to_owned()) }
    });
    let run = Run::new(GRAFANA)
        .set("grafana", &refusing.address)
        .set("gu", "viewer")
        .env("GP", "wrong-Pw55x")
        .set("gp", "env:GP");
    let bundle = run.run().code(3).bundle();
    assert_eq!(bundle.outcome("services/grafana/datasources"), "forbidden");
    let other = Fake::tcp(|_, _| Reply::Json(200, r#"{"hello": 1}"#.to_owned()));
    let bundle = Run::new(GRAFANA).set("grafana", &other.address).run().code(3).bundle();
    assert!(reason(&bundle, "services/grafana").contains("no Grafana"));
}

#[test]
fn what_exporters_say_of_machines_and_images_does_not_stay() {
    let exporter = Fake::tcp(|_, _| {
        Reply::Bytes(
            200,
            "text/plain",
            b"container_oom_events_total{container_label_note=\"planted-La55\",container_env_key=\"planted-En55\",name=\"mpc-node-2\"} 3\n\
              node_dmi_info{product_serial=\"planted-Se55\"} 1\n"
                .to_vec(),
        )
    });
    let tables = format!(
        "[[endpoint]]\nid=\"cadvisor\"\nurl=\"http://{}\"\npath=\"/metrics\"\nfile=\"metrics.prom\"\nwhy=\"w\"\n",
        exporter.address
    );
    let bundle = Run::new(&tables).run().code(0).bundle();
    assert_absent(&bundle, &["planted-"]);
    let killed =
        bundle.triage().findings.into_iter().find(|f| f.rule == "monitoring/container-oom-by-cadvisor").unwrap();
    assert!(killed.subjects.iter().any(|s| s.as_str() == "container//mpc-node-2"), "{killed:?}");
}
