//! An embedded cluster for the real program: a fixture behind a server on loopback, in this process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use casefile::bundle::{DirStore, Store};
use casefile::serve::{Builder, Running, Server};

use super::names::{NameServer, name_server};

/// A running cluster and a kubeconfig for it.
pub(crate) struct Cluster {
    runtime: Option<tokio::runtime::Runtime>,
    running: Option<Running>,
    names: Option<NameServer>,
    dir: tempfile::TempDir,
}

impl Cluster {
    /// The recorded cluster: real answers of a real API server, failures included.
    pub(crate) fn recorded() -> Self {
        Self::recorded_with(|builder| builder)
    }

    /// The same, with faults, denials or another clock.
    pub(crate) fn recorded_with(change: impl FnOnce(Builder) -> Builder) -> Self {
        Self::start(fixture("clusters/recorded"), change)
    }

    /// Any store.
    pub(crate) fn start(store: Arc<dyn Store>, change: impl FnOnce(Builder) -> Builder) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (running, names) = runtime
            .block_on(async { (change(Server::builder(store)).start().await.unwrap(), name_server(".", &[]).await) });
        let dir = tempfile::tempdir().unwrap();
        running.kubeconfig(&dir.path().join("kubeconfig")).unwrap();
        Self { runtime: Some(runtime), running: Some(running), names: Some(names), dir }
    }

    /// Path of the kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// Address of a name server for which no name exists.
    pub(crate) fn dns(&self) -> SocketAddr {
        self.names.as_ref().unwrap().address
    }

    /// What was asked so far: method and path with its query.
    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(runtime) = &self.runtime {
            let _inside = runtime.enter();
            drop((self.running.take(), self.names.take()));
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A directory below `fixtures/` as a store.
pub(crate) fn fixture(path: &str) -> Arc<dyn Store> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path);
    Arc::new(DirStore::open(&root).unwrap())
}

/// The values of planted secrets, none of which may ever leave.
pub(crate) fn planted() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/secrets/planted.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let values: Vec<String> =
        text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned).collect();
    assert!(values.len() >= 11, "{} planted secrets", values.len());
    values
}
