//! gRPC programs behind forwarded ports, answered from the replay file: unary calls whose answers are recorded bytes.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::http::Response;
use super::replay::Grpc;
use super::state::State;

/// Largest question.
const QUESTION_MAX: usize = 64 << 10;
/// Flag and length before a message.
const PREFIX: usize = 5;
const UNIMPLEMENTED: u32 = 12;

/// Speaks HTTP/2 on a connection until it ends.
pub(super) async fn serve<S>(stream: S, state: Arc<State>, pod: String, port: u16)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (state, pod) = (Arc::clone(&state), pod.clone());
        async move { Ok::<_, Infallible>(answer(&state, &pod, port, request).await) }
    });
    // What goes wrong on a connection is the client's to notice.
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(state: &State, pod: &str, port: u16, request: Request<Incoming>) -> Response {
    let method = request.uri().path().trim_start_matches('/').to_owned();
    let question = match Limited::new(request.into_body(), QUESTION_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    };
    let message = question.get(PREFIX..).unwrap_or_default();
    let found = state.replay.grpc(pod, port, &method, message);
    match found {
        Some(Grpc { hang: true, .. }) => std::future::pending().await,
        Some(found) => respond((found.code == 0).then_some(&found.response), found.code, &found.message),
        None => respond(None, UNIMPLEMENTED, ""),
    }
}

fn respond(message: Option<&Vec<u8>>, code: u32, text: &str) -> Response {
    let mut frames = Vec::new();
    if let Some(message) = message {
        let mut data = BytesMut::with_capacity(PREFIX + message.len());
        data.put_u8(0);
        data.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
        data.put_slice(message);
        frames.push(Ok(Frame::data(data.freeze())));
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(code));
    if let Ok(text) = encoded(text).parse() {
        trailers.insert("grpc-message", text);
    }
    frames.push(Ok(Frame::trailers(trailers)));
    let mut response = Response::new(StreamBody::new(stream::iter(frames)).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// A status message as gRPC writes it into a header.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
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
    fn messages_of_a_status_fit_a_header() {
        assert_eq!(encoded("100% of ü\n"), "100%25 of %C3%BC%0A");
    }
}
