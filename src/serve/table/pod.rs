//! The columns of a pod: the one state that its containers come to.

use serde_json::Value;

use super::{age, clock, human, number, text_or};
use crate::model::time::Timestamp;

/// Cells of a pod.
pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let state = State::of(pod);
    let restarts = match state.restarted.filter(|_| state.restarts > 0) {
        Some(at) => format!("{} ({} ago)", state.restarts, human(now - at)),
        None => state.restarts.to_string(),
    };
    let gates = pod["spec"]["readinessGates"].as_array();
    let gates = gates.filter(|g| !g.is_empty()).map_or_else(
        || "<none>".to_owned(),
        |gates| {
            let open = gates.iter().filter(|g| condition(pod, g["conditionType"].as_str().unwrap_or("")) == "True");
            format!("{}/{}", open.count(), gates.len())
        },
    );
    let ip = &pod["status"]["podIPs"][0]["ip"];
    let ip = if ip.is_string() { ip } else { &pod["status"]["podIP"] };
    vec![
        pod["metadata"]["name"].as_str().unwrap_or("").into(),
        format!("{}/{}", state.ready, state.total).into(),
        state.reason.into(),
        restarts.into(),
        age(pod, now).into(),
        text_or(ip, "<none>"),
        text_or(&pod["spec"]["nodeName"], "<none>"),
        text_or(&pod["status"]["nominatedNodeName"], "<none>"),
        gates.into(),
    ]
}

/// Status of a condition of a pod, empty when it has none.
fn condition<'a>(pod: &'a Value, kind: &str) -> &'a str {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|c| c["type"] == kind).and_then(|c| c["status"].as_str()).unwrap_or("")
}

struct State {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    restarted: Option<Timestamp>,
}

/// A reason, none when it is empty.
fn reason(state: &Value) -> Option<&str> {
    state["reason"].as_str().filter(|r| !r.is_empty())
}

/// What a terminated container without a reason is called.
fn exit(terminated: &Value) -> String {
    match number(&terminated["signal"]) {
        0 => format!("ExitCode:{}", number(&terminated["exitCode"])),
        signal => format!("Signal:{signal}"),
    }
}

impl State {
    fn of(pod: &Value) -> Self {
        let status = &pod["status"];
        let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
        let (containers, init) = (list(&pod["spec"]["containers"]), list(&pod["spec"]["initContainers"]));
        // An init container that restarts forever runs beside the others: a sidecar.
        let sidecar = |name: &Value| init.iter().any(|c| c["name"] == *name && c["restartPolicy"] == "Always");
        let phase = status["phase"].as_str().unwrap_or("");
        let mut state = Self {
            reason: reason(status).unwrap_or(phase).to_owned(),
            ready: 0,
            total: containers.len() + init.iter().filter(|c| sidecar(&c["name"])).count(),
            restarts: 0,
            restarted: None,
        };
        let gated =
            list(&status["conditions"]).iter().any(|c| c["type"] == "PodScheduled" && c["reason"] == "SchedulingGated");
        if gated {
            state.reason = "SchedulingGated".to_owned();
        }
        let (initializing, sidecars) = state.initialize(&list(&status["initContainerStatuses"]), &sidecar, init.len());
        if !initializing || condition(pod, "Initialized") == "True" {
            (state.restarts, state.restarted) = sidecars;
            state.run(&list(&status["containerStatuses"]), condition(pod, "Ready") == "True");
        }
        if pod["metadata"]["deletionTimestamp"].is_string() {
            if status["reason"] == "NodeLost" {
                state.reason = "Unknown".to_owned();
            } else if !matches!(phase, "Succeeded" | "Failed") {
                state.reason = "Terminating".to_owned();
            }
        }
        state
    }

    fn count_restarts(&mut self, container: &Value) {
        self.restarts = self.restarts.saturating_add(number(&container["restartCount"]));
        self.restarted = self.restarted.max(finished(container));
    }

    /// Looks at the init containers: whether the pod is still there, and the restarts of sidecars.
    fn initialize(
        &mut self,
        statuses: &[Value],
        sidecar: &impl Fn(&Value) -> bool,
        total: usize,
    ) -> (bool, (i64, Option<Timestamp>)) {
        let mut sidecars = (0_i64, None);
        for (at, container) in statuses.iter().enumerate() {
            self.count_restarts(container);
            let is_sidecar = sidecar(&container["name"]);
            if is_sidecar {
                sidecars = (
                    sidecars.0.saturating_add(number(&container["restartCount"])),
                    sidecars.1.max(finished(container)),
                );
            }
            let (terminated, waiting) = (&container["state"]["terminated"], &container["state"]["waiting"]);
            if terminated.is_object() && number(&terminated["exitCode"]) == 0 {
                continue;
            }
            if is_sidecar && container["started"] == true {
                self.ready += usize::from(container["ready"] == true);
                continue;
            }
            self.reason = if terminated.is_object() {
                format!("Init:{}", reason(terminated).map_or_else(|| exit(terminated), str::to_owned))
            } else {
                match reason(waiting).filter(|r| *r != "PodInitializing") {
                    Some(reason) => format!("Init:{reason}"),
                    None => format!("Init:{at}/{total}"),
                }
            };
            return (true, sidecars);
        }
        (false, sidecars)
    }

    /// Looks at the containers; the first one that is not well names the state.
    fn run(&mut self, statuses: &[Value], pod_ready: bool) {
        let mut running = false;
        for container in statuses.iter().rev() {
            self.count_restarts(container);
            let (terminated, waiting) = (&container["state"]["terminated"], &container["state"]["waiting"]);
            if let Some(reason) = reason(waiting) {
                reason.clone_into(&mut self.reason);
            } else if terminated.is_object() {
                self.reason = reason(terminated).map_or_else(|| exit(terminated), str::to_owned);
            } else if container["ready"] == true && container["state"]["running"].is_object() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            self.reason = if pod_ready { "Running" } else { "NotReady" }.to_owned();
        }
    }
}

/// When the run before the current one ended.
fn finished(container: &Value) -> Option<Timestamp> {
    container["lastState"]["terminated"]["finishedAt"].as_str().and_then(clock::parse)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(status: &Value, deleted: bool) -> (String, String) {
        let mut pod = json!({
            "metadata": {"name": "p", "creationTimestamp": "2026-11-21T06:00:00Z"},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [
                {"name": "i"}, {"name": "s", "restartPolicy": "Always"}
            ]},
            "status": status,
        });
        if deleted {
            pod["metadata"]["deletionTimestamp"] = "2026-11-21T06:00:10Z".into();
        }
        let cells = cells(&pod, clock::parse("2026-11-21T06:01:00Z").unwrap());
        assert_eq!(cells.len(), 9);
        (
            cells[1].as_str().unwrap().to_owned(),
            format!("{} {}", cells[2].as_str().unwrap(), cells[3].as_str().unwrap()),
        )
    }

    #[test]
    fn states_are_those_that_kubectl_shows() {
        let run = json!({"running": {}});
        let done = json!({"name": "i", "state": {"terminated": {"exitCode": 0}}});
        let side = json!({"name": "s", "started": true, "ready": true, "state": run});
        let a = json!({"name": "a", "ready": true, "state": run});
        let crash = json!({"name": "b", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"finishedAt": "2026-11-21T06:00:44Z"}}});
        let status =
            json!({"phase": "Running", "initContainerStatuses": [done, side], "containerStatuses": [a, crash]});
        assert_eq!(shown(&status, false), ("2/3".into(), "CrashLoopBackOff 3 (16s ago)".into()));
        assert_eq!(shown(&status, true).1, "Terminating 3 (16s ago)");
        let status = json!({"phase": "Pending", "initContainerStatuses": [
            {"name": "i", "restartCount": 1, "state": {"terminated": {"exitCode": 3}}}
        ]});
        assert_eq!(shown(&status, false), ("0/3".into(), "Init:ExitCode:3 1".into()));
        let status = json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": run}]});
        assert_eq!(shown(&status, false).1, "Init:0/2 0");
        let status = json!({"phase": "Failed", "reason": "Evicted"});
        assert_eq!(shown(&status, false).1, "Evicted 0");
        let killed = json!({"name": "a", "state": {"terminated": {"exitCode": 137, "signal": 9}}});
        assert_eq!(shown(&json!({"phase": "Failed", "containerStatuses": [killed]}), false).1, "Signal:9 0");
        assert_eq!(shown(&json!({}), false), ("0/3".into(), " 0".into()));
    }
}
