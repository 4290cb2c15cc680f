//! Memory of the redaction, through the real program.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::process::{Child, Command, Stdio};

/// Most memory that a stream may add to that of the program as it starts.
const MOST: u64 = 64 << 10;

fn peak(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Pushes so many bytes through `casefile redact -` and prints what memory that took. The program reads all of them before the memory
/// is looked at, but for what fits into the pipe.
#[track_caller]
fn pushed(name: &str, begin: &str, piece: &str, bytes: u64) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_casefile"))
        .args(["redact", "-", "-o", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(begin.as_bytes()).unwrap();
    stdin.write_all(&piece.as_bytes()[..piece.len().min(4 << 10)]).unwrap();
    let base = peak(&child);
    let mut left = bytes;
    while left > 0 {
        // A document that is refused closes the pipe.
        if stdin.write_all(piece.as_bytes()).is_err() {
            break;
        }
        left = left.saturating_sub(piece.len() as u64);
    }
    let most = peak(&child);
    drop(stdin);
    child.wait().unwrap();
    let pushed = (bytes - left) / 1_000_000;
    let said = format!("{name}: {pushed} MB pushed, VmHWM {most} kB, {base} kB at the start\n");
    let _ = std::io::stderr().write_all(said.as_bytes());
    assert!(most <= base + MOST, "{name}: {most} kB, {base} kB at the start");
}

/// How many mebibytes: as many as the variable says, or the default.
fn mebibytes(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(default) << 20
}

/// One endless line; `CASEFILE_LINE_MIB` says how long it is.
#[test]
#[ignore = "writes a gibibyte"]
fn long_lines_need_little_memory() {
    let bytes = mebibytes("CASEFILE_LINE_MIB", 1 << 10);
    let pairs = "{\"level\":\"info\",\"password\":\"Hunter2xyz\",\"n\":1},".repeat(20_000);
    pushed("a line of objects", "[", &pairs, bytes);
    pushed("a line of one token", "", &"a9Z".repeat(300_000), bytes);
}

/// An endless log; `CASEFILE_STREAM_MIB` says how long it is.
#[test]
#[ignore = "writes ten gigabytes"]
fn long_streams_need_little_memory() {
    let line =
        "2026-11-21T10:00:00Z INFO kms_core: done request_id=0af3 tokens_used=5 password=Pw0aQ93kd8\n".repeat(10_000);
    pushed("a log", "", &line, mebibytes("CASEFILE_STREAM_MIB", 10_000));
}

/// Ten thousand levels, each with a name, and another ten thousand that are refused.
#[test]
fn deep_nesting_needs_little_memory() {
    pushed("nesting", "", &"{\"password\":[".repeat(4_999), 1);
    pushed("too much nesting", "", &"{\"password\":[".repeat(10_000), 1 << 20);
}
