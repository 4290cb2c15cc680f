//! The stores of a pod: its buckets, asked from here or from the pod, and its directories.

mod lines;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::task::TaskTracker;

use super::exec::{self, Target};
use super::pod::Pod;
use super::pods::Shared;
use crate::collect::placeholder::Values;
use crate::collect::s3::{self, Document, Fault, Listing};
use crate::collect::storage::{self, Found, Kind, Wiring};
use crate::collect::{CollectError, Done, Item, Lane, Sink};
use crate::model::{Access, Effect, ItemId};
use crate::profile::Storage;
use crate::redact::Format;

/// Bytes of a listing command's output that are looked at.
const OUTPUT_MAX: usize = 8 << 20;
/// Share of the item's deadline that it waits for the configuration of its pod.
const WAIT: f64 = 0.3;
/// Share of the item's deadline that a command in the pod gets.
const COMMAND: f64 = 0.5;

/// Lists one store of one pod.
pub(super) struct StorageItem {
    id: ItemId,
    shared: Arc<Shared>,
    namespace: String,
    pod: Pod,
    storage: Storage,
    wiring: Wiring,
    /// Open when the configuration of the pod has been collected, as far as it will be.
    gate: TaskTracker,
}

impl StorageItem {
    pub(super) fn new(
        shared: Arc<Shared>,
        namespace: &str,
        pod: &Pod,
        storage: Storage,
        wiring: Wiring,
        gate: TaskTracker,
    ) -> Self {
        let id = ItemId::new(format!("storage/{namespace}/{}/{}", pod.metadata.name, storage.id));
        Self { id, shared, namespace: namespace.to_owned(), pod: pod.clone(), storage, wiring, gate }
    }

    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        let values = self.shared.values.within(&self.namespace, &self.pod.metadata.name, "");
        let found = self.find(sink, &values).await?;
        let mut document = found.document(&self.storage);
        let result = match found.kind {
            // Futures of the SDK are large, and this one is rarely needed.
            Kind::Bucket => Box::pin(self.bucket(&found, sink, &mut document)).await,
            Kind::Directory => self.directory(&found, sink, &mut document).await,
        };
        document.close(&result);
        sink.put(&values.fill(&self.storage.artifact)?, Format::Json, &document.to_json())?;
        result?;
        Ok(document.done())
    }

    /// Finds the place in the configuration of the pod, or else in its ConfigMaps.
    async fn find(&self, sink: &Sink, values: &Values) -> Result<Found, CollectError> {
        let patience = sink.limits().item_timeout.mul_f64(WAIT);
        let mut last = None;
        for gate in [&self.gate, &self.shared.config_maps] {
            // What is not there by then will not be waited for; what is there is used.
            let _ = tokio::time::timeout(patience, gate.wait()).await;
            match storage::find(sink, &self.storage, values, &self.wiring) {
                Ok(found) => return Ok(found),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| CollectError::NotApplicable("no bucket or directory is known for it".to_owned())))
    }

    /// A bucket: with the rights that we have here, or else with those of the pod.
    async fn bucket(&self, found: &Found, sink: &Sink, document: &mut Document) -> Result<(), CollectError> {
        let place = found.place(&self.storage);
        let own = match &self.shared.aws {
            Some(aws) => Box::pin(s3::list(aws, &place, sink, document)).await,
            None => Err(CollectError::NotApplicable("object stores are not asked in this run".to_owned())),
        };
        let error = match own {
            Err(error @ (CollectError::Forbidden(_) | CollectError::Transient(_) | CollectError::NotApplicable(_))) => {
                error
            }
            other => return other,
        };
        match self.in_pod(found, sink).await {
            Ok(listing) => {
                document.listing = listing;
                document.fault = None;
                "aws s3 ls, in the pod".clone_into(&mut document.listed_by);
                Ok(())
            }
            // Nobody expects the program there, so our own refusal is what counts.
            Err(_) => Err(error),
        }
    }

    /// The listing that the program of AWS gives in the pod, where the image has it.
    async fn in_pod(&self, found: &Found, sink: &Sink) -> Result<Listing, CollectError> {
        let prefix = found.prefix.trim_end_matches('/');
        let below = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let mut command: Vec<String> = ["aws", "s3", "ls", "--recursive"].map(str::to_owned).to_vec();
        for (flag, value) in [("--region", &found.region), ("--endpoint-url", &found.endpoint)] {
            if let Some(value) = value {
                command.extend([flag.to_owned(), value.clone()]);
            }
        }
        command.push(format!("s3://{}/{below}", found.place));
        let said = self.run(sink, &command).await?;
        if said.exit != 0 {
            return Err(CollectError::Failed(format!("exit code {}", said.exit)));
        }
        let mut listing = lines::objects(&below, &String::from_utf8_lossy(&said.stdout), self.storage.limit_objects);
        listing.complete &= !said.cut;
        Ok(listing)
    }

    /// A directory of the pod.
    async fn directory(&self, found: &Found, sink: &Sink, document: &mut Document) -> Result<(), CollectError> {
        let root = found.place.trim_end_matches('/');
        let prefix = found.prefix.trim_matches('/');
        let path = if prefix.is_empty() { root.to_owned() } else { format!("{root}/{prefix}") };
        document.prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let command = ["ls", "-lnRA", "--full-time", "--", &path].map(str::to_owned);
        "ls, in the pod".clone_into(&mut document.listed_by);
        let said = self.run(sink, &command).await?;
        document.listing = lines::files(&path, &String::from_utf8_lossy(&said.stdout), self.storage.limit_objects);
        document.listing.complete &= !said.cut;
        if said.exit == 0 {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&said.stderr);
        let why = why.lines().next().unwrap_or("no reason given").to_owned();
        let text = format!("{path}: ls ended with exit code {}: {why}", said.exit);
        if document.listing.objects.is_empty() {
            return Err(match why.to_lowercase() {
                w if w.contains("no such file") => CollectError::NotFound(text),
                w if w.contains("permission denied") => CollectError::Forbidden(text),
                _ => CollectError::Failed(text),
            });
        }
        // A part of the tree could be read.
        document.listing.complete = false;
        document.fault = Some(Fault { code: "partial".to_owned(), text });
        Ok(())
    }

    async fn run(&self, sink: &Sink, command: &[String]) -> Result<exec::Captured, CollectError> {
        let container = exec::choose(&self.pod, &self.storage.containers).map_err(CollectError::NotApplicable)?;
        let target = Target {
            cluster: &self.shared.cluster,
            namespace: &self.namespace,
            pod: &self.pod.metadata.name,
            node: self.pod.spec.node_name.as_deref(),
            container: &container,
        };
        let limit = sink.limits().item_timeout.mul_f64(COMMAND);
        match tokio::time::timeout(limit, exec::capture(target, sink, command, OUTPUT_MAX)).await {
            Ok(result) => result,
            Err(_) => {
                let text = format!("`{}` did not end within {}", command.join(" "), humantime::format_duration(limit));
                Err(CollectError::TimedOut(text))
            }
        }
    }
}

impl Item for StorageItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/storage"
    }

    fn describe(&self) -> String {
        let Self { namespace, storage, pod, .. } = self;
        format!(
            "lists names, sizes and dates in the {} store of {namespace}/{}: {}",
            storage.id, pod.metadata.name, storage.why
        )
    }

    fn lane(&self) -> Lane {
        Lane::Probe
    }

    fn effect(&self) -> Effect {
        Effect::Read
    }

    fn access(&self) -> Vec<Access> {
        exec::access(&self.namespace).to_vec()
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}
