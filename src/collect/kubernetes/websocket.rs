//! WebSockets through the API server: commands and port forwarding begin with one.

use std::time::Instant;

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::answer::shortened;
use super::api::Cluster;
use crate::collect::CollectError;
use crate::collect::error::chain;
use crate::model::Access;

/// Largest WebSocket message; the kubelet sends at most 32 KiB at once.
const MESSAGE_MAX: usize = 4 << 20;

/// An open WebSocket.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What belongs to a request beside its path.
pub(super) struct Way<'a> {
    /// The node that it goes through.
    pub(super) node: Option<&'a str>,
    /// The rights that it needs.
    pub(super) access: &'a [Access],
    /// Protocols that we speak, the best one first.
    pub(super) protocols: &'a [&'a str],
}

/// Opens a WebSocket. What the server refuses is kept in mind for the next one.
///
/// # Errors
/// When the server refuses, is silent, or does not speak WebSocket.
pub(super) async fn open(cluster: &Cluster, path: &str, way: Way<'_>) -> Result<Socket, CollectError> {
    let key = generate_key();
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    if let (Ok(key), Ok(protocols)) = (key.parse(), way.protocols.join(", ").parse()) {
        headers.insert(SEC_WEBSOCKET_KEY, key);
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocols);
    }
    let began = Instant::now();
    let answer = cluster.send(Method::GET, path, headers, Body::empty()).await;
    cluster.note_node(way.node, began, &answer);
    let response = answer?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let Err(refusal) = cluster.success(response).await? else {
            return Err(CollectError::Failed("the server does not speak WebSocket here".to_owned()));
        };
        for access in way.access {
            cluster.deny(access, &refusal);
        }
        // Behind the API server everything is a 500: a container that is gone, or a kubelet that is.
        return Err(match refusal.code {
            400 => CollectError::NotApplicable(refusal.message),
            _ if refusal.message.contains("container not found") => CollectError::NotApplicable(refusal.message),
            _ => refusal.into_error(),
        });
    }
    let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    if accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err(CollectError::Failed("the server's WebSocket handshake is wrong".to_owned()));
    }
    let spoken = response.headers().get(SEC_WEBSOCKET_PROTOCOL).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !way.protocols.contains(&spoken) {
        return Err(CollectError::Failed(format!("the server answers with the protocol `{}`", shortened(spoken))));
    }
    let limit = cluster.request_timeout();
    let upgraded = tokio::time::timeout(limit, hyper::upgrade::on(response))
        .await
        .map_err(|_| CollectError::TimedOut(format!("no WebSocket within {}", humantime::format_duration(limit))))?
        .map_err(|e| CollectError::Transient(format!("the connection broke: {}", chain(&e))))?;
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
    Ok(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(config)).await)
}
