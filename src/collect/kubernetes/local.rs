//! A program that is installed where casefile runs, asked about a pod over a forwarded port: the last way to its health,
//! taken only where no better source answered.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::pod::Pod;
use super::pods::Shared;
use super::portforward;
use crate::collect::host::CommandLine;
use crate::collect::{CollectError, Done, Item, Lane, Sink};
use crate::model::{Access, Effect, ItemId};
use crate::profile::{Exec, Profile};

/// Share of the item's deadline that it waits for better sources.
const WAIT: f64 = 0.5;
/// Share of it that the program gets.
const RUN: f64 = 0.4;
/// Connections of the program at the same time.
const CONNECTIONS_MAX: usize = 16;

/// Which sources of health answered in one namespace.
#[derive(Clone, Default)]
pub(super) struct Sources {
    gate: TaskTracker,
    answered: Arc<Mutex<BTreeSet<String>>>,
}

/// Held by a source until it has ended.
pub(super) struct Report {
    answered: Arc<Mutex<BTreeSet<String>>>,
    _token: TaskTrackerToken,
}

impl Sources {
    /// The report of a source, where another one is only asked when it does not answer.
    pub(super) fn report(&self, profile: &Profile, family: &str, id: &str) -> Option<Report> {
        let order = &profile.health_order;
        let rank = order.iter().position(|source| source.split_once('/') == Some((family, id)))?;
        let is_last =
            |source: &String| profile.exec.iter().any(|e| e.forward.is_some() && *source == format!("exec/{}", e.id));
        let waits = order.iter().skip(rank + 1).any(is_last);
        waits.then(|| Report { answered: Arc::clone(&self.answered), _token: self.gate.token() })
    }

    /// No further source joins.
    pub(super) fn close(&self) {
        self.gate.close();
    }

    fn first(&self) -> Option<String> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }
}

impl Report {
    /// Notes that the source told the health.
    pub(super) fn answered(&self, id: &ItemId) {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).insert(id.as_str().to_owned());
    }
}

/// Runs one program here, about one pod.
pub(super) struct LocalItem {
    id: ItemId,
    shared: Arc<Shared>,
    namespace: String,
    pod: String,
    node: Option<String>,
    refused: Option<String>,
    exec: Exec,
    sources: Sources,
}

impl LocalItem {
    pub(super) fn new(shared: Arc<Shared>, namespace: &str, pod: &Pod, exec: Exec, sources: Sources) -> Self {
        let name = &pod.metadata.name;
        Self {
            id: ItemId::new(format!("exec/{namespace}/{name}/{}", exec.id)),
            shared,
            namespace: namespace.to_owned(),
            pod: name.clone(),
            node: pod.spec.node_name.clone(),
            refused: pod.not_running(None),
            exec,
            sources,
        }
    }

    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        let values = self.shared.values.within(&self.namespace, &self.pod, "");
        let roots = &self.shared.roots;
        let deadline = sink.limits().item_timeout;
        let limit = self.exec.timeout_secs.map_or(deadline, std::time::Duration::from_secs).min(deadline.mul_f64(RUN));
        let program = self.exec.command.first().map(|word| values.fill(word)).transpose()?.unwrap_or_default();
        if !CommandLine::new::<&str>(roots, limit, &program, []).is_installed() {
            return Err(CollectError::NotApplicable(format!("`{program}` is not installed here")));
        }
        // What has not answered by then is not waited for.
        let _ = tokio::time::timeout(deadline.mul_f64(WAIT), self.sources.gate.wait()).await;
        if let Some(better) = self.sources.first() {
            return Err(CollectError::NotApplicable(format!("not needed, because {better} answered")));
        }
        if let Some(why) = &self.refused {
            return Err(CollectError::NotApplicable(why.clone()));
        }
        let port = values.fill(self.exec.forward.as_deref().unwrap_or_default())?;
        let port: u16 = port
            .parse()
            .map_err(|_| CollectError::Failed(format!("`{port}` is no port (try: --set grpc_port=50100)")))?;
        sink.attempt();
        // A refusal shows at once; that nothing listens there is for the program to find out.
        let first = self.open(port).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(|e| CollectError::from_io("a port of this machine", &e))?;
        let at = listener.local_addr().map_err(|e| CollectError::from_io("a port of this machine", &e))?.to_string();
        let words = self.exec.command.iter().skip(1).map(|word| values.fill(&word.replace("{forwarded}", &at)));
        let words = words.collect::<Result<Vec<_>, _>>()?;
        let command = CommandLine::new(roots, limit, &program, words);
        let target = values.fill(&self.exec.artifact)?;
        let done = tokio::select! {
            done = command.store(sink, &target, self.exec.limit_bytes) => done?,
            () = self.forward(listener, port, first) => Done::ok(),
        };
        let said = format!("run here against {}/{}:{port}", self.namespace, self.pod);
        let reason = done.reason.map_or(said.clone(), |reason| format!("{reason}; {said}"));
        Ok(Done { reason: Some(reason), ..done })
    }

    async fn open(&self, port: u16) -> Result<portforward::Forwarded, CollectError> {
        portforward::open(&self.shared.cluster, &self.namespace, &self.pod, self.node.as_deref(), port).await
    }

    /// Carries the program's connections to the pod, for as long as somebody waits for the program.
    async fn forward(&self, listener: TcpListener, port: u16, first: portforward::Forwarded) {
        let mut first = Some(first);
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = listener.accept(), if open.len() < CONNECTIONS_MAX => match accepted {
                    Ok((near, _)) => open.push(self.carry(near, port, first.take())),
                    // Such as too many open files, which passes.
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                },
                Some(()) = open.next(), if !open.is_empty() => {}
            }
        }
    }

    async fn carry(&self, mut near: TcpStream, port: u16, first: Option<portforward::Forwarded>) {
        let far = match first {
            Some(far) => Ok(far),
            None => self.open(port).await,
        };
        // That it broke is what the program sees and says.
        if let Ok(mut far) = far {
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        }
    }
}

impl Item for LocalItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/local"
    }

    fn describe(&self) -> String {
        format!("runs `{}` here about {}/{}: {}", self.exec.command.join(" "), self.namespace, self.pod, self.exec.why)
    }

    fn lane(&self) -> Lane {
        Lane::Probe
    }

    fn effect(&self) -> Effect {
        Effect::Forward
    }

    fn access(&self) -> Vec<Access> {
        portforward::access(&self.namespace).to_vec()
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}
