//! Kinds by the names that other tools give them.

use crate::bundle::layout;

/// The group of the metrics API, whose objects have files of their own in a bundle.
const METRICS: &str = "metrics.k8s.io";

/// A kind in a namespace, or in the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) group: String,
    pub(super) plural: String,
    pub(super) namespace: Option<String>,
}

/// API group, plural and name of the kinds that triage knows.
const KINDS: [(&str, &str, &str); 48] = [
    ("", "configmaps", "ConfigMap"),
    ("", "endpoints", "Endpoints"),
    ("", "events", "Event"),
    ("", "limitranges", "LimitRange"),
    ("", "namespaces", "Namespace"),
    ("", "nodes", "Node"),
    ("", "persistentvolumeclaims", "PersistentVolumeClaim"),
    ("", "persistentvolumes", "PersistentVolume"),
    ("", "pods", "Pod"),
    ("", "replicationcontrollers", "ReplicationController"),
    ("", "resourcequotas", "ResourceQuota"),
    ("", "secrets", "Secret"),
    ("", "serviceaccounts", "ServiceAccount"),
    ("", "services", "Service"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "apiservices", "APIService"),
    ("apps", "controllerrevisions", "ControllerRevision"),
    ("apps", "daemonsets", "DaemonSet"),
    ("apps", "deployments", "Deployment"),
    ("apps", "replicasets", "ReplicaSet"),
    ("apps", "statefulsets", "StatefulSet"),
    ("autoscaling", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ("batch", "cronjobs", "CronJob"),
    ("batch", "jobs", "Job"),
    ("certificates.k8s.io", "certificatesigningrequests", "CertificateSigningRequest"),
    ("coordination.k8s.io", "leases", "Lease"),
    ("discovery.k8s.io", "endpointslices", "EndpointSlice"),
    ("events.k8s.io", "events", "Event"),
    (METRICS, "nodes", "NodeMetrics"),
    (METRICS, "pods", "PodMetrics"),
    ("networking.k8s.io", "ingressclasses", "IngressClass"),
    ("networking.k8s.io", "ingresses", "Ingress"),
    ("networking.k8s.io", "networkpolicies", "NetworkPolicy"),
    ("node.k8s.io", "runtimeclasses", "RuntimeClass"),
    ("policy", "poddisruptionbudgets", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io", "clusterrolebindings", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", "clusterroles", "ClusterRole"),
    ("rbac.authorization.k8s.io", "rolebindings", "RoleBinding"),
    ("rbac.authorization.k8s.io", "roles", "Role"),
    ("scheduling.k8s.io", "priorityclasses", "PriorityClass"),
    ("storage.k8s.io", "csidrivers", "CSIDriver"),
    ("storage.k8s.io", "csinodes", "CSINode"),
    ("storage.k8s.io", "csistoragecapacities", "CSIStorageCapacity"),
    ("storage.k8s.io", "storageclasses", "StorageClass"),
    ("storage.k8s.io", "volumeattachments", "VolumeAttachment"),
    ("storage.k8s.io", "volumeattributesclasses", "VolumeAttributesClass"),
];

impl Kind {
    /// A kind by its plural. Events of the newer group are the same objects as those of the core group.
    pub(super) fn new(group: &str, plural: &str, namespace: Option<&str>) -> Self {
        let group = if (group, plural) == ("events.k8s.io", "events") { "" } else { group };
        Self { group: group.to_owned(), plural: plural.to_owned(), namespace: namespace.map(str::to_owned) }
    }

    /// A kind by its name in lower case: `networkpolicy`.
    pub(super) fn of_singular(group: &str, singular: &str, namespace: Option<&str>) -> Self {
        let known = KINDS.iter().find(|(g, _, kind)| *g == group && kind.eq_ignore_ascii_case(singular));
        match known {
            Some((_, plural, _)) => Self::new(group, plural, namespace),
            None => Self::new(group, &plural(singular), namespace),
        }
    }

    /// The path of its list in a bundle.
    pub(super) fn path(&self) -> String {
        match (self.group.as_str(), self.plural.as_str(), self.namespace.as_deref()) {
            (METRICS, "nodes", None) => layout::NODE_USAGE.to_owned(),
            (METRICS, "pods", Some(namespace)) => layout::pod_usage(namespace),
            (group, plural, namespace) => layout::objects(group, plural, namespace),
        }
    }

    /// Its name, where that is known: `NetworkPolicy`.
    pub(super) fn name(&self) -> Option<&'static str> {
        KINDS.iter().find(|(g, p, _)| *g == self.group && *p == self.plural).map(|(_, _, name)| *name)
    }
}

/// The plural of an English word, as the names of custom kinds form it.
fn plural(singular: &str) -> String {
    let consonant_y = singular.strip_suffix('y').filter(|s| !s.ends_with(['a', 'e', 'i', 'o', 'u']));
    match consonant_y {
        Some(stem) => format!("{stem}ies"),
        None if ["s", "x", "z", "ch", "sh"].iter().any(|end| singular.ends_with(end)) => format!("{singular}es"),
        None => format!("{singular}s"),
    }
}

/// Whether a text is a group of the API: one of the few without a dot, or a domain name. `core` stands for the group
/// without a name.
pub(super) fn group(text: &str) -> Option<&str> {
    match text {
        "core" => Some(""),
        "apps" | "batch" | "autoscaling" | "policy" | "extensions" => Some(text),
        _ => (text.contains('.') && is_name(text)).then_some(text),
    }
}

/// Whether a text is a name as groups, plurals and namespaces are.
pub(super) fn is_name(text: &str) -> bool {
    let fine = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'.';
    !text.is_empty() && text.len() <= 253 && text.bytes().all(fine) && !text.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singular_names_find_their_kind() {
        for (group, singular, path) in [
            ("", "pod", "cluster-resources/pods/a.json"),
            ("", "endpoints", "cluster-resources/endpoints/a.json"),
            ("networking.k8s.io", "networkpolicy", "cluster-resources/network-policy/a.json"),
            ("networking.k8s.io", "ingress", "cluster-resources/ingress/a.json"),
            ("events.k8s.io", "event", "cluster-resources/events/a.json"),
            ("metrics.k8s.io", "podmetrics", "usage/pods/a.json"),
            ("kms.example.com", "kmsparty", "cluster-resources/custom-resources/kmsparties.kms.example.com/a.json"),
            ("x.io", "gateway", "cluster-resources/custom-resources/gateways.x.io/a.json"),
            ("x.io", "mesh", "cluster-resources/custom-resources/meshes.x.io/a.json"),
        ] {
            assert_eq!(Kind::of_singular(group, singular, Some("a")).path(), path);
        }
        assert_eq!(Kind::new("apps", "deployments", None).name(), Some("Deployment"));
        assert_eq!(Kind::new("x.io", "meshes", None).name(), None);
    }

    #[test]
    fn groups_are_told_from_other_directories() {
        assert_eq!(group("core"), Some(""));
        assert_eq!(group("route.openshift.io"), Some("route.openshift.io"));
        for other in ["oc_output", "pods", "v1", "apps-v1", "..", ""] {
            assert_eq!(group(other), None, "{other}");
        }
    }
}
