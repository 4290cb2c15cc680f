//! Port forwarding over a WebSocket: each port has a channel for data and one for errors, and behind the data is an
//! HTTP or gRPC server that answers from the replay file, or a real program.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::{Sink, SinkExt, Stream, StreamExt};
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::api::{Call, blocking};
use super::exec::{goodbye, message, upgrade};
use super::grpc;
use super::http::Response;
use super::proxy::forwarded;
use super::replay::Subject;
use super::state::State;
use super::status::Status;

/// Ports of one request.
const PORTS: usize = 16;
/// Bytes that wait in one direction of one port.
const BUFFER: usize = 64 << 10;
/// How long a forwarding may last.
const OPEN: Duration = Duration::from_secs(600);
/// How long the head of a request to a forwarded port may take to arrive.
const HEADER_TIME: Duration = Duration::from_secs(30);
const PROTOCOLS: [&str; 1] = ["v4.channel.k8s.io"];

/// Answers `.../pods/<name>/portforward`.
///
/// # Errors
/// As the API server words them.
pub(super) async fn run(call: Call, request: Request<Incoming>) -> Result<Response, Status> {
    let (state, stop) = (Arc::clone(&call.state), call.stop.clone());
    let (pod, ports) = blocking(move || find(&call)).await?;
    let shared = Arc::clone(&state);
    upgrade(&shared, request, &PROTOCOLS, move |socket| async move {
        tokio::select! {
            () = stop.cancelled() => {}
            _ = tokio::time::timeout(OPEN, forward(socket, state, pod, ports)) => {}
        }
    })
}

/// The pod, as `<namespace>/<name>`, and the ports. Blocks.
fn find(call: &Call) -> Result<(String, Vec<u16>), Status> {
    let target = &call.target;
    let (namespace, name) = (target.namespace.as_deref().unwrap_or(""), target.name.as_deref().unwrap_or(""));
    let found = call.state.objects.get("", "pods", Some(namespace), name)?;
    let Some((list, at)) = found else { return Err(Status::not_found(target, name)) };
    if list.objects[at].value["spec"]["nodeName"].as_str().unwrap_or("").is_empty() {
        return Err(Status::bad_request(format!("pod {name} does not have a host assigned")));
    }
    let texts = call.query.all("ports");
    let ports: Result<Vec<u16>, _> = texts.iter().flat_map(|t| t.split(',')).map(str::parse).collect();
    match ports {
        Ok(ports) if (1..=PORTS).contains(&ports.len()) => Ok((format!("{namespace}/{name}"), ports)),
        _ => Err(Status::bad_request(format!("query parameter \"ports\" must be 1 to {PORTS} port numbers"))),
    }
}

async fn forward<S>(socket: WebSocketStream<S>, state: Arc<State>, pod: String, ports: Vec<u16>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, stream) = socket.split();
    let (sender, receiver) = mpsc::channel(4);
    // Dropping the set ends the servers and the pumps of all ports.
    let mut tasks = JoinSet::new();
    let mut writers = Vec::new();
    for (channel, port) in (0_u8..).step_by(2).zip(ports) {
        for channel in [channel, channel + 1] {
            if sink.send(message(channel, &port.to_le_bytes())).await.is_err() {
                return;
            }
        }
        let (near, far) = tokio::io::duplex(BUFFER);
        let (reader, writer) = tokio::io::split(near);
        writers.push(writer);
        if let Some(address) = state.forward_to(&pod, port) {
            tasks.spawn(splice(far, address));
            tasks.spawn(outgoing(reader, channel, sender.clone()));
        } else if state.replay.speaks_grpc(&pod, port) {
            tasks.spawn(grpc::serve(far, Arc::clone(&state), pod.clone(), port));
            tasks.spawn(outgoing(reader, channel, sender.clone()));
        } else if state.replay.listens(Subject::Pod(&pod, port)) {
            tasks.spawn(answer(far, Arc::clone(&state), pod.clone(), port));
            tasks.spawn(outgoing(reader, channel, sender.clone()));
        } else {
            let text = format!(
                "an error occurred forwarding {port} -> {port}: error forwarding port {port} to pod {pod}: dial tcp4 \
                 127.0.0.1:{port}: connect: connection refused"
            );
            if sink.send(message(channel + 1, text.as_bytes())).await.is_err() {
                return;
            }
        }
    }
    drop(sender);
    tokio::select! {
        () = deliver(receiver, sink) => {}
        () = incoming(stream, writers) => {}
    }
}

/// The program behind a port.
async fn answer(stream: DuplexStream, state: Arc<State>, pod: String, port: u16) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = forwarded(&state.replay, Arc::clone(&state.store), &pod, port, request.uri().path());
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Passes bytes on to a real program; one that is not there ends the stream.
async fn splice(mut stream: DuplexStream, address: SocketAddr) {
    if let Ok(mut program) = TcpStream::connect(address).await {
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut program).await;
    }
}

/// What a program sends, as messages of its channel.
async fn outgoing(mut reader: ReadHalf<DuplexStream>, channel: u8, sender: mpsc::Sender<Message>) {
    let mut buffer = vec![0; BUFFER / 2];
    while let Ok(count @ 1..) = reader.read(&mut buffer).await {
        if sender.send(message(channel, &buffer[..count])).await.is_err() {
            return;
        }
    }
}

/// Sends the messages of all ports; when all programs have ended, the connection does.
async fn deliver(mut messages: mpsc::Receiver<Message>, mut sink: impl Sink<Message> + Unpin) {
    while let Some(message) = messages.recv().await {
        if sink.send(message).await.is_err() {
            return;
        }
    }
    let _ = sink.send(goodbye()).await;
}

/// What the client sends, until it goes away.
async fn incoming<E>(
    mut stream: impl Stream<Item = Result<Message, E>> + Unpin,
    mut writers: Vec<WriteHalf<DuplexStream>>,
) {
    while let Some(Ok(received)) = stream.next().await {
        let Message::Binary(bytes) = received else { continue };
        let Some((channel, data)) = bytes.split_first() else { continue };
        // Odd channels are for errors, which a client has none of.
        if channel % 2 == 0
            && let Some(writer) = writers.get_mut(usize::from(channel / 2))
        {
            // A program that has ended does not hear.
            let _ = writer.write_all(data).await;
        }
    }
}
