//! The commands here are those that every POSIX system has.

use super::*;

fn sh(script: &str, deadline: Duration) -> CommandLine {
    CommandLine::new(&HostRoots::default(), deadline, "sh", ["-c", script])
}

const LONG: Duration = Duration::from_secs(30);

fn alive(pid: &str) -> bool {
    // A zombie is dead for us: nobody has reaped it yet.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

async fn gone(pid: &str) -> bool {
    for _ in 0..100 {
        if !alive(pid) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

#[tokio::test]
async fn output_exit_code_and_complaint_come_back() {
    let (ended, out) = sh("printf 'a\\000\\377b'; echo trouble >&2; exit 3", LONG).capture(100).await.unwrap();
    assert_eq!(out, b"a\0\xffb");
    assert_eq!(ended.status.unwrap().code(), Some(3));
    assert!(!ended.success());
    assert!(ended.complaint().starts_with("trouble (exit status: 3"), "{}", ended.complaint());
}

#[tokio::test]
async fn the_environment_is_not_handed_on() {
    let (_, out) = sh("env", LONG).capture(10_000).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    for line in text.lines() {
        let name = line.split('=').next().unwrap();
        assert!(["PATH", "LANG", "LC_ALL", "TZ", "PWD", "SHLVL", "_", "OLDPWD"].contains(&name), "{line}");
    }
    assert!(text.contains("LC_ALL=C"));
}

#[tokio::test]
async fn large_output_is_cut_and_the_writer_stopped() {
    let (ended, out) = sh("echo $$ >&2; exec head -c 100000000 /dev/zero", LONG).capture(1 << 20).await.unwrap();
    assert_eq!(out.len(), 1 << 20);
    assert!(ended.bytes < 10_000_000, "read {} bytes", ended.bytes);
    assert!(ended.status.is_none() && ended.success());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn grandchildren_that_ignore_sigterm_are_gone_after_the_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let script = format!(
        "trap '' TERM INT HUP; (trap '' TERM INT HUP; (sleep 300 & echo $! >> {0}; wait) & echo $! >> {0}; wait) & echo $! >> {0}; wait",
        pids.display()
    );
    let error = sh(&script, Duration::from_millis(1500)).capture(100).await.unwrap_err();
    assert!(matches!(error, CollectError::TimedOut(_)), "{error}");
    let pids = std::fs::read_to_string(pids).unwrap();
    assert_eq!(pids.lines().count(), 3, "{pids:?}");
    for pid in pids.lines() {
        assert!(gone(pid).await, "process {pid} lives on");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_dropped_run_takes_its_group_along() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let script = format!("(trap '' TERM; echo $$ >> {0}; sleep 300 & echo $! >> {0}; wait) & wait", pids.display());
    let command = sh(&script, LONG);
    let run = command.capture(100);
    assert!(tokio::time::timeout(Duration::from_millis(1500), run).await.is_err());
    let pids = std::fs::read_to_string(pids).unwrap();
    assert_eq!(pids.lines().count(), 2, "{pids:?}");
    for pid in pids.lines() {
        assert!(gone(pid).await, "process {pid} lives on");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_left_behind_does_not_hold_the_run() {
    let begun = std::time::Instant::now();
    let (ended, out) = sh("sleep 300 & echo $!", LONG).capture(100).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(15));
    assert!(ended.success());
    assert!(gone(String::from_utf8(out).unwrap().trim()).await);
}

#[tokio::test]
async fn a_missing_program_and_one_that_may_not_run_are_told_apart() {
    let missing = CommandLine::new(&HostRoots::default(), LONG, "casefile-no-such-program", [""; 0]);
    assert!(matches!(missing.capture(1).await, Err(CollectError::NotApplicable(_))));

    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("tool"), "#!/bin/sh\n").unwrap();
    let refused = CommandLine::new(&HostRoots::default(), LONG, dir.path().join("tool").to_str().unwrap(), [""; 0]);
    let error = refused.capture(1).await.unwrap_err();
    assert!(matches!(error, CollectError::Forbidden(_)), "{error}");
}

#[test]
fn hidden_messages_are_a_refusal() {
    let ended = |stderr: &str| Ended { status: None, stderr: stderr.to_owned(), bytes: 0 };
    assert!(ended("Hint: You are currently not seeing messages from other users and the system.").refused());
    assert!(ended("No journal files were opened due to insufficient permissions.").refused());
    assert!(ended("dmesg: read kernel buffer failed: Operation not permitted").refused());
    assert!(!ended("No journal files were found.").refused());
}
