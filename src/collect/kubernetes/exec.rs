//! Read-only commands of the profile, run in containers over a WebSocket.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::answer::{Status, shortened};
use super::api::{Cluster, escaped};
use super::local::Report;
use super::pod::Pod;
use super::pods::Shared;
use super::websocket::{self, Socket, Way};
use crate::collect::error::chain;
use crate::collect::{Artifact, CollectError, Done, Item, Keep, Lane, Sink};
use crate::model::{Access, Effect, ItemId, Outcome};
use crate::profile::Exec;
use crate::redact::Format;

const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
/// Largest standard error that is kept.
const STDERR_MAX: u64 = 256 << 10;
/// Largest final status.
const STATUS_MAX: usize = 64 << 10;
/// The rights for a command: a WebSocket begins with a GET, and newer servers ask for `create` beside it.
pub(super) fn access(namespace: &str) -> [Access; 2] {
    ["create", "get"].map(|verb| Access::new(verb, "", "pods/exec", Some(namespace)))
}

/// Runs one command in one container.
pub(super) struct ExecItem {
    id: ItemId,
    shared: Arc<Shared>,
    namespace: String,
    pod: String,
    node: Option<String>,
    exec: Exec,
    container: Result<String, String>,
    report: Option<Report>,
    _hold: Option<TaskTrackerToken>,
}

impl ExecItem {
    pub(super) fn new(shared: Arc<Shared>, namespace: &str, pod: &Pod, exec: Exec) -> Self {
        let name = &pod.metadata.name;
        Self {
            id: ItemId::new(format!("exec/{namespace}/{name}/{}", exec.id)),
            shared,
            namespace: namespace.to_owned(),
            pod: name.clone(),
            node: pod.spec.node_name.clone(),
            container: choose(pod, &exec.containers),
            exec,
            report: None,
            _hold: None,
        }
    }

    /// Keeps a gate closed until this item is gone.
    pub(super) fn holding(mut self, hold: Option<TaskTrackerToken>) -> Self {
        self._hold = hold;
        self
    }

    /// Says to others whether it answered.
    pub(super) fn reporting(mut self, report: Option<Report>) -> Self {
        self.report = report;
        self
    }

    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        let container = self.container.as_ref().map_err(|why| CollectError::NotApplicable(why.clone()))?;
        let cluster = &self.shared.cluster;
        for access in access(&self.namespace) {
            cluster.allowed(&access)?;
        }
        cluster.node_answers(self.node.as_deref())?;
        let values = self.shared.values.within(&self.namespace, &self.pod, container);
        let command = self.exec.command.iter().map(|a| values.fill(a)).collect::<Result<Vec<_>, _>>()?;
        let mut output = Output {
            sink,
            path: values.fill(&self.exec.artifact)?,
            limit: self.exec.limit_bytes,
            stdout: None,
            stderr: None,
            status: Vec::new(),
            full: false,
        };
        let limit = self.exec.timeout_secs.map_or(sink.limits().item_timeout, Duration::from_secs);
        let node = self.node.as_deref();
        let target = Target { cluster, namespace: &self.namespace, pod: &self.pod, node, container };
        sink.attempt();
        let work = async {
            let mut socket = connect(target, &command).await?;
            output.read(&mut socket).await
        };
        match tokio::time::timeout(limit, work).await {
            Ok(Ok(())) => output.finish(),
            Ok(Err(error)) => output.broke(error),
            Err(_) => {
                let text = format!("the command did not end within {}", humantime::format_duration(limit));
                output.broke(CollectError::TimedOut(text))
            }
        }
    }
}

/// Where a command runs.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) namespace: &'a str,
    pub(super) pod: &'a str,
    pub(super) node: Option<&'a str>,
    pub(super) container: &'a str,
}

async fn connect(target: Target<'_>, command: &[String]) -> Result<Socket, CollectError> {
    let mut path = format!(
        "/api/v1/namespaces/{}/pods/{}/exec?container={}&stdout=true&stderr=true",
        escaped(target.namespace),
        escaped(target.pod),
        escaped(target.container)
    );
    for argument in command {
        path.push_str(&format!("&command={}", escaped(argument)));
    }
    let way = Way { node: target.node, access: &access(target.namespace), protocols: &PROTOCOLS };
    websocket::open(target.cluster, &path, way).await
}

/// The container to run in, or why there is none.
pub(super) fn choose(pod: &Pod, containers: &[String]) -> Result<String, String> {
    let own = pod.spec.containers.as_deref().unwrap_or_default();
    let chosen = if containers.is_empty() {
        own.first()
    } else {
        containers.iter().find_map(|name| own.iter().find(|c| c.name == *name))
    };
    let Some(container) = chosen else {
        return Err(format!("the pod has no container {}", containers.join(" or ")));
    };
    match pod.not_running(Some(&container.name)) {
        Some(why) => Err(why),
        None => Ok(container.name.clone()),
    }
}

/// What a command said, kept in memory for whoever makes something else of it.
#[derive(Debug, Default)]
pub(super) struct Captured {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// 0 for success.
    pub(super) exit: i64,
    /// Whether standard output was longer than the limit.
    pub(super) cut: bool,
}

impl Captured {
    /// Standard output as text.
    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stdout)
    }

    /// Standard error as text, without blanks around it.
    pub(super) fn complaint(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }
}

/// Runs a command and keeps up to `limit` bytes of what it says.
///
/// # Errors
/// As an item of a command ends: no right, no such program, no end of the connection in order.
pub(super) async fn capture(
    target: Target<'_>,
    sink: &Sink,
    command: &[String],
    limit: usize,
) -> Result<Captured, CollectError> {
    for access in access(target.namespace) {
        target.cluster.allowed(&access)?;
    }
    target.cluster.node_answers(target.node)?;
    sink.attempt();
    let mut socket = connect(target, command).await?;
    let mut said = Captured::default();
    let mut status = Vec::new();
    while let Some(message) = socket.next().await {
        let message = message.map_err(|e| CollectError::Transient(format!("the connection broke: {}", chain(&e))))?;
        let data = match message {
            Message::Binary(data) => data,
            Message::Close(_) => break,
            _ => continue,
        };
        let Some((channel, data)) = data.split_first() else { continue };
        sink.received(data.len() as u64);
        let (kept, room) = match *channel {
            STDOUT => (&mut said.stdout, limit),
            STDERR => (&mut said.stderr, 64 << 10),
            STATUS => (&mut status, STATUS_MAX),
            _ => continue,
        };
        let take = data.len().min(room.saturating_sub(kept.len()));
        kept.extend_from_slice(&data[..take]);
        if *channel == STDOUT && take < data.len() {
            said.cut = true;
            return Ok(said);
        }
    }
    let status: Status = serde_json::from_slice(&status)
        .map_err(|_| CollectError::Failed("the connection ended without an exit status".to_owned()))?;
    if status.status.as_deref() == Some("Success") {
        return Ok(said);
    }
    if let Some(code) = exit_code(&status) {
        said.exit = code;
        return Ok(said);
    }
    let why = shortened(status.message.as_deref().unwrap_or("no reason given").trim());
    Err(if is_missing(&why) { CollectError::NotApplicable(why) } else { CollectError::Failed(why) })
}

/// What a command gives.
struct Output<'a> {
    sink: &'a Sink,
    path: String,
    limit: u64,
    stdout: Option<Artifact>,
    stderr: Option<Artifact>,
    status: Vec<u8>,
    full: bool,
}

impl Output<'_> {
    /// Reads until the command ends, the connection does, or enough was read.
    async fn read(&mut self, socket: &mut Socket) -> Result<(), CollectError> {
        while let Some(message) = socket.next().await {
            let message =
                message.map_err(|e| CollectError::Transient(format!("the connection broke: {}", chain(&e))))?;
            let data = match message {
                Message::Binary(data) => data,
                Message::Close(_) => return Ok(()),
                _ => continue,
            };
            let Some((channel, data)) = data.split_first() else { continue };
            self.take(*channel, data)?;
            if self.full {
                return Ok(());
            }
        }
        Ok(())
    }

    fn take(&mut self, channel: u8, data: &[u8]) -> Result<(), CollectError> {
        if data.is_empty() {
            return Ok(());
        }
        let (slot, path, limit) = match channel {
            STDOUT => (&mut self.stdout, self.path.clone(), self.limit),
            STDERR => (&mut self.stderr, format!("{}.stderr", self.path), STDERR_MAX),
            STATUS => {
                let room = STATUS_MAX.saturating_sub(self.status.len());
                self.status.extend_from_slice(&data[..data.len().min(room)]);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let file = match slot {
            Some(file) => file,
            None => {
                let format = if channel == STDOUT { Format::of_path(&path) } else { Format::Text };
                slot.insert(self.sink.create(&path, format, Keep::Oldest(limit))?)
            }
        };
        file.write(data)?;
        self.full |= channel == STDOUT && file.is_full();
        Ok(())
    }

    /// The outcome of a command whose connection ended in order.
    fn finish(self) -> Result<Done, CollectError> {
        let nothing = self.stdout.is_none();
        let full = self.full;
        let status: Option<Status> = serde_json::from_slice(&self.status).ok();
        for file in [self.stdout, self.stderr].into_iter().flatten() {
            file.finish(None)?;
        }
        if full {
            return Ok(Done::with(Outcome::Truncated, "the output is larger than its limit"));
        }
        let Some(status) = status else {
            let text = "the connection ended without an exit status".to_owned();
            return if nothing { Err(CollectError::Failed(text)) } else { Ok(Done::with(Outcome::Truncated, text)) };
        };
        if status.status.as_deref() == Some("Success") {
            let empty = Done { outcome: Outcome::Empty, reason: None, spawn: Vec::new() };
            return Ok(if nothing { empty } else { Done::ok() });
        }
        if let Some(code) = exit_code(&status) {
            return Ok(Done::with(Outcome::Ok, format!("exit code {code}")));
        }
        let said = shortened(status.message.as_deref().unwrap_or("no reason given").trim());
        Err(if is_missing(&said) { CollectError::NotApplicable(said) } else { CollectError::Failed(said) })
    }

    /// The outcome of a command that did not end in order: what it said until then is kept.
    fn broke(self, error: CollectError) -> Result<Done, CollectError> {
        let files: Vec<Artifact> = [self.stdout, self.stderr].into_iter().flatten().collect();
        if files.is_empty() || matches!(error, CollectError::Spool(_)) {
            return Err(error);
        }
        let timed_out = matches!(error, CollectError::TimedOut(_));
        for file in files {
            let reason = if timed_out { "timed-out" } else { "connection-lost" };
            file.finish(Some(crate::model::Truncation {
                reason: reason.to_owned(),
                dropped_bytes: None,
                kept: crate::model::Kept::Oldest,
            }))?;
        }
        Ok(Done::with(if timed_out { Outcome::TimedOut } else { Outcome::Truncated }, error.to_string()))
    }
}

fn exit_code(status: &Status) -> Option<i64> {
    let causes = &status.details.as_ref()?.causes;
    causes.iter().find(|c| c.reason.as_deref() == Some("ExitCode"))?.message.as_deref()?.trim().parse().ok()
}

/// Whether the runtime says that the image has no such program. Each runtime has its own words.
fn is_missing(said: &str) -> bool {
    let said = said.to_lowercase();
    said.contains("executable file not found")
        || (said.contains("executable file") && said.contains("not found"))
        || (said.contains("exec") && said.contains("no such file or directory"))
}

impl Item for ExecItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/exec"
    }

    fn describe(&self) -> String {
        format!("runs `{}` in {}/{}: {}", self.exec.command.join(" "), self.namespace, self.pod, self.exec.why)
    }

    fn lane(&self) -> Lane {
        Lane::Probe
    }

    fn effect(&self) -> Effect {
        Effect::Exec
    }

    fn access(&self) -> Vec<Access> {
        access(&self.namespace).to_vec()
    }

    fn timeout(&self) -> Option<Duration> {
        // A little more than the command's own, which keeps what it said.
        self.exec.timeout_secs.map(|secs| Duration::from_secs(secs.saturating_add(5)))
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        async {
            let result = self.collect(sink).await;
            // A command that failed has a reason.
            let well = result.as_ref().is_ok_and(|done| done.outcome == Outcome::Ok && done.reason.is_none());
            if let Some(report) = self.report.as_ref().filter(|_| well) {
                report.answered(&self.id);
            }
            result
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_command_is_read_from_its_status() {
        let parse = |text: &str| serde_json::from_str::<Status>(text).unwrap();
        let ended = parse(
            r#"{"metadata":{},"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#,
        );
        assert_eq!(exit_code(&ended), Some(3));
        assert_eq!(exit_code(&parse(r#"{"status":"Failure","details":{"causes":[{"message":"x"}]}}"#)), None);
    }

    #[test]
    fn a_missing_program_is_told_from_other_failures() {
        for said in [
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"x\": executable file not found in $PATH: unknown",
            "crun: executable file `x` not found in $PATH: No such file or directory",
            "exec: \"/bin/x\": stat /bin/x: no such file or directory",
        ] {
            assert!(is_missing(said), "{said}");
        }
        assert!(!is_missing("unable to upgrade connection: exec denied"));
    }
}
