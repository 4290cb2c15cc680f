//! What the process itself leaves behind: panics, core dumps.

use crate::support::cli::Casefile;

/// A made-up password.
const SECRET: &str = "Hunter2xyz9Q";

/// The program panics on request in builds with debug assertions, at two places: before it has a log, and with one.
#[cfg(debug_assertions)]
#[test]
fn a_panic_of_the_program_prints_no_secret() {
    for place in ["start", "log"] {
        let ran = Casefile::new(&["collect", "--only", "host/system", "--no-progress", "-vv"])
            .env("CASEFILE_REHEARSE_PANIC", format!("{place}:while reading password={SECRET}"))
            .run();
        let (stdout, stderr) = (ran.stdout(), ran.stderr());
        assert!(!stdout.contains("Hunter2") && !stderr.contains("Hunter2"), "{place}: {stdout}{stderr}");
        assert!(stderr.contains("panic"), "{place}: {stderr}");
        assert!(ran.archives().is_empty(), "{place}");
    }
    // The variable says nothing where it names no place.
    Casefile::new(&["redact", "rules", "list"]).env("CASEFILE_REHEARSE_PANIC", "nowhere:x").run().code(0);
}

#[cfg(target_os = "linux")]
#[test]
fn core_dumps_are_off_while_it_runs() {
    use std::process::{Command, Stdio};
    use std::time::Duration;
    // The limit of the child is its own work only where this process has another one.
    let hard = |limits: &str| {
        let line = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap().to_owned();
        line.split_whitespace().skip(4).take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let own = hard(&std::fs::read_to_string("/proc/self/limits").unwrap());
    assert_ne!(own[1], "0", "run this test without a hard limit on core files: ulimit -Hc unlimited");
    let mut child = Command::new(env!("CARGO_BIN_EXE_casefile"))
        .args(["redact", "-", "-o", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let path = format!("/proc/{}/limits", child.id());
    let mut seen = Vec::new();
    for _ in 0..600 {
        seen = hard(&std::fs::read_to_string(&path).unwrap());
        if seen == ["0", "0"] {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(child.stdin.take());
    let _ = child.wait();
    assert_eq!(seen, ["0", "0"]);
}
