//! The engine of Docker or Podman, through its API: version, containers, their state, logs, usage and events.
//!
//! Only reads are sent: nothing is started, stopped, executed or attached.

mod events;
mod frames;
pub(super) mod inspect;
mod logs;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use globset::{Glob, GlobSet, GlobSetBuilder};
use serde_json::{Value, json};

use super::ask::{Ask, DOCUMENT_MAX, Shape};
use super::http::Http;
use super::item::{directory, note_connection, put_json};
use super::target::{Ambient, Credentials, Origin, Resolver, Target, parse_url};
use crate::collect::source::{Source, SourceItem};
use crate::collect::{CollectError, Done, Item, Lane, Limits, Sink};
use crate::profile;

/// Label that names the compose project of a container.
const PROJECT: &str = "com.docker.compose.project";
/// Label that names its service.
const SERVICE: &str = "com.docker.compose.service";
/// Containers that are read one by one.
const CONTAINERS_MAX: usize = 300;
/// Age of events when the run has no `--since`.
const EVENTS_DEFAULT: Duration = Duration::from_secs(3600);

/// How the engine is reached.
#[derive(Debug, Clone)]
enum Address {
    Socket(PathBuf, Origin),
    Tcp(Box<Target>),
}

/// One engine.
pub(super) struct Docker {
    dir: String,
    address: Result<Address, String>,
    timeout: Duration,
    wanted: Wanted,
    limits: Limits,
}

/// Which containers belong to the system, and what of their environment may be kept.
#[derive(Clone)]
struct Wanted {
    projects: Vec<String>,
    names: Option<GlobSet>,
    keep_env: Arc<Vec<String>>,
}

/// The item of an engine.
pub(super) fn item(
    own: &profile::Docker,
    resolver: &Resolver<'_>,
    ambient: &Ambient,
    limits: &Limits,
) -> Arc<dyn Item> {
    let dir = directory("docker", &own.name);
    let mut names = GlobSetBuilder::new();
    for glob in own.containers.iter().filter_map(|g| Glob::new(&resolver.fill(g).ok()?).ok()) {
        names.add(glob);
    }
    let wanted = Wanted {
        projects: own.projects.iter().filter_map(|p| resolver.fill(p).ok()).collect(),
        names: if own.containers.is_empty() { None } else { names.build().ok() },
        keep_env: Arc::new(own.keep_env.clone()),
    };
    let address = address(own, resolver, ambient);
    let docker = Docker { dir: dir.clone(), address, timeout: limits.request_timeout, wanted, limits: limits.clone() };
    let what = "Containers of Docker or Podman: state, exit codes, health, logs, usage, events";
    Arc::new(SourceItem::new(&dir, "services/docker", what, Lane::Discover, docker))
}

/// A client of the engine that the environment names, or of the first usual socket.
pub(super) fn engine(ambient: &Ambient, timeout: Duration) -> Result<Http, CollectError> {
    match from_environment(ambient).map_err(CollectError::NotApplicable)? {
        Address::Socket(path, origin) => Http::unix(&path, origin, timeout),
        Address::Tcp(target) => Http::new(&target, timeout),
    }
}

/// Where the engine is: the parameter, the environment, or the first usual socket that exists.
fn address(own: &profile::Docker, resolver: &Resolver<'_>, ambient: &Ambient) -> Result<Address, String> {
    match resolver.optional(own.host.as_ref()) {
        Some(named) => parse_address(&named, ambient),
        None => from_environment(ambient),
    }
}

fn from_environment(ambient: &Ambient) -> Result<Address, String> {
    if let Some(named) = ambient.var("DOCKER_HOST").or_else(|| ambient.var("CONTAINER_HOST")) {
        return parse_address(named, ambient);
    }
    let mut usual = vec![PathBuf::from("/var/run/docker.sock"), PathBuf::from("/run/podman/podman.sock")];
    if let Some(runtime) = ambient.var("XDG_RUNTIME_DIR") {
        usual.insert(1, PathBuf::from(runtime).join("docker.sock"));
        usual.push(PathBuf::from(runtime).join("podman/podman.sock"));
    }
    let socket = usual.iter().find(|p| p.exists()).unwrap_or(&usual[0]);
    Ok(Address::Socket(socket.clone(), Origin::Guessed))
}

fn parse_address(text: &str, ambient: &Ambient) -> Result<Address, String> {
    if let Some(path) = text.strip_prefix("unix://").or_else(|| text.starts_with('/').then_some(text)) {
        return Ok(Address::Socket(PathBuf::from(path), Origin::Named));
    }
    if text.starts_with("ssh://") || text.starts_with("npipe://") {
        return Err("engines behind ssh or named pipes are not read (try: run casefile on that host)".to_owned());
    }
    let rest = text.strip_prefix("tcp://").unwrap_or(text);
    let tls = text.starts_with("https://") || ambient.var("DOCKER_TLS_VERIFY").is_some();
    let rest = rest.strip_prefix("https://").or_else(|| rest.strip_prefix("http://")).unwrap_or(rest);
    let url = parse_url(&format!("{}://{rest}", if tls { "https" } else { "http" })).map_err(|e| e.to_string())?;
    let pem = |name: &str| ambient.var("DOCKER_CERT_PATH").filter(|_| tls).map(|dir| PathBuf::from(dir).join(name));
    let credentials = Credentials {
        ca_file: pem("ca.pem"),
        cert_file: pem("cert.pem"),
        key_file: pem("key.pem"),
        ..Credentials::default()
    };
    Ok(Address::Tcp(Box::new(Target { name: String::new(), url, credentials, origin: Origin::Named })))
}

impl Docker {
    async fn run(&self, sink: &Sink) -> Result<Done, CollectError> {
        let http = Arc::new(match &self.address {
            Ok(Address::Socket(path, origin)) => Http::unix(path, *origin, self.timeout)?,
            Ok(Address::Tcp(target)) => Http::new(target, self.timeout)?,
            Err(why) => return Err(CollectError::NotApplicable(why.clone())),
        });
        let first = http.get(sink, "/version", DOCUMENT_MAX).await;
        note_connection(sink, &self.dir, &http, first.as_ref())?;
        let version = first?;
        if let Some(refusal) = version.refusal() {
            return Err(refusal);
        }
        let version = version.json()?;
        if version.get("ApiVersion").and_then(Value::as_str).is_none() {
            return Err(CollectError::Failed(format!("{} answers, but is no engine of containers", http.shown())));
        }
        put_json(sink, &format!("{}/version.json", self.dir), &version)?;
        let all = http.get(sink, "/containers/json?all=1", DOCUMENT_MAX).await?;
        if let Some(refusal) = all.refusal() {
            return Err(refusal);
        }
        let Value::Array(all) = all.json()? else {
            return Err(CollectError::Failed("the engine's list of containers is no list".to_owned()));
        };
        let mut containers: Vec<inspect::Container> =
            all.iter().filter_map(inspect::Container::of).filter(|c| self.wanted.wants(c)).collect();
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        let found = containers.len();
        let rows: Vec<Value> = all.into_iter().map(inspect::row).collect();
        put_json(sink, &format!("{}/containers.json", self.dir), &Value::Array(rows))?;
        containers.truncate(CONTAINERS_MAX);
        let spawn = self.spawn(&http, &containers);
        let reason = (found > CONTAINERS_MAX)
            .then(|| format!("{CONTAINERS_MAX} of {found} containers are read (try: --set of the profile to narrow)"));
        let done = match reason {
            Some(reason) => Done::with(crate::model::Outcome::Truncated, reason),
            None => Done::ok(),
        };
        Ok(done.and_spawn(spawn))
    }

    fn spawn(&self, http: &Arc<Http>, containers: &[inspect::Container]) -> Vec<Arc<dyn Item>> {
        let ask = |id: &str, path: &str, shape, what| {
            Ask::get(id, path, format!("{}/{id}.json", self.dir), shape, what).item(&self.dir, "services/docker", http)
        };
        let mut items = vec![
            ask("info", "/info", Shape::Json(inspect::info), "The engine's own state and limits"),
            ask("networks", "/networks", Shape::Json(inspect::networks), "Networks of containers"),
            ask("volumes", "/volumes", Shape::Json(inspect::volumes), "Volumes of containers"),
        ];
        let since = self.limits.since.unwrap_or(EVENTS_DEFAULT);
        items.push(events::item(http, &self.dir, since));
        items.extend(inspect::items(http, &self.dir, containers, &self.wanted.keep_env));
        items.extend(containers.iter().map(|c| logs::item(http, &self.dir, c)));
        items
    }
}

impl Wanted {
    fn wants(&self, container: &inspect::Container) -> bool {
        if self.projects.is_empty() && self.names.is_none() {
            return true;
        }
        container.project.as_ref().is_some_and(|p| self.projects.contains(p))
            || self.names.as_ref().is_some_and(|n| n.is_match(&container.name))
    }
}

impl Source for Docker {
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(sink).boxed()
    }
}

/// An object with some members of another one.
pub(super) fn pick(from: &Value, members: &[&str]) -> Value {
    let mut to = json!({});
    for member in members {
        if let Some(value) = from.get(*member) {
            to[*member] = value.clone();
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ambient(pairs: &[(&str, &str)]) -> Ambient {
        let env = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Ambient { env, ..Ambient::default() }
    }

    #[test]
    fn addresses_are_those_of_the_usual_clients() {
        let show = |text: &str, env: &[(&str, &str)]| match parse_address(text, &ambient(env)) {
            Ok(Address::Socket(path, _)) => format!("socket {}", path.display()),
            Ok(Address::Tcp(t)) => format!("{} {:?}", t.url, t.credentials.cert_file),
            Err(why) => why,
        };
        assert_eq!(show("unix:///run/x.sock", &[]), "socket /run/x.sock");
        assert_eq!(show("/run/x.sock", &[]), "socket /run/x.sock");
        assert_eq!(show("tcp://h:2375", &[]), "http://h:2375/ None");
        assert_eq!(
            show("tcp://h:2376", &[("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/c")]),
            "https://h:2376/ Some(\"/c/cert.pem\")"
        );
        assert!(show("ssh://h", &[]).contains("on that host"));
    }
}
