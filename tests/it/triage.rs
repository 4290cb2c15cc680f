//! Triage over recorded clusters, over every incident, and over bundles that want to do harm.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use casefile::bundle::overlay::{Fixtures, MemStore};
use casefile::bundle::{DirStore, Store};
use casefile::model::time::Timestamp;
use casefile::model::{ClockOffset, ItemId, LedgerEntry, Manifest, Outcome, RunStatus, SCHEMA_VERSION, Tool};
use casefile::report::{self, View};
use casefile::triage::{self, Finding, Severity, Status, Triage};

fn fixtures() -> Fixtures {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    Fixtures::new(Box::new(DirStore::open(&root).unwrap())).unwrap()
}

fn manifest(profile: &str, now: Timestamp) -> Manifest {
    Manifest {
        schema_version: SCHEMA_VERSION,
        tool: Tool::this(),
        status: RunStatus::Finished,
        profile: profile.to_owned(),
        parameters: BTreeMap::new(),
        namespaces: vec!["kms-decentralized".to_owned()],
        case: None,
        started: now,
        finished: now,
        clocks: Vec::new(),
        notes: BTreeMap::new(),
        ledger: vec![entry("objects/kms-decentralized/pods", Outcome::Ok)],
        files: Vec::new(),
    }
}

fn entry(item: &str, outcome: Outcome) -> LedgerEntry {
    LedgerEntry {
        item: ItemId::new(item),
        collector: "test".to_owned(),
        outcome,
        reason: (!outcome.is_complete()).then(|| "a reason".to_owned()),
        started: None,
        duration_ms: 1,
        attempts: 1,
        bytes: 1,
        artifacts: Vec::new(),
    }
}

fn now() -> Timestamp {
    "2026-11-21T06:32:42Z".parse().unwrap()
}

fn base(name: &str) -> MemStore {
    fixtures().base(name).unwrap()
}

fn run(store: &dyn Store) -> (Triage, Manifest) {
    let manifest = manifest("kms", now());
    (triage::run(store, &manifest).unwrap(), manifest)
}

/// Puts what the core's health check answers where the collector puts it.
fn collected(mut store: MemStore) -> MemStore {
    let answer = store.get("replay/kms-health-check-live.txt").map(<[u8]>::to_vec);
    if let Some(answer) = answer {
        store.insert("health/kms-decentralized/kms-party-3-client-0/kms-health-check.txt", answer);
    }
    store
}

fn rules(triage: &Triage) -> Vec<&str> {
    triage.findings.iter().map(|f| f.rule.as_str()).collect()
}

#[test]
fn every_fault_of_the_recorded_cluster_is_found() {
    let (triage, _) = run(&base("recorded"));
    assert_eq!(triage.status, Status::Unhealthy);
    for (rule, subject) in [
        ("storage-class-missing", "persistentvolumeclaim/kms-decentralized/keys-kms-party-3-core-3"),
        ("pod-unschedulable", "pod/kms-decentralized/kms-unschedulable"),
        ("pod-unschedulable", "pod/kms-decentralized/kms-unbound"),
        ("container-oom-killed", "pod/kms-decentralized/kms-oom"),
        ("image-pull-dns", "pod/kms-decentralized/kms-badimage"),
        ("liveness-probe-kill", "pod/kms-decentralized/kms-badprobe"),
        ("container-crash", "pod/kms-decentralized/kms-connector-78d8f97d9c-2wwnv"),
        ("container-crash", "pod/kms-decentralized/kms-party-3-threshold-init-4lr6r"),
        ("container-crash", "pod/kms-decentralized/kms-party-3-threshold-init-zb2tk"),
        ("job-failed", "job/kms-decentralized/kms-party-3-threshold-init"),
        ("workload-unavailable", "deployment/kms-decentralized/kms-connector"),
    ] {
        assert!(
            triage.findings.iter().any(|f| f.rule == rule && f.subjects.iter().any(|s| s.as_str() == subject)),
            "{rule} of {subject} is not found in {:?}",
            triage.findings.iter().map(|f| &f.id).collect::<Vec<_>>()
        );
    }
    let explains = |rule: &str, effect: &str| {
        triage.findings.iter().any(|f| f.rule == rule && f.explains.iter().any(|e| e.starts_with(effect)))
    };
    assert!(explains("storage-class-missing", "pod-unschedulable:pod/kms-decentralized/kms-unbound"));
    assert!(!explains("storage-class-missing", "pod-unschedulable:pod/kms-decentralized/kms-unschedulable"));
    assert!(explains("container-crash", "job-failed"));
    assert!(explains("container-crash", "workload-unavailable"));
    let crash = triage.findings.iter().find(|f| f.title.contains("PoolTimedOut")).unwrap();
    assert!(crash.evidence.iter().any(|e| e.excerpt.contains("PoolTimedOut")), "{crash:?}");
}

#[test]
fn evidence_stands_where_it_says() {
    let fixtures = fixtures();
    for incident in fixtures.incidents() {
        let store = collected(fixtures.cluster(&incident.name).unwrap());
        let (triage, _) = run(&store);
        for finding in &triage.findings {
            assert!(!finding.evidence.is_empty() || finding.category == triage::Category::DataQuality, "{finding:?}");
            assert!(finding.severity == Severity::Info || !finding.remedy.is_empty(), "{} has no remedy", finding.id);
            for evidence in &finding.evidence {
                let bytes = store.read(&evidence.path, 64 << 20).unwrap();
                match &evidence.place {
                    triage::Place::Line(line) => {
                        let index = usize::try_from(*line).unwrap() - 1;
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        let text = text.lines().nth(index).unwrap_or_else(|| panic!("{evidence:?}")).to_owned();
                        let head: String = evidence.excerpt.chars().take(20).collect();
                        let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
                        let is_log = Path::new(&evidence.path).extension().is_some_and(|e| e == "log");
                        // An error of several lines is one piece of evidence that begins at its first.
                        let block = !squeezed.is_empty() && evidence.excerpt.starts_with(&squeezed);
                        assert!(!is_log || block || squeezed.contains(head.trim()), "{evidence:?}: {text}");
                    }
                    triage::Place::Pointer(pointer) => {
                        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
                        assert!(value.pointer(pointer).is_some(), "{} {pointer}", evidence.path);
                    }
                }
            }
        }
    }
}

#[test]
fn the_same_bundle_gives_the_same_bytes() {
    let store = base("recorded");
    let (first, manifest) = run(&store);
    let (second, _) = run(&store);
    assert_eq!(report::json(&first), report::json(&second));
    let (a, b) = (View::new(&first, &manifest, None), View::new(&second, &manifest, None));
    assert_eq!(report::html(&a).unwrap(), report::html(&b).unwrap());
    assert_eq!(report::markdown(&a), report::markdown(&b));
    // And it survives being written and read.
    let read: Triage = serde_json::from_str(&report::json(&first)).unwrap();
    assert_eq!(read, first);
}

#[test]
fn what_was_not_seen_is_never_healthy() {
    let empty = MemStore::new();
    let mut manifest = manifest("kubernetes", now());
    manifest.ledger = vec![entry("objects/kms/pods", Outcome::Forbidden), entry("objects/kms/services", Outcome::Ok)];
    let triage = triage::run(&empty, &manifest).unwrap();
    assert_eq!(triage.status, Status::Unknown);
    assert!(rules(&triage).contains(&"lost-visibility"));
    assert_eq!(triage.root_cause, None, "lost visibility is no cause of trouble");
    assert_eq!(triage.coverage.seen, 1);
    assert_eq!(triage.coverage.missing, ["objects/kms/pods: forbidden: a reason"]);

    manifest.ledger.clear();
    assert_eq!(triage::run(&empty, &manifest).unwrap().status, Status::Unknown);

    // The same trouble is less certain when half was not seen.
    let store = base("recorded");
    let sure = run(&store).0.root().unwrap().confidence;
    manifest.profile = "kms".to_owned();
    manifest.ledger = vec![entry("logs/a/b/c", Outcome::TimedOut), entry("objects/kms/services", Outcome::Ok)];
    let unsure = triage::run(&store, &manifest).unwrap();
    assert!(unsure.root().unwrap().confidence < sure);
    assert!(unsure.root().unwrap().because.iter().any(|b| b.contains("only 1 of 2 planned items")));
}

/// A bundle of another tool: pods that run, and what else stands in `more`.
fn foreign(more: &[(&str, &str)]) -> Triage {
    let pod = r#"{"metadata":{"name":"a","namespace":"n"},"spec":{"nodeName":"w","containers":[{"name":"c"}]},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[{"name":"c","ready":true,"restartCount":0,"state":{"running":{}}}]}}"#;
    let mut store = MemStore::new();
    for (path, text) in more {
        store.insert(*path, text.replace("POD", pod).into_bytes());
    }
    let (manifest, made_up) = triage::manifest_of(&store, None).unwrap();
    assert!(made_up);
    triage::run(&store, &manifest).unwrap()
}

#[test]
fn absence_of_data_is_never_health() {
    const PODS: (&str, &str) = ("cluster-resources/pods/n.json", "{\"items\":[\nPOD\n]}");
    const EVENTS: (&str, &str) = ("cluster-resources/events/n.json", "{\"items\":[]}");
    const LOG: (&str, &str) = ("cluster-resources/pods/logs/n/a/c.log", "2026-11-21T06:00:00Z INFO ready\n");
    for (what, bundle, want) in [
        ("nothing", &[][..], Status::Unknown),
        ("pods without logs and events", &[PODS], Status::Unknown),
        (
            "a list of pods that holds none",
            &[("cluster-resources/pods/n.json", "{\"items\":[]}"), EVENTS],
            Status::Unknown,
        ),
        ("events without pods", &[EVENTS, LOG], Status::Unknown),
        ("an empty log", &[PODS, ("cluster-resources/pods/logs/n/a/c.log", "")], Status::Unknown),
        ("pods and events", &[PODS, EVENTS], Status::Healthy),
        ("pods and logs", &[PODS, LOG], Status::Healthy),
        (
            "a list of pods that is cut off",
            &[("cluster-resources/pods/n.json", "{\"items\":[\nPOD,\n{\"meta"), EVENTS],
            Status::Unknown,
        ),
        ("a list of pods that is no list", &[("cluster-resources/pods/n.json", "<html>"), EVENTS], Status::Unknown),
    ] {
        let triage = foreign(bundle);
        assert_eq!(triage.status, want, "{what}: {:?}", rules(&triage));
        let text = report::markdown(&View::new(&triage, &manifest("kubernetes", now()), None));
        assert!(text.contains("no ledger"), "{what} says that nobody knows what is missing: {text}");
    }
    // With a ledger that lists everything as read it may be optimal, and not when logs and events were not asked for.
    let mut store = MemStore::new();
    store.insert(
        PODS.0,
        PODS.1
            .replace("POD", r#"{"metadata":{"name":"a","namespace":"n"},"status":{"phase":"Succeeded"}}"#)
            .into_bytes(),
    );
    let mut manifest = manifest("kubernetes", now());
    manifest.ledger = vec![entry("objects/n/pods", Outcome::Ok)];
    assert_eq!(triage::run(&store, &manifest).unwrap().status, Status::Unknown);
    store.insert(EVENTS.0, EVENTS.1.as_bytes());
    manifest.ledger.push(entry("objects/n/events", Outcome::Ok));
    assert_eq!(triage::run(&store, &manifest).unwrap().status, Status::Optimal);
}

#[test]
fn alerts_of_prometheus_are_facts_and_moments() {
    let mut store = base("recorded");
    let alert = r#"{"status":"success","data":{"alerts":[
        {"labels":{"alertname":"Watchdog","severity":"none"},"state":"firing","activeAt":"2026-11-01T00:00:00Z"},
        {"labels":{"alertname":"HighErrorRate","severity":"critical"},"annotations":{"summary":"5 % of <b>requests</b> fail"},"state":"firing","activeAt":"2026-11-21T06:20:00Z"},
        {"labels":{"alertname":"Slow","severity":"warning"},"state":"pending","activeAt":"2026-11-21T06:25:00Z"}]}}"#;
    store.insert("services/prometheus-main/alerts.json", alert.as_bytes());
    store.insert(
        "services/prometheus-other/alerts.json",
        &br#"{"status":"error","errorType":"unavailable","error":"not ready"}"#[..],
    );
    let (triage, _) = run(&store);
    let found: Vec<&Finding> = triage.findings.iter().filter(|f| f.rule == "alert-firing").collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].title.contains("HighErrorRate") && found[0].severity == Severity::Warning);
    assert_eq!(found[0].evidence[0].path, "services/prometheus-main/alerts.json");
    let moments: Vec<&str> =
        triage.timeline.iter().map(|m| m.what.as_str()).filter(|w| w.starts_with("alert ")).collect();
    assert_eq!(
        moments,
        [
            "alert Watchdog (none) fires",
            "alert HighErrorRate (critical) fires: 5 % of <b>requests</b> fail",
            "alert Slow (warning) is pending",
        ]
    );
    let unread = triage.findings.iter().find(|f| f.rule == "undecodable-data").unwrap();
    assert!(unread.evidence.iter().any(|e| e.excerpt.contains("not ready")), "an error is no empty list: {unread:#?}");
}

#[test]
fn what_the_ledger_names_and_the_bundle_lacks_was_not_seen() {
    let mut store = MemStore::new();
    store.insert("cluster-resources/events/n.json", &b"{\"items\":[]}"[..]);
    let mut manifest = manifest("kubernetes", now());
    manifest.ledger = vec![entry("objects/n/pods", Outcome::Ok), entry("objects/n/events", Outcome::Ok)];
    manifest.ledger[0].artifacts = vec!["cluster-resources/pods/n.json".to_owned()];
    manifest.ledger[1].artifacts = vec!["cluster-resources/events/n.json".to_owned()];
    let triage = triage::run(&store, &manifest).unwrap();
    assert_eq!((triage.status, triage.coverage.seen), (Status::Unknown, 1));
    assert_eq!(
        triage.coverage.missing,
        ["objects/n/pods: cluster-resources/pods/n.json is not in the bundle any more"]
    );
    let lost = triage.findings.iter().find(|f| f.rule == "undecodable-data").unwrap();
    assert!(lost.evidence[0].excerpt.contains("missing from the bundle: 1 file that the ledger names"), "{lost:#?}");
}

#[test]
fn a_bundle_that_was_cut_off_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("b.tar.gz");
    let (code, _, stderr) = casefile(&["demo", "crash-loop", "-q", "-o", bundle.to_str().unwrap()]);
    assert_eq!(code, 0, "{stderr}");
    let bytes = std::fs::read(&bundle).unwrap();
    std::fs::write(&bundle, &bytes[..bytes.len() * 7 / 10]).unwrap();
    let (code, stdout, stderr) = casefile(&["triage", bundle.to_str().unwrap()]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("b.tar.gz: "), "the archive's own problems are told: {stderr}");
    assert!(
        stdout.contains("parts of the bundle cannot be read") || stdout.contains("1 part of the bundle cannot be read"),
        "{stdout}"
    );
    assert!(stdout.contains("planned items could be read, so something worse may be hidden"), "{stdout}");
}

#[test]
fn clocks_are_corrected() {
    let store = base("recorded");
    let mut manifest = manifest("kms", now());
    let plain = triage::run(&store, &manifest).unwrap();
    manifest.clocks = vec![ClockOffset { source: "kube-apiserver".to_owned(), offset_ms: 90_000, uncertainty_ms: 500 }];
    let skewed = triage::run(&store, &manifest).unwrap();
    assert!(rules(&skewed).contains(&"clock-skew"));
    let last = |t: &Triage| t.timeline.last().unwrap().at;
    assert_eq!((last(&plain) - last(&skewed)).num_seconds(), 90);
}

#[test]
fn damage_costs_only_what_is_damaged() {
    let mut store = base("recorded");
    let pods = "cluster-resources/pods/kms-decentralized.json";
    let list: serde_json::Value = serde_json::from_slice(store.get(pods).unwrap()).unwrap();
    // One object a line, as bundles have them; the first is broken, the last cut off.
    let mut lines: Vec<String> = list["items"].as_array().unwrap().iter().map(ToString::to_string).collect();
    lines[0] = lines[0].replacen(':', ";", 1);
    let text = format!("{{\"kind\":\"PodList\",\"items\":[\n{}", lines.join(",\n"));
    store.insert(pods, text.as_bytes()[..text.len() - 40].to_vec());
    store.insert("cluster-resources/events/kms-decentralized.json", b"\xff\xfe\0 not json {[".to_vec());
    store.insert("usage/nodes/real-0/stats-summary.json", b"{".to_vec());
    let (triage, _) = run(&store);
    let found = rules(&triage);
    assert!(found.contains(&"undecodable-data"), "{found:?}");
    assert!(found.contains(&"container-oom-killed") && found.contains(&"container-crash"), "{found:?}");
    let damage = triage.findings.iter().find(|f| f.rule == "undecodable-data").unwrap();
    assert!(damage.evidence.iter().any(|e| e.path == pods && e.place == triage::Place::Line(2)), "{damage:?}");
    let oom = triage.findings.iter().find(|f| f.rule == "container-oom-killed").unwrap();
    assert_eq!(oom.evidence[0].place, triage::Place::Line(5));
}

#[test]
fn markdown_fits_a_ticket() {
    let fixtures = fixtures();
    let stores = fixtures.incidents().iter().map(|i| (i.name.clone(), fixtures.cluster(&i.name).unwrap()));
    for (name, store) in stores.chain([("recorded".to_owned(), base("recorded"))]) {
        let (triage, mut manifest) = run(&store);
        manifest.ledger = (0..300).map(|i| entry(&format!("logs/a/b/{i}"), Outcome::Failed)).collect();
        let text = report::markdown(&View::new(&triage, &manifest, None));
        assert!(text.lines().count() <= 80, "{name}: {} lines\n{text}", text.lines().count());
        if let Some(root) = triage.root() {
            let first_screen: Vec<&str> = text.lines().take(25).collect();
            assert!(first_screen.iter().any(|l| l.contains("Do now")), "{name}\n{text}");
            assert!(text.contains(&root.evidence[0].path), "{name}");
        }
    }
}

/// A pod whose log, names and messages try to break out of every format.
fn hostile() -> MemStore {
    let mut store = MemStore::new();
    let evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>`\u{1b}[2J\u{202e}]]>{{ 7*7 }}{% raw %}";
    let pod = serde_json::json!({
        "metadata": {"name": "p\"><script>", "namespace": "n", "creationTimestamp": "2026-11-21T06:00:00Z"},
        "spec": {"containers": [{"name": "c", "image": evil}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": 9, "ready": false,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": evil}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-11-21T06:30:00Z"}}}]}
    });
    store.insert("cluster-resources/pods/n.json", format!("{{\"items\":[\n{pod}\n]}}").into_bytes());
    store.insert(
        "cluster-resources/pods/logs/n/p\"><script>/c-previous.log",
        format!("ok\nError: {evil}\n").into_bytes(),
    );
    store
}

#[test]
fn a_hostile_log_stays_text() {
    let (triage, manifest) = run(&hostile());
    assert!(triage.root().unwrap().title.contains("alert(1)"), "the test must carry the payload");
    let view = View::new(&triage, &manifest, None);
    let html = report::html(&view).unwrap();
    // The one script is ours.
    assert_eq!(html.matches("<script>").count(), 1);
    assert_eq!(html.matches("</script>").count(), 1);
    assert!(!html.contains("<img") && html.contains("&lt;script&gt;alert(1)"));
    assert!(html.contains("{{ 7*7 }}"), "templates in data are not run");
    assert!(!html.contains('\u{1b}') && !html.contains('\u{202e}'));
    let markdown = report::markdown(&view);
    assert!(!markdown.replace('`', "").contains('\u{1b}'));
    for line in markdown.lines().filter(|l| !l.contains('`')) {
        assert!(!line.contains("<script"), "{line}");
    }
    let terminal = report::terminal(&view, false, 80);
    assert!(!terminal.contains('\u{1b}'), "no escape sequence reaches the terminal");
}

#[test]
fn charts_and_matrices_are_drawn_and_escaped() {
    let evil = "<script>x</script>\"'&";
    let store = collected(fixtures().cluster("peers-down").unwrap());
    let (mut triage, manifest) = run(&store);
    assert_eq!(triage.peers.len(), 1);
    assert_eq!(triage.peers[0].reaches, Some((11, 5)));
    assert!(triage.peers[0].peers.iter().any(|p| !p.reachable && p.error == "transport error"));
    assert!(triage.nodes.iter().all(|n| n.ready && n.memory.used.is_some() && n.memory.limit.is_some()));
    let core = triage.pods.iter().find(|p| p.name == "kms-party-3-core-3").unwrap();
    assert!(core.parts.iter().any(|c| c.name == "kms-core" && c.state == "running"), "{core:?}");
    let html = report::html(&View::new(&triage, &manifest, None)).unwrap();
    assert!(html.contains("id=\"peers\"") && html.contains("id=\"resources\"") && html.contains("class=\"ask\""));
    assert!(
        html.contains("<td>transport error</td>") && !html.contains("class=\"matrix\""),
        "one observer gives a list"
    );

    // Two observers give a matrix; what a name holds stays text.
    let mut second = triage.peers[0].clone();
    second.observer = evil.to_owned();
    for peer in &mut second.peers {
        peer.endpoint = evil.to_owned();
        peer.error = evil.to_owned();
    }
    triage.peers.push(second);
    triage.nodes[0].name = evil.to_owned();
    for pod in &mut triage.pods {
        pod.name = evil.to_owned();
        pod.parts[0].name = evil.to_owned();
        pod.parts[0].state = evil.to_owned();
    }
    let html = report::html(&View::new(&triage, &manifest, None)).unwrap();
    assert!(html.contains("class=\"matrix\"") && html.contains("&lt;script&gt;x"));
    assert_eq!(html.matches("<script>").count(), 1, "the one script is ours");
    assert!(html.contains("party 3 does not reach 7"), "who does not reach whom is told in words, too");
}

#[test]
fn the_page_loads_nothing() {
    let (triage, manifest) = run(&base("recorded"));
    let html = report::html(&View::new(&triage, &manifest, None)).unwrap();
    assert!(
        html.contains("http-equiv=\"Content-Security-Policy\" content=\"default-src &#x27;none&#x27;;"),
        "{}",
        &html[..600]
    );
    assert!(!html.contains("unsafe-inline") && !html.contains("style=\"") && !html.contains(" onclick="));
    for attribute in ["src=", "href=\"http", "url(", "@import", "<link", "<iframe", "<object", "<base"] {
        assert!(!html.contains(attribute), "{attribute}");
    }
    assert!(html.len() < 300_000, "{} bytes", html.len());
}

#[test]
fn colours_come_only_when_asked_for() {
    let (triage, manifest) = run(&base("recorded"));
    let view = View::new(&triage, &manifest, None);
    assert!(!report::terminal(&view, false, 100).contains('\u{1b}'));
    assert!(report::terminal(&view, true, 100).contains("\u{1b}[1;31mUNHEALTHY"));
    for line in report::terminal(&view, false, 100).lines() {
        assert!(line.chars().count() <= 130, "{line}");
    }
}

fn casefile(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_casefile"))
        .args(args)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"))
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_reads_bundles_of_other_tools() {
    let (code, stdout, stderr) = casefile(&["triage", "clusters/recorded"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("UNHEALTHY"), "{stdout}");
    assert!(stderr.contains("has no manifest.json"), "{stderr}");
    let (code, stdout, _) = casefile(&["triage", "--format", "json", "--fail-on", "critical", "clusters/recorded"]);
    assert_eq!(code, 4);
    let triage: Triage = serde_json::from_str(&stdout).unwrap();
    assert_eq!(triage.status, Status::Unhealthy);
    let (code, stdout, _) = casefile(&["triage", "--fail-on", "warning", "clusters/kms"]);
    assert_eq!(code, 0, "{stdout}");
    let (_, stdout, _) = casefile(&["triage", "clusters/kms", "clusters/recorded", "--format", "markdown"]);
    assert!(stdout.starts_with("==> clusters/kms <==\n# kms: ") && stdout.contains("==> clusters/recorded <==\n"));
}

#[test]
fn bad_input_is_told_apart() {
    let (code, _, stderr) = casefile(&["triage", "no/such/bundle"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("no/such/bundle"), "{stderr}");
    let (code, _, stderr) = casefile(&["triage", "--profile", "nope", "clusters/kms"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("there is no profile `nope`"), "{stderr}");
    let (code, _, stderr) = casefile(&["triage"]);
    assert_eq!((code, stderr.contains("<BUNDLE>")), (2, true));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    std::fs::write(dir.path().join("manifest.json"), "{\"schema_version\": 99}").unwrap();
    let (code, _, stderr) = casefile(&["triage", path]);
    assert!(code == 1 && stderr.contains("format version 99"), "{stderr}");
    std::fs::write(dir.path().join("manifest.json"), "{\"schema_version\": 1").unwrap();
    let (code, _, stderr) = casefile(&["triage", path]);
    assert!(code == 0 && stderr.contains("manifest.json cannot be decoded: EOF"), "{stderr}");
    std::fs::write(dir.path().join("manifest.json"), [0xff, 0xfe]).unwrap();
    assert_eq!(casefile(&["triage", path]).0, 0, "what else there is can still be read");
    let empty = tempfile::tempdir().unwrap();
    let (code, _, stderr) = casefile(&["triage", empty.path().to_str().unwrap()]);
    assert!(code == 1 && stderr.contains("holds no files (is it the right directory?)"), "{stderr}");

    let target = dir.path().join("r.html");
    let target = target.to_str().unwrap();
    assert_eq!(casefile(&["triage", "clusters/kms", "--html", target]).0, 0);
    let (code, _, stderr) = casefile(&["triage", "clusters/kms", "--html", target]);
    assert!(code == 1 && stderr.contains("--force"), "{stderr}");
    assert_eq!(casefile(&["triage", "clusters/kms", "--html", target, "--force"]).0, 0);
}

/// A cluster of `n` pods of which every fourth crashes in the same way.
fn large(n: usize) -> MemStore {
    let mut pods = String::from("{\"kind\":\"PodList\",\"items\":[\n");
    let mut events = String::from("{\"kind\":\"EventList\",\"items\":[\n");
    let mut store = MemStore::new();
    for i in 0..n {
        let state = if i % 4 == 0 {
            serde_json::json!({"waiting": {"reason": "CrashLoopBackOff"}})
        } else {
            serde_json::json!({"running": {"startedAt": "2026-11-21T06:00:00Z"}})
        };
        let ready = i % 4 != 0;
        let pod = serde_json::json!({
            "metadata": {"name": format!("p-{i}"), "namespace": "n", "labels": {"app": format!("a{}", i % 50)},
                "ownerReferences": [{"kind": "StatefulSet", "name": format!("s{}", i % 50), "controller": true}]},
            "spec": {"nodeName": format!("node-{}", i % 100), "containers": [{"name": "c", "image": "i:1"}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if ready {"True"} else {"False"}}],
                "containerStatuses": [{"name": "c", "ready": ready, "restartCount": 4 * i64::from(!ready), "state": state,
                    "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-11-21T06:20:00Z"}}}]}
        });
        let event = serde_json::json!({"involvedObject": {"kind": "Pod", "namespace": "n", "name": format!("p-{i}")},
            "reason": "BackOff", "message": "Back-off restarting", "type": "Warning", "count": 3,
            "firstTimestamp": "2026-11-21T06:10:00Z", "lastTimestamp": "2026-11-21T06:30:00Z"});
        let comma = if i + 1 < n { "," } else { "" };
        pods.push_str(&format!("{pod}{comma}\n"));
        events.push_str(&format!("{event}{comma}\n"));
        if !ready {
            let log = format!("starting {i}\nError: cannot open shard {i}: broken header\n");
            store.insert(format!("cluster-resources/pods/logs/n/p-{i}/c-previous.log"), log.into_bytes());
        }
    }
    store.insert("cluster-resources/pods/n.json", format!("{pods}]}}\n").into_bytes());
    store.insert("cluster-resources/events/n.json", format!("{events}]}}\n").into_bytes());
    store
}

#[test]
fn many_pods_with_one_cause_are_one_finding() {
    let store = large(8_000);
    let manifest = manifest("kubernetes", now());
    let triage = triage::run(&store, &manifest).unwrap();
    let html = report::html(&View::new(&triage, &manifest, None)).unwrap().len();
    let crashes: Vec<_> = triage.findings.iter().filter(|f| f.rule == "container-crash").collect();
    assert_eq!(crashes.len(), 1, "{:?}", crashes.iter().map(|c| &c.title).collect::<Vec<_>>());
    assert_eq!(crashes[0].subjects.len(), 2_000);
    assert!(crashes[0].title.starts_with("2000 pods (p-0, p-100"), "{}", crashes[0].title);
    assert!(html < 5 << 20, "{html} bytes");
}

/// The browser that renders the report in tests.
fn chromium() -> &'static str {
    ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
        .into_iter()
        .find(|p| Path::new(p).exists())
        .expect("Chromium must be installed for this test")
}

#[test]
#[ignore = "needs Chromium"]
fn chromium_shows_the_report() {
    let browser = chromium();
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("report.html");
    let fixtures = fixtures();
    let store = collected(fixtures.cluster("crash-loop").unwrap());
    let (mut triage, mut manifest) = run(&store);
    if triage.peers.is_empty() {
        triage.peers = run(&collected(fixtures.cluster("peers-down").unwrap())).0.peers;
    }
    manifest.ledger.push(entry("logs/kms-decentralized/a/b", Outcome::Forbidden));
    std::fs::write(&page, report::html(&View::new(&triage, &manifest, None)).unwrap()).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let shot = |name: &str, size: &str, more: &[&str]| {
        let png = target.join(name);
        let output = Command::new(browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--hide-scrollbars",
            ])
            .args(more)
            .arg(format!("--user-data-dir={}", dir.path().join(name).display()))
            .arg(format!("--screenshot={}", png.display()))
            .arg(format!("--window-size={size}"))
            .arg(format!("file://{}", page.display()))
            .output()
            .unwrap();
        let bytes = std::fs::read(&png).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 30_000, "{name}: {} bytes", bytes.len());
    };
    shot("report-wide.png", "1200,2200", &[]);
    shot("report-phone.png", "390,2200", &[]);
    shot("report-dark.png", "1200,2200", &["--blink-settings=preferredColorScheme=0"]);
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", dir.path().join("dom").display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    // The script has run under the policy: it makes the heads of tables into buttons.
    assert!(dom.contains("id=\"peers\"") && dom.contains("id=\"resources\""));
    let pdf = target.join("report.pdf");
    Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-pdf-header-footer"])
        .arg(format!("--user-data-dir={}", dir.path().join("pdf").display()))
        .arg(format!("--print-to-pdf={}", pdf.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    assert!(std::fs::read(&pdf).unwrap().starts_with(b"%PDF"));
    assert!(dom.contains("<button>Pod</button>") && dom.contains("<button>Outcome</button>"), "{dom}");
}
