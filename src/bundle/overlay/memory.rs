//! A bundle that lies in memory.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::Arc;

use chrono::{NaiveDateTime, TimeDelta};

use super::super::{Entry, Store, StoreError};

/// Most bytes of one unpacked archive of fixtures.
const UNPACKED_MAX: u64 = 64 << 20;
/// Length of `2026-11-21T06:32:42`.
const TIME_LEN: usize = 19;

/// Files in memory, to be served, changed and read like any bundle.
#[derive(Clone, Default)]
pub struct MemStore {
    files: BTreeMap<String, Arc<[u8]>>,
    entries: Vec<Entry>,
}

impl MemStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Copies the files of another store whose paths begin with `prefix`, without that prefix.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn below(store: &dyn Store, prefix: &str) -> Result<Self, StoreError> {
        let mut files = BTreeMap::new();
        for entry in store.entries() {
            if let Some(path) = entry.path.strip_prefix(prefix) {
                files.insert(path.to_owned(), store.read(&entry.path, UNPACKED_MAX)?.into());
            }
        }
        Ok(Self::from_files(files))
    }

    /// Unpacks a `tar.gz` of at most 64 MiB of content. Entries that are not files are left out.
    ///
    /// # Errors
    /// When it is not a `tar.gz`, or larger.
    pub fn from_tar_gz(name: &str, archive: &[u8]) -> Result<Self, StoreError> {
        let malformed =
            |reason: std::io::Error| StoreError::Malformed { path: name.to_owned(), reason: reason.to_string() };
        let mut left = UNPACKED_MAX;
        let mut files = BTreeMap::new();
        let unpacked = flate2::read::MultiGzDecoder::new(archive).take(2 * UNPACKED_MAX);
        for entry in tar::Archive::new(unpacked).entries().map_err(malformed)? {
            let mut entry = entry.map_err(malformed)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = entry.path().map_err(malformed)?.to_string_lossy().into_owned();
            if entry.size() > left {
                return Err(StoreError::Limit { path, limit: format!("more than {UNPACKED_MAX} bytes unpacked") });
            }
            left -= entry.size();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(malformed)?;
            files.insert(path, bytes.into());
        }
        Ok(Self::from_files(files))
    }

    fn from_files(files: BTreeMap<String, Arc<[u8]>>) -> Self {
        let entries =
            files.iter().map(|(path, bytes)| Entry { path: path.clone(), size: bytes.len() as u64 }).collect();
        Self { files, entries }
    }

    fn position(&self, path: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path))
    }

    /// One file.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(AsRef::as_ref)
    }

    /// Adds a file, or replaces it.
    pub fn insert(&mut self, path: impl Into<String>, bytes: impl Into<Arc<[u8]>>) {
        let (path, bytes) = (path.into(), bytes.into());
        let entry = Entry { path: path.clone(), size: bytes.len() as u64 };
        match self.position(&path) {
            Ok(at) => self.entries[at] = entry,
            Err(at) => self.entries.insert(at, entry),
        }
        self.files.insert(path, bytes);
    }

    /// Removes a file and says whether there was one.
    pub fn remove(&mut self, path: &str) -> bool {
        if let Ok(at) = self.position(path) {
            self.entries.remove(at);
        }
        self.files.remove(path).is_some()
    }

    /// Moves every RFC 3339 time in every file by `delta`, so that a recording looks as if it were made at another
    /// time. Lengths stay as they are; times that would leave the years 1000 to 9999 stay, too.
    pub fn shift_times(&mut self, delta: TimeDelta) {
        for bytes in self.files.values_mut() {
            if let Some(shifted) = shifted(bytes, delta) {
                *bytes = shifted.into();
            }
        }
    }
}

impl Store for MemStore {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, StoreError> {
        let bytes = self.get(path).ok_or_else(|| StoreError::NotFound(path.to_owned()))?;
        Ok(Box::new(Cursor::new(bytes)))
    }
}

/// A copy with all times moved; none where there is no time.
fn shifted(bytes: &[u8], delta: TimeDelta) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'T', bytes.get(at..)?) {
        let t = at + found;
        at = t + 1;
        let Some(start) = t.checked_sub(10) else { continue };
        let Some(text) = bytes.get(start..start + TIME_LEN) else { break };
        let Some(moved) = moved(text, delta) else { continue };
        out.get_or_insert_with(|| bytes.to_vec())[start..start + TIME_LEN].copy_from_slice(&moved);
        at = start + TIME_LEN;
    }
    out
}

/// `2026-11-21T06:32:42` moved; none where the bytes are no time.
fn moved(text: &[u8], delta: TimeDelta) -> Option<[u8; TIME_LEN]> {
    const FORMAT: &str = "%Y-%m-%dT%H:%M:%S";
    let shape = text.iter().enumerate().all(|(i, byte)| match i {
        4 | 7 => *byte == b'-',
        10 => *byte == b'T',
        13 | 16 => *byte == b':',
        _ => byte.is_ascii_digit(),
    });
    let text = shape.then(|| std::str::from_utf8(text).ok()).flatten()?;
    let moved = NaiveDateTime::parse_from_str(text, FORMAT).ok()?.checked_add_signed(delta)?;
    moved.format(FORMAT).to_string().as_bytes().try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn store(files: &[(&str, &str)]) -> MemStore {
        let mut store = MemStore::new();
        for (path, text) in files {
            store.insert(*path, text.as_bytes());
        }
        store
    }

    #[test]
    fn it_is_a_store() {
        let mut all = store(&[("b/x", "1"), ("a", "22"), ("b/y", "")]);
        let paths: Vec<&str> = all.entries().iter().map(|e| e.path.as_str()).collect();
        assert_eq!(paths, ["a", "b/x", "b/y"]);
        assert_eq!(all.read("a", 1).unwrap(), b"2");
        assert!(all.contains("b/y") && !all.contains("b"));
        assert!(matches!(all.open("c").err(), Some(StoreError::NotFound(_))));
        all.insert("b/x", &b"333"[..]);
        all.insert("0", &b""[..]);
        let sizes: Vec<(&str, u64)> = all.entries().iter().map(|e| (e.path.as_str(), e.size)).collect();
        assert_eq!(sizes, [("0", 0), ("a", 2), ("b/x", 3), ("b/y", 0)]);
        let below = MemStore::below(&all, "b/").unwrap();
        assert_eq!(below.entries().len(), 2);
        assert!(all.remove("a") && !all.remove("a") && !all.contains("a"));
    }

    #[test]
    fn archives_are_unpacked() {
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        header.set_mode(0o644);
        tar.append_data(&mut header, "d/f", &b"hi"[..]).unwrap();
        let archive = tar.into_inner().unwrap().finish().unwrap();
        let store = MemStore::from_tar_gz("blob", &archive).unwrap();
        assert_eq!(store.get("d/f"), Some(&b"hi"[..]));
        assert!(matches!(MemStore::from_tar_gz("blob", b"nonsense").err(), Some(StoreError::Malformed { .. })));
    }

    #[test]
    fn times_move_and_nothing_else_does() {
        let mut all = store(&[
            ("log", "2026-11-21T06:32:42.000123Z  INFO T2026 x\n{\"at\":\"2026-12-31T23:59:59Z\"}"),
            ("none", "To THE 2026-13-41T06:32:42Z 026-11-21T06:32:42Z"),
        ]);
        all.shift_times(TimeDelta::seconds(3601));
        assert_eq!(
            all.get("log").unwrap(),
            b"2026-11-21T07:32:43.000123Z  INFO T2026 x\n{\"at\":\"2027-01-01T01:00:00Z\"}"
        );
        assert_eq!(all.get("none").unwrap(), b"To THE 2026-13-41T06:32:42Z 026-11-21T06:32:42Z");
    }

    proptest! {
        #[test]
        fn moving_there_and_back_changes_nothing(text in "([T0-9:-]|2026-11-2[0-9]T06:3[0-9]:42Z?){0,60}", by in -100_000_000_i64..100_000_000) {
            let mut all = store(&[("f", &text)]);
            all.shift_times(TimeDelta::seconds(by));
            prop_assert_eq!(all.get("f").unwrap().len(), text.len());
            all.shift_times(TimeDelta::seconds(-by));
            prop_assert_eq!(all.get("f").unwrap(), text.as_bytes());
        }
    }
}
