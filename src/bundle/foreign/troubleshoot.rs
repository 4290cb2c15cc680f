//! Support bundles in the layout of troubleshoot, which is the one that our own bundles have for Kubernetes objects.

use super::{Layout, Place, has_extension};
use crate::bundle::layout;
use crate::bundle::store::Store;

/// Bytes of a version file that are looked at.
const VERSION_MAX: u64 = 4 << 10;
const ROOT: &str = "cluster-resources/";
/// Answers to "may I?", which are no objects.
const RIGHTS: &str = "cluster-resources/auth-cani-list/";
/// Files below the root that hold no objects.
const NO_OBJECTS: [&str; 2] = ["cluster-resources/license.json", "cluster-resources/license.yaml"];

pub(super) struct Troubleshoot;

impl Layout for Troubleshoot {
    fn title(&self) -> &'static str {
        "a support bundle of troubleshoot"
    }

    fn score(&self, store: &dyn Store) -> usize {
        let entries = store.entries();
        let ours = entries.iter().filter(|e| e.path.starts_with(ROOT)).count();
        // The layout alone may be that of a bundle of ours that lost its manifest.
        let says = |path: &str| {
            let text = store.read(path, VERSION_MAX).unwrap_or_default();
            memchr::memmem::find(&text, b"troubleshoot.sh/").is_some()
        };
        let sign = store.contains("analysis.json")
            || ["version.yaml", "version.yml"].iter().any(|path| store.contains(path) && says(path))
            || entries.iter().any(|e| e.path.starts_with(RIGHTS) || is_failure(&e.path));
        if sign { ours } else { 0 }
    }

    fn place(&self, path: &str) -> Place {
        if let Some(node) = path.strip_prefix("node-metrics/").and_then(|p| p.strip_suffix(".json"))
            && !node.contains('/')
        {
            return Place::File(layout::node_stats(node));
        }
        if is_failure(path) {
            return Place::Failure;
        }
        if path.starts_with(RIGHTS) || NO_OBJECTS.contains(&path) {
            return Place::Hidden;
        }
        let alias = path.starts_with(ROOT) && has_extension(path, "yaml");
        if alias {
            return Place::Hidden;
        }
        if path.starts_with(ROOT) || path.starts_with("cluster-info/") {
            return Place::File(path.to_owned());
        }
        Place::Other
    }
}

/// Whether a file says why something is missing: `pods-errors.json`, `<container>-logs-errors.log`.
fn is_failure(path: &str) -> bool {
    (path.starts_with(ROOT) || path.starts_with("cluster-info/"))
        && (path.ends_with("-errors.json") || path.ends_with("/errors.json") || path.ends_with("-logs-errors.log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_are_no_objects_is_not_taken_for_them() {
        let place = |path: &str| Troubleshoot.place(path);
        assert_eq!(place("cluster-resources/pods/a.json"), Place::File("cluster-resources/pods/a.json".into()));
        assert_eq!(place("cluster-resources/auth-cani-list/a.json"), Place::Hidden);
        assert_eq!(place("cluster-resources/pods-errors.json"), Place::Failure);
        assert_eq!(place("cluster-resources/pods/logs/a/b/c-logs-errors.log"), Place::Failure);
        assert_eq!(place("node-metrics/n0.json"), Place::File("usage/nodes/n0/stats-summary.json".into()));
        assert_eq!(place("analysis.json"), Place::Other);
    }
}
