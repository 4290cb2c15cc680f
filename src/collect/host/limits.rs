//! Limits of this process, of its control groups and of the kernel.

use futures::FutureExt;
use futures::future::BoxFuture;
use rustix::process::{Resource, getrlimit};
use serde_json::{Map, Value, json};

use super::cgroup;
use super::gather::{self, About, Gathered};
use super::roots::HostRoots;
use crate::collect::{CollectError, Done, Sink};
use crate::model::Effect;

pub(super) const ITEM: About = About {
    id: "host/limits",
    what: "Resource limits of this process, its control groups (with OOM kills) and the kernel's own limits",
    effect: Effect::Read,
    run,
};

const RESOURCES: [(&str, Resource); 9] = [
    ("open_files", Resource::Nofile),
    ("processes", Resource::Nproc),
    ("core_bytes", Resource::Core),
    ("stack_bytes", Resource::Stack),
    ("data_bytes", Resource::Data),
    ("address_space_bytes", Resource::As),
    ("locked_memory_bytes", Resource::Memlock),
    ("file_bytes", Resource::Fsize),
    ("cpu_seconds", Resource::Cpu),
];

/// Settings of the kernel that explain refused connections, failed forks, full tables and killed processes.
const SYSCTLS: [&str; 36] = [
    "fs/aio-max-nr",
    "fs/aio-nr",
    "fs/file-max",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches",
    "fs/nr_open",
    "kernel/core_pattern",
    "kernel/dmesg_restrict",
    "kernel/hung_task_timeout_secs",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/pid_max",
    "kernel/random/entropy_avail",
    "kernel/tainted",
    "kernel/threads-max",
    "kernel/yama/ptrace_scope",
    "net/core/netdev_max_backlog",
    "net/core/rmem_max",
    "net/core/somaxconn",
    "net/core/wmem_max",
    "net/ipv4/ip_forward",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/tcp_fin_timeout",
    "net/ipv4/tcp_keepalive_time",
    "net/ipv4/tcp_max_syn_backlog",
    "net/ipv4/tcp_mem",
    "net/ipv4/tcp_tw_reuse",
    "net/ipv6/conf/all/disable_ipv6",
    "vm/max_map_count",
    "vm/min_free_kbytes",
    "vm/nr_hugepages",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "vm/swappiness",
];

fn run<'a>(roots: &'a HostRoots, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
    let roots = roots.clone();
    async move { gather::run(sink, "limits", move || Ok(collect(&roots))).await }.boxed()
}

fn collect(roots: &HostRoots) -> Gathered {
    let mut gathered = Gathered::default();
    gathered.json(
        "host/limits.json",
        &json!({
            "process": process(),
            "control_groups": cgroup::limits(roots),
            "kernel": kernel(roots),
            "open_files": open_files(roots),
            "huge_pages": huge_pages(roots),
        }),
    );
    gathered.copy(&roots.proc.join("self/limits"), "host/proc/self/limits");
    gathered.copy(&roots.root.join("etc/security/limits.conf"), "host/etc/security/limits.conf");
    gathered.copy(&roots.root.join("etc/sysctl.conf"), "host/etc/sysctl.conf");
    gathered
}

/// Soft and hard limits; null is unlimited.
fn process() -> Value {
    let limits = RESOURCES.iter().map(|(name, resource)| {
        let limit = getrlimit(*resource);
        ((*name).to_owned(), json!({ "soft": limit.current, "hard": limit.maximum }))
    });
    Value::Object(limits.collect())
}

fn kernel(roots: &HostRoots) -> Map<String, Value> {
    let read = |name: &str| {
        let text = roots.proc_text(&format!("sys/{name}"))?;
        let value = text.parse::<i64>().map_or_else(|_| json!(text.replace('\t', " ")), |n| json!(n));
        Some((name.replace('/', "."), value))
    };
    SYSCTLS.iter().filter_map(|name| read(name)).collect()
}

/// `allocated  free  max`, as the kernel counts file handles of all processes.
fn open_files(roots: &HostRoots) -> Value {
    let Some(text) = roots.proc_text("sys/fs/file-nr") else { return Value::Null };
    let numbers: Vec<u64> = text.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect();
    match numbers[..] {
        [allocated, free, max] => json!({ "allocated": allocated, "free": free, "max": max }),
        _ => Value::Null,
    }
}

fn huge_pages(roots: &HostRoots) -> Value {
    let meminfo = roots.proc_text("meminfo").unwrap_or_default();
    let pages = meminfo.lines().filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.starts_with("Huge") || key == "AnonHugePages").then(|| (key.to_owned(), json!(value.trim())))
    });
    let mut all: Map<String, Value> = pages.collect();
    if let Some(mode) = roots.sys_text("kernel/mm/transparent_hugepage/enabled") {
        all.insert("transparent".to_owned(), json!(mode));
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_limits_are_those_of_the_system() {
        let limits = process();
        assert_eq!(limits["open_files"]["soft"], json!(getrlimit(Resource::Nofile).current));
        assert_eq!(limits.as_object().unwrap().len(), RESOURCES.len());
    }

    #[test]
    fn a_broken_file_count_is_null() {
        let dir = tempfile::tempdir().unwrap();
        let roots = HostRoots { proc: dir.path().to_owned(), ..HostRoots::default() };
        assert_eq!(open_files(&roots), Value::Null);
        std::fs::create_dir_all(dir.path().join("sys/fs")).unwrap();
        std::fs::write(dir.path().join("sys/fs/file-nr"), "640\t0\t9223372036854775807\n").unwrap();
        assert_eq!(open_files(&roots)["allocated"], 640);
        std::fs::write(dir.path().join("sys/fs/file-nr"), "640").unwrap();
        assert_eq!(open_files(&roots), Value::Null);
    }
}
