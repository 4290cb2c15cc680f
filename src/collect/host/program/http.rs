//! The ports of the program: HTTP and gRPC, without credentials.

use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Shared, Work};
use crate::collect::services::Http as Client;
use crate::collect::{CollectError, Done, Keep, Sink, grpc, samples};
use crate::model::{Kept, Outcome, Truncation};
use crate::profile::{Grpc, Http};
use crate::redact::Format;

/// Sends one GET, or several with some time between them.
pub(super) struct Get {
    pub(super) http: Http,
    pub(super) interval: Result<Duration, String>,
}

impl Work for Get {
    fn collect<'a>(&'a self, shared: &'a Shared, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(shared, sink).boxed()
    }
}

impl Get {
    async fn run(&self, shared: &Shared, sink: &Sink) -> Result<Done, CollectError> {
        let interval = self.interval.clone().map_err(CollectError::Failed)?;
        let (path, target) = (shared.values.fill(&self.http.path)?, shared.values.fill(&self.http.artifact)?);
        let expected = shared.is_expected().await;
        let client = Client::plain(&shared.at(self.http.port)?, expected, sink.limits().request_timeout)?;
        let first = Instant::now();
        let mut done = self.sample(&client, sink, &path, &target, None).await?;
        for number in 2..=self.http.samples {
            if done.outcome != Outcome::Ok {
                break;
            }
            tokio::time::sleep(interval).await;
            let mark = samples::mark(number, first);
            match self.sample(&client, sink, &path, &samples::numbered(&target, number), Some(&mark)).await {
                Ok(next) if next.outcome == Outcome::Ok => {}
                Ok(next) => done = Done::with(Outcome::Truncated, samples::missing(number, next.reason.as_deref())),
                Err(error @ CollectError::Spool(_)) => return Err(error),
                Err(error) => {
                    done = Done::with(Outcome::Truncated, samples::missing(number, Some(&error.to_string())));
                }
            }
        }
        Ok(done)
    }

    async fn sample(
        &self,
        client: &Client,
        sink: &Sink,
        path: &str,
        target: &str,
        mark: Option<&str>,
    ) -> Result<Done, CollectError> {
        let cap = usize::try_from(self.http.limit_bytes).unwrap_or(usize::MAX);
        let reply = client.get(sink, path, cap).await?;
        let said = (!(200..300).contains(&reply.status)).then(|| format!("HTTP {}", reply.status));
        if reply.body.is_empty() {
            return Ok(Done { outcome: Outcome::Empty, reason: said, spawn: Vec::new() });
        }
        let mut file = sink.create(target, Format::of_path(target), Keep::Oldest(self.http.limit_bytes))?;
        file.write(&reply.body)?;
        if let Some(mark) = mark.filter(|_| !reply.cut) {
            file.write(if reply.body.ends_with(b"\n") { b"" } else { b"\n" })?;
            file.write(mark.as_bytes())?;
        }
        let cut = Truncation { reason: "size-limit".to_owned(), dropped_bytes: None, kept: Kept::Oldest };
        file.finish(reply.cut.then_some(cut))?;
        if reply.cut {
            let text = format!("only the first {} bytes are kept", self.http.limit_bytes);
            return Ok(Done::with(Outcome::Truncated, text));
        }
        Ok(Done { outcome: Outcome::Ok, reason: said, spawn: Vec::new() })
    }
}

/// Makes gRPC calls.
pub(super) struct Calls {
    pub(super) grpc: Grpc,
    pub(super) limit: Result<Duration, String>,
}

impl Work for Calls {
    fn collect<'a>(&'a self, shared: &'a Shared, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        async {
            let limit = self.limit.clone().map_err(CollectError::Failed)?;
            let path = shared.values.fill(&self.grpc.artifact)?;
            let expected = shared.is_expected().await;
            grpc::ask_at(&shared.at(self.grpc.port)?, &self.grpc, limit, sink, &path, expected).await
        }
        .boxed()
    }
}
