//! Writes the recorded cluster as other tools lay it out. What they write is written here by hand, so that reading and
//! writing share nothing.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use casefile::bundle::layout;
use serde_json::Value;

use crate::support::cluster::fixture;

/// Bytes of a file of the fixture.
const FILE_MAX: u64 = 64 << 20;

/// One object with what its path is made of.
pub(super) struct Object {
    pub(super) group: String,
    pub(super) plural: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) value: Value,
}

/// One log.
pub(super) struct Log {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) container: String,
    pub(super) previous: bool,
    pub(super) text: Vec<u8>,
}

/// The recorded cluster, taken apart.
pub(super) struct Recorded {
    pub(super) objects: Vec<Object>,
    pub(super) logs: Vec<Log>,
    pub(super) version: Value,
}

impl Recorded {
    pub(super) fn read() -> Self {
        let store = fixture("clusters/recorded");
        let (mut objects, mut logs) = (Vec::new(), Vec::new());
        for entry in store.entries() {
            let bytes = store.read(&entry.path, FILE_MAX).unwrap();
            if let Some((group, plural, namespace)) = layout::parse_objects(&entry.path) {
                let list: Value = serde_json::from_slice(&bytes).unwrap();
                for item in list["items"].as_array().unwrap() {
                    objects.push(Object {
                        name: item["metadata"]["name"].as_str().unwrap().to_owned(),
                        value: typed(item, &list),
                        group: group.clone(),
                        plural: plural.clone(),
                        namespace: namespace.clone(),
                    });
                }
            } else if let Some((namespace, pod, container, previous)) = layout::parse_log(&entry.path) {
                let owned = str::to_owned;
                logs.push(Log {
                    namespace: owned(namespace),
                    pod: owned(pod),
                    container: owned(container),
                    previous,
                    text: bytes,
                });
            }
        }
        assert!(objects.len() > 50 && logs.len() == 6, "{} objects, {} logs", objects.len(), logs.len());
        let version = serde_json::from_slice(&store.read(layout::CLUSTER_VERSION, FILE_MAX).unwrap()).unwrap();
        Self { objects, logs, version }
    }

    /// The lists of each kind and namespace.
    fn lists(&self) -> Vec<Vec<&Object>> {
        let mut lists: Vec<Vec<&Object>> = Vec::new();
        for object in &self.objects {
            match lists.last_mut() {
                Some(list)
                    if (&list[0].group, &list[0].plural, &list[0].namespace)
                        == (&object.group, &object.plural, &object.namespace) =>
                {
                    list.push(object);
                }
                _ => lists.push(vec![object]),
            }
        }
        lists
    }
}

/// An object with its kind and version, which items of a typed list may leave out.
fn typed(item: &Value, list: &Value) -> Value {
    let kind = list["kind"].as_str().and_then(|k| k.strip_suffix("List")).unwrap();
    let mut object = serde_json::json!({"apiVersion": list["apiVersion"], "kind": kind});
    for (key, value) in item.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

fn list(objects: &[&Object]) -> Value {
    let items: Vec<&Value> = objects.iter().map(|o| &o.value).collect();
    let kind = objects[0].value["kind"].as_str().unwrap();
    serde_json::json!({"apiVersion": objects[0].value["apiVersion"], "items": items, "kind": format!("{kind}List"), "metadata": {"resourceVersion": ""}})
}

pub(super) fn put(root: &Path, path: &str, content: &[u8]) {
    let file = root.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

/// YAML as the tools in Go write it: sorted keys, lists not indented, text over several lines as blocks.
pub(super) fn yaml(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

fn block(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            for key in keys {
                let _ = write!(out, "{pad}{}:", scalar(&Value::String(key.clone())));
                match &map[key] {
                    Value::Array(items) if !items.is_empty() => {
                        out.push('\n');
                        block(&map[key], indent, out);
                    }
                    Value::Object(inner) if !inner.is_empty() => {
                        out.push('\n');
                        block(&map[key], indent + 2, out);
                    }
                    Value::String(text) if is_block(text) => literal(text, indent + 2, out),
                    other => {
                        let _ = writeln!(out, " {}", scalar(other));
                    }
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                if item.is_object() && item != &serde_json::json!({}) {
                    let mut text = String::new();
                    block(item, indent + 2, &mut text);
                    let _ = write!(out, "{pad}- {}", &text[indent + 2..]);
                } else {
                    let _ = writeln!(out, "{pad}- {}", scalar(item));
                }
            }
        }
        other => {
            let _ = writeln!(out, "{pad}{}", scalar(other));
        }
    }
}

fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\n', '\t'])
        && !text.contains(|c: char| c.is_control() && c != '\n')
        && text.lines().all(|l| !l.ends_with(' '))
}

fn literal(text: &str, indent: usize, out: &mut String) {
    let keep = if text.ends_with("\n\n") {
        "+"
    } else if text.ends_with('\n') {
        ""
    } else {
        "-"
    };
    let _ = writeln!(out, " |{keep}");
    for line in text.lines() {
        if line.is_empty() {
            out.push('\n');
        } else {
            let _ = writeln!(out, "{}{line}", " ".repeat(indent));
        }
    }
}

/// A plain word where it can be nothing but text; quotes otherwise.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
                && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
                    .contains(&text.to_lowercase().as_str());
            if plain { text.clone() } else { Value::String(text.clone()).to_string() }
        }
        other => other.to_string(),
    }
}

/// A layout to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Troubleshoot,
    MustGather,
    CrustGather,
    ClusterDump,
}

pub(super) const TOOLS: [Tool; 4] = [Tool::Troubleshoot, Tool::MustGather, Tool::CrustGather, Tool::ClusterDump];

impl Tool {
    /// What the program calls it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Troubleshoot => "a support bundle of troubleshoot",
            Self::MustGather => "a must-gather",
            Self::CrustGather => "an archive of crust-gather",
            Self::ClusterDump => "a dump of kubectl cluster-info",
        }
    }

    /// Whether the tool collects a kind.
    pub(super) fn collects(self, group: &str, plural: &str) -> bool {
        self != Self::ClusterDump
            || matches!(
                (group, plural),
                ("", "nodes" | "events" | "replicationcontrollers" | "services" | "pods")
                    | ("apps", "daemonsets" | "deployments" | "replicasets")
            )
    }

    /// Whether the tool collects the logs of containers that ended before.
    pub(super) fn collects_previous(self) -> bool {
        self != Self::ClusterDump
    }

    /// Writes the cluster into a directory, and gives the bundle's top directory.
    pub(super) fn write(self, recorded: &Recorded, root: &Path) -> PathBuf {
        match self {
            Self::Troubleshoot => troubleshoot(recorded, &root.join("support-bundle-2026-11-21T06_32_42")),
            Self::MustGather => must_gather(recorded, &root.join("must-gather.local.4711")),
            Self::CrustGather => crust_gather(recorded, &root.join("crust-gather")),
            Self::ClusterDump => cluster_dump(recorded, &root.join("dump")),
        }
    }
}

fn troubleshoot(recorded: &Recorded, top: &Path) -> PathBuf {
    put(
        top,
        "version.yaml",
        b"apiVersion: troubleshoot.sh/v1beta2\nkind: SupportBundle\nspec:\n  versionNumber: 0.123.0\n",
    );
    put(top, "analysis.json", b"[]");
    put(top, "cluster-info/cluster_version.json", serde_json::to_string_pretty(&recorded.version).unwrap().as_bytes());
    for objects in recorded.lists() {
        let first = objects[0];
        let path = layout::objects(&first.group, &first.plural, first.namespace.as_deref());
        if first.plural == "secrets" || first.plural == "controllerrevisions" {
            continue;
        }
        // Custom resources are an array, and a link beside it has another extension.
        let text = if path.contains("/custom-resources/") {
            let values: Vec<&Value> = objects.iter().map(|o| &o.value).collect();
            serde_json::to_string_pretty(&values).unwrap()
        } else {
            serde_json::to_string_pretty(&list(&objects)).unwrap()
        };
        put(top, &path, text.as_bytes());
        #[cfg(unix)]
        if path.contains("/custom-resources/") {
            let name = path.rsplit('/').next().unwrap();
            std::os::unix::fs::symlink(name, top.join(&path).with_extension("yaml")).unwrap();
        }
    }
    put(top, "cluster-resources/auth-cani-list/kms-decentralized.json", b"{\"resourceRules\":[],\"incomplete\":false}");
    put(top, "cluster-resources/pods-errors.json", b"{}");
    put(top, "cluster-resources/secrets-errors.json", b"{\"kms-decentralized\":\"secrets is forbidden\"}");
    for log in &recorded.logs {
        let path = layout::log(&log.namespace, &log.pod, &log.container, log.previous);
        put(top, &path, &log.text);
        #[cfg(unix)]
        {
            let link = top.join("all-logs").join(&log.pod).join(format!(
                "{}{}.log",
                log.container,
                if log.previous { "-previous" } else { "" }
            ));
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(Path::new("../..").join(&path), link).unwrap();
        }
    }
    top.to_owned()
}

fn must_gather(recorded: &Recorded, top: &Path) -> PathBuf {
    put(top, "event-filter.html", b"<html></html>");
    put(top, "timestamp", b"2026-11-21 06:32:42");
    let image = top.join("quay-io-example-must-gather-sha256-0123abcd");
    put(&image, "version", b"openshift/must-gather\n4.99.0-0\n");
    let core = |group: &str| if group.is_empty() { "core".to_owned() } else { group.to_owned() };
    for objects in recorded.lists() {
        let first = objects[0];
        let group = core(&first.group);
        for object in &objects {
            let text = format!("---\n{}", yaml(&object.value));
            match (&object.namespace, object.plural.as_str()) {
                (None, "namespaces") => put(&image, &format!("namespaces/{0}/{0}.yaml", object.name), text.as_bytes()),
                (None, plural) => {
                    put(
                        &image,
                        &format!("cluster-scoped-resources/{group}/{plural}/{}.yaml", object.name),
                        text.as_bytes(),
                    );
                }
                (Some(ns), "pods") => {
                    put(&image, &format!("namespaces/{ns}/pods/{0}/{0}.yaml", object.name), text.as_bytes());
                }
                // Some kinds come as objects of their own.
                (Some(ns), plural @ ("leases" | "endpointslices")) => {
                    put(&image, &format!("namespaces/{ns}/{group}/{plural}/{}.yaml", object.name), text.as_bytes());
                }
                _ => {}
            }
        }
        if let Some(ns) = &first.namespace
            && !matches!(first.plural.as_str(), "leases" | "endpointslices")
        {
            let text = format!("---\n{}", yaml(&list(&objects)));
            put(&image, &format!("namespaces/{ns}/{group}/{}.yaml", first.plural), text.as_bytes());
        }
    }
    for log in &recorded.logs {
        let (ns, pod, c) = (&log.namespace, &log.pod, &log.container);
        let name = if log.previous { "previous" } else { "current" };
        // It asks for time stamps.
        let text: String = String::from_utf8_lossy(&log.text)
            .lines()
            .map(|l| format!("2026-11-21T06:30:00.000000001Z {l}\n"))
            .collect();
        put(&image, &format!("namespaces/{ns}/pods/{pod}/{c}/{c}/logs/{name}.log"), text.as_bytes());
    }
    top.to_owned()
}

fn crust_gather(recorded: &Recorded, top: &Path) -> PathBuf {
    put(top, "version.yaml", yaml(&recorded.version["info"]).as_bytes());
    put(top, "collected.timestamp", b"2026-11-21T06:32:42Z");
    for object in &recorded.objects {
        let version = object.value["apiVersion"].as_str().unwrap().to_lowercase().replace('/', "-");
        let kind = object.value["kind"].as_str().unwrap().to_lowercase();
        let name = object.name.replace([':', '*', '?', '|'], "-");
        let path = match &object.namespace {
            Some(ns) => format!("namespaces/{ns}/{version}/{kind}/{name}.yaml"),
            None => format!("cluster/{version}/{kind}/{name}.yaml"),
        };
        put(top, &path, yaml(&object.value).as_bytes());
    }
    for log in &recorded.logs {
        let name = if log.previous { "previous" } else { "current" };
        let path = format!("namespaces/{}/v1/pod/{}/{}/{name}.log", log.namespace, log.pod, log.container);
        put(top, &path, &log.text);
    }
    top.to_owned()
}

fn cluster_dump(recorded: &Recorded, top: &Path) -> PathBuf {
    let lists = recorded.lists();
    for objects in lists.iter().filter(|l| Tool::ClusterDump.collects(&l[0].group, &l[0].plural)) {
        let text = serde_json::to_string_pretty(&list(objects)).unwrap();
        let path = match &objects[0].namespace {
            Some(ns) => format!("{ns}/{}.json", objects[0].plural),
            None => format!("{}.json", objects[0].plural),
        };
        put(top, &path, text.as_bytes());
    }
    let empty = br#"{"kind":"ReplicationControllerList","apiVersion":"v1","metadata":{},"items":[]}"#;
    put(top, "kms-decentralized/replication-controllers.json", empty);
    let mut pods: Vec<(&str, &str)> = recorded.logs.iter().map(|l| (l.namespace.as_str(), l.pod.as_str())).collect();
    pods.dedup();
    for (ns, pod) in pods {
        let mut text = Vec::new();
        for log in recorded.logs.iter().filter(|l| (l.namespace.as_str(), l.pod.as_str()) == (ns, pod) && !l.previous) {
            text.extend(
                format!("==== START logs for container {} of pod {ns}/{pod} ====\n", log.container).into_bytes(),
            );
            text.extend(&log.text);
            text.extend(format!("==== END logs for container {} of pod {ns}/{pod} ====\n", log.container).into_bytes());
        }
        put(top, &format!("{ns}/{pod}/logs.txt"), &text);
    }
    top.to_owned()
}
