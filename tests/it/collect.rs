//! `casefile collect` as a person runs it, against an embedded cluster of recorded answers.

use std::collections::BTreeMap;

use casefile::model::RunStatus;
use casefile::serve::{Denial, Fault, FaultKind};
use rustix::process::Signal;

use crate::support::cli::{Bundle, Casefile, Ran};
use crate::support::cluster::{Cluster, planted};

const NS: &str = "kms-decentralized";

fn collect(cluster: &Cluster, args: &[&str]) -> Casefile {
    let casefile = Casefile::new(&["collect"]).args(args);
    if args.contains(&"--profile") {
        return casefile.env("KUBECONFIG", cluster.kubeconfig());
    }
    // The profile that is found is that of a KMS.
    casefile.over_kms(cluster)
}

fn outcomes(ran: &Ran) -> BTreeMap<String, String> {
    ran.bundle().manifest.ledger.iter().map(|e| (e.item.to_string(), e.outcome.to_string())).collect()
}

#[test]
fn without_flags_it_finds_profile_and_namespace_and_collects_everything() {
    let cluster = Cluster::recorded();
    let ran = Casefile::new(&["collect"]).env("KUBECONFIG", cluster.kubeconfig()).run();
    let bundle = ran.bundle();
    assert_eq!(bundle.manifest.profile, "kms");
    assert_eq!(bundle.manifest.namespaces, [NS]);
    assert_eq!(bundle.manifest.status, RunStatus::Finished);
    let name = ran.archive().file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.starts_with("kms-diagnostics-20") && name.ends_with(".tar.gz"), "{name}");
    for path in [
        "SUMMARY.md",
        "triage.json",
        "timeline.json",
        "report.html",
        "redaction.json",
        "collector.log",
        "cluster-info/cluster_version.json",
        "cluster-resources/groups.json",
        "cluster-resources/pods/kms-decentralized.json",
        "cluster-resources/events/kms-decentralized.json",
        "cluster-resources/secrets/kms-decentralized.json",
        "cluster-resources/nodes.json",
        "tables/kms-decentralized/pods.txt",
        "usage/pods/kms-decentralized.json",
        "cluster-resources/pods/logs/kms-decentralized/kms-party-3-core-0/kms-core.log",
        "cluster-resources/pods/logs/kms-decentralized/kms-party-3-core-0/kms-core-init-load-env.log",
        "cluster-resources/pods/logs/kms-decentralized/kms-connector-78d8f97d9c-2wwnv/connector.log",
        "metrics/kms-decentralized/kms-party-3-core-0.prom",
        "ports/kms-decentralized/kms-party-3-core-0/netstat.txt",
    ] {
        assert!(bundle.store.contains(path), "{path} is not in the bundle");
    }
    // The API server's clock was compared with ours.
    assert_eq!(bundle.manifest.clocks[0].source, "kube-apiserver");
    // The summary is what the terminal shows as well.
    assert!(ran.stdout().contains("casefile show"), "{}", ran.stdout());
}

#[test]
fn no_planted_secret_leaves() {
    let cluster = Cluster::recorded();
    let ran = collect(&cluster, &["-v"]).run();
    let mut everything = ran.bundle().everything();
    everything.extend_from_slice(ran.stdout().as_bytes());
    everything.extend_from_slice(ran.stderr().as_bytes());
    let secrets: Vec<String> = planted().into_iter().chain(["PLANTED".to_owned(), "pl4nt".to_owned()]).collect();
    for secret in secrets {
        for shape in [secret.clone(), base64(&secret)] {
            let found = memchr::memmem::find(&everything, shape.as_bytes());
            let around = found.map(|at| {
                String::from_utf8_lossy(&everything[at.saturating_sub(200)..(at + 60).min(everything.len())])
                    .into_owned()
            });
            assert_eq!(around, None, "{secret} is in the bundle");
        }
    }
    let report = ran.bundle().text("redaction.json");
    assert!(report.contains("cluster-resources/pods/logs"), "{report}");
}

/// Base64 without the last characters, which depend on what follows.
fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(&text.as_bytes()[..text.len() / 3 * 3])
}

#[test]
fn what_is_forbidden_costs_only_itself_and_is_named() {
    let cluster = Cluster::recorded_with(|b| {
        b.deny([
            Denial::new("list", "", "secrets"),
            Denial::new("get", "", "pods/log"),
            Denial::new("list", "", "nodes"),
        ])
    });
    let ran = collect(&cluster, &[]).run().code(3);
    let outcomes = outcomes(&ran);
    assert_eq!(outcomes["kubernetes/secrets/kms-decentralized"], "forbidden");
    assert_eq!(outcomes["kubernetes/nodes"], "forbidden");
    assert_eq!(outcomes["logs/kms-decentralized/kms-party-3-core-0/kms-core"], "forbidden");
    assert_eq!(outcomes["kubernetes/configmaps/kms-decentralized"], "ok");
    // The refusal is remembered: the server refuses all logs, so that it was asked for few of them.
    let asked = cluster.running().requests().iter().filter(|r| r.path.contains("/log?")).count();
    let planned = outcomes.keys().filter(|k| k.starts_with("logs/")).count();
    assert!(asked < planned, "{asked} requests for {planned} logs");
    assert!(ran.bundle().text("SUMMARY.md").contains("forbidden"));
}

#[test]
fn faults_of_the_server_never_cost_the_bundle() {
    let log = "/api/v1/namespaces/kms-decentralized/pods/kms-party-3-core-0/log*";
    let cluster = Cluster::recorded_with(|b| {
        b.faults([
            Fault::on(
                "/api/v1/namespaces/kms-decentralized/configmaps*",
                FaultKind::Status { code: 500, retry_after: None },
            ),
            Fault::on("/api/v1/namespaces/kms-decentralized/services*", FaultKind::Garbage),
            Fault::on("/apis/apps/v1/namespaces/kms-decentralized/statefulsets*", FaultKind::Hang),
            Fault::on("/api/v1/namespaces/kms-decentralized/endpoints*", FaultKind::Reset),
            Fault::on(
                "/api/v1/namespaces/kms-decentralized/serviceaccounts*",
                FaultKind::Status { code: 429, retry_after: Some(1) },
            )
            .times(1),
            Fault::on(log, FaultKind::CutAfter(40)),
        ])
    });
    let ran = collect(&cluster, &["--item-timeout", "8s", "--request-timeout", "4s"]).run().code(3);
    let outcomes = outcomes(&ran);
    assert_eq!(outcomes["kubernetes/configmaps/kms-decentralized"], "failed");
    assert_eq!(outcomes["kubernetes/services/kms-decentralized"], "failed");
    assert_eq!(outcomes["kubernetes/statefulsets.apps/kms-decentralized"], "timed-out");
    assert_eq!(outcomes["kubernetes/endpoints/kms-decentralized"], "failed");
    assert_eq!(outcomes["kubernetes/serviceaccounts/kms-decentralized"], "ok");
    assert_eq!(outcomes["logs/kms-decentralized/kms-party-3-core-0/kms-core"], "truncated");
    assert_eq!(outcomes["kubernetes/pods/kms-decentralized"], "ok");
}

#[test]
fn two_runs_over_the_same_cluster_give_the_same_files() {
    let cluster = Cluster::recorded();
    let key = "correlation-key-of-at-least-32-bytes!";
    let run = || {
        let casefile = collect(&cluster, &["--correlation-key", "key"]);
        std::fs::write(casefile.dir().join("key"), key).unwrap();
        casefile.run()
    };
    let (first, second) = (run().bundle(), run().bundle());
    let paths = |b: &Bundle| b.store.entries().iter().map(|e| e.path.clone()).collect::<Vec<_>>();
    assert_eq!(paths(&first), paths(&second));
    // Times of the run stand in these; everything else is the same to the byte.
    let timed = ["manifest.json", "collector.log", "SUMMARY.md", "report.html", "triage.json", "timeline.json"];
    // How long things took stands in these.
    let measured =
        |path: &str| path.ends_with("/grpc.json") || path.ends_with("/reachability.json") || path.contains(".sample-");
    let text = |b: &Bundle, path: &str| {
        let text = b.text(path);
        if !measured(path) {
            return text;
        }
        let measures = ["\"latency_ms\": ", "\"at\": ", "after_ms="];
        text.lines().filter(|line| !measures.iter().any(|m| line.contains(m))).collect::<Vec<_>>().join("\n")
    };
    for path in paths(&first).iter().filter(|p| !timed.contains(&p.as_str())) {
        let (first, second) = (text(&first, path), text(&second, path));
        let differ = first.lines().zip(second.lines()).find(|(a, b)| a != b);
        assert!(first == second, "{path} differs between two runs: {differ:?}");
    }
    let without_times = |b: &Bundle| {
        let mut manifest = b.manifest.clone();
        manifest.started = chrono::DateTime::UNIX_EPOCH;
        manifest.finished = chrono::DateTime::UNIX_EPOCH;
        manifest.clocks.clear();
        manifest.files.retain(|f| !timed.contains(&f.path.as_str()) && !measured(&f.path));
        for entry in &mut manifest.ledger {
            if entry.artifacts.iter().any(|path| measured(path)) {
                entry.bytes = 0;
            }
            entry.started = None;
            entry.duration_ms = 0;
        }
        serde_json::to_string_pretty(&manifest).unwrap()
    };
    assert_eq!(without_times(&first), without_times(&second));
}

#[test]
fn triage_of_the_bundle_gives_what_collect_gave() {
    let cluster = Cluster::recorded();
    let ran = collect(&cluster, &[]).run();
    let in_bundle = ran.bundle().text("triage.json");
    let again = Casefile::new(&["triage", "--format", "json"]).arg(ran.archive()).run().code(0);
    assert_eq!(again.stdout(), in_bundle);
    let unpacked = tempfile::tempdir().unwrap();
    let tar = std::process::Command::new("tar").arg("xzf").arg(ran.archive()).arg("-C").arg(unpacked.path()).status();
    assert!(tar.unwrap().success());
    let root = std::fs::read_dir(unpacked.path()).unwrap().next().unwrap().unwrap().path();
    let from_directory = Casefile::new(&["triage", "--format", "json"]).arg(root).run().code(0);
    assert_eq!(from_directory.stdout(), in_bundle);
}

#[test]
fn the_bundle_verifies() {
    let cluster = Cluster::recorded();
    let ran = collect(&cluster, &[]).run();
    Casefile::new(&["verify"]).arg(ran.archive()).run().code(0);
}

#[test]
fn nothing_but_reading_reaches_the_server() {
    let cluster = Cluster::recorded();
    collect(&cluster, &[]).run();
    for request in cluster.running().requests() {
        let read_only = request.method == "GET" || request.path.contains("selfsubject");
        assert!(read_only, "{} {}", request.method, request.path);
    }
}

#[test]
fn only_and_skip_choose_items_and_fail_on_chooses_the_exit_code() {
    let cluster = Cluster::recorded();
    let ran = collect(&cluster, &["--only", "logs/*", "--skip", "*/previous", "--fail-on", "critical"]).run();
    let outcomes = outcomes(&ran);
    assert!(outcomes.keys().any(|k| k.starts_with("logs/")));
    assert!(!outcomes.keys().any(|k| k.ends_with("/previous")), "{outcomes:?}");
    assert!(!outcomes.contains_key("kubernetes/secrets/kms-decentralized"));
    let ran = collect(&cluster, &["--fail-on", "critical"]).run().code(4);
    assert!(ran.bundle().triage().root().is_some());
}

#[test]
fn the_archive_can_go_to_stdout() {
    let cluster = Cluster::recorded();
    let ran = collect(&cluster, &["-o", "-", "--only", "kubernetes/version"]).run();
    assert_eq!(&ran.stdout_bytes()[..2], b"\x1f\x8b");
    assert!(ran.archives().is_empty());
    let path = ran.dir().join("from-stdout.tar.gz");
    std::fs::write(&path, ran.stdout_bytes()).unwrap();
    assert!(Bundle::open(&path).store.contains("SUMMARY.md"));
}

#[test]
fn json_gives_one_event_a_line_and_one_result() {
    let cluster = Cluster::recorded();
    let ran = collect(&cluster, &["--format", "json"]).run();
    let result: serde_json::Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!(result["event"], "result");
    assert!(result["triage"]["findings"].is_array());
    let mut finished = 0;
    for line in ran.stderr().lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        finished += usize::from(event["event"] == "finished");
    }
    assert_eq!(finished, ran.bundle().manifest.ledger.len());
}

#[test]
fn without_a_cluster_it_says_so_and_collects_the_host() {
    let ran = Casefile::new(&["collect"]).run().code(3).says("no cluster");
    let bundle = ran.bundle();
    assert_eq!(bundle.manifest.profile, "host");
    assert_eq!(bundle.outcome("kubernetes/connect"), "failed");
    assert!(bundle.store.contains("host/system.json"));
    // An unreachable cluster is the same, with its reason.
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config");
    std::fs::write(&config, kubeconfig("http://127.0.0.1:1")).unwrap();
    let ran = Casefile::new(&["collect", "--kubeconfig"]).arg(&config).run().code(3).says("127.0.0.1:1");
    assert_eq!(ran.bundle().outcome("kubernetes/connect"), "failed");
    // Asked for the host alone, nothing is missing.
    let ran = Casefile::new(&["collect", "--only", "host/system"]).run().code(0);
    assert!(ran.bundle().store.contains("host/system.json"));
}

#[test]
fn a_system_beside_clusters_lacks_nothing_without_one() {
    let collect = |profile: &str| Casefile::new(&["collect", "--only", "kubernetes/connect", "--profile", profile]);
    for (profile, outcome, code) in [
        ("mpc-wallet", "not-applicable", 0),
        ("parthenon", "not-applicable", 0),
        ("monitoring", "not-applicable", 0),
        ("kms", "failed", 3),
        ("kvstore", "failed", 3),
    ] {
        let ran = collect(profile).run().code(code).says("no cluster");
        assert_eq!(ran.bundle().outcome("kubernetes/connect"), outcome, "{profile}");
    }
    // One that the user named is missing.
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config");
    std::fs::write(&config, kubeconfig("http://127.0.0.1:1")).unwrap();
    let ran = collect("parthenon").arg("--kubeconfig").arg(&config).run().code(3).says("127.0.0.1:1");
    assert_eq!(ran.bundle().outcome("kubernetes/connect"), "failed");
}

fn kubeconfig(server: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- name: c\n  context: {{cluster: c, user: u}}\n\
         clusters:\n- name: c\n  cluster: {{server: \"{server}\"}}\nusers:\n- name: u\n  user: {{}}\n"
    )
}

#[test]
fn wrong_input_is_refused_with_what_to_try_and_nothing_is_left() {
    let cluster = Cluster::recorded();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--no-such-flag"], 2, "--no-such-flag"),
        (&["--profile", "kmz"], 2, "kms"),
        (&["--profile", "./nowhere"], 1, "nowhere"),
        (&["--set", "nope=1"], 2, "nope"),
        (&["--set", "party_id=zero"], 2, "party_id"),
        (&["--context", "nope"], 2, "nope"),
        (&["-n", "kms-decentralised"], 2, "kms-decentralized"),
        (&["--kubeconfig", "missing"], 1, "missing"),
        (&["--output", "no/such/dir/x.tar.gz"], 1, "mkdir -p"),
        (&["--redaction-rules", "missing"], 1, "missing"),
        (&["--correlation-key", "missing"], 1, "missing"),
        (&["--only", "nothing/matches"], 2, "casefile plan"),
        (&["--only", "a["], 2, "a["),
        (&["--log-limit", "five"], 2, "20MiB"),
        (&["--timeout", "soon"], 2, "soon"),
    ];
    for (args, code, says) in cases {
        let ran = collect(&cluster, args).run().code(*code).says(says);
        let left: Vec<_> = std::fs::read_dir(ran.dir()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{args:?} left {left:?}");
    }
}

#[test]
fn malformed_files_are_named_with_line_and_key() {
    let cluster = Cluster::recorded();
    let with_files = |args: &[&str]| {
        let casefile = collect(&cluster, args);
        for (path, text) in [
            ("profile/profile.toml", "schema = 1\nid = \"x\"\ntitel = \"X\"\n"),
            ("rules/mine.toml", "schema = 1\n[[rule]]\nid = \"my-rule\"\npatern = 'x'\n"),
            ("broken-config", "{ this is not yaml"),
        ] {
            let path = casefile.dir().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        casefile.run()
    };
    with_files(&["--profile", "./profile"]).code(1).says("line 3").says("titel");
    with_files(&["--redaction-rules", "rules"]).code(1).says("mine.toml:4:").says("patern").says("did you mean");
    with_files(&["--kubeconfig", "broken-config"]).code(1).says("broken-config");
}

#[test]
fn an_existing_file_is_not_overwritten() {
    let cluster = Cluster::recorded();
    let casefile = collect(&cluster, &["-o", "mine.tar.gz", "--only", "kubernetes/version"]);
    std::fs::write(casefile.dir().join("mine.tar.gz"), "precious").unwrap();
    let ran = casefile.run().code(2).says("--force");
    assert_eq!(std::fs::read(ran.dir().join("mine.tar.gz")).unwrap(), b"precious");
}

/// A cluster in which one list never ends, so that a run can be caught in the middle.
fn hanging() -> Cluster {
    Cluster::recorded_with(|b| {
        b.faults([Fault::on("/api/v1/namespaces/kms-decentralized/configmaps*", FaultKind::Hang)])
    })
}

/// Starts a run and waits until everything but the hanging list is there.
fn in_the_middle(cluster: &Cluster) -> crate::support::cli::Started {
    let started = collect(cluster, &["--no-progress", "--request-timeout", "10m", "--item-timeout", "10m"]).start();
    started.wait_until("a log is in the spool", |dir| {
        let journal = std::fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().path().join("journal.jsonl"))
            .find_map(|p| std::fs::read_to_string(p).ok());
        journal.is_some_and(|j| j.contains("\"item\":\"logs/kms-decentralized/kms-party-3-core-0/kms-core\""))
    });
    started
}

#[test]
fn a_signal_ends_the_run_with_a_valid_bundle() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let cluster = hanging();
        let started = in_the_middle(&cluster);
        started.signal(signal);
        let ran = started.finish().code(code);
        let bundle = ran.bundle();
        assert_eq!(bundle.manifest.status, RunStatus::Interrupted);
        assert_eq!(bundle.outcome("kubernetes/configmaps/kms-decentralized"), "cancelled");
        assert_eq!(bundle.outcome("kubernetes/pods/kms-decentralized"), "ok");
        let left = std::fs::read_dir(ran.dir()).unwrap().count();
        assert_eq!(left, 1, "only the archive is left");
    }
}

#[test]
fn after_sigkill_recover_packs_what_was_there() {
    let cluster = hanging();
    let started = in_the_middle(&cluster);
    started.signal(Signal::KILL);
    let ran = started.finish();
    assert!(ran.archives().is_empty());
    let spool = std::fs::read_dir(ran.dir()).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir()).unwrap();
    // Nothing raw is on the disk.
    for secret in planted() {
        let grep = std::process::Command::new("grep").args(["-rqaF", "--", &secret]).arg(&spool).status().unwrap();
        assert!(!grep.success(), "{secret} is in the spool");
    }
    let recovered = Casefile::new(&["recover"]).arg(&spool).args(&["-o", "recovered.tar.gz"]).run().code(3);
    let bundle = recovered.bundle();
    assert_eq!(bundle.manifest.status, RunStatus::Recovered);
    assert!(bundle.text("SUMMARY.md").contains("have run over every file once more"));
    assert!(bundle.store.contains("cluster-resources/pods/logs/kms-decentralized/kms-party-3-core-0/kms-core.log"));
    Casefile::new(&["verify"]).arg(recovered.archive()).run().code(0);
    let tar = std::process::Command::new("tar").arg("tzf").arg(recovered.archive()).output().unwrap();
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
}

#[test]
fn the_deadline_of_the_run_leaves_time_to_pack() {
    let cluster = hanging();
    let args = ["--timeout", "4s", "--request-timeout", "10m", "--item-timeout", "10m"];
    let ran = collect(&cluster, &args).run().code(3);
    let bundle = ran.bundle();
    assert_eq!(bundle.manifest.status, RunStatus::DeadlineReached);
    assert_eq!(bundle.outcome("kubernetes/configmaps/kms-decentralized"), "timed-out");
    assert_eq!(bundle.outcome("kubernetes/pods/kms-decentralized"), "ok");
}

#[test]
fn plan_reads_nothing_beyond_discovery_and_names_what_collect_does() {
    let cluster = Cluster::recorded();
    let ran = Casefile::new(&["plan"]).env("KUBECONFIG", cluster.kubeconfig()).run().code(0);
    let text = ran.stdout();
    for id in ["kubernetes/pods/kms-decentralized", "kubernetes/nodes", "usage/nodes"] {
        assert!(text.lines().any(|l| l.starts_with(id)), "{id} is not in the plan:\n{text}");
    }
    for request in cluster.running().requests() {
        let discovery = !request.path.contains("/log") && !request.path.contains("/exec");
        assert!(discovery, "{}", request.path);
    }
}

#[test]
fn doctor_names_missing_rights_and_a_role_for_them() {
    let cluster = Cluster::recorded_with(|b| {
        b.deny([Denial::new("list", "", "secrets"), Denial::new("create", "", "pods/exec")])
    });
    let doctor = |args: &[&str]| Casefile::new(&["doctor"]).args(args).env("KUBECONFIG", cluster.kubeconfig());
    let ran = doctor(&[]).run().code(3);
    let text = ran.stdout();
    assert!(text.lines().any(|l| l.starts_with("no ") && l.contains("secrets")), "{text}");
    assert!(text.contains("kind: Role\n") && text.contains("[\"secrets\"]"), "{text}");
    let role = doctor(&["--role"]).run().code(0).stdout();
    assert!(role.contains("kind: ClusterRole\n") && role.contains("pods/log"), "{role}");
    assert!(!role.contains("delete") && !role.contains("'*'") && !role.contains("\"*\""), "{role}");
}

/// A file system of its own that is full after a few megabytes; none where mounting is not allowed.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let option = format!("size={size}");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &option, "tmpfs"])
            .arg(dir.path())
            .stderr(std::process::Stdio::null())
            .status();
        mounted.is_ok_and(|s| s.success()).then(|| Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
#[ignore = "needs the right to mount a tmpfs"]
fn root_a_full_disk_ends_in_a_valid_bundle_that_says_so() {
    let disk = SmallDisk::mount("3m").expect("this test runs as root");
    let store = casefile::serve::synthetic::SyntheticCluster::new(60, 1 << 20, 2);
    let namespace = store.namespace_names().remove(0);
    let cluster = Cluster::start(std::sync::Arc::new(store), |b| b);
    let ran = collect(&cluster, &["--profile", "kubernetes", "-n", &namespace, "-o"]).arg(disk.0.path()).run().code(3);
    let archives: Vec<_> = std::fs::read_dir(disk.0.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(archives.len(), 1, "{archives:?} {}", ran.stderr());
    let tar = std::process::Command::new("tar").arg("tzf").arg(&archives[0]).output().unwrap();
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    let bundle = Bundle::open(&archives[0]);
    assert_eq!(bundle.manifest.status, RunStatus::SpoolFailed);
    assert!(bundle.manifest.ledger.iter().any(|e| e.outcome.as_str() == "cancelled"));
    assert!(bundle.manifest.ledger.iter().any(|e| e.item.family() == "logs" && e.bytes > 0));
    Casefile::new(&["verify"]).arg(&archives[0]).run().code(0);
}

#[test]
fn what_is_secret_in_one_file_stands_in_no_other() {
    use casefile::bundle::overlay::MemStore;
    let secret = "zQ7xPl4vNm2Kd9wTr";
    let mut store = MemStore::below(crate::support::cluster::fixture("clusters/recorded").as_ref(), "").unwrap();
    let logs = "cluster-resources/pods/logs/kms-decentralized";
    let named = format!("{logs}/kms-party-3-core-0/kms-core.log");
    let bare = format!("{logs}/kms-connector-78d8f97d9c-2wwnv/connector.log");
    store.insert(named.as_str(), format!("level=info db_password={secret}\n").into_bytes());
    store.insert(bare.as_str(), format!("trying {secret} once more\n").into_bytes());
    let cluster = Cluster::start(std::sync::Arc::new(store), |b| b);
    let bundle = collect(&cluster, &[]).run().bundle();
    for path in [&named, &bare] {
        let text = bundle.text(path);
        assert!(!text.contains(secret) && text.contains("REDACTED-password-"), "{path}: {text}");
    }
    // Equal secrets have equal ids, and the manifest is that of the rewritten file.
    let id = |path: &str| bundle.text(path).split("REDACTED-password-").nth(1).unwrap()[..12].to_owned();
    assert_eq!(id(&named), id(&bare));
    let entry = bundle.manifest.files.iter().find(|f| f.path == bare).unwrap();
    assert_eq!(entry.size, bundle.text(&bare).len() as u64);
}

#[test]
fn no_planted_secret_leaves_any_demo() {
    let list = Casefile::new(&["demo", "--list"]).run().code(0).stdout();
    let names: Vec<&str> = list.lines().filter_map(|l| l.split_whitespace().next()).collect();
    assert!(names.len() >= 6, "{list}");
    for name in names {
        let ran = Casefile::new(&["demo", name, "--no-progress"]).run();
        let mut everything = ran.bundle().everything();
        everything.extend_from_slice(ran.stdout().as_bytes());
        everything.extend_from_slice(ran.stderr().as_bytes());
        for secret in planted() {
            assert!(memchr::memmem::find(&everything, secret.as_bytes()).is_none(), "{secret} leaves demo {name}");
            assert!(
                memchr::memmem::find(&everything, base64(&secret).as_bytes()).is_none(),
                "{name}: {secret} in base64"
            );
        }
    }
}
