//! A program of this host without a cluster: on the machine itself under systemd, or in a container whose process is visible.
//!
//! It is asked what a pod is asked (`host = true` in the tables of a profile), at its ports, with the commands of this host, and through
//! the file system that its process sees. Artifacts stand where those of a pod would, with `host` as the namespace.

mod command;
mod config;
mod environment;
mod http;
mod peers;
mod process;
mod store;
mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use self::process::Process;
use super::roots::HostRoots;
use crate::collect::placeholder::Values;
use crate::collect::source::{Source, SourceItem};
use crate::collect::{CollectError, Done, Item, Lane, Sink, blocking, grpc, s3};
use crate::model::Effect;
use crate::profile::{Profile, Program};

/// What stands for a namespace.
pub const NAMESPACE: &str = "host";
/// Time to look through the processes.
const SEARCH: Duration = Duration::from_secs(5);

/// What the command line hands in.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// How to ask object stores; none when they are not asked.
    pub aws: Option<s3::Access>,
    /// Parameters that the user set; the others have their defaults.
    pub named: Vec<String>,
    /// Where to read the host from.
    pub roots: HostRoots,
}

/// What the items of one program share.
struct Shared {
    program: Program,
    values: Values,
    /// Host name or address of the ports.
    address: Result<String, String>,
    outside: Outside,
    process: OnceCell<Option<Process>>,
}

impl Shared {
    /// The process of the program, looked for once; none when it does not run.
    async fn process(&self) -> Option<&Process> {
        let find = async {
            let (roots, name) = (self.outside.roots.clone(), self.program.name.clone());
            blocking::within("the list of processes", SEARCH, move || process::find(&roots, &name)).await.ok().flatten()
        };
        self.process.get_or_init(|| find).await.as_ref()
    }

    /// `host:port`.
    fn at(&self, port: u16) -> Result<String, CollectError> {
        let address = self.address.clone().map_err(CollectError::NotApplicable)?;
        let bare = address.contains(':') && !address.starts_with('[');
        Ok(if bare { format!("[{address}]:{port}") } else { format!("{address}:{port}") })
    }

    /// Whether somebody says that the program is here: its process, or the user who set one of these parameters.
    async fn is_expected(&self) -> bool {
        self.outside.named.iter().any(|name| self.program.address.contains(&format!("{{{name}}}")))
            || self.process().await.is_some()
    }
}

/// What one item does.
trait Work: Send + Sync {
    fn collect<'a>(&'a self, shared: &'a Shared, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>>;
}

/// One question to the program.
struct Question<W> {
    shared: Arc<Shared>,
    work: W,
    _hold: Option<TaskTrackerToken>,
}

impl<W: Work> Source for Question<W> {
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.work.collect(&self.shared, sink)
    }
}

/// The items that ask the program of a profile on this host; none when the profile has no such program. `parameters` are
/// those that are set, with defaults.
#[must_use]
pub fn items(profile: &Profile, parameters: &BTreeMap<String, String>, outside: Outside) -> Vec<Arc<dyn Item>> {
    let Some(program) = &profile.host.program else { return Vec::new() };
    let values = Values::of(profile, parameters);
    let address = values.fill(&program.address).map_err(|e| e.to_string());
    let values = values.within(NAMESPACE, &program.name, "");
    let values = values.at(address.as_deref().unwrap_or("localhost"));
    let shared = Arc::new(Shared { program: program.clone(), values, address, outside, process: OnceCell::new() });
    // Stores and peers are found by the configuration, which other items read first.
    let gate = TaskTracker::new();
    let mut plan = Plan { shared: Arc::clone(&shared), gate: gate.clone(), items: Vec::new() };
    if !program.config.is_empty() {
        let what = format!("reads the configuration file of {}, sanitised", program.name);
        plan.add("config", "file", "host/config", what, Effect::Read, None, true, config::ReadConfig);
    }
    if let Some(artifact) = program.environment.clone() {
        let what = format!("reads names of variables of {}, and the values that the profile keeps", program.name);
        let work = environment::ReadEnvironment { artifact };
        plan.add("config", "environment", "host/environment", what, Effect::Read, None, true, work);
    }
    for http in profile.http.iter().filter(|h| h.host) {
        let what = format!("GET {} on port {} of {} of this host: {}", http.path, http.port, program.name, http.why);
        let interval = shared.values.duration(&http.interval);
        let timeout = interval.as_ref().ok().and_then(|i| crate::collect::samples::timeout(*i, http.samples));
        let work = http::Get { http: http.clone(), interval };
        plan.add("http", &http.id, "host/http", what, Effect::Probe, timeout, true, work);
    }
    for exec in profile.exec.iter().filter(|e| e.host) {
        let what = format!("runs `{}` on this host: {}", exec.command.join(" "), exec.why);
        plan.add("exec", &exec.id, "host/exec", what, Effect::Command, None, false, command::Run(exec.clone()));
    }
    for grpc in profile.grpc.iter().filter(|g| g.host) {
        let what = format!("gRPC calls to port {} of {} of this host: {}", grpc.port, program.name, grpc.why);
        let limit = shared.values.duration(&grpc.timeout);
        let timeout = limit.as_ref().ok().map(|limit| grpc::patience(*limit));
        plan.add(
            "grpc",
            &grpc.id,
            "host/grpc",
            what,
            Effect::Probe,
            timeout,
            false,
            http::Calls { grpc: grpc.clone(), limit },
        );
    }
    gate.close();
    for probe in profile.probe.iter().filter(|p| p.host) {
        let what = format!("tries name, port and certificate of each peer of {}: {}", program.name, probe.why);
        let limit = shared.values.duration(&probe.timeout);
        let timeout = limit.as_ref().ok().map(|limit| peers::patience(*limit));
        let work = peers::Peers { probe: probe.clone(), gate: gate.clone(), http: profile.http.clone() };
        plan.add("probe", &probe.id, "host/probe", what, Effect::Probe, timeout, false, work);
    }
    for storage in profile.storage.iter().filter(|s| s.host) {
        let what =
            format!("lists names, sizes and dates in the {} store of {}: {}", storage.id, program.name, storage.why);
        let work = store::List { storage: storage.clone(), gate: gate.clone() };
        plan.add("storage", &storage.id, "host/storage", what, Effect::Read, None, false, work);
    }
    plan.items
}

struct Plan {
    shared: Arc<Shared>,
    gate: TaskTracker,
    items: Vec<Arc<dyn Item>>,
}

impl Plan {
    #[expect(clippy::too_many_arguments, reason = "one row of a table each")]
    fn add(
        &mut self,
        family: &str,
        id: &str,
        collector: &'static str,
        what: String,
        effect: Effect,
        timeout: Option<Duration>,
        holds: bool,
        work: impl Work + 'static,
    ) {
        let name = &self.shared.program.name;
        let hold = holds.then(|| self.gate.token());
        let question = Question { shared: Arc::clone(&self.shared), work, _hold: hold };
        let item =
            SourceItem::new(&format!("{family}/{NAMESPACE}/{name}/{id}"), collector, what, Lane::Probe, question);
        self.items.push(Arc::new(item.with_effect(effect).with_timeout(timeout)));
    }
}
