//! Runs a collection and opens what it wrote.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use casefile::bundle::{PackOptions, Spool, Target, pack};
use casefile::collect::kubernetes::{Cluster, ConnectError, ConnectOptions, Outside, plan};
use casefile::collect::s3::Access;
use casefile::collect::{Engine, Item, Lane, Limits, RunResult, Wanted};
use casefile::model::{FileEntry, ItemId, LedgerEntry, Outcome};
use casefile::profile::{self, Profile};
use casefile::redact::{CorrelationKey, Redactor};
use tokio_util::sync::CancellationToken;

/// What a run left.
pub(super) struct Run {
    pub(super) result: RunResult,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) entries: Vec<FileEntry>,
}

/// The profile of a KMS, without its wait between two scrapes of metrics.
pub(super) fn kms() -> Profile {
    let mut kms = profile::find_builtin("kms").unwrap().clone();
    for http in &mut kms.http {
        http.interval = "10ms".to_owned();
    }
    kms
}

impl Run {
    pub(super) fn entry(&self, item: &str) -> &LedgerEntry {
        let found = self.result.ledger.iter().find(|e| e.item.as_str() == item);
        found.unwrap_or_else(|| panic!("no item {item} in {:#?}", self.items()))
    }

    pub(super) fn outcome(&self, item: &str) -> (Outcome, String) {
        let entry = self.entry(item);
        (entry.outcome, entry.reason.clone().unwrap_or_default())
    }

    pub(super) fn items(&self) -> Vec<String> {
        self.result.ledger.iter().map(|e| format!("{} {} {:?}", e.item, e.outcome, e.reason)).collect()
    }

    pub(super) fn text(&self, path: &str) -> String {
        let file = self.files.get(path);
        let file = file.unwrap_or_else(|| panic!("no file {path} in {:#?}", self.files.keys()));
        String::from_utf8_lossy(file).into_owned()
    }

    pub(super) fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.text(path)).unwrap()
    }

    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let list = self.json(path);
        let items = list["items"].as_array().unwrap();
        items.iter().map(|i| i["metadata"]["name"].as_str().unwrap_or("?").to_owned()).collect()
    }

    pub(super) fn truncation(&self, path: &str) -> String {
        let entry = self.entries.iter().find(|e| e.path == path).unwrap();
        entry.truncation.as_ref().map_or_else(String::new, |t| format!("{} {:?}", t.reason, t.kept))
    }
}

/// Limits under which a test ends soon.
pub(super) fn limits() -> Limits {
    Limits {
        concurrency: 8,
        item_timeout: Duration::from_secs(20),
        run_timeout: Duration::from_secs(60),
        request_timeout: Duration::from_secs(2),
        ..Limits::default()
    }
}

pub(super) async fn connect(addr: SocketAddr) -> Result<Cluster, ConnectError> {
    connect_with(addr, |_| {}).await
}

pub(super) async fn connect_with(
    addr: SocketAddr,
    change: impl FnOnce(&mut ConnectOptions),
) -> Result<Cluster, ConnectError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: t\nclusters:\n- name: t\n  cluster: {{server: 'http://{addr}'}}\n\
         users:\n- name: t\n  user: {{token: t}}\ncontexts:\n- name: t\n  context: {{cluster: t, user: t, namespace: kms-decentralized}}\n"
    );
    std::fs::write(&path, text).unwrap();
    let mut options = ConnectOptions {
        kubeconfig: Some(path),
        request_timeout: limits().request_timeout,
        ..ConnectOptions::default()
    };
    change(&mut options);
    Cluster::connect(options).await
}

/// Collects from one namespace; of the items only those whose id begins with one of `only`, and those that find others.
pub(super) async fn collect(
    addr: SocketAddr,
    namespace: &str,
    profile: &Profile,
    only: &[&str],
    limits: Limits,
) -> Run {
    let cluster = connect(addr).await.unwrap();
    collect_from(&cluster, namespace, profile, only, limits).await
}

pub(super) async fn collect_from(
    cluster: &Cluster,
    namespace: &str,
    profile: &Profile,
    only: &[&str],
    limits: Limits,
) -> Run {
    collect_with(cluster, namespace, profile, only, limits, None).await
}

/// The same, with a way to ask object stores.
pub(super) async fn collect_with(
    cluster: &Cluster,
    namespace: &str,
    profile: &Profile,
    only: &[&str],
    limits: Limits,
    aws: Option<&Access>,
) -> Run {
    let outside = Outside { aws: aws.cloned(), ..Outside::default() };
    collect_in(cluster, namespace, profile, only, limits, outside).await
}

/// The same, with all that comes from outside.
pub(super) async fn collect_in(
    cluster: &Cluster,
    namespace: &str,
    profile: &Profile,
    only: &[&str],
    limits: Limits,
    outside: Outside,
) -> Run {
    let only: Vec<String> = only.iter().map(|o| (*o).to_owned()).collect();
    let wanted = move |id: &ItemId| only.is_empty() || only.iter().any(|o| id.as_str().starts_with(o.as_str()));
    let namespaces = [namespace.to_owned()];
    let mut items = plan(cluster, profile, &BTreeMap::new(), &namespaces, &limits, outside).await.unwrap();
    items.retain(|i| wanted(i.id()) || i.lane() == Lane::Discover);
    let (result, files, entries) =
        run(items, limits, Arc::new(move |item| item.id().as_str().starts_with("kubernetes/") || wanted(item.id())))
            .await;
    Run { result, files, entries }
}

/// Runs items that are not a cluster's.
pub(super) async fn items(items: Vec<Arc<dyn Item>>) -> (RunResult, BTreeMap<String, Vec<u8>>) {
    let (result, files, _) = run(items, limits(), Arc::new(|_| true)).await;
    (result, files)
}

async fn run(
    items: Vec<Arc<dyn Item>>,
    limits: Limits,
    wanted: Arc<Wanted>,
) -> (RunResult, BTreeMap<String, Vec<u8>>, Vec<FileEntry>) {
    let dir = tempfile::tempdir().unwrap();
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let spool = Spool::create(dir.path()).unwrap();
    let (events, _) = tokio::sync::mpsc::unbounded_channel();
    let engine = Engine {
        redactor: redactor.clone(),
        spool: spool.clone(),
        limits,
        events,
        cancel: CancellationToken::new(),
        wanted,
    };
    let result = engine.run(items).await;
    let mut archive = Vec::new();
    let options = PackOptions {
        top_dir: redactor.text("top"),
        target: Target::Writer(&mut archive),
        first: Vec::new(),
        mtime: chrono::DateTime::UNIX_EPOCH,
        force: false,
    };
    pack(&spool, options).unwrap();
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(flate2::read::MultiGzDecoder::new(archive.as_slice())).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().trim_start_matches("top/").to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.insert(path, bytes);
    }
    (result, files, spool.files())
}

pub(super) fn generic() -> Profile {
    profile::find_builtin("kubernetes").unwrap().clone()
}

/// A profile with these `[[exec]]` and `[[http]]` tables.
pub(super) fn profile_with(tables: &str) -> Profile {
    let head = "schema = 1\nid = \"t\"\ntitle = \"T\"\nprefix = \"t\"\n[kubernetes]\ndetect = [\"app=kms-core\"]\n";
    profile::parse("t", &format!("{head}{tables}")).unwrap()
}
