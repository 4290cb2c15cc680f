//! The kernel's ring buffer: OOM kills, hardware and disk errors, hung tasks.

use std::time::Duration;

use chrono::Utc;
use futures::FutureExt;
use futures::future::BoxFuture;
use regex::bytes::{Regex, RegexBuilder};

use super::command::CommandLine;
use super::gather::{self, About};
use super::roots::HostRoots;
use super::units::lines_enough;
use crate::collect::{Artifact, CollectError, Done, Keep, Sink};
use crate::model::{Effect, Outcome};
use crate::redact::Format;

pub(super) const ITEM: About = About {
    id: "host/kernel-log",
    what: "Kernel messages, and apart from them those about OOM kills, hardware, disks and hung tasks",
    effect: Effect::Command,
    run,
};

const LOG: &str = "host/kernel.log";
const ERRORS: &str = "host/kernel-errors.log";
/// Bytes of the extract that are kept.
const ERRORS_CAP: u64 = 4 << 20;
/// A longer line is matched by its beginning only.
const LINE_MAX: usize = 8 << 10;

/// What a message that explains a failure looks like.
const SERIOUS: &str = r"out of memory|oom-kill|oom_reaper|killed process|i/o error|medium error|blk_update_request|buffer i/o|\
ext4-fs (error|warning)|xfs.*(corruption|error|shutdown)|btrfs.*error|remounting filesystem read-only|nvme.*(timeout|reset|abort)|ata\d.*(error|failed)|\
machine check|mce:|hardware error|edac |pcie? bus error|blocked for more than|soft lockup|hard lockup|rcu.*stall|kernel panic|\bbug: |\boops\b|\
segfault at|general protection|call trace|nf_conntrack.*table full|neighbou?r table overflow|link is down|not responding|nfs: server|thermal.*(critical|shutdown)|clock throttled|\
no space left|page allocation failure";

fn run<'a>(roots: &'a HostRoots, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
    async move {
        let mut complaints: Vec<CollectError> = Vec::new();
        for command in commands(roots, sink) {
            sink.attempt();
            let mut extract = Extract::new(sink)?;
            let keep = Keep::Newest(sink.limits().log_limit);
            match command.stream_and(sink, LOG, keep, |chunk| extract.push(chunk)).await {
                Ok(ended) if ended.refused() => complaints.push(refusal(&command, &ended.complaint())),
                Ok(ended) if ended.success() && ended.bytes > 0 => {
                    extract.finish()?;
                    return Ok(Done::ok());
                }
                Ok(ended) if ended.success() && command.program() == "dmesg" => {
                    return Ok(Done::with(Outcome::Empty, format!("`{command}` gave no message")));
                }
                // The journal hides what the user may not see, so its silence proves nothing.
                Ok(ended) if ended.success() => complaints.push(refusal(&command, "it shows no message")),
                Ok(ended) => complaints.push(CollectError::Failed(format!("`{command}`: {}", ended.complaint()))),
                Err(error @ CollectError::Spool(_)) => return Err(error),
                Err(error) => complaints.push(error),
            }
        }
        Err(worst(complaints))
    }
    .boxed()
}

/// The ways to ask, the best first. Old and small versions of `dmesg` do not know the options.
fn commands(roots: &HostRoots, sink: &Sink) -> Vec<CommandLine> {
    let deadline = gather::deadline(sink) / 3;
    let since = sink.limits().since.and_then(|age| before(age, "%Y-%m-%d %H:%M:%S"));
    let mut dmesg = vec!["--kernel".to_owned(), "--decode".to_owned(), "--time-format".to_owned(), "iso".to_owned()];
    let mut journal = ["-k", "-o", "short-iso", "--no-pager", "--quiet", "--utc"].map(str::to_owned).to_vec();
    journal.extend(["-n".to_owned(), lines_enough(sink.limits().log_limit).to_string()]);
    if let Some(since) = since {
        dmesg.extend(["--since".to_owned(), since.clone()]);
        journal.extend(["--since".to_owned(), format!("{since} UTC")]);
    }
    vec![
        CommandLine::new(roots, deadline, "dmesg", dmesg),
        CommandLine::new(roots, deadline, "journalctl", journal),
        CommandLine::new(roots, deadline, "dmesg", [""; 0]),
    ]
}

/// The time `age` ago, in UTC.
pub(super) fn before(age: Duration, format: &str) -> Option<String> {
    let at = Utc::now().checked_sub_signed(chrono::Duration::from_std(age).ok()?)?;
    Some(at.format(format).to_string())
}

fn refusal(command: &CommandLine, complaint: &str) -> CollectError {
    CollectError::Forbidden(format!("`{command}`: {complaint} (try: run as root, or sysctl kernel.dmesg_restrict=0)"))
}

/// The error that says most: a refusal before a failure before a missing program.
fn worst(errors: Vec<CollectError>) -> CollectError {
    let rank = |error: &CollectError| match error {
        CollectError::Forbidden(_) => 0,
        CollectError::NotApplicable(_) => 2,
        _ => 1,
    };
    errors
        .into_iter()
        .min_by_key(rank)
        .unwrap_or_else(|| CollectError::NotApplicable("there is no command that shows kernel messages".to_owned()))
}

/// Copies the serious lines of a stream into an artifact of their own.
struct Extract<'a> {
    sink: &'a Sink,
    pattern: Regex,
    line: Vec<u8>,
    artifact: Option<Artifact>,
}

impl<'a> Extract<'a> {
    fn new(sink: &'a Sink) -> Result<Self, CollectError> {
        Ok(Self { sink, pattern: pattern()?, line: Vec::new(), artifact: None })
    }

    fn push(&mut self, chunk: &[u8]) -> Result<(), CollectError> {
        for piece in chunk.split_inclusive(|b| *b == b'\n') {
            let room = LINE_MAX.saturating_sub(self.line.len()).min(piece.len());
            self.line.extend_from_slice(&piece[..room]);
            if piece.ends_with(b"\n") {
                self.end_line()?;
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), CollectError> {
        if self.pattern.is_match(&self.line) {
            if !self.line.ends_with(b"\n") {
                self.line.push(b'\n');
            }
            let artifact = match &mut self.artifact {
                Some(artifact) => artifact,
                None => self.artifact.insert(self.sink.create(ERRORS, Format::Text, Keep::Newest(ERRORS_CAP))?),
            };
            artifact.write(&self.line)?;
        }
        self.line.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<(), CollectError> {
        self.end_line()?;
        self.artifact.map_or(Ok(()), |artifact| artifact.finish(None))
    }
}

fn pattern() -> Result<Regex, CollectError> {
    RegexBuilder::new(&SERIOUS.replace("\\\n", ""))
        .case_insensitive(true)
        .unicode(false)
        .build()
        .map_err(|e| CollectError::Failed(format!("the pattern of serious kernel messages: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serious_messages_are_told_from_chatter() {
        let pattern = pattern().unwrap();
        for line in [
            "Out of memory: Killed process 4242 (kms-server) total-vm:1kB",
            "Memory cgroup out of memory: Killed process 1",
            "blk_update_request: I/O error, dev sda, sector 1",
            "EXT4-fs error (device sda1): ext4_find_entry:1455",
            "EXT4-fs (sda1): Remounting filesystem read-only",
            "INFO: task postgres:77 blocked for more than 120 seconds.",
            "nf_conntrack: nf_conntrack: table full, dropping packet",
            "mce: [Hardware Error]: CPU 1",
            "x[1]: segfault at 0 ip 0 sp 0 error 4",
        ] {
            assert!(pattern.is_match(line.as_bytes()), "{line}");
        }
        for line in [
            "EXT4-fs (vda): mounted filesystem r/w",
            "thermal_sys: Registered thermal governor",
            "Linux version 6.1",
            "debug: x",
        ] {
            assert!(!pattern.is_match(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_try() {
        let command = CommandLine::new(&HostRoots::default(), Duration::from_secs(1), "dmesg", [""; 0]);
        let error = refusal(&command, "dmesg: read kernel buffer failed: Operation not permitted (exit status: 1)");
        assert!(matches!(error, CollectError::Forbidden(_)));
        assert!(error.to_string().contains("run as root"));
        let missing = CollectError::NotApplicable("x".to_owned());
        assert!(matches!(worst(vec![missing, error]), CollectError::Forbidden(_)));
        assert!(matches!(worst(Vec::new()), CollectError::NotApplicable(_)));
    }
}
