//! Files of a system under examination, opened so that none of its links leads out of its root.
//!
//! Whoever writes below that root chooses what links say. The kernel resolves them as the system itself would (`openat2`, absolute
//! links and `..` included); where it cannot, names are walked one by one and a link is refused.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// What every file and directory is opened with: a pipe does not block, a terminal does not become ours.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
/// Names in one path, at most.
const PARTS_MAX: usize = 256;

/// Who names a file, where that is not whoever runs us: what it may not read itself, we do not read for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::collect) struct Reader {
    pub(in crate::collect) uid: Option<u32>,
    pub(in crate::collect) gids: Vec<u32>,
}

impl Reader {
    fn may_read(&self, stat: &Stat) -> bool {
        let mode = Mode::from_raw_mode(stat.st_mode);
        mode.contains(Mode::ROTH)
            || self.uid == Some(stat.st_uid) && mode.contains(Mode::RUSR)
            || self.gids.contains(&stat.st_gid) && mode.contains(Mode::RGRP)
    }
}

/// A directory that stands for `/`.
#[derive(Debug, Clone)]
pub(in crate::collect) struct Tree {
    root: Root,
    reader: Option<Reader>,
    way: Way,
}

#[derive(Debug, Clone)]
enum Root {
    At(PathBuf),
    /// Below a directory that is held open, so that it stays the same one.
    Below(Arc<OwnedFd>, &'static str),
}

/// How names become files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The kernel resolves links within the root.
    #[cfg(target_os = "linux")]
    Kernel,
    /// Name by name, without links.
    Steps,
}

impl Way {
    const BEST: Self = {
        #[cfg(target_os = "linux")]
        {
            Self::Kernel
        }
        #[cfg(not(target_os = "linux"))]
        {
            Self::Steps
        }
    };
}

impl Tree {
    /// The tree below a directory.
    pub(in crate::collect) fn at(path: &Path) -> Self {
        Self { root: Root::At(path.to_owned()), reader: None, way: Way::BEST }
    }

    /// The tree below an entry of a directory that is open.
    pub(in crate::collect) fn below(dir: Arc<OwnedFd>, name: &'static str) -> Self {
        Self { root: Root::Below(dir, name), reader: None, way: Way::BEST }
    }

    /// Without following any link.
    pub(in crate::collect) fn without_links(self) -> Self {
        Self { way: Way::Steps, ..self }
    }

    /// With what this reader may read only.
    pub(in crate::collect) fn read_by(self, reader: Reader) -> Self {
        Self { reader: Some(reader), ..self }
    }

    /// Whether the root itself may be listed.
    pub(in crate::collect) fn is_visible(&self) -> bool {
        self.root(READ | OFlags::DIRECTORY).is_ok()
    }

    /// Opens a regular file.
    ///
    /// # Errors
    /// When it cannot be opened, stands outside of what the reader may see, or is no regular file of a disk.
    pub(in crate::collect) fn file(&self, path: &Path) -> io::Result<File> {
        let fd = self.open(path, READ)?;
        regular(fd.as_fd())?;
        Ok(File::from(fd))
    }

    /// Opens a directory.
    ///
    /// # Errors
    /// When it cannot be opened, or stands outside of what the reader may see.
    pub(in crate::collect) fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open(path, READ | OFlags::DIRECTORY)
    }

    fn root(&self, flags: OFlags) -> io::Result<OwnedFd> {
        Ok(match &self.root {
            Root::At(path) => rustix::fs::open(path, flags, Mode::empty())?,
            Root::Below(dir, name) => rustix::fs::openat(dir, *name, flags, Mode::empty())?,
        })
    }

    fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let root = self.root(step_flags())?;
        let fd = match self.way {
            #[cfg(target_os = "linux")]
            Way::Kernel => match resolved(&root, path, flags) {
                // Too old a kernel, or a filter of calls that does not know this one.
                Err(Errno::NOSYS | Errno::PERM) => stepped(root, path, flags)?,
                other => other.map_err(|error| explain(error, path))?,
            },
            Way::Steps => stepped(root, path, flags)?,
        };
        on_disk(fd.as_fd())?;
        if let Some(reader) = &self.reader
            && !reader.may_read(&rustix::fs::fstat(&fd)?)
        {
            let text = "another user's process names it and may not read it itself";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(fd)
    }
}

/// Opens the entry of a directory, as a directory that is no link.
pub(in crate::collect) fn subdirectory(dir: BorrowedFd<'_>, name: &std::ffi::CStr) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(dir, name, READ | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?)
}

/// Opens a regular file of our own host; links are followed.
///
/// # Errors
/// When it cannot be opened or is no regular file.
pub(in crate::collect) fn regular_file(path: &Path) -> io::Result<File> {
    let fd = rustix::fs::open(path, READ, Mode::empty())?;
    regular(fd.as_fd())?;
    Ok(File::from(fd))
}

fn regular(fd: BorrowedFd<'_>) -> io::Result<()> {
    let kind = FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode);
    let what = match kind {
        FileType::RegularFile => return Ok(()),
        FileType::Directory => "a directory",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        _ => "a device",
    };
    Err(io::Error::other(format!("it is {what} and no regular file")))
}

/// Refuses what the kernel makes up: below a `/proc` that both share, `self` is this very program.
#[cfg(target_os = "linux")]
fn on_disk(fd: BorrowedFd<'_>) -> io::Result<()> {
    if rustix::fs::fstatfs(fd)?.f_type == rustix::fs::PROC_SUPER_MAGIC {
        return Err(io::Error::other("it is in /proc and no regular file of a disk"));
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn on_disk(_: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

/// Flags for a directory on the way, which need not be readable.
fn step_flags() -> OFlags {
    #[cfg(target_os = "linux")]
    let how = OFlags::PATH;
    #[cfg(not(target_os = "linux"))]
    let how = OFlags::RDONLY;
    how | OFlags::DIRECTORY | OFlags::CLOEXEC
}

#[cfg(target_os = "linux")]
fn resolved(root: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;
    /// The kernel gives up when something is renamed while it looks.
    const TRIES: usize = 8;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut last = Errno::AGAIN;
    for _ in 0..TRIES {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), within) {
            Err(Errno::AGAIN) => last = Errno::AGAIN,
            other => return other,
        }
    }
    Err(last)
}

#[cfg(target_os = "linux")]
fn explain(error: Errno, path: &Path) -> io::Error {
    match error {
        Errno::LOOP => io::Error::other(format!("{} has links that lead nowhere or too far", path.display())),
        error => error.into(),
    }
}

/// Walks from the root to a path without following any link.
fn stepped(root: OwnedFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => {
                parts.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if parts.len() > PARTS_MAX {
        return Err(io::Error::other(format!("the path has more than {PARTS_MAX} names")));
    }
    let Some((last, before)) = parts.split_last() else {
        return Ok(rustix::fs::openat(&root, ".", flags, Mode::empty())?);
    };
    let mut dir = root;
    for name in before {
        dir = step(&dir, name, step_flags())?;
    }
    step(&dir, last, flags)
}

fn step(dir: &OwnedFd, name: &std::ffi::OsStr, flags: OFlags) -> io::Result<OwnedFd> {
    rustix::fs::openat(dir, name, flags | OFlags::NOFOLLOW, Mode::empty()).map_err(|error| {
        let link = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
        if link {
            let name = name.to_string_lossy();
            io::Error::other(format!("{name} is a link and is not followed here (try: name the file itself)"))
        } else {
            error.into()
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A root with hostile links, and a secret beside it.
    fn hostile() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("app/keys")).unwrap();
        std::fs::create_dir_all(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("outside"), "of the host").unwrap();
        std::fs::write(dir.path().join("etc/outside"), "of the host").unwrap();
        std::fs::write(root.join("app/a.toml"), "inside").unwrap();
        symlink(dir.path().join("outside"), root.join("absolute")).unwrap();
        symlink(dir.path().join("etc"), root.join("directory")).unwrap();
        symlink("../../outside", root.join("app/up")).unwrap();
        symlink("../../../../../../../../../../../../etc", root.join("app/far")).unwrap();
        symlink("/app/a.toml", root.join("within")).unwrap();
        symlink("/app", root.join("app/keys/back")).unwrap();
        symlink("loop-2", root.join("loop-1")).unwrap();
        symlink("loop-1", root.join("loop-2")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        (dir, root)
    }

    fn trees(root: &Path) -> [Tree; 2] {
        [Tree::at(root), Tree { way: Way::Steps, ..Tree::at(root) }]
    }

    fn read(tree: &Tree, path: &str) -> Result<String, String> {
        let mut text = String::new();
        let mut file = tree.file(Path::new(path)).map_err(|e| e.to_string())?;
        file.read_to_string(&mut text).map_err(|e| e.to_string())?;
        Ok(text)
    }

    #[test]
    fn no_link_leads_out_of_the_root() {
        let (_dir, root) = hostile();
        for tree in trees(&root) {
            for path in
                ["/absolute", "/app/up", "/directory/outside", "/app/far/outside", "/../outside", "/app/../../outside"]
            {
                assert!(read(&tree, path).is_err(), "{path} by {tree:?}");
            }
            for path in ["/directory", "/app/far", "/../etc"] {
                assert!(tree.directory(Path::new(path)).is_err(), "{path} by {tree:?}");
            }
            assert_eq!(read(&tree, "/app/../../app/./a.toml").as_deref(), Ok("inside"));
            assert!(tree.directory(Path::new("/app/keys")).is_ok() && tree.directory(Path::new("/")).is_ok());
            let said = read(&tree, "/loop-1").unwrap_err();
            assert!(said.contains("link"), "{said}");
        }
    }

    #[test]
    fn links_within_the_root_are_followed_by_the_kernel_and_refused_without_it() {
        let (_dir, root) = hostile();
        let [kernel, steps] = trees(&root);
        #[cfg(target_os = "linux")]
        {
            assert_eq!(read(&kernel, "/within").as_deref(), Ok("inside"));
            assert_eq!(read(&kernel, "/app/keys/back/a.toml").as_deref(), Ok("inside"));
        }
        #[cfg(not(target_os = "linux"))]
        assert!(read(&kernel, "/within").is_err());
        for path in ["/within", "/app/keys/back/a.toml"] {
            let said = read(&steps, path).unwrap_err();
            assert!(said.contains("is a link"), "{said}");
        }
    }

    #[test]
    fn only_regular_files_are_read() {
        let (_dir, root) = hostile();
        for tree in trees(&root) {
            assert_eq!(read(&tree, "/pipe"), Err("it is a pipe and no regular file".to_owned()));
            assert_eq!(read(&tree, "/app"), Err("it is a directory and no regular file".to_owned()));
            assert!(tree.directory(Path::new("/pipe")).is_err() && read(&tree, "/none").is_err());
        }
        assert!(regular_file(&root.join("pipe")).is_err() && regular_file(Path::new("/dev/null")).is_err());
        assert!(regular_file(&root.join("within")).is_err() && regular_file(&root.join("absolute")).is_ok());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn our_own_process_is_not_read_through_a_shared_proc() {
        for tree in trees(Path::new("/")) {
            for path in ["/proc/self/environ", "/proc/thread-self/environ"] {
                assert!(read(&tree, path).is_err(), "{path}");
            }
            let pid = std::process::id();
            assert!(read(&tree, &format!("/proc/{pid}/environ")).unwrap_err().contains("/proc"));
            assert!(tree.directory(Path::new(&format!("/proc/{pid}"))).is_err());
        }
    }

    #[test]
    fn a_reader_sees_what_it_may_read() {
        let (_dir, root) = hostile();
        let file = root.join("app/a.toml");
        let set = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let stat = rustix::fs::stat(&file).unwrap();
        let by = |uid, gid| Tree::at(&root).read_by(Reader { uid: Some(uid), gids: vec![gid] });
        let (owner, group, other) =
            (by(stat.st_uid, u32::MAX), by(u32::MAX, stat.st_gid), by(u32::MAX - 1, u32::MAX - 1));
        for (mode, sees) in [(0o600, [true, false, false]), (0o640, [true, true, false]), (0o644, [true, true, true])] {
            set(mode);
            assert_eq!([&owner, &group, &other].map(|t| read(t, "/app/a.toml").is_ok()), sees, "{mode:o}");
        }
        set(0o600);
        assert!(read(&other, "/app/a.toml").unwrap_err().contains("may not read it itself"));
    }

    #[test]
    fn a_tree_below_an_open_directory_is_that_entry() {
        let (dir, root) = hostile();
        let parent = rustix::fs::open(dir.path(), step_flags(), Mode::empty()).unwrap();
        let tree = Tree::below(Arc::new(parent), "root");
        assert!(tree.is_visible() && !Tree::at(&root.join("none")).is_visible());
        assert_eq!(read(&tree, "/app/a.toml").as_deref(), Ok("inside"));
    }
}
