//! The few fields of a pod that say what there is to read from it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A pod as the list gave it. Whatever is missing is empty.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    pub(super) metadata: Meta,
    pub(super) spec: Spec,
    pub(super) status: Status,
}

/// `metadata`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Meta {
    pub(super) name: String,
    pub(super) labels: Option<BTreeMap<String, String>>,
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) node_name: Option<String>,
    pub(super) init_containers: Option<Vec<Container>>,
    pub(super) containers: Option<Vec<Container>>,
    pub(super) ephemeral_containers: Option<Vec<Container>>,
}

/// A container of any of the three sorts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) resources: Resources,
}

/// `resources` of a container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Resources {
    pub(super) requests: Option<BTreeMap<String, serde_json::Value>>,
    pub(super) limits: Option<BTreeMap<String, serde_json::Value>>,
}

/// `status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status {
    pub(super) phase: Option<String>,
    #[serde(rename = "podIP")]
    pub(super) pod_ip: Option<String>,
    pub(super) init_container_statuses: Option<Vec<ContainerStatus>>,
    pub(super) container_statuses: Option<Vec<ContainerStatus>>,
    pub(super) ephemeral_container_statuses: Option<Vec<ContainerStatus>>,
}

/// Status of one container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ContainerStatus {
    pub(super) name: String,
    pub(super) restart_count: u32,
    pub(super) state: State,
    pub(super) last_state: State,
    #[serde(rename = "containerID")]
    pub(super) container_id: Option<String>,
}

/// One of the three states.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct State {
    pub(super) waiting: Option<Waiting>,
    pub(super) running: Option<serde::de::IgnoredAny>,
    pub(super) terminated: Option<Terminated>,
}

/// A container that waits.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Waiting {
    pub(super) reason: Option<String>,
}

/// A container that ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Terminated {
    pub(super) exit_code: i64,
}

/// One log of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) container: String,
    pub(super) previous: bool,
    /// Whether the container failed, so that its log comes first.
    pub(super) failed: bool,
}

impl Pod {
    /// All containers: those that run first, first.
    pub(super) fn containers(&self) -> impl Iterator<Item = &Container> {
        let Spec { init_containers, containers, ephemeral_containers, .. } = &self.spec;
        [init_containers, containers, ephemeral_containers].into_iter().flatten().flatten()
    }

    fn statuses(&self) -> impl Iterator<Item = &ContainerStatus> {
        let Status { init_container_statuses, container_statuses, ephemeral_container_statuses, .. } = &self.status;
        [init_container_statuses, container_statuses, ephemeral_container_statuses].into_iter().flatten().flatten()
    }

    /// Status of a container; none before the kubelet has seen the pod.
    pub(super) fn status_of(&self, container: &str) -> Option<&ContainerStatus> {
        self.statuses().find(|s| s.name == container)
    }

    /// Every log that there can be: the current one of each container, and the previous one where a container ran before.
    pub(super) fn logs(&self) -> Vec<Log> {
        let pod_failed = self.status.phase.as_deref() == Some("Failed");
        let mut logs = Vec::new();
        for container in self.containers() {
            let status = self.status_of(&container.name);
            let failed = pod_failed || status.is_some_and(ContainerStatus::failed);
            let mut add = |previous| logs.push(Log { container: container.name.clone(), previous, failed });
            if status.is_some_and(ContainerStatus::ran_before) {
                add(true);
            }
            add(false);
        }
        logs
    }

    /// Value of a label.
    pub(super) fn label(&self, key: &str) -> Option<&str> {
        self.metadata.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str)
    }

    /// Why nothing can be run in a container or asked of the pod; none when it can.
    pub(super) fn not_running(&self, container: Option<&str>) -> Option<String> {
        let phase = self.status.phase.as_deref().unwrap_or("Unknown");
        if phase != "Running" {
            return Some(format!("the pod is {phase}"));
        }
        let Some(container) = container else {
            // One container that runs may be the one that listens.
            let mut idle = self.status.container_statuses.iter().flatten().map(|s| (&s.name, s.not_running()));
            let (name, why) = idle.next()?;
            let why = why?;
            return idle.all(|(_, why)| why.is_some()).then(|| format!("no container runs; {name}: {why}"));
        };
        self.status_of(container)?.not_running()
    }
}

impl ContainerStatus {
    fn not_running(&self) -> Option<String> {
        match &self.state {
            State { running: Some(_), .. } => None,
            State { waiting: Some(waiting), .. } => {
                Some(format!("the container waits: {}", waiting.reason.as_deref().unwrap_or("no reason given")))
            }
            State { terminated: Some(ended), .. } => {
                Some(format!("the container ended with exit code {}", ended.exit_code))
            }
            _ => Some("the container has not started".to_owned()),
        }
    }

    fn failed(&self) -> bool {
        let bad_end = |state: &State| state.terminated.as_ref().is_some_and(|t| t.exit_code != 0);
        let stuck = |reason: &str| reason.contains("BackOff") || reason.contains("Err");
        self.restart_count > 0
            || bad_end(&self.state)
            || bad_end(&self.last_state)
            || self.state.waiting.as_ref().and_then(|w| w.reason.as_deref()).is_some_and(stuck)
    }

    fn ran_before(&self) -> bool {
        let has_id = self.container_id.as_deref().is_some_and(|id| !id.is_empty());
        self.last_state.terminated.is_some() || (self.restart_count > 0 && has_id)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(value: serde_json::Value) -> Pod {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn all_sorts_of_containers_have_logs() {
        let pod = pod(json!({
            "metadata": {"name": "p", "labels": null},
            "spec": {"initContainers": [{"name": "i"}], "containers": [{"name": "a"}, {"name": "b"}], "ephemeralContainers": [{"name": "e"}]},
            "status": {"phase": "Running",
                "initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 0}}, "lastState": {}}],
                "containerStatuses": [
                    {"name": "a", "restartCount": 2, "containerID": "containerd://1", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}},
                    {"name": "b", "state": {"running": {"startedAt": "x"}}}]},
        }));
        let logs: Vec<_> = pod.logs().iter().map(|l| (l.container.clone(), l.previous, l.failed)).collect();
        let want =
            [("i", false, false), ("a", true, true), ("a", false, true), ("b", false, false), ("e", false, false)];
        assert_eq!(logs, want.map(|(c, p, f)| (c.to_owned(), p, f)));
        assert_eq!(pod.not_running(Some("b")), None);
        assert_eq!(pod.not_running(None), None);
        assert_eq!(pod.not_running(Some("a")).unwrap(), "the container waits: CrashLoopBackOff");
        assert_eq!(pod.not_running(Some("i")).unwrap(), "the container ended with exit code 0");
    }

    #[test]
    fn a_pod_whose_containers_all_wait_is_not_asked() {
        let pod = pod(json!({"metadata": {"name": "p"}, "status": {"phase": "Running",
            "containerStatuses": [{"name": "a", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}}));
        assert_eq!(pod.not_running(None).unwrap(), "no container runs; a: the container waits: CrashLoopBackOff");
    }

    #[test]
    fn a_pod_without_a_node_has_one_log_a_container() {
        let pod = pod(
            json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}, "status": {"phase": "Pending"}}),
        );
        assert_eq!(pod.logs(), [Log { container: "a".to_owned(), previous: false, failed: false }]);
        assert_eq!(pod.not_running(None).unwrap(), "the pod is Pending");
    }
}
