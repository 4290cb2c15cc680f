//! Containers of Docker or Podman.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::At;
use super::super::value::{int, list, map, string, strings, time, yes};
use crate::model::time::Timestamp;

/// Bytes that are kept of the last health check's output.
const OUTPUT_MAX: usize = 500;

/// A container.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) at: At,
    pub(crate) source: String,
    pub(crate) name: String,
    pub(crate) project: String,
    pub(crate) service: String,
    /// `running`, `exited`, `restarting`, `created`, `paused` or `dead`.
    pub(crate) status: String,
    pub(crate) exit_code: i64,
    pub(crate) oom_killed: bool,
    pub(crate) restarts: i64,
    /// `healthy`, `unhealthy`, `starting`, or empty without a check.
    pub(crate) health: String,
    pub(crate) health_output: String,
    pub(crate) error: String,
    pub(crate) finished: Option<Timestamp>,
    pub(crate) memory_limit: i64,
    /// Variables whose values the profile keeps.
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) args: Vec<String>,
    /// Where volumes are mounted.
    pub(crate) mounts: Vec<String>,
    /// Variables and flags of credentials that have a well-known value.
    pub(crate) weak: Vec<String>,
}

impl Container {
    pub(super) fn of(source: &str, at: At, object: &Value) -> Option<Self> {
        let name = string(object, "/Name");
        let name = name.trim_start_matches('/').to_owned();
        if name.is_empty() {
            return None;
        }
        let labels = map(object, "/Config/Labels");
        let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
        let output = list(object, "/State/Health/Log").last().map(|l| string(l, "/Output")).unwrap_or_default();
        let env = list(object, "/Config/Env").iter().filter(|e| e.get("value").is_some());
        Some(Self {
            at,
            source: source.to_owned(),
            project: label("com.docker.compose.project"),
            service: label("com.docker.compose.service"),
            status: string(object, "/State/Status"),
            exit_code: int(object, "/State/ExitCode").unwrap_or(0),
            oom_killed: yes(object, "/State/OOMKilled"),
            restarts: int(object, "/RestartCount").unwrap_or(0),
            health: string(object, "/State/Health/Status"),
            health_output: output.chars().take(OUTPUT_MAX).collect(),
            error: string(object, "/State/Error"),
            finished: time(object, "/State/FinishedAt"),
            memory_limit: int(object, "/HostConfig/Memory").unwrap_or(0),
            env: env.map(|e| (string(e, "/name"), string(e, "/value"))).collect(),
            args: strings(object, "/Args"),
            mounts: list(object, "/Mounts").iter().map(|m| string(m, "/Destination")).collect(),
            weak: strings(object, "/well_known_values"),
            name,
        })
    }

    /// Whether it does not run although it should, or has been started again.
    pub(crate) fn failed(&self) -> bool {
        matches!(self.status.as_str(), "exited" | "dead") && self.exit_code != 0
            || self.status == "restarting"
            || self.restarts > 0
    }
}
