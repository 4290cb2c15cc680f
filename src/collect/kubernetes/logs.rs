//! Logs of containers.

use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::answer::Refusal;
use super::api::{Chunks, Cluster, escaped};
use super::pod::{Log, Pod};
use crate::bundle::layout;
use crate::collect::{Artifact, CollectError, Done, Item, Keep, Lane, Limits, Sink, retry};
use crate::model::{Access, ItemId, Kept, Outcome, Truncation};
use crate::redact::Format;

/// Answers with status 200 that are the kubelet's excuse and not a log.
const EXCUSES: [&[u8]; 2] = [b"unable to retrieve container logs for ", b"failed to try resolving symlinks in path "];
/// An excuse is one line; a longer answer is a log that quotes one.
const EXCUSE_MAX: usize = 1024;
/// A log that is larger than the limit by this factor is asked for again by its last lines, instead of being read whole.
const FAR_LARGER: u64 = 3;

/// Reads one log of one container.
pub(super) struct LogItem {
    id: ItemId,
    cluster: Cluster,
    namespace: String,
    pod: String,
    node: Option<String>,
    log: Log,
}

/// How reading an answer ended.
enum Read {
    /// At its end.
    Whole,
    /// At its end, but not from its beginning.
    Newest,
    /// The log is far larger than what is kept.
    FarLarger { lines: u64, bytes: u64 },
    /// The connection broke.
    Broke(CollectError),
}

impl LogItem {
    pub(super) fn new(cluster: Cluster, namespace: &str, pod: &Pod, log: Log) -> Self {
        let name = &pod.metadata.name;
        let suffix = if log.previous { "/previous" } else { "" };
        Self {
            id: ItemId::new(format!("logs/{namespace}/{name}/{}{suffix}", log.container)),
            cluster,
            namespace: namespace.to_owned(),
            pod: name.clone(),
            node: pod.spec.node_name.clone().filter(|n| !n.is_empty()),
            log,
        }
    }

    fn own_access(&self) -> Access {
        Access::new("get", "", "pods/log", Some(&self.namespace))
    }

    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        self.cluster.allowed(&self.own_access())?;
        self.cluster.node_answers(self.node.as_deref())?;
        let limits = sink.limits().clone();
        let (mut chunks, first) = match self.open(sink, &limits, limits.tail).await? {
            Opened::Log(chunks, first) => (chunks, first),
            Opened::Done(done) => return Ok(done),
        };
        let path = layout::log(&self.namespace, &self.pod, &self.log.container, self.log.previous);
        let mut file = sink.create(&path, Format::Text, Keep::Newest(limits.log_limit))?;
        let end = copy(&mut file, &mut chunks, first, limits.log_limit.saturating_mul(FAR_LARGER)).await?;
        let Read::FarLarger { lines, bytes } = end else { return finish(file, end) };
        drop(chunks);
        self.by_last_lines(sink, &limits, file, lines, bytes).await
    }

    /// Asks for as many last lines as fill the limit, going by the lines seen so far, and for more when they do not.
    async fn by_last_lines(
        &self,
        sink: &Sink,
        limits: &Limits,
        mut file: Artifact,
        lines: u64,
        bytes: u64,
    ) -> Result<Done, CollectError> {
        let mut last = 0;
        let mut tail = (lines.max(1).saturating_mul(limits.log_limit) / bytes.max(1)).max(1).saturating_mul(2);
        loop {
            let capped = limits.tail.map_or(tail, |most| most.min(tail));
            let (mut chunks, first) = match self.open(sink, limits, Some(capped)).await {
                Ok(Opened::Log(chunks, first)) => (chunks, first),
                // What was read before is the oldest part, but it is better than nothing.
                Ok(Opened::Done(done)) => {
                    let reason = done.reason.unwrap_or_else(|| "the log disappeared".to_owned());
                    return finish(file, Read::Broke(CollectError::Failed(reason)));
                }
                Err(error) => return finish(file, Read::Broke(error)),
            };
            file.restart()?;
            let before = file.received();
            let end = copy(&mut file, &mut chunks, first, u64::MAX).await?;
            let received = file.received() - before;
            // The same again means that this is the whole log; it was rotated meanwhile.
            let whole = received <= last || limits.tail.is_some_and(|most| most <= tail);
            let end = if whole || !matches!(end, Read::Whole) { end } else { Read::Newest };
            if !matches!(end, Read::Newest) || received >= limits.log_limit {
                return finish(file, end);
            }
            last = received;
            tail = tail.saturating_mul(8);
        }
    }

    /// Opens the log and reads its first piece, with retries.
    async fn open(&self, sink: &Sink, limits: &Limits, tail: Option<u64>) -> Result<Opened, CollectError> {
        let path = self.path(limits, tail);
        let began = Instant::now();
        let result = retry::retry(sink, || self.open_once(&path)).await;
        self.cluster.note_node(self.node.as_deref(), began, &result);
        result
    }

    async fn open_once(&self, path: &str) -> Result<Opened, CollectError> {
        let response = match self.cluster.open(path, "*/*").await? {
            Ok(response) => response,
            Err(refusal) => return self.refused(refusal),
        };
        if response.status() == http::StatusCode::NO_CONTENT {
            return Ok(Opened::Done(Done::with(Outcome::Empty, "the container has no log yet")));
        }
        let mut chunks = self.cluster.chunks(response.into_body());
        let mut first = Vec::new();
        // An excuse may arrive in pieces; nothing else is held back.
        while EXCUSES.iter().any(|e| first.starts_with(&e[..e.len().min(first.len())])) && first.len() < EXCUSE_MAX {
            match chunks.next().await {
                Ok(Some(chunk)) => first.extend_from_slice(&chunk),
                Ok(None) if first.is_empty() => {
                    return Ok(Opened::Done(Done { outcome: Outcome::Empty, reason: None, spawn: Vec::new() }));
                }
                Ok(None) => {
                    if EXCUSES.iter().any(|e| first.starts_with(e)) {
                        let said = String::from_utf8_lossy(&first);
                        return Err(CollectError::NotFound(format!("the kubelet says: {}", said.trim())));
                    }
                    break;
                }
                // All that came is the beginning of an excuse.
                Err(error) => return Err(error),
            }
        }
        Ok(Opened::Log(chunks, first.into()))
    }

    fn path(&self, limits: &Limits, tail: Option<u64>) -> String {
        let mut path = format!(
            "/api/v1/namespaces/{}/pods/{}/log?container={}",
            escaped(&self.namespace),
            escaped(&self.pod),
            escaped(&self.log.container)
        );
        if self.log.previous {
            path.push_str("&previous=true");
        }
        if let Some(since) = limits.since {
            path.push_str(&format!("&sinceSeconds={}", since.as_secs().max(1)));
        }
        if let Some(tail) = tail {
            path.push_str(&format!("&tailLines={}", tail.min(i64::MAX as u64)));
        }
        path
    }

    fn refused(&self, refusal: Refusal) -> Result<Opened, CollectError> {
        self.cluster.deny(&self.own_access(), &refusal);
        if refusal.code == 400 {
            let said = refusal.message;
            let gone = said.contains("not found") || said.contains("is not valid for pod");
            return Err(if gone { CollectError::NotFound(said) } else { CollectError::NotApplicable(said) });
        }
        Err(refusal.into_error())
    }
}

enum Opened {
    /// A log, with its first piece.
    Log(Chunks, Bytes),
    /// There is nothing to read.
    Done(Done),
}

/// Copies a log into its file until it ends, breaks or is larger than `most`.
async fn copy(file: &mut Artifact, chunks: &mut Chunks, first: Bytes, most: u64) -> Result<Read, CollectError> {
    let (mut lines, mut bytes) = (0, 0);
    let mut next = Some(first);
    while let Some(chunk) = next {
        lines += memchr::memchr_iter(b'\n', &chunk).count() as u64;
        bytes += chunk.len() as u64;
        file.write(&chunk)?;
        if bytes > most {
            return Ok(Read::FarLarger { lines, bytes });
        }
        // The sink works without waiting; a fast server must not keep other items from their turn.
        tokio::task::consume_budget().await;
        next = match chunks.next().await {
            Ok(next) => next,
            Err(error) => return Ok(Read::Broke(error)),
        };
    }
    Ok(Read::Whole)
}

fn finish(file: Artifact, end: Read) -> Result<Done, CollectError> {
    let error = match end {
        Read::Broke(error) => error,
        Read::Newest => {
            let cut = Truncation { reason: "log-limit".to_owned(), dropped_bytes: None, kept: Kept::Newest };
            file.finish(Some(cut))?;
            return Ok(Done::ok());
        }
        Read::Whole | Read::FarLarger { .. } => {
            file.finish(None)?;
            return Ok(Done::ok());
        }
    };
    let reason = if matches!(error, CollectError::TimedOut(_)) { "timed-out" } else { "connection-lost" };
    file.finish(Some(Truncation { reason: reason.to_owned(), dropped_bytes: None, kept: Kept::Oldest }))?;
    Ok(Done::with(Outcome::Truncated, format!("the end of the log is missing: {error}")))
}

impl Item for LogItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/logs"
    }

    fn describe(&self) -> String {
        let which = if self.log.previous { "previous log" } else { "log" };
        format!("reads the {which} of container {} in {}/{}", self.log.container, self.namespace, self.pod)
    }

    fn lane(&self) -> Lane {
        if self.log.failed { Lane::FailedLogs } else { Lane::Logs }
    }

    fn access(&self) -> Vec<Access> {
        vec![self.own_access()]
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}
