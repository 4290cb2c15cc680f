//! Trees that `oc adm must-gather` and `oc adm inspect` write.
//!
//! Objects of the whole cluster have a file each, those of a namespace are lists or have a file each, and a pod has a
//! directory for every container with the container's name twice.

use super::kinds::{Kind, group, is_name};
use super::{Layout, Place, below, stem};
use crate::bundle::store::Store;

const CLUSTER: &str = "cluster-scoped-resources";
const NAMESPACES: &str = "namespaces";
/// The archive's directory, and one for each image that gathered.
const DEEPEST: usize = 3;

pub(super) struct MustGather;

impl Layout for MustGather {
    fn title(&self) -> &'static str {
        "a must-gather"
    }

    fn score(&self, store: &dyn Store) -> usize {
        store.entries().iter().filter(|e| self.place(&e.path) != Place::Other).count()
    }

    fn place(&self, path: &str) -> Place {
        place(path).unwrap_or(Place::Other)
    }
}

fn place(path: &str) -> Option<Place> {
    let (root, rest) = below(path, &[CLUSTER, NAMESPACES], DEEPEST)?;
    if root == CLUSTER {
        return match rest[..] {
            [g, plural, name] if stem(name).is_some() && is_name(plural) => {
                Some(Place::Object(Kind::new(group(g)?, plural, None)))
            }
            [g, list] => Some(Place::List(Kind::new(group(g)?, stem(list).filter(|s| is_name(s))?, None))),
            _ => None,
        };
    }
    let (namespace, rest) = rest.split_first()?;
    if !is_name(namespace) {
        return None;
    }
    match *rest {
        [name] => (stem(name) == Some(namespace)).then(|| Place::Object(Kind::new("", "namespaces", None))),
        ["pods", pod, name] => (stem(name) == Some(pod)).then(|| Place::Object(Kind::new("", "pods", Some(namespace)))),
        ["pods", pod, container, again, "logs", log] if container == again => {
            let previous = match log {
                "current.log" => false,
                "previous.log" => true,
                _ => return None,
            };
            let owned = str::to_owned;
            Some(Place::Log { namespace: owned(namespace), pod: owned(pod), container: owned(container), previous })
        }
        [g, list] => Some(Place::List(Kind::new(group(g)?, stem(list).filter(|s| is_name(s))?, Some(namespace)))),
        [g, plural, name] if stem(name).is_some() && is_name(plural) => {
            Some(Place::Object(Kind::new(group(g)?, plural, Some(namespace))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_places() {
        let kind = |g, p, n| Kind::new(g, p, n);
        for (path, want) in [
            ("namespaces/a/a.yaml", Place::Object(kind("", "namespaces", None))),
            ("m/quay-io-x/namespaces/a/core/pods.yaml", Place::List(kind("", "pods", Some("a")))),
            ("namespaces/a/apps/deployments.yaml", Place::List(kind("apps", "deployments", Some("a")))),
            ("namespaces/a/pods/p/p.yaml", Place::Object(kind("", "pods", Some("a")))),
            ("namespaces/a/x.io/things/t.yaml", Place::Object(kind("x.io", "things", Some("a")))),
            ("cluster-scoped-resources/core/nodes/n.yaml", Place::Object(kind("", "nodes", None))),
            ("cluster-scoped-resources/x.io/things.yaml", Place::List(kind("x.io", "things", None))),
        ] {
            assert_eq!(place(path), Some(want), "{path}");
        }
        let log = place("namespaces/a/pods/p/c/c/logs/previous.log");
        assert!(matches!(log, Some(Place::Log { previous: true, .. })), "{log:?}");
        for path in [
            "namespaces/a/v1/pod/p.yaml",
            "namespaces/a/oc_output/pods.yaml",
            "namespaces/a/pods/p/c/d/logs/current.log",
            "namespaces/a/pods/p/c/c/logs/rotated/0.log.gz",
            "event-filter.html",
            "namespaces/../core/pods.yaml",
        ] {
            assert_eq!(place(path), None, "{path}");
        }
    }
}
