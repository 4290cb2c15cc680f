//! Archives of crust-gather: one file an object, below a directory for the version and one for the kind.

use serde_json::{Value, json};

use super::kinds::{Kind, is_name};
use super::{Layout, Place, below, stem, yaml};
use crate::bundle::layout;
use crate::bundle::store::Store;

const CLUSTER: &str = "cluster";
const NAMESPACES: &str = "namespaces";
const DEEPEST: usize = 2;
const VERSIONS: [&str; 2] = ["version.yaml", "version.json"];
const VERSION_MAX: u64 = 64 << 10;

pub(super) struct CrustGather;

impl Layout for CrustGather {
    fn title(&self) -> &'static str {
        "an archive of crust-gather"
    }

    fn score(&self, store: &dyn Store) -> usize {
        store.entries().iter().filter(|e| self.place(&e.path) != Place::Other).count()
    }

    fn place(&self, path: &str) -> Place {
        place(path).unwrap_or(Place::Other)
    }

    fn documents(&self, store: &dyn Store) -> Vec<(String, Vec<u8>)> {
        let version = VERSIONS.iter().filter(|path| store.contains(path)).find_map(|path| {
            let value = yaml::decode(&store.read(path, VERSION_MAX).ok()?).ok()?;
            // Some versions of the tool nest it.
            let info = [&value["info"], &value].into_iter().find(|v| v["gitVersion"].is_string())?.clone();
            let document: Value = json!({"string": info["gitVersion"], "info": info});
            Some((layout::CLUSTER_VERSION.to_owned(), document.to_string().into_bytes()))
        });
        version.into_iter().collect()
    }

    fn pads(&self) -> bool {
        true
    }
}

fn place(path: &str) -> Option<Place> {
    let (root, rest) = below(path, &[CLUSTER, NAMESPACES], DEEPEST)?;
    if root == CLUSTER {
        let [version, kind, name] = rest[..] else { return None };
        stem(name)?;
        return Some(Place::Object(Kind::of_singular(group(version)?, is_name(kind).then_some(kind)?, None)));
    }
    let (namespace, rest) = rest.split_first()?;
    if !is_name(namespace) {
        return None;
    }
    match *rest {
        [version, kind, name] if stem(name).is_some() && is_name(kind) => {
            Some(Place::Object(Kind::of_singular(group(version)?, kind, Some(namespace))))
        }
        ["v1", "pod", pod, container, log] => {
            let previous = match log {
                "current.log" => false,
                "previous.log" => true,
                _ => return None,
            };
            let owned = str::to_owned;
            Some(Place::Log { namespace: owned(namespace), pod: owned(pod), container: owned(container), previous })
        }
        _ => None,
    }
}

/// The group of `v1`, `apps-v1` or `x.example.com-v1beta2`.
fn group(version: &str) -> Option<&str> {
    let (group, version) = version.rsplit_once('-').unwrap_or(("", version));
    let rest = version.strip_prefix('v')?;
    let number = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let stage = number.strip_prefix("alpha").or_else(|| number.strip_prefix("beta")).unwrap_or(number);
    let sound = rest.len() > number.len() && stage.bytes().all(|b| b.is_ascii_digit());
    (sound && (group.is_empty() || is_name(group))).then_some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_places() {
        let kind = |g, p, n| Kind::new(g, p, n);
        for (path, want) in [
            ("namespaces/a/v1/pod/p.yaml", Place::Object(kind("", "pods", Some("a")))),
            ("x/namespaces/a/apps-v1/statefulset/s.json", Place::Object(kind("apps", "statefulsets", Some("a")))),
            ("cluster/v1/node/n.yaml", Place::Object(kind("", "nodes", None))),
            (
                "cluster/storage.k8s.io-v1/storageclass/n.yaml",
                Place::Object(kind("storage.k8s.io", "storageclasses", None)),
            ),
        ] {
            assert_eq!(place(path), Some(want), "{path}");
        }
        assert!(matches!(place("namespaces/a/v1/pod/p/c/current.log"), Some(Place::Log { previous: false, .. })));
        for path in
            ["namespaces/a/core/pods.yaml", "namespaces/a/apps/deployment/d.yaml", "cluster/x/y/z.yaml", "version.yaml"]
        {
            assert_eq!(place(path), None, "{path}");
        }
    }

    #[test]
    fn versions_are_told_from_other_directories() {
        assert_eq!(group("v1"), Some(""));
        assert_eq!(group("kms.example.com-v1alpha1"), Some("kms.example.com"));
        for other in ["core", "apps", "v", "v1x", "apps-vx", "-", "A-v1"] {
            assert_eq!(group(other), None, "{other}");
        }
    }
}
