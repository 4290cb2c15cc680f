//! The pods of a namespace, and what follows from them: logs, commands and HTTP endpoints.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::task::TaskTracker;

use super::api::Cluster;
use super::discovery::Kind;
use super::exec::ExecItem;
use super::grpc::GrpcItem;
use super::list::{self, Form, Query, Visit};
use super::local::{LocalItem, Sources};
use super::logs::LogItem;
use super::objects::{self, ObjectFile};
use super::pod::Pod;
use super::portforward;
use super::probe::{self, ProbeItem};
use super::proxy::ProxyItem;
use super::storage::StorageItem;
use super::table::Column;
use super::usage::{Book, Page};
use crate::collect::host::HostRoots;
use crate::collect::placeholder::Values;
use crate::collect::storage::Wiring;
use crate::collect::{CollectError, Done, Item, Lane, Sink, s3};
use crate::model::size;
use crate::model::{Access, ItemId, Outcome};
use crate::profile::{Exec, Profile, Storage};

/// What the items of one run share.
pub(super) struct Shared {
    pub(super) cluster: Cluster,
    pub(super) profile: Profile,
    pub(super) values: Values,
    pub(super) book: Book,
    pub(super) log_limit: u64,
    /// How to ask object stores; none where they are not to be asked.
    pub(super) aws: Option<s3::Access>,
    /// Where programs of this machine are looked up.
    pub(super) roots: HostRoots,
    /// Open when the ConfigMaps of all namespaces have been read.
    pub(super) config_maps: TaskTracker,
}

/// Rights of the items that join the plan while it runs: logs, commands, HTTP and gRPC endpoints of pods.
#[must_use]
pub fn spawned_access(profile: &Profile, namespaces: &[String]) -> Vec<Access> {
    let mut all = Vec::new();
    for namespace in namespaces {
        all.push(Access::new("get", "", "pods/log", Some(namespace)));
        if profile.exec.iter().any(|e| e.forward.is_none()) || !profile.storage.is_empty() {
            all.extend(super::exec::access(namespace));
        }
        if !profile.http.is_empty() {
            all.push(super::proxy::access(namespace));
        }
        let forwards =
            profile.grpc.iter().any(|g| g.pods.is_some()) || profile.exec.iter().any(|e| e.forward.is_some());
        if !profile.http.is_empty() || forwards {
            all.extend(portforward::access(namespace));
        }
        all.extend(profile.probe.iter().flat_map(|p| probe::access(p, namespace)));
    }
    all
}

/// Lists the pods of one namespace.
pub(super) struct PodsItem {
    id: ItemId,
    shared: Arc<Shared>,
    kind: Kind,
    namespace: String,
}

impl PodsItem {
    pub(super) fn new(shared: Arc<Shared>, kind: Kind, namespace: String) -> Self {
        Self { id: objects::id(&kind, Some(&namespace)), shared, kind, namespace }
    }

    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        let namespace = Some(self.namespace.as_str());
        let query = Query::new(self.kind.path(namespace), objects::list_access(&self.kind, namespace), Form::Table);
        // The page is handed over even when the list fails, so that nobody waits for it.
        let mut found = Found {
            item: self,
            file: ObjectFile::new(&self.kind, namespace),
            page: self.shared.book.open(&self.namespace),
            spawn: Vec::new(),
            asking: Vec::new(),
            targets: BTreeMap::new(),
            sources: Sources::default(),
            local: Vec::new(),
            strange: 0,
        };
        let ended = list::read(&self.shared.cluster, sink, query, &mut found).await?;
        found.aim();
        let Found { file, page, spawn, strange, .. } = found;
        page.complete();
        file.finish(sink, ended.truncation())?;
        let mut done = objects::done(&ended);
        if strange > 0 && ended.reason().is_none() {
            done.outcome = Outcome::Truncated;
            done.reason = Some(format!("{strange} pods could not be understood, so their logs were not read"));
        }
        Ok(done.and_spawn(spawn))
    }
}

impl Item for PodsItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/pods"
    }

    fn describe(&self) -> String {
        let Profile { exec, http, grpc, storage, .. } = &self.shared.profile;
        let mut text = format!("lists all pods in {}, then reads the logs of all their containers", self.namespace);
        text.push_str(&format!(" (the newest {} of each)", size::human(self.shared.log_limit)));
        let inside = exec.iter().filter(|e| e.forward.is_none()).count();
        if inside > 0 {
            text.push_str(&format!(", runs up to {inside} read-only commands in each"));
        }
        if !http.is_empty() {
            text.push_str(&format!(", asks up to {} HTTP endpoints of each", http.len()));
        }
        if !storage.is_empty() {
            text.push_str(&format!(", lists up to {} buckets or directories of each", storage.len()));
        }
        let ports = grpc.iter().filter(|g| g.pods.is_some()).count();
        if ports > 0 {
            text.push_str(&format!(", asks up to {ports} gRPC endpoints of each"));
        }
        if !self.shared.profile.probe.is_empty() {
            text.push_str(", tries to reach their peers");
        }
        text
    }

    fn lane(&self) -> Lane {
        Lane::Discover
    }

    /// Also the rights of the items that it adds to the plan, because `plan` and `doctor` run before those are known.
    fn access(&self) -> Vec<Access> {
        let mut all = vec![objects::list_access(&self.kind, Some(&self.namespace))];
        all.extend(spawned_access(&self.shared.profile, std::slice::from_ref(&self.namespace)));
        all
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}

struct Found<'a> {
    item: &'a PodsItem,
    file: ObjectFile,
    page: Page,
    spawn: Vec<Arc<dyn Item>>,
    /// Commands that ask another pod, which may stand further down in the list.
    asking: Vec<(Pod, Exec)>,
    /// Address of the first pod that a target selector matches.
    targets: BTreeMap<String, String>,
    /// Which sources of health answered.
    sources: Sources,
    /// Programs of this machine, which wait for those.
    local: Vec<Arc<dyn Item>>,
    strange: usize,
}

impl Found<'_> {
    /// Plans the commands that ask another pod, now that all pods are known, and behind everything the programs that wait for others.
    fn aim(&mut self) {
        for (pod, mut exec) in std::mem::take(&mut self.asking) {
            let Some(address) = exec.target.as_ref().and_then(|t| self.targets.get(&t.to_string())) else { continue };
            for word in &mut exec.command {
                *word = word.replace("{target}", address);
            }
            let shared = &self.item.shared;
            let report = self.sources.report(&shared.profile, "exec", &exec.id);
            let item = ExecItem::new(Arc::clone(shared), &self.item.namespace, &pod, exec);
            self.spawn.push(Arc::new(item.reporting(report)));
        }
        self.sources.close();
        self.spawn.append(&mut self.local);
    }

    /// What there is to read from a pod.
    fn follow(&mut self, pod: &Pod, raw: &[u8]) {
        let (shared, namespace) = (&self.item.shared, &self.item.namespace);
        let stores: Vec<&Storage> =
            shared.profile.storage.iter().filter(|s| s.pods.matches(|key| pod.label(key))).collect();
        // Stores are found by the configuration, which other items of this pod read first.
        let gate = TaskTracker::new();
        let hold = |artifact: &str| stores.iter().any(|s| s.from.iter().any(|f| f == artifact)).then(|| gate.token());
        for log in pod.logs() {
            self.spawn.push(Arc::new(LogItem::new(shared.cluster.clone(), namespace, pod, log)));
        }
        for exec in &shared.profile.exec {
            if let (Some(target), Some(address)) = (&exec.target, &pod.status.pod_ip)
                && target.matches(|key| pod.label(key))
            {
                self.targets.entry(target.to_string()).or_insert_with(|| host(address));
            }
            if !exec.pods.matches(|key| pod.label(key)) {
                continue;
            }
            if exec.forward.is_some() {
                let sources = self.sources.clone();
                self.local.push(Arc::new(LocalItem::new(Arc::clone(shared), namespace, pod, exec.clone(), sources)));
                continue;
            }
            match exec.target {
                Some(_) => self.asking.push((pod.clone(), exec.clone())),
                None => {
                    let item = ExecItem::new(Arc::clone(shared), namespace, pod, exec.clone());
                    let report = self.sources.report(&shared.profile, "exec", &exec.id);
                    self.spawn.push(Arc::new(item.holding(hold(&exec.artifact)).reporting(report)));
                }
            }
        }
        for http in shared.profile.http.iter().filter(|h| h.pods.matches(|key| pod.label(key))) {
            let item = ProxyItem::new(Arc::clone(shared), namespace, pod, http.clone());
            self.spawn.push(Arc::new(item.holding(hold(&http.artifact))));
        }
        for probe in shared.profile.probe.iter().filter(|p| p.pods.matches(|key| pod.label(key))) {
            self.spawn.push(Arc::new(ProbeItem::new(Arc::clone(shared), namespace, pod, probe.clone())));
        }
        let grpc = shared.profile.grpc.iter();
        for grpc in grpc.filter(|g| g.pods.as_ref().is_some_and(|pods| pods.matches(|key| pod.label(key)))) {
            let report = self.sources.report(&shared.profile, "grpc", &grpc.id);
            let item = GrpcItem::new(Arc::clone(shared), namespace, pod, grpc.clone());
            self.spawn.push(Arc::new(item.reporting(report)));
        }
        gate.close();
        if stores.is_empty() {
            return;
        }
        let wiring = serde_json::from_slice(raw).map(|pod| Wiring::of(&pod)).unwrap_or_default();
        for storage in stores {
            // Behind what it waits for: within a lane items start in the order of planning, so that no number of waiting
            // items can keep those from starting that they wait for.
            let (storage, wiring) = (storage.clone(), wiring.clone());
            let item = StorageItem::new(Arc::clone(shared), namespace, pod, storage, wiring, gate.clone());
            self.spawn.push(Arc::new(item));
        }
    }
}

/// An address as it stands before a port: IPv6 in brackets.
fn host(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

impl Visit for Found<'_> {
    fn columns(&mut self, columns: &[Column]) {
        self.file.columns(columns);
    }

    fn object(&mut self, sink: &Sink, raw: &[u8], cells: Option<Vec<String>>) -> Result<(), CollectError> {
        self.file.object(sink, raw, cells)?;
        match serde_json::from_slice::<Pod>(raw) {
            Ok(pod) if !pod.metadata.name.is_empty() => {
                self.page.add(&pod);
                self.follow(&pod, raw);
            }
            _ => self.strange += 1,
        }
        Ok(())
    }
}
