//! `exec` over a WebSocket: the streams of a replayed command, each message with its channel in the first byte.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::api::{Call, blocking};
use super::http::{Response, full, plain};
use super::logs::{container, container_status};
use super::replay::Content;
use super::state::State;
use super::status::Status;
use crate::bundle::Store;

const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
/// Bytes of one message of output.
const CHUNK: usize = 32 << 10;
/// Bytes of one message that a client may send.
const MESSAGE: usize = 1 << 20;
/// How long a command that hangs keeps its connection, and how long a client may take to read a message.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long the client may take to answer the end of the connection.
const GOODBYE: Duration = Duration::from_secs(5);
const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// What a command does.
struct Play {
    stdout: Option<Content>,
    stderr: Option<Content>,
    status: Value,
    hang: bool,
}

/// Answers `.../pods/<name>/exec`.
///
/// # Errors
/// As the API server and the kubelet word them.
pub(super) async fn run(call: Call, request: Request<Incoming>) -> Result<Response, Status> {
    let (state, stop) = (Arc::clone(&call.state), call.stop.clone());
    let store = Arc::clone(&state.store);
    let play = match blocking(move || find(&call)).await? {
        Ok(play) => play,
        Err(text) => return Ok(plain(StatusCode::INTERNAL_SERVER_ERROR, text)),
    };
    upgrade(&state, request, &PROTOCOLS, move |socket| async move {
        tokio::select! {
            () = stop.cancelled() => {}
            // A client that goes away ends its own command.
            _ = tokio::time::timeout(PATIENCE, perform(socket, store, play)) => {}
        }
    })
}

/// Accepts a WebSocket with one of some protocols and hands it to a task.
///
/// # Errors
/// When the request is no WebSocket handshake, is for no protocol that is spoken here, or is one too many.
pub(super) fn upgrade<F>(
    state: &State,
    mut request: Request<Incoming>,
    protocols: &[&'static str],
    serve: impl FnOnce(WebSocketStream<TokioIo<Upgraded>>) -> F + Send + 'static,
) -> Result<Response, Status>
where
    F: Future<Output = ()> + Send,
{
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let key = header("sec-websocket-key").to_owned();
    if !header("upgrade").eq_ignore_ascii_case("websocket") || key.is_empty() {
        return Err(Status::bad_request("Upgrade request required"));
    }
    let offered: Vec<&str> = request
        .headers()
        .get_all("sec-websocket-protocol")
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .map(str::trim)
        .collect();
    let Some(protocol) = offered.iter().find_map(|o| protocols.iter().find(|p| *p == o)) else {
        return Err(Status::bad_request(format!(
            "unable to upgrade: none of the protocols {offered:?} is one of {protocols:?}"
        )));
    };
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .map_err(|_| Status::bad_request("Sec-WebSocket-Key is not valid"))?;
    let slot = Arc::clone(&state.sockets)
        .try_acquire_owned()
        .map_err(|_| Status::unavailable("too many commands and forwarded ports at the same time"))?;
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let _slot = slot;
        let Ok(upgraded) = upgraded.await else { return };
        let config = WebSocketConfig::default().max_message_size(Some(MESSAGE)).max_frame_size(Some(MESSAGE));
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        serve(socket).await;
    });
    let mut response = http::Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("upgrade", HeaderValue::from_static("websocket"));
    headers.insert("connection", HeaderValue::from_static("Upgrade"));
    headers.insert("sec-websocket-accept", accept);
    headers.insert("sec-websocket-protocol", HeaderValue::from_static(protocol));
    Ok(response)
}

/// Finds what a command does. The inner error is what a kubelet says in plain text, with status 500. Blocks.
fn find(call: &Call) -> Result<Result<Play, String>, Status> {
    let (target, query) = (&call.target, &call.query);
    let (Some(namespace), Some(name)) = (target.namespace.as_deref(), target.name.as_deref()) else {
        return Err(Status::bad_request("exec needs a namespace and a pod"));
    };
    let command = query.all("command");
    if command.is_empty() {
        return Err(Status::bad_request("you must specify at least one command for the container"));
    }
    let found = call.state.objects.get("", "pods", Some(namespace), name)?;
    let Some((list, at)) = found else { return Err(Status::not_found(target, name)) };
    let pod = &list.objects[at].value;
    let container = container(pod, name, query.get("container"))?;
    if pod["spec"]["nodeName"].as_str().unwrap_or("").is_empty() {
        return Err(Status::bad_request(format!("pod {name} does not have a host assigned")));
    }
    if !container_status(pod, &container)["state"]["running"].is_object() {
        return Ok(Err(format!("container not found (\"{container}\")")));
    }
    let streams = |stdout: &Content, stderr: &Content| {
        (query.is_true("stdout").then(|| stdout.clone()), query.is_true("stderr").then(|| stderr.clone()))
    };
    Ok(Ok(match call.state.replay.exec(&format!("{namespace}/{name}"), &container, &command) {
        Some(exec) => {
            let (stdout, stderr) = streams(&exec.stdout, &exec.stderr);
            let status = match &exec.error {
                Some(Value::String(message)) => internal(message),
                Some(status) => status.clone(),
                None => exit_status(exec.exit_code),
            };
            Play { stdout, stderr, status, hang: exec.hang }
        }
        None => Play { stdout: None, stderr: None, status: internal(&no_such_program(pod, &command[0])), hang: false },
    }))
}

/// What the runtime says about a program that the image does not have.
fn no_such_program(pod: &Value, program: &str) -> String {
    // Real ids of an execution are random; this one depends on the pod, so that runs can be compared.
    let uid: String = pod["metadata"]["uid"].as_str().unwrap_or("").chars().filter(char::is_ascii_hexdigit).collect();
    let id: String = uid.chars().chain(std::iter::repeat('0')).take(64).collect();
    format!(
        "Internal error occurred: error executing command in container: failed to exec in container: failed to start \
         exec \"{id}\": OCI runtime exec failed: exec failed: unable to start container process: exec: \"{program}\": \
         executable file not found in $PATH: unknown"
    )
}

fn internal(message: &str) -> Value {
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("Internal error occurred: {message}"),
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    })
}

/// The status that ends a command.
fn exit_status(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: command terminated with exit code {code}"),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

/// Sends the output of a command, its status and the end.
async fn perform<S>(socket: WebSocketStream<S>, store: Arc<dyn Store>, play: Play)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let (mut sink, mut stream) = socket.split();
    let send = async move {
        sink.send(message(STDOUT, &[])).await?;
        if play.hang {
            std::future::pending::<()>().await;
        }
        for (channel, content) in [(STDOUT, play.stdout), (STDERR, play.stderr)] {
            let Some(content) = content else { continue };
            let mut chunks = read(Arc::clone(&store), content);
            while let Some(chunk) = chunks.recv().await {
                match chunk {
                    Ok(bytes) => sink.send(message(channel, &bytes)).await?,
                    Err(error) => {
                        let status = internal(&format!("cannot read the recorded output: {error}"));
                        sink.send(message(ERROR, status.to_string().as_bytes())).await?;
                        return sink.send(goodbye()).await;
                    }
                }
            }
        }
        sink.send(message(ERROR, play.status.to_string().as_bytes())).await?;
        sink.send(goodbye()).await
    };
    // What a client sends (input, sizes of a terminal) is read and dropped, and tells when it goes away.
    let drain = async { while let Some(Ok(_)) = stream.next().await {} };
    tokio::pin!(drain);
    tokio::select! {
        result = send => {
            if result.is_ok() {
                let _ = tokio::time::timeout(GOODBYE, drain).await;
            }
        }
        () = &mut drain => {}
    }
}

pub(super) fn message(channel: u8, bytes: &[u8]) -> Message {
    let mut framed = Vec::with_capacity(bytes.len() + 1);
    framed.push(channel);
    framed.extend_from_slice(bytes);
    Message::Binary(framed.into())
}

pub(super) fn goodbye() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))
}

/// Reads recorded bytes in chunks.
pub(super) fn read(store: Arc<dyn Store>, content: Content) -> mpsc::Receiver<io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        let mut reader: Box<dyn Read + '_> = match &content {
            Content::Text(text) => Box::new(text.as_bytes()),
            Content::File(path) => match store.open(path) {
                Ok(reader) => reader,
                Err(error) => {
                    let _ = sender.blocking_send(Err(io::Error::other(error)));
                    return;
                }
            },
        };
        loop {
            let mut chunk = Vec::new();
            let result = reader.by_ref().take(CHUNK as u64).read_to_end(&mut chunk);
            let (end, item) = match result {
                Ok(0) => return,
                Ok(_) => (false, Ok(chunk.into())),
                Err(error) => (true, Err(error)),
            };
            if sender.blocking_send(item).is_err() || end {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_the_recorded_ones() {
        assert_eq!(exit_status(0).to_string(), r#"{"metadata":{},"status":"Success"}"#);
        assert_eq!(
            exit_status(3).to_string(),
            r#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: command terminated with exit code 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#
        );
        assert_eq!(
            internal("unable to upgrade connection: exec denied by fault injection").to_string(),
            r#"{"metadata":{},"status":"Failure","message":"Internal error occurred: unable to upgrade connection: exec denied by fault injection","reason":"InternalError","details":{"causes":[{"message":"unable to upgrade connection: exec denied by fault injection"}]},"code":500}"#
        );
    }
}
