//! Which of the listable kinds are collected.

use super::discovery::{Discovery, Kind};

/// Kinds that are left out: API group, plural (`*` stands for all), and why.
const LEFT_OUT: [(&str, &str, &str); 9] = [
    ("", "componentstatuses", "deprecated, and wrong on every cluster whose control plane runs elsewhere"),
    ("metrics.k8s.io", "*", "the usage items read it"),
    ("custom.metrics.k8s.io", "*", "values, not objects"),
    ("external.metrics.k8s.io", "*", "values, not objects"),
    ("oauth.openshift.io", "*", "access tokens"),
    ("user.openshift.io", "*", "people, not state"),
    ("image.openshift.io", "images", "megabytes of layers that no finding needs"),
    ("image.openshift.io", "imagetags", "the same as image streams"),
    ("packages.operators.coreos.com", "*", "the whole catalogue of operators, in each namespace"),
];

/// The kinds to collect, in the order of discovery. Events come from one group only.
pub(super) fn chosen(discovery: &Discovery) -> Vec<Kind> {
    let core_events = discovery.has("", "events");
    discovery
        .listable()
        .into_iter()
        .filter(|kind| !left_out(kind))
        .filter(|kind| !(core_events && kind.group == "events.k8s.io" && kind.plural == "events"))
        .collect()
}

fn left_out(kind: &Kind) -> bool {
    LEFT_OUT.iter().any(|(group, plural, _)| *group == kind.group && (*plural == "*" || *plural == kind.plural))
}

/// Whether a kind is one of the two event kinds.
pub(super) fn is_events(kind: &Kind) -> bool {
    kind.plural == "events" && matches!(kind.group.as_str(), "" | "events.k8s.io")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::discovery::{Group, Version};
    use super::*;

    fn group(name: &str, plurals: &[&str]) -> Group {
        let resources = plurals.iter().map(|p| json!({"name": p, "kind": "K", "namespaced": true, "verbs": ["list"]}));
        Group {
            name: name.to_owned(),
            versions: vec![Version { name: "v1".to_owned(), resources: resources.collect() }],
        }
    }

    fn names(groups: Vec<Group>) -> Vec<String> {
        chosen(&Discovery { groups, silent: Vec::new() }).iter().map(Kind::full_name).collect()
    }

    #[test]
    fn events_come_from_one_group() {
        let core = group("", &["pods", "events", "componentstatuses"]);
        let new = group("events.k8s.io", &["events"]);
        assert_eq!(names(vec![core, new.clone()]), ["pods", "events"]);
        assert_eq!(names(vec![group("", &["pods"]), new]), ["pods", "events.events.k8s.io"]);
    }

    #[test]
    fn usage_and_tokens_are_left_out() {
        let groups = vec![
            group("metrics.k8s.io", &["pods"]),
            group("oauth.openshift.io", &["x"]),
            group("kms.example.com", &["y"]),
        ];
        assert_eq!(names(groups), ["y.kms.example.com"]);
    }
}
