//! Runs the real program, as a person would.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use casefile::bundle::{self, Store};
use casefile::model::Manifest;
use casefile::triage::Triage;

use super::cluster::Cluster;

/// One call of the program in a directory of its own.
pub(crate) struct Casefile {
    dir: tempfile::TempDir,
    args: Vec<String>,
    envs: Vec<(String, String)>,
    stdin: Option<Vec<u8>>,
    through: Vec<String>,
}

impl Casefile {
    /// A call with these arguments. The environment is empty but for `PATH` and `HOME`, so that no kubeconfig of the
    /// machine is found.
    pub(crate) fn new(args: &[&str]) -> Self {
        let args = args.iter().map(|a| (*a).to_owned()).collect();
        Self { dir: tempfile::tempdir().unwrap(), args, envs: Vec::new(), stdin: None, through: Vec::new() }
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<Path>) -> Self {
        self.args.push(arg.as_ref().to_string_lossy().into_owned());
        self
    }

    /// Adds arguments.
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|a| (*a).to_owned()));
        self
    }

    /// Looks at this cluster with the profile of a KMS, but does not wait between the scrapes of metrics, because what is
    /// recorded does not change, and asks no name server of the world.
    pub(crate) fn over_kms(self, cluster: &Cluster) -> Self {
        let dns = format!("dns_server={}", cluster.dns());
        self.env("KUBECONFIG", cluster.kubeconfig()).args(&["--set", "metrics_interval=10ms", "--set", &dns])
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.envs.push((name.to_owned(), value.as_ref().to_string_lossy().into_owned()));
        self
    }

    /// Gives the program this standard input.
    pub(crate) fn stdin(mut self, bytes: &[u8]) -> Self {
        self.stdin = Some(bytes.to_vec());
        self
    }

    /// Lets another program start it: the words of that program before its own.
    pub(crate) fn through(mut self, words: &[&str]) -> Self {
        self.through.extend(words.iter().map(|w| (*w).to_owned()));
        self
    }

    /// The directory that the program runs in.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self) -> Command {
        let own = env!("CARGO_BIN_EXE_casefile");
        let mut command = Command::new(self.through.first().map_or(own, String::as_str));
        if let Some(rest) = self.through.get(1..) {
            command.args(rest).arg(own);
        }
        command
            .args(&self.args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            // Nothing of a test may leave the machine: no metadata service, and no object store but those of the test itself.
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
            .envs(self.envs.iter().map(|(k, v)| (k, v)))
            .stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs to the end.
    pub(crate) fn run(self) -> Ran {
        let mut child = self.command().spawn().unwrap();
        if let Some(bytes) = &self.stdin {
            use std::io::Write;
            // A program that refuses its arguments closes the pipe; that is its right.
            let _ = child.stdin.take().unwrap().write_all(bytes);
        }
        let output = child.wait_with_output().unwrap();
        Ran { dir: self.dir, output }
    }

    /// Starts, for tests that send signals.
    pub(crate) fn start(self) -> Started {
        Started { child: self.command().spawn().unwrap(), dir: self.dir }
    }
}

/// A program that runs.
pub(crate) struct Started {
    child: Child,
    dir: tempfile::TempDir,
}

impl Started {
    /// Waits until something is true, for at most a minute.
    pub(crate) fn wait_until(&self, what: &str, mut is_true: impl FnMut(&Path) -> bool) {
        let begun = Instant::now();
        while !is_true(self.dir.path()) {
            assert!(begun.elapsed() < Duration::from_secs(60), "waited for a minute: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end; the second is the largest resident size on the way in KiB, 0 where the system does not tell.
    pub(crate) fn finish_measured(mut self) -> (Ran, u64) {
        let status = format!("/proc/{}/status", self.child.id());
        let mut peak = 0;
        // Its output is shorter than a pipe holds, so it does not wait for a reader.
        while self.child.try_wait().unwrap().is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
            let kib = line.and_then(|l| l.split_ascii_whitespace().next()).and_then(|n| n.parse().ok());
            peak = peak.max(kib.unwrap_or(0));
            std::thread::sleep(Duration::from_millis(5));
        }
        (self.finish(), peak)
    }

    /// Waits for the end.
    pub(crate) fn finish(self) -> Ran {
        Ran { output: self.child.wait_with_output().unwrap(), dir: self.dir }
    }
}

/// A program that ended.
pub(crate) struct Ran {
    dir: tempfile::TempDir,
    output: Output,
}

impl Ran {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    pub(crate) fn stdout_bytes(&self) -> &[u8] {
        &self.output.stdout
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(
            self.output.status.code(),
            Some(code),
            "exit code\n--- stdout\n{}\n--- stderr\n{}",
            String::from_utf8_lossy(&self.output.stdout),
            self.stderr()
        );
        self
    }

    /// Asserts that stderr holds a text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr().contains(text), "stderr does not say {text:?}:\n{}", self.stderr());
        self
    }

    /// All archives in the directory.
    pub(crate) fn archives(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = std::fs::read_dir(self.dir.path())
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.to_string_lossy().ends_with(".tar.gz"))
            .collect();
        found.sort();
        found
    }

    /// The one archive in the directory.
    #[track_caller]
    pub(crate) fn archive(&self) -> PathBuf {
        let mut archives = self.archives();
        assert_eq!(archives.len(), 1, "one archive\n--- stderr\n{}", self.stderr());
        archives.remove(0)
    }

    /// The one bundle, opened.
    #[track_caller]
    pub(crate) fn bundle(&self) -> Bundle {
        Bundle::open(&self.archive())
    }
}

/// An opened bundle.
pub(crate) struct Bundle {
    pub(crate) store: Box<dyn Store>,
    pub(crate) manifest: Manifest,
}

impl Bundle {
    #[track_caller]
    pub(crate) fn open(path: &Path) -> Self {
        let store = bundle::open(path).unwrap();
        let manifest = serde_json::from_slice(&store.read("manifest.json", 64 << 20).unwrap()).unwrap();
        Self { store, manifest }
    }

    #[track_caller]
    pub(crate) fn text(&self, path: &str) -> String {
        String::from_utf8_lossy(&self.store.read(path, 64 << 20).unwrap()).into_owned()
    }

    #[track_caller]
    pub(crate) fn triage(&self) -> Triage {
        serde_json::from_str(&self.text("triage.json")).unwrap()
    }

    /// The outcome of one item.
    #[track_caller]
    pub(crate) fn outcome(&self, item: &str) -> String {
        let found: Vec<_> = self.manifest.ledger.iter().filter(|e| e.item.as_str() == item).collect();
        assert_eq!(found.len(), 1, "{item} has exactly one entry");
        found[0].outcome.to_string()
    }

    /// Every byte of every file, and every path, for searching.
    pub(crate) fn everything(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for entry in self.store.entries() {
            all.extend_from_slice(entry.path.as_bytes());
            all.push(b'\n');
            all.extend_from_slice(&self.store.read(&entry.path, 1 << 30).unwrap());
            all.push(b'\n');
        }
        all
    }
}
