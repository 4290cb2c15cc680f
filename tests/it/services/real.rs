//! The real servers, from the distribution's packages, on loopback with data directories of their own.
//!
//! `.ci/run` installs them and runs this group; a plain `cargo test` leaves it out and counts it as ignored. A server that is
//! missing fails the test.

mod etcd;
mod monitoring;
mod podman;
mod postgres;

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A server that is killed at the end of its test.
pub(super) struct Server {
    child: Child,
    name: String,
    log: std::path::PathBuf,
}

impl Server {
    /// Starts a program; its output goes into `<dir>/<name>.log`.
    #[track_caller]
    pub(super) fn start(dir: &Path, name: &str, mut command: Command) -> Self {
        let log = dir.join(format!("{name}.log"));
        let file = std::fs::File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("{name} cannot be started: {e}; install its package: .ci/run has the list"));
        Self { child, name: name.to_owned(), log }
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for at most a minute.
    #[track_caller]
    pub(super) fn until(&mut self, what: &str, mut is_true: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_true() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended ({status}) before {what}:\n{}", self.name, self.log());
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{}: {what}:\n{}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[track_caller]
    pub(super) fn until_port(&mut self, port: u16) {
        self.until("its port is open", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    pub(super) fn stop(&mut self) {
        // SIGTERM lets PostgreSQL and etcd release their files; what does not end is killed.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let begun = Instant::now();
        while self.child.try_wait().ok().flatten().is_none() {
            if begun.elapsed() > Duration::from_secs(10) {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The same command with an end: it is killed after this time, so that no test hangs.
fn bounded(command: &Command, seconds: u32) -> Command {
    let mut bounded = Command::new("timeout");
    bounded.args(["--kill-after=5", &seconds.to_string()]).arg(command.get_program()).args(command.get_args());
    bounded.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = command.get_current_dir() {
        bounded.current_dir(dir);
    }
    bounded.stdin(Stdio::null());
    bounded
}

/// What a program says and how it ends, within two minutes.
#[track_caller]
fn output(command: &Command) -> Output {
    let output = bounded(command, 120).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let code = output.status.code();
    // 137 is also how a container ends that the kernel killed.
    assert!(code != Some(124), "{command:?} takes longer than two minutes");
    assert!(code != Some(127), "{command:?} cannot be started; .ci/run has the list of packages");
    output
}

/// Runs a program to its end, which has to be a good one.
#[track_caller]
pub(super) fn run(command: &Command) -> String {
    let output = output(command);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}:\n{text}");
    text
}
