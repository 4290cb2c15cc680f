//! What triage says about the vaults of a KMS: real listings of healthy and broken parties, and layouts of older versions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use casefile::bundle::overlay::MemStore;
use casefile::collect::s3::{Document, Fault, Listing, Object, Versions};
use casefile::triage::{self, Category, Finding, Severity, manifest_of};
use serde::Deserialize;
use serde_json::{Value, json};

type Names = BTreeMap<String, (i64, String)>;
type Vaults = BTreeMap<String, Names>;

#[derive(Deserialize)]
struct Recorded {
    bases: BTreeMap<String, Vaults>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    version: String,
    base: String,
    expect: BTreeSet<String>,
    #[serde(default)]
    changes: BTreeMap<String, Change>,
}

#[derive(Deserialize)]
struct Change {
    remove: Vec<String>,
    add: Names,
}

fn recorded() -> Recorded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/vaults/recorded.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A party as `collect` leaves it.
struct Party {
    version: String,
    config: Value,
    documents: Vec<Document>,
}

impl Party {
    fn new(version: &str, parties: usize, threshold: i64, vaults: &Vaults) -> Self {
        let peers: Vec<Value> =
            (1..=parties).map(|id| json!({"party_id": id, "address": format!("p{id}"), "port": 50001})).collect();
        let config = json!({"service": {"listen_port": 50100}, "threshold": {"threshold": threshold, "my_id": 1, "peers": peers, "tls": {"manual": {}}}});
        let documents = vaults.iter().map(|(id, names)| document(id, names)).collect();
        Self { version: version.to_owned(), config, documents }
    }

    fn vault(&mut self, id: &str) -> &mut Document {
        self.documents.iter_mut().find(|d| d.id == id).unwrap()
    }

    fn findings(&self) -> Vec<Finding> {
        let mut store = MemStore::default();
        store.insert("health/n/core-1/http-version.txt".to_owned(), self.version.clone().into_bytes());
        let text = serde_json::to_vec(&Value::String(self.config.to_string())).unwrap();
        store.insert("config/n/core-1/running-config.json".to_owned(), text);
        for document in &self.documents {
            store.insert(format!("storage/n/core-1/{}.json", document.id), document.to_json());
        }
        let (manifest, _) = manifest_of(&store, Some("kms")).unwrap();
        triage::run(&store, &manifest).unwrap().findings
    }
}

fn document(id: &str, names: &Names) -> Document {
    let objects = names.iter().map(|(name, (size, mode))| Object {
        name: name.clone(),
        size: *size,
        modified: Some("2026-11-21T07:00:03Z".to_owned()),
        class: None,
        mode: Some(mode.clone()),
    });
    Document {
        id: id.to_owned(),
        kind: "file".to_owned(),
        place: "/keys".to_owned(),
        prefix: format!("{id}/"),
        listing: Listing { objects: objects.collect(), complete: true, requests: 1, ..Listing::default() },
        ..Document::default()
    }
}

fn loud(findings: &[Finding]) -> BTreeSet<String> {
    let loud = findings.iter().filter(|f| f.severity > Severity::Info && f.category != Category::DataQuality);
    loud.map(|f| f.rule.clone()).collect()
}

fn find<'a>(findings: &'a [Finding], rule: &str) -> &'a Finding {
    findings.iter().find(|f| f.rule == rule).unwrap_or_else(|| panic!("no {rule} in {:?}", loud(findings)))
}

#[test]
fn every_recorded_vault_is_understood() {
    let recorded = recorded();
    let mut wrong = Vec::new();
    for case in &recorded.cases {
        let mut vaults = recorded.bases[&case.base].clone();
        for (id, change) in &case.changes {
            let names = vaults.get_mut(id).unwrap();
            names.retain(|name, _| !change.remove.contains(name));
            names.extend(change.add.clone());
        }
        // Nothing was recorded of a backup that was not there.
        vaults.retain(|id, names| id != "backup" || !names.is_empty());
        let mut party = Party::new(&case.version, 4, 1, &vaults);
        if case.base == "central" {
            party.config["threshold"] = Value::Null;
        }
        let found = loud(&party.findings());
        if found != case.expect {
            wrong.push(format!("{}: expected {:?}, found {found:?}", case.name, case.expect));
        }
    }
    assert!(recorded.cases.len() >= 30);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn severity_and_evidence_say_whether_keys_are_at_stake() {
    let recorded = recorded();
    let mut vaults = recorded.bases["0.15"].clone();
    vaults.get_mut("private").unwrap().retain(|name, _| !name.starts_with("EpochData"));
    let mut party = Party::new("0.15.0", 4, 1, &vaults);
    let findings = party.findings();
    let lost = find(&findings, "kms-prss-missing");
    assert_eq!((lost.severity, lost.subjects[0].as_str()), (Severity::Critical, "pod/n/core-1"));
    assert_eq!(lost.evidence[0].path, "storage/n/core-1/private.json");
    assert!(lost.title.contains("EpochData/") && lost.title.contains("0.15.0"), "{}", lost.title);
    // A bucket with versions gives it back.
    let deleted = vec![format!("EpochData/08{}01", "0".repeat(60))];
    party.vault("private").versions = Some(Ok(Versions { complete: true, deleted, ..Versions::default() }));
    let findings = party.findings();
    let lost = find(&findings, "kms-prss-missing");
    assert!(lost.remedy.iter().any(|r| r.contains("delete marker")), "{:?}", lost.remedy);
}

#[test]
fn the_folder_of_an_older_version_may_be_empty() {
    let recorded = recorded();
    for version in ["0.13.22", "0.14.1-0"] {
        let vaults = &recorded.bases["0.13"];
        assert!(!vaults["private"].keys().any(|name| name.starts_with("PrssSetup/")));
        assert_eq!(loud(&Party::new(version, 4, 1, vaults).findings()), BTreeSet::new(), "{version}");
    }
}

/// The layout up to 0.12, where names depend on the size of the network.
fn old(rings: &[&str]) -> Vaults {
    let mut vaults = recorded().bases["0.13"].clone();
    vaults.remove("backup");
    let private = vaults.get_mut("private").unwrap();
    private.retain(|name, _| name.starts_with("SigningKey"));
    for name in rings {
        private.insert(format!("PrssSetup/{name}"), (3000, "-rw-------".to_owned()));
    }
    vaults.get_mut("public").unwrap().retain(|name, _| name.starts_with("Verf") || name.starts_with("CACert"));
    vaults
}

#[test]
fn the_old_layout_needs_both_rings_of_this_network() {
    let z128 = "14ffe49e9c39c42b3ce8040d58ddb8d8ad90bb80d1ad55f6f1468e2789e2043b";
    let z64 = "9cc75accc8f7ddb428884ccee112763e9fbd2ac676da5c337ac833514e73e062";
    assert_eq!(loud(&Party::new("v0.12.1", 13, 4, &old(&[z128, z64])).findings()), BTreeSet::new());
    let half = Party::new("v0.12.1", 13, 4, &old(&[z128])).findings();
    let half = find(&half, "kms-prss-partial");
    assert!(half.title.contains("Z64") && half.title.contains("1 of 2"), "{}", half.title);
    // Both objects are there, for a network of another size.
    let other = Party::new("v0.12.1", 4, 1, &old(&[z128, z64])).findings();
    assert!(find(&other, "kms-prss-partial").title.contains("Z128 and Z64"));
    assert!(loud(&Party::new("v0.12.1", 13, 4, &old(&[])).findings()).contains("kms-prss-missing"));
}

#[test]
fn the_private_key_in_the_public_vault_is_a_security_finding() {
    let mut vaults = recorded().bases["0.15"].clone();
    vaults.get_mut("public").unwrap().insert("PrivateKey/key.pem".to_owned(), (241, String::new()));
    let findings = Party::new("0.15.0", 4, 1, &vaults).findings();
    let key = find(&findings, "kms-private-key-public");
    assert_eq!((key.severity, key.category), (Severity::Critical, Category::Security));
    assert!(key.evidence[0].excerpt.contains("PrivateKey/key.pem"));
}

#[test]
fn what_could_not_be_listed_is_not_called_missing() {
    let recorded = recorded();
    let mut party = Party::new("0.15.0", 4, 1, &recorded.bases["0.15"]);
    for id in ["private", "public"] {
        let vault = party.vault(id);
        vault.listing = Listing::default();
        vault.fault = Some(Fault { code: "forbidden".to_owned(), text: "s3://b/p/: AccessDenied".to_owned() });
    }
    assert_eq!(loud(&party.findings()), BTreeSet::new());
    // A listing that stopped at its limit shows only what is there.
    let mut party = Party::new("0.15.0", 4, 1, &recorded.bases["0.15"]);
    party.vault("private").listing.complete = false;
    party.vault("private").listing.objects.truncate(2);
    assert_eq!(loud(&party.findings()), BTreeSet::new());
    party.vault("private").fault =
        Some(Fault { code: "not-found".to_owned(), text: "s3://b: NoSuchBucket".to_owned() });
    assert_eq!(loud(&party.findings()), BTreeSet::from(["kms-vault-missing".to_owned()]));
}

#[test]
fn a_slash_too_many_does_not_hide_what_is_there() {
    let recorded = recorded();
    let mut party = Party::new("0.15.0", 4, 1, &recorded.bases["0.15"]);
    for object in &mut party.vault("private").listing.objects {
        object.name.insert(0, '/');
    }
    assert_eq!(loud(&party.findings()), BTreeSet::new());
}

#[test]
fn files_that_others_may_read_are_worth_knowing() {
    let recorded = recorded();
    let findings = Party::new("0.13.22", 4, 1, &recorded.bases["0.13"]).findings();
    assert_eq!(find_any(&findings, "kms-private-files-readable").severity, Severity::Info);
    let findings = Party::new("0.15.0", 4, 1, &recorded.bases["0.15"]).findings();
    assert!(!findings.iter().any(|f| f.rule == "kms-private-files-readable"));
}

fn find_any<'a>(findings: &'a [Finding], rule: &str) -> &'a Finding {
    findings.iter().find(|f| f.rule == rule).unwrap_or_else(|| panic!("no {rule}"))
}
