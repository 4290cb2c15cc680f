//! Prometheus, Alertmanager, node-exporter and the exporter of PostgreSQL.

use std::process::Command;

use super::super::{Run, assert_absent, json, reason};
use super::{Server, free_port, output};

const RULES: &str = r#"
groups:
- name: g
  rules:
  - {alert: NodeDown, expr: 'up{job="gone"} == 0', labels: {severity: critical}}
  - {alert: Blind, expr: 'no_such_series_total > 0'}
"#;

#[test]
#[ignore = "needs Prometheus, Alertmanager and exporters; .ci/run runs it"]
fn services_monitoring_of_the_real_kind() {
    let dir = tempfile::tempdir().unwrap();
    let (prom, am, node, pg) = (free_port(), free_port(), free_port(), free_port());
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("rules.yml", RULES);
    let mut rule_files = "rules.yml".to_owned();
    for profile in ["kvstore", "mpc-wallet", "parthenon"] {
        let own =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/services/alerts/{profile}.yml"));
        std::fs::copy(own, dir.path().join(format!("{profile}.yml"))).unwrap();
        rule_files.push_str(&format!(", {profile}.yml"));
    }
    write(
        "prometheus.yml",
        &format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s, external_labels: {{tenant: label-Ext99}}}}\n\
             rule_files: [{rule_files}]\nalerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{am}']}}]}}]}}\n\
             scrape_configs:\n- job_name: node\n  static_configs: [{{targets: ['127.0.0.1:{node}']}}]\n  params: {{token: [planted-Param99]}}\n\
             - job_name: gone\n  basic_auth: {{username: planted-User99, password: planted-Pass99}}\n  params: {{token: [planted-Param99]}}\n  \
             static_configs: [{{targets: ['127.0.0.1:1']}}]\n\
             remote_write: [{{url: 'http://planted-Rw99:planted-Rwp99@127.0.0.1:1/w?key=planted-Query99-4f7c21d0', headers: {{X-A: planted-Head99}}}}]\n"
        ),
    );
    write(
        "alertmanager.yml",
        "global: {smtp_smarthost: '127.0.0.1:1', smtp_from: planted-From99@example.com, smtp_auth_username: planted-Smtp99, smtp_auth_password: planted-Sp99}\n\
         route: {receiver: ops, group_wait: 1s}\nreceivers:\n- name: ops\n  webhook_configs: [{url: 'http://planted-Wu99:planted-Wp99@127.0.0.1:1/planted-Hook99?api-key=planted-Key99-77ab01cc'}]\n  \
         email_configs: [{to: planted-To99@example.com}]\n",
    );
    let mut command = Command::new("prometheus-alertmanager");
    command
        .arg(format!("--config.file={}", dir.path().join("alertmanager.yml").display()))
        .arg(format!("--storage.path={}", dir.path().join("am").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{am}"))
        .arg("--cluster.listen-address=");
    let mut alertmanager = Server::start(dir.path(), "alertmanager", command);
    alertmanager.until_port(am);
    let mut command = Command::new("prometheus-node-exporter");
    command.arg(format!("--web.listen-address=127.0.0.1:{node}"));
    let mut exporter = Server::start(dir.path(), "node-exporter", command);
    exporter.until_port(node);
    let mut command = Command::new("prometheus-postgres-exporter");
    command
        .arg(format!("--web.listen-address=127.0.0.1:{pg}"))
        .env("DATA_SOURCE_NAME", "postgresql://mpc:planted-Dsn99@127.0.0.1:1/x?sslmode=disable");
    let mut postgres = Server::start(dir.path(), "postgres-exporter", command);
    postgres.until_port(pg);
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("tsdb").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{prom}"));
    let mut prometheus = Server::start(dir.path(), "prometheus", command);
    prometheus.until_port(prom);
    let tables = format!(
        "[[prometheus]]\nurl=\"http://127.0.0.1:{prom}\"\nseries=[\"node_load1\"]\n[[alertmanager]]\nurl=\"http://127.0.0.1:{am}\"\n\
         [[endpoint]]\nid=\"node\"\nurl=\"http://127.0.0.1:{node}\"\npath=\"/metrics\"\nfile=\"metrics.prom\"\nwhy=\"w\"\n\
         [[endpoint]]\nid=\"pg\"\nurl=\"http://127.0.0.1:{pg}\"\npath=\"/metrics\"\nfile=\"metrics.prom\"\nwhy=\"w\"\n"
    );
    // The alert fires after two evaluations, and is sent after that.
    let mut bundle = None;
    prometheus.until("the alert fires and arrives", || {
        let found = Run::new(&tables).patient().run().bundle();
        let text = |path: &str| found.store.read(path, 1 << 20).map(|b| String::from_utf8_lossy(&b).into_owned());
        let fires = text("services/prometheus/alerts.json").is_ok_and(|t| t.contains("firing"))
            && text("services/alertmanager/alerts.json").is_ok_and(|t| t.contains("NodeDown"));
        bundle = Some(found);
        fires
    });
    let bundle = bundle.unwrap();
    assert_absent(&bundle, &["planted-"]);
    // As a label of alerts it is data; in the configuration nobody needs it.
    assert!(!bundle.text("services/prometheus/config.json").contains("label-Ext99"));
    for item in
        ["config", "targets", "rules", "alerts", "alertmanagers", "metric-names", "tsdb", "flags", "runtimeinfo"]
    {
        let item = format!("services/prometheus/{item}");
        assert_eq!(bundle.outcome(&item), "ok", "{item}: {}", reason(&bundle, &item));
    }
    let targets = json(&bundle, "services/prometheus/targets.json");
    let gone = targets["activeTargets"].as_array().unwrap().iter().find(|t| t["labels"]["job"] == "gone").unwrap();
    assert!(gone["lastError"].as_str().unwrap().contains("connection refused"), "{gone}");
    let names = json(&bundle, "services/prometheus/metric-names.json");
    assert!(names.as_array().unwrap().iter().any(|n| n == "node_load1"));
    assert!(
        json(&bundle, "services/prometheus/series/node_load1.json")["result"].as_array().is_some_and(|r| !r.is_empty())
    );
    assert!(bundle.text("services/endpoint-node/metrics.prom").contains("node_load1"));
    // Its database is dead, and the exporter still answers.
    assert!(bundle.text("services/endpoint-pg/metrics.prom").contains("\npg_up 0"));
    assert!(bundle.text("services/alertmanager/status.json").contains("http://127.0.0.1:1/removed"));

    // The rule files of the systems are loaded and healthy, and most of their series exist nowhere.
    let rules = bundle.text("services/prometheus/rules.json");
    for alert in ["MPCClusterDegraded", "ChainForkDetected", "KVStoreRaftNoLeader", "PostgresDown"] {
        assert!(rules.contains(alert), "{alert}");
    }
    let triage = bundle.triage();
    for rule in
        ["monitoring/most-rules-blind", "monitoring/alert-cannot-fire", "monitoring/postgres-behind-exporter-down"]
    {
        assert!(triage.findings.iter().any(|f| f.rule == rule), "{rule}: {:?}", triage.findings);
    }

    // Their own logs show URLs with passwords and keys.
    prometheus.until("a remote write and a notification fail", || {
        prometheus_log(dir.path(), "prometheus").contains("remote_name") && alertmanager.log().contains("api-key")
    });
    let tables = format!(
        "[[files]]\nid=\"logs\"\npaths=[\"{0}/prometheus.log\", \"{0}/alertmanager.log\"]\nwhy=\"w\"\n",
        dir.path().display()
    );
    let logs = Run::new(&tables).patient().run().code(0).bundle();
    assert_absent(&logs, &["planted-Rwp99", "planted-Query99", "planted-Key99", "planted-Wp99"]);
}

fn prometheus_log(dir: &std::path::Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(format!("{name}.log"))).unwrap_or_default()
}

#[test]
#[ignore = "needs Prometheus and Alertmanager; .ci/run runs it"]
fn services_refused_configurations_name_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("prometheus.yml", "global: {}\nrecording_rules: [planted-R99]\n");
    write(
        "alertmanager.yml",
        "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs: [{url: '${WEBHOOK_URL}'}]\n",
    );
    for (name, program, args) in [
        ("prometheus", "prometheus", vec![format!("--storage.tsdb.path={}", dir.path().join("t").display())]),
        ("alertmanager", "prometheus-alertmanager", vec![format!("--storage.path={}", dir.path().join("a").display())]),
    ] {
        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", dir.path().join(format!("{name}.yml")).display())).args(args);
        command.arg(format!("--web.listen-address=127.0.0.1:{}", free_port()));
        let output = output(&command);
        assert!(!output.status.success(), "{name} took a wrong configuration");
        std::fs::write(dir.path().join(format!("{name}.log")), [output.stdout, output.stderr].concat()).unwrap();
    }
    let tables = format!("[[files]]\nid=\"logs\"\npaths=[\"{}/*.log\"]\nwhy=\"w\"\n", dir.path().display());
    // The signatures belong to a profile, so the bundle is read as one of it.
    let ran = Run::new(&tables).patient().run().code(0);
    let text = crate::support::cli::Casefile::new(&["triage", "--profile", "monitoring", "--format", "json"])
        .arg(ran.archive())
        .run();
    for signature in ["monitoring/PROM02", "monitoring/PROM03"] {
        assert!(text.stdout().contains(signature), "{signature}: {}", text.stdout());
    }
}
