//! Triage over every labelled incident of the systems beside a cluster, and over their healthy baselines.
#![expect(clippy::print_stdout, reason = "the table is for whoever runs the tests")]

use std::path::Path;

use casefile::bundle::DirStore;
use casefile::bundle::overlay::Fixtures;
use casefile::triage::{self, Category, Severity, Triage, manifest_of};

fn fixtures() -> Fixtures {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/services");
    Fixtures::new(Box::new(DirStore::open(&root).unwrap())).unwrap()
}

/// What triage says about one incident; the base is named as its profile.
fn triaged(fixtures: &Fixtures, name: &str) -> Triage {
    let incident = fixtures.find(name).unwrap();
    let store = fixtures.cluster(name).unwrap();
    let (mut manifest, _) = manifest_of(&store, Some(&incident.expect.base)).unwrap();
    manifest.finished = fixtures.now(&incident.expect.base).unwrap();
    triage::run(&store, &manifest).unwrap()
}

#[test]
fn triage_names_the_cause_of_the_incidents() {
    let fixtures = fixtures();
    let mut wrong = Vec::new();
    let (mut right, mut all) = (0, 0);
    for incident in fixtures.incidents() {
        let triage = triaged(&fixtures, &incident.name);
        let expect = &incident.expect;
        let mut errors = Vec::new();
        let found: Vec<&str> = triage.findings.iter().map(|f| f.rule.as_str()).collect();
        errors.extend(expect.must.iter().filter(|r| !found.contains(&r.as_str())).map(|r| format!("lacks {r}")));
        if let Some(f) = triage.findings.iter().find(|f| f.rule == "rule-failed" || f.rule == "undecodable-data") {
            errors.push(format!("{}: {}", f.rule, f.title));
        }
        let root = triage.root();
        if let (Some(rule), Some(subject)) = (&expect.root_cause, &expect.root_subject) {
            all += 1;
            let hit = root.is_some_and(|r| r.rule == *rule && r.subjects.iter().any(|s| s.as_str() == subject));
            right += usize::from(hit);
            if !hit {
                let got = root.map_or_else(|| "nothing".to_owned(), |r| format!("{} {:?}", r.rule, r.subjects));
                errors.push(format!("root cause is {got}"));
            }
        } else {
            // A baseline is silent but for what is worth knowing.
            let loud =
                triage.findings.iter().filter(|f| f.severity > Severity::Info && f.category != Category::DataQuality);
            errors.extend(loud.map(|f| format!("noise: {}: {}", f.rule, f.title)));
        }
        if !expect.status.contains(&triage.status.to_string()) {
            errors.push(format!("status {}", triage.status));
        }
        if !errors.is_empty() {
            wrong.push(format!("{}: {}", incident.name, errors.join("; ")));
        }
    }
    println!("root cause right in {right} of {all}\n{}", wrong.join("\n"));
    assert!(all >= 67, "{all} incidents");
    assert!(right * 100 >= all * 95, "{right} of {all} root causes are right:\n{}", wrong.join("\n"));
    assert!(wrong.iter().all(|w| !w.contains("noise") && !w.contains("rule-failed")), "{}", wrong.join("\n"));
}

#[test]
fn evidence_of_services_stands_where_it_says() {
    let fixtures = fixtures();
    for incident in fixtures.incidents() {
        let store = fixtures.cluster(&incident.name).unwrap();
        for finding in triaged(&fixtures, &incident.name).findings {
            assert!(!finding.evidence.is_empty() || finding.category == Category::DataQuality, "{finding:?}");
            assert!(!finding.remedy.is_empty(), "{} has no remedy", finding.id);
            for evidence in &finding.evidence {
                assert!(store.get(&evidence.path).is_some(), "{}: {} does not exist", incident.name, evidence.path);
            }
        }
    }
}
