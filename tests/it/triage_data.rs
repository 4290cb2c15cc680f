//! Rules of profiles over whole bundles, and analyzers that compare times and texts.

use std::path::Path;

use casefile::bundle::overlay::MemStore;
use casefile::model::Manifest;
use casefile::triage::{self, Rulebook, Severity, Triage};
use serde_json::{Value, json};

use crate::support::cli::Casefile;

/// A bundle of these files; a value is the content, a list the items of a Kubernetes list.
fn bundle(files: &[(&str, Value)]) -> (MemStore, Manifest) {
    let mut store = MemStore::new();
    for (path, value) in files {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Array(items) => {
                let lines: Vec<String> = items.iter().map(ToString::to_string).collect();
                format!("{{\"items\":[\n{}\n]}}\n", lines.join(",\n"))
            }
            other => other.to_string(),
        };
        store.insert(*path, text.into_bytes());
    }
    let (mut manifest, _) = triage::manifest_of(&store, Some("kms")).unwrap();
    manifest.finished = "2026-11-21T06:30:00Z".parse().unwrap();
    (store, manifest)
}

fn run(files: &[(&str, Value)]) -> Triage {
    let (store, manifest) = bundle(files);
    triage::run(&store, &manifest).unwrap()
}

#[track_caller]
fn has(triage: &Triage, rule: &str, severity: Severity, subject: &str) {
    let found = triage.findings.iter().find(|f| f.rule == rule);
    let found = found.unwrap_or_else(|| panic!("{rule} is not in {:?}", rules(triage)));
    assert_eq!(found.severity, severity, "{found:?}");
    assert!(found.subjects.iter().any(|s| s.as_str() == subject), "{found:?}");
    assert!(!found.evidence.is_empty() && found.evidence.iter().all(|e| !e.excerpt.is_empty()), "{found:?}");
}

fn rules(triage: &Triage) -> Vec<&str> {
    triage.findings.iter().map(|f| f.rule.as_str()).collect()
}

const PODS: &str = "cluster-resources/pods/n.json";

fn pod(ready: bool) -> Value {
    json!({"metadata": {"name": "p", "namespace": "n", "labels": {"app": "kms-core"}, "creationTimestamp": "2026-11-21T05:00:00Z"},
        "spec": {"nodeName": "w", "serviceAccountName": "sa", "volumes": [{"configMap": {"name": "settings"}}],
            "containers": [{"name": "kms-core", "image": "i:1", "resources": {"limits": {"memory": "100Mi"}}}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if ready {"True"} else {"False"}}],
            "containerStatuses": [{"name": "kms-core", "ready": ready, "restartCount": 0, "state": {"running": {"startedAt": "2026-11-21T05:00:00Z"}}}]}})
}

#[test]
fn metrics_ports_and_configuration_become_findings() {
    let metrics = "# TYPE kms_memory_usage gauge\nkms_memory_usage 95\nkms_total_memory 100\nkms_backup_errors_total{operation=\"backup\"} 2\nkms_rate_limiter_usage 49000\n";
    let ports = "Proto Recv-Q Send-Q Local Address Foreign Address State\ntcp 0 0 0.0.0.0:9646 0.0.0.0:* LISTEN\n";
    let triage = run(&[
        (PODS, json!([pod(true)])),
        ("metrics/n/p.prom", json!(metrics)),
        ("ports/n/p/netstat.txt", json!(ports)),
        ("config/n/p/running-config.json", json!(json!({"rate_limiter_conf": {"bucket_size": 50_000}}).to_string())),
        (
            "usage/pods/n.json",
            json!([{"metadata": {"namespace": "n", "name": "p"}, "containers": [{"name": "kms-core", "usage": {"memory": "99Mi"}}]}]),
        ),
    ]);
    has(&triage, "kms/memory-high", Severity::Critical, "pod/n/p");
    has(&triage, "kms/backup-errors", Severity::Warning, "pod/n/p");
    has(&triage, "kms/rate-limiter-full", Severity::Warning, "pod/n/p");
    has(&triage, "kms/grpc-port-closed", Severity::Warning, "pod/n/p");
    has(&triage, "kubernetes/memory-near-limit", Severity::Warning, "pod/n/p");
    assert!(!rules(&triage).contains(&"rule-failed"), "{:?}", rules(&triage));
    let memory = triage.findings.iter().find(|f| f.rule == "kms/memory-high").unwrap();
    assert_eq!(memory.title, "pod p runs on a machine whose memory is 95 % used");
    assert_eq!(memory.evidence[0].path, "metrics/n/p.prom");
    assert_eq!(memory.evidence[0].place, triage::Place::Line(2));
    assert_eq!(memory.evidence[0].excerpt, "kms_memory_usage 95");
    let json: Value = serde_json::from_str(&casefile::report::json(&triage)).unwrap();
    assert!(json["findings"].as_array().unwrap().len() >= 5);
}

#[test]
fn the_metrics_of_a_healthy_core_are_silent() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/clusters/kms/replay");
    let read = |name: &str| json!(std::fs::read_to_string(fixtures.join(name)).unwrap());
    let triage = run(&[
        (PODS, json!([pod(true)])),
        ("metrics/n/p.prom", read("metrics.prom")),
        ("config/n/p/kms-server.toml", read("kms-server.toml")),
        ("config/n/p/running-config.json", read("config.json")),
    ]);
    // Two alerts of the guides ask for what no core has, however healthy it is.
    assert_eq!(rules(&triage), ["kms/guide-alerts-blind"]);
    has(&triage, "kms/guide-alerts-blind", Severity::Info, "pod/n/p");
}

#[test]
fn network_policies_that_allow_nothing() {
    let policy = |name: &str, spec: Value| json!({"metadata": {"name": name, "namespace": "n"}, "spec": spec});
    let closed = policy("closed", json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}));
    let dns = policy(
        "dns",
        json!({"podSelector": {"matchLabels": {"app": "kms-core"}}, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": 53}]}]}),
    );
    let service = json!([{"metadata": {"name": "s", "namespace": "n"}, "spec": {"selector": {"app": "kms-core"}}}]);
    let triage = |ready: bool, policies: Value| {
        run(&[
            (PODS, json!([pod(ready)])),
            ("cluster-resources/services/n.json", service.clone()),
            ("cluster-resources/network-policy/n.json", policies),
        ])
    };
    let both = triage(false, json!([closed]));
    has(&both, "network-policy-denies-egress", Severity::Warning, "pod/n/p");
    has(&both, "network-policy-denies-ingress", Severity::Warning, "service/n/s");
    assert!(!rules(&triage(true, json!([closed]))).contains(&"network-policy-denies-egress"));
    let open = triage(false, json!([closed, dns]));
    assert!(!rules(&open).contains(&"network-policy-denies-egress"), "{:?}", rules(&open));
}

#[test]
fn refused_service_accounts() {
    let line = "Error: jobs.batch is forbidden: User \"system:serviceaccount:n:sa\" cannot create resource \"jobs\" in API group \"batch\" in the namespace \"n\"\n";
    let triage = run(&[(PODS, json!([pod(false)])), ("cluster-resources/pods/logs/n/p/kms-core.log", json!(line))]);
    has(&triage, "rbac-forbidden", Severity::Warning, "serviceaccount/n/sa");
    let found = triage.findings.iter().find(|f| f.rule == "rbac-forbidden").unwrap();
    assert_eq!(found.title, "serviceaccount sa may not create jobs");
}

#[test]
fn leases_and_newer_configuration() {
    let lease = |renewed: &str| {
        json!([{"metadata": {"name": "w", "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": "w", "leaseDurationSeconds": 40, "renewTime": renewed}}])
    };
    let settings =
        |created: &str| json!([{"metadata": {"name": "settings", "namespace": "n", "creationTimestamp": created}}]);
    let triage = |renewed: &str, created: &str| {
        run(&[
            (PODS, json!([pod(true)])),
            (
                "cluster-resources/nodes.json",
                json!([{"metadata": {"name": "w"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}]),
            ),
            ("cluster-resources/leases/kube-node-lease.json", lease(renewed)),
            ("cluster-resources/configmaps/n.json", settings(created)),
        ])
    };
    let late = triage("2026-11-21T06:20:00.000000Z", "2026-11-21T06:00:00Z");
    has(&late, "lease-not-renewed", Severity::Warning, "node//w");
    has(&late, "config-newer-than-pod", Severity::Info, "pod/n/p");
    assert_eq!(rules(&triage("2026-11-21T06:29:50.000000Z", "2026-11-21T04:00:00Z")), Vec::<&str>::new());
}

#[test]
fn a_ca_bundle_that_ended_blocks_like_a_missing_backend() {
    use base64::Engine as _;
    let bundle = |year: i32| {
        let mut params = rcgen::CertificateParams::new(vec!["hook".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let pem = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
        base64::engine::general_purpose::STANDARD.encode(pem)
    };
    let triage = |year: i32| {
        run(&[
            (PODS, json!([pod(true)])),
            (
                "cluster-resources/validating-webhook-configurations.json",
                json!([{"metadata": {"name": "v"}, "webhooks": [{"name": "hook.example.com", "failurePolicy": "Fail",
                    "clientConfig": {"caBundle": bundle(year), "service": {"namespace": "n", "name": "hook"}}}]}]),
            ),
        ])
    };
    has(&triage(2025), "webhook-ca-expired", Severity::Critical, "webhook//hook.example.com");
    assert_eq!(rules(&triage(2030)), Vec::<&str>::new());
}

#[test]
fn bursts_of_errors_are_in_the_timeline() {
    let mut log = String::new();
    for minute in 0..50 {
        log.push_str(&format!("2026-11-21T05:{minute:02}:00Z ERROR once in a while\n"));
    }
    for second in 0..59 {
        log.push_str(&format!("2026-11-21T06:10:{second:02}Z ERROR cannot reach the store\n"));
    }
    let files =
        |log: String| [(PODS, json!([pod(true)])), ("cluster-resources/pods/logs/n/p/kms-core.log", json!(log))];
    let triage = run(&files(log.clone()));
    has(&triage, "error-burst", Severity::Info, "pod/n/p");
    assert!(triage.timeline.iter().any(|m| m.what.starts_with("59 errors within minutes")), "{:?}", triage.timeline);
    let old = run(&files(log.replace("06:10", "05:20")));
    assert!(!rules(&old).contains(&"error-burst"));
}

#[test]
fn other_rules_than_the_built_in_ones() {
    let dir = tempfile::tempdir().unwrap();
    let rule = r#"schema = 1
[[rule]]
id = "memory-high"
category = "resources"
severity = "info"
level = 1
for_each = "p in pods"
when = "p.ready"
subject = "pod/{p.namespace}/{p.name}"
title = "{who} is ready"
meaning = "m"
remedy = ["none"]
[[rule.evidence]]
at = "p"
excerpt = "ready"
"#;
    std::fs::write(dir.path().join("rules.toml"), rule).unwrap();
    let (store, manifest) = bundle(&[
        (PODS, json!([pod(true)])),
        (
            "metrics/n/p.prom",
            json!("kms_memory_usage 95\nkms_total_memory 100\nkms_backup_errors_total{operation=\"b\"} 2\n"),
        ),
    ]);
    let book = Rulebook::builtin("kms").with_directory(dir.path()).unwrap();
    let triage = triage::run_with(&store, &manifest, &book).unwrap();
    // The new rule took the place of the one with its id; the others are still there.
    has(&triage, "kms/memory-high", Severity::Info, "pod/n/p");
    has(&triage, "kms/backup-errors", Severity::Warning, "pod/n/p");

    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/clusters/kms");
    let triage =
        |rules: &Path| Casefile::new(&["triage", "--format", "json", "--rules"]).arg(rules).arg(&fixtures).run();
    let ran = triage(dir.path()).code(0);
    assert!(ran.stdout().contains("\"kms/memory-high\""), "{}", ran.stdout());
    std::fs::write(dir.path().join("rules.toml"), rule.replace("p.ready", "p.redy")).unwrap();
    let ran = triage(dir.path()).code(1);
    assert!(
        ran.stderr().contains("rules.toml:8:8: a pod has no field `redy`; did you mean `ready`?"),
        "{}",
        ran.stderr()
    );
    triage(&dir.path().join("no")).code(2);
    let empty = tempfile::tempdir().unwrap();
    assert!(triage(empty.path()).code(1).stderr().contains("kms/rules.toml"));

    // The same rules as a profile of its own.
    std::fs::write(dir.path().join("rules.toml"), rule).unwrap();
    std::fs::write(dir.path().join("profile.toml"), "schema = 1\nid = \"own\"\ntitle = \"Own\"\nprefix = \"own\"\n")
        .unwrap();
    let ran = Casefile::new(&["triage", "--format", "json", "--profile"]).arg(dir.path()).arg(&fixtures).run().code(0);
    assert!(ran.stdout().contains("\"own/memory-high\""), "{}", ran.stdout());
    let ran = Casefile::new(&["profiles", "validate"]).arg(dir.path()).run().code(1);
    assert!(
        ran.stderr().contains("rules.toml:3:6: rule `memory-high` needs a [[rule.case]] in which it fires"),
        "{}",
        ran.stderr()
    );
    let ran = Casefile::new(&["profiles", "validate"]).run().code(0);
    for profile in ["host", "kms", "kubernetes", "monitoring"] {
        assert!(ran.stdout().contains(&format!("{profile}: ok (")), "{}", ran.stdout());
    }
}
