//! Faults on demand: how a server misbehaves for the requests that are told to it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use globset::{Glob, GlobMatcher};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use super::http::{Body, Response, full, with_type};

/// Pause before a connection is cut, so that the bytes before the cut arrive.
const FLUSH: Duration = Duration::from_millis(50);

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// The answer comes late.
    Latency(Duration),
    /// The answer is an error of the API, in the real server's words.
    Status {
        /// HTTP status code.
        code: u16,
        /// Seconds of a `Retry-After` header.
        retry_after: Option<u64>,
    },
    /// No answer comes.
    Hang,
    /// The connection breaks after so many bytes of the body.
    CutAfter(u64),
    /// A body that ends cleanly after so many bytes: what a kubelet does that loses its log file.
    EndAfter(u64),
    /// Status 200 with bytes that are no JSON.
    Garbage,
    /// The body comes in pieces of so many bytes with a pause before each.
    SlowDrip {
        /// Bytes of one piece, at least 1.
        bytes: usize,
        /// Pause before each piece.
        every: Duration,
    },
    /// The connection is closed without an answer.
    Reset,
    /// A continue token of an earlier page is too old: 410, with a token to go on.
    Expire,
}

/// A fault and the requests that it is for.
#[derive(Debug, Clone)]
pub struct Fault {
    method: String,
    path: String,
    query: String,
    skip: usize,
    times: usize,
    kind: FaultKind,
}

impl Fault {
    /// For all requests with a path that matches a glob (`*` also matches `/`).
    #[must_use]
    pub fn on(path: &str, kind: FaultKind) -> Self {
        Self { method: String::new(), path: path.to_owned(), query: String::new(), skip: 0, times: usize::MAX, kind }
    }

    /// Only for one method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// Only for requests whose query, as sent, contains a text.
    #[must_use]
    pub fn query(mut self, text: &str) -> Self {
        text.clone_into(&mut self.query);
        self
    }

    /// Not for the first `count` requests that match.
    #[must_use]
    pub fn skip(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// For at most `count` requests.
    #[must_use]
    pub fn times(mut self, count: usize) -> Self {
        self.times = count;
        self
    }
}

/// All faults of a server with the counts of what they matched.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Fault, GlobMatcher, AtomicUsize)>);

impl Faults {
    /// Compiles faults.
    ///
    /// # Errors
    /// When a path is not a valid glob.
    pub(super) fn new(faults: Vec<Fault>) -> Result<Self, globset::Error> {
        let compile = |fault: Fault| {
            let glob = Glob::new(&fault.path)?.compile_matcher();
            Ok((fault, glob, AtomicUsize::new(0)))
        };
        Ok(Self(faults.into_iter().map(compile).collect::<Result<_, _>>()?))
    }

    /// The faults that hit a request, in their order. Asking counts.
    pub(super) fn hit(&self, method: &str, path: &str, query: &str) -> Vec<FaultKind> {
        let hits = |(fault, glob, count): &(Fault, GlobMatcher, AtomicUsize)| {
            let fits = (fault.method.is_empty() || fault.method == method)
                && glob.is_match(path)
                && (fault.query.is_empty() || query.contains(&fault.query));
            let at = if fits { count.fetch_add(1, Ordering::Relaxed) } else { return None };
            (at >= fault.skip && at - fault.skip < fault.times).then(|| fault.kind.clone())
        };
        self.0.iter().filter_map(hits).collect()
    }
}

/// 200 with a body that claims to be JSON.
pub(super) fn garbage() -> Response {
    let noise: &[u8] = b"{\"kind\":\"PodList\",\"items\":[{\"metadata\":\xff\xfe\x00\x1b[31m<html>";
    with_type(StatusCode::OK, HeaderValue::from_static("application/json"), full(noise))
}

/// Bends the body of an answer.
pub(super) fn bend(response: Response, kind: &FaultKind) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = match *kind {
        FaultKind::CutAfter(limit) => boxed(first(body, limit).chain(stream::once(async {
            // What was sent before must be on its way, or the client would see none of it.
            tokio::time::sleep(FLUSH).await;
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut by a fault"))
        }))),
        FaultKind::EndAfter(limit) => boxed(first(body, limit)),
        FaultKind::SlowDrip { bytes, every } => boxed(drip(body, bytes.max(1), every)),
        _ => body,
    };
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, body)
}

fn boxed(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    StreamBody::new(stream.map(|chunk| chunk.map(Frame::data))).boxed_unsync()
}

fn chunks(body: Body) -> impl Stream<Item = io::Result<Bytes>> + Send {
    body.into_data_stream()
}

fn first(body: Body, limit: u64) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let cut = move |chunk: io::Result<Bytes>| {
        let taken = chunk.map(|mut bytes| bytes.split_to(left.min(bytes.len())));
        left -= taken.as_ref().map_or(0, Bytes::len);
        let stop = left == 0;
        (taken, stop)
    };
    chunks(body)
        .scan((false, cut), |(done, cut), chunk| {
            let next = if *done {
                None
            } else {
                let (taken, stop) = cut(chunk);
                *done = stop;
                Some(taken)
            };
            std::future::ready(next)
        })
        .filter(|chunk| std::future::ready(!matches!(chunk, Ok(bytes) if bytes.is_empty())))
}

fn drip(body: Body, size: usize, every: Duration) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold((Box::pin(chunks(body)), Bytes::new()), move |(mut rest, mut held)| async move {
        if held.is_empty() {
            held = match rest.next().await? {
                Ok(bytes) => bytes,
                Err(error) => return Some((Err(error), (rest, held))),
            };
        }
        tokio::time::sleep(every).await;
        let piece = held.split_to(size.min(held.len()));
        Some((Ok(piece), (rest, held)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_hit_what_they_are_told() {
        let fault = Fault::on("/api/v1/*/log", FaultKind::Hang).method("GET").query("previous").skip(1).times(2);
        let faults = Faults::new(vec![fault]).unwrap();
        let path = "/api/v1/namespaces/a/pods/b/log";
        let hits = |query: &str| faults.hit("GET", path, query).len();
        assert_eq!(faults.hit("POST", path, "previous=true").len(), 0);
        assert_eq!(hits("container=c"), 0);
        assert_eq!([(); 4].map(|()| hits("previous=true")), [0, 1, 1, 0]);
        assert!(Faults::new(vec![Fault::on("[", FaultKind::Hang)]).is_err());
    }

    async fn read(kind: FaultKind) -> (Vec<u8>, bool) {
        let response = bend(http::Response::new(full("0123456789")), &kind);
        let mut body = Box::pin(response.into_body().into_data_stream());
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            match chunk {
                Ok(chunk) => bytes.extend_from_slice(&chunk),
                Err(_) => return (bytes, false),
            }
        }
        (bytes, true)
    }

    #[tokio::test]
    async fn bodies_are_bent() {
        assert_eq!(read(FaultKind::CutAfter(4)).await, (b"0123".to_vec(), false));
        assert_eq!(read(FaultKind::CutAfter(0)).await, (Vec::new(), false));
        assert_eq!(read(FaultKind::EndAfter(4)).await, (b"0123".to_vec(), true));
        let drip = FaultKind::SlowDrip { bytes: 3, every: Duration::from_millis(1) };
        assert_eq!(read(drip).await, (b"0123456789".to_vec(), true));
    }
}
