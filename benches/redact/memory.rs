//! The most memory that hostile shapes need.

use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};

/// Names of the shapes.
const SHAPES: [&str; 6] = ["log", "line", "line-one-token", "json-line", "json-string", "json-nested"];

/// Each shape in a process of its own.
pub(crate) fn shapes() {
    for name in SHAPES {
        let exe = std::env::current_exe().unwrap();
        let status = std::process::Command::new(exe).args(["shape", name]).status().unwrap();
        assert!(status.success(), "{name} failed");
    }
}

/// Pushes one hostile shape, made on the way, and prints the most memory that the process had.
pub(crate) fn shape(name: &str) {
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
    let total: u64 = match name {
        "json-nested" => 40_000,
        "log" => 10_000_000_000,
        _ => 1 << 30,
    };
    let mut done = 0;
    while done < total && push(piece.as_bytes()) {
        done += piece.len() as u64;
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or(" unknown").trim();
    println!("{name:<28}{:>8} MB pushed, most memory {peak}", done / 1_000_000);
}
