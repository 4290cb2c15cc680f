//! Trees that `kubectl cluster-info dump --output-directory` writes: a few lists a namespace, and one text with the logs
//! of all containers for each pod.

use std::io::{self, BufRead, BufReader, Read};

use super::kinds::{Kind, is_name};
use super::{Layout, Place, TEXT_MAX, stem};
use crate::bundle::store::{Store, StoreError};

const DEEPEST: usize = 2;
/// Containers of one pod.
const PARTS_MAX: usize = 1_000;
/// A marker is never longer.
const MARKER_MAX: u64 = 4 << 10;
const START: &str = "==== START logs for container ";
const END: &str = "==== END logs for container ";
/// What stands in place of a log that could not be read.
const FAILURES: [&str; 2] = ["Request log error: ", "Create log request error: "];
/// File name, group and plural of the lists of a namespace.
const LISTS: [(&str, &str, &str); 7] = [
    ("daemonsets", "apps", "daemonsets"),
    ("deployments", "apps", "deployments"),
    ("events", "", "events"),
    ("pods", "", "pods"),
    ("replicasets", "apps", "replicasets"),
    ("replication-controllers", "", "replicationcontrollers"),
    ("services", "", "services"),
];

pub(super) struct ClusterDump;

impl Layout for ClusterDump {
    fn title(&self) -> &'static str {
        "a dump of kubectl cluster-info"
    }

    fn score(&self, store: &dyn Store) -> usize {
        let has = |name: &str| {
            store
                .entries()
                .iter()
                .any(|e| e.path.rsplit('/').next().and_then(stem) == Some(name) && e.path.contains('/'))
        };
        // The names are common words; only together they mean a dump.
        if !has("pods") || !has("replication-controllers") {
            return 0;
        }
        store.entries().iter().filter(|e| self.place(&e.path) != Place::Other).count()
    }

    fn place(&self, path: &str) -> Place {
        place(path).unwrap_or(Place::Other)
    }
}

fn place(path: &str) -> Option<Place> {
    let segments: Vec<&str> = path.split('/').collect();
    if let [.., namespace, pod, "logs.txt"] = segments[..]
        && segments.len() <= DEEPEST + 3
        && is_name(namespace)
    {
        return Some(Place::PodLogs { namespace: namespace.to_owned(), pod: pod.to_owned() });
    }
    let name = stem(segments.last()?)?;
    if name == "nodes" && segments.len() <= DEEPEST + 1 {
        return Some(Place::List(Kind::new("", "nodes", None)));
    }
    let namespace = segments.iter().rev().nth(1).filter(|s| is_name(s))?;
    let (_, group, plural) = LISTS.iter().find(|(file, _, _)| *file == name && segments.len() <= DEEPEST + 2)?;
    Some(Place::List(Kind::new(group, plural, Some(namespace))))
}

/// The log of one container in a text that holds several.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) container: String,
    pub(super) offset: u64,
    pub(super) len: u64,
    /// What stands in its place, when it could not be read.
    pub(super) failure: Option<String>,
}

/// Finds the logs in a text. A log that is cut off is kept.
pub(super) fn parts(store: &dyn Store, path: &str, namespace: &str, pod: &str) -> Result<Vec<Part>, StoreError> {
    let io = |source| StoreError::Io { path: path.to_owned(), source };
    let mut reader = BufReader::with_capacity(64 << 10, store.open(path)?);
    let of_pod = format!(" of pod {namespace}/{pod} ====");
    let mut parts: Vec<Part> = Vec::new();
    let mut open: Option<Part> = None;
    let (mut at, mut begins) = (0_u64, true);
    let mut chunk = Vec::new();
    loop {
        chunk.clear();
        let read = read_some(&mut reader, &mut chunk).map_err(io)?;
        if read == 0 {
            break;
        }
        let text = chunk.strip_suffix(b"\n").unwrap_or(&chunk);
        if let Some(part) = &mut open {
            // A log without a last newline has its end mark in its last line.
            let mark = format!("{END}{}{of_pod}", part.container);
            if text.ends_with(mark.as_bytes()) {
                part.len = at + (text.len() - mark.len()) as u64 - part.offset;
                parts.extend(open.take());
            } else if at == part.offset && FAILURES.iter().any(|f| text.starts_with(f.as_bytes())) {
                part.failure = Some(String::from_utf8_lossy(&text[..text.len().min(TEXT_MAX)]).into_owned());
            }
        } else if begins && let Some(container) = started(text, &of_pod).filter(|_| parts.len() < PARTS_MAX) {
            open = Some(Part { container, offset: at + read as u64, len: 0, failure: None });
        }
        begins = chunk.ends_with(b"\n");
        at += read as u64;
    }
    if let Some(mut part) = open {
        part.len = at - part.offset;
        parts.push(part);
    }
    Ok(parts)
}

/// The container whose log begins behind this line.
fn started(line: &[u8], of_pod: &str) -> Option<String> {
    let name = std::str::from_utf8(line).ok()?.strip_prefix(START)?.strip_suffix(of_pod)?;
    is_name(name).then(|| name.to_owned())
}

/// Reads a line, or a part of a line that is too long to be a marker.
fn read_some(reader: &mut impl BufRead, into: &mut Vec<u8>) -> io::Result<usize> {
    reader.take(MARKER_MAX).read_until(b'\n', into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::overlay::MemStore;

    fn found(text: &str) -> Vec<(String, String, bool)> {
        let mut store = MemStore::new();
        store.insert("logs.txt", text.as_bytes());
        let cut = |p: &Part| text[usize::try_from(p.offset).unwrap()..][..usize::try_from(p.len).unwrap()].to_owned();
        let parts = parts(&store, "logs.txt", "n", "p").unwrap();
        parts.iter().map(|p| (p.container.clone(), cut(p), p.failure.is_some())).collect()
    }

    #[test]
    fn logs_are_told_apart() {
        let text = "==== START logs for container a of pod n/p ====\none\ntwo\n==== END logs for container a of pod n/p ====\n\
                    ==== START logs for container b of pod n/p ====\nno newline==== END logs for container b of pod n/p ====\n\
                    ==== START logs for container c of pod n/p ====\n==== END logs for container c of pod n/p ====\n\
                    ==== START logs for container d of pod n/p ====\nRequest log error: no\n==== END logs for container d of pod n/p ====\n\
                    ==== START logs for container e of pod n/p ====\n==== START logs for container a of pod n/p ====\ncut";
        let owned = |c: &str, t: &str, f| (c.to_owned(), t.to_owned(), f);
        assert_eq!(
            found(text),
            [
                owned("a", "one\ntwo\n", false),
                owned("b", "no newline", false),
                owned("c", "", false),
                owned("d", "Request log error: no\n", true),
                owned("e", "==== START logs for container a of pod n/p ====\ncut", false),
            ]
        );
        assert!(found("").is_empty() && found("==== START logs for container ../x of pod n/p ====\n").is_empty());
    }

    #[test]
    fn paths_find_their_places() {
        assert_eq!(place("nodes.json"), Some(Place::List(Kind::new("", "nodes", None))));
        assert_eq!(place("d/a/deployments.yaml"), Some(Place::List(Kind::new("apps", "deployments", Some("a")))));
        let logs = Place::PodLogs { namespace: "a".into(), pod: "p".into() };
        assert_eq!(place("a/p/logs.txt"), Some(logs));
        for path in ["a/other.json", "pods.json", "a/b/c/d/pods.json", "A_/pods.json"] {
            assert_eq!(place(path), None, "{path}");
        }
    }
}
