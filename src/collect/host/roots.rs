//! Where a host is read from, and bounded reads from there.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Largest file of `/proc`, `/sys` or `/etc` that is read as a whole.
pub(super) const FILE_CAP: u64 = 4 << 20;

/// Where to read a host from.
#[derive(Debug, Clone)]
pub struct HostRoots {
    /// `/`, for `etc`, `run` and marker files.
    pub root: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// Directories in which commands are looked up, separated by colons. It is fixed, so that a run does not depend on the
    /// environment of the user that starts it.
    pub command_path: String,
}

impl Default for HostRoots {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/"),
            proc: PathBuf::from("/proc"),
            sys: PathBuf::from("/sys"),
            command_path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin"
                .to_owned(),
        }
    }
}

impl HostRoots {
    /// Whether there is a Linux `/proc` to read.
    pub(super) fn has_proc(&self) -> bool {
        self.proc.join("self/stat").exists() || self.proc.join("stat").exists()
    }

    /// A file below `/proc`, without white space at its end; none where it cannot be read.
    pub(super) fn proc_text(&self, path: &str) -> Option<String> {
        text(&self.proc.join(path))
    }

    /// A file below `/sys`, as [`HostRoots::proc_text`].
    pub(super) fn sys_text(&self, path: &str) -> Option<String> {
        text(&self.sys.join(path))
    }

    /// A file below `/`, as [`HostRoots::proc_text`].
    pub(super) fn root_text(&self, path: &str) -> Option<String> {
        text(&self.root.join(path))
    }

    /// Names of the users in `/etc/passwd`, by uid. Directory services are not asked, because they may hang.
    pub(super) fn users(&self) -> std::collections::HashMap<u32, String> {
        let Some(passwd) = self.root_text("etc/passwd") else { return Default::default() };
        let mut users = std::collections::HashMap::new();
        for line in passwd.lines() {
            let mut fields = line.split(':');
            if let (Some(name), Some(uid)) = (fields.next(), fields.nth(1).and_then(|uid| uid.parse().ok())) {
                users.entry(uid).or_insert_with(|| name.to_owned());
            }
        }
        users
    }

    /// What to say where `/proc` hides the processes of others; the first process exists in every pid namespace.
    pub(super) fn hidden(&self) -> Option<String> {
        let hides = self.proc.join("self").exists() && !self.proc.join("1").exists();
        hides.then(|| "/proc is mounted with hidepid and shows our own processes only (try: run as root)".to_owned())
    }

    /// Ids of the processes that exist now, sorted.
    pub(super) fn pids(&self) -> io::Result<Vec<u32>> {
        let mut pids: Vec<u32> =
            std::fs::read_dir(&self.proc)?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
        pids.sort_unstable();
        Ok(pids)
    }
}

/// Reads at most 4 MiB of a file. Special files that block are the caller's deadline to deal with.
pub(super) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(FILE_CAP).read_to_end(&mut content)?;
    Ok(content)
}

/// Reads a file as text, with what is not UTF-8 replaced; none where it cannot be read.
pub(super) fn text(path: &Path) -> Option<String> {
    bytes(path).ok().map(|b| String::from_utf8_lossy(&b).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_come_from_passwd_and_broken_lines_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nbroken\n:::\ntoor:x:0:0::/:/bin/sh\nk\xff:x:7:7::/:/bin/sh\n";
        std::fs::write(dir.path().join("etc/passwd"), passwd).unwrap();
        let users = HostRoots { root: dir.path().to_owned(), ..HostRoots::default() }.users();
        assert_eq!(users[&0], "root");
        assert_eq!(users[&7], "k\u{fffd}");
        assert_eq!(users.len(), 2);
    }
}
