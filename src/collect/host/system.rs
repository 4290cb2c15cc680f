//! What machine this is, how long it runs and how busy it is.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::command::CommandLine;
use super::gather::{self, About, Gathered};
use super::roots::HostRoots;
use super::{portable, processes};
use crate::collect::blocking;
use crate::collect::{CollectError, Done, Sink};
use crate::model::{Effect, time};

pub(super) const ITEM: About = About {
    id: "host/system",
    what: "Operating system, kernel, processors, memory, load, pressure, virtualisation and clock",
    effect: Effect::Command,
    run,
};

/// Files of `/proc` that are copied as they are.
const COPIES: [&str; 14] = [
    "buddyinfo",
    "cmdline",
    "cpuinfo",
    "diskstats",
    "loadavg",
    "mdstat",
    "meminfo",
    "pressure/cpu",
    "pressure/io",
    "pressure/memory",
    "swaps",
    "uptime",
    "version",
    "vmstat",
];

fn run<'a>(roots: &'a HostRoots, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
    async move {
        let shown = clock(roots).await;
        let roots = roots.clone();
        let (mut document, mut gathered) =
            blocking::within("system", gather::deadline(sink), move || collect(&roots)).await?;
        document.insert("clock".to_owned(), shown);
        gathered.json("host/system.json", &Value::Object(document));
        gathered.write(sink)
    }
    .boxed()
}

/// Whether the clock is kept right, as `timedatectl` says; null where it cannot say.
async fn clock(roots: &HostRoots) -> Value {
    let command = CommandLine::new(roots, Duration::from_secs(5), "timedatectl", ["show", "--no-pager"]);
    match command.capture(64 << 10).await {
        Ok((ended, output)) if ended.success() => properties(&String::from_utf8_lossy(&output)),
        Ok((ended, _)) => json!({ "unknown": ended.complaint() }),
        Err(error) => json!({ "unknown": error.to_string() }),
    }
}

/// `Key=value` lines.
fn properties(text: &str) -> Value {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Value::Object(pairs.map(|(key, value)| (key.to_owned(), json!(value))).collect())
}

fn collect(roots: &HostRoots) -> (Map<String, Value>, Gathered) {
    let mut gathered = Gathered::default();
    let mut document = portable::system();
    let mut set = |key: &str, value: Value| {
        if !value.is_null() {
            document.insert(key.to_owned(), value);
        }
    };
    if let Some(release) = roots.root_text("etc/os-release").or_else(|| roots.root_text("usr/lib/os-release")) {
        set("os_release", os_release(&release));
    }
    for (key, file) in [("kernel", "osrelease"), ("kernel_version", "version"), ("hostname", "hostname")] {
        set(key, json!(roots.proc_text(&format!("sys/kernel/{file}"))));
    }
    set("boot_time", json!(processes::boot_time(roots).map(time::rfc3339)));
    let uptime = roots.proc_text("uptime").and_then(|t| t.split_ascii_whitespace().next()?.parse::<f64>().ok());
    set("uptime_seconds", json!(uptime));
    set("load", load(&roots.proc_text("loadavg").unwrap_or_default()));
    set("memory_kib", meminfo(&roots.proc_text("meminfo").unwrap_or_default()));
    let pressure: Map<String, Value> = ["cpu", "io", "memory"]
        .iter()
        .filter_map(|what| Some(((*what).to_owned(), pressure(&roots.proc_text(&format!("pressure/{what}"))?))))
        .collect();
    set("pressure", Value::Object(pressure));
    set("virtualisation", virtualisation(roots));
    set("timezone", json!(timezone(roots)));
    for path in COPIES {
        gathered.copy(&roots.proc.join(path), &format!("host/proc/{path}"));
    }
    gathered.copy(&roots.root.join("etc/os-release"), "host/etc/os-release");
    (document, gathered)
}

fn os_release(text: &str) -> Value {
    let unquoted = |value: &str| value.trim().trim_matches(['"', '\'']).to_owned();
    let pairs = text.lines().filter(|l| !l.starts_with('#')).filter_map(|line| line.split_once('='));
    Value::Object(pairs.map(|(key, value)| (key.trim().to_lowercase(), json!(unquoted(value)))).collect())
}

/// `0.17 0.33 0.28 1/150 4242`.
fn load(text: &str) -> Value {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let average = |i: usize| words.get(i)?.parse::<f64>().ok();
    let Some(one) = average(0) else { return Value::Null };
    let tasks = words.get(3).and_then(|t| t.split_once('/'));
    json!({
        "one_minute": one,
        "five_minutes": average(1),
        "fifteen_minutes": average(2),
        "runnable": tasks.and_then(|(r, _)| r.parse::<u64>().ok()),
        "tasks": tasks.and_then(|(_, t)| t.parse::<u64>().ok()),
    })
}

/// The numbers of `/proc/meminfo`, in KiB where the kernel says so.
fn meminfo(text: &str) -> Value {
    let numbers: Map<String, Value> = text
        .lines()
        .filter_map(|line| {
            let (key, value) = line.split_once(':')?;
            Some((key.to_owned(), json!(value.split_ascii_whitespace().next()?.parse::<u64>().ok()?)))
        })
        .collect();
    if numbers.is_empty() { Value::Null } else { Value::Object(numbers) }
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, one line a kind.
fn pressure(text: &str) -> Value {
    let kinds = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let kind = words.next()?.to_owned();
        let number = |text: &str| match text.parse::<u64>() {
            Ok(number) => Some(json!(number)),
            Err(_) => text.parse::<f64>().ok().map(|number| json!(number)),
        };
        let values = words.filter_map(|w| w.split_once('=')).filter_map(|(k, v)| Some((k.to_owned(), number(v)?)));
        Some((kind, Value::Object(values.collect())))
    });
    Value::Object(kinds.collect())
}

/// Marks of hypervisors and containers. Each stands for itself, because none of them is certain.
fn virtualisation(roots: &HostRoots) -> Value {
    let cpuinfo = roots.proc_text("cpuinfo").unwrap_or_default();
    let flagged = cpuinfo
        .lines()
        .any(|line| line.starts_with("flags") && line.split_ascii_whitespace().any(|flag| flag == "hypervisor"));
    let cgroup = roots.proc_text("1/cgroup").unwrap_or_default();
    let engines = ["docker", "kubepods", "containerd", "libpod", "lxc"];
    let marks = [".dockerenv", "run/.containerenv", "run/systemd/container", "var/run/secrets/kubernetes.io"];
    json!({
        "hypervisor": flagged,
        "vendor": roots.sys_text("class/dmi/id/sys_vendor"),
        "product": roots.sys_text("class/dmi/id/product_name"),
        "xen": roots.sys_text("hypervisor/type"),
        "wsl": roots.proc_text("sys/kernel/osrelease").is_some_and(|r| r.to_lowercase().contains("microsoft")),
        "container_files": marks.iter().filter(|m| roots.root.join(m).exists()).collect::<Vec<_>>(),
        "container_groups": engines.iter().filter(|e| cgroup.contains(**e)).collect::<Vec<_>>(),
    })
}

fn timezone(roots: &HostRoots) -> Option<String> {
    let link = std::fs::read_link(roots.root.join("etc/localtime")).ok();
    let from_link = link.and_then(|l| Some(l.to_str()?.split_once("zoneinfo/")?.1.to_owned()));
    from_link.or_else(|| roots.root_text("etc/timezone"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn files_of_proc_are_understood() {
        assert_eq!(load("0.17 0.33 0.28 2/150 4242")["tasks"], 150);
        assert_eq!(load(""), Value::Null);
        assert_eq!(
            meminfo("MemTotal:  100 kB\nHugePages_Total: 3\nbroken\n"),
            json!({"MemTotal": 100, "HugePages_Total": 3})
        );
        let pressure = pressure("some avg10=1.50 avg60=0.00 total=12\nfull avg10=x\n");
        assert_eq!(pressure, json!({"some": {"avg10": 1.5, "avg60": 0.0, "total": 12}, "full": {}}));
        assert_eq!(os_release("# c\nNAME=\"Some Linux\"\nID=some\n"), json!({"name": "Some Linux", "id": "some"}));
        assert_eq!(properties("NTPSynchronized=yes\nx\n"), json!({"NTPSynchronized": "yes"}));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,300}") {
            let _ = (load(&text), meminfo(&text), pressure(&text), os_release(&text), properties(&text));
        }
    }
}
