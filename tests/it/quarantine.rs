//! What happens when the audit of the finished bytes finds a secret that redaction has left. To make it find one, the rule
//! is switched off.

use std::sync::Arc;

use casefile::bundle::overlay::MemStore;

use crate::support::cli::{Bundle, Casefile, Ran};
use crate::support::cluster::{Cluster, fixture};

/// A name that only one rule knows, which the tests switch off.
const TOKEN: &str = "ghp_zK3vW9rT7yU1kQ5mB8nX2cL4pD6sF0aH1jEg";
const OFF: [&str; 2] = ["--without-rule", "github-token"];

fn leaky() -> Cluster {
    let mut store = MemStore::below(&*fixture("clusters/recorded"), "").unwrap();
    let path = "cluster-resources/pods/logs/kms-decentralized/kms-party-3-core-0/kms-core.log";
    let mut log = String::from_utf8(store.get(path).unwrap().to_vec()).unwrap();
    log.push_str(&format!("2026-11-21T06:30:00.000000000Z fetched with {TOKEN}\n"));
    store.insert(path, log.into_bytes());
    Cluster::start(Arc::new(store), |builder| builder)
}

fn collect(cluster: &Cluster) -> Casefile {
    Casefile::new(&[
        "collect",
        "--profile",
        "kubernetes",
        "-n",
        "kms-decentralized",
        "--skip",
        "host/*",
        "--no-progress",
    ])
    .env("KUBECONFIG", cluster.kubeconfig())
}

fn holds(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, TOKEN.as_bytes()).is_some()
}

/// What lies in the directory of a run, but for hidden files.
fn names(ran: &Ran) -> Vec<String> {
    let entries = std::fs::read_dir(ran.dir()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

#[test]
fn an_archive_that_leaks_never_has_its_usual_name() {
    let cluster = leaky();
    // The rules as they are leave nothing.
    assert!(!holds(&collect(&cluster).run().bundle().everything()));

    let ran = collect(&cluster).args(&["-o", "a.tar.gz"]).args(&OFF).run().code(5);
    assert_eq!(names(&ran), ["a.tar.gz.quarantine"]);
    assert!(ran.stdout().contains("do not send a.tar.gz.quarantine"), "{}", ran.stdout());
    assert!(ran.stdout().contains("kms-core.log: audit-github-token in line "), "{}", ran.stdout());
    assert!(!holds(ran.stdout().as_bytes()) && !holds(ran.stderr().as_bytes()));
    let kept = ran.dir().join("a.tar.gz.quarantine");
    Casefile::new(&["verify"]).arg(&kept).run().code(5);
    let bundle = Bundle::open(&kept);
    let report: serde_json::Value = serde_json::from_str(&bundle.text("redaction.json")).unwrap();
    assert!(report["audit"]["hits"][0].as_str().unwrap().contains("kms-core.log: audit-github-token"), "{report}");
    assert!(bundle.text("SUMMARY.md").contains("Do not send it"));

    // The archive of a run before is not lost to one that leaks.
    let again = collect(&cluster).args(&OFF).args(&["--force", "-o", "old.tar.gz"]);
    std::fs::write(again.dir().join("old.tar.gz"), "of yesterday").unwrap();
    let again = again.run().code(5);
    assert_eq!(names(&again), ["old.tar.gz", "old.tar.gz.quarantine"]);
    assert_eq!(std::fs::read(again.dir().join("old.tar.gz")).unwrap(), b"of yesterday");
}

#[test]
fn a_stream_gets_nothing_when_the_archive_leaks() {
    let cluster = leaky();
    let call = collect(&cluster).args(&["-o", "-"]).args(&OFF);
    let temporary = call.dir().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let ran = call.env("TMPDIR", &temporary).run().code(5);
    assert_eq!(ran.stdout(), "");
    assert!(ran.stderr().contains("nothing was written to standard output"), "{}", ran.stderr());
    let kept: Vec<_> = std::fs::read_dir(&temporary).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(ran.stderr().contains(&*kept[0].to_string_lossy()) && kept[0].extension().unwrap() == "quarantine");
    assert!(holds(&Bundle::open(&kept[0]).everything()), "the engineer on the spot can see what it is");
}

#[test]
fn a_bundle_of_ours_is_audited_when_it_is_redacted_again() {
    let cluster = leaky();
    let ran = collect(&cluster).args(&["-o", "a.tar.gz"]).args(&OFF).run().code(5);
    let leaking = ran.dir().join("a.tar.gz.quarantine");
    let weak = Casefile::new(&["redact", "-o", "b.tar.gz"]).args(&OFF).arg(&leaking).run().code(5);
    assert_eq!(names(&weak), ["b.tar.gz.quarantine"]);
    assert!(weak.stderr().contains("do not send b.tar.gz.quarantine"), "{}", weak.stderr());
    let whole = Casefile::new(&["redact", "-o", "b.tar.gz"]).arg(&leaking).run().code(0);
    assert!(!holds(&Bundle::open(&whole.dir().join("b.tar.gz")).everything()));
    Casefile::new(&["verify"]).arg(whole.dir().join("b.tar.gz")).run().code(0);
}
