//! HTTP endpoints of pods, asked through the API server's proxy, or over a forwarded port where the proxy is refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::response::Parts;
use http::{HeaderMap, Method};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use tokio_util::task::AbortOnDropHandle;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::answer::Refusal;
use super::api::{Chunks, Cluster, escaped};
use super::pod::Pod;
use super::pods::Shared;
use super::portforward;
use crate::collect::error::chain;
use crate::collect::{Artifact, CollectError, Done, Item, Keep, Lane, Sink, retry, samples};
use crate::model::{Access, Effect, ItemId, Kept, Outcome, Truncation};
use crate::profile::Http;
use crate::redact::Format;

/// A refusal of the API server is a small `Status`; a body up to this size is looked at before it is stored.
const STATUS_MAX: usize = 64 << 10;

/// The right to ask a pod.
pub(super) fn access(namespace: &str) -> Access {
    Access::new("get", "", "pods/proxy", Some(namespace))
}

/// Sends one GET to one pod, or several with some time between them.
pub(super) struct ProxyItem {
    id: ItemId,
    shared: Arc<Shared>,
    namespace: String,
    pod: String,
    node: Option<String>,
    http: Http,
    interval: Result<Duration, String>,
    refused: Option<String>,
    _hold: Option<TaskTrackerToken>,
}

/// An answer, and what has to live while it is read.
pub(super) struct Answer {
    pub(super) head: Parts,
    pub(super) chunks: Chunks,
    pub(super) _connection: Option<AbortOnDropHandle<()>>,
}

/// How reading an answer ended.
enum Read {
    Done(Done),
    /// The API server spoke for itself.
    Refused(Refusal),
}

impl ProxyItem {
    pub(super) fn new(shared: Arc<Shared>, namespace: &str, pod: &Pod, http: Http) -> Self {
        let name = &pod.metadata.name;
        Self {
            id: ItemId::new(format!("http/{namespace}/{name}/{}", http.id)),
            interval: shared.values.duration(&http.interval),
            shared,
            namespace: namespace.to_owned(),
            pod: name.clone(),
            node: pod.spec.node_name.clone(),
            refused: pod.not_running(None),
            http,
            _hold: None,
        }
    }

    /// Keeps a gate closed until this item is gone.
    pub(super) fn holding(mut self, hold: Option<TaskTrackerToken>) -> Self {
        self._hold = hold;
        self
    }

    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        if let Some(why) = &self.refused {
            return Err(CollectError::NotApplicable(why.clone()));
        }
        let interval = self.interval.clone().map_err(CollectError::Failed)?;
        let values = self.shared.values.within(&self.namespace, &self.pod, "");
        let (path, target) = (values.fill(&self.http.path)?, values.fill(&self.http.artifact)?);
        let first = Instant::now();
        let mut done = self.sample(sink, &path, &target, None).await?;
        for number in 2..=self.http.samples {
            // A source that gave nothing gives no rates either.
            if done.outcome != Outcome::Ok {
                break;
            }
            tokio::time::sleep(interval).await;
            let mark = samples::mark(number, first);
            match self.sample(sink, &path, &samples::numbered(&target, number), Some(&mark)).await {
                Ok(next) if next.outcome == Outcome::Ok => {}
                Ok(next) => done = Done::with(Outcome::Truncated, samples::missing(number, next.reason.as_deref())),
                Err(error @ CollectError::Spool(_)) => return Err(error),
                Err(error) => done = Done::with(Outcome::Truncated, samples::missing(number, Some(&error.to_string()))),
            }
        }
        Ok(done)
    }

    /// Reads the endpoint once.
    async fn sample(&self, sink: &Sink, path: &str, target: &str, mark: Option<&str>) -> Result<Done, CollectError> {
        let cluster = &self.shared.cluster;
        let access = access(&self.namespace);
        let refusal = match cluster.allowed(&access) {
            Ok(()) => {
                let proxied = format!(
                    "/api/v1/namespaces/{}/pods/{}:{}/proxy{path}",
                    escaped(&self.namespace),
                    escaped(&self.pod),
                    self.http.port,
                );
                // An error of the connection is tried again; a status never is, because it is the pod's answer.
                let send = || cluster.send(Method::GET, &proxied, HeaderMap::new(), Body::empty());
                let response = retry::retry(sink, send).await?;
                let (head, body) = response.into_parts();
                let answer = Answer { head, chunks: cluster.chunks(body), _connection: None };
                match self.read(sink, answer, target, mark).await? {
                    Read::Done(done) => return Ok(done),
                    Read::Refused(refusal) => {
                        cluster.deny(&access, &refusal);
                        match refusal.code {
                            403 | 404 | 503 => refusal.into_error(),
                            401 => return Err(refusal.into_error()),
                            400 => return Err(CollectError::NotApplicable(refusal.message)),
                            // The API server speaks for a pod that it cannot reach.
                            _ => return Err(CollectError::Failed(refusal.message)),
                        }
                    }
                }
            }
            Err(refused) => refused,
        };
        // The right to forward a port is another one, and the kubelet reaches what the API server may not.
        let over = async {
            let answer = self.forwarded(sink, path).await?;
            self.read(sink, answer, target, mark).await
        };
        match over.await {
            Ok(Read::Done(mut done)) => {
                let why = format!("over a forwarded port, because the proxy is refused: {refusal}");
                done.reason = Some(done.reason.map_or_else(|| why.clone(), |said| format!("{said}; {why}")));
                Ok(done)
            }
            Ok(Read::Refused(other)) => Err(CollectError::Failed(other.message)),
            Err(error @ CollectError::Spool(_)) => Err(error),
            Err(error) => {
                let text = format!("{refusal}; over a forwarded port: {error}");
                Err(match refusal {
                    CollectError::Forbidden(_) => CollectError::Forbidden(text),
                    CollectError::NotFound(_) => CollectError::NotFound(text),
                    _ => CollectError::Failed(text),
                })
            }
        }
    }

    /// Sends the GET over a forwarded port.
    async fn forwarded(&self, sink: &Sink, path: &str) -> Result<Answer, CollectError> {
        sink.attempt();
        let at = Port { namespace: &self.namespace, pod: &self.pod, node: self.node.as_deref(), port: self.http.port };
        forwarded(&self.shared.cluster, at, path, sink.limits().request_timeout).await
    }

    /// Stores an answer, or gives the refusal that it is.
    async fn read(&self, sink: &Sink, answer: Answer, target: &str, mark: Option<&str>) -> Result<Read, CollectError> {
        let Answer { head, mut chunks, _connection } = answer;
        let status = head.status;
        let open = || sink.create(target, Format::of_path(target), Keep::Oldest(self.http.limit_bytes));
        let mut held = Vec::new();
        let mut last = b'\n';
        let mut file: Option<Artifact> = None;
        let mut broke = None;
        loop {
            let chunk = match chunks.next().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => {
                    broke = Some(error);
                    break;
                }
            };
            last = chunk.last().copied().unwrap_or(last);
            if file.is_none() && !status.is_success() && held.len() + chunk.len() <= STATUS_MAX {
                held.extend_from_slice(&chunk);
                continue;
            }
            let file = match file.as_mut() {
                Some(file) => file,
                None => {
                    let mut new = open()?;
                    new.write(&std::mem::take(&mut held))?;
                    file.insert(new)
                }
            };
            file.write(&chunk)?;
            if file.is_full() {
                break;
            }
        }
        if file.is_none() && !status.is_success() {
            let refusal = Refusal::parse(status.as_u16(), &head.headers, &held);
            if refusal.from_api {
                return Ok(Read::Refused(refusal));
            }
            if !held.is_empty() {
                let mut new = open()?;
                new.write(&held)?;
                file = Some(new);
            }
        }
        let said = (!status.is_success()).then(|| format!("HTTP {}", status.as_u16()));
        let done = match (file, broke) {
            (None, Some(error)) => return Err(error),
            (None, None) => Done { outcome: Outcome::Empty, reason: said, spawn: Vec::new() },
            (Some(mut file), None) => {
                if let Some(mark) = mark {
                    // The mark is a line of its own.
                    file.write(if last == b'\n' { b"" } else { b"\n" })?;
                    file.write(mark.as_bytes())?;
                }
                file.finish(None)?;
                Done { outcome: Outcome::Ok, reason: said, spawn: Vec::new() }
            }
            (Some(file), Some(error)) => {
                let cut = Truncation { reason: "connection-lost".to_owned(), dropped_bytes: None, kept: Kept::Oldest };
                file.finish(Some(cut))?;
                Done::with(Outcome::Truncated, error.to_string())
            }
        };
        Ok(Read::Done(done))
    }
}

/// A port of a pod.
#[derive(Debug, Clone, Copy)]
pub(super) struct Port<'a> {
    pub(super) namespace: &'a str,
    pub(super) pod: &'a str,
    pub(super) node: Option<&'a str>,
    pub(super) port: u16,
}

/// Sends one GET over a forwarded port; the head of the answer has to come within `limit`.
pub(super) async fn forwarded(
    cluster: &Cluster,
    at: Port<'_>,
    path: &str,
    limit: Duration,
) -> Result<Answer, CollectError> {
    let port = at.port;
    let stream = portforward::open(cluster, at.namespace, at.pod, at.node, port).await?;
    let said = stream.said();
    let broken = |error: &dyn std::error::Error| {
        CollectError::Failed(said.text().unwrap_or_else(|| format!("the connection broke: {}", chain(error))))
    };
    let ask = async {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            // How it ended shows in the body.
            let _ = connection.await;
        }));
        let request = http::Request::get(path)
            .header(http::header::HOST, format!("localhost:{port}"))
            .body(Empty::<bytes::Bytes>::new())
            .map_err(|e| CollectError::Failed(format!("cannot ask for {path}: {e}")))?;
        let response = sender.send_request(request).await.map_err(|e| broken(&e))?;
        let (head, body) = response.into_parts();
        Ok(Answer { head, chunks: cluster.chunks(body), _connection: Some(connection) })
    };
    match tokio::time::timeout(limit, ask).await {
        Ok(answer) => answer,
        Err(_) => Err(CollectError::TimedOut(format!("no answer within {}", humantime::format_duration(limit)))),
    }
}

impl Item for ProxyItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/http"
    }

    fn describe(&self) -> String {
        let Http { port, path, why, .. } = &self.http;
        let times = if self.http.samples > 1 { format!(", {} times", self.http.samples) } else { String::new() };
        format!("GET {path} on port {port} of {}/{}{times}: {why}", self.namespace, self.pod)
    }

    fn lane(&self) -> Lane {
        Lane::Probe
    }

    fn effect(&self) -> Effect {
        Effect::Proxy
    }

    fn access(&self) -> Vec<Access> {
        let mut all = vec![access(&self.namespace)];
        all.extend(portforward::access(&self.namespace));
        all
    }

    fn timeout(&self) -> Option<Duration> {
        samples::timeout(self.interval.as_ref().ok().copied()?, self.http.samples)
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}
