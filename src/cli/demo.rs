//! `casefile demo`: an embedded cluster on loopback, and the ordinary `collect` against it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use chrono::{TimeDelta, Utc};
use clap::Parser;
use serde_json::Value;

use super::Exit;
use super::collect;
use super::output::{Format, Output, usage};
use super::pseudonymise::PseudonymArgs;
use crate::bundle::overlay::{Fixtures, Incident, MemStore};
use crate::serve::{ObjectStore, Peers, Server};

/// The embedded fixtures; `build.rs` packs them.
const FIXTURES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/demo.tar.gz"));
/// The incident that shows most: the reason stands in the log of the previous container.
const DEFAULT: &str = "crash-loop";
/// The namespace of the embedded deployment.
const NAMESPACE: &str = "kms-decentralized";

/// Port on which the parties talk to each other.
const PEER_PORT: u16 = 50001;
/// What the operators' tool says in the embedded cluster.
const HEALTH: &str = "replay/kms-health-check-live.txt";
/// Nobody wants to wait for a demo: what is recorded does not change between two samples of the metrics.
const HASTE: [&str; 2] = ["--set", "metrics_interval=100ms"];

/// Arguments of `casefile demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of an incident, or `healthy` (see --list)
    #[arg(value_name = "INCIDENT", default_value = DEFAULT)]
    incident: String,
    /// List the incidents
    #[arg(long)]
    list: bool,
    /// Where the bundle goes, as for `collect`
    #[arg(long, short, value_name = "FILE|DIR|-")]
    output: Option<PathBuf>,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pseudonyms: PseudonymArgs,
}

/// `collect` as if it had been typed.
#[derive(Parser)]
#[command(name = "casefile collect", no_binary_name = true)]
struct Typed {
    #[command(flatten)]
    args: collect::Args,
}

/// Runs the command.
pub(super) fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    let fixtures = embedded()?;
    if args.list {
        list(&offered(&fixtures), output);
        return Ok(Exit::Complete);
    }
    let incident = find(&fixtures, &args.incident)?;
    let cluster = cluster(&fixtures, incident)?;
    let down = down(&cluster);
    output.notice(&format!("demo `{}`: {}", incident.name, incident.expect.description));

    // The server has threads of its own: `collect` is used as it is, and blocks this one.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("demo-cluster")
        .enable_all()
        .build()
        .context("cannot start the threads of the embedded cluster")?;
    let cluster = Arc::new(cluster);
    let objects = runtime.block_on(ObjectStore::start(&*cluster)).context("cannot start the embedded object store")?;
    let server = Server::builder(cluster).name("casefile-demo").namespace(NAMESPACE);
    let server = runtime.block_on(server.start()).context("cannot start the embedded cluster")?;
    let dir = tempfile::Builder::new()
        .prefix("casefile-demo-")
        .tempdir()
        .context("cannot make a temporary directory for the kubeconfig; check TMPDIR")?;
    let kubeconfig = dir.path().join("kubeconfig");
    server.kubeconfig(&kubeconfig)?;
    let peers = runtime.block_on(Peers::start(PEER_PORT, down));
    let result = Typed::try_parse_from(typed(args, kubeconfig, peers.as_ref().ok()))
        .context("`collect` does not take the arguments of the demo")
        .and_then(|mut typed| {
            typed.args.aws = Some(super::aws::made_up(&objects.url()));
            collect::run(typed.args, output)
        });
    drop(peers);
    runtime.block_on(server.shutdown());
    result
}

/// The arguments of `collect`, as a person would type them.
fn typed(args: Args, kubeconfig: PathBuf, peers: Option<&Peers>) -> Vec<OsString> {
    let mut typed = vec![OsString::from("--kubeconfig"), kubeconfig.into()];
    if let Some(path) = args.output {
        typed.extend(["--output".into(), path.into()]);
    }
    if args.force {
        typed.push("--force".into());
    }
    typed.extend(args.pseudonyms.typed().map(OsString::from));
    typed.extend(HASTE.map(OsString::from));
    match peers {
        Some(peers) => typed.extend(["--set".into(), format!("dns_server={}", peers.dns()).into()]),
        // Without them, the names of the fixtures would be looked up in the world outside.
        None => typed.extend(["--skip".into(), "probe/*".into()]),
    }
    typed
}

/// The hosts of peers that the core of an incident cannot reach: where their services lead.
fn down(cluster: &MemStore) -> BTreeSet<String> {
    let json = |path: &str| serde_json::from_slice::<Value>(cluster.get(path)?).ok();
    let services = json(&format!("cluster-resources/services/{NAMESPACE}.json")).unwrap_or_default();
    let health = cluster.get(HEALTH).map(String::from_utf8_lossy).unwrap_or_default();
    let document = health.find("\n{\n").and_then(|at| serde_json::from_str::<Value>(&health[at..]).ok());
    let peers = document.as_ref().and_then(|d| d.pointer("/context_info/0/peers_status")?.as_array());
    let unreached = peers.into_iter().flatten().filter(|p| p["reachable"] == false);
    let names: BTreeSet<&str> = unreached.filter_map(|p| p["endpoint"].as_str()?.split('.').next()).collect();
    let items = services["items"].as_array().into_iter().flatten();
    let stopped = items.filter(|s| s["metadata"]["name"].as_str().is_some_and(|name| names.contains(name)));
    stopped.filter_map(|s| Some(s["spec"]["externalName"].as_str()?.to_lowercase())).collect()
}

/// The fixtures inside of this binary.
fn embedded() -> anyhow::Result<Fixtures> {
    let store = MemStore::from_tar_gz("the embedded fixtures", FIXTURES)?;
    Ok(Fixtures::new(Box::new(store))?)
}

/// The cluster of an incident, as if it happened now.
fn cluster(fixtures: &Fixtures, incident: &Incident) -> anyhow::Result<MemStore> {
    let mut cluster = fixtures.cluster(&incident.name)?;
    let recorded = fixtures.now(&incident.expect.base)?;
    cluster.shift_times(TimeDelta::seconds((Utc::now() - recorded).num_seconds()));
    Ok(cluster)
}

/// The incidents that are shown to people.
fn offered(fixtures: &Fixtures) -> Vec<&Incident> {
    fixtures.incidents().iter().filter(|incident| incident.expect.demo).collect()
}

fn find<'a>(fixtures: &'a Fixtures, name: &str) -> anyhow::Result<&'a Incident> {
    let offered = offered(fixtures);
    offered.iter().find(|incident| incident.name == name).copied().ok_or_else(|| {
        let nearest = offered.iter().map(|i| (distance(name, &i.name), &i.name)).min();
        let hint = match nearest {
            Some((distance, nearest)) if distance <= 3 => format!("did you mean `{nearest}`?"),
            _ => "run `casefile demo --list` for what they show".to_owned(),
        };
        let known: Vec<&str> = offered.iter().map(|i| i.name.as_str()).collect();
        usage(format!("there is no incident `{name}`; there are: {}; {hint}", known.join(", ")))
    })
}

/// How many characters to add, leave out or change (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn list(incidents: &[&Incident], output: &Output) {
    if output.format == Format::Json {
        let all: Vec<_> = incidents
            .iter()
            .map(|i| serde_json::json!({"name": i.name, "title": i.expect.title, "description": i.expect.description}))
            .collect();
        println!("{}", serde_json::Value::Array(all));
        return;
    }
    let width = incidents.iter().map(|i| i.name.len()).max().unwrap_or_default();
    for incident in incidents {
        println!("{:width$}  {}", incident.name, incident.expect.description);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::bundle::{DirStore, Store};

    #[test]
    fn what_is_embedded_is_what_lies_in_the_repository() {
        let files = DirStore::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")).unwrap();
        let embedded = MemStore::from_tar_gz("demo", FIXTURES).unwrap();
        let all =
            Fixtures::new(Box::new(DirStore::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")).unwrap()))
                .unwrap();
        let shown: Vec<String> = offered(&all).iter().map(|i| format!("{}/", i.dir)).collect();
        let mut count = 0;
        for entry in files.entries() {
            if entry.path.starts_with("clusters/kms/") || shown.iter().any(|dir| entry.path.starts_with(dir)) {
                assert_eq!(
                    embedded.get(&entry.path),
                    Some(&files.read(&entry.path, entry.size).unwrap()[..]),
                    "{}",
                    entry.path
                );
                count += 1;
            }
        }
        assert_eq!(embedded.entries().len(), count);
        assert!(FIXTURES.len() < 2 << 20, "{} bytes are embedded", FIXTURES.len());
    }

    #[test]
    fn every_embedded_incident_happens_now() {
        let fixtures = embedded().unwrap();
        assert!(fixtures.incidents().iter().any(|i| i.name == DEFAULT));
        for incident in fixtures.incidents() {
            let cluster = cluster(&fixtures, incident).unwrap();
            let replay: serde_json::Value = serde_json::from_slice(cluster.get("replay.json").unwrap()).unwrap();
            let now = replay["now"].as_str().unwrap().parse::<chrono::DateTime<Utc>>().unwrap();
            assert!((Utc::now() - now).num_seconds().abs() < 60, "{}: {now}", incident.name);
        }
    }

    #[test]
    fn the_peers_of_an_incident_are_down_where_their_services_lead() {
        let fixtures = embedded().unwrap();
        let down_in = |name: &str| down(&fixtures.cluster(name).unwrap());
        assert!(down_in("healthy").is_empty());
        let stopped = down_in("peers-down");
        assert_eq!(stopped.len(), 2, "{stopped:?}");
        assert!(stopped.iter().all(|host| host.ends_with(".amazonaws.com")), "{stopped:?}");
    }

    #[test]
    fn a_wrong_name_is_a_usage_error_with_a_suggestion() {
        let fixtures = embedded().unwrap();
        let error = find(&fixtures, "crashloop").unwrap_err();
        assert!(error.is::<super::super::output::UsageError>());
        assert!(error.to_string().contains("did you mean `crash-loop`?"), "{error}");
        let error = find(&fixtures, "earthquake").unwrap_err().to_string();
        assert!(error.contains("--list") && error.contains("healthy"), "{error}");
    }

    #[test]
    fn distances_are_edits() {
        for (a, b, want) in [("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(distance(a, b), want, "{a} {b}");
        }
    }
}
