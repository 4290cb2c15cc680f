//! Which process holds which socket, and which network namespaces there are.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::process_stat;
use super::roots::HostRoots;

/// Holders of one socket that are listed; a server that forks can have hundreds.
const HOLDERS_MAX: usize = 16;
/// Network namespaces that are read: one for each container.
const NAMESPACES_MAX: usize = 512;

/// A process that holds a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) pid: u32,
    pub(super) name: String,
    pub(super) user: Option<String>,
    pub(super) unit: Option<String>,
}

/// The result of looking through `/proc/*/fd`.
#[derive(Debug, Default)]
pub(super) struct Owners {
    /// By inode of the socket, sorted by pid.
    pub(super) of: HashMap<u64, Vec<Owner>>,
    /// Processes whose descriptors may not be read.
    pub(super) unreadable: usize,
}

/// Where the sockets of a host are.
#[derive(Debug)]
pub(super) struct Namespaces {
    /// Inode of each network namespace and one process in it; the first is our own.
    pub(super) all: Vec<(u64, String)>,
    /// Processes whose namespace may not be read.
    pub(super) unreadable: usize,
}

/// Finds the network namespaces: the host's, and one for most containers.
pub(super) fn namespaces(roots: &HostRoots) -> Namespaces {
    let of =
        |process: &str| std::fs::read_link(roots.proc.join(process).join("ns/net")).map(|link| inode(&link, "net:["));
    let own = of("self").ok().flatten();
    let mut others: BTreeMap<u64, String> = BTreeMap::new();
    let mut unreadable = 0;
    for pid in roots.pids().unwrap_or_default() {
        let pid = pid.to_string();
        match of(&pid) {
            Ok(Some(namespace)) if Some(namespace) != own && others.len() < NAMESPACES_MAX => {
                others.entry(namespace).or_insert(pid);
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => unreadable += 1,
            _ => {}
        }
    }
    let mut all = vec![(own.unwrap_or_default(), "self".to_owned())];
    all.extend(others);
    Namespaces { all, unreadable }
}

/// Finds the holders of the sockets with these inodes. A process that ends meanwhile holds nothing any more.
pub(super) fn find(roots: &HostRoots, wanted: &HashSet<u64>) -> Owners {
    let mut owners = Owners::default();
    let users = roots.users();
    for pid in roots.pids().unwrap_or_default() {
        let held = match sockets_of(roots, pid, wanted) {
            Ok(held) => held,
            Err(error) => {
                owners.unreadable += usize::from(error.kind() == std::io::ErrorKind::PermissionDenied);
                continue;
            }
        };
        if held.is_empty() {
            continue;
        }
        let file = |name: &str| roots.proc_text(&format!("{pid}/{name}"));
        let uid = file("status").and_then(|text| process_stat::status(&text).uid);
        let cgroup = file("cgroup").and_then(|text| process_stat::cgroup(&text));
        let owner = Owner {
            pid,
            name: file("comm").unwrap_or_else(|| "?".to_owned()),
            user: uid.map(|uid| users.get(&uid).cloned().unwrap_or_else(|| uid.to_string())),
            unit: cgroup.as_deref().and_then(process_stat::unit).map(str::to_owned),
        };
        for inode in held {
            let holders = owners.of.entry(inode).or_default();
            if holders.len() < HOLDERS_MAX {
                holders.push(owner.clone());
            }
        }
    }
    owners
}

fn sockets_of(roots: &HostRoots, pid: u32, wanted: &HashSet<u64>) -> std::io::Result<HashSet<u64>> {
    let mut held = HashSet::new();
    for entry in std::fs::read_dir(roots.proc.join(format!("{pid}/fd")))? {
        let Ok(target) = entry.and_then(|e| std::fs::read_link(e.path())) else { continue };
        if let Some(inode) = inode(&target, "socket:[").filter(|i| wanted.contains(i)) {
            held.insert(inode);
        }
    }
    Ok(held)
}

/// The number in `socket:[1234]`.
fn inode(target: &std::path::Path, prefix: &str) -> Option<u64> {
    target.to_str()?.strip_prefix(prefix)?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn holders_are_found_and_processes_that_vanish_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let roots = HostRoots { proc: dir.path().to_owned(), root: dir.path().to_owned(), ..HostRoots::default() };
        for (pid, link) in [(7, "socket:[99]"), (3, "socket:[99]"), (5, "socket:[98]"), (6, "/dev/null")] {
            let fd = dir.path().join(format!("{pid}/fd"));
            std::fs::create_dir_all(&fd).unwrap();
            symlink(link, fd.join("4")).unwrap();
            std::fs::write(dir.path().join(format!("{pid}/comm")), format!("p{pid}\n")).unwrap();
        }
        std::fs::create_dir_all(dir.path().join("8")).unwrap();
        let owners = find(&roots, &HashSet::from([99]));
        let names: Vec<&str> = owners.of[&99].iter().map(|o| o.name.as_str()).collect();
        assert_eq!(names, ["p3", "p7"]);
        assert_eq!((owners.of.len(), owners.unreadable), (1, 0));
    }
}
