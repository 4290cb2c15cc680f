//! State of containers, with their environment reduced to names.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::super::ask::DOCUMENT_MAX;
use super::super::http::Http;
use super::{PROJECT, SERVICE, pick};
use crate::collect::environment;
use crate::collect::source::{Source, SourceItem};
use crate::collect::{CollectError, Done, Item, Lane, Sink};
use crate::model::{Kept, Outcome, Truncation};

/// Values that a credential must not have.
const DEFAULTS: [&str; 16] = [
    "admin",
    "changeme",
    "default",
    "drachma",
    "example",
    "grafana",
    "guest",
    "letmein",
    "minioadmin",
    "pass",
    "password",
    "postgres",
    "root",
    "secret",
    "test",
    "user",
];
/// Parts of names of credentials.
const CREDENTIALS: [&str; 4] = ["pass", "secret", "token", "rpcuser"];

/// A container in the list of all.
#[derive(Debug, Clone)]
pub(in super::super) struct Container {
    pub(super) id: String,
    pub(in super::super) name: String,
    pub(in super::super) project: Option<String>,
    pub(in super::super) service: Option<String>,
    pub(super) running: bool,
}

impl Container {
    pub(in super::super) fn of(row: &Value) -> Option<Self> {
        let id = row.get("Id")?.as_str()?.to_owned();
        // The id goes into paths of requests.
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        let label = |key: &str| row.pointer("/Labels")?.get(key)?.as_str().map(str::to_owned);
        let name = row.get("Names").and_then(|n| n.get(0)).and_then(Value::as_str).unwrap_or(&id);
        Some(Self {
            name: name.trim_start_matches('/').to_owned(),
            project: label(PROJECT),
            service: label(SERVICE),
            running: row.get("State").and_then(Value::as_str) == Some("running"),
            id,
        })
    }
}

/// What of a row of the list is kept. The command line stands, sanitised, in the inspected state.
pub(super) fn row(row: Value) -> Value {
    let mut kept = keep(
        row,
        &[
            "Id",
            "Names",
            "Image",
            "ImageID",
            "Created",
            "State",
            "Status",
            "Ports",
            "Labels",
            "Mounts",
            "NetworkSettings",
        ],
    );
    if let Some(labels) = kept.get_mut("Labels") {
        keep_labels(labels);
    }
    kept
}

/// The members of an object that are named; nothing of anything else.
fn keep(value: Value, members: &[&str]) -> Value {
    let Value::Object(mut object) = value else { return json!({}) };
    object.retain(|key, _| members.contains(&key.as_str()));
    Value::Object(object)
}

/// Labels of compose and of the image's maker. Others may hold anything.
fn keep_labels(labels: &mut Value) {
    if let Some(labels) = labels.as_object_mut() {
        labels.retain(|key, _| {
            key.starts_with("com.docker.compose.")
                || key.starts_with("io.podman.compose.")
                || key.starts_with("org.opencontainers.image.")
        });
    }
}

/// What of `/info` is kept.
pub(super) fn info(info: Value) -> Result<Value, CollectError> {
    Ok(keep(
        info,
        &[
            "ID",
            "Containers",
            "ContainersRunning",
            "ContainersPaused",
            "ContainersStopped",
            "Images",
            "Driver",
            "DriverStatus",
            "LoggingDriver",
            "CgroupDriver",
            "CgroupVersion",
            "NEventsListener",
            "KernelVersion",
            "OperatingSystem",
            "OSVersion",
            "OSType",
            "Architecture",
            "NCPU",
            "MemTotal",
            "MemoryLimit",
            "SwapLimit",
            "OomKillDisable",
            "IPv4Forwarding",
            "ServerVersion",
            "DockerRootDir",
            "SystemTime",
            "LiveRestoreEnabled",
            "SecurityOptions",
            "Warnings",
            "DefaultRuntime",
            "Swarm",
        ],
    ))
}

/// What of `/networks` is kept.
pub(super) fn networks(list: Value) -> Result<Value, CollectError> {
    rows(list, &["Name", "Id", "Created", "Scope", "Driver", "Internal", "Attachable", "IPAM", "Containers", "Labels"])
}

/// What of `/volumes` is kept.
pub(super) fn volumes(mut document: Value) -> Result<Value, CollectError> {
    let list = document.get_mut("Volumes").map(Value::take).unwrap_or_default();
    rows(list, &["Name", "Driver", "Mountpoint", "CreatedAt", "Scope", "Labels"])
}

fn rows(list: Value, members: &[&str]) -> Result<Value, CollectError> {
    let rows = match list {
        Value::Array(rows) => rows,
        Value::Null => Vec::new(),
        _ => return Err(CollectError::Failed("the engine's answer is no list".to_owned())),
    };
    let rows = rows.iter().map(|row| {
        let mut kept = pick(row, members);
        if let Some(labels) = kept.get_mut("Labels") {
            keep_labels(labels);
        }
        kept
    });
    Ok(Value::Array(rows.collect()))
}

/// The items that read the state and the usage of all containers.
pub(super) fn items(
    http: &Arc<Http>,
    dir: &str,
    containers: &[Container],
    keep_env: &Arc<Vec<String>>,
) -> Vec<Arc<dyn Item>> {
    let all = Arc::new(containers.to_vec());
    let new = |id: &str, what: &str, usage: bool| -> Arc<dyn Item> {
        let source = Each {
            http: Arc::clone(http),
            dir: dir.to_owned(),
            containers: Arc::clone(&all),
            keep_env: Arc::clone(keep_env),
            usage,
        };
        Arc::new(SourceItem::new(&format!("{dir}/{id}"), "services/docker", what, Lane::State, source))
    };
    vec![
        new("inspect", "State, exit code, restarts and health of each container; environment by name only", false),
        new("stats", "One reading of CPU, memory and I/O of each running container", true),
    ]
}

/// Reads one document of each container.
struct Each {
    http: Arc<Http>,
    dir: String,
    containers: Arc<Vec<Container>>,
    keep_env: Arc<Vec<String>>,
    usage: bool,
}

impl Each {
    async fn run(&self, sink: &Sink) -> Result<Done, CollectError> {
        let (file, kind) = if self.usage { ("stats", "ContainerUsage") } else { ("inspect", "Container") };
        let chosen: Vec<&Container> = self.containers.iter().filter(|c| c.running || !self.usage).collect();
        if chosen.is_empty() {
            return Ok(Done::with(Outcome::Empty, "no container of the system is there or runs"));
        }
        let mut list = sink.create_objects(&format!("{}/{file}.json", self.dir), "engine/v1", kind)?;
        let mut problems = Vec::new();
        for container in chosen {
            match self.one(sink, container).await {
                Ok(object) => list.push(object.to_string().as_bytes())?,
                // It went away meanwhile.
                Err(CollectError::NotFound(_)) => {}
                Err(error @ (CollectError::Spool(_) | CollectError::TimedOut(_))) => return Err(error),
                Err(error) => problems.push(format!("{}: {error}", container.name)),
            }
        }
        if problems.is_empty() {
            list.finish(None)?;
            return Ok(Done::ok());
        }
        let reason = problems.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
        list.finish(Some(Truncation { reason: "not-readable".to_owned(), dropped_bytes: None, kept: Kept::Oldest }))?;
        Ok(Done::with(Outcome::Truncated, format!("{} containers could not be read: {reason}", problems.len())))
    }

    async fn one(&self, sink: &Sink, container: &Container) -> Result<Value, CollectError> {
        let path = if self.usage {
            format!("/containers/{}/stats?stream=false&one-shot=true", container.id)
        } else {
            format!("/containers/{}/json", container.id)
        };
        let reply = self.http.get(sink, &path, DOCUMENT_MAX).await?;
        if let Some(refusal) = reply.refusal() {
            return Err(refusal);
        }
        let document = reply.json()?;
        Ok(if self.usage { usage(&container.name, &document) } else { sanitised(document, &self.keep_env) })
    }
}

impl Source for Each {
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(sink).boxed()
    }
}

/// One reading of usage, without the history.
fn usage(name: &str, document: &Value) -> Value {
    let mut kept = pick(document, &["read", "cpu_stats", "memory_stats", "blkio_stats", "pids_stats", "networks"]);
    kept["name"] = json!(name);
    kept
}

/// The state of a container: no value of an environment variable but those that the profile keeps, and no driver data.
fn sanitised(mut document: Value, keep_env: &[String]) -> Value {
    let mut weak = Vec::new();
    if let Some(args) = document.get("Args") {
        weak.extend(weak_arguments(args));
    }
    if let Some(object) = document.as_object_mut() {
        object.remove("GraphDriver");
    }
    if let Some(config) = document.get_mut("Config").and_then(Value::as_object_mut) {
        if let Some(env) = config.get_mut("Env") {
            *env = reduced(env, keep_env, &mut weak);
        }
        if let Some(labels) = config.get_mut("Labels") {
            keep_labels(labels);
        }
    }
    if !weak.is_empty() {
        // Only names: that a value is a well-known default is the finding.
        document["well_known_values"] = json!(weak);
    }
    document
}

/// `NAME=value` lines as Kubernetes writes them: name, and the value or its length.
fn reduced(env: &Value, keep: &[String], weak: &mut Vec<String>) -> Value {
    let lines = env.as_array().into_iter().flatten().filter_map(Value::as_str);
    let pairs: Vec<(&str, &str)> = lines.map(|line| line.split_once('=').unwrap_or((line, ""))).collect();
    weak.extend(pairs.iter().filter(|(name, value)| is_weak(name, value)).map(|(name, _)| (*name).to_owned()));
    environment::listed(pairs, keep)
}

/// Flags whose value is a well-known default.
fn weak_arguments(args: &Value) -> Vec<String> {
    let args: Vec<&str> = args.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let pairs = args.windows(2).map(|w| (w[0], w[1])).chain(args.iter().filter_map(|a| a.split_once('=')));
    pairs.filter(|(flag, value)| flag.starts_with('-') && is_weak(flag, value)).map(|(f, _)| f.to_owned()).collect()
}

fn is_weak(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CREDENTIALS.iter().any(|c| name.contains(c)) && DEFAULTS.contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_environment_do_not_stay() {
        let document = json!({
            "Id": "ab", "Args": ["--rpcuser=user", "--rpcpassword", "pass"], "GraphDriver": {"Data": 1},
            "Config": {"Env": ["POSTGRES_URL=postgres://u:Hunter2xyz@db/x", "NODE_ID=3", "PLAIN=planted-plain-value",
                "GF_SECURITY_ADMIN_PASSWORD=admin"], "Labels": {"com.docker.compose.service": "node-3", "secret": "x"}},
        });
        let kept = sanitised(document, &["NODE_*".to_owned()]);
        let text = kept.to_string();
        assert!(!text.contains("Hunter2") && !text.contains("planted-plain-value"), "{text}");
        assert!(text.contains(r#"{"name":"NODE_ID","value":"3"}"#), "{text}");
        assert!(text.contains(r#"{"name":"PLAIN","length":19}"#), "{text}");
        assert_eq!(kept["well_known_values"], json!(["--rpcpassword", "--rpcuser", "GF_SECURITY_ADMIN_PASSWORD"]));
        assert!(kept.get("GraphDriver").is_none());
        assert_eq!(kept["Config"]["Labels"], json!({"com.docker.compose.service": "node-3"}));
    }

    #[test]
    fn a_container_with_an_odd_id_is_left_out() {
        assert!(Container::of(&json!({"Id": "../x", "Names": ["/a"]})).is_none());
        let found = Container::of(&json!({"Id": "ab1", "Names": ["/a"], "State": "exited",
            "Labels": {PROJECT: "p"}}))
        .unwrap();
        assert_eq!((found.name.as_str(), found.project.as_deref(), found.running), ("a", Some("p"), false));
    }
}
