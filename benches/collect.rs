//! One `casefile collect` as a process, against a synthetic cluster in another process: wall time, CPU, peak memory.
//!
//! Machines differ and are shared, so what counts are the ratios against two baselines measured in the same minute: fetching
//! the same logs with the same concurrency to nowhere, and compressing the same bytes with `pigz -6 -p2`.
//!
//! ```text
//! cargo bench --bench collect                      # 500 x 1 MiB, 500 x 4 MiB, 5,000 x 10 KiB and smaller steps
//! cargo bench --bench collect -- 500x1MiB          # one case
//! ```
#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a benchmark prints its figures")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use casefile::bundle::{Store, layout};
use casefile::serve::Server;
use casefile::serve::synthetic::SyntheticCluster;

/// Requests at the same time, of the baseline and of collect.
const CONCURRENCY: usize = 16;
/// Runs of each measurement; the best counts.
const RUNS: usize = 3;
const CASES: [(usize, u64); 6] =
    [(500, 1 << 20), (500, 4 << 20), (625, 10 << 10), (1_250, 10 << 10), (2_500, 10 << 10), (5_000, 10 << 10)];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match args.first().map(String::as_str) {
        Some("--server") => server(number(&args[1]), number(&args[2]) as u64),
        Some("--fetch") => fetch(&args[1], number(&args[2])),
        Some(case) => run_case(parse_case(case)),
        None => CASES.into_iter().for_each(run_case),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn parse_case(text: &str) -> (usize, u64) {
    let (pods, size) = text.split_once('x').expect("a case looks like 500x1MiB");
    let bytes = match size.strip_suffix("MiB") {
        Some(n) => (number(n) as u64) << 20,
        None => (number(size.strip_suffix("KiB").expect("a size ends in MiB or KiB")) as u64) << 10,
    };
    (number(pods), bytes)
}

/// What a process cost.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
    peak_kib: u64,
}

fn run_case((pods, bytes): (usize, u64)) {
    let me = std::env::current_exe().expect("own path");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = Command::new(&me)
        .args(["--server", &pods.to_string(), &bytes.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut lines = BufReader::new(server.stdout.take().expect("its output")).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    let (address, config) = (line(), line());
    let kubeconfig = dir.path().join("kubeconfig");
    std::fs::write(&kubeconfig, config.replace('\u{1}', "\n")).expect("the kubeconfig is written");

    let fetch = best(|| measure(Command::new(&me).args(["--fetch", &address, &pods.to_string()])));
    let pigz = pigz(pods, bytes, dir.path());
    let mut archive = 0;
    let collect = best(|| {
        let out = dir.path().join("bundle.tar.gz");
        let cost = measure(
            Command::new(env!("CARGO_BIN_EXE_casefile"))
                .args(["collect", "--quiet", "--force", "--profile", "kubernetes", "--log-limit", "1GiB"])
                .args(["--max-size", "100GiB", "--timeout", "1h", "--kubeconfig"])
                .arg(&kubeconfig)
                .args(SyntheticCluster::new(pods as u64, bytes, 3).namespace_names().iter().flat_map(|n| ["-n", n]))
                .arg("--output")
                .arg(&out),
        );
        archive = out.metadata().map_or(0, |m| m.len());
        cost
    });
    let _ = server.kill();
    let _ = server.wait();

    let total = pods as f64 * bytes as f64 / f64::from(1 << 20);
    println!("{pods} pods x {} KiB = {total:.0} MiB of logs, archive {:.1} MiB", bytes >> 10, mib(archive));
    print_cost("collect", collect, total);
    print_cost("fetch to nowhere", fetch, total);
    match pigz {
        Some(pigz) => {
            print_cost("pigz -6 -p2", pigz, total);
            let slower = fetch.wall.max(pigz.wall);
            println!("  ratio to the slower baseline: {:.2}", collect.wall.as_secs_f64() / slower.as_secs_f64());
        }
        None => println!("  pigz is not installed, so there is no ratio to it"),
    }
    println!("  wall per pod: {:.2} ms\n", collect.wall.as_secs_f64() * 1_000.0 / pods as f64);
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn print_cost(name: &str, cost: Cost, total: f64) {
    println!(
        "  {name:18} wall {:6.2} s  {:6.0} MiB/s  cpu {:6.2} s  peak {:6.1} MiB",
        cost.wall.as_secs_f64(),
        total / cost.wall.as_secs_f64(),
        cost.cpu.as_secs_f64(),
        cost.peak_kib as f64 / 1024.0
    );
}

fn best(mut run: impl FnMut() -> Cost) -> Cost {
    (0..RUNS).map(|_| run()).min_by_key(|c| c.wall).expect("at least one run")
}

/// Runs a process to its end and watches `/proc` meanwhile.
fn measure(command: &mut Command) -> Cost {
    let begun = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn().expect("the process starts");
    let (mut cpu, mut peak_kib) = (Duration::ZERO, 0);
    let status = loop {
        sample(&child, &mut cpu, &mut peak_kib);
        if let Some(status) = child.try_wait().expect("the process can be waited for") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let wall = begun.elapsed();
    assert!(matches!(status.code(), Some(0 | 3)), "{command:?} ended with {status}");
    Cost { wall, cpu, peak_kib }
}

/// High-water mark of memory and the CPU time so far; the last sample before the end is within 5 ms of it.
fn sample(child: &Child, cpu: &mut Duration, peak_kib: &mut u64) {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap_or_default();
    if let Some(line) = read("status").lines().find(|l| l.starts_with("VmHWM")) {
        let kib = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
        *peak_kib = (*peak_kib).max(kib);
    }
    let stat = read("stat");
    // Fields 14 and 15 in ticks of 10 ms, counted behind the name, which may hold spaces.
    if let Some((_, rest)) = stat.rsplit_once(") ") {
        let ticks: u64 = rest.split(' ').skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        *cpu = (*cpu).max(Duration::from_millis(ticks * 10));
    }
}

/// Compresses the same logs with pigz, from a file in the page cache to nowhere; none when pigz is not there.
fn pigz(pods: usize, bytes: u64, dir: &Path) -> Option<Cost> {
    Command::new("pigz").arg("--version").output().ok()?;
    let store = SyntheticCluster::new(pods as u64, bytes, 3);
    let path = dir.join("logs");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
    for entry in store.entries().iter().filter(|e| layout::parse_log(&e.path).is_some()) {
        std::io::copy(&mut store.open(&entry.path).expect("a log"), &mut file).expect("space for the logs");
    }
    file.flush().expect("space for the logs");
    drop(file);
    let cost = best(|| measure(Command::new("pigz").args(["-6", "-p2", "-c"]).arg(&path)));
    std::fs::remove_file(&path).expect("the file can be removed");
    Some(cost)
}

/// Serves a synthetic cluster until it is killed; prints its address and a kubeconfig in one line.
fn server(pods: usize, bytes: u64) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store: Arc<dyn Store> = Arc::new(SyntheticCluster::new(pods as u64, bytes, 3));
        let running = Server::builder(store).start().await.expect("the server starts");
        let dir = tempfile::tempdir().expect("a directory");
        let text = running.kubeconfig(&dir.path().join("kubeconfig")).expect("a kubeconfig");
        println!("{}\n{}", running.addr(), text.replace('\n', "\u{1}"));
        std::io::stdout().flush().expect("stdout");
        std::future::pending::<()>().await;
    });
}

/// Reads every log with a few connections at the same time and drops it.
fn fetch(address: &str, pods: usize) {
    let store = SyntheticCluster::new(pods as u64, 1, 3);
    let paths: Vec<String> = store
        .entries()
        .iter()
        .filter_map(|e| layout::parse_log(&e.path))
        .map(|(ns, pod, container, previous)| {
            format!("/api/v1/namespaces/{ns}/pods/{pod}/log?container={container}&previous={previous}")
        })
        .collect();
    let (next, total) = (AtomicUsize::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..CONCURRENCY {
            scope.spawn(|| {
                let mut buffer = vec![0; 256 << 10];
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut stream = TcpStream::connect(address).expect("the server answers");
                    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
                        .expect("a request");
                    loop {
                        match stream.read(&mut buffer).expect("an answer") {
                            0 => break,
                            n => total.fetch_add(n as u64, Ordering::Relaxed),
                        };
                    }
                }
            });
        }
    });
    assert!(total.load(Ordering::Relaxed) > 0, "the server sent nothing");
}
