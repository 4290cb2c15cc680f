//! `--pseudonymise`: no address leaves, and triage says the same.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::support::cli::Casefile;

/// Addresses of pods, hosts and services in the objects of the demo's cluster.
fn addresses() -> BTreeSet<String> {
    fn walk(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|v| walk(v, found)),
            Value::Object(members) => {
                for (key, value) in members {
                    match value.as_str() {
                        Some(ip) if matches!(key.as_str(), "podIP" | "hostIP" | "clusterIP") && ip.contains('.') => {
                            found.insert(ip.to_owned());
                        }
                        _ => walk(value, found),
                    }
                }
            }
            _ => {}
        }
    }
    fn files(dir: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                files(&path, found);
            } else if path.extension().is_some_and(|e| e == "json") {
                let Ok(value) = serde_json::from_slice(&std::fs::read(&path).unwrap()) else { continue };
                walk(&value, found);
            }
        }
    }
    let mut found = BTreeSet::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/clusters/kms/cluster-resources"), &mut found);
    found
}

fn holds(bytes: &[u8], address: &str) -> bool {
    let digit = |b: Option<&u8>| b.is_some_and(u8::is_ascii_digit);
    memchr::memmem::find_iter(bytes, address.as_bytes())
        .any(|at| !digit(bytes.get(at.wrapping_sub(1))) && !digit(bytes.get(at + address.len())))
}

#[test]
fn a_demo_under_pseudonyms_has_no_address_and_the_same_root_cause() {
    let addresses = addresses();
    assert!(addresses.len() > 10, "{addresses:?}");
    for incident in ["crash-loop", "peers-down"] {
        let plain = Casefile::new(&["demo", incident, "--no-progress"]).run().bundle();
        assert!(addresses.iter().any(|a| holds(&plain.everything(), a)), "the plain bundle has none");
        let hidden = Casefile::new(&["demo", incident, "--no-progress", "--pseudonymise", "ip,mac,email,host"]).run();
        let bundle = hidden.bundle();
        let mut everything = bundle.everything();
        everything.extend_from_slice(hidden.stdout().as_bytes());
        everything.extend_from_slice(hidden.stderr().as_bytes());
        for address in &addresses {
            assert!(!holds(&everything, address), "{address} leaves {incident}");
        }
        let cause = |triage: &casefile::triage::Triage| {
            let root = triage.root_cause.as_ref()?;
            triage.findings.iter().find(|f| f.id == *root).map(|f| (f.rule.clone(), f.subjects.clone()))
        };
        assert!(cause(&plain.triage()).is_some());
        assert_eq!(cause(&bundle.triage()), cause(&plain.triage()), "{incident}");
        let rules =
            |triage: &casefile::triage::Triage| triage.findings.iter().map(|f| f.rule.clone()).collect::<BTreeSet<_>>();
        assert_eq!(rules(&bundle.triage()), rules(&plain.triage()), "{incident}");
        let summary = bundle.text("SUMMARY.md");
        assert!(summary.contains("Pseudonyms in place of real values:** `email`"), "{summary}");
        let report: Value = serde_json::from_str(&bundle.text("redaction.json")).unwrap();
        assert!(report["pseudonyms"]["ip"].as_object().unwrap().len() > 3, "{report}");
        assert_eq!(bundle.manifest.notes["pseudonyms"], serde_json::json!(["email", "host", "ip", "mac"]));
    }
}

#[test]
fn a_pod_has_one_address_everywhere() {
    let bundle = Casefile::new(&["demo", "healthy", "--no-progress", "--pseudonymise=ip"]).run().bundle();
    let pods: Value = serde_json::from_str(&bundle.text("cluster-resources/pods/kms-decentralized.json")).unwrap();
    let ips = pods["items"].as_array().unwrap().iter().filter_map(|p| p["status"]["podIP"].as_str());
    let ips: Vec<&str> = ips.collect();
    assert!(ips.len() > 3 && ips.iter().all(|ip| ip.starts_with("240.")), "{ips:?}");
    let slices = bundle.text("cluster-resources/endpointslices/kms-decentralized.json");
    assert!(ips.iter().any(|ip| slices.contains(ip)), "no slice has an address of a pod: {slices}");
}

#[test]
fn redact_takes_the_switch_and_refuses_unknown_kinds() {
    let run =
        Casefile::new(&["redact", "--pseudonymise", "ip,mac"]).stdin(b"10.1.2.3 a@acme.com 52:54:00:12:34:56\n").run();
    let out = run.code(0).stdout();
    assert!(out.starts_with("240.") && out.contains(" a@acme.com 0a:cf:"), "{out}");
    let plain = Casefile::new(&["redact"]).stdin(b"10.1.2.3\n").run().code(0).stdout();
    assert_eq!(plain, "10.1.2.3\n");
    Casefile::new(&["redact", "--pseudonymise", "name"]).run().code(2).says("ip, mac, email, host");
}
