//! A health check of this machine, run against a forwarded port where nothing else tells the health.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use casefile::bundle::DirStore;
use casefile::collect::health_sources;
use casefile::collect::host::HostRoots;
use casefile::collect::kubernetes::Outside;
use casefile::model::Outcome;
use casefile::profile::{Profile, parse};
use casefile::serve::{Builder, Denial, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::run::{Run, collect_in, connect, limits};
use crate::support::grpc::{Core, healthy, start};

const NS: &str = "kms-decentralized";
const POD: &str = "kms-party-3-core-3";
const GRPC: &str = "grpc/kms-decentralized/kms-party-3-core-3/health";
const LOCAL: &str = "exec/kms-decentralized/kms-party-3-core-3/health-check-local";
const FILE: &str = "health/kms-decentralized/kms-party-3-core-3/kms-health-check-local.txt";

/// What the program does here: it connects to where it is told to, and prints what is said there.
const ASKS: &str = "exec 3<>/dev/tcp/${5%:*}/${5##*:} && read -r said <&3 && echo \"{\\\"said\\\": \\\"$said\\\"}\"";

/// The profile's own gRPC calls and local program, with little patience.
fn profile() -> Profile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/kms/profile.toml");
    let mut profile = parse("kms", &std::fs::read_to_string(path).unwrap()).unwrap();
    profile.exec.retain(|e| e.id == "health-check-local");
    profile.grpc.retain(|g| g.pods.is_some());
    for grpc in &mut profile.grpc {
        grpc.timeout = "500ms".to_owned();
    }
    profile
}

/// Collects the health of a core behind an address; `script` is the program of this machine, where it is installed.
async fn run(to: SocketAddr, script: Option<&str>, change: impl FnOnce(Builder) -> Builder) -> Run {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/clusters/kms");
    let builder = Server::builder(Arc::new(DirStore::open(&root).unwrap())).forward(&format!("{NS}/{POD}"), 50100, to);
    let server = change(builder).start().await.unwrap();
    let bin = tempfile::tempdir().unwrap();
    if let Some(script) = script {
        let path = bin.path().join("kms-health-check");
        std::fs::write(&path, format!("#!/bin/bash\n{script}\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let roots = HostRoots { command_path: bin.path().display().to_string(), ..HostRoots::default() };
    let cluster = connect(server.addr()).await.unwrap();
    let mut limits = limits();
    limits.item_timeout = Duration::from_secs(8);
    collect_in(&cluster, NS, &profile(), &["grpc/", "exec/"], limits, Outside { aws: None, roots }).await
}

/// Says one line to everyone, or nothing.
async fn server(line: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.write_all(line.as_bytes()).await;
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_of_this_machine_is_the_last_to_be_asked() {
    let run = run(server("i-am-the-core\n").await, Some(ASKS), |b| b).await;
    assert_eq!(run.outcome(GRPC).0, Outcome::Failed, "{:?}", run.items());
    assert_eq!(run.outcome(LOCAL), (Outcome::Ok, format!("run here against {NS}/{POD}:50100")));
    assert_eq!(run.text(FILE), "{\"said\": \"i-am-the-core\"}\n");
    let note = health_sources(&profile().health_order, &run.result.ledger).unwrap();
    assert_eq!(note["namespaces"][NS]["answered"], LOCAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_asked_where_a_better_source_answered() {
    let run = run(start(Core::Answers(healthy())).await, Some(ASKS), |b| b).await;
    assert_eq!(run.outcome(GRPC).0, Outcome::Ok);
    assert_eq!(run.outcome(LOCAL), (Outcome::NotApplicable, format!("not needed, because {GRPC} answered")));
    assert!(!run.files.contains_key(FILE));
    let note = health_sources(&profile().health_order, &run.result.ledger).unwrap();
    assert_eq!(note["namespaces"][NS]["answered"], GRPC);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_it_says_so() {
    let run = run(server("x\n").await, None, |b| b).await;
    assert_eq!(run.outcome(LOCAL), (Outcome::NotApplicable, "`kms-health-check` is not installed here".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_hangs_or_fails_costs_its_deadline_only() {
    let run_hanging = run(server("").await, Some(ASKS), |b| b).await;
    let (outcome, reason) = run_hanging.outcome(LOCAL);
    assert_eq!(outcome, Outcome::TimedOut, "{reason}");
    assert!(reason.contains("no end within"), "{reason}");
    let run = run(server("x\n").await, Some("echo 'cannot say' >&2; exit 3"), |b| b).await;
    let (outcome, reason) = run.outcome(LOCAL);
    assert_eq!(outcome, Outcome::Failed);
    assert!(reason.contains("cannot say"), "{reason}");
    assert!(run.text(&format!("{FILE}.stderr")).contains("cannot say"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_forward_a_port_it_is_not_started() {
    let script = "echo started";
    let run = run(server("x\n").await, Some(script), |b| b.deny([Denial::new("*", "", "pods/portforward")])).await;
    let (outcome, reason) = run.outcome(LOCAL);
    assert_eq!(outcome, Outcome::Forbidden);
    assert!(reason.contains("portforward") && !run.files.contains_key(FILE), "{reason}");
}
