//! Reading a bundle, whatever form it has.

use std::io::Read;
use std::path::Path;

use super::dir::DirStore;
use super::foreign;
use super::format::MANIFEST;
use super::reader::ArchiveStore;
use super::spool::JOURNAL;
use crate::model::{Manifest, SCHEMA_VERSION};

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
    /// A newer version of the program made the bundle.
    #[error(
        "the bundle has format {found}, and this casefile reads up to format {SCHEMA_VERSION}; use a newer casefile"
    )]
    Newer {
        /// Version of the bundle's format.
        found: u32,
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
    /// Uncompressed size in bytes; for a list that is put together while it is read, the size of what it is made from.
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

    /// What is wrong with the bundle, in sentences: entries that were ignored, damage, an index that lies.
    fn problems(&self) -> &[String] {
        &[]
    }

    /// What the bundle was recognised as when another tool made it, with its article: `a must-gather`. The first of the
    /// [`Self::problems`] then says so.
    fn origin(&self) -> Option<&str> {
        None
    }

    /// What could not be decoded in the files that were read so far: path and reason, sorted. Only stores that convert
    /// files while they are read have any.
    fn damage(&self) -> Vec<(String, String)> {
        Vec::new()
    }

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

/// Opens a bundle by its content: a `tar.gz`, or a directory. Bundles of troubleshoot, must-gather, crust-gather and
/// `kubectl cluster-info dump` are presented under the paths of [`super::layout`]; [`Store::problems`] says so.
///
/// # Errors
/// When the path cannot be read or is not a bundle.
pub fn open(path: &Path) -> Result<Box<dyn Store>, StoreError> {
    let meta = std::fs::metadata(path).map_err(|source| StoreError::Io { path: path.display().to_string(), source })?;
    if !meta.is_dir() {
        return Ok(foreign::adapt(Box::new(ArchiveStore::open(path)?)));
    }
    if path.join(JOURNAL).is_file() {
        return Err(StoreError::Malformed {
            path: path.display().to_string(),
            reason: format!("it is what a killed run left behind; try `casefile recover {}`", path.display()),
        });
    }
    Ok(foreign::adapt(Box::new(DirStore::open(path)?)))
}

/// The manifest of a bundle.
///
/// # Errors
/// When there is none, it is damaged, or a newer version of the program made it.
pub fn manifest(store: &dyn Store) -> Result<Manifest, StoreError> {
    let malformed = |reason: String| StoreError::Malformed { path: MANIFEST.to_owned(), reason };
    let bytes = store.read(MANIFEST, MANIFEST_MAX)?;
    // The version comes first: a newer manifest may lack what this version expects.
    let head: Version = serde_json::from_slice(&bytes)
        .map_err(|e| malformed(format!("it is damaged at line {}, column {}", e.line(), e.column())))?;
    if head.schema_version > SCHEMA_VERSION {
        return Err(StoreError::Newer { found: head.schema_version });
    }
    serde_json::from_slice(&bytes).map_err(|e| malformed(format!("it is not a manifest: {e}")))
}

/// A manifest larger than this is not one of ours.
const MANIFEST_MAX: u64 = 256 << 20;

#[derive(serde::Deserialize)]
struct Version {
    schema_version: u32,
}
