//! Runs read-only commands of this host: no shell, a process group of their own, a deadline, bounded output.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use super::roots::HostRoots;
use crate::collect::{Artifact, CollectError, Done, Keep, Sink};
use crate::model::{Kept, Outcome, Truncation};
use crate::redact::Format;

/// Bytes of standard error that are kept, the first ones.
const STDERR_CAP: usize = 64 << 10;
/// Characters of it that stand in a reason.
const COMPLAINT_MAX: usize = 300;
/// How long the output may stay open after the command itself has ended, held by a process that it left behind.
const LINGER: Duration = Duration::from_millis(500);
/// How long to wait for a killed command to be gone; one in uninterruptible sleep may never be.
const REAP: Duration = Duration::from_secs(1);

/// A command with its arguments.
#[derive(Debug, Clone)]
pub(in crate::collect) struct CommandLine {
    program: String,
    args: Vec<String>,
    path: String,
    deadline: Duration,
}

/// How a command ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// Its exit status; none when it was killed because its output reached the limit.
    pub(super) status: Option<ExitStatus>,
    /// The first bytes of standard error.
    pub(super) stderr: String,
    /// Bytes of standard output that were read.
    pub(super) bytes: u64,
}

impl Ended {
    /// Whether the command says that it succeeded, or wrote more than was wanted.
    pub(super) fn success(&self) -> bool {
        self.status.is_none_or(|s| s.success())
    }

    /// Whether standard error says that rights are missing. `journalctl` succeeds with a hint when it hides messages.
    pub(super) fn refused(&self) -> bool {
        let text = self.stderr.to_lowercase();
        ["not seeing messages", "insufficient permissions", "permission denied", "not permitted"]
            .iter()
            .any(|hint| text.contains(hint))
    }

    /// The first line of standard error, or the exit status where there is none.
    pub(super) fn complaint(&self) -> String {
        let line = self.stderr.lines().map(str::trim).find(|line| !line.is_empty());
        let line = line.map(|line| line.chars().take(COMPLAINT_MAX).collect::<String>());
        match (line, self.status) {
            (Some(line), Some(status)) => format!("{line} ({status})"),
            (Some(line), None) => line,
            (None, Some(status)) => status.to_string(),
            (None, None) => "stopped at the output limit".to_owned(),
        }
    }
}

/// Kills the whole process group when it goes out of scope: at the end, at a deadline, or when the item is cancelled.
struct Group(Option<Pid>);

impl Group {
    fn kill(&self) {
        if let Some(group) = self.0 {
            // It fails when nobody of the group is left, which is what we want.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

impl CommandLine {
    /// A command that is looked up in the directories of `roots`.
    pub(in crate::collect) fn new<S: AsRef<str>>(
        roots: &HostRoots,
        deadline: Duration,
        program: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            program: program.to_owned(),
            args: args.into_iter().map(|a| a.as_ref().to_owned()).collect(),
            path: roots.command_path.clone(),
            deadline,
        }
    }

    /// Whether the program is there; it may still refuse to run.
    pub(in crate::collect) fn is_installed(&self) -> bool {
        use std::os::unix::fs::PermissionsExt;
        let runs = |path: std::path::PathBuf| {
            std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        };
        !self.program.is_empty() && self.path.split(':').any(|dir| runs(std::path::Path::new(dir).join(&self.program)))
    }

    /// Runs the command and keeps the first `limit` bytes of its standard output in an artifact, and its standard error beside it.
    ///
    /// # Errors
    /// As [`CommandLine::stream`], and when the command says that it failed.
    pub(in crate::collect) async fn store(&self, sink: &Sink, target: &str, limit: u64) -> Result<Done, CollectError> {
        let ended = self.stream(sink, target, Keep::Oldest(limit)).await?;
        if !ended.stderr.trim().is_empty() {
            sink.put(&format!("{target}.stderr"), Format::Text, ended.stderr.as_bytes())?;
        }
        match (ended.success(), ended.bytes) {
            (true, 0) => Ok(Done::with(Outcome::Empty, "the command printed nothing")),
            (true, _) if ended.status.is_none() => {
                Ok(Done::with(Outcome::Truncated, format!("only the first {limit} bytes are kept")))
            }
            (true, _) => Ok(Done::ok()),
            (false, _) => Err(CollectError::Failed(format!("`{}`: {}", self.program, ended.complaint()))),
        }
    }

    /// The program's name, without its arguments.
    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// Runs the command and gives at most `cap` bytes of its standard output.
    ///
    /// # Errors
    /// When the command is not there, may not be run, or does not end in time.
    pub(super) async fn capture(&self, cap: usize) -> Result<(Ended, Vec<u8>), CollectError> {
        let mut output = Vec::new();
        let ended = self
            .run(|chunk| {
                let take = chunk.len().min(cap - output.len());
                output.extend_from_slice(&chunk[..take]);
                Ok(take == chunk.len())
            })
            .await?;
        Ok((ended, output))
    }

    /// Runs the command and streams its standard output into an artifact, which is made at the first byte.
    ///
    /// # Errors
    /// As [`CommandLine::capture`], and when the spool fails. What was written before stays in the bundle.
    pub(super) async fn stream(&self, sink: &Sink, path: &str, keep: Keep) -> Result<Ended, CollectError> {
        self.stream_and(sink, path, keep, |_| Ok(())).await
    }

    /// As [`CommandLine::stream`]; `watch` sees every chunk too.
    ///
    /// # Errors
    /// As [`CommandLine::stream`].
    pub(super) async fn stream_and(
        &self,
        sink: &Sink,
        path: &str,
        keep: Keep,
        mut watch: impl FnMut(&[u8]) -> Result<(), CollectError>,
    ) -> Result<Ended, CollectError> {
        let mut artifact: Option<Artifact> = None;
        let ended = self
            .run(|chunk| {
                watch(chunk)?;
                let artifact = match &mut artifact {
                    Some(artifact) => artifact,
                    None => artifact.insert(sink.create(path, Format::Text, keep)?),
                };
                if artifact.is_full() {
                    return Ok(false);
                }
                artifact.write(chunk)?;
                Ok(true)
            })
            .await?;
        if let Some(artifact) = artifact {
            let cut = ended.status.is_none();
            let cut =
                cut.then(|| Truncation { reason: "size-limit".to_owned(), dropped_bytes: None, kept: Kept::Oldest });
            artifact.finish(cut)?;
        }
        Ok(ended)
    }

    /// Runs the command; `take` gets the chunks of standard output and says whether it wants more.
    async fn run(&self, mut take: impl FnMut(&[u8]) -> Result<bool, CollectError>) -> Result<Ended, CollectError> {
        let mut child = self.spawn()?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let mut stdout = child.stdout.take();
        let mut stderr = child.stderr.take();
        let mut out = vec![0_u8; 64 << 10];
        let mut err = vec![0_u8; 4 << 10];
        let mut ended = Ended { status: None, stderr: String::new(), bytes: 0 };
        let mut complaint = Vec::new();
        let deadline = Instant::now() + self.deadline;
        let mut until = deadline;
        let mut wanted = true;

        while wanted && (stdout.is_some() || stderr.is_some() || ended.status.is_none()) {
            tokio::select! {
                read = read_some(&mut stdout, &mut out), if stdout.is_some() => match read {
                    0 => stdout = None,
                    n => {
                        ended.bytes += n as u64;
                        wanted = take(&out[..n])?;
                    }
                },
                read = read_some(&mut stderr, &mut err), if stderr.is_some() => match read {
                    0 => stderr = None,
                    n => {
                        let room = STDERR_CAP.saturating_sub(complaint.len()).min(n);
                        complaint.extend_from_slice(&err[..room]);
                    }
                },
                status = child.wait(), if ended.status.is_none() => {
                    let status = status.map_err(|e| CollectError::from_io(&self.program, &e))?;
                    ended.status = Some(status);
                    until = deadline.min(Instant::now() + LINGER);
                }
                () = tokio::time::sleep_until(until) => {
                    if ended.status.is_some() {
                        break;
                    }
                    group.kill();
                    let _ = tokio::time::timeout(REAP, child.wait()).await;
                    let limit = humantime::format_duration(self.deadline);
                    return Err(CollectError::TimedOut(format!("`{self}` was stopped: no end within {limit}")));
                }
            }
        }
        group.kill();
        if !wanted {
            ended.status = None;
            let _ = tokio::time::timeout(REAP, child.wait()).await;
        }
        ended.stderr = String::from_utf8_lossy(&complaint).into_owned();
        Ok(ended)
    }

    fn spawn(&self) -> Result<tokio::process::Child, CollectError> {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .env("PATH", &self.path)
            .env("LANG", "C")
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                CollectError::NotApplicable(format!("`{}` is not installed here", self.program))
            }
            std::io::ErrorKind::PermissionDenied => {
                CollectError::Forbidden(format!("`{}` may not be run: {error} (try: run as root)", self.program))
            }
            _ => CollectError::Failed(format!("`{}` cannot be started: {error}", self.program)),
        })
    }
}

impl std::fmt::Display for CommandLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.program)?;
        self.args.iter().try_for_each(|arg| write!(f, " {arg}"))
    }
}

/// Reads once; 0 at the end, and for a pipe that broke, which is an end too.
async fn read_some(pipe: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    match pipe {
        Some(pipe) => pipe.read(buffer).await.unwrap_or(0),
        None => 0,
    }
}

#[cfg(test)]
mod tests;
