//! Throughput of the byte engine on a log like that of a controller, beside a copy and a plain regular expression.
#![expect(clippy::print_stdout, reason = "a benchmark reports on the terminal")]

use std::time::Instant;

use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};

const SIZE: usize = 64 << 20;

/// A log in which half of the lines have words such as `token`, and one in a thousand has a secret.
fn log() -> Vec<u8> {
    let mut out = Vec::with_capacity(SIZE + 1024);
    let mut state = 1_u64;
    let mut n = 0_u64;
    while out.len() < SIZE {
        n += 1;
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let id = format!("{state:016x}{:016x}", state.rotate_left(17));
        let line = match n % 6 {
            0 => format!(
                "{{\"level\":\"info\",\"ts\":\"2026-11-21T10:00:{:02}.123Z\",\"logger\":\"controller\",\"msg\":\"reconciled object\",\"namespace\":\"kms-threshold\",\"name\":\"core-{}\",\"uid\":\"{id}\",\"duration_ms\":{}}}\n",
                n % 60,
                n % 13,
                n % 997
            ),
            1 => format!(
                "{{\"level\":\"info\",\"ts\":\"2026-11-21T10:00:{:02}.456Z\",\"msg\":\"token review done\",\"request_id\":\"{id}\",\"auth\":\"webhook\",\"token_type\":\"Bearer\",\"status\":200}}\n",
                n % 60
            ),
            2 => format!(
                "I1121 10:00:{:02}.000000       1 reflector.go:368] Caches populated for *v1.Secret from k8s.io/client-go/informers/factory.go:160 key=kube-system/{id}\n",
                n % 60
            ),
            3 => format!(
                "2026-11-21T10:00:{:02}Z INFO kms_core::service: decryption finished request_id={id} key_id={id} epoch_id=1 tokens_used={} peer=core-{}.example.com:50001\n",
                n % 60,
                n % 99,
                n % 13
            ),
            4 => format!(
                "10.0.{}.{} - - [21/Nov/2026:10:00:{:02} +0000] \"GET /api/v1/namespaces/default/pods?limit=500&resourceVersion=0 HTTP/1.1\" 200 {} \"-\" \"kubectl/v1.32.0 (linux/amd64) kubernetes/{id}\"\n",
                n % 255,
                n % 251,
                n % 60,
                n % 90_000
            ),
            _ => format!(
                "{{\"level\":\"debug\",\"msg\":\"access granted to session\",\"image\":\"registry.example.com/kms/core@sha256:{id}{id}\",\"path\":\"/var/lib/kubelet/pods/{id}/volumes\",\"secretName\":\"tls-{}\"}}\n",
                n % 13
            ),
        };
        out.extend_from_slice(line.as_bytes());
        if n.is_multiple_of(1_000) {
            out.extend_from_slice(
                format!("level=error msg=\"login failed\" password=Pw{id} url=postgres://u:{id}@db/kms\n").as_bytes(),
            );
        }
    }
    out
}

/// Seconds of processor time of this thread, which other work on the machine disturbs least; the clock where the
/// system does not tell.
fn seconds(start: Instant) -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = stat.split(' ').next().and_then(|n| n.parse::<f64>().ok());
    spent.map_or_else(|| start.elapsed().as_secs_f64(), |nanos| nanos / 1e9)
}

/// Best of five, in MB/s.
fn speed(name: &str, bytes: usize, mut run: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    let start = Instant::now();
    for _ in 0..5 {
        let before = seconds(start);
        run();
        best = best.min(seconds(start) - before);
    }
    let speed = bytes as f64 / best / 1e6;
    println!("{name:<34} {speed:>9.0} MB/s");
    speed
}

fn main() {
    let log = log();
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let mut out = Redacted::buffer();
    let engine = speed("engine, text", log.len(), || {
        out.clear();
        let mut stream = redactor.stream("bench.log", Format::Text);
        for chunk in log.chunks(128 << 10) {
            out.clear();
            stream.push(chunk, &mut out).unwrap();
        }
        stream.finish(&mut out).unwrap();
    });
    speed("engine, JSON walker on", log.len(), || {
        let mut stream = redactor.stream("bench.json", Format::Json);
        for chunk in log.chunks(128 << 10) {
            out.clear();
            stream.push(chunk, &mut out).unwrap();
        }
        stream.finish(&mut out).unwrap();
    });
    let mut copy = vec![0_u8; log.len()];
    let memcpy = speed("memcpy", log.len(), || {
        copy.copy_from_slice(std::hint::black_box(&log));
        std::hint::black_box(&mut copy);
    });
    let plain = regex::bytes::Regex::new(r"(?i)(?:password|passwd|secret|token|api_?key)\W{1,4}\S+").unwrap();
    let part = &log[..log.len() / 8];
    let regex = speed("one regular expression", part.len(), || {
        std::hint::black_box(plain.find_iter(std::hint::black_box(part)).count());
    });
    println!("engine / memcpy = {:.2}, engine / one regular expression = {:.1}", engine / memcpy, engine / regex);
}
