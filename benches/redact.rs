//! Speed and memory of redaction: the engine on contents of several kinds beside a copy and gzip of the same bytes in the
//! same run, with the built-in rules and with twice as many; and the most memory that hostile shapes need.
//!
//! `cargo bench --bench redact -- memory` measures memory only, each shape in a process of its own.
#![expect(clippy::print_stdout, reason = "a benchmark reports on the terminal")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};

/// Bytes of each content.
const SIZE: usize = 32 << 20;
/// Bytes of one push: what a connection gives at once.
const PUSH: usize = 64 << 10;

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ self.0 >> 29
    }

    fn hex(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }
}

/// Repeats a part until there is enough.
fn fill(mut part: impl FnMut(u64, &mut Random, &mut String)) -> Vec<u8> {
    let (mut out, mut random) = (String::with_capacity(SIZE + 8_192), Random(1));
    let mut n = 0;
    while out.len() < SIZE {
        n += 1;
        part(n, &mut random, &mut out);
    }
    out.into_bytes()
}

/// What a pod of a threshold key service logs; one line in a thousand has a secret.
fn pod_log() -> Vec<u8> {
    fill(|n, random, out| {
        let (s, id) = (n % 60, random.hex());
        let _ = match n % 6 {
            0 => writeln!(
                out,
                "2026-11-21T10:00:{s:02}.123456Z  INFO kms_core::threshold: decryption finished request_id={id} key_id={id} epoch_id=1 tokens_used={} peer=core-{}.example.com:50001",
                n % 99,
                n % 13
            ),
            1 => writeln!(
                out,
                "2026-11-21T10:00:{s:02}.223456Z DEBUG request{{request_id={id} session_id={}}}: kms_grpc::rpc: sending message round={} party=4 bytes=16384",
                n % 7,
                n % 11
            ),
            2 => writeln!(
                out,
                "I1121 10:00:{s:02}.000000       1 reflector.go:368] Caches populated for *v1.Secret from k8s.io/client-go/informers/factory.go:160 key=kube-system/{id}"
            ),
            3 => writeln!(
                out,
                "2026-11-21T10:00:{s:02}.323456Z  WARN kms_lib::engine::keys: key share of session {id} is late, public key digest 0x{id}{id}"
            ),
            4 => writeln!(
                out,
                "10.0.{}.{} - - [21/Nov/2026:10:00:{s:02} +0000] \"GET /api/v1/namespaces/default/pods?limit=500&resourceVersion=0 HTTP/1.1\" 200 {} \"-\" \"kubectl/v1.32.0 (linux/amd64) kubernetes/{id}\"",
                n % 255,
                n % 251,
                n % 90_000
            ),
            _ => writeln!(
                out,
                "2026-11-21T10:00:{s:02}.423456Z  INFO kms_connector::tx: transaction sent, nonce={n} hash=0x{id}{id} gas_used={} endpoint=https://rpc.example.com:8545/",
                n % 90_000
            ),
        };
        if n % 1_000 == 0 {
            let _ = writeln!(out, "level=error msg=\"login failed\" password=Pw{id} url=postgres://u:{id}@db/kms");
        }
    })
}

/// What a controller logs, in JSON; half of the lines have words such as `token`.
fn controller_log() -> Vec<u8> {
    fill(|n, random, out| {
        let (s, id) = (n % 60, random.hex());
        let _ = match n % 3 {
            0 => writeln!(
                out,
                "{{\"level\":\"info\",\"ts\":\"2026-11-21T10:00:{s:02}.123Z\",\"logger\":\"controller\",\"msg\":\"reconciled object\",\"namespace\":\"kms-threshold\",\"name\":\"core-{}\",\"uid\":\"{id}\",\"duration_ms\":{}}}",
                n % 13,
                n % 997
            ),
            1 => writeln!(
                out,
                "{{\"level\":\"info\",\"ts\":\"2026-11-21T10:00:{s:02}.456Z\",\"msg\":\"token review done\",\"request_id\":\"{id}\",\"auth\":\"webhook\",\"token_type\":\"Bearer\",\"status\":200}}"
            ),
            _ => writeln!(
                out,
                "{{\"level\":\"debug\",\"msg\":\"access granted to session\",\"image\":\"registry.example.com/kms/core@sha256:{id}{id}\",\"path\":\"/var/lib/kubelet/pods/{id}/volumes\",\"secretName\":\"tls-{}\"}}",
                n % 13
            ),
        };
        if n % 1_000 == 0 {
            let _ = writeln!(out, "{{\"level\":\"error\",\"msg\":\"login failed\",\"password\":\"Pw{id}\"}}");
        }
    })
}

/// One pod as the API server writes it.
fn pod(n: u64, random: &mut Random, out: &mut String) {
    let (a, b) = (random.hex(), random.hex());
    let _ = write!(
        out,
        "{{\"metadata\":{{\"name\":\"core-{n}\",\"namespace\":\"kms-threshold\",\"uid\":\"{a}\",\"resourceVersion\":\"{n}\",\"creationTimestamp\":\"2026-11-21T10:00:00Z\",\"labels\":{{\"app.kubernetes.io/name\":\"kms-core\",\"apps.kubernetes.io/pod-index\":\"{}\",\"controller-revision-hash\":\"core-{}\"}},\"ownerReferences\":[{{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"name\":\"core\",\"uid\":\"{b}\",\"controller\":true,\"blockOwnerDeletion\":true}}]}},\"spec\":{{\"volumes\":[{{\"name\":\"keys\",\"persistentVolumeClaim\":{{\"claimName\":\"keys-{n}\"}}}},{{\"name\":\"kube-api-access-{}\",\"projected\":{{\"sources\":[{{\"serviceAccountToken\":{{\"expirationSeconds\":3607,\"path\":\"token\"}}}},{{\"configMap\":{{\"name\":\"kube-root-ca.crt\",\"items\":[{{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}}]}}}}],\"defaultMode\":420}}}}],\"containers\":[{{\"name\":\"core\",\"image\":\"registry.example.com/kms/core-service:v0.13.0\",\"args\":[\"--config-file\",\"/app/kms/config/core.toml\"],\"ports\":[{{\"name\":\"grpc\",\"containerPort\":50100,\"protocol\":\"TCP\"}},{{\"name\":\"metrics\",\"containerPort\":9646,\"protocol\":\"TCP\"}}],\"env\":[{{\"name\":\"RUST_LOG\",\"value\":\"info\"}},{{\"name\":\"DB_PASSWORD\",\"valueFrom\":{{\"secretKeyRef\":{{\"name\":\"db\",\"key\":\"password\"}}}}}},{{\"name\":\"KMS_PARTY\",\"value\":\"{}\"}}],\"resources\":{{\"limits\":{{\"cpu\":\"16\",\"memory\":\"64Gi\"}},\"requests\":{{\"cpu\":\"4\",\"memory\":\"16Gi\"}}}},\"volumeMounts\":[{{\"name\":\"keys\",\"mountPath\":\"/app/kms/keys\"}},{{\"name\":\"kube-api-access\",\"readOnly\":true,\"mountPath\":\"/var/run/secrets/kubernetes.io/serviceaccount\"}}],\"terminationMessagePath\":\"/dev/termination-log\",\"imagePullPolicy\":\"IfNotPresent\"}}],\"restartPolicy\":\"Always\",\"dnsPolicy\":\"ClusterFirst\",\"nodeName\":\"node-{}\"}},\"status\":{{\"phase\":\"Running\",\"conditions\":[{{\"type\":\"Ready\",\"status\":\"True\",\"lastProbeTime\":null,\"lastTransitionTime\":\"2026-11-21T10:00:09Z\"}}],\"podIP\":\"10.42.0.{}\",\"containerStatuses\":[{{\"name\":\"core\",\"ready\":true,\"restartCount\":{},\"imageID\":\"registry.example.com/kms/core-service@sha256:{a}{b}\",\"containerID\":\"containerd://{b}{a}\",\"state\":{{\"running\":{{\"startedAt\":\"2026-11-21T10:00:08Z\"}}}}}}]}}}}",
        n % 13,
        &a[..10],
        &b[..5],
        n % 13,
        n % 40,
        n % 250,
        n % 3
    );
}

fn objects() -> Vec<u8> {
    fill(|n, random, out| {
        pod(n, random, out);
        out.push('\n');
    })
}

/// One document on one line.
fn one_line() -> Vec<u8> {
    let mut all = fill(|n, random, out| {
        out.push_str(if n == 1 { "{\"kind\":\"PodList\",\"items\":[" } else { "," });
        pod(n, random, out);
    });
    all.extend_from_slice(b"]}\n");
    all
}

fn yaml() -> Vec<u8> {
    fill(|n, random, out| {
        let id = random.hex();
        let _ = write!(
            out,
            "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: core-{n}\n  namespace: kms-threshold\n  uid: {id}\n  labels:\n    app.kubernetes.io/name: kms-core\n  annotations:\n    checksum/config: {id}{id}\nspec:\n  clusterIP: 10.43.0.{}\n  ports:\n    - name: grpc\n      port: 50100\n      targetPort: grpc\n  selector:\n    apps.kubernetes.io/pod-index: \"{}\"\n  sessionAffinity: None\n  type: ClusterIP\n",
            n % 250,
            n % 13
        );
    })
}

/// Lines of base64 that is no text.
fn base64() -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    fill(|_, random, out| {
        out.extend((0..76).map(|_| char::from(LETTERS[(random.next() >> 20) as usize % 64])));
        out.push('\n');
    })
}

fn binary() -> Vec<u8> {
    let mut random = Random(3);
    (0..SIZE / 8).flat_map(|_| (random.next() ^ random.next() << 32).to_le_bytes()).collect()
}

/// Seconds of processor time of this thread, which other work on the machine disturbs least; the clock where the
/// system does not tell.
fn seconds(start: Instant) -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = stat.split(' ').next().and_then(|n| n.parse::<f64>().ok());
    spent.map_or_else(|| start.elapsed().as_secs_f64(), |nanos| nanos / 1e9)
}

/// Best of five, in MB/s. The system counts in ticks, so each measurement takes some of them.
fn speed(bytes: usize, mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut best = 0_f64;
    for _ in 0..5 {
        let (before, mut runs, mut spent) = (seconds(start), 0_u32, 0.0);
        while spent < 0.05 {
            run();
            runs += 1;
            spent = seconds(start) - before;
        }
        best = best.max(bytes as f64 * f64::from(runs) / spent / 1e6);
    }
    best
}

fn engine(redactor: &Redactor, format: Format, content: &[u8]) -> f64 {
    let mut out = Redacted::buffer();
    speed(content.len(), || {
        let mut stream = redactor.stream("bench", format);
        for chunk in content.chunks(PUSH) {
            out.clear();
            stream.push(chunk, &mut out).unwrap();
        }
        stream.finish(&mut out).unwrap();
    })
}

fn sanitiser(redactor: &Redactor, content: &[u8]) -> f64 {
    let content = &content[..content.len() / 8];
    let content = &content[..=content.iter().rposition(|b| *b == b'\n').unwrap()];
    let mut out = Redacted::buffer();
    speed(content.len(), || {
        let mut list = redactor.objects("bench", "v1", "Pod");
        for object in content.split(|b| *b == b'\n').filter(|o| !o.is_empty()) {
            out.clear();
            list.push(object, &mut out);
        }
        list.finish(&mut out);
    })
}

fn gzip(content: &[u8]) -> f64 {
    let part = &content[..content.len() / 8];
    speed(part.len(), || {
        let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(part.len()), flate2::Compression::new(6));
        encoder.write_all(part).unwrap();
        std::hint::black_box(encoder.finish().unwrap());
    })
}

fn copy(content: &[u8]) -> f64 {
    let mut copy = vec![0_u8; content.len()];
    speed(content.len(), || {
        copy.copy_from_slice(std::hint::black_box(content));
        std::hint::black_box(&mut copy);
    })
}

/// As many rules again as there are: made-up vendors with prefixes like those of real ones.
fn doubled(builtin: usize) -> Redactor {
    let mut text = String::from("schema = 1\n");
    let mut random = Random(5);
    for n in 0..builtin {
        let word: String = (0..4).map(|_| char::from(b'a' + (random.next() >> 13) as u8 % 26)).collect();
        let _ = write!(
            text,
            "[[rule]]\nid = \"made-up-{n}\"\nkind = \"token\"\ndescription = \"made up\"\nanchors = [\"{word}_{}\", \"{word}-{}\"]\nrun = {{ class = \"A-Za-z0-9\", min = 20 }}\nexamples = [\"{word}_{}{{A-Za-z0-9:32}}\"]\n",
            n % 10,
            n % 7,
            n % 10
        );
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("more.toml"), text).unwrap();
    Redactor::builder(CorrelationKey::from_bytes([7; 32])).with_rules(dir.path()).build().unwrap()
}

fn speeds() {
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let more = doubled(redactor.rules().len());
    println!("{} rules; with more: {}", redactor.rules().len(), more.rules().len());
    println!(
        "{:<28}{:>8}{:>10}{:>10}{:>14}{:>9}",
        "MB/s of one core", "engine", "/ memcpy", "/ gzip -6", "twice the rules", "loss"
    );
    let row = |name: &str, format: Format, content: &[u8]| {
        let (speed, twice) = (engine(&redactor, format, content), engine(&more, format, content));
        let (copy, gzip) = (copy(content), gzip(content));
        println!(
            "{name:<28}{speed:>8.0}{:>10.3}{:>10.1}{twice:>14.0}{:>8.0}%",
            speed / copy,
            speed / gzip,
            (1.0 - twice / speed) * 100.0
        );
    };
    let log = pod_log();
    row("pod log", Format::Text, &log);
    drop(log);
    let log = controller_log();
    row("controller log as text", Format::Text, &log);
    row("controller log as JSON", Format::Json, &log);
    drop(log);
    let pods = objects();
    row("objects, one a line", Format::Json, &pods);
    let (speed, gzip) = (sanitiser(&redactor, &pods), gzip(&pods));
    println!("{:<28}{speed:>8.0}{:>10}{:>10.1}", "objects, sanitised by type", "", speed / gzip);
    row("objects, all on one line", Format::Json, &one_line());
    row("YAML", Format::Yaml, &yaml());
    row("base64", Format::Text, &base64());
    row("random bytes", Format::Text, &binary());
}

/// Pushes one hostile shape, made on the way, and prints the most memory that the process had.
fn shape(name: &str) {
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let mut out = Redacted::buffer();
    let format = if name.starts_with("json") { Format::Json } else { Format::Text };
    let mut stream = redactor.stream("bench", format);
    let mut push = |bytes: &[u8]| {
        out.clear();
        // A refusal is an answer, too: the sink makes a stub of it.
        stream.push(bytes, &mut out).is_ok()
    };
    let piece = match name {
        "log" => {
            "2026-11-21T10:00:00Z INFO kms_core: done request_id=0af3 tokens_used=5 password=Pw0aQ93kd8\n".repeat(700)
        }
        "line" => "word 0123456789abcdef, token: x; ".repeat(2_000),
        "line-one-token" => "a9Z".repeat(21_846),
        "json-line" => "{\"a\":{\"name\":\"x\",\"value\":\"0123456789\"},\"token\":\"abcdefgh1\"},".repeat(1_000),
        "json-string" => "0123456789abcdef\\n".repeat(3_600),
        _ => "{\"a\":[".repeat(4_900),
    };
    if name == "json-string" {
        push(b"{\"password\":\"");
    }
    let total: u64 = if name == "json-nested" { 40_000 } else { 1 << 30 };
    let mut done = 0;
    while done < total && push(piece.as_bytes()) {
        done += piece.len() as u64;
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or(" unknown").trim();
    println!("{name:<28}{:>8} MB pushed, most memory {peak}", done / 1_000_000);
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["shape", name] => shape(name),
        rest => {
            if !rest.contains(&"memory") {
                speeds();
            }
            for name in ["log", "line", "line-one-token", "json-line", "json-string", "json-nested"] {
                let exe = std::env::current_exe().unwrap();
                let status = std::process::Command::new(exe).args(["shape", name]).status().unwrap();
                assert!(status.success(), "{name} failed");
            }
        }
    }
}
