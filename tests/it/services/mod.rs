//! Services beside a cluster, through the real program: against small servers that answer what the real ones answer, against
//! servers that misbehave, and (ignored by a plain run, started by `.ci/run`) against the real ones.

mod alerts;
mod bad;
mod checklist;
mod detection;
mod engine;
pub(crate) mod fake;
mod incidents;
mod monitoring;
mod nodes;
mod real;
mod stack;
mod tls;

use std::path::Path;

use crate::support::cli::{Bundle, Casefile, Ran};

/// A run of `collect` with a profile that has these tables.
pub(crate) struct Run {
    dir: tempfile::TempDir,
    args: Vec<String>,
    envs: Vec<(String, String)>,
    timeout: &'static str,
    through: &'static [&'static str],
}

impl Run {
    /// A profile with these tables, and only its services.
    pub(crate) fn new(tables: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let head = "schema = 1\nid = \"services-test\"\ntitle = \"T\"\nprefix = \"t\"\n";
        std::fs::write(dir.path().join("profile.toml"), format!("{head}{tables}")).unwrap();
        Self { dir, args: Vec::new(), envs: Vec::new(), timeout: "6s", through: &[] }
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.args.extend(["--set".to_owned(), format!("{name}={value}")]);
        self
    }

    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.envs.push((name.to_owned(), value.as_ref().to_string_lossy().into_owned()));
        self
    }

    /// Gives requests a minute, for real servers on a busy machine.
    pub(crate) fn patient(mut self) -> Self {
        self.timeout = "60s";
        self
    }

    /// Takes the right of root away to open what its mode forbids. Others never have it.
    pub(crate) fn without_override(mut self) -> Self {
        if rustix::process::geteuid().is_root() {
            self.through = &["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"];
        }
        self
    }

    /// Runs it; requests have six seconds.
    pub(crate) fn run(self) -> Ran {
        let call =
            Casefile::new(&["collect", "--no-progress", "--only", "services/*", "--request-timeout", self.timeout]);
        let call = call.arg("--profile").arg(self.dir.path()).through(self.through);
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        self.envs.iter().fold(call.args(&args), |call, (name, value)| call.env(name, value)).run()
    }
}

/// The reason of an item in the ledger.
#[track_caller]
pub(crate) fn reason(bundle: &Bundle, item: &str) -> String {
    let entry = bundle.manifest.ledger.iter().find(|e| e.item.as_str() == item);
    entry.unwrap_or_else(|| panic!("{item} is not in the ledger")).reason.clone().unwrap_or_default()
}

/// Asserts that none of these values is anywhere in the bundle.
#[track_caller]
pub(crate) fn assert_absent(bundle: &Bundle, values: &[&str]) {
    let all = bundle.everything();
    for value in values {
        let found = memchr::memmem::find(&all, value.as_bytes());
        if let Some(at) = found {
            let around = &all[at.saturating_sub(200)..(at + 100).min(all.len())];
            panic!("{value} is in the bundle: {}", String::from_utf8_lossy(around));
        }
    }
}

/// A JSON document of the bundle.
#[track_caller]
pub(crate) fn json(bundle: &Bundle, path: &str) -> serde_json::Value {
    serde_json::from_str(&bundle.text(path)).unwrap_or_else(|e| panic!("{path} is not JSON: {e}"))
}
