//! `casefile redact rules`: what writers of rules look at.

use serde_json::Value;

use crate::support::cli::Casefile;

const TOKEN: &str = "ghp_zK3vW9rT7yU1kQ5mB8nX2cL4pD6sF0aH1jEg";
/// `password=Zx81mossLantern77` in base64, as part of a longer text.
const ENCODED: &str = "dXNlcj1hcHAgcGFzc3dvcmQ9Wng4MW1vc3NMYW50ZXJuNzcK";

#[test]
fn a_test_of_rules_tells_place_rule_and_layer_and_no_value() {
    let text = format!("first\nfetch {TOKEN} and\n{{\"password\": \"Zx81mossLantern77\"}}\nblob {ENCODED} end\n");
    let ran = Casefile::new(&["redact", "rules", "test", "-"]).stdin(text.as_bytes()).run().code(0);
    let shown = ran.stdout();
    let rows: Vec<Vec<&str>> = shown.lines().take(3).map(|l| l.split_ascii_whitespace().collect()).collect();
    assert_eq!(rows[0][..3], ["2:7-46", "github-token", "engine"], "{shown}");
    assert_eq!(rows[1][..3], ["3:15-31", "key-password", "engine"], "{shown}");
    assert_eq!(rows[2][0], "4:6-53", "{shown}");
    assert_eq!(rows[2][2], "decoding", "{shown}");
    assert!(rows.iter().all(|row| row[3].starts_with("REDACTED-")), "{shown}");
    assert!(shown.contains("\n2: fetch REDACTED-github-token-"), "{shown}");
    for secret in [TOKEN, "Zx81mossLantern77", ENCODED] {
        assert!(!shown.contains(secret) && !ran.stderr().contains(secret));
    }
}

#[test]
fn a_test_of_rules_names_the_walker_in_json_and_counts_lines_in_windows() {
    // Longer than what the engine holds at once, so that lines are counted across windows.
    let mut text = "{\"a\": 1}\n".repeat(60_000);
    text.push_str("{\"passwords\": [\n [\n  \"sunflower\"\n]]}\n");
    let call = Casefile::new(&["redact", "rules", "test", "a.json", "--format", "json"]);
    std::fs::write(call.dir().join("a.json"), &text).unwrap();
    let result: Value = serde_json::from_str(&call.run().code(0).stdout()).unwrap();
    let matches = result["matches"].as_array().unwrap();
    assert_eq!(matches.len(), 1, "{result}");
    let found = &matches[0];
    assert_eq!(
        (&found["line"], &found["column"], &found["length"]),
        (&60_003.into(), &4.into(), &9.into()),
        "{result}"
    );
    assert_eq!((&found["layer"], &found["rule"]), (&"walker".into(), &"key-password".into()), "{result}");
    assert_eq!(result["layers"]["walker"], 1);
}

#[test]
fn a_bundle_tells_by_layer_what_was_replaced_and_what_the_audit_found() {
    let made = Casefile::new(&["demo", "crash-loop", "--no-progress"]).run();
    let bundle = made.bundle();
    let report: Value = serde_json::from_str(&bundle.text("redaction.json")).unwrap();
    let count = |map: &Value| map.as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum::<u64>();
    let by_rule: u64 = report["rules"].as_object().unwrap().values().map(count).sum();
    assert_eq!(count(&report["layers"]), by_rule, "{report}");
    assert!(report["layers"]["objects"].as_u64().unwrap() > 0, "{report}");
    for digest in ["rules_sha256", "engine_sha256"] {
        assert_eq!(report[digest].as_str().unwrap().len(), 64, "{digest}");
    }
    assert_eq!(report["audit"]["hits"], serde_json::json!([]));
    // All files but this report and the manifest, which are audited when they are there.
    let files = bundle.manifest.files.len() as u64;
    assert_eq!(report["audit"]["files"].as_u64().unwrap(), files - 1);
    assert!(bundle.text("SUMMARY.md").contains("An independent audit of the finished files found nothing."));
    assert!(bundle.text("report.html").contains("finished files found nothing"));
}
