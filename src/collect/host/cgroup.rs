//! Limits that control groups put on this process, version 1 and 2.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::roots::{self, HostRoots};

/// Files of version 2, in every group from our own up to the root, because each of them limits.
const V2: [&str; 14] = [
    "memory.max",
    "memory.high",
    "memory.current",
    "memory.peak",
    "memory.swap.max",
    "memory.swap.current",
    "memory.events",
    "cpu.max",
    "cpu.weight",
    "cpu.stat",
    "pids.max",
    "pids.current",
    "memory.pressure",
    "cpu.pressure",
];

/// Files of version 1, by controller.
const V1: [(&str, &[&str]); 3] = [
    (
        "memory",
        &[
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "memory.max_usage_in_bytes",
            "memory.failcnt",
            "memory.oom_control",
        ],
    ),
    ("cpu", &["cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares", "cpu.stat"]),
    ("pids", &["pids.max", "pids.current"]),
];

/// Levels above our own group that are read.
const DEPTH_MAX: usize = 16;

/// Reads the limits, one entry for each group and hierarchy.
pub(super) fn limits(roots: &HostRoots) -> Vec<Value> {
    let Some(text) = roots.proc_text("self/cgroup") else { return Vec::new() };
    let mut groups = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        if controllers.is_empty() {
            for base in ["fs/cgroup", "fs/cgroup/unified"] {
                groups.extend(level(&roots.sys.join(base), path, 2, &V2));
            }
            continue;
        }
        for (controller, files) in V1 {
            if controllers.split(',').any(|c| c == controller) {
                groups.extend(level(&roots.sys.join("fs/cgroup").join(controller), path, 1, files));
            }
        }
    }
    groups
}

/// The group and those above it. Inside a container the path is that of the host, which does not exist there; what the
/// container is allowed then stands at the top.
fn level(base: &Path, path: &str, version: u32, files: &[&str]) -> Vec<Value> {
    let mut parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty() && *p != "." && *p != "..").collect();
    let mut groups = Vec::new();
    for _ in 0..DEPTH_MAX {
        let dir: PathBuf = base.iter().chain(parts.iter().map(std::ffi::OsStr::new)).collect();
        let values: Map<String, Value> =
            files.iter().filter_map(|file| Some(((*file).to_owned(), value(&roots::text(&dir.join(file))?)))).collect();
        if !values.is_empty() {
            groups.push(json!({ "version": version, "group": format!("/{}", parts.join("/")), "values": values }));
        }
        if parts.pop().is_none() {
            break;
        }
    }
    groups
}

/// A number as a number, `key number` lines as an object, and the rest as text.
fn value(text: &str) -> Value {
    if let Ok(number) = text.parse::<u64>() {
        return json!(number);
    }
    let pairs: Option<Map<String, Value>> = text
        .lines()
        .map(|line| {
            let (key, number) = line.split_once(' ')?;
            Some((key.to_owned(), json!(number.parse::<u64>().ok()?)))
        })
        .collect();
    match pairs {
        Some(pairs)
            if !pairs.is_empty() && !text.starts_with("max ") && !text.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            Value::Object(pairs)
        }
        _ => json!(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn both_versions_are_read_up_to_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        write(&at("proc/self/cgroup"), "4:cpu,memory:/old\n0::/a/../b\n");
        write(&at("sys/fs/cgroup/a/b/memory.max"), "1048576\n");
        write(&at("sys/fs/cgroup/a/b/memory.events"), "low 0\noom_kill 3\n");
        write(&at("sys/fs/cgroup/a/cpu.max"), "200000 100000\n");
        write(&at("sys/fs/cgroup/memory/old/memory.limit_in_bytes"), "9223372036854771712\n");
        let roots = HostRoots { proc: at("proc"), sys: at("sys"), ..HostRoots::default() };
        let groups = limits(&roots);
        assert_eq!(groups.len(), 3, "{groups:?}");
        assert_eq!(groups[0]["values"]["memory.limit_in_bytes"], 9_223_372_036_854_771_712_u64);
        assert_eq!(groups[1]["group"], "/a/b");
        assert_eq!(groups[1]["values"]["memory.events"]["oom_kill"], 3);
        assert_eq!(groups[2]["values"]["cpu.max"], "200000 100000");
    }

    #[test]
    fn values_keep_what_they_are() {
        assert_eq!(value("max"), json!("max"));
        assert_eq!(value("max 100000"), json!("max 100000"));
        assert_eq!(value("0"), json!(0));
        assert_eq!(value(""), json!(""));
    }
}
