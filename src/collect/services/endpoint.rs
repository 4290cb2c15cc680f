//! Any HTTP endpoint that answers with health or metrics. It is asked once, because some write when they are asked.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::ask::DOCUMENT_MAX;
use super::http::Http;
use super::item::{directory, note_connection};
use super::metrics;
use super::scrub;
use super::target::Target;
use crate::collect::source::{Source, SourceItem};
use crate::collect::{CollectError, Done, Item, Keep, Lane, Sink};
use crate::model::{Kept, Outcome, Truncation};
use crate::profile;
use crate::redact::Format;

struct Endpoint {
    target: Target,
    dir: String,
    path: String,
    file: String,
    timeout: Duration,
}

/// The item of an endpoint.
pub(super) fn item(own: &profile::Endpoint, target: Target, path: String, timeout: Duration) -> Arc<dyn Item> {
    let name = [own.id.as_str(), &target.name].into_iter().filter(|n| !n.is_empty()).collect::<Vec<_>>().join("-");
    let dir = directory("endpoint", &name);
    let what = format!("GET {} of {}: {}", own.path, target.url, own.why);
    let source = Endpoint { target, dir: dir.clone(), path, file: own.file.clone(), timeout };
    Arc::new(SourceItem::new(&dir, "services/endpoint", what, Lane::Probe, source))
}

impl Endpoint {
    async fn run(&self, sink: &Sink) -> Result<Done, CollectError> {
        let http = Http::new(&self.target, self.timeout)?;
        let reply = http.get(sink, &self.path, DOCUMENT_MAX).await;
        note_connection(sink, &self.dir, &http, reply.as_ref())?;
        let reply = reply?;
        if matches!(reply.status, 401 | 403 | 404 | 405)
            && let Some(refusal) = reply.refusal()
        {
            return Err(refusal);
        }
        let target = format!("{}/{}", self.dir, self.file);
        let format = Format::of_path(&self.file);
        let problem = if reply.body.is_empty() || reply.cut {
            None
        } else if self.file.ends_with(".prom") {
            metrics::problem(&reply.body)
        } else if format == Format::Json {
            reply.json().err().map(|e| e.to_string())
        } else {
            None
        };
        if reply.body.is_empty() {
            return Ok(Done::with(Outcome::Empty, format!("HTTP {} without a body", reply.status)));
        }
        // What is not what it should be is kept as text, because it says what answers there.
        let (target, format) =
            if problem.is_some() { (format!("{target}.txt"), Format::Text) } else { (target, format) };
        let mut file = sink.create(&target, format, Keep::All)?;
        file.write(&scrub::clean_lines(&reply.body))?;
        file.finish(reply.cut.then(|| Truncation {
            reason: "size-limit".to_owned(),
            dropped_bytes: None,
            kept: Kept::Oldest,
        }))?;
        if let Some(problem) = problem {
            return Err(CollectError::Failed(problem));
        }
        if reply.cut {
            return Ok(Done::with(Outcome::Truncated, format!("only the first {} MiB are kept", DOCUMENT_MAX >> 20)));
        }
        let said = (reply.status != 200).then(|| format!("HTTP {}", reply.status));
        Ok(Done { outcome: Outcome::Ok, reason: said, spawn: Vec::new() })
    }
}

impl Source for Endpoint {
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(sink).boxed()
    }
}
