//! Logs of healthy programs of a KMS, recorded from real ones, raise no alarm; and each kind of trouble has somebody to call.

use std::path::Path;

use casefile::bundle::overlay::MemStore;
use casefile::triage::{self, Severity};
use serde_json::json;

/// Container that writes a log, by the name of its file.
fn container(name: &str) -> &'static str {
    match name {
        "kms-init" => "threshold-init",
        name if name.starts_with("kms-gen-keys") => "kms-core-init-gen-keys",
        _ => "kms-core",
    }
}

/// A bundle with one running pod and this log.
fn bundle(container: &str, version: &str, log: &[u8]) -> MemStore {
    let mut store = MemStore::new();
    let image = format!("hub.zama.org/ghcr/zama-ai/kms/core-service:v{version}.0");
    let pod = json!({
        "metadata": {"name": "core", "namespace": "kms", "labels": {"app": "kms-core"}, "creationTimestamp": "2026-11-21T06:20:00Z"},
        "spec": {"nodeName": "w", "containers": [{"name": container, "image": image}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [
            {"name": container, "image": image, "ready": true, "restartCount": 0, "state": {"running": {"startedAt": "2026-11-21T06:31:00Z"}}}
        ]},
    });
    store.insert("cluster-resources/pods/kms.json", serde_json::to_vec(&json!({"items": [pod]})).unwrap());
    store.insert(format!("cluster-resources/pods/logs/kms/core/{container}.log"), log);
    store
}

#[test]
fn healthy_logs_raise_no_alarm() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/logs/kms/healthy");
    let mut count = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let version = if name.contains("0.13") { "0.13" } else { "0.15" };
        let log = std::fs::read(&path).unwrap();
        let store = bundle(container(&name), version, &log);
        let (mut manifest, _) = triage::manifest_of(&store, Some("kms")).unwrap();
        manifest.finished = "2026-11-21T06:32:42Z".parse().unwrap();
        let triage = triage::run(&store, &manifest).unwrap();
        let loud: Vec<_> = triage.findings.iter().filter(|f| f.severity > Severity::Info).collect();
        assert!(loud.is_empty(), "{name}: {loud:#?}");
        count += 1;
    }
    assert!(count >= 12, "{count} logs");
}

#[test]
fn a_log_that_is_not_healthy_does() {
    // The same harness must be able to say something.
    let store = bundle(
        "kms-core",
        "0.15",
        b"2026-11-21T06:31:01Z ERROR main ThreadId(01) a: b.rs:1: write: No space left on device (os error 28)\n",
    );
    let (manifest, _) = triage::manifest_of(&store, Some("kms")).unwrap();
    let triage = triage::run(&store, &manifest).unwrap();
    let root = triage.root().unwrap();
    assert_eq!((root.rule.as_str(), root.severity), ("kms/STO13", Severity::Critical));
}
