//! The peers of the program, tried from this host.

use std::time::Duration;

use chrono::Utc;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::task::TaskTracker;

use super::{NAMESPACE, Shared, Work};
use crate::collect::probe::{Plan, Reachability, Target, from_document, from_list, merge, probe_all};
use crate::collect::{CollectError, Done, Sink};
use crate::model::Outcome;
use crate::profile::{Http, Probe, TargetSource};

/// Largest configuration that is looked through.
const DOCUMENT_MAX: u64 = 8 << 20;
/// Longest wait for the configuration.
const WAIT: Duration = Duration::from_secs(20);

/// Deadline of the item: a name, a connection and a handshake, each with some time to spare.
pub(super) fn patience(limit: Duration) -> Duration {
    limit.saturating_mul(10).saturating_add(WAIT * 2)
}

/// Tries the peers that the collected configuration names.
pub(super) struct Peers {
    pub(super) probe: Probe,
    pub(super) gate: TaskTracker,
    /// Where the answers of HTTP endpoints are.
    pub(super) http: Vec<Http>,
}

impl Work for Peers {
    fn collect<'a>(&'a self, shared: &'a Shared, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(shared, sink).boxed()
    }
}

impl Peers {
    async fn run(&self, shared: &Shared, sink: &Sink) -> Result<Done, CollectError> {
        let plan = Plan::of(&self.probe, &shared.values)?;
        let path = shared.values.fill(&self.probe.artifact)?;
        // What is not there by then will not be waited for.
        let _ = tokio::time::timeout(WAIT, self.gate.wait()).await;
        let (mut all, mut sources) = (Vec::new(), Vec::new());
        for source in &self.probe.targets {
            let Some((label, found)) = self.source(shared, sink, source) else { continue };
            sources.push((label, found.as_ref().map_or_else(ToString::to_string, |f| format!("{} peers", f.len()))));
            all.extend(found.unwrap_or_default());
        }
        let targets = merge(all, &std::collections::BTreeMap::new());
        if targets.is_empty() {
            let said: Vec<String> = sources.iter().map(|(source, said)| format!("{source}: {said}")).collect();
            return Ok(Done::with(Outcome::NotApplicable, format!("no peers are known ({})", said.join("; "))));
        }
        let peers = probe_all(targets, plan.names, plan.limit, plan.with_tls).await;
        let of = format!("{NAMESPACE}/{}", shared.program.name);
        Reachability { of, from: "the machine that collects", at: Utc::now(), sources, peers }.store(sink, &path)?;
        Ok(Done::ok())
    }

    /// The peers that one source names; none for a source of clusters.
    fn source(
        &self,
        shared: &Shared,
        sink: &Sink,
        source: &TargetSource,
    ) -> Option<(String, Result<Vec<Target>, CollectError>)> {
        let (fields, port) = (&self.probe.fields, self.probe.port);
        let document = |template: &str, pointer: &str| {
            let path = shared.values.fill(template)?;
            let bytes = sink.collected(&path, DOCUMENT_MAX);
            let bytes = bytes.ok_or_else(|| CollectError::NotFound(format!("{path} is not there")))?;
            Ok(from_document(&String::from_utf8_lossy(&bytes), pointer, fields, port, &path))
        };
        match source {
            TargetSource::Parameter { name } => {
                let label = format!("--set {name}");
                let list = shared.values.fill(&format!("{{{name}}}"));
                Some((label.clone(), list.map(|list| from_list(&list, port, &label))))
            }
            TargetSource::Http { port, path, peers } => {
                let http = self.http.iter().find(|h| h.host && h.port == *port && h.path == *path)?;
                Some((format!("GET :{port}{path}"), document(&http.artifact, peers)))
            }
            TargetSource::File { peers, .. } => {
                Some(("configuration file".to_owned(), document(&shared.program.artifact, peers)))
            }
            TargetSource::ConfigMaps { .. } | TargetSource::ExternalNames { .. } => None,
        }
    }
}
