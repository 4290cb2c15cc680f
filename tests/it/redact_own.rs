//! `casefile redact` on a bundle of ours, and what a bundle says of a rule that was switched off.

use serde_json::Value;

use crate::support::cli::{Bundle, Casefile};
use crate::support::cluster::Cluster;

fn holds(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

#[test]
fn a_bundle_of_ours_is_made_anew_under_stricter_rules() {
    const WORD: &str = "preproc_redis";
    let made = Casefile::new(&["demo", "crash-loop", "--no-progress"]).run();
    let before = made.bundle();
    assert!(holds(&before.everything(), WORD), "the demo names the key");
    let rules = tempfile::tempdir().unwrap();
    let rule = format!(
        "schema = 1\n[[rule]]\nid = \"codename\"\nkind = \"codename\"\ndescription = \"A name that stays in the house\"\nanchors = [\"{WORD}\"]\npattern = '{WORD}'\nexamples = [\"{WORD}\"]\nnot_examples = [\"preproc\"]\n"
    );
    std::fs::write(rules.path().join("own.toml"), rule).unwrap();
    let again = Casefile::new(&["redact", "-o", "again.tar.gz", "--redaction-rules"])
        .arg(rules.path())
        .arg(made.archive())
        .run()
        .code(0);
    let path = again.dir().join("again.tar.gz");
    let after = Bundle::open(&path);
    assert!(!holds(&after.everything(), WORD), "the name is still there");
    // It is a whole bundle: checksums, ledger, audit.
    Casefile::new(&["verify"]).arg(&path).run().code(0);
    assert_eq!(after.manifest.ledger.len(), before.manifest.ledger.len());
    assert_eq!(after.manifest.files.len(), before.manifest.files.len());
    assert_eq!(after.triage().root_cause, before.triage().root_cause);
    let report: Value = serde_json::from_str(&after.text("redaction.json")).unwrap();
    assert!(report["rules"]["codename"].as_object().is_some_and(|files| files.len() > 3), "{report}");
}

#[test]
fn a_rule_that_is_off_is_told_in_manifest_summary_and_report() {
    let cluster = Cluster::recorded();
    let collect = |args: &[&str]| {
        Casefile::new(&["collect", "--profile", "kubernetes", "--skip", "host/*", "--no-progress"])
            .env("KUBECONFIG", cluster.kubeconfig())
            .args(args)
    };
    let whole = collect(&[]).run().bundle();
    assert!(!whole.manifest.notes.contains_key("redaction-rules-off"));
    assert!(!whole.text("SUMMARY.md").contains("weakened"));
    let weak = collect(&["--without-rule", "jwt"]).run().bundle();
    assert_eq!(weak.manifest.notes["redaction-rules-off"], serde_json::json!(["jwt"]));
    assert!(weak.text("SUMMARY.md").contains("Redaction was weakened:** switched off by the user: `jwt`"));
    assert!(weak.text("report.html").contains("switched off"));
    let report: Value = serde_json::from_str(&weak.text("redaction.json")).unwrap();
    assert_eq!(report["disabled"], serde_json::json!(["jwt"]));
    // A rule that does not exist is a mistake, not a weaker run.
    let wrong = collect(&["--without-rule", "jtw"]).run().code(1);
    assert!(wrong.stderr().contains("jtw") && wrong.archives().is_empty(), "{}", wrong.stderr());
}
