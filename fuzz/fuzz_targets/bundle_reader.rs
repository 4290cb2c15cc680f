//! Any bytes as an archive: nothing panics, and every listed file can be read to its end or gives an error.
#![no_main]

use std::io::Read;
use std::sync::Arc;

use casefile::bundle::{ArchiveStore, Limits, Store};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { total: 64 << 20, entry: 16 << 20, ..Limits::default() };
    // As it is, and as the content of a gzip member, so that mutations reach the tar.
    for archive in [bytes.to_vec(), gzip(bytes)] {
        let Ok(store) = ArchiveStore::from_source(Arc::new(archive), "fuzz", limits.clone()) else { continue };
        for entry in store.entries() {
            if let Ok(mut content) = store.open(&entry.path) {
                let _ = std::io::copy(&mut content.by_ref().take(32 << 20), &mut std::io::sink());
            }
        }
        let _ = store.check_index();
    }
});

/// One stored member.
fn gzip(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let _ = flate2::bufread::GzEncoder::new(raw, flate2::Compression::none()).read_to_end(&mut out);
    out
}
