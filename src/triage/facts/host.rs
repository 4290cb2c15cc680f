//! Facts about the machine on which a bundle was made: file systems, memory, systemd units, kernel errors.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::value::{int, list, string, text, yes};
use super::{At, Facts, LogKey};
use crate::triage::finding::Place;

/// Lines of the kernel's errors that are kept.
const ERRORS_MAX: usize = 200;
/// Where the journals of units are.
pub(crate) const JOURNAL: &str = "host/journal/";

/// The host's part of the facts.
#[derive(Debug, Default)]
pub(crate) struct Host {
    pub(crate) disks: Vec<Disk>,
    /// Total and available memory in KiB.
    pub(crate) memory: Option<(At, i64, i64)>,
    pub(crate) units: BTreeMap<String, Unit>,
    /// The newest lines about hardware, disks and out-of-memory kills.
    pub(crate) kernel_errors: Vec<(At, String)>,
}

impl Host {
    /// Whether the host was looked at.
    pub(crate) fn was_seen(&self) -> bool {
        !self.disks.is_empty() || self.memory.is_some()
    }
}

/// A mounted file system.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) at: At,
    pub(crate) mount: String,
    pub(crate) kind: String,
    pub(crate) device: String,
    pub(crate) size: i64,
    pub(crate) available: i64,
    pub(crate) used_percent: i64,
    pub(crate) inodes_percent: i64,
    pub(crate) read_only: bool,
    pub(crate) error: String,
}

/// A systemd unit: what `systemctl show` printed.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) at: At,
    pub(crate) properties: BTreeMap<String, String>,
}

impl Unit {
    /// Whether systemd says that it has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.properties.get("ActiveState").is_some_and(|state| state == "failed")
    }
}

/// Reads one file of the host, where it is one that rules use. `bytes` is its content.
pub(super) fn add(facts: &mut Facts, path: &str, bytes: &[u8]) -> Result<(), serde_json::Error> {
    let shared: Arc<str> = Arc::from(path);
    let at = |place| At { path: Arc::clone(&shared), place };
    let host = &mut facts.host;
    match path {
        "host/disks.json" => {
            let document: Value = serde_json::from_slice(bytes)?;
            for (i, mount) in list(&document, "/mounts").iter().enumerate() {
                let number = |p: &str| int(mount, p).unwrap_or_default();
                host.disks.push(Disk {
                    at: at(Place::Pointer(format!("/mounts/{i}"))),
                    mount: string(mount, "/mount_point"),
                    kind: string(mount, "/type"),
                    device: format!("{} {}", text(mount, "/device"), text(mount, "/source")),
                    size: number("/size_bytes"),
                    available: number("/available_bytes"),
                    used_percent: number("/used_percent"),
                    inodes_percent: number("/inodes_used_percent"),
                    read_only: yes(mount, "/read_only"),
                    error: string(mount, "/error"),
                });
            }
        }
        "host/system.json" => {
            let document: Value = serde_json::from_slice(bytes)?;
            let memory = int(&document, "/memory_kib/MemTotal").zip(int(&document, "/memory_kib/MemAvailable"));
            host.memory = memory.map(|(total, free)| (at(Place::Pointer("/memory_kib".to_owned())), total, free));
        }
        "host/kernel-errors.log" => {
            let content = String::from_utf8_lossy(bytes);
            let lines: Vec<(u64, &str)> = (1..).zip(content.lines()).collect();
            let newest = lines.len().saturating_sub(ERRORS_MAX);
            host.kernel_errors = lines[newest..]
                .iter()
                .map(|(n, line)| (at(Place::Line(*n)), line.chars().take(1000).collect()))
                .collect();
        }
        _ => {
            let name = path.strip_prefix("host/units/").and_then(|rest| rest.strip_suffix(".txt"));
            if let Some(name) = name {
                let content = String::from_utf8_lossy(bytes);
                let properties = content
                    .lines()
                    .filter_map(|l| l.split_once('='))
                    .map(|(k, v)| (k.to_owned(), v.to_owned()))
                    .collect();
                host.units.insert(name.to_owned(), Unit { at: at(Place::Line(1)), properties });
            }
        }
    }
    Ok(())
}

/// `host/journal/<unit>.log`: the journal of a unit. The empty namespace says that it is no pod.
pub(super) fn parse_journal(path: &str) -> Option<LogKey> {
    let unit = path.strip_prefix(JOURNAL)?.strip_suffix(".log")?;
    let plain = !unit.is_empty() && !unit.contains('/');
    plain.then(|| LogKey {
        namespace: String::new(),
        pod: unit.to_owned(),
        container: unit.to_owned(),
        previous: false,
    })
}
