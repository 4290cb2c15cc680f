//! Calls over a connection that is there already.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::document::Call;
use super::methods::Question;
use crate::collect::CollectError;
use crate::collect::error::chain;

/// A connection of any kind.
pub(in crate::collect) trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// Gives its one connection away; a second one would be another endpoint.
struct Given(Option<Box<dyn Io>>);

impl Service<Uri> for Given {
    type Response = TokioIo<Box<dyn Io>>;
    type Error = std::io::Error;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let gone = || std::io::Error::new(std::io::ErrorKind::BrokenPipe, "the connection ended");
        std::future::ready(self.0.take().map(TokioIo::new).ok_or_else(gone))
    }
}

/// Begins HTTP/2 on a connection.
///
/// # Errors
/// When the connection breaks at once. Most that is wrong shows with the first call only.
async fn connect(io: Box<dyn Io>, limit: Duration) -> Result<Channel, CollectError> {
    // Only the authority of the requests comes from here.
    let endpoint = Endpoint::from_static("http://localhost");
    match tokio::time::timeout(limit, endpoint.connect_with_connector(Given(Some(io)))).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => Err(CollectError::Failed(format!("no gRPC connection: {}", chain(&error)))),
        Err(_) => {
            let limit = humantime::format_duration(limit);
            Err(CollectError::TimedOut(format!("no gRPC connection within {limit}")))
        }
    }
}

/// Asks all questions at once; the calls stand in the order of the questions.
pub(super) async fn ask(channel: &Channel, questions: &[Question], limit: Duration) -> Vec<Call> {
    let running: FuturesUnordered<_> = questions
        .iter()
        .enumerate()
        .map(|(at, question)| {
            let channel = channel.clone();
            async move {
                let began = Instant::now();
                let result = match tokio::time::timeout(limit, question.ask(channel)).await {
                    Ok(result) => result,
                    Err(_) => {
                        let limit = humantime::format_duration(limit);
                        Err(Status::new(Code::DeadlineExceeded, format!("no answer within {limit}")))
                    }
                };
                (at, Call::new(question, began.elapsed(), result))
            }
        })
        .collect();
    let mut calls: Vec<(usize, Call)> = running.collect().await;
    calls.sort_by_key(|(at, _)| *at);
    calls.into_iter().map(|(_, call)| call).collect()
}

/// Connects and asks everything that a profile wants of an endpoint.
pub(in crate::collect) async fn ask_all(
    io: Box<dyn Io>,
    wanted: &crate::profile::Grpc,
    limit: Duration,
) -> Result<Vec<Call>, CollectError> {
    let channel = connect(io, limit).await?;
    Ok(ask(&channel, &Question::of(&wanted.methods, &wanted.services), limit).await)
}
