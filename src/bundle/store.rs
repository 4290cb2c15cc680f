//! Reading a bundle, whatever form it has.

use std::io::Read;
use std::path::{Path, PathBuf};

/// Why a bundle cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or directory cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// What was being read.
        path: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The bundle is not what a bundle looks like.
    #[error("{path} is not a readable bundle: {reason}")]
    Malformed {
        /// The archive.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The path is not in the bundle.
    #[error("{0} is not in the bundle")]
    NotFound(String),
    /// A limit against hostile archives was reached.
    #[error("{path}: {limit}")]
    Limit {
        /// The entry.
        path: String,
        /// Which limit.
        limit: String,
    },
}

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Path below the bundle's top directory.
    pub path: String,
    /// Uncompressed size in bytes.
    pub size: u64,
}

/// A bundle to read from: an archive, an unpacked directory, or the spool of a run.
pub trait Store: Send + Sync {
    /// All files, sorted by path.
    fn entries(&self) -> &[Entry];

    /// Opens one file for reading from its beginning.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the path is not in [`Store::entries`]; otherwise what reading meets.
    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, StoreError>;

    /// Whether the bundle has this file.
    fn contains(&self, path: &str) -> bool {
        self.entries().binary_search_by(|e| e.path.as_str().cmp(path)).is_ok()
    }

    /// Reads at most `cap` bytes of one file.
    ///
    /// # Errors
    /// As [`Store::open`].
    fn read(&self, path: &str, cap: u64) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        self.open(path)?
            .take(cap)
            .read_to_end(&mut bytes)
            .map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
        Ok(bytes)
    }
}

/// Opens a bundle: a `tar.gz` or a directory.
///
/// # Errors
/// When the path cannot be read or is not a bundle.
pub fn open(path: &Path) -> Result<Box<dyn Store>, StoreError> {
    Ok(Box::new(DirStore::open(path)?))
}

/// An unpacked bundle.
pub struct DirStore {
    root: PathBuf,
    entries: Vec<Entry>,
}

impl DirStore {
    /// Lists a directory. Links are not followed.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let mut entries = Vec::new();
        let mut todo = vec![root.to_path_buf()];
        while let Some(dir) = todo.pop() {
            let io = |source| StoreError::Io { path: dir.display().to_string(), source };
            for item in std::fs::read_dir(&dir).map_err(io)? {
                let item = item.map_err(io)?;
                let kind = item.file_type().map_err(io)?;
                if kind.is_dir() {
                    todo.push(item.path());
                } else if kind.is_file() {
                    let path = item.path();
                    let relative = path.strip_prefix(root).unwrap_or(&path);
                    entries.push(Entry {
                        path: relative.to_string_lossy().replace('\\', "/"),
                        size: item.metadata().map_err(io)?.len(),
                    });
                }
            }
        }
        entries.sort();
        Ok(Self { root: root.to_path_buf(), entries })
    }
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
}
