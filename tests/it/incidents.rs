//! Triage over every labelled incident: what it should say, what it says, and the table of both in `docs/triage.md`.
#![expect(clippy::print_stdout, reason = "the table is for whoever runs the tests")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use casefile::bundle::overlay::{Fixtures, Incident, MemStore};
use casefile::bundle::{DirStore, Store as _, layout};
use casefile::redact::{CorrelationKey, Redacted, Redactor};
use casefile::triage::{self, Category, Finding, Severity, Triage, manifest_of};
use serde_json::Value;

/// Set to anything, it writes the table into `docs/triage.md` where it differs.
const REGENERATE: &str = "CASEFILE_REGENERATE";
const BEGIN: &str = "<!-- incidents: begin -->\n";
const END: &str = "<!-- incidents: end -->";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn fixtures() -> Fixtures {
    Fixtures::new(Box::new(DirStore::open(&root().join("fixtures")).unwrap())).unwrap()
}

/// Where `collect` puts what an HTTP endpoint of a core answers.
fn http_artifact(pod: &str, path: &str) -> Option<String> {
    Some(match path {
        "/health" | "/live" | "/ready" | "/version" => format!("health/{pod}/http-{}.txt", &path[1..]),
        "/config" => format!("config/{pod}/running-config.json"),
        "/metrics" => format!("metrics/{pod}.prom"),
        _ => return None,
    })
}

/// Where `collect` puts the output of a command.
fn exec_artifact(pod: &str, command: &str) -> Option<String> {
    Some(match command {
        "netstat -tln" => format!("ports/{pod}/netstat.txt"),
        "cat /proc/net/tcp /proc/net/tcp6" => format!("ports/{pod}/proc-net-tcp.txt"),
        "cat /root/kms-server.toml" => format!("config/{pod}/kms-server.toml"),
        // In the client's pod, `localhost` is not the core.
        _ if command.starts_with("kms-health-check ")
            && !(pod.contains("client") && command.ends_with("localhost:50100")) =>
        {
            format!("health/{pod}/kms-health-check.txt")
        }
        _ => return None,
    })
}

/// What the pods of a KMS answer, where `collect` would put it.
fn answered(store: &mut MemStore) {
    let replay: Value = serde_json::from_slice(store.get("replay.json").unwrap()).unwrap();
    let list = |name: &str| replay[name].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let mut found: Vec<(String, Value, &str)> = Vec::new();
    for entry in list("proxy").into_iter().filter(|e| e["status"] == 200) {
        found.extend(http_artifact(&text(&entry, "pods"), &text(&entry, "path")).map(|a| (a, entry, "body")));
    }
    for entry in list("exec").into_iter().filter(|e| e["exit_code"].as_i64().unwrap_or(0) == 0) {
        let words: Vec<&str> = entry["command"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let artifact = exec_artifact(&text(&entry, "pods"), &words.join(" "));
        found.extend(artifact.map(|a| (a, entry, "stdout")));
    }
    for (artifact, entry, field) in found {
        let bytes = match entry[format!("{field}_file")].as_str() {
            Some(file) => store.get(file).unwrap().to_vec(),
            None => text(&entry, field).into_bytes(),
        };
        // An incident may bring the artifact itself.
        if store.get(&artifact).is_none() {
            store.insert(artifact, bytes);
        }
    }
}

/// Puts things where `collect` would put them: Secrets are described and not shown, what pods answer has its place.
fn collected(mut store: MemStore, redactor: &Redactor) -> MemStore {
    if store.get("replay/metrics.prom").is_some() {
        answered(&mut store);
    }
    let paths: Vec<String> = store.entries().iter().map(|e| e.path.clone()).collect();
    for path in paths {
        if !layout::parse_objects(&path).is_some_and(|(group, plural, _)| group.is_empty() && plural == "secrets") {
            continue;
        }
        let list: Value = serde_json::from_slice(store.get(&path).unwrap()).unwrap();
        let mut stream = redactor.objects(&path, "v1", "Secret");
        let mut out = Redacted::buffer();
        for object in list["items"].as_array().unwrap() {
            stream.push(&serde_json::to_vec(object).unwrap(), &mut out);
        }
        stream.finish(&mut out);
        store.insert(path, out.into_inner());
    }
    store
}

/// What triage says about one incident.
fn triaged(fixtures: &Fixtures, incident: &Incident, redactor: &Redactor) -> Triage {
    let cluster = collected(fixtures.cluster(&incident.name).unwrap(), redactor);
    let profile = if incident.expect.base.starts_with("kms") { "kms" } else { "kubernetes" };
    let (mut manifest, _) = manifest_of(&cluster, Some(profile)).unwrap();
    manifest.finished = fixtures.now(&incident.expect.base).unwrap();
    triage::run(&cluster, &manifest).unwrap()
}

fn redactor() -> Redactor {
    Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap()
}

/// Expected and actual of one incident.
struct Row {
    name: String,
    want: String,
    got: String,
    status: String,
    /// Rules that had to find something: found and all.
    recall: (usize, usize),
    /// Findings above `info`: those that were expected or follow from the root cause, and all.
    precision: (usize, usize),
    /// Whether the root cause is right: its rule and its subject.
    right: bool,
    errors: Vec<String>,
}

impl Row {
    fn of(incident: &Incident, triage: &Triage) -> Self {
        let expect = &incident.expect;
        let root = triage.root();
        let found: Vec<&str> = triage.findings.iter().map(|f| f.rule.as_str()).collect();
        let right = match (&expect.root_cause, &expect.root_subject, root) {
            (None, _, None) => true,
            (Some(rule), Some(subject), Some(root)) => {
                root.rule == *rule && root.subjects.iter().any(|s| s.as_str() == subject)
            }
            _ => false,
        };
        let mut errors = Vec::new();
        if !right {
            let subjects = root.map_or(&[][..], |r| r.subjects.as_slice());
            errors.push(format!("root cause is about {subjects:?}"));
        }
        if !expect.status.contains(&triage.status.to_string()) {
            errors.push(format!("status {}", triage.status));
        }
        let missing: Vec<&str> = expect.must.iter().map(String::as_str).filter(|rule| !found.contains(rule)).collect();
        errors.extend(missing.iter().map(|rule| format!("lacks {rule}")));
        let loud: Vec<&Finding> = (triage.findings.iter())
            .filter(|f| f.severity > Severity::Info && f.category != Category::DataQuality)
            .collect();
        let wrong = expect.must_not.iter().filter(|rule| loud.iter().any(|f| f.rule == **rule));
        errors.extend(wrong.map(|rule| format!("has {rule}")));
        if expect.root_cause.is_none() {
            errors.extend(loud.iter().map(|f| format!("noise: {}: {}", f.rule, f.title)));
        }
        let follows = |f: &Finding| root.is_some_and(|r| r.id == f.id || r.explains.contains(&f.id));
        let good = loud.iter().filter(|f| expect.must.contains(&f.rule) || right && follows(f)).count();
        if expect.root_cause.is_some() {
            let loose = loud.iter().filter(|f| !expect.must.contains(&f.rule) && !follows(f));
            errors.extend(loose.map(|f| format!("loose: {}", f.rule)));
        }
        Self {
            name: incident.name.clone(),
            want: expect.root_cause.clone().unwrap_or_else(|| "-".to_owned()),
            got: root.map_or_else(|| "-".to_owned(), |r| r.rule.clone()),
            status: triage.status.to_string(),
            recall: (expect.must.len() - missing.len(), expect.must.len()),
            precision: (good, loud.len()),
            right,
            errors,
        }
    }
}

/// A share with two digits; nothing of nothing is all.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn share((part, all): (usize, usize)) -> f64 {
    if all == 0 { 1.0 } else { part as f64 / all as f64 }
}

fn sum(rows: &[Row], of: impl Fn(&Row) -> (usize, usize)) -> (usize, usize) {
    rows.iter().map(of).fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
}

/// The table, as it stands in the documentation.
fn table(rows: &[Row]) -> String {
    let mut text =
        String::from("| incident | root cause expected | root cause found | status | precision | recall |\n");
    text.push_str("|---|---|---|---|---|---|\n");
    for row in rows {
        let code = |rule: &str| if rule == "-" { rule.to_owned() } else { format!("`{rule}`") };
        let got = if row.right { "right".to_owned() } else { code(&row.got) };
        let (precision, recall) = (share(row.precision), share(row.recall));
        writeln!(
            text,
            "| {} | {} | {got} | {} | {precision:.2} | {recall:.2} |",
            row.name,
            code(&row.want),
            row.status
        )
        .unwrap();
    }
    let right = rows.iter().filter(|r| r.right).count();
    let (precision, recall) = (share(sum(rows, |r| r.precision)), share(sum(rows, |r| r.recall)));
    let top = 100.0 * share((right, rows.len()));
    writeln!(
        text,
        "\nRoot cause right in {right} of {} incidents ({top:.1} %); precision {precision:.2}, recall {recall:.2}.",
        rows.len()
    )
    .unwrap();
    text
}

/// All incidents, on all processors: they are many, and tests are not optimised.
fn rows() -> Vec<Row> {
    let count = fixtures().incidents().len();
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let part = |from: usize| {
        let (fixtures, redactor) = (fixtures(), redactor());
        let mine = fixtures.incidents().iter().skip(from).take(count.div_ceil(workers));
        mine.map(|i| Row::of(i, &triaged(&fixtures, i, &redactor))).collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..workers).map(|n| scope.spawn(move || part(n * count.div_ceil(workers)))).collect();
        all.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

#[test]
fn triage_says_what_the_incidents_show() {
    let fixtures = fixtures();
    let rows = rows();
    let table = table(&rows);
    println!("{table}");
    let wrong: Vec<String> = (rows.iter().filter(|r| !r.errors.is_empty()))
        .map(|r| format!("{}: want {}, got {}: {}", r.name, r.want, r.got, r.errors.join("; ")))
        .collect();
    println!("{}", wrong.join("\n"));

    let kubernetes = fixtures.incidents().iter().filter(|i| i.dir.starts_with("incidents/kubernetes/")).count();
    assert!(kubernetes >= 40, "{kubernetes} incidents of Kubernetes");
    let right = rows.iter().filter(|r| r.right).count();
    assert!(right * 100 >= rows.len() * 95, "{right} of {} root causes are right:\n{}", rows.len(), wrong.join("\n"));
    for row in rows.iter().filter(|r| r.want == "-") {
        assert!(row.errors.is_empty(), "{}: {}", row.name, row.errors.join("; "));
    }
    assert!(share(sum(&rows, |r| r.recall)) >= 0.95, "{}", wrong.join("\n"));
    assert!(share(sum(&rows, |r| r.precision)) >= 0.95, "{}", wrong.join("\n"));

    let path = root().join("docs/triage.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let start = page.find(BEGIN).expect("docs/triage.md has a place for the table") + BEGIN.len();
    let end = start + page[start..].find(END).expect("the place ends");
    if page[start..end] != table {
        assert!(std::env::var_os(REGENERATE).is_some(), "docs/triage.md is out of date: run with {REGENERATE}=1");
        std::fs::write(&path, format!("{}{table}{}", &page[..start], &page[end..])).unwrap();
    }
}

#[test]
fn less_is_sure_without_the_log() {
    let (fixtures, redactor) = (fixtures(), redactor());
    let confidence = |name: &str| {
        let triage = triaged(&fixtures, fixtures.find(name).unwrap(), &redactor);
        let root = triage.root().unwrap();
        assert_eq!(root.rule, "container-crash", "{name}");
        root.confidence
    };
    assert!(confidence("forbidden-logs") < confidence("crash-config") - 0.1);
}

/// Every labelled state of the recorded networks is played again by something, and a healthy one by something that is silent.
#[test]
fn every_recorded_state_is_an_incident_or_a_healthy_log() {
    let text = std::fs::read_to_string(root().join("fixtures/recorded.toml")).unwrap();
    let table: toml::Value = toml::from_str(&text).unwrap();
    let states = table["state"].as_array().unwrap();
    let fixtures = fixtures();
    let mut labels = std::collections::BTreeSet::new();
    for state in states {
        let text = |key: &str| state.get(key).and_then(toml::Value::as_str);
        let label = text("label").unwrap();
        assert!(labels.insert(label) && !text("cause").unwrap().is_empty(), "{label}");
        let healthy = state.get("healthy").and_then(toml::Value::as_bool).unwrap_or_default();
        match (text("incident"), text("log")) {
            (Some(name), None) => {
                let incident = fixtures.find(name).unwrap_or_else(|e| panic!("{label}: {name}: {e}"));
                assert!(incident.dir.starts_with("incidents/kms/"), "{label}: {}", incident.dir);
                assert!(!healthy || incident.expect.root_cause.is_none(), "{label} is healthy, and {name} is not");
            }
            (None, Some(name)) => {
                assert!(healthy && root().join("fixtures/logs/kms/healthy").join(name).is_file(), "{label}: {name}");
            }
            _ => panic!("{label} needs either incident or log"),
        }
    }
    assert!(labels.len() >= 77, "{}", labels.len());
}
