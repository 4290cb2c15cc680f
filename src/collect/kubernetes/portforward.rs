//! A connection to a port of a pod, through the API server: bytes in both directions over a WebSocket.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, ReadHalf, WriteHalf};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::task::AbortOnDropHandle;

use super::api::{Cluster, escaped};
use super::websocket::{self, Socket, Way};
use crate::collect::CollectError;
use crate::collect::error::shortened;
use crate::model::Access;

const PROTOCOLS: [&str; 1] = ["v4.channel.k8s.io"];
/// Channels of the first and only port.
const DATA: u8 = 0;
const ERROR: u8 = 1;
/// Both channels begin with the number of the port.
const PREAMBLE: usize = 2;
/// Bytes that wait in one direction.
const BUFFER: usize = 64 << 10;

/// The rights for a connection: a WebSocket begins with a GET, and newer servers ask for `create` beside it.
pub(super) fn access(namespace: &str) -> [Access; 2] {
    ["create", "get"].map(|verb| Access::new(verb, "", "pods/portforward", Some(namespace)))
}

/// A connection to a port of a pod. Dropping it ends it.
pub(super) struct Forwarded {
    stream: DuplexStream,
    /// What the other end said went wrong.
    said: Said,
    _pump: AbortOnDropHandle<()>,
}

/// What the kubelet says when the port cannot be reached; it says so after the connection stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Said(Arc<Mutex<String>>);

impl Said {
    /// The text, where there is one.
    pub(super) fn text(&self) -> Option<String> {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = text.trim();
        (!text.is_empty()).then(|| shortened(text))
    }

    fn add(&self, text: &[u8]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < BUFFER {
            all.push_str(&String::from_utf8_lossy(&text[..text.len().min(BUFFER)]));
        }
    }
}

impl Forwarded {
    /// Where the other end's errors show.
    pub(super) fn said(&self) -> Said {
        self.said.clone()
    }
}

/// Opens a connection to a port of a pod.
///
/// # Errors
/// When the server refuses. That nothing listens on the port shows later, as the end of the stream and in [`Said`].
pub(super) async fn open(
    cluster: &Cluster,
    namespace: &str,
    pod: &str,
    node: Option<&str>,
    port: u16,
) -> Result<Forwarded, CollectError> {
    let rights = access(namespace);
    for right in &rights {
        cluster.allowed(right)?;
    }
    cluster.node_answers(node)?;
    let path = format!("/api/v1/namespaces/{}/pods/{}/portforward?ports={port}", escaped(namespace), escaped(pod));
    let socket = websocket::open(cluster, &path, Way { node, access: &rights, protocols: &PROTOCOLS }).await?;
    Ok(over(socket))
}

fn over(socket: Socket) -> Forwarded {
    let (near, far) = tokio::io::duplex(BUFFER);
    let said = Said::default();
    let pump = tokio::spawn(pump(socket, far, said.clone()));
    Forwarded { stream: near, said, _pump: AbortOnDropHandle::new(pump) }
}

/// Carries bytes until either side ends.
async fn pump(socket: Socket, far: DuplexStream, said: Said) {
    let (sink, stream) = socket.split();
    let (reader, writer) = tokio::io::split(far);
    tokio::select! {
        () = incoming(stream, writer, said) => {}
        () = outgoing(reader, sink) => {}
    }
}

async fn incoming(mut stream: SplitStream<Socket>, mut writer: WriteHalf<DuplexStream>, said: Said) {
    let mut skip = [PREAMBLE; 2];
    while let Some(Ok(message)) = stream.next().await {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Close(_) => return,
            _ => continue,
        };
        let Some((channel @ (&DATA | &ERROR), data)) = bytes.split_first() else { continue };
        let skip = &mut skip[usize::from(*channel)];
        let left = (*skip).min(data.len());
        *skip -= left;
        let data = &data[left..];
        if *channel == ERROR {
            said.add(data);
            if !data.is_empty() {
                return;
            }
        } else if !data.is_empty() && writer.write_all(data).await.is_err() {
            return;
        }
    }
}

async fn outgoing(mut reader: ReadHalf<DuplexStream>, mut sink: SplitSink<Socket, Message>) {
    let mut buffer = vec![DATA; BUFFER / 2];
    while let Ok(count @ 1..) = reader.read(&mut buffer[1..]).await {
        if sink.send(Message::binary(buffer[..=count].to_vec())).await.is_err() {
            return;
        }
    }
    // The other side learns that nothing more comes.
    let _ = sink.send(Message::Close(None)).await;
}

impl AsyncRead for Forwarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Forwarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
