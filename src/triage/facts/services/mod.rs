//! Facts about services beside a cluster: whether they answer, containers of an engine, what Prometheus says, and every other
//! small document that a source left.

mod engine;
mod monitoring;
mod promql;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::list::{Ending, split};
use super::metrics::{self, Scrape};
use super::value::{int, string, time, yes};
use super::{At, LogKey};
use crate::bundle::{Store, StoreError};
use crate::model::time::Timestamp;
use crate::triage::finding::Place;

pub(crate) use engine::Container;
pub(crate) use monitoring::{AlertRule, Series, Target};

/// Largest document that is decoded for rules.
const DOCUMENT_MAX: u64 = 8 << 20;
/// Largest document that rules see as it is.
const SHOWN_MAX: usize = 512 << 10;

/// Everything below `services/`.
#[derive(Debug, Default)]
pub(crate) struct Services {
    pub(crate) connections: Vec<Connection>,
    pub(crate) containers: Vec<Container>,
    pub(crate) targets: Vec<Target>,
    pub(crate) rules: Vec<AlertRule>,
    pub(crate) series: Vec<Series>,
    pub(crate) documents: Vec<Document>,
    pub(crate) scrapes: Vec<Scrape>,
    /// Names of the series that each Prometheus has.
    names: BTreeMap<String, BTreeSet<String>>,
    /// Samples that each Prometheus stored of a target: source, job and instance.
    stored: BTreeMap<(String, String, String), f64>,
}

/// The direct probe of a source.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) at: At,
    pub(crate) source: String,
    pub(crate) address: String,
    pub(crate) reachable: bool,
    pub(crate) status: i64,
    /// Outcome of what could not be reached; `not-applicable` for a guess of the profile at which nothing is.
    pub(crate) outcome: String,
    pub(crate) error: String,
    /// What is wrong with its certificate, and when it ends.
    pub(crate) tls_problem: String,
    pub(crate) tls_ends: Option<Timestamp>,
}

/// A document of a source.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) at: At,
    pub(crate) source: String,
    pub(crate) file: String,
    pub(crate) value: Value,
}

impl Services {
    /// Whether any source answered.
    pub(crate) fn was_seen(&self) -> bool {
        self.connections.iter().any(|c| c.reachable) || !self.containers.is_empty()
    }

    /// Puts together what several files say. Called once, at the end.
    pub(super) fn finish(&mut self) {
        for rule in &mut self.rules {
            if let Some(names) = self.names.get(&rule.source) {
                rule.missing = rule.metrics.iter().filter(|m| !names.contains(*m)).cloned().collect();
            }
        }
        for target in &mut self.targets {
            let key = (target.source.clone(), target.job.clone(), target.instance.clone());
            target.stored = self.stored.get(&key).copied().unwrap_or(-1.0);
        }
    }
}

/// `services/<source>/<file>`: the source and the file.
fn parts(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("services/")?.split_once('/')
}

/// The log at a path: that of a container of an engine or a file of the host.
pub(super) fn parse_log(path: &str) -> Option<LogKey> {
    let (source, file) = parts(path)?;
    let name = if source.starts_with("docker") {
        file.strip_prefix("logs/")?.strip_suffix(".log")?.to_owned()
    } else if source == "files" {
        let name = file.rsplit('/').next()?;
        if !name.contains(".log") && !name.starts_with("syslog") && !name.starts_with("messages") {
            return None;
        }
        file.split_once('/').map_or(file, |(_, path)| path).to_owned()
    } else {
        return None;
    };
    // The namespace says that it is no pod.
    Some(LogKey { namespace: String::new(), pod: name.clone(), container: name, previous: false })
}

/// Whether a file is one that [`add`] reads.
pub(super) fn is_fact(path: &str) -> bool {
    parts(path).is_some_and(|(_, file)| {
        std::path::Path::new(file).extension().is_some_and(|e| e == "json" || e == "prom") && !file.starts_with("logs/")
    })
}

/// Reads one file.
///
/// # Errors
/// `Ok(Some(reason))` when it cannot be decoded; an error when the bundle cannot be read.
pub(super) fn add(services: &mut Services, store: &dyn Store, path: &str) -> Result<Option<String>, StoreError> {
    let Some((source, file)) = parts(path) else { return Ok(None) };
    let shared: Arc<str> = Arc::from(path);
    if file == "inspect.json" && source.starts_with("docker") {
        let reader = store.open(path)?;
        let mut broken = None;
        let ending = split(reader, &mut |place, bytes| match bytes.map(serde_json::from_slice::<Value>) {
            Some(Ok(object)) => {
                let at = At { path: Arc::clone(&shared), place };
                services.containers.extend(Container::of(source, at, &object));
            }
            _ => broken = Some("an object of the list cannot be decoded".to_owned()),
        })
        .map_err(|error| StoreError::Io { path: path.to_owned(), source: error })?;
        return Ok(broken.or_else(|| (ending == Ending::CutOff).then(|| "the list ends in the middle".to_owned())));
    }
    let bytes = store.read(path, DOCUMENT_MAX)?;
    if file.ends_with(".prom") {
        services.scrapes.push(metrics::parse(path, (String::new(), source.to_owned()), &bytes));
        return Ok(None);
    }
    let value: Value = match serde_json::from_slice(&bytes) {
        Ok(value) => value,
        Err(error) => return Ok(Some(error.to_string())),
    };
    let at = |pointer: String| At { path: Arc::clone(&shared), place: Place::Pointer(pointer) };
    let is_prometheus = source.starts_with("prometheus");
    match file {
        "connection.json" => services.connections.push(Connection {
            at: at("/reachable".to_owned()),
            source: source.to_owned(),
            address: string(&value, "/address"),
            reachable: yes(&value, "/reachable"),
            status: int(&value, "/http_status").unwrap_or(0),
            outcome: string(&value, "/outcome"),
            error: string(&value, "/error"),
            tls_problem: string(&value, "/tls/problem"),
            tls_ends: time(&value, "/tls/not_after"),
        }),
        "targets.json" if is_prometheus => services.targets.extend(monitoring::targets(source, &value, &at)),
        _ if is_prometheus && file.starts_with("series/") => {
            let query = file.trim_start_matches("series/").trim_end_matches(".json");
            services.series.extend(monitoring::series(source, query, &value, &at));
        }
        "rules.json" if is_prometheus => services.rules.extend(monitoring::rules(source, &value, &at)),
        "metric-names.json" if is_prometheus => {
            services.names.insert(source.to_owned(), monitoring::names(&value));
        }
        "samples-stored.json" if is_prometheus => {
            for (job, instance, stored) in monitoring::stored(&value) {
                services.stored.insert((source.to_owned(), job, instance), stored);
            }
        }
        _ if bytes.len() <= SHOWN_MAX => {
            let (source, file) = (source.to_owned(), file.to_owned());
            services.documents.push(Document { at: at(String::new()), source, file, value });
        }
        _ => {}
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::overlay::MemStore;

    fn load(files: &[(&str, &str)]) -> Services {
        let mut store = MemStore::new();
        for (path, text) in files {
            store.insert(*path, text.as_bytes());
        }
        let mut services = Services::default();
        for (path, _) in files {
            assert!(is_fact(path), "{path}");
            assert_eq!(add(&mut services, &store, path).unwrap(), None, "{path}");
        }
        services.finish();
        services
    }

    #[test]
    fn rules_over_series_that_do_not_exist_are_known() {
        let services = load(&[
            (
                "services/prometheus/rules.json",
                r#"{"data":{"groups":[{"rules":[{"type":"alerting","name":"A","query":"rate(a_total[5m]) > up","health":"ok","state":"inactive"}]}]}}"#,
            ),
            ("services/prometheus/metric-names.json", r#"["up"]"#),
            (
                "services/prometheus/targets.json",
                r#"{"activeTargets":[{"labels":{"job":"j","instance":"i:1"},"health":"up","scrapeUrl":"http://h:1/m"}]}"#,
            ),
            (
                "services/prometheus/samples-stored.json",
                r#"{"result":[{"metric":{"job":"j","instance":"i:1"},"value":[1,"0"]}]}"#,
            ),
        ]);
        assert_eq!(services.rules[0].missing, ["a_total"]);
        assert_eq!((services.targets[0].host.as_str(), services.targets[0].stored), ("h:1", 0.0));
    }

    #[test]
    fn every_other_document_is_kept_with_its_source() {
        let services = load(&[
            ("services/endpoint-health-a/health.json", r#"{"status":"ok"}"#),
            (
                "services/endpoint-health-a/connection.json",
                r#"{"address":"http://h:1","reachable":true,"http_status":200}"#,
            ),
        ]);
        assert_eq!(
            (services.documents[0].source.as_str(), services.documents[0].file.as_str()),
            ("endpoint-health-a", "health.json")
        );
        assert!(services.was_seen() && services.connections[0].status == 200);
    }

    #[test]
    fn a_series_that_flaps_is_known() {
        let services = load(&[(
            "services/prometheus/series/peers.json",
            r#"{"resultType":"matrix","result":[{"metric":{"instance":"a"},"values":[[0,"64"],[60,"3"],[120,"60"],[180,"NaN"],[240,"2"]]},
               {"metric":{"instance":"b"},"values":[[0,"3"],[60,"2"]]},{"metric":{},"values":[]}]}"#,
        )]);
        let rows: Vec<_> =
            services.series.iter().map(|s| (s.points, s.span_s, s.min, s.max, s.last, s.falls)).collect();
        assert_eq!(rows, [(4, 240, 2.0, 64.0, 2.0, 2), (2, 60, 2.0, 3.0, 2.0, 0)]);
        assert_eq!((services.series[0].query.as_str(), services.series[0].labels["instance"].as_str()), ("peers", "a"));
    }

    #[test]
    fn logs_of_containers_and_files_are_logs() {
        let name = |path| parse_log(path).map(|key| key.pod);
        assert_eq!(name("services/docker/logs/mpc-node-1.log").as_deref(), Some("mpc-node-1"));
        assert_eq!(name("services/files/logs/var/log/drachma/a.log.1").as_deref(), Some("var/log/drachma/a.log.1"));
        assert_eq!(name("services/files/conf/etc/a.conf"), None);
        assert_eq!(name("services/endpoint-a/x.log"), None);
    }

    #[test]
    fn a_broken_document_costs_itself() {
        let mut store = MemStore::new();
        store.insert("services/x/a.json", &b"{"[..]);
        store.insert("services/docker/inspect.json", &b"{\"items\":[{\"Id\":\"a\"},{]}"[..]);
        let mut services = Services::default();
        assert!(add(&mut services, &store, "services/x/a.json").unwrap().is_some());
        assert!(add(&mut services, &store, "services/docker/inspect.json").unwrap().is_some());
    }
}
