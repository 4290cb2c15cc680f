//! Where Kubernetes state lies in a bundle: the layout that `sbctl` and `troubleshoot-live` read.
//!
//! Objects of one kind and namespace are one typed list. The directory names of built-in kinds are historical; kinds
//! without one lie under `custom-resources/<plural>.<group>`.

/// Version of the server, as `{"info": {...}, "string": "v1.36.2"}`.
pub const CLUSTER_VERSION: &str = "cluster-info/cluster_version.json";
/// Samples of `apiserver_requested_deprecated_apis` from the API server's own metrics.
pub const DEPRECATED_APIS: &str = "cluster-info/deprecated-apis.prom";
/// Array of `APIGroup`.
pub const GROUPS: &str = "cluster-resources/groups.json";
/// Array of `APIResourceList`; the core entry has no `apiVersion` of its own.
pub const RESOURCES: &str = "cluster-resources/resources.json";
/// `NodeMetricsList` of `metrics.k8s.io`.
pub const NODE_USAGE: &str = "usage/nodes.json";

/// What each Prometheus answers to `GET /api/v1/alerts`; `*` is one segment's rest and holds no slash.
pub const PROMETHEUS_ALERTS: &str = "services/prometheus*/alerts.json";

const ROOT: &str = "cluster-resources";
const CUSTOM: &str = "custom-resources";

/// Directory (namespaced) or file stem (cluster-wide) of the kinds that have a name of their own:
/// API group, plural, name.
const NAMES: [(&str, &str, &str); 37] = [
    ("", "configmaps", "configmaps"),
    ("", "endpoints", "endpoints"),
    ("", "events", "events"),
    ("", "limitranges", "limitranges"),
    ("", "namespaces", "namespaces"),
    ("", "nodes", "nodes"),
    ("", "persistentvolumeclaims", "pvcs"),
    ("", "persistentvolumes", "pvs"),
    ("", "pods", "pods"),
    ("", "resourcequotas", "resource-quota"),
    ("", "secrets", "secrets"),
    ("", "serviceaccounts", "serviceaccounts"),
    ("", "services", "services"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "mutating-webhook-configurations"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations", "validating-webhook-configurations"),
    ("apiextensions.k8s.io", "customresourcedefinitions", "custom-resource-definitions"),
    ("apps", "controllerrevisions", "controllerrevisions"),
    ("apps", "daemonsets", "daemonsets"),
    ("apps", "deployments", "deployments"),
    ("apps", "replicasets", "replicasets"),
    ("apps", "statefulsets", "statefulsets"),
    ("batch", "cronjobs", "cronjobs"),
    ("batch", "jobs", "jobs"),
    ("certificates.k8s.io", "certificatesigningrequests", "certificatesigningrequests"),
    ("coordination.k8s.io", "leases", "leases"),
    ("discovery.k8s.io", "endpointslices", "endpointslices"),
    ("networking.k8s.io", "ingressclasses", "ingress-classes"),
    ("networking.k8s.io", "ingresses", "ingress"),
    ("networking.k8s.io", "networkpolicies", "network-policy"),
    ("policy", "poddisruptionbudgets", "pod-disruption-budgets"),
    ("rbac.authorization.k8s.io", "clusterrolebindings", "clusterrolebindings"),
    ("rbac.authorization.k8s.io", "clusterroles", "clusterroles"),
    ("rbac.authorization.k8s.io", "rolebindings", "rolebindings"),
    ("rbac.authorization.k8s.io", "roles", "roles"),
    ("scheduling.k8s.io", "priorityclasses", "priorityclasses"),
    ("storage.k8s.io", "storageclasses", "storage-classes"),
    ("storage.k8s.io", "volumeattachments", "volumeattachments"),
];

/// Directories that lie directly below a bundle's top directory.
const INNER: [&str; 16] = [
    "cluster-info",
    "cluster-resources",
    "config",
    "database",
    "docker",
    "health",
    "host",
    "metrics",
    "monitoring",
    "network",
    "object-store",
    "ports",
    "services",
    "tables",
    "triage",
    "usage",
];

/// Directories that lie directly below the top directory in archives of other tools.
const INNER_OF_OTHERS: [&str; 2] = ["cluster-scoped-resources", "namespaces"];

/// Whether a directory of this name is part of a bundle and not its top directory.
#[must_use]
pub fn is_inner(name: &str) -> bool {
    INNER.contains(&name) || INNER_OF_OTHERS.contains(&name)
}

/// Path of the list of one kind: `cluster-resources/pods/<ns>.json`, `cluster-resources/nodes.json`,
/// `cluster-resources/custom-resources/<plural>.<group>[/<ns>].json`.
#[must_use]
pub fn objects(group: &str, plural: &str, namespace: Option<&str>) -> String {
    let stem = NAMES.iter().find(|(g, p, _)| *g == group && *p == plural).map_or_else(
        || if group.is_empty() { plural.to_owned() } else { format!("{CUSTOM}/{plural}.{group}") },
        |(_, _, name)| (*name).to_owned(),
    );
    match namespace {
        Some(namespace) => format!("{ROOT}/{stem}/{namespace}.json"),
        None => format!("{ROOT}/{stem}.json"),
    }
}

/// What [`objects`] put at a path: API group, plural and namespace; none when the path holds no list of objects.
#[must_use]
pub fn parse_objects(path: &str) -> Option<(String, String, Option<String>)> {
    if path == GROUPS || path == RESOURCES || path.ends_with("-errors.json") {
        return None;
    }
    let rest = path.strip_prefix(ROOT)?.strip_prefix('/')?.strip_suffix(".json")?;
    if let Some(custom) = rest.strip_prefix(CUSTOM).and_then(|r| r.strip_prefix('/')) {
        let (kind, namespace) = split_namespace(custom)?;
        let (plural, group) = kind.split_once('.')?;
        return Some((group.to_owned(), plural.to_owned(), namespace));
    }
    let (stem, namespace) = split_namespace(rest)?;
    let (group, plural) =
        NAMES.iter().find(|(_, _, name)| *name == stem).map_or(("", stem), |(group, plural, _)| (*group, *plural));
    Some((group.to_owned(), plural.to_owned(), namespace))
}

/// `<stem>` or `<stem>/<namespace>`; none when the path is deeper.
fn split_namespace(path: &str) -> Option<(&str, Option<String>)> {
    match path.split_once('/') {
        None => Some((path, None)),
        Some((stem, namespace)) if !namespace.contains('/') => Some((stem, Some(namespace.to_owned()))),
        Some(_) => None,
    }
}

/// Path of a container's log.
#[must_use]
pub fn log(namespace: &str, pod: &str, container: &str, previous: bool) -> String {
    let suffix = if previous { "-previous" } else { "" };
    format!("{ROOT}/pods/logs/{namespace}/{pod}/{container}{suffix}.log")
}

/// What [`log`] put at a path: namespace, pod, container, and whether it is the log of the previous container.
///
/// A container whose name ends in `-previous` cannot be told from the previous log of another; the pod's object decides.
#[must_use]
pub fn parse_log(path: &str) -> Option<(&str, &str, &str, bool)> {
    let rest = path.strip_prefix(ROOT)?.strip_prefix("/pods/logs/")?.strip_suffix(".log")?;
    let mut parts = rest.splitn(3, '/');
    let (namespace, pod, container) = (parts.next()?, parts.next()?, parts.next()?);
    match container.strip_suffix("-previous") {
        Some(container) => Some((namespace, pod, container, true)),
        None => Some((namespace, pod, container, false)),
    }
}

/// Path of the printer columns of one kind, as `kubectl get` shows them.
#[must_use]
pub fn table(group: &str, plural: &str, namespace: Option<&str>) -> String {
    let kind = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
    format!("tables/{}/{kind}.txt", namespace.unwrap_or("_cluster"))
}

/// Path of the `PodMetricsList` of a namespace.
#[must_use]
pub fn pod_usage(namespace: &str) -> String {
    format!("usage/pods/{namespace}.json")
}

/// Path of a kubelet's `stats/summary`.
#[must_use]
pub fn node_stats(node: &str) -> String {
    format!("usage/nodes/{node}/stats-summary.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_objects_can_be_read_back() {
        for (group, plural, namespace, path) in [
            ("", "pods", Some("kms"), "cluster-resources/pods/kms.json"),
            ("", "nodes", None, "cluster-resources/nodes.json"),
            ("", "persistentvolumeclaims", Some("a"), "cluster-resources/pvcs/a.json"),
            ("batch", "jobs", Some("a"), "cluster-resources/jobs/a.json"),
            (
                "kms.example.com",
                "kmsparties",
                Some("a"),
                "cluster-resources/custom-resources/kmsparties.kms.example.com/a.json",
            ),
            (
                "apiregistration.k8s.io",
                "apiservices",
                None,
                "cluster-resources/custom-resources/apiservices.apiregistration.k8s.io.json",
            ),
            ("", "replicationcontrollers", Some("a"), "cluster-resources/replicationcontrollers/a.json"),
        ] {
            assert_eq!(objects(group, plural, namespace), path);
            let parsed = parse_objects(path).unwrap();
            assert_eq!((parsed.0.as_str(), parsed.1.as_str(), parsed.2.as_deref()), (group, plural, namespace));
        }
        assert_eq!(parse_objects("cluster-resources/pods/logs/a/b/c.json"), None);
        assert_eq!(parse_objects(GROUPS), None);
        assert_eq!(parse_objects("cluster-resources/pods-errors.json"), None);
    }

    #[test]
    fn paths_of_logs_can_be_read_back() {
        let path = log("kms", "core-0", "kms-core", true);
        assert_eq!(path, "cluster-resources/pods/logs/kms/core-0/kms-core-previous.log");
        assert_eq!(parse_log(&path), Some(("kms", "core-0", "kms-core", true)));
        assert_eq!(parse_log(&log("a", "b", "c", false)), Some(("a", "b", "c", false)));
    }
}
