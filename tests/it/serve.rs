//! The server, asked by real clients: `kube-rs` here, `kubectl` in [`kubectl`]. The cluster is recorded from a real
//! Kubernetes 1.36; expected answers are what the real server said.

mod faults;
mod kubectl;
mod objects;
mod pods;
mod program;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use casefile::bundle::{DirStore, Store};
use casefile::serve::{Builder, Running, Server};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::Value;

const NS: &str = "kms-decentralized";
const CORE: &str = "kms-party-3-core-0";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
/// Nothing here takes long; what does, hangs.
const DEADLINE: Duration = Duration::from_secs(30);

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/clusters/recorded")
}

fn store(path: &Path) -> Arc<dyn Store> {
    Arc::new(DirStore::open(path).unwrap())
}

/// A server with a client.
struct Cluster {
    server: Running,
    client: kube::Client,
}

/// An answer, read to its end.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

impl Cluster {
    /// The recorded cluster.
    async fn recorded() -> Self {
        Self::start(Server::builder(store(&recorded()))).await
    }

    /// The recorded cluster with something changed.
    async fn with(change: impl FnOnce(Builder) -> Builder) -> Self {
        Self::start(change(Server::builder(store(&recorded())))).await
    }

    async fn start(builder: Builder) -> Self {
        let server = builder.start().await.unwrap();
        let mut config = kube::Config::new(server.url().parse().unwrap());
        config.default_namespace = NS.to_owned();
        // What the server says first is what is looked at.
        config.default_retry = false;
        Self { client: kube::Client::try_from(config).unwrap(), server }
    }

    async fn get(&self, path: &str) -> Answer {
        self.get_as(path, "application/json").await
    }

    async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.send(Request::get(path).header("accept", accept).body(Vec::new()).unwrap()).await.unwrap()
    }

    async fn send(&self, request: Request<Vec<u8>>) -> Result<Answer, String> {
        let work = async {
            let response = self.client.send(request.map(Into::into)).await.map_err(|e| e.to_string())?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes().to_vec();
            Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        tokio::time::timeout(DEADLINE, work).await.expect("the server does not answer")
    }

    /// Path below the recorded namespace.
    async fn in_ns(&self, rest: &str) -> Answer {
        self.get(&format!("/api/v1/namespaces/{NS}/{rest}")).await
    }
}
