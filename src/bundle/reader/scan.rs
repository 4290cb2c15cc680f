//! One pass over a whole archive, for archives without an index and for checking the index of one that has it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use super::Limits;
use super::members::{FileSource, Members, Source};
use super::walk::{Found, Problems, Walk};
use crate::bundle::format::INDEX;
use crate::bundle::layout;

/// Entries that begin deeper in their member than this are copied to a temporary file during the pass, because
/// reading each of them again from the member's beginning would cost the square of the archive.
const DEEP: u64 = 1 << 20;

/// What the pass found.
pub(super) struct Scan {
    /// Plain files with safe names, each name once, sorted by path below the top directory.
    pub(super) files: Vec<Scanned>,
    pub(super) problems: Vec<String>,
    /// Copies of deep entries.
    pub(super) cache: Option<Arc<dyn Source>>,
}

/// One file.
pub(super) struct Scanned {
    /// Path below the top directory.
    pub(super) path: String,
    /// Bytes that can be read: fewer than the header says when the archive was cut off here.
    pub(super) size: u64,
    pub(super) found: Found,
    /// Where in the cache the content lies.
    pub(super) cached: Option<u64>,
}

/// Reads a whole archive. Whatever is damaged ends up in the problems; what can be read is read.
pub(super) fn scan(source: &Arc<dyn Source>, limits: &Limits, mut problems: Problems) -> Scan {
    let mut walk = Walk::new(Members::at(Arc::clone(source), 0, limits));
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    let mut cache: Option<(File, u64)> = None;
    let mut total = 0_u64;
    loop {
        let found = match walk.next() {
            Ok(Some(found)) => found,
            Ok(None) => break,
            Err(error) => {
                walk.problems.note(format!("reading stopped after {} files: {error}", files.len()));
                break;
            }
        };
        total = total.saturating_add(found.size);
        let limit = if files.len() >= limits.entries {
            Some(format!("it has more than {} files", limits.entries))
        } else if found.size > limits.entry {
            Some(format!("{} has {} bytes", found.path, found.size))
        } else if total > limits.total {
            Some(format!("it has more than {} bytes", limits.total))
        } else {
            None
        };
        if let Some(limit) = limit {
            walk.problems.note(format!("reading stopped after {} files, because {limit}", files.len()));
            break;
        }
        if !seen.insert(found.path.clone()) {
            walk.problems.note(format!("{} is there twice; the first one counts", found.path));
            continue;
        }
        let deep = found.offset > DEEP;
        let (size, cached, error) = take(&mut walk, &found, deep, &mut cache);
        let cut = size < found.size;
        if cut {
            let cause = error.map_or_else(|| "the archive was cut off".to_owned(), |e| e.to_string());
            walk.problems.note(format!(
                "{}: only {size} of {} bytes can be read, and nothing behind it: {cause}",
                found.path, found.size
            ));
        }
        files.push(Scanned { path: found.path.clone(), size, found, cached });
        if cut {
            break;
        }
    }
    for problem in walk.problems.0 {
        problems.note(problem);
    }
    if let Some(top) = top_of(files.iter().map(|f| f.found.path.as_str())) {
        for file in &mut files {
            file.path.drain(..=top);
        }
    }
    files.retain(|file| file.path != INDEX);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let cache = cache.and_then(|(file, _)| FileSource::new(file).ok()).map(|s| Arc::new(s) as Arc<dyn Source>);
    Scan { files, problems: problems.0, cache }
}

/// Reads the content of one entry: how much there is, and where it was copied to.
fn take(
    walk: &mut Walk,
    found: &Found,
    deep: bool,
    cache: &mut Option<(File, u64)>,
) -> (u64, Option<u64>, Option<io::Error>) {
    if deep && cache.is_none() {
        // Has no name and is gone with the process. Without it, reading is slow but right.
        *cache = tempfile::tempfile().ok().map(|file| (file, 0));
    }
    let mut content = walk.content(found.size);
    let mut buffer = vec![0; 32 << 10];
    let mut size = 0;
    let mut copy = if deep { cache.as_mut() } else { None };
    let at = copy.as_ref().map(|(_, len)| *len);
    let mut copied = copy.is_some();
    let error = loop {
        match content.read(&mut buffer) {
            Ok(0) => break None,
            Ok(n) => {
                size += n as u64;
                if let Some((file, len)) = copy.as_mut().filter(|_| copied) {
                    copied = file.seek(SeekFrom::Start(*len)).and_then(|_| file.write_all(&buffer[..n])).is_ok();
                    *len += n as u64;
                }
            }
            Err(error) => break Some(error),
        }
    };
    (size, at.filter(|_| copied), error)
}

/// Length of the one top directory that all paths share, unless it is a directory that bundles have below it.
fn top_of<'a>(paths: impl Iterator<Item = &'a str>) -> Option<usize> {
    let mut top: Option<&str> = None;
    for path in paths {
        let (first, _) = path.split_once('/')?;
        if *top.get_or_insert(first) != first || layout::is_inner(first) {
            return None;
        }
    }
    top.map(str::len)
}
