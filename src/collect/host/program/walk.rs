//! Names, sizes, dates and rights of the files below a directory. No file is opened and no link is followed.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::collect::s3::{Listing, Object};

/// Directories deeper than this are not looked into.
const DEPTH_MAX: usize = 16;

/// What there is, and the first directory that could not be read.
pub(super) struct Walked {
    pub(super) listing: Listing,
    pub(super) problem: Option<String>,
}

/// Lists up to `limit` files, sorted by name.
///
/// # Errors
/// When the directory itself cannot be read.
pub(super) fn walk(root: &Path, limit: usize) -> io::Result<Walked> {
    let mut walked = Walked { listing: Listing { complete: true, requests: 1, ..Listing::default() }, problem: None };
    walked.directory(root, "", limit, 0)?;
    walked.listing.objects.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(walked)
}

impl Walked {
    fn directory(&mut self, path: &Path, name: &str, limit: usize, depth: usize) -> io::Result<()> {
        for entry in std::fs::read_dir(path)? {
            if self.listing.objects.len() >= limit {
                self.listing.complete = false;
                return Ok(());
            }
            let entry = entry?;
            let own = entry.file_name().to_string_lossy().into_owned();
            let full = if name.is_empty() { own } else { format!("{name}/{own}") };
            // Of the entry itself, not of what a link leads to.
            let meta = match entry.metadata() {
                Ok(meta) => meta,
                // It went away while we looked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.trouble(&full, &error);
                    continue;
                }
            };
            if meta.is_dir() {
                if depth >= DEPTH_MAX {
                    self.listing.complete = false;
                } else if let Err(error) = self.directory(&entry.path(), &full, limit, depth + 1) {
                    self.trouble(&full, &error);
                }
            } else if meta.is_file() {
                self.listing.objects.push(Object {
                    name: full,
                    size: i64::try_from(meta.len()).unwrap_or(i64::MAX),
                    modified: meta.modified().ok().map(|at| {
                        chrono::DateTime::<chrono::Utc>::from(at).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
                    }),
                    class: None,
                    mode: Some(shown(meta.permissions().mode())),
                });
            }
        }
        Ok(())
    }

    fn trouble(&mut self, name: &str, error: &io::Error) {
        self.listing.complete = false;
        self.problem.get_or_insert_with(|| format!("{name} cannot be read: {error} (try: run as root)"));
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
    use super::*;

    #[test]
    fn files_are_listed_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("SigningKey")).unwrap();
        std::fs::write(dir.path().join("SigningKey/60b7"), b"12345").unwrap();
        std::fs::write(dir.path().join("a"), b"").unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        std::fs::set_permissions(dir.path().join("a"), std::fs::Permissions::from_mode(0o640)).unwrap();
        let found = walk(dir.path(), 10).unwrap().listing;
        let names: Vec<_> = found.objects.iter().map(|o| (o.name.as_str(), o.size)).collect();
        assert_eq!(names, [("SigningKey/60b7", 5), ("a", 0)]);
        assert_eq!(found.objects[1].mode.as_deref(), Some("-rw-r-----"));
        assert!(found.complete && found.objects[0].modified.is_some());
        assert!(!walk(dir.path(), 1).unwrap().listing.complete);
        assert!(walk(&dir.path().join("none"), 1).is_err());
    }
}
