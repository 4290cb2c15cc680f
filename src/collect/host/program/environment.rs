//! The variables that the program was started with.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::super::gather;
use super::{Shared, Work};
use crate::collect::{CollectError, Done, Sink, blocking, environment};
use crate::redact::Format;

/// Keeps the names of all variables, and the values of those that the profile names.
pub(super) struct ReadEnvironment {
    pub(super) artifact: String,
}

impl Work for ReadEnvironment {
    fn collect<'a>(&'a self, shared: &'a Shared, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(shared, sink).boxed()
    }
}

impl ReadEnvironment {
    async fn run(&self, shared: &Shared, sink: &Sink) -> Result<Done, CollectError> {
        let Some(process) = shared.process().await else {
            return Err(CollectError::NotFound(format!("{} does not run here", shared.program.name)));
        };
        let shown = format!("the environment of process {}", process.pid);
        let work = {
            let process = process.clone();
            move || process.environment()
        };
        let raw = blocking::within(&shown, gather::deadline(sink), work).await?;
        let raw = raw.map_err(|error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                CollectError::Forbidden(format!("{shown} is not readable (try: run as root)"))
            }
            _ => CollectError::from_io(&shown, &error),
        })?;
        let pairs = raw.split(|b| *b == 0).filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='));
        let list = environment::listed(pairs, &shared.program.keep_env);
        let document = json!({"pid": process.pid, "environment": list});
        sink.put(&shared.values.fill(&self.artifact)?, Format::Json, format!("{document:#}\n").as_bytes())?;
        Ok(Done::ok())
    }
}

/// The values that were kept of it, from the bundle.
pub(super) fn kept(document: &[u8]) -> std::collections::BTreeMap<String, String> {
    let document: Value = serde_json::from_slice(document).unwrap_or_default();
    environment::values(&document["environment"])
}
