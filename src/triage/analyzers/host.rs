//! The machine on which the bundle was made.

use std::collections::BTreeSet;

use crate::model::size;
use crate::triage::draft::Draft;
use crate::triage::facts::{Disk, Facts};
use crate::triage::finding::{Category, Level, Severity, Subject};
use crate::triage::text;

/// Used parts in percent that are worth a warning, and that stop programs.
const FULL: (i64, i64) = (90, 97);
/// Free bytes with which a large disk is not nearly full, whatever the percentage.
const ROOM: i64 = 50 << 30;
/// Part of the memory in percent below which the kernel soon kills.
const MEMORY_LOW: i64 = 5;
/// Restarts of a unit that are worth a warning.
const RESTARTS: i64 = 5;

/// File systems that are full by design, or hold nothing.
const NOT_DISKS: [&str; 9] =
    ["squashfs", "iso9660", "overlay", "tmpfs", "devtmpfs", "erofs", "efivarfs", "ramfs", "cramfs"];

pub(super) fn analyze(facts: &Facts, out: &mut Vec<Draft>) {
    let host = &facts.host;
    let mut seen = BTreeSet::new();
    for disk in &host.disks {
        // The same file system may be mounted in many places.
        if !NOT_DISKS.contains(&disk.kind.as_str()) && seen.insert(disk.device.as_str()) {
            out.extend(check_disk(disk));
        }
    }
    if let Some((at, total, free)) = &host.memory
        && *total > 0
        && free.saturating_mul(100) < total.saturating_mul(MEMORY_LOW)
    {
        let kib = |n: i64| size::human(u64::try_from(n).unwrap_or_default().saturating_mul(1024));
        out.push(
            Draft::new("host-memory-low", Category::Resources, Severity::Warning, Level::Two)
                .about(Subject::new("host", "", "memory"))
                .title(format!("the host has {} of {} memory left", kib(*free), kib(*total)))
                .meaning("The kernel kills a program when it cannot find memory, and not always the one that took it.")
                .seen_in([at.evidence(&format!("MemAvailable {}", kib(*free)))])
                .remedy(["Find what uses it: ps -eo rss,pid,comm --sort -rss | head"]),
        );
    }
    for (name, unit) in &host.units {
        let property = |key: &str| unit.properties.get(key).map_or("", String::as_str);
        let restarts = property("NRestarts").parse::<i64>().unwrap_or_default();
        let failed = unit.has_failed();
        if !failed && restarts <= RESTARTS {
            continue;
        }
        let state = format!(
            "ActiveState={} SubState={} Result={} NRestarts={restarts} ExecMainStatus={}",
            property("ActiveState"),
            property("SubState"),
            property("Result"),
            property("ExecMainStatus")
        );
        out.push(
            Draft::new(
                "host-unit-failed",
                Category::Startup,
                if failed { Severity::Critical } else { Severity::Warning },
                Level::Two,
            )
            .about(Subject::new("unit", "", name))
            .title(if failed {
                format!("{{who}} has failed ({}, exit status {})", property("Result"), property("ExecMainStatus"))
            } else {
                format!("{{who}} was restarted {restarts} times")
            })
            .meaning("What the unit runs does not run, or does not stay up.")
            .seen_in([unit.at.evidence(&state)])
            .because("systemd says so")
            .remedy([format!(
                "Read why, here or on the host: host/journal/{name}.log, or journalctl -u {name} -n 200"
            )]),
        );
    }
    let killed: Vec<_> = host
        .kernel_errors
        .iter()
        .filter(|(_, line)| {
            let lower = line.to_ascii_lowercase();
            lower.contains("killed process") || lower.contains("oom-kill:")
        })
        .collect();
    if let Some((_, last)) = killed.last() {
        out.push(
            Draft::new("host-oom-kill", Category::Resources, Severity::Warning, Level::Two)
                .about(Subject::new("host", "", "kernel"))
                .title(format!("the kernel killed programs for memory: {}", text::line(last, 160)))
                .meaning("Since the last start of the host, memory ran out in a control group or on the whole host.")
                .seen_in(killed.iter().rev().take(4).map(|(at, line)| at.evidence(line)))
                .times(killed.len() as u64)
                .confidence(0.8)
                .remedy(["Compare the killed program's limit with what it needs; the lines before the kill in host/kernel.log list who used what"]),
        );
    }
}

fn check_disk(disk: &Disk) -> Option<Draft> {
    let subject = Subject::new("mount", "", &disk.mount);
    if !disk.error.is_empty() {
        return disk.error.contains("no answer").then(|| {
            Draft::new("host-mount-hangs", Category::Storage, Severity::Critical, Level::Two)
                .about(subject)
                .title(format!("{{who}} gives no answer: {}", text::line(&disk.error, 140)))
                .meaning("Every program that touches this mount hangs, and cannot be killed.")
                .seen_in([disk.at.evidence(&disk.error)])
                .remedy(["Check the server behind the mount, and its network; processes in state D wait for it"])
        });
    }
    let free = u64::try_from(disk.available).unwrap_or_default();
    let (percent, what) = if disk.inodes_percent > disk.used_percent {
        (disk.inodes_percent, format!("{} % of its inodes are used", disk.inodes_percent))
    } else {
        (
            disk.used_percent,
            format!("{} left of {}", size::human(free), size::human(u64::try_from(disk.size).unwrap_or_default())),
        )
    };
    if percent < FULL.0 || disk.read_only || disk.available > ROOM && disk.inodes_percent < FULL.0 {
        return None;
    }
    let severity = if percent >= FULL.1 { Severity::Critical } else { Severity::Warning };
    Some(
        Draft::new("host-disk-full", Category::Storage, severity, Level::Two)
            .about(subject)
            .title(format!("{{who}} is {percent} % full: {what}"))
            .meaning("When it is full, writes fail: databases stop, logs end, containers are evicted.")
            .seen_in([disk.at.evidence(&format!(
                "{} {}: used {} %, inodes {} %",
                disk.mount, disk.kind, disk.used_percent, disk.inodes_percent
            ))])
            .because("the file system itself says so")
            .remedy([format!("Find what fills it: du -xh --max-depth 2 {} | sort -h | tail", disk.mount)]),
    )
}
