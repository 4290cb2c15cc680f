//! The item that most host collectors share, and what a gathering function gives.

use std::time::Duration;

use futures::future::BoxFuture;

use super::roots::{self, HostRoots};
use crate::collect::blocking;
use crate::collect::{CollectError, Done, Item, Lane, Sink};
use crate::model::{Effect, ItemId, Outcome};
use crate::redact::Format;

/// What one item is and how it runs.
pub(super) struct About {
    /// Id of the item, and name of the collector.
    pub(super) id: &'static str,
    /// What it does, in one line.
    pub(super) what: &'static str,
    /// What it does to the host.
    pub(super) effect: Effect,
    /// Collects.
    pub(super) run: for<'a> fn(&'a HostRoots, &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>>,
}

/// One item without parameters of its own.
pub(super) struct HostItem {
    id: ItemId,
    about: About,
    roots: HostRoots,
}

impl HostItem {
    pub(super) fn new(about: About, roots: HostRoots) -> Self {
        Self { id: ItemId::new(about.id), about, roots }
    }
}

impl Item for HostItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        self.about.id
    }

    fn describe(&self) -> String {
        self.about.what.to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::State
    }

    fn effect(&self) -> Effect {
        self.about.effect
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        (self.about.run)(&self.roots, sink)
    }
}

/// Small documents that a blocking function read, and what it could not read.
#[derive(Default)]
pub(super) struct Gathered {
    files: Vec<(String, Format, Vec<u8>)>,
    problems: Vec<String>,
    notes: Vec<String>,
}

impl Gathered {
    /// Adds a JSON document.
    pub(super) fn json(&mut self, path: &str, value: &serde_json::Value) {
        let mut bytes = format!("{value:#}").into_bytes();
        bytes.push(b'\n');
        self.files.push((path.to_owned(), Format::Json, bytes));
    }

    /// Adds a text.
    pub(super) fn text(&mut self, path: &str, text: String) {
        self.files.push((path.to_owned(), Format::Text, text.into_bytes()));
    }

    /// Copies a file as it is. One that does not exist is no problem: kernels and distributions differ.
    pub(super) fn copy(&mut self, from: &std::path::Path, to: &str) {
        match roots::bytes(from) {
            Ok(content) if content.is_empty() => {}
            Ok(content) => {
                if content.len() as u64 == roots::FILE_CAP {
                    self.problem(format!(
                        "of {} only the first {} MiB are kept",
                        from.display(),
                        roots::FILE_CAP >> 20
                    ));
                }
                self.files.push((to.to_owned(), Format::Text, content));
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                self.problem(format!("{} is not readable (try: run as root)", from.display()));
            }
            Err(_) => {}
        }
    }

    /// Notes what could not be read, and what to try.
    pub(super) fn problem(&mut self, text: String) {
        self.problems.push(text);
    }

    /// Notes what a reader should know although everything there is was read.
    pub(super) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// Writes everything and says how it went.
    ///
    /// # Errors
    /// When the spool fails.
    pub(super) fn write(self, sink: &Sink) -> Result<Done, CollectError> {
        for (path, format, content) in &self.files {
            sink.put(path, *format, content)?;
        }
        if self.problems.is_empty() && !self.notes.is_empty() {
            return Ok(Done::with(Outcome::Ok, self.notes.join("; ")));
        }
        Ok(outcome(&self.problems))
    }
}

/// Runs a gathering function on a thread of its own and writes what it gave.
///
/// # Errors
/// When it does not end in time, fails, or the spool fails.
pub(super) async fn run(
    sink: &Sink,
    what: &str,
    work: impl FnOnce() -> Result<Gathered, CollectError> + Send + 'static,
) -> Result<Done, CollectError> {
    blocking::within(what, deadline(sink), work).await??.write(sink)
}

/// The deadline of blocking work: a little before that of the item, so that the item can still say what hangs.
pub(super) fn deadline(sink: &Sink) -> Duration {
    sink.limits().item_timeout.mul_f64(0.9)
}

/// `ok`, or `truncated` with everything that could not be read.
pub(super) fn outcome(problems: &[String]) -> Done {
    const SHOWN: usize = 5;
    if problems.is_empty() {
        return Done::ok();
    }
    let mut reason = problems.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("; ");
    if problems.len() > SHOWN {
        reason.push_str(&format!("; and {} more", problems.len() - SHOWN));
    }
    Done::with(Outcome::Truncated, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_over_the_cap_is_kept_in_part_and_said_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        std::fs::write(&path, vec![b'#'; roots::FILE_CAP as usize + 1]).unwrap();
        let mut gathered = Gathered::default();
        gathered.copy(&path, "host/etc/hosts");
        gathered.copy(&dir.path().join("missing"), "host/etc/missing");
        assert_eq!(gathered.files.len(), 1);
        assert_eq!(gathered.files[0].2.len() as u64, roots::FILE_CAP);
        assert_eq!(gathered.problems.len(), 1);
    }

    #[test]
    fn many_problems_become_one_short_reason() {
        assert_eq!(outcome(&[]).outcome, Outcome::Ok);
        let problems: Vec<String> = (0..100).map(|n| format!("problem {n}")).collect();
        let done = outcome(&problems);
        assert_eq!(done.outcome, Outcome::Truncated);
        assert!(done.reason.unwrap().ends_with("problem 4; and 95 more"));
    }
}
