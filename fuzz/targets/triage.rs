//! Triage over bundles of one file, and its rules.

use casefile::bundle::layout;
use casefile::bundle::overlay::MemStore;
use casefile::triage::{self, Rulebook, manifest_of};

/// Triage over a bundle of one file.
fn triaged(path: &str, content: &[u8]) {
    let mut store = MemStore::new();
    store.insert(path, content.to_vec());
    let (manifest, _) = manifest_of(&store, Some("kms")).expect("a bundle without a manifest has a made-up one");
    let result = triage::run(&store, &manifest).expect("a store in memory can be read");
    serde_json::to_string(&result).expect("the result is JSON");
}

/// Prometheus text.
pub(crate) fn facts_metrics(input: &[u8]) {
    triaged("metrics/kms/core-0.prom", input);
}

/// Output of the health check.
pub(crate) fn facts_health(input: &[u8]) {
    triaged("health/kms/core-0/kms-health-check.txt", input);
}

/// Events.
pub(crate) fn facts_events(input: &[u8]) {
    triaged(&layout::objects("", "events", Some("kms")), input);
}

/// Pods.
pub(crate) fn facts_pods(input: &[u8]) {
    triaged(&layout::objects("", "pods", Some("kms")), input);
}

/// A log, searched for signatures.
pub(crate) fn facts_logs(input: &[u8]) {
    triaged(&layout::log("kms", "core-0", "core", false), input);
}

/// Rules of triage: accepted or refused, and then evaluated.
pub(crate) fn triage_rules(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(dir) = tempfile::tempdir() else { return };
    // Rules, and behind a line of dashes signatures.
    let (rules, signatures) = text.split_once("\n---\n").unwrap_or((text, ""));
    let wrote = std::fs::write(dir.path().join("rules.toml"), rules).and_then(|()| {
        if signatures.is_empty() { Ok(()) } else { std::fs::write(dir.path().join("signatures.toml"), signatures) }
    });
    if wrote.is_err() {
        return;
    }
    let Ok(book) = Rulebook::builtin("kubernetes").with_directory(dir.path()) else { return };
    let mut store = MemStore::new();
    store.insert(
        layout::log("kms", "core-0", "core", false),
        b"ERROR connection refused\npanicked at src/main.rs\n".to_vec(),
    );
    let Ok((manifest, _)) = manifest_of(&store, Some("kms")) else { return };
    let _ = triage::run_with(&store, &manifest, &book);
}
