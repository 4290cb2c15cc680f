//! Memory of the redaction.

/// Peak memory of the command while one endless line goes through it; `CASEFILE_LINE_MIB` says how long it is.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "writes hundreds of megabytes"]
fn long_lines_need_little_memory() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_casefile"))
        .args(["redact", "-", "-o", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let piece = "{\"level\":\"info\",\"password\":\"Hunter2xyz\",\"n\":1},".repeat(20_000);
    let mut stdin = child.stdin.take().unwrap();
    let mebibytes = std::env::var("CASEFILE_LINE_MIB").ok().and_then(|n| n.parse().ok()).unwrap_or(64);
    for _ in 0..(mebibytes << 20) / piece.len() {
        stdin.write_all(piece.as_bytes()).unwrap();
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find(|l| l.starts_with("VmHWM")).unwrap().to_owned();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    let kib: u64 = peak.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib <= 64 << 10, "{peak}");
}
