//! Reads an archive, assuming the worst about who made it.

mod members;
mod scan;
mod walk;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use super::format::{self, FINAL_LEN, INDEX, Index, SHARED_MEMBER};
use super::store::{Entry, Store, StoreError};

pub use members::Source;

use members::{FileSource, Members, bad};
use scan::{Scan, scan};
pub(super) use walk::safe;
use walk::{Found, Problems, Walk};

/// An index larger than this is not one of ours.
const INDEX_MAX: u64 = 64 << 20;
/// A header of ours is never deeper in a member than this.
const OFFSET_MAX: u64 = 2 * SHARED_MEMBER as u64;

/// Limits against hostile archives.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Files in the archive.
    pub entries: usize,
    /// Bytes of one file.
    pub entry: u64,
    /// Bytes of all files.
    pub total: u64,
    /// How many times larger than compressed the content may be, once it has `ratio_floor` bytes.
    pub ratio: u64,
    /// Bytes from which on `ratio` holds.
    pub ratio_floor: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // One line repeated without end compresses about 1000 times; logs that are worth reading compress 10 to 50 times.
        Self { entries: 200_000, entry: 16 << 30, total: 256 << 30, ratio: 600, ratio_floor: 256 << 20 }
    }
}

/// A bundle in a `tar.gz`. With an index, reading one file costs one file; without one, opening costs one pass.
pub struct ArchiveStore {
    source: Arc<dyn Source>,
    shown: String,
    limits: Limits,
    /// Sorted by path; `places` has the same order.
    entries: Vec<Entry>,
    places: Vec<Place>,
    problems: Vec<String>,
    /// The top directory that the index names; none when there is no index in use.
    top: Option<String>,
    /// The pass over the whole archive: made at opening when there is no index, or later when the index lies.
    scan: OnceLock<Scan>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    member: u64,
    offset: u64,
}

/// The part of the index that reading needs.
#[derive(Deserialize)]
struct Lookup {
    version: u32,
    top: String,
    entries: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    path: String,
    size: u64,
    member: u64,
    #[serde(default)]
    offset: u64,
}

impl ArchiveStore {
    /// Opens an archive.
    ///
    /// # Errors
    /// When the file cannot be read or is not gzip, or nothing in it can be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let shown = path.display().to_string();
        let file = File::open(path).and_then(FileSource::new);
        let source = file.map_err(|source| StoreError::Io { path: shown.clone(), source })?;
        Self::from_source(Arc::new(source), &shown, Limits::default())
    }

    /// Opens an archive from any source; `shown` names it in errors.
    ///
    /// # Errors
    /// As [`ArchiveStore::open`].
    pub fn from_source(source: Arc<dyn Source>, shown: &str, limits: Limits) -> Result<Self, StoreError> {
        let malformed = |reason: &str| StoreError::Malformed { path: shown.to_owned(), reason: reason.to_owned() };
        let mut magic = [0; 2];
        let n = source.read_at(&mut magic, 0).map_err(|source| StoreError::Io { path: shown.to_owned(), source })?;
        if n == 0 {
            return Err(malformed("the file is empty"));
        }
        if magic[..n] != [0x1f, 0x8b] {
            return Err(malformed("it is not gzip; a bundle is a .tar.gz or the directory that it unpacks to"));
        }
        let mut store = Self {
            source,
            shown: shown.to_owned(),
            limits,
            entries: Vec::new(),
            places: Vec::new(),
            problems: Vec::new(),
            top: None,
            scan: OnceLock::new(),
        };
        match store.load_index() {
            Ok(Some(index)) => store.adopt(index),
            Ok(None) => store.adopt_scan(),
            Err(error) => {
                store.problems.push(format!("the index cannot be used: {error}"));
                store.adopt_scan();
            }
        }
        if store.entries.is_empty() {
            let reason = store.problems().first().map_or("it holds no files", String::as_str);
            return Err(malformed(&format!("nothing in it can be read: {reason}")));
        }
        Ok(store)
    }

    /// Whether the archive has an index that is in use.
    #[must_use]
    pub fn has_index(&self) -> bool {
        self.top.is_some()
    }

    fn load_index(&self) -> io::Result<Option<Lookup>> {
        let Some(at) = self.index_at()? else { return Ok(None) };
        let index: Lookup =
            serde_json::from_slice(&self.index_bytes(at)?).map_err(|_| bad("it is not the JSON that it should be"))?;
        if index.version > format::INDEX_VERSION {
            return Ok(None);
        }
        if index.entries.len() > self.limits.entries {
            return Err(bad("it names too many files"));
        }
        let is_name = |name: &str| safe(name.as_bytes()).as_deref() == Some(name);
        if !is_name(&index.top) || index.top.contains('/') {
            return Err(bad("its top directory is not a name"));
        }
        let mut total = 0_u64;
        for row in &index.entries {
            total = total.saturating_add(row.size);
            let sound =
                is_name(&row.path) && row.size <= self.limits.entry && row.member < at && row.offset <= OFFSET_MAX;
            if !sound {
                return Err(bad("it names a place outside of the archive, or an unsafe path"));
            }
        }
        if total > self.limits.total {
            return Err(bad("the sizes in it are too large"));
        }
        if index.entries.windows(2).any(|pair| pair[0].path >= pair[1].path) {
            return Err(bad("it is not sorted, or names a file twice"));
        }
        Ok(Some(index))
    }

    /// Where the final member says that the index is.
    fn index_at(&self) -> io::Result<Option<u64>> {
        let Some(from) = self.source.size().checked_sub(FINAL_LEN as u64) else { return Ok(None) };
        let mut tail = Vec::new();
        let mut buffer = [0; FINAL_LEN];
        while tail.len() < FINAL_LEN {
            let n = self.source.read_at(&mut buffer[tail.len()..], from + tail.len() as u64)?;
            if n == 0 {
                return Ok(None);
            }
            let so_far = tail.len();
            tail.extend_from_slice(&buffer[so_far..so_far + n]);
        }
        match format::index_offset(&tail) {
            Some(at) if at < from => Ok(Some(at)),
            Some(_) => Err(bad("it should be behind the end of the archive")),
            None => Ok(None),
        }
    }

    fn index_bytes(&self, at: u64) -> io::Result<Vec<u8>> {
        let mut walk = self.walk(at);
        let found = walk.next()?.ok_or_else(|| bad("there is nothing where it should be"))?;
        if found.path.rsplit('/').next() != Some(INDEX) || found.size > INDEX_MAX {
            return Err(bad("another file is where it should be"));
        }
        let mut bytes = Vec::new();
        walk.content(found.size).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn walk(&self, member: u64) -> Walk {
        Walk::new(Members::at(Arc::clone(&self.source), member, &self.limits))
    }

    fn adopt(&mut self, index: Lookup) {
        for row in index.entries {
            self.entries.push(Entry { path: row.path, size: row.size });
            self.places.push(Place { member: row.member, offset: row.offset });
        }
        self.top = Some(index.top);
    }

    fn adopt_scan(&mut self) {
        let problems = Problems(std::mem::take(&mut self.problems));
        let scan = scan(&self.source, &self.limits, problems);
        self.entries = scan.files.iter().map(|f| Entry { path: f.path.clone(), size: f.size }).collect();
        let _ = self.scan.set(scan);
    }

    /// The pass over the whole archive, made when it is first needed.
    fn scanned(&self, why: impl FnOnce() -> Option<String>) -> &Scan {
        self.scan.get_or_init(|| {
            let mut problems = Problems(self.problems.clone());
            if let Some(why) = why() {
                problems.note(why);
            }
            scan(&self.source, &self.limits, problems)
        })
    }

    /// Opens a file where the index says that it is; the tar header there must agree.
    fn open_at(&self, top: &str, entry: &Entry, place: Place) -> io::Result<Content> {
        let mut walk = self.walk(place.member);
        if walk.members.skip(place.offset)? < place.offset {
            return Err(bad("the archive ends before it"));
        }
        let found = walk.next()?;
        let full = format!("{top}/{}", entry.path);
        match found {
            Some(Found { path, size, .. }) if path == full && size == entry.size => {
                Ok(Content { reader: Box::new(walk.members), left: size, check: true })
            }
            _ => Err(bad("another file is there")),
        }
    }

    fn open_scanned(&self, scan: &Scan, path: &str) -> Result<Content, StoreError> {
        let at = scan
            .files
            .binary_search_by(|f| f.path.as_str().cmp(path))
            .map_err(|_| self.malformed(&format!("its index names {path}, which is not in the archive")))?;
        let file = &scan.files[at];
        if let (Some(offset), Some(cache)) = (file.cached, &scan.cache) {
            let reader = CacheReader { source: Arc::clone(cache), at: offset };
            return Ok(Content { reader: Box::new(reader), left: file.size, check: false });
        }
        let io = |source| StoreError::Io { path: format!("{path} in {}", self.shown), source };
        let mut walk = self.walk(file.found.member);
        walk.members.skip(file.found.offset).map_err(io)?;
        match walk.next().map_err(io)? {
            Some(found) if found.path == file.found.path => {
                Ok(Content { reader: Box::new(walk.members), left: file.size, check: false })
            }
            _ => Err(self.malformed("it changed while it was read")),
        }
    }

    fn malformed(&self, reason: &str) -> StoreError {
        StoreError::Malformed { path: self.shown.clone(), reason: reason.to_owned() }
    }

    /// Reads the whole archive once and compares what is there with the index. Empty when they agree, or when there is
    /// no index.
    #[must_use]
    pub fn check_index(&self) -> Vec<String> {
        let Some(top) = &self.top else { return Vec::new() };
        let scan = self.scanned(|| None);
        let mut wrong = Problems::default();
        for (entry, place) in self.entries.iter().zip(&self.places) {
            match scan.files.binary_search_by(|f| f.path.cmp(&entry.path)) {
                Err(_) => wrong.note(format!("the index names {}, which is not in the archive", entry.path)),
                Ok(at) => {
                    let found = &scan.files[at].found;
                    let agrees = found.size == entry.size
                        && (found.member, found.offset) == (place.member, place.offset)
                        && found.path.strip_prefix(top.as_str()).and_then(|p| p.strip_prefix('/')) == Some(&entry.path);
                    if !agrees {
                        wrong.note(format!("the index is wrong about {}", entry.path));
                    }
                }
            }
        }
        for path in self.wrong_data().unwrap_or_else(|error| vec![format!("the rest of the index ({error})")]) {
            wrong.note(format!("the index is wrong about the members of {path}"));
        }
        for file in &scan.files {
            if !self.contains(&file.path) {
                wrong.note(format!("{} is in the archive but not in the index", file.path));
            }
        }
        wrong.0
    }
}

impl ArchiveStore {
    /// Paths for which the index names content members that are no members. Reading does not use these offsets, but
    /// other readers may.
    fn wrong_data(&self) -> io::Result<Vec<String>> {
        let Some(at) = self.index_at()? else { return Ok(Vec::new()) };
        let index: Index =
            serde_json::from_slice(&self.index_bytes(at)?).map_err(|_| bad("it is not the JSON that it should be"))?;
        let is_member = |offset: u64| -> io::Result<bool> {
            let mut magic = [0; 3];
            Ok(self.source.read_at(&mut magic, offset)? == 3 && magic == [0x1f, 0x8b, 8])
        };
        let mut wrong = Vec::new();
        for entry in index.entries {
            let mut last = entry.member;
            for offset in entry.data {
                if offset <= last || offset >= at || !is_member(offset)? {
                    wrong.push(entry.path);
                    break;
                }
                last = offset;
            }
        }
        Ok(wrong)
    }
}

impl Store for ArchiveStore {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, StoreError> {
        let at = self
            .entries
            .binary_search_by(|e| e.path.as_str().cmp(path))
            .map_err(|_| StoreError::NotFound(path.to_owned()))?;
        if let (Some(top), Some(place)) = (&self.top, self.places.get(at)) {
            match self.open_at(top, &self.entries[at], *place) {
                Ok(content) => return Ok(Box::new(content)),
                Err(error) => {
                    let why = || {
                        Some(format!("the index is wrong about {path} ({error}); the whole archive was read instead"))
                    };
                    return Ok(Box::new(self.open_scanned(self.scanned(why), path)?));
                }
            }
        }
        Ok(Box::new(self.open_scanned(self.scanned(|| None), path)?))
    }

    fn problems(&self) -> &[String] {
        self.scan.get().map_or(&self.problems, |scan| &scan.problems)
    }
}

/// The content of one file. An archive that ends early is an error, not a short file.
struct Content {
    reader: Box<dyn Read + Send>,
    left: u64,
    /// Whether the byte behind the content is read, too: that lets the decoder check the checksum of a member that ends
    /// here. An archive that was cut off right here must not lose the file for that.
    check: bool,
}

impl Read for Content {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        if want == 0 {
            if self.left == 0 && std::mem::take(&mut self.check) {
                self.reader.read_exact(&mut [0])?;
            }
            return Ok(0);
        }
        let n = self.reader.read(&mut buf[..want])?;
        if n == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive was cut off inside of this file"));
        }
        self.left -= n as u64;
        Ok(n)
    }
}

struct CacheReader {
    source: Arc<dyn Source>,
    at: u64,
}

impl Read for CacheReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read_at(buf, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}
