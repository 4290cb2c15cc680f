//! An unpacked bundle.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::format::INDEX;
use super::layout;
use super::store::{Entry, Store, StoreError};

/// Files that are listed at most.
const ENTRIES_MAX: usize = 200_000;
/// Directories deeper than this are not entered.
const DEPTH_MAX: usize = 64;

/// An unpacked bundle: the top directory, or a directory that holds nothing but the top directory.
pub struct DirStore {
    root: PathBuf,
    entries: Vec<Entry>,
    problems: Vec<String>,
}

impl DirStore {
    /// Lists a directory. Links are not followed.
    ///
    /// # Errors
    /// When the directory cannot be read or has too many files.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let root = top(path).map_err(|source| StoreError::Io { path: path.display().to_string(), source })?;
        let mut store = Self { root: root.clone(), entries: Vec::new(), problems: Vec::new() };
        let mut todo = vec![(root, 0)];
        while let Some((dir, depth)) = todo.pop() {
            let io = |source| StoreError::Io { path: dir.display().to_string(), source };
            for item in std::fs::read_dir(&dir).map_err(io)? {
                let item = item.map_err(io)?;
                let path = item.path();
                let kind = item.file_type().map_err(io)?;
                let Some(name) = store.name(&path) else {
                    store.problems.push(format!("{path:?} was ignored: its name cannot be shown"));
                    continue;
                };
                if kind.is_dir() && depth < DEPTH_MAX {
                    todo.push((path, depth + 1));
                } else if kind.is_file() {
                    if name == INDEX {
                        continue;
                    }
                    store.entries.push(Entry { path: name, size: item.metadata().map_err(io)?.len() });
                    if store.entries.len() > ENTRIES_MAX {
                        return Err(StoreError::Limit {
                            path: store.root.display().to_string(),
                            limit: format!("it has more than {ENTRIES_MAX} files, which no bundle has"),
                        });
                    }
                } else {
                    store.problems.push(format!("{name} was ignored: it is not a plain file"));
                }
            }
        }
        store.entries.sort();
        store.problems.sort();
        Ok(store)
    }

    fn name(&self, path: &Path) -> Option<String> {
        let relative = path.strip_prefix(&self.root).ok()?;
        let segments: Option<Vec<&str>> = relative.iter().map(std::ffi::OsStr::to_str).collect();
        super::reader::safe(segments?.join("/").as_bytes())
    }
}

/// The directory itself, or the only directory in it when there is nothing else.
fn top(path: &Path) -> io::Result<PathBuf> {
    let mut only = None;
    for item in std::fs::read_dir(path)? {
        let item = item?;
        if only.is_some() || !item.file_type()?.is_dir() || item.file_name().to_str().is_some_and(layout::is_inner) {
            return Ok(path.to_path_buf());
        }
        only = Some(item.path());
    }
    Ok(only.unwrap_or_else(|| path.to_path_buf()))
}

impl Store for DirStore {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, StoreError> {
        if !self.contains(path) {
            return Err(StoreError::NotFound(path.to_owned()));
        }
        let file = std::fs::File::open(self.root.join(path))
            .map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
        Ok(Box::new(file))
    }

    fn problems(&self) -> &[String] {
        &self.problems
    }
}
