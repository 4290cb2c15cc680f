//! The whole stack of a wallet, played by small servers of which one hangs: how long it takes, and how much memory.
#![expect(clippy::print_stdout, reason = "the figures are for whoever runs the test")]

use std::time::Instant;

use super::fake::{Fake, Reply};
use crate::support::cli::Casefile;

fn node(request: &str) -> Reply {
    let json = |text: &str| Reply::Json(200, text.to_owned());
    match request.trim_start_matches("GET ") {
        "/health" => json(r#"{"status":"healthy","version":"1.0"}"#),
        "/metrics" => Reply::Bytes(200, "text/plain", b"orchestration_iterations_total 812\n".to_vec()),
        "/api/v1/presignatures/status" => json(r#"{"current_size":80,"is_critical":false}"#),
        "/internal/aux-ready" => json(r#"{"ready":true,"node_id":1}"#),
        _ => json("{}"),
    }
}

fn prometheus(request: &str) -> Reply {
    let data = |text: &str| Reply::Json(200, format!(r#"{{"status":"success","data":{text}}}"#));
    match request.trim_start_matches("GET ").split('?').next().unwrap_or_default() {
        "/api/v1/status/config" => data(r#"{"yaml":"global: {}"}"#),
        "/api/v1/targets" => data(r#"{"activeTargets":[]}"#),
        "/api/v1/rules" => data(r#"{"groups":[]}"#),
        "/api/v1/alerts" => data(r#"{"alerts":[]}"#),
        "/metrics" => Reply::Bytes(200, "text/plain", b"up 1\n".to_vec()),
        "/-/ready" => Reply::Bytes(200, "text/plain", b"ready".to_vec()),
        _ => data("{}"),
    }
}

fn etcd(request: &str) -> Reply {
    Reply::Json(200, if request.ends_with("/health") { r#"{"health":"true"}"# } else { "{}" }.to_owned())
}

#[test]
#[ignore = "measures; run it alone on a quiet machine"]
fn long_the_wallet_stack_takes_as_long_as_its_slowest_part() {
    let nodes: Vec<Fake> = (0..5).map(|i| Fake::tcp(move |r, _| if i == 4 { Reply::Hang } else { node(r) })).collect();
    let members: Vec<Fake> = (0..3).map(|_| Fake::tcp(|r, _| etcd(r))).collect();
    let prom = Fake::tcp(|r, _| prometheus(r));
    let list = |fakes: &[Fake], name: &str| {
        let all = fakes.iter().enumerate().map(|(i, f)| format!("{name}-{}=http://{}", i + 1, f.address));
        all.collect::<Vec<_>>().join(",")
    };
    let limit = 10;
    let began = Instant::now();
    let call = Casefile::new(&[
        "collect",
        "--no-progress",
        "--profile",
        "mpc-wallet",
        "--only",
        "services/*",
        "--request-timeout",
        "10s",
    ])
    .args(&[
        "--set",
        &format!("nodes={}", list(&nodes, "node")),
        "--set",
        &format!("prometheus=http://{}", prom.address),
    ])
    .args(&[
        "--set",
        &format!("etcd={}", members.iter().map(|f| format!("http://{}", f.address)).collect::<Vec<_>>().join(",")),
    ]);
    let (ran, peak) = call.start().finish_measured();
    let took = began.elapsed();
    let bundle = ran.bundle();
    let count = |outcome: &str| bundle.manifest.ledger.iter().filter(|e| e.outcome.as_str() == outcome).count();
    let (late, ok) = (count("timed-out"), count("ok"));
    let slowest = bundle.manifest.ledger.iter().max_by_key(|e| e.duration_ms).unwrap();
    let all: u64 = bundle.manifest.ledger.iter().map(|e| e.duration_ms).sum();
    let run = (bundle.manifest.finished - bundle.manifest.started).to_std().unwrap();
    println!(
        "{} items ({ok} ok, {late} timed out) in {:.1} s, {:.1} s with triage and packing; the slowest ({}) took {:.1} s of its {limit} s, one after the other they would take {:.1} s; {} MiB at most",
        bundle.manifest.ledger.len(),
        run.as_secs_f64(),
        took.as_secs_f64(),
        slowest.item.as_str(),
        slowest.duration_ms as f64 / 1000.0,
        all as f64 / 1000.0,
        peak >> 10
    );
    assert_eq!(late, 8, "each endpoint of the node that hangs");
    assert!(ok >= 30, "{ok}");
    // The parts that hang do so at once: with one behind the other there would be eight limits. How close the run comes to
    // one is a figure to read, not a fault of a busy machine.
    assert!(run.as_secs_f64() < 4.0 * f64::from(limit), "the run took {run:?}");
    assert!(peak < 256 << 10, "{peak} KiB");
}
