//! Reads a spool before its archive exists.

use std::io::Read;

use super::{Spool, Stored};
use crate::bundle::store::{Entry, Store, StoreError};

/// The finished artifacts of a spool, as they were when the store was made.
pub struct SpoolStore {
    spool: Spool,
    entries: Vec<Entry>,
    /// In the order of `entries`.
    stored: Vec<Stored>,
}

impl SpoolStore {
    /// Takes a snapshot of what is finished.
    #[must_use]
    pub fn new(spool: &Spool) -> Self {
        let stored = spool.stored();
        let entries = stored.iter().map(|s| Entry { path: s.entry.path.clone(), size: s.entry.size }).collect();
        Self { spool: spool.clone(), entries, stored }
    }
}

impl Store for SpoolStore {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, StoreError> {
        let at = self
            .entries
            .binary_search_by(|e| e.path.as_str().cmp(path))
            .map_err(|_| StoreError::NotFound(path.to_owned()))?;
        Ok(Box::new(self.stored[at].reader(self.spool.dir())))
    }
}
