//! The kinds that the server has columns for, beside pods.

use super::cells::{
    claim, count, cron_job, endpoints, event, ingress, job, name, node, pairs, replicas, selector, service, size,
    template, volume,
};
use super::{Cells, Column, age, number, pod, text, text_or};

/// Names of columns that `-o wide` adds begin with this.
const WIDE: char = '+';

/// Columns of one kind: API group, plural, column names, cells.
type Entry = (&'static str, &'static str, &'static [&'static str], Cells);

/// Each kind's columns beside the name, which is first unless a `Name` is listed.
const KINDS: [Entry; 23] = [
    (
        "",
        "pods",
        &["Name", "Ready", "Status", "Restarts", "Age", "+IP", "+Node", "+Nominated Node", "+Readiness Gates"],
        pod::cells,
    ),
    (
        "",
        "events",
        &[
            "Last Seen",
            "Type",
            "Reason",
            "Object",
            "+Subobject",
            "+Source",
            "Message",
            "+First Seen",
            "+Count",
            "+Name",
        ],
        event,
    ),
    (
        "",
        "nodes",
        &[
            "Name",
            "Status",
            "Roles",
            "Age",
            "Version",
            "+Internal-IP",
            "+External-IP",
            "+OS-Image",
            "+Kernel-Version",
            "+Container-Runtime",
        ],
        node,
    ),
    ("", "services", &["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "+Selector"], service),
    ("", "endpoints", &["Name", "Endpoints", "Age"], endpoints),
    ("", "configmaps", &["Name", "Data", "Age"], |o, now| {
        let count = size(&o["data"]) + size(&o["binaryData"]);
        vec![name(o), count.into(), age(o, now).into()]
    }),
    ("", "secrets", &["Name", "Type", "Data", "Age"], |o, now| {
        vec![name(o), text(&o["type"]), size(&o["data"]).into(), age(o, now).into()]
    }),
    ("", "serviceaccounts", &["Name", "Secrets", "Age"], |o, now| {
        vec![name(o), size(&o["secrets"]).into(), age(o, now).into()]
    }),
    ("", "namespaces", &["Name", "Status", "Age"], |o, now| {
        vec![name(o), text(&o["status"]["phase"]), age(o, now).into()]
    }),
    (
        "",
        "persistentvolumeclaims",
        &[
            "Name",
            "Status",
            "Volume",
            "Capacity",
            "Access Modes",
            "StorageClass",
            "VolumeAttributesClass",
            "Age",
            "+VolumeMode",
        ],
        claim,
    ),
    (
        "",
        "persistentvolumes",
        &[
            "Name",
            "Capacity",
            "Access Modes",
            "Reclaim Policy",
            "Status",
            "Claim",
            "StorageClass",
            "VolumeAttributesClass",
            "Reason",
            "Age",
            "+VolumeMode",
        ],
        volume,
    ),
    ("", "replicationcontrollers", &["Name", "Desired", "Current", "Ready", "Age"], |o, now| {
        let status = &o["status"];
        vec![
            name(o),
            replicas(o).into(),
            count(&status["replicas"]),
            count(&status["readyReplicas"]),
            age(o, now).into(),
        ]
    }),
    (
        "apps",
        "deployments",
        &["Name", "Ready", "Up-to-date", "Available", "Age", "+Containers", "+Images", "+Selector"],
        |o, now| {
            let status = &o["status"];
            let ready = format!("{}/{}", number(&status["readyReplicas"]), replicas(o));
            let (containers, images) = template(o);
            vec![
                name(o),
                ready.into(),
                count(&status["updatedReplicas"]),
                count(&status["availableReplicas"]),
                age(o, now).into(),
                containers,
                images,
                selector(&o["spec"]["selector"]).into(),
            ]
        },
    ),
    ("apps", "statefulsets", &["Name", "Ready", "Age", "+Containers", "+Images"], |o, now| {
        let ready = format!("{}/{}", number(&o["status"]["readyReplicas"]), replicas(o));
        let (containers, images) = template(o);
        vec![name(o), ready.into(), age(o, now).into(), containers, images]
    }),
    (
        "apps",
        "replicasets",
        &["Name", "Desired", "Current", "Ready", "Age", "+Containers", "+Images", "+Selector"],
        |o, now| {
            let status = &o["status"];
            let (containers, images) = template(o);
            vec![
                name(o),
                replicas(o).into(),
                count(&status["replicas"]),
                count(&status["readyReplicas"]),
                age(o, now).into(),
                containers,
                images,
                selector(&o["spec"]["selector"]).into(),
            ]
        },
    ),
    (
        "apps",
        "daemonsets",
        &[
            "Name",
            "Desired",
            "Current",
            "Ready",
            "Up-to-date",
            "Available",
            "Node Selector",
            "Age",
            "+Containers",
            "+Images",
            "+Selector",
        ],
        |o, now| {
            let status = &o["status"];
            let (containers, images) = template(o);
            vec![
                name(o),
                count(&status["desiredNumberScheduled"]),
                count(&status["currentNumberScheduled"]),
                count(&status["numberReady"]),
                count(&status["updatedNumberScheduled"]),
                count(&status["numberAvailable"]),
                pairs(&o["spec"]["template"]["spec"]["nodeSelector"]).into(),
                age(o, now).into(),
                containers,
                images,
                selector(&o["spec"]["selector"]).into(),
            ]
        },
    ),
    ("apps", "controllerrevisions", &["Name", "Controller", "Revision", "Age"], |o, now| {
        let owner = o["metadata"]["ownerReferences"].as_array().into_iter().flatten().find(|r| r["controller"] == true);
        let controller = owner.map_or_else(
            || "<none>".to_owned(),
            |r| {
                let kind = r["kind"].as_str().unwrap_or("").to_lowercase();
                let group = r["apiVersion"].as_str().and_then(|v| v.split_once('/')).map_or("", |(g, _)| g);
                let dot = if group.is_empty() { "" } else { "." };
                format!("{kind}{dot}{group}/{}", r["name"].as_str().unwrap_or(""))
            },
        );
        vec![name(o), controller.into(), count(&o["revision"]), age(o, now).into()]
    }),
    (
        "batch",
        "jobs",
        &["Name", "Status", "Completions", "Duration", "Age", "+Containers", "+Images", "+Selector"],
        job,
    ),
    (
        "batch",
        "cronjobs",
        &[
            "Name",
            "Schedule",
            "Timezone",
            "Suspend",
            "Active",
            "Last Schedule",
            "Age",
            "+Containers",
            "+Images",
            "+Selector",
        ],
        cron_job,
    ),
    ("networking.k8s.io", "networkpolicies", &["Name", "Pod-Selector", "Age"], |o, now| {
        vec![name(o), selector(&o["spec"]["podSelector"]).into(), age(o, now).into()]
    }),
    ("networking.k8s.io", "ingresses", &["Name", "Class", "Hosts", "Address", "Ports", "Age"], ingress),
    (
        "storage.k8s.io",
        "storageclasses",
        &["Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"],
        |o, now| {
            let annotation = &o["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"];
            let default = if annotation == "true" { " (default)" } else { "" };
            vec![
                format!("{}{default}", o["metadata"]["name"].as_str().unwrap_or("")).into(),
                text(&o["provisioner"]),
                text_or(&o["reclaimPolicy"], "Delete"),
                text_or(&o["volumeBindingMode"], "Immediate"),
                o["allowVolumeExpansion"].as_bool().unwrap_or(false).into(),
                age(o, now).into(),
            ]
        },
    ),
    ("apiextensions.k8s.io", "customresourcedefinitions", &["Name", "Created At"], |o, _| {
        vec![name(o), text(&o["metadata"]["creationTimestamp"])]
    }),
];

/// The columns of a kind, if it has any of its own.
pub(super) fn find(group: &str, plural: &str) -> Option<(Vec<Column>, Cells)> {
    let (.., columns, cells) = KINDS.iter().find(|(g, p, ..)| *g == group && *p == plural)?;
    let column = |text: &&str| {
        let (label, priority) = text.strip_prefix(WIDE).map_or((*text, 0), |wide| (wide, 1));
        let format = if label == "Name" { "name" } else { "" };
        Column { format: format.to_owned(), ..Column::text(label, priority) }
    };
    Some((columns.iter().map(column).collect(), *cells))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::serve::clock;

    /// Fields that the cells look at, so that made-up objects reach into them.
    const NAMES: [&str; 40] = [
        "metadata",
        "status",
        "spec",
        "name",
        "containers",
        "initContainers",
        "containerStatuses",
        "state",
        "ports",
        "initContainerStatuses",
        "terminated",
        "waiting",
        "lastState",
        "finishedAt",
        "restartCount",
        "conditions",
        "type",
        "reason",
        "creationTimestamp",
        "involvedObject",
        "series",
        "count",
        "source",
        "addresses",
        "port",
        "nodeInfo",
        "subsets",
        "accessModes",
        "claimRef",
        "selector",
        "matchLabels",
        "matchExpressions",
        "template",
        "jobTemplate",
        "startTime",
        "completionTime",
        "readinessGates",
        "labels",
        "ownerReferences",
        "exitCode",
    ];

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-zA-Z/,=]{0,6}".prop_map(Value::from),
            Just(Value::from("2026-11-21T06:00:00Z")),
            Just(Value::from("0001-01-01T00:00:00Z")),
        ];
        leaf.prop_recursive(6, 120, 6, |inner| {
            let fields = prop::collection::vec((prop::sample::select(&NAMES[..]), inner.clone()), 0..6);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Value::from),
                fields.prop_map(|f| f.into_iter().map(|(n, v)| (n.to_owned(), v)).collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_kind_fills_every_column_of_any_object(object in json()) {
            let now = clock::parse("2026-11-21T06:32:42Z").unwrap();
            for (group, plural, ..) in KINDS {
                let (columns, cells) = find(group, plural).unwrap();
                prop_assert_eq!(columns.len(), cells(&object, now).len(), "{}", plural);
            }
        }
    }
}
