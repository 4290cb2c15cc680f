//! Time and memory of triage: a bundle of 1 GiB beside `gzip -dc` over the same file at the same time, and 10,000 pods.
//!
//! Each figure is that of a child process, so that its peak memory is its own.
#![expect(clippy::print_stdout, reason = "a benchmark reports on the terminal")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Uncompressed bytes of the large bundle.
const LARGE: usize = 1 << 30;
/// Logs that the large bundle is made of.
const LOGS: usize = 64;
/// Pods of the other one.
const PODS: usize = 10_000;

fn main() {
    // `cargo test --benches` runs this without `--bench`; there is nothing to measure then.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let large = large(dir.path());
    let size = std::fs::metadata(&large).map_or(0, |m| m.len());
    println!("1 GiB bundle: {} MiB compressed", size >> 20);
    let ((gzip, _), (triage, peak)) = together(
        Command::new("gzip").arg("-dc").arg(&large).stdout(Stdio::null()),
        casefile().args(["triage", "--format", "json", "--profile", "kms"]).arg(&large).stdout(Stdio::null()),
    );
    println!(
        "  gzip -dc {gzip:?}, triage {triage:?}: ratio {:.2} (at most 1.5), peak {} MiB (below 150)",
        triage.as_secs_f64() / gzip.as_secs_f64(),
        peak >> 10
    );
    let pods = pods(dir.path());
    let (time, peak) = watch(
        spawn(casefile().args(["triage", "--format", "json", "--profile", "kms"]).arg(&pods).stdout(Stdio::null())),
        Instant::now(),
    );
    println!("{PODS} pods: {time:?} (below 5 s), peak {} MiB", peak >> 10);
}

fn casefile() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_casefile"));
    command.env_clear().stderr(Stdio::null());
    command
}

fn spawn(command: &mut Command) -> Child {
    command.spawn().expect("the program starts")
}

/// Runs two programs at the same time, so that both see the same machine.
fn together(a: &mut Command, b: &mut Command) -> ((Duration, u64), (Duration, u64)) {
    let begin = Instant::now();
    let (a, b) = (spawn(a), spawn(b));
    std::thread::scope(|scope| {
        let a = scope.spawn(move || watch(a, begin));
        let b = scope.spawn(move || watch(b, begin));
        (a.join().expect("measured"), b.join().expect("measured"))
    })
}

/// Waits for a child; gives its time and its peak memory in KiB.
fn watch(mut child: Child, begin: Instant) -> (Duration, u64) {
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let now = text.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok());
        peak = peak.max(now.unwrap_or(0));
        match child.try_wait().expect("the child can be waited for") {
            Some(ended) => {
                assert!(ended.success(), "the program failed: {ended}");
                return (begin.elapsed(), peak);
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

struct Archive(tar::Builder<GzEncoder<std::io::BufWriter<std::fs::File>>>);

impl Archive {
    fn new(path: &Path) -> Self {
        let file = std::io::BufWriter::new(std::fs::File::create(path).expect("a file"));
        Self(tar::Builder::new(GzEncoder::new(file, Compression::new(6))))
    }

    fn add(&mut self, path: &str, content: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        self.0.append_data(&mut header, format!("bundle/{path}"), content).expect("an entry");
    }

    fn finish(self) {
        self.0.into_inner().and_then(GzEncoder::finish).and_then(|mut w| w.flush()).expect("an archive");
    }
}

/// A bundle of logs; one line in a thousand is an error.
fn large(dir: &Path) -> PathBuf {
    let path = dir.join("large.tar.gz");
    let mut archive = Archive::new(&path);
    archive.add("cluster-resources/pods/n.json", list(LOGS).as_bytes());
    let mut state = 1_u64;
    for i in 0..LOGS {
        let mut log = Vec::with_capacity(LARGE / LOGS + 256);
        let mut n = 0_u64;
        while log.len() < LARGE / LOGS {
            n += 1;
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let level = if n.is_multiple_of(1_000) { "ERROR" } else { "INFO" };
            let line = format!(
                "2026-11-21T06:{:02}:{:02}.{:06}Z  {level} kms_core::service: src/service.rs:{}: decryption finished request_id={state:016x} peer=core-{}.example.com:50001\n",
                n / 60 % 30,
                n % 60,
                n % 999_983,
                n % 400,
                n % 13
            );
            log.extend_from_slice(line.as_bytes());
        }
        archive.add(&format!("cluster-resources/pods/logs/n/p-{i}/c.log"), &log);
    }
    archive.finish();
    path
}

/// A bundle of many pods with events, of which every fourth crashes.
fn pods(dir: &Path) -> PathBuf {
    let path = dir.join("pods.tar.gz");
    let mut archive = Archive::new(&path);
    archive.add("cluster-resources/pods/n.json", list(PODS).as_bytes());
    let events: Vec<String> = (0..PODS)
        .map(|i| {
            format!(
                r#"{{"involvedObject":{{"kind":"Pod","namespace":"n","name":"p-{i}"}},"reason":"BackOff","message":"Back-off restarting","type":"Warning","count":3,"firstTimestamp":"2026-11-21T06:10:00Z","lastTimestamp":"2026-11-21T06:30:00Z"}}"#
            )
        })
        .collect();
    archive.add("cluster-resources/events/n.json", items(&events).as_bytes());
    for i in (0..PODS).step_by(4) {
        let log = format!("starting {i}\nError: cannot open shard {i}: broken header\n");
        archive.add(&format!("cluster-resources/pods/logs/n/p-{i}/c-previous.log"), log.as_bytes());
    }
    archive.finish();
    path
}

fn list(n: usize) -> String {
    let pods: Vec<String> = (0..n)
        .map(|i| {
            let crashes = i % 4 == 0 && n == PODS;
            let state = if crashes { r#"{"waiting":{"reason":"CrashLoopBackOff"}}"# } else { r#"{"running":{"startedAt":"2026-11-21T06:00:00Z"}}"# };
            format!(
                r#"{{"metadata":{{"name":"p-{i}","namespace":"n","labels":{{"app":"a{}"}},"ownerReferences":[{{"kind":"StatefulSet","name":"s{}","controller":true}}]}},"spec":{{"nodeName":"node-{}","containers":[{{"name":"c","image":"i:1"}}]}},"status":{{"phase":"Running","conditions":[{{"type":"Ready","status":"{}"}}],"containerStatuses":[{{"name":"c","ready":{},"restartCount":{},"state":{state},"lastState":{{"terminated":{{"exitCode":1,"reason":"Error","finishedAt":"2026-11-21T06:20:00Z"}}}}}}]}}}}"#,
                i % 50,
                i % 50,
                i % 100,
                if crashes { "False" } else { "True" },
                !crashes,
                if crashes { 4 } else { 0 },
            )
        })
        .collect();
    items(&pods)
}

fn items(objects: &[String]) -> String {
    format!("{{\"kind\":\"List\",\"items\":[\n{}\n]}}\n", objects.join(",\n"))
}
