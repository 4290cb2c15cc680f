//! The connection to one API server: every request goes through here, within a deadline and past the memory of what
//! was refused before.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use kube::client::Body;

use super::answer::Refusal;
use crate::collect::error::chain;
use crate::collect::{CollectError, Sink, retry};
use crate::model::Access;

/// Most of a refusal's body that is read.
const REFUSAL_MAX: usize = 64 << 10;
/// A server error that took longer than this is not tried again: the next attempt would take as long.
const FAST: Duration = Duration::from_secs(5);
/// So many deadlines in a row on one node, and its other requests are not sent.
const NODE_STRIKES: u32 = 3;

/// One Kubernetes API server, as one user. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    client: kube::Client,
    server: String,
    context: Option<String>,
    namespace: String,
    request_timeout: Duration,
    version: serde_json::Value,
    denied: Mutex<BTreeMap<Access, String>>,
    silent_nodes: Mutex<HashMap<String, u32>>,
}

/// Where a [`Cluster`] leads.
pub(super) struct Target {
    pub(super) client: kube::Client,
    pub(super) server: String,
    pub(super) context: Option<String>,
    pub(super) namespace: String,
    pub(super) request_timeout: Duration,
}

/// An answer: its body, or why there is none.
pub(super) type Answer<T> = Result<Result<T, Refusal>, CollectError>;

impl Cluster {
    pub(super) fn new(target: Target, version: serde_json::Value) -> Self {
        let Target { client, server, context, namespace, request_timeout } = target;
        let inner = Inner {
            client,
            server,
            context,
            namespace,
            request_timeout,
            version,
            denied: Mutex::default(),
            silent_nodes: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The same target, now with its version.
    pub(super) fn with_version(self, version: serde_json::Value) -> Self {
        let inner = &self.inner;
        let target = Target {
            client: inner.client.clone(),
            server: inner.server.clone(),
            context: inner.context.clone(),
            namespace: inner.namespace.clone(),
            request_timeout: inner.request_timeout,
        };
        Self::new(target, version)
    }

    /// URL of the API server.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.inner.server
    }

    /// Context of the kubeconfig; none within a cluster.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.inner.context.as_deref()
    }

    /// Namespace of the context, or of the service account.
    #[must_use]
    pub fn default_namespace(&self) -> &str {
        &self.inner.namespace
    }

    /// Version of the server, such as `v1.36.2`; empty where the server does not tell.
    #[must_use]
    pub fn version(&self) -> &str {
        self.inner.version.get("gitVersion").and_then(serde_json::Value::as_str).unwrap_or_default()
    }

    /// What `/version` answered, null where the server does not tell.
    pub(super) fn version_info(&self) -> &serde_json::Value {
        &self.inner.version
    }

    pub(super) fn request_timeout(&self) -> Duration {
        self.inner.request_timeout
    }

    /// Refuses what the server has refused before, without asking it again.
    pub(super) fn allowed(&self, access: &Access) -> Result<(), CollectError> {
        let denied = self.inner.denied.lock().unwrap_or_else(PoisonError::into_inner);
        match denied.get(access) {
            Some(said) => Err(CollectError::Forbidden(format!("not asked again after: {said}"))),
            None => Ok(()),
        }
    }

    /// Keeps in mind that the server refused.
    pub(super) fn deny(&self, access: &Access, refusal: &Refusal) {
        if refusal.code == 403 {
            let mut denied = self.inner.denied.lock().unwrap_or_else(PoisonError::into_inner);
            denied.entry(access.clone()).or_insert_with(|| refusal.message.clone());
        }
    }

    /// Refuses requests that go through a node which let several in a row run into their deadline.
    pub(super) fn node_answers(&self, node: Option<&str>) -> Result<(), CollectError> {
        let Some(node) = node else { return Ok(()) };
        let silent = self.inner.silent_nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if silent.get(node).is_some_and(|strikes| *strikes >= NODE_STRIKES) {
            return Err(CollectError::TimedOut(format!("not asked: node {node} let {NODE_STRIKES} requests run out")));
        }
        Ok(())
    }

    /// Counts requests in a row to which a node did not answer; an answer of any kind starts anew. The API server may say
    /// by itself that a node is silent, but then it takes as long.
    pub(super) fn note_node<T>(&self, node: Option<&str>, began: Instant, result: &Result<T, CollectError>) {
        let Some(node) = node else { return };
        let mut silent = self.inner.silent_nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_silent = match result {
            Ok(_) => false,
            Err(CollectError::TimedOut(_)) => true,
            Err(CollectError::Failed(_)) => began.elapsed() > FAST,
            Err(_) => return,
        };
        if is_silent {
            *silent.entry(node.to_owned()).or_default() += 1;
        } else {
            silent.remove(node);
        }
    }

    /// Sends one GET and gives the head of the answer, with its body still to read. Server errors that may pass are
    /// errors, so that [`retry`] sees them; everything else that is not a success is a [`Refusal`].
    pub(super) async fn open(&self, path: &str, accept: &str) -> Answer<Response<Body>> {
        let mut headers = HeaderMap::new();
        if let Ok(accept) = accept.parse() {
            headers.insert(http::header::ACCEPT, accept);
        }
        let began = Instant::now();
        let response = self.send(Method::GET, path, headers, Body::empty()).await?;
        let refusal = match self.success(response).await? {
            Ok(response) => return Ok(Ok(response)),
            Err(refusal) => refusal,
        };
        if !refusal.may_pass() {
            return Ok(Err(refusal));
        }
        if began.elapsed() > FAST && refusal.code != 429 {
            return Err(CollectError::Failed(refusal.message));
        }
        Err(refusal.into_error())
    }

    /// Sends one request and waits for the head of the answer.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Response<Body>, CollectError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(body)
            .map_err(|e| CollectError::Failed(format!("cannot ask for {path}: {e}")))?;
        *request.headers_mut() = headers;
        let limit = self.inner.request_timeout;
        match tokio::time::timeout(limit, self.inner.client.send(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(kube::Error::Auth(error))) => Err(CollectError::Failed(super::connect::auth_text(&error))),
            Ok(Err(error)) => Err(CollectError::Transient(chain(&error))),
            Err(_) => Err(CollectError::TimedOut(format!("no answer within {}", humantime::format_duration(limit)))),
        }
    }

    /// Reads the refusal out of an answer that is not a success.
    pub(super) async fn success(&self, response: Response<Body>) -> Answer<Response<Body>> {
        if response.status().is_success() {
            return Ok(Ok(response));
        }
        let code = response.status().as_u16();
        let (head, body) = response.into_parts();
        let mut body = self.chunks(body);
        let mut text = Vec::new();
        // A body that breaks off does not change what the status says.
        while let Ok(Some(chunk)) = body.next().await {
            text.extend_from_slice(&chunk[..chunk.len().min(REFUSAL_MAX - text.len())]);
            if text.len() >= REFUSAL_MAX {
                break;
            }
        }
        Ok(Err(Refusal::parse(code, &head.headers, &text)))
    }

    /// The body of an answer, piece by piece.
    pub(super) fn chunks<B>(&self, body: B) -> Chunks
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        Chunks { body: body.map_err(Into::into).boxed_unsync(), idle: self.inner.request_timeout }
    }

    /// Reads a whole small answer of at most `cap` bytes, with retries.
    pub(super) async fn get(&self, sink: Option<&Sink>, path: &str, accept: &str, cap: usize) -> Answer<Vec<u8>> {
        let mut attempt = 1;
        loop {
            if let Some(sink) = sink {
                sink.attempt();
            }
            let error = match self.get_once(path, accept, cap).await {
                Ok(answer) => {
                    if let (Some(sink), Ok(body)) = (sink, &answer) {
                        sink.received(body.len() as u64);
                    }
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let Some(wait) = retry::wait_after(&error, attempt) else { return Err(error) };
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn get_once(&self, path: &str, accept: &str, cap: usize) -> Answer<Vec<u8>> {
        let response = match self.open(path, accept).await? {
            Ok(response) => response,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.collect(response, cap).await.map(Ok)
    }

    /// Reads the rest of an answer into memory.
    pub(super) async fn collect(&self, response: Response<Body>, cap: usize) -> Result<Vec<u8>, CollectError> {
        let mut chunks = self.chunks(response.into_body());
        let mut body = Vec::new();
        while let Some(chunk) = chunks.next().await? {
            if body.len() + chunk.len() > cap {
                return Err(CollectError::Failed(format!("the answer is larger than {cap} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Why a body ended early.
type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer. Each wait for the next piece has a deadline.
pub(super) struct Chunks {
    body: UnsyncBoxBody<Bytes, BodyError>,
    idle: Duration,
}

impl Chunks {
    /// The next piece; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, CollectError> {
        loop {
            match tokio::time::timeout(self.idle, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Ok(Some(Err(error))) => {
                    return Err(CollectError::Transient(format!("the connection broke: {}", chain(error.as_ref()))));
                }
                Err(_) => {
                    let limit = humantime::format_duration(self.idle);
                    return Err(CollectError::TimedOut(format!("the answer stopped for {limit}")));
                }
            }
        }
    }
}

/// One segment of a path, or one value of a query, with everything escaped that is not unreserved.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_leave_a_path_or_a_query_is_escaped() {
        assert_eq!(escaped("core-0.a_b~"), "core-0.a_b~");
        assert_eq!(escaped("../x?y&z=1#"), "..%2Fx%3Fy%26z%3D1%23");
        assert_eq!(escaped("ü"), "%C3%BC");
    }
}
