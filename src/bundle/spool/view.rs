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

impl SpoolStore {
    fn find(&self, path: &str) -> Result<&Stored, StoreError> {
        let at = self.entries.binary_search_by(|e| e.path.as_str().cmp(path));
        at.map(|at| &self.stored[at]).map_err(|_| StoreError::NotFound(path.to_owned()))
    }

    /// Reads a whole file into a buffer that may be used again for the next one.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn read_into(&self, path: &str, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        buffer.clear();
        for piece in &self.find(path)?.pieces {
            let read = piece.append_to(self.spool.dir(), buffer);
            read.map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
        }
        Ok(())
    }
}

impl Store for SpoolStore {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, StoreError> {
        Ok(Box::new(self.find(path)?.reader(self.spool.dir())))
    }
}
