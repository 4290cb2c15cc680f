//! `casefile serve` as a program.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::recorded;

#[test]
fn it_prints_where_it_listens_and_cleans_up() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_casefile"))
        .args(["serve", "--quiet"])
        .arg(recorded())
        .arg(recorded())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap()).lines().take(3).map(Result::unwrap).collect();
    assert!(lines[0].starts_with("http://127.0.0.1:") && lines[0].ends_with("(context recorded)"), "{lines:?}");
    assert!(lines[1].ends_with("(context recorded-2)"), "{lines:?}");
    let kubeconfig = lines[2].strip_prefix("export KUBECONFIG=").unwrap().to_owned();
    let config = kube::config::Kubeconfig::read_from(&kubeconfig).unwrap();
    assert_eq!(config.contexts.len(), 2);
    assert_eq!(config.current_context.as_deref(), Some("recorded"));
    let namespace = config.contexts[0].context.as_ref().unwrap().namespace.clone();
    assert_eq!(namespace.as_deref(), Some("kms-decentralized"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&kubeconfig).unwrap().permissions().mode() & 0o777, 0o600);
        let id = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success());
        assert!(!std::path::Path::new(&kubeconfig).exists());
    }
    #[cfg(not(unix))]
    child.kill().unwrap();
}

#[test]
fn what_is_no_bundle_is_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_casefile")).args(["serve", "/no/such/bundle"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot serve /no/such/bundle"));
    let usage = Command::new(env!("CARGO_BIN_EXE_casefile")).arg("serve").output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
}
