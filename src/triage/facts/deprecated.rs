//! Versions of APIs that Kubernetes has removed or is about to: who still uses them, by the server and by the objects.

use serde::Deserialize;
use serde_json::Value;

use super::value::{list, text};
use super::{At, Facts, Key, metrics};
use crate::triage::finding::{Place, Subject};

/// Uses that are kept; more of the same helps nobody.
const USES_MAX: usize = 500;
const LAST_APPLIED: &str = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";
/// Longest manifest that is looked into.
const MANIFEST_MAX: usize = 4 << 20;

/// How it is known that a deprecated version is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// A client asked the server for it.
    Asked,
    /// It stands in the manifest that was applied last.
    Applied,
    /// A client wrote with it, some time ago.
    Written,
}

/// One use of a deprecated version.
#[derive(Debug, Clone)]
pub(crate) struct Deprecated {
    pub(crate) at: At,
    pub(crate) subject: Subject,
    /// `policy/v1beta1 PodDisruptionBudget`.
    pub(crate) api: String,
    /// Minor version of Kubernetes that does not have it any more.
    pub(crate) removed: u32,
    /// What to use, where there is something.
    pub(crate) instead: &'static str,
    pub(crate) how: How,
    /// The client, where it gave a name.
    pub(crate) client: String,
}

/// API version, kinds (none: all of the version), the minor version that removed it, and what to use.
type Row = (&'static str, &'static [&'static str], u32, &'static str);

/// What Kubernetes has removed, from its deprecation guide.
const REMOVED: [Row; 29] = [
    ("extensions/v1beta1", &["Ingress"], 22, "networking.k8s.io/v1"),
    ("extensions/v1beta1", &["NetworkPolicy"], 16, "networking.k8s.io/v1"),
    ("extensions/v1beta1", &["PodSecurityPolicy"], 16, "Pod Security Admission"),
    ("extensions/v1beta1", &[], 16, "apps/v1"),
    ("apps/v1beta1", &[], 16, "apps/v1"),
    ("apps/v1beta2", &[], 16, "apps/v1"),
    (
        "admissionregistration.k8s.io/v1beta1",
        &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"],
        22,
        "admissionregistration.k8s.io/v1",
    ),
    (
        "admissionregistration.k8s.io/v1beta1",
        &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"],
        34,
        "admissionregistration.k8s.io/v1",
    ),
    ("apiextensions.k8s.io/v1beta1", &[], 22, "apiextensions.k8s.io/v1"),
    ("apiregistration.k8s.io/v1beta1", &[], 22, "apiregistration.k8s.io/v1"),
    ("certificates.k8s.io/v1beta1", &["CertificateSigningRequest"], 22, "certificates.k8s.io/v1"),
    ("coordination.k8s.io/v1beta1", &["Lease"], 22, "coordination.k8s.io/v1"),
    ("networking.k8s.io/v1beta1", &["Ingress", "IngressClass"], 22, "networking.k8s.io/v1"),
    ("rbac.authorization.k8s.io/v1alpha1", &[], 22, "rbac.authorization.k8s.io/v1"),
    ("rbac.authorization.k8s.io/v1beta1", &[], 22, "rbac.authorization.k8s.io/v1"),
    ("scheduling.k8s.io/v1beta1", &["PriorityClass"], 22, "scheduling.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"], 22, "storage.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", &["CSIStorageCapacity"], 27, "storage.k8s.io/v1"),
    ("batch/v1beta1", &[], 25, "batch/v1"),
    ("discovery.k8s.io/v1beta1", &[], 25, "discovery.k8s.io/v1"),
    ("events.k8s.io/v1beta1", &[], 25, "events.k8s.io/v1"),
    ("autoscaling/v2beta1", &[], 25, "autoscaling/v2"),
    ("autoscaling/v2beta2", &[], 26, "autoscaling/v2"),
    ("policy/v1beta1", &["PodSecurityPolicy"], 25, "Pod Security Admission"),
    ("policy/v1beta1", &[], 25, "policy/v1"),
    ("node.k8s.io/v1beta1", &[], 25, "node.k8s.io/v1"),
    ("flowcontrol.apiserver.k8s.io/v1beta1", &[], 26, "flowcontrol.apiserver.k8s.io/v1"),
    ("flowcontrol.apiserver.k8s.io/v1beta2", &[], 29, "flowcontrol.apiserver.k8s.io/v1"),
    ("flowcontrol.apiserver.k8s.io/v1beta3", &[], 32, "flowcontrol.apiserver.k8s.io/v1"),
];

fn removed(version: &str, kind: &str) -> Option<(u32, &'static str)> {
    let row = REMOVED.iter().find(|(v, kinds, ..)| *v == version && (kinds.is_empty() || kinds.contains(&kind)))?;
    Some((row.2, row.3))
}

/// The head of a manifest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Head {
    api_version: String,
    kind: String,
}

/// Notes the deprecated versions with which an object was made or written.
pub(super) fn note(facts: &mut Facts, kind: &str, key: &Key, at: &At, object: &Value) {
    let mut uses = Vec::new();
    let manifest = text(object, LAST_APPLIED);
    if !manifest.is_empty() && manifest.len() <= MANIFEST_MAX {
        let head: Head = serde_json::from_str(manifest).unwrap_or_default();
        let kind = if head.kind.is_empty() { kind } else { &head.kind };
        uses.extend(removed(&head.api_version, kind).map(|r| (head.api_version.clone(), r, How::Applied, "")));
    }
    for entry in list(object, "/metadata/managedFields") {
        let version = text(entry, "/apiVersion");
        if let Some(found) = removed(version, kind)
            && uses.iter().all(|(known, ..)| known != version)
        {
            uses.push((version.to_owned(), found, How::Written, text(entry, "/manager")));
        }
    }
    for (version, (removed, instead), how, client) in uses {
        if facts.deprecated.len() >= USES_MAX {
            return;
        }
        facts.deprecated.push(Deprecated {
            at: at.clone(),
            subject: Subject::new(kind, &key.0, &key.1),
            api: format!("{version} {kind}"),
            removed,
            instead,
            how,
            client: client.to_owned(),
        });
    }
}

/// Reads what the API server counts. What is deprecated without an end, such as Endpoints, is left out.
pub(super) fn asked(path: &str, bytes: &[u8]) -> Vec<Deprecated> {
    let scrape = metrics::parse(path, Key::default(), bytes);
    let uses = scrape.samples.iter().filter(|s| s.name == "apiserver_requested_deprecated_apis" && s.value > 0.0);
    let read = uses.filter_map(|sample| {
        let label = |name: &str| sample.labels.get(name).map_or("", String::as_str);
        let removed = label("removed_release").strip_prefix("1.")?.parse().ok()?;
        let (group, version, resource) = (label("group"), label("version"), label("resource"));
        let api = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        let is = |kind: &&str| resource.starts_with(kind.to_ascii_lowercase().trim_end_matches('y'));
        let row = REMOVED
            .iter()
            .find(|(v, kinds, r, _)| *v == api && *r == removed && (kinds.is_empty() || kinds.iter().any(is)));
        Some(Deprecated {
            at: At { path: scrape.path.clone(), place: Place::Line(sample.line) },
            subject: Subject::new("api", "", format!("{resource}.{version}.{group}").trim_end_matches('.')),
            api: format!("{api} {resource}"),
            removed,
            instead: row.map_or("", |r| r.3),
            how: How::Asked,
            client: String::new(),
        })
    });
    read.take(USES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn noted(kind: &str, object: &Value) -> Vec<(String, u32, How)> {
        let mut facts = Facts::default();
        let at = At { path: Arc::from("x.json"), place: Place::Line(1) };
        note(&mut facts, kind, &("n".to_owned(), "a".to_owned()), &at, object);
        facts.deprecated.into_iter().map(|d| (d.api, d.removed, d.how)).collect()
    }

    #[test]
    fn objects_tell_the_versions_that_they_were_written_with() {
        let applied = json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration":
            "{\"apiVersion\":\"policy/v1beta1\",\"kind\":\"PodDisruptionBudget\",\"metadata\":{}}"}}});
        assert_eq!(
            noted("PodDisruptionBudget", &applied),
            [("policy/v1beta1 PodDisruptionBudget".to_owned(), 25, How::Applied)]
        );
        let written = json!({"metadata": {"managedFields": [
            {"manager": "helm", "apiVersion": "autoscaling/v2beta2"},
            {"manager": "helm", "apiVersion": "autoscaling/v2beta2"},
            {"manager": "kube-controller-manager", "apiVersion": "autoscaling/v2"},
        ]}});
        assert_eq!(noted("HorizontalPodAutoscaler", &written).len(), 1);
        // The same version has kinds that came later and stay.
        let newer =
            json!({"metadata": {"managedFields": [{"manager": "a", "apiVersion": "networking.k8s.io/v1beta1"}]}});
        assert_eq!(noted("IPAddress", &newer), []);
        assert_eq!(noted("Ingress", &newer).len(), 1);
        for odd in
            [json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{"}}}), json!(1)]
        {
            assert_eq!(noted("Ingress", &odd), []);
        }
    }

    #[test]
    fn the_server_tells_what_it_was_asked_for() {
        let text = "apiserver_requested_deprecated_apis{group=\"policy\",removed_release=\"1.25\",resource=\"poddisruptionbudgets\",subresource=\"\",version=\"v1beta1\"} 1\n\
            apiserver_requested_deprecated_apis{group=\"\",removed_release=\"\",resource=\"endpoints\",subresource=\"\",version=\"v1\"} 1\n\
            apiserver_requested_deprecated_apis{group=\"a\",removed_release=\"1.99\",resource=\"b\",version=\"v1\"} 0\nbroken{\n";
        let found = asked("cluster-info/deprecated-apis.prom", text.as_bytes());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].api.as_str(), found[0].removed), ("policy/v1beta1 poddisruptionbudgets", 25));
        assert_eq!(
            (found[0].instead, found[0].subject.as_str()),
            ("policy/v1", "api//poddisruptionbudgets.v1beta1.policy")
        );
    }
}
