//! The process of a program, and the file system that it sees.

use std::path::{Component, Path, PathBuf};

use super::super::roots::{self, HostRoots};

/// The kernel keeps this many bytes of a program's name.
const NAME_MAX: usize = 15;

/// A process that runs.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// What it was started with, its own name first.
    args: Vec<String>,
    /// Its root directory as we see it; in a container that is another one than ours.
    root: PathBuf,
    /// Its working directory, as it sees it; none where we may not know.
    cwd: Option<PathBuf>,
}

/// The first process with this name.
pub(super) fn find(roots: &HostRoots, name: &str) -> Option<Process> {
    let short = name.get(..NAME_MAX).unwrap_or(name);
    let pid = roots.pids().ok()?.into_iter().find(|pid| {
        let said = roots.proc_text(&format!("{pid}/comm"));
        said.as_deref() == Some(short)
    })?;
    let dir = roots.proc.join(pid.to_string());
    let args = roots::bytes(&dir.join("cmdline")).unwrap_or_default();
    let args = args.split(|b| *b == 0).filter(|arg| !arg.is_empty());
    let args = args.map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
    let root = dir.join("root");
    // Another user's process shows nothing; then its files can only be ours, if it is in no container.
    let root = if std::fs::read_dir(&root).is_ok() { root } else { roots.root.clone() };
    let cwd = std::fs::read_link(dir.join("cwd")).ok().map(|cwd| match std::fs::read_link(&root) {
        // Seen from outside of a changed root, the link has that root in front.
        Ok(outer) => cwd.strip_prefix(outer).map(|below| Path::new("/").join(below)).unwrap_or(cwd),
        Err(_) => cwd,
    });
    Some(Process { pid, args, root, cwd })
}

impl Process {
    /// The value of `--flag value` or `--flag=value`.
    pub(super) fn argument(&self, flag: &str) -> Option<&str> {
        self.args.iter().enumerate().find_map(|(at, arg)| match arg.strip_prefix(flag)? {
            "" => self.args.get(at + 1).map(String::as_str),
            rest => rest.strip_prefix('='),
        })
    }

    /// Where a file of the process stands for us; none for a relative name when its directory is not known.
    pub(super) fn file(&self, path: &Path) -> Option<PathBuf> {
        let whole = if path.is_absolute() { path.to_owned() } else { self.cwd.as_ref()?.join(path) };
        Some(below(&self.root, &whole))
    }
}

/// An absolute path below a root, without ways out of it.
pub(super) fn below(root: &Path, path: &Path) -> PathBuf {
    let mut parts: Vec<&std::ffi::OsStr> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => {
                parts.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    parts.into_iter().fold(root.to_owned(), |path, part| path.join(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_with_its_arguments_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("proc/7");
        std::fs::create_dir_all(own.join("root/app/keys")).unwrap();
        std::fs::write(own.join("comm"), "kms-server\n").unwrap();
        std::fs::write(own.join("cmdline"), b"/bin/kms-server\0--config-file=kms.toml\0--x\0y\0").unwrap();
        std::os::unix::fs::symlink("/app", own.join("cwd")).unwrap();
        let roots = HostRoots { proc: dir.path().join("proc"), ..HostRoots::default() };
        let process = find(&roots, "kms-server").unwrap();
        assert_eq!((process.pid, process.argument("--config-file")), (7, Some("kms.toml")));
        assert_eq!((process.argument("--x"), process.argument("--none")), (Some("y"), None));
        assert_eq!(process.file(Path::new("./keys")), Some(own.join("root/app/keys")));
        assert_eq!(process.file(Path::new("/../../etc/./x")), Some(own.join("root/etc/x")));
        assert!(find(&roots, "other").is_none());
    }
}
