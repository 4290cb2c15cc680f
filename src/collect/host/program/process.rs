//! The process of a program, and the file system that it sees.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use super::super::process_stat;
use super::super::roots::{FILE_CAP, HostRoots};
use crate::collect::rooted::{Reader, Tree};

/// The kernel keeps this many bytes of a program's name.
const NAME_MAX: usize = 15;

/// A process that runs.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// What it was started with, its own name first.
    args: Vec<String>,
    /// Its directory in `/proc`, held open: the number may go to another process, this directory cannot.
    dir: Arc<OwnedFd>,
    /// Its working directory, as it sees it; none where we may not know.
    cwd: Option<PathBuf>,
    view: View,
}

/// What we know of the files that it sees.
#[derive(Debug, Clone)]
enum View {
    /// Its own root.
    Own(Tree),
    /// That of the host, with what the process may read.
    Ours(Tree),
    /// It is in a container, and we may not look into that.
    Hidden,
}

/// The first process with this name.
pub(super) fn find(roots: &HostRoots, name: &str) -> Option<Process> {
    let short = name.get(..NAME_MAX).unwrap_or(name);
    let found = roots.pids().ok()?.into_iter().find_map(|pid| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(roots.proc.join(pid.to_string()), flags, Mode::empty()).ok()?;
        let said = text(&dir, "comm")?;
        (said.trim_end() == short).then_some((pid, dir))
    });
    let (pid, dir) = found?;
    let args = bytes(&dir, "cmdline").unwrap_or_default();
    let args = args.split(|b| *b == 0).filter(|arg| !arg.is_empty());
    let args = args.map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
    let dir = Arc::new(dir);
    let own = Tree::below(Arc::clone(&dir), "root");
    let status = text(&dir, "status").unwrap_or_default();
    let view = if own.is_visible() {
        View::Own(own)
    } else if is_contained(&status) {
        View::Hidden
    } else {
        // Another user's process shows nothing; then its files can only be ours, but it shall not choose what we read for it.
        View::Ours(Tree::at(&roots.root).read_by(reader(&status)))
    };
    let link = |name: &str| rustix::fs::readlinkat(&dir, name, Vec::new()).ok().map(|link| path_of(link.to_bytes()));
    let cwd = link("cwd").map(|cwd| match link("root") {
        // Seen from outside of a changed root, the link has that root in front.
        Some(outer) => cwd.strip_prefix(outer).map(|below| Path::new("/").join(below)).unwrap_or(cwd),
        None => cwd,
    });
    Some(Process { pid, args, dir, cwd, view })
}

impl Process {
    /// The value of `--flag value` or `--flag=value`.
    pub(super) fn argument(&self, flag: &str) -> Option<&str> {
        self.args.iter().enumerate().find_map(|(at, arg)| match arg.strip_prefix(flag)? {
            "" => self.args.get(at + 1).map(String::as_str),
            rest => rest.strip_prefix('='),
        })
    }

    /// The variables that it was started with, as `NAME=value` that end with a zero byte.
    ///
    /// # Errors
    /// When `/proc` does not show them: only root and the same user may see them.
    pub(super) fn environment(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        bytes(&self.dir, "environ").map(Zeroizing::new)
    }

    /// The whole name of a file of the process; none for a relative name when its directory is not known.
    pub(super) fn whole(&self, path: &Path) -> Option<PathBuf> {
        if path.is_absolute() { Some(path.to_owned()) } else { Some(self.cwd.as_ref()?.join(path)) }
    }

    /// Whether we see its files as it does.
    pub(super) fn is_visible(&self) -> bool {
        matches!(self.view, View::Own(_))
    }

    /// The files that it sees.
    ///
    /// # Errors
    /// When it is in a container that we may not look into.
    pub(super) fn tree(&self) -> io::Result<Tree> {
        match &self.view {
            View::Own(tree) | View::Ours(tree) => Ok(tree.clone()),
            View::Hidden => {
                let text = format!("process {} runs in a container whose files we may not see", self.pid);
                Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
            }
        }
    }
}

fn bytes(dir: &OwnedFd, name: &str) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = rustix::fs::openat(dir.as_fd(), name, flags, Mode::empty())?;
    let mut content = Vec::new();
    File::from(fd).take(FILE_CAP).read_to_end(&mut content)?;
    Ok(content)
}

fn text(dir: &OwnedFd, name: &str) -> Option<String> {
    bytes(dir, name).ok().map(|b| String::from_utf8_lossy(&b).into_owned())
}

fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// Whether the process has numbers in more than one namespace of processes, as those of containers have.
fn is_contained(status: &str) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .is_some_and(|ids| ids.split_ascii_whitespace().count() > 1)
}

/// As whom the process reads files.
fn reader(status: &str) -> Reader {
    let numbers = |key: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect()
    };
    // Real, effective, saved, file system.
    let gids = numbers("Gid:").into_iter().nth(1).into_iter().chain(numbers("Groups:")).collect();
    Reader { uid: process_stat::status(status).uid, gids }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process with this state; its root is there unless it is hidden.
    fn process(dir: &Path, status: &str, hidden: bool) -> Process {
        let own = dir.join("proc/7");
        std::fs::create_dir_all(own.join("root/app/keys")).unwrap();
        if hidden {
            std::fs::rename(own.join("root"), own.join("hidden")).unwrap();
        }
        std::fs::write(own.join("comm"), "kms-server\n").unwrap();
        std::fs::write(own.join("status"), status).unwrap();
        std::fs::write(own.join("environ"), b"A=1\0").unwrap();
        std::fs::write(own.join("cmdline"), b"/bin/kms-server\0--config-file=kms.toml\0--x\0y\0").unwrap();
        std::os::unix::fs::symlink("/app", own.join("cwd")).unwrap();
        let roots = HostRoots { proc: dir.join("proc"), root: dir.to_owned(), ..HostRoots::default() };
        assert!(find(&roots, "other").is_none());
        find(&roots, "kms-server").unwrap()
    }

    #[test]
    fn a_process_is_found_with_its_arguments_variables_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let process = process(dir.path(), "", false);
        assert_eq!((process.pid, process.argument("--config-file")), (7, Some("kms.toml")));
        assert_eq!((process.argument("--x"), process.argument("--none")), (Some("y"), None));
        assert_eq!(process.whole(Path::new("./keys")), Some(PathBuf::from("/app/./keys")));
        assert!(process.tree().unwrap().directory(Path::new("/app/./keys")).is_ok());
        assert_eq!(process.environment().unwrap().as_slice(), b"A=1\0");
    }

    #[test]
    fn a_container_that_we_may_not_see_is_not_looked_for_on_the_host() {
        let dir = tempfile::tempdir().unwrap();
        let error = process(dir.path(), "NSpid:\t7\t1\n", true).tree().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("container"), "{error}");
    }

    #[test]
    fn a_process_of_another_user_names_what_it_may_read_itself() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("own.toml"), "of ours").unwrap();
        std::fs::set_permissions(dir.path().join("own.toml"), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(dir.path().join("all.toml"), "of all").unwrap();
        let status = "Uid:\t4711\t4711\t4711\t4711\nGid:\t4712\t4712\t4712\t4712\nGroups:\t4713\nNSpid:\t7\n";
        let tree = process(dir.path(), status, true).tree().unwrap();
        assert!(tree.file(Path::new("/own.toml")).is_err() && tree.file(Path::new("/all.toml")).is_ok());
        assert_eq!(reader(status), Reader { uid: Some(4711), gids: vec![4712, 4713] });
    }
}
