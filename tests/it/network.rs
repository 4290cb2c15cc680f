//! Bundles of several parties: who reaches whom, who is the odd one out, and what cannot be compared.

use std::collections::BTreeMap;
use std::path::Path;

use casefile::bundle::Store as _;
use casefile::bundle::overlay::MemStore;
use casefile::report;
use casefile::triage::network::{Aspect, Network, Party, State, Unread, compare};
use casefile::triage::{Finding, Rulebook, Severity, Status, Who, manifest_of};
use serde_json::{Value, json};

use super::support::cli::Casefile;
use super::triage_schema;

const KEY: &str = "0400000000000000000000000000000000000000000000000000000000000001";
const EPOCH: &str = "0800000000000000000000000000000000000000000000000000000000000001";
const SIGNING: &str = "60b7070add74be3827160aa635fb255eeeeb88586c4debf7ab1134ddceb4beee";
const CONTEXT: &str = "0700000000000000000000000000000000000000000000000000000000000001";

/// What one party's bundle says; tests change what they are about.
#[derive(Clone)]
struct Spec {
    id: u32,
    n: u32,
    version: &'static str,
    /// Peers that it does not reach, with the error.
    lost: BTreeMap<u32, &'static str>,
    /// Its names of the peers.
    identities: BTreeMap<u32, String>,
    certificates: BTreeMap<u32, String>,
    threshold: u32,
    bucket_size: u32,
    epochs: Vec<&'static str>,
    keys: Vec<&'static str>,
    crs_size: u64,
    clock_ms: i64,
    key_id: &'static str,
    finished: &'static str,
    pseudonyms: bool,
    /// What was tried for peers, in place of a health document's word: verdict, and what a program in the pod says.
    probes: Option<BTreeMap<u32, (&'static str, Option<bool>)>>,
}

fn spec(id: u32, n: u32) -> Spec {
    Spec {
        id,
        n,
        version: "0.15.0-0",
        lost: BTreeMap::new(),
        identities: (1..=n).map(|i| (i, format!("mpc-node-{i}.example"))).collect(),
        certificates: (1..=n)
            .map(|i| (i, format!("-----BEGIN CERTIFICATE-----\nQ0VSVA{i}\n-----END CERTIFICATE-----\n")))
            .collect(),
        threshold: (n - 1) / 3,
        bucket_size: 50_000,
        epochs: vec![EPOCH],
        keys: vec![KEY],
        crs_size: 1_732_840,
        clock_ms: 12,
        key_id: "00000000000000aa",
        finished: "2026-11-21T06:32:42Z",
        pseudonyms: false,
        probes: None,
    }
}

/// All parties of a network of `n`, as healthy as can be.
fn all(n: u32) -> Vec<Spec> {
    (1..=n).map(|id| spec(id, n)).collect()
}

impl Spec {
    fn loses(mut self, peers: impl IntoIterator<Item = u32>, error: &'static str) -> Self {
        self.lost.extend(peers.into_iter().map(|p| (p, error)));
        self
    }

    fn store(&self) -> MemStore {
        let mut store = MemStore::new();
        let peers: Vec<Value> = (1..=self.n)
            .filter(|i| *i != self.id)
            .map(|i| {
                let error = self.lost.get(&i).copied().unwrap_or_default();
                json!({"peer_id": i, "endpoint": format!("mpc-node-{i}.example"), "reachable": error.is_empty(), "latency_ms": 3, "error": error})
            })
            .collect();
        let mut health = json!({
            "config_valid": null,
            "connectivity": {"reachable": true, "latency_ms": 1, "error": null},
            "key_material": {"available": true, "fhe_key_ids": self.keys, "crs_ids": [], "preprocessing_key_ids": [], "storage_backend": "x", "error": null},
            "operator_key": null,
            "context_info": [{"context_id": {"request_id": CONTEXT}, "self_node_info": {"node_type": "threshold", "my_party_id": self.id,
                "threshold_required": self.n / 3 + 1, "nodes_reachable": self.n as usize - self.lost.len()},
                "context_health": "Optimal", "peers_status": peers, "recommendation": ""}],
            "overall_health": "Healthy", "recommendations": [],
        });
        if let Some(probes) = &self.probes {
            health["context_info"] = Value::Null;
            let rows: Vec<Value> = (probes.iter())
                .map(|(id, (verdict, inside))| {
                    json!({"id": id.to_string(), "host": format!("p{id}"), "port": 50001,
                    "own": *id == self.id, "verdict": verdict, "inside": inside.map(|c| json!({"connected": c}))})
                })
                .collect();
            store.insert("peers/kms/core-0/reachability.json", serde_json::to_vec(&json!({"peers": rows})).unwrap());
        }
        store.insert(
            "health/kms/client-0/kms-health-check.txt",
            format!(
                "Initializing configuration with prefix: HEALTH_CHECK\n{}\n",
                serde_json::to_string_pretty(&health).unwrap()
            )
            .into_bytes(),
        );
        let peers: Vec<Value> = (1..=self.n)
            .filter_map(|i| Some((i, self.identities.get(&i)?)))
            .map(|(i, identity)| json!({"party_id": i, "address": format!("local-{i}"), "mpc_identity": identity, "port": 50001, "tls_cert": {"pem": self.certificates.get(&i)}}))
            .collect();
        let config = json!({"service": {"listen_port": 50100}, "rate_limiter_conf": {"bucket_size": self.bucket_size},
            "threshold": {"my_id": self.id, "threshold": self.threshold, "tls": {"manual": {}}, "peers": peers}});
        store.insert("config/kms/core-0/running-config.json", serde_json::to_vec(&json!(config.to_string())).unwrap());
        store.insert("health/kms/core-0/http-version.txt", self.version.as_bytes());
        let objects = |objects: Vec<(String, u64)>| -> Vec<Value> {
            objects.into_iter().map(|(name, size)| json!({"name": name, "size": size})).collect()
        };
        let crs = "0500000000000000000000000000000000000000000000000000000000000001";
        let mut private: Vec<(String, u64)> = self.epochs.iter().map(|e| (format!("EpochData/{e}"), 3098)).collect();
        private.push((format!("SigningKey/{SIGNING}"), 91));
        private.push((format!("FheKeyInfo/{EPOCH}/{KEY}"), 2_787_193));
        private.push((format!("CrsInfo/{EPOCH}/{crs}"), 291));
        let vault = |id: &str, objects: Vec<Value>| json!({"id": id, "kind": "s3", "bucket": "b", "prefix": "p", "complete": true, "objects": objects});
        store.insert(
            "storage/kms/core-0/private.json",
            serde_json::to_vec(&vault("private", objects(private))).unwrap(),
        );
        let public = vec![
            (format!("VerfKey/{SIGNING}"), 91),
            (format!("PublicKey/{KEY}"), 8474),
            (format!("CompressedXofKeySet/{KEY}"), 2_661_273),
            (format!("CRS/{crs}"), self.crs_size),
        ];
        store.insert("storage/kms/core-0/public.json", serde_json::to_vec(&vault("public", objects(public))).unwrap());
        store.insert("cluster-resources/pods/kms.json", &br#"{"items":[]}"#[..]);
        let manifest = json!({
            "schema_version": 1, "tool": {"name": "casefile", "version": "0.1.0"}, "status": "finished", "profile": "kms", "parameters": {},
            "namespaces": ["kms"], "started": "2026-11-21T05:00:00Z", "finished": self.finished,
            "clocks": [{"source": "kube-apiserver", "offset_ms": self.clock_ms, "uncertainty_ms": 300}], "notes": {}, "ledger": [], "files": [],
        });
        store.insert("manifest.json", serde_json::to_vec(&manifest).unwrap());
        let mut redaction =
            json!({"rules": {}, "distinct": 0, "stubs": {}, "disabled": [], "key_id": self.key_id, "rules_sha256": ""});
        if self.pseudonyms {
            redaction["pseudonyms"] = json!({"host": {"config": 1}});
        }
        store.insert("redaction.json", serde_json::to_vec(&redaction).unwrap());
        store
    }

    fn party(&self) -> Party {
        let store = self.store();
        let (manifest, _) = manifest_of(&store, None).unwrap();
        let (_, party) =
            Party::read(&store, &manifest, &Rulebook::builtin("kms"), &format!("party-{}.tar.gz", self.id)).unwrap();
        assert!(party.is_known() && party.name() == self.id.to_string());
        party
    }

    /// Writes it as an unpacked bundle.
    fn write(&self, dir: &Path) {
        let store = self.store();
        for entry in store.entries() {
            let path = dir.join(&entry.path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, store.get(&entry.path).unwrap()).unwrap();
        }
    }
}

fn network(specs: &[Spec]) -> Network {
    compare(specs.iter().map(Spec::party).collect(), Vec::new())
}

fn of<'a>(network: &'a Network, rule: &str) -> Vec<&'a Finding> {
    network.findings.iter().filter(|f| f.rule == rule).collect()
}

/// Findings between the parties that ask for action.
fn rules(network: &Network) -> Vec<&str> {
    let mut rules: Vec<&str> = (network.findings.iter())
        .filter(|f| f.severity > Severity::Info && f.rule != "network-party-troubled")
        .map(|f| f.rule.as_str())
        .collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

fn names(finding: &Finding) -> Vec<&str> {
    finding.subjects.iter().map(casefile::triage::Subject::name).collect()
}

fn result(network: &Network, aspect: &str) -> (Aspect, Vec<String>) {
    let found = network.comparisons.iter().find(|c| c.aspect == aspect).unwrap();
    (found.result, found.odd.clone())
}

const REFUSED: &str = "Error : tcp connect error";

#[test]
fn thirteen_parties_that_agree_are_quiet() {
    let network = network(&all(13));
    assert!(rules(&network).is_empty(), "{:#?}", network.findings);
    assert!(network.root_cause.is_none() && network.missing.is_empty());
    assert!(matches!(network.status, Status::Optimal | Status::Healthy), "{}", network.status);
    assert_eq!(network.matrix.len(), 13);
    for row in &network.matrix {
        let states: Vec<State> = row.cells.iter().map(|c| c.state).collect();
        assert_eq!(states.iter().filter(|s| **s == State::Reachable).count(), 12, "{}", row.from);
        assert_eq!(states.iter().filter(|s| **s == State::Itself).count(), 1);
    }
    for aspect in [
        "version",
        "threshold",
        "peer list",
        "certificates",
        "epochs (PRSS)",
        "keys",
        "public material",
        "clocks",
        "rate limits",
    ] {
        assert_eq!(result(&network, aspect).0, Aspect::Same, "{aspect}");
    }
}

#[test]
fn a_party_that_nobody_reaches_is_named_with_and_without_its_bundle() {
    let mut specs = all(13);
    specs.iter_mut().filter(|s| s.id != 5).for_each(|s| *s = s.clone().loses([5], REFUSED));
    let network_all = network(&specs);
    let found = of(&network_all, "network-party-unreachable");
    assert_eq!((found.len(), names(found[0])), (1, vec!["5"]));
    assert!(found[0].because.iter().any(|b| b.contains("so its core runs")), "{:?}", found[0].because);
    assert_eq!((found[0].call.who, found[0].call.parties.clone()), (Who::Peer, vec!["5".to_owned()]));

    specs.remove(4);
    let network = network(&specs);
    assert_eq!(network.missing, ["5"]);
    assert_eq!(rules(&network), ["network-party-unreachable"]);
    let root = network.root().unwrap();
    assert!(
        root.title.starts_with("party 5 is reached by none of the 12 parties that look (tcp connect error)"),
        "{}",
        root.title
    );
    assert!(root.because.iter().any(|b| b == "it sent no bundle"));
    assert_eq!(root.severity, Severity::Warning);
    assert_eq!(root.evidence[0].path, "party-1.tar.gz/health/kms/client-0/kms-health-check.txt");
}

#[test]
fn more_than_the_threshold_gone_is_critical() {
    let specs: Vec<Spec> = (1..=8).map(|id| spec(id, 13).loses(9..=13, "Timeout after 300 s")).collect();
    let network = network(&specs);
    assert_eq!(of(&network, "network-party-unreachable").len(), 5);
    assert_eq!(network.status, Status::Unhealthy);
}

#[test]
fn one_way_links_and_broken_links_are_told_apart() {
    let mut specs = all(4);
    specs[1] = specs[1].clone().loses([4], "Timeout after 20 s");
    let one_way = network(&specs);
    assert_eq!(rules(&one_way), ["network-one-way"]);
    let found = of(&one_way, "network-one-way")[0];
    assert!(found.title.contains("party 4 reaches party 2, and party 2 does not reach party 4"), "{}", found.title);
    assert_eq!(found.call.parties, ["2", "4"]);
    specs[3] = specs[3].clone().loses([2], "Timeout after 20 s");
    let both = network(&specs);
    assert_eq!(rules(&both), ["network-link-down"]);
    assert_eq!((of(&both, "network-link-down").len(), names(of(&both, "network-link-down")[0])), (1, vec!["2", "4"]));
}

#[test]
fn a_party_that_reaches_nobody_is_the_cause_itself() {
    let mut specs = all(7);
    specs[2] = specs[2].clone().loses([1, 2, 4, 5, 6, 7], "Error : dns error");
    let network = network(&specs);
    assert_eq!(rules(&network), ["network-party-isolated"]);
    let root = network.root().unwrap();
    assert_eq!(names(root), ["3"]);
    assert!(root.because.iter().any(|b| b.contains("the way in works and the way out does not")), "{:?}", root.because);
}

#[test]
fn what_was_tried_stands_in_where_no_health_document_speaks_of_peers() {
    let tried = |rows: &[(u32, &'static str, Option<bool>)]| Some(rows.iter().map(|r| (r.0, (r.1, r.2))).collect());
    let mut specs = all(4);
    specs[0].probes =
        tried(&[(1, "refused", None), (2, "reachable", None), (3, "black-holed", None), (4, "tls-problem", None)]);
    let network_out = network(&specs);
    assert_eq!(rules(&network_out), ["network-one-way"], "{:#?}", network_out.findings);
    let found = of(&network_out, "network-one-way")[0];
    assert!(
        found.title.contains("party 3 reaches party 1, and party 1 does not reach party 3 (black-holed)"),
        "{}",
        found.title
    );
    assert_eq!(found.evidence[0].path, "party-1.tar.gz/peers/kms/core-0/reachability.json");
    let states: Vec<State> = network_out.matrix[0].cells.iter().map(|c| c.state).collect();
    assert_eq!(states, [State::Itself, State::Reachable, State::Unreachable, State::Unknown]);
    // What a program in the pod says counts more than what was seen from where the bundle was collected.
    specs[0].probes = tried(&[(2, "refused", Some(true)), (3, "reachable", Some(false)), (4, "reachable", None)]);
    let inside = network(&specs);
    let states: Vec<State> = inside.matrix[0].cells.iter().map(|c| c.state).collect();
    assert_eq!(states, [State::Itself, State::Reachable, State::Unreachable, State::Reachable]);
    // From a place that reaches nobody, nothing is said of the core.
    specs[0].probes = tried(&[(2, "black-holed", None), (3, "black-holed", None), (4, "black-holed", None)]);
    let nobody = network(&specs);
    assert!(rules(&nobody).is_empty(), "{:#?}", nobody.findings);
    assert!(nobody.matrix[0].cells[1..].iter().all(|c| c.state == State::Unknown));
}

#[test]
fn a_split_network_is_one_finding() {
    let specs: Vec<Spec> = (1..=7)
        .map(|id| if id <= 3 { spec(id, 7).loses(4..=7, REFUSED) } else { spec(id, 7).loses(1..=3, REFUSED) })
        .collect();
    let network = network(&specs);
    assert_eq!(rules(&network), ["network-split"]);
    assert!(network.root().unwrap().title.contains("{4, 5, 6, 7} and {1, 2, 3}"), "{}", network.root().unwrap().title);
    assert_eq!(network.root().unwrap().call.who, Who::NetworkCoordinator);
}

/// What makes one party differ.
type Change = fn(&mut Spec);

#[test]
fn the_odd_one_out_is_named_for_everything_that_is_compared() {
    let cases: [(&str, &str, Change); 9] = [
        ("network-versions-differ", "version", |s| s.version = "0.14.1-0"),
        ("network-thresholds-differ", "threshold", |s| s.threshold = 3),
        ("network-limits-differ", "rate limits", |s| s.bucket_size = 10),
        ("network-peer-lists-differ", "peer list", |s| {
            s.identities.insert(2, "old-name.example".to_owned());
        }),
        ("network-certificates-differ", "certificates", |s| {
            s.certificates.insert(6, "-----BEGIN CERTIFICATE-----\nT0xE\n-----END CERTIFICATE-----\n".to_owned());
        }),
        ("network-prss-differs", "epochs (PRSS)", |s| s.epochs.clear()),
        ("network-keys-differ", "keys", |s| s.keys.clear()),
        ("network-material-differs", "public material", |s| s.crs_size = 17),
        ("network-clocks-differ", "clocks", |s| s.clock_ms = -300_000),
    ];
    for (rule, aspect, change) in cases {
        let mut specs = all(7);
        change(&mut specs[3]);
        let network = network(&specs);
        assert_eq!(rules(&network), [rule], "{:#?}", network.findings);
        let (found, odd) = result(&network, aspect);
        assert_eq!((found, odd), (Aspect::Different, vec!["4".to_owned()]), "{aspect}");
        let finding = network.root().unwrap();
        assert_eq!(names(finding), ["4"], "{}", finding.title);
        assert!(finding.title.contains("party 4"), "{}", finding.title);
        assert!(
            !finding.evidence.is_empty() && finding.evidence.iter().all(|e| e.path.starts_with("party-")),
            "{rule}"
        );
    }
}

#[test]
fn two_that_differ_have_no_majority() {
    let mut specs = all(4);
    specs.truncate(2);
    specs[1].version = "0.14.1-0";
    let network = network(&specs);
    let found = of(&network, "network-versions-differ")[0];
    assert_eq!(names(found), ["1", "2"]);
    assert!(found.title.contains("none is in the majority"), "{}", found.title);
    assert_eq!(found.call.who, Who::NetworkCoordinator);
    assert_eq!(network.missing, ["3", "4"]);
}

#[test]
fn what_was_redacted_under_another_key_is_no_difference() {
    let mut specs = all(4);
    for spec in &mut specs {
        spec.identities.insert(2, format!("REDACTED-host-{}", spec.key_id));
    }
    specs[3].key_id = "00000000000000bb";
    specs[3].identities.insert(2, "REDACTED-host-0123456789ab".to_owned());
    let other_key = network(&specs);
    assert!(rules(&other_key).is_empty(), "{:#?}", other_key.findings);
    assert_eq!(of(&other_key, "network-not-comparable").len(), 1);
    assert!(other_key.comparisons.iter().find(|c| c.aspect == "peer list").unwrap().unknown.contains(&"4".to_owned()));
    // Under one key the same values do differ.
    specs[3].key_id = specs[0].key_id;
    assert_eq!(rules(&network(&specs)), ["network-peer-lists-differ"]);
    // Pseudonyms look like names, and are none under another key.
    let mut pseudonyms = all(4);
    pseudonyms[3].key_id = "00000000000000bb";
    pseudonyms[3].identities = (1..=4).map(|i| (i, format!("host-{i}.kq7x.example"))).collect();
    assert_eq!(rules(&network(&pseudonyms)), ["network-peer-lists-differ"]);
    pseudonyms[3].pseudonyms = true;
    let hidden = network(&pseudonyms);
    assert!(rules(&hidden).is_empty(), "{:#?}", hidden.findings);
    // Where nobody can be compared with anybody, that is what it says.
    for (spec, key) in specs.iter_mut().zip(["1", "2", "3", "4"]) {
        spec.key_id = key;
        spec.identities.insert(2, format!("REDACTED-host-{key}"));
    }
    let none = network(&specs);
    assert!(rules(&none).is_empty());
    assert_eq!(result(&none, "peer list").0, Aspect::NotComparable);
}

#[test]
fn bundles_that_are_no_match_are_told() {
    let mut specs = all(4);
    specs[1].id = 1;
    specs[2].finished = "2026-11-20T06:32:42Z";
    let network = network(&specs);
    assert_eq!(of(&network, "network-same-party-twice").len(), 1);
    assert_eq!(of(&network, "network-bundles-apart").len(), 1);
    let unread = vec![Unread { bundle: "x.tar.gz".to_owned(), reason: "not a gzip file".to_owned() }];
    let network = compare(all(4).iter().map(Spec::party).collect(), unread);
    assert!(of(&network, "network-bundle-unread")[0].title.contains("not a gzip file"));
}

#[test]
fn the_json_is_what_the_schema_says_and_all_forms_say_the_same() {
    let schema: Value = serde_json::from_str(include_str!("../../docs/schema/network.schema.json")).unwrap();
    let mut specs = all(4);
    specs[0] = specs[0].clone().loses([3], REFUSED);
    specs[2].epochs.clear();
    specs.pop();
    let network = network(&specs);
    let value: Value = serde_json::from_str(&report::network_json(&network)).unwrap();
    assert_eq!(triage_schema::errors_by(&schema, &value), Vec::<String>::new());
    let root = network.root().unwrap();
    assert_eq!(root.rule, "network-prss-differs");
    let plain = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let terminal = plain(report::network_terminal(&network, false, 100));
    assert!(
        terminal.contains(&plain(root.title.clone())) && terminal.contains("party 3 reaches party 1"),
        "{terminal}"
    );
    assert!(!terminal.contains('\u{1b}') && report::network_terminal(&network, true, 100).contains('\u{1b}'));
    let page = report::network_markdown(&network);
    assert!(page.contains("| **1** | - | yes | NO | yes |"), "{page}");
    assert!(page.contains("Call the operators of party 3.") && page.contains("no bundle of 4"), "{page}");
    // The same input gives the same bytes, in whatever order it comes.
    let mut reversed = specs.clone();
    reversed.reverse();
    assert_eq!(report::network_json(&self::network(&reversed)), report::network_json(&network));
}

#[test]
fn the_program_compares_what_it_can_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut specs = all(4);
    specs[1] = specs[1].clone().loses([4], "Timeout after 20 s");
    for spec in &specs[..3] {
        spec.write(&dir.path().join(format!("party-{}", spec.id)));
    }
    std::fs::write(dir.path().join("garbage.tar.gz"), b"\x1f\x8bnonsense").unwrap();
    let path = |name: &str| dir.path().join(name);
    let triage = |args: &[&str]| {
        let mut call = Casefile::new(&["triage"]).args(args);
        for name in ["party-1", "party-2", "party-3", "garbage.tar.gz"] {
            call = call.arg(path(name));
        }
        call.run()
    };
    let ran = triage(&["--format", "json"]).code(3);
    let network: Network = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!(network.parties.len(), 3);
    assert_eq!((network.missing.as_slice(), network.unread.len()), (&["4".to_owned()][..], 1));
    triage(&["--fail-on", "warning"]).code(4);
    let text = triage(&["--each", "--format", "markdown"]).code(3).stdout();
    assert!(text.starts_with("# KMS network: ") && text.matches("==> ").count() == 3, "{text}");
    let human = Casefile::new(&["triage"]).arg(path("party-1")).arg(path("party-3")).run().code(0);
    assert!(human.stdout().contains("Who reaches whom"), "{}", human.stdout());
    let none = Casefile::new(&["triage"]).arg(path("garbage.tar.gz")).arg(path("garbage.tar.gz")).run().code(1);
    assert!(none.stderr().contains("none of the 2 bundles can be read"), "{}", none.stderr());
}

#[test]
fn a_bundle_of_the_demo_can_be_compared() {
    let ran = Casefile::new(&["demo", "peers-down", "--quiet", "--output", "three.tar.gz"]).run();
    let demo = ran.dir().join("three.tar.gz");
    assert!(demo.is_file(), "{}", ran.stderr());
    let dir = tempfile::tempdir().unwrap();
    spec(1, 13).write(&dir.path().join("one"));
    let ran = Casefile::new(&["triage", "--format", "json"]).arg(&demo).arg(dir.path().join("one")).run();
    let network: Network = serde_json::from_str(&ran.stdout()).unwrap_or_else(|e| panic!("{e}: {}", ran.stderr()));
    assert_eq!(network.parties.iter().map(|p| p.party.as_str()).collect::<Vec<_>>(), ["1", "3"]);
    assert!(network.matrix[1].cells.iter().any(|c| c.to == "7" && c.state == State::Unreachable));
    // One bundle has a random key of its own.
    assert_eq!(of(&network, "network-not-comparable").len(), 1);
    assert!(network.comparisons.iter().any(|c| c.aspect == "peer list" && c.result == Aspect::Different));
}
