//! Names, sizes, dates and rights of the files below a directory. No file is opened and no link is followed.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Stat};
use rustix::io::Errno;

use crate::collect::rooted::{self, Tree};
use crate::collect::s3::{Listing, Object};

/// Directories deeper than this are not looked into.
const DEPTH_MAX: usize = 16;
/// Names that are looked at: as many again as may be listed, and these.
const NAMES_MAX: usize = 100_000;

/// What there is, and the first directory that could not be read.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) listing: Listing,
    pub(super) problem: Option<String>,
    /// Names that may still be looked at.
    names: usize,
}

/// Lists up to `limit` files, sorted by name.
///
/// # Errors
/// When the directory itself cannot be read.
pub(super) fn walk(tree: &Tree, path: &Path, limit: usize) -> io::Result<Walked> {
    let listing = Listing { complete: true, requests: 1, ..Listing::default() };
    let mut walked = Walked { listing, problem: None, names: limit.saturating_mul(2).saturating_add(NAMES_MAX) };
    walked.directory(&tree.directory(path)?, "", limit, 0)?;
    walked.listing.objects.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(walked)
}

impl Walked {
    fn directory(&mut self, dir: &OwnedFd, name: &str, limit: usize, depth: usize) -> io::Result<()> {
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            let own = entry.file_name();
            if [c".", c".."].contains(&own) {
                continue;
            }
            if self.listing.objects.len() >= limit || self.names == 0 {
                self.listing.complete = false;
                return Ok(());
            }
            self.names -= 1;
            self.entry(dir, own, name, limit, depth);
        }
        Ok(())
    }

    fn entry(&mut self, dir: &OwnedFd, own: &CStr, name: &str, limit: usize, depth: usize) {
        let shown = own.to_string_lossy();
        let full = if name.is_empty() { shown.into_owned() } else { format!("{name}/{shown}") };
        // Of the entry itself, not of what a link leads to.
        let stat = match rustix::fs::statat(dir, own, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // It went away while we looked.
            Err(Errno::NOENT) => return,
            Err(error) => return self.trouble(&full, &error.into()),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if depth >= DEPTH_MAX => self.listing.complete = false,
            FileType::Directory => {
                let below = rooted::subdirectory(dir.as_fd(), own);
                if let Err(error) = below.and_then(|below| self.directory(&below, &full, limit, depth + 1)) {
                    self.trouble(&full, &error);
                }
            }
            FileType::RegularFile => self.listing.objects.push(object(full, &stat)),
            _ => {}
        }
    }

    fn trouble(&mut self, name: &str, error: &io::Error) {
        self.listing.complete = false;
        self.problem.get_or_insert_with(|| format!("{name} cannot be read: {error} (try: run as root)"));
    }
}

fn object(name: String, stat: &Stat) -> Object {
    let modified = chrono::DateTime::from_timestamp(stat.st_mtime, 0);
    Object {
        name,
        size: stat.st_size,
        modified: modified.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
        class: None,
        mode: Some(shown(stat.st_mode)),
    }
}

/// Rights as `ls` prints them.
fn shown(mode: u32) -> String {
    let letter = |bit: u32| match bit {
        0 | 3 | 6 => 'r',
        1 | 4 | 7 => 'w',
        _ => 'x',
    };
    let rights = (0..9).map(|bit| if mode & (0o400 >> bit) == 0 { '-' } else { letter(bit) });
    std::iter::once('-').chain(rights).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_are_listed_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("keys/SigningKey")).unwrap();
        std::fs::create_dir_all(dir.path().join("outside")).unwrap();
        std::fs::write(dir.path().join("outside/secret"), b"").unwrap();
        std::fs::write(root.join("keys/SigningKey/60b7"), b"12345").unwrap();
        std::fs::write(root.join("keys/a"), b"").unwrap();
        for (to, from) in [("/etc", "keys/link"), ("../outside", "up"), ("/keys", "within")] {
            std::os::unix::fs::symlink(to, root.join(from)).unwrap();
        }
        std::os::unix::fs::symlink(dir.path().join("outside"), root.join("absolute")).unwrap();
        std::fs::set_permissions(root.join("keys/a"), std::fs::Permissions::from_mode(0o640)).unwrap();
        let tree = Tree::at(&root);
        let found = walk(&tree, Path::new("/keys"), 10).unwrap().listing;
        let names: Vec<_> = found.objects.iter().map(|o| (o.name.as_str(), o.size)).collect();
        assert_eq!(names, [("SigningKey/60b7", 5), ("a", 0)]);
        assert_eq!(found.objects[1].mode.as_deref(), Some("-rw-r-----"));
        assert!(found.complete && found.objects[0].modified.as_deref().is_some_and(|at| at.starts_with("20")));
        assert!(!walk(&tree, Path::new("/keys"), 1).unwrap().listing.complete);
        for path in ["/none", "/up", "/absolute", "/keys/a"] {
            assert!(walk(&tree, Path::new(path), 1).is_err(), "{path}");
        }
        // The directory of a store may itself be a link of the system's.
        #[cfg(target_os = "linux")]
        assert_eq!(walk(&tree, Path::new("/within"), 10).unwrap().listing.objects.len(), 2);
    }

    #[test]
    fn a_crowd_of_names_ends() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..20 {
            std::fs::create_dir(dir.path().join(format!("d{i}"))).unwrap();
        }
        let listing = Listing { complete: true, ..Listing::default() };
        let mut walked = Walked { listing, problem: None, names: 5 };
        walked.directory(&Tree::at(dir.path()).directory(Path::new("/")).unwrap(), "", 10, 0).unwrap();
        assert!(!walked.listing.complete && walked.names == 0);
    }
}
