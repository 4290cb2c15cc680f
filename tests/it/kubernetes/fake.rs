//! A Kubernetes API of a few lines, for what a well-behaved server never does: the test says what each request gets.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt, stream};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// One request.
pub(super) struct Ask {
    pub(super) path: String,
    pub(super) query: String,
    pub(super) accept: String,
    /// The `Authorization` header.
    pub(super) authorization: String,
    /// How often the same path was asked for before.
    pub(super) before: usize,
}

/// What it gets.
pub(super) enum Reply {
    /// Status, content type, body.
    Text(u16, &'static str, Vec<u8>),
    /// The same with `Retry-After`.
    Later(u16, u64),
    /// The pieces of a body, and whether the connection breaks behind them.
    Pieces(Vec<Vec<u8>>, bool),
    /// A WebSocket with these frames (channel, bytes), and whether it stays open behind them.
    Frames(Vec<(u8, Vec<u8>)>, bool),
    /// Nothing, ever.
    Hang,
}

impl Reply {
    pub(super) fn json(value: &Value) -> Self {
        Self::Text(200, "application/json", value.to_string().into_bytes())
    }

    pub(super) fn status(code: u16, message: &str) -> Self {
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "code": code});
        Self::Text(code, "application/json", status.to_string().into_bytes())
    }

    pub(super) fn log(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(200, "text/plain", text.into())
    }
}

type Handler = dyn Fn(&Ask) -> Option<Reply> + Send + Sync;

/// The running server. Dropping it ends it.
pub(super) struct Fake {
    pub(super) addr: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Fake {
    /// Starts a server that answers with `handler`, and with an empty cluster where that says nothing.
    pub(super) async fn start(handler: impl Fn(&Ask) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let counts = Arc::new(Mutex::new(HashMap::new()));
        let handler: Arc<Handler> = Arc::new(handler);
        let seen = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (handler, asked, counts) = (Arc::clone(&handler), Arc::clone(&seen), Arc::clone(&counts));
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let (handler, asked, counts) = (Arc::clone(&handler), Arc::clone(&asked), Arc::clone(&counts));
                        async move { answer(request, &*handler, &asked, &counts).await }
                    });
                    let connection =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    let _ = connection.with_upgrades().await;
                });
            }
        });
        Self { addr, asked, task }
    }

    /// Path and query of all requests so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// How many requests contained a text.
    pub(super) fn count(&self, text: &str) -> usize {
        self.asked().iter().filter(|a| a.contains(text)).count()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    mut request: Request<Incoming>,
    handler: &Handler,
    asked: &Mutex<Vec<String>>,
    counts: &Mutex<HashMap<String, usize>>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    asked.lock().unwrap().push(format!("{path}?{query}"));
    let before = {
        let mut counts = counts.lock().unwrap();
        let count = counts.entry(path.clone()).or_insert(0);
        *count += 1;
        *count - 1
    };
    let accept = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let ask = Ask { path, query, accept, authorization: authorization.to_owned(), before };
    let reply = handler(&ask).unwrap_or_else(|| default(&ask));
    let response = Response::builder();
    Ok(match reply {
        Reply::Text(code, kind, body) => {
            response.status(code).header(header::CONTENT_TYPE, kind).body(pieces(vec![body], false)).unwrap()
        }
        Reply::Later(code, seconds) => {
            response.status(code).header(header::RETRY_AFTER, seconds).body(pieces(vec![], false)).unwrap()
        }
        Reply::Pieces(parts, breaks) => response.status(200).body(pieces(parts, breaks)).unwrap(),
        Reply::Hang => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            response.status(504).body(pieces(vec![], false)).unwrap()
        }
        Reply::Frames(frames, open) => {
            let key = request.headers().get(header::SEC_WEBSOCKET_KEY).unwrap().as_bytes().to_vec();
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let io = TokioIo::new(upgrade.await.unwrap());
                let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
                for (channel, data) in frames {
                    let message: Vec<u8> = [vec![channel], data].concat();
                    if socket.send(Message::Binary(message.into())).await.is_err() {
                        return;
                    }
                }
                if open {
                    while socket.next().await.is_some_and(|m| m.is_ok()) {}
                } else {
                    let _ = socket.close(None).await;
                }
            });
            response
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header(header::CONNECTION, "Upgrade")
                .header(header::UPGRADE, "websocket")
                .header(header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(&key))
                .header(header::SEC_WEBSOCKET_PROTOCOL, "v5.channel.k8s.io")
                .body(pieces(vec![], false))
                .unwrap()
        }
    })
}

fn pieces(parts: Vec<Vec<u8>>, breaks: bool) -> Body {
    let parts = stream::iter(parts).map(|p| Ok(Frame::data(Bytes::from(p))));
    let end = stream::iter(breaks.then(|| Err(std::io::Error::other("broken on purpose"))));
    // The pause lets what was sent reach the client before the connection breaks.
    let end = end.then(|e| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        e
    });
    StreamBody::new(parts.chain(end)).boxed_unsync()
}

fn default(ask: &Ask) -> Reply {
    let kind = |plural: &str, kind: &str, scope: &str| json!({"resource": plural, "responseKind": {"kind": kind}, "scope": scope, "verbs": ["get", "list"]});
    match ask.path.as_str() {
        "/version" => Reply::json(&json!({"gitVersion": "v1.36.2"})),
        "/api" => Reply::json(
            &json!({"kind": "APIGroupDiscoveryList", "items": [{"metadata": {}, "versions": [{"version": "v1", "resources": [
                kind("pods", "Pod", "Namespaced"), kind("secrets", "Secret", "Namespaced"), kind("configmaps", "ConfigMap", "Namespaced"),
                kind("events", "Event", "Namespaced"), kind("nodes", "Node", "Cluster"),
            ]}]}]}),
        ),
        "/apis" => Reply::json(&json!({"kind": "APIGroupDiscoveryList", "items": []})),
        _ => Reply::json(&json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": []})),
    }
}

/// A list with these objects.
pub(super) fn list(items: &[Value]) -> Reply {
    Reply::json(&json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}))
}

/// A running pod with one running container `main`.
pub(super) fn pod(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "a", "labels": {"app": "kms-core"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "main", "resources": {"limits": {"memory": "128Mi"}}}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "main", "state": {"running": {}}, "lastState": {}}]},
    })
}
