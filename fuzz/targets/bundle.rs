//! Readers of bundles.

use std::io::Read as _;
use std::sync::Arc;

use casefile::bundle::{ArchiveStore, Limits, Store};

/// Any bytes as an archive: every listed file can be read to its end or gives an error.
pub(crate) fn bundle_reader(input: &[u8]) {
    let limits = Limits { total: 64 << 20, entry: 16 << 20, ..Limits::default() };
    let mut stored = Vec::new();
    let _ = flate2::bufread::GzEncoder::new(input, flate2::Compression::none()).read_to_end(&mut stored);
    // As it is, and as the content of a gzip member, so that mutations reach the tar.
    for archive in [input.to_vec(), stored] {
        let Ok(store) = ArchiveStore::from_source(Arc::new(archive), "fuzz", limits.clone()) else { continue };
        for entry in store.entries() {
            if let Ok(mut content) = store.open(&entry.path) {
                let _ = std::io::copy(&mut content.by_ref().take(32 << 20), &mut std::io::sink());
            }
        }
        let _ = store.check_index();
    }
}
