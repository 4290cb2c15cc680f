//! The stores of the program: buckets with the rights that we have here, directories as its process sees them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::task::TaskTracker;

use super::super::gather;
use super::{Shared, Work, environment, walk};
use crate::collect::rooted::Tree;
use crate::collect::s3::{self, Document, Fault};
use crate::collect::storage::{self, Found, Kind, Wiring};
use crate::collect::{CollectError, Done, Sink, blocking};
use crate::profile::Storage;
use crate::redact::Format;

/// Share of the item's deadline that it waits for the configuration.
const WAIT: f64 = 0.3;

/// Lists one store.
pub(super) struct List {
    pub(super) storage: Storage,
    pub(super) gate: TaskTracker,
}

/// Largest list of variables that is read.
const ENVIRONMENT_MAX: u64 = 8 << 20;

/// What the environment of the process says, as far as it was kept.
fn wiring(shared: &Shared, sink: &Sink) -> Result<Wiring, CollectError> {
    let Some(artifact) = &shared.program.environment else { return Ok(Wiring::default()) };
    let path = shared.values.fill(artifact)?;
    let kept = sink.collected(&path, ENVIRONMENT_MAX).map(|document| environment::kept(&document));
    Ok(kept.map_or_else(Wiring::default, |kept| Wiring::of_process(kept, path)))
}

impl Work for List {
    fn collect<'a>(&'a self, shared: &'a Shared, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(shared, sink).boxed()
    }
}

impl List {
    async fn run(&self, shared: &Shared, sink: &Sink) -> Result<Done, CollectError> {
        // What is not there by then will not be waited for; what is there is used.
        let _ = tokio::time::timeout(sink.limits().item_timeout.mul_f64(WAIT), self.gate.wait()).await;
        let found = storage::find(sink, &self.storage, &shared.values, &wiring(shared, sink)?)?;
        let mut document = found.document(&self.storage);
        let result = match (found.kind, &shared.outside.aws) {
            (Kind::Directory, _) => self.directory(shared, &found, sink, &mut document).await,
            (Kind::Bucket, None) => {
                Err(CollectError::NotApplicable("object stores are not asked in this run".to_owned()))
            }
            (Kind::Bucket, Some(aws)) => {
                let place = found.place(&self.storage);
                // Futures of the SDK are large.
                Box::pin(s3::list(aws, &place, sink, &mut document)).await
            }
        };
        document.close(&result);
        sink.put(&shared.values.fill(&self.storage.artifact)?, Format::Json, &document.to_json())?;
        result?;
        Ok(document.done())
    }

    async fn directory(
        &self,
        shared: &Shared,
        found: &Found,
        sink: &Sink,
        document: &mut Document,
    ) -> Result<(), CollectError> {
        let prefix = found.prefix.trim_matches('/');
        document.prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let place = Path::new(&found.place);
        // Where the files of the process are hidden from us, what the user names stands on this host.
        let named = self.storage.directory.iter().filter(|p| p.starts_with('{'));
        let named = named.filter_map(|p| shared.values.fill(p).ok()).any(|p| p == found.place);
        let (tree, whole) = match shared.process().await.filter(|process| !named || process.is_visible()) {
            Some(process) => (process.tree(), process.whole(place)),
            None => (Ok(Tree::at(&shared.outside.roots.root)), place.is_absolute().then(|| place.to_owned())),
        };
        let Some(whole) = whole else {
            return Err(CollectError::NotFound(format!(
                "{} is relative to the directory of a process that does not run, or is another user's (try: run as root, or --set {}_directory=DIR)",
                found.place, self.storage.id
            )));
        };
        let path: PathBuf = whole.join(prefix);
        let shown = place.join(prefix).display().to_string();
        let limit = self.storage.limit_objects;
        let work = move || walk::walk(&tree?, &path, limit);
        let walked = blocking::within(&shown, gather::deadline(sink).mul_f64(0.6), work).await?;
        let walked = walked.map_err(|error| {
            let text = format!("{shown}: {error}");
            match error.kind() {
                ErrorKind::NotFound => CollectError::NotFound(text),
                ErrorKind::PermissionDenied => CollectError::Forbidden(format!("{text} (try: run as root)")),
                _ => CollectError::Failed(text),
            }
        })?;
        document.listing = walked.listing;
        document.fault = walked.problem.map(|text| Fault { code: "partial".to_owned(), text });
        Ok(())
    }
}
