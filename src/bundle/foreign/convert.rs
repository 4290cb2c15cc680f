//! Typed lists, put together from the files of another tool while they are read: one object in memory at a time.

use std::collections::HashSet;
use std::io::{self, BufReader, Read};

use serde_json::Value;

use super::kinds::Kind;
use super::stem;
use super::yaml::{self, Items, OBJECT_MAX};
use crate::bundle::store::{Store, StoreError};

/// A whole list in JSON that has to be merged with others is decoded up to this size.
const DOCUMENT_MAX: u64 = 64 << 20;
/// Objects of one list.
const OBJECTS_MAX: usize = 1_000_000;

/// A file that holds one object or a list of them. Lists sort before single objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) list: bool,
    pub(super) path: String,
}

impl Ord for Source {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (!self.list, &self.path).cmp(&(!other.list, &other.path))
    }
}

impl PartialOrd for Source {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Is told what could not be decoded.
type Note<'a> = Box<dyn Fn(String) + Send + 'a>;

/// A typed list as JSON, one object a line. An object that is in several files counts once; one that cannot be decoded
/// is left out and told.
pub(super) struct ListReader<'a> {
    store: &'a dyn Store,
    kind: &'a Kind,
    sources: std::slice::Iter<'a, Source>,
    current: Option<(&'a str, Objects<'a>)>,
    /// Namespace and name of the objects so far.
    seen: HashSet<(String, String)>,
    note: Note<'a>,
    buffer: Vec<u8>,
    at: usize,
    done: bool,
}

/// Objects of one file, one after the other.
enum Objects<'a> {
    Lines(Items<BufReader<Box<dyn Read + Send + 'a>>>),
    Decoded(std::vec::IntoIter<Value>),
}

impl<'a> ListReader<'a> {
    pub(super) fn new(store: &'a dyn Store, kind: &'a Kind, sources: &'a [Source], note: Note<'a>) -> Self {
        Self {
            store,
            kind,
            sources: sources.iter(),
            current: None,
            seen: HashSet::new(),
            note,
            buffer: Vec::new(),
            at: 0,
            done: false,
        }
    }

    /// Puts the next piece of the list into the buffer.
    fn fill(&mut self) {
        self.buffer.clear();
        self.at = 0;
        let first = self.seen.is_empty();
        let object = self.next_object();
        if first {
            let text = |key: &str| object.as_ref().and_then(|o| o.get(key)).and_then(Value::as_str);
            let kind = text("kind").or_else(|| self.kind.name()).unwrap_or_default();
            let version = text("apiVersion").map_or_else(|| self.version(), str::to_owned);
            let head = serde_json::json!({"kind": format!("{kind}List"), "apiVersion": version, "metadata": {}});
            self.buffer = head.to_string().into_bytes();
            self.buffer.pop();
            self.buffer.extend_from_slice(b",\"items\":[");
        }
        match object {
            Some(object) => {
                self.buffer.extend_from_slice(if first { b"\n" } else { b",\n" });
                self.buffer.extend_from_slice(object.to_string().as_bytes());
            }
            None => {
                self.done = true;
                self.buffer.extend_from_slice(b"\n]}\n");
            }
        }
    }

    /// The version of a kind whose objects do not say theirs: most have this one.
    fn version(&self) -> String {
        if self.kind.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", self.kind.group) }
    }

    fn next_object(&mut self) -> Option<Value> {
        while self.seen.len() < OBJECTS_MAX {
            let Some((path, objects)) = &mut self.current else {
                let source = self.sources.next()?;
                if !source.list && self.is_seen(&source.path) {
                    continue;
                }
                match self.open(source) {
                    Ok(objects) => self.current = Some((&source.path, objects)),
                    Err(reason) => (self.note)(format!("{} cannot be decoded: {reason}", source.path)),
                }
                continue;
            };
            let next = match objects {
                Objects::Lines(items) => items.next().map(|item| item.and_then(|text| yaml::decode(&text))),
                Objects::Decoded(values) => values.next().map(Ok),
            };
            let path = *path;
            match next.map(|object| object.and_then(|o| self.accept(o))) {
                None => self.current = None,
                Some(Ok(Some(object))) => return Some(object),
                Some(Ok(None)) => {}
                Some(Err(reason)) => (self.note)(format!("an object of {path} cannot be decoded: {reason}")),
            }
        }
        (self.note)(format!("only the first {OBJECTS_MAX} objects were read"));
        None
    }

    /// Whether the object of a file is known from a list, by the file's name.
    fn is_seen(&self, path: &str) -> bool {
        let Some(name) = path.rsplit('/').next().and_then(stem) else { return false };
        let Some(namespace) = &self.kind.namespace else { return false };
        self.seen.contains(&(namespace.clone(), name.to_owned()))
    }

    fn open(&self, source: &'a Source) -> Result<Objects<'a>, String> {
        let text = |e: StoreError| e.to_string();
        let reader = self.store.open(&source.path).map_err(text)?;
        let limit = if source.list { DOCUMENT_MAX } else { OBJECT_MAX as u64 };
        let value = if source.list {
            let mut reader = BufReader::with_capacity(64 << 10, reader);
            if !yaml::is_json(&mut reader).map_err(|e| e.to_string())? {
                return Ok(Objects::Lines(Items::new(reader)));
            }
            yaml::decode(&all(&mut reader, limit)?)?
        } else {
            let mut reader = reader;
            yaml::decode(&all(&mut reader, limit)?)?
        };
        let Value::Object(mut object) = value else { return Err("it is not an object".to_owned()) };
        let is_list = object.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
        let values = match object.remove("items") {
            Some(Value::Array(items)) if is_list => items,
            Some(Value::Null) | None if is_list => Vec::new(),
            Some(items) => {
                object.insert("items".to_owned(), items);
                vec![Value::Object(object)]
            }
            None => vec![Value::Object(object)],
        };
        Ok(Objects::Decoded(values.into_iter()))
    }

    /// The object, when it is one and not known yet.
    fn accept(&mut self, object: Value) -> Result<Option<Value>, String> {
        let metadata = &object["metadata"];
        let Some(name) = metadata["name"].as_str() else { return Err("it has no metadata.name".to_owned()) };
        let namespace = metadata["namespace"].as_str().or(self.kind.namespace.as_deref()).unwrap_or_default();
        Ok(self.seen.insert((namespace.to_owned(), name.to_owned())).then_some(object))
    }
}

impl Read for ListReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.buffer.len() && !self.done {
            self.fill();
        }
        let left = &self.buffer[self.at..];
        let n = left.len().min(into.len());
        into[..n].copy_from_slice(&left[..n]);
        self.at += n;
        Ok(n)
    }
}

/// Reads all of a file.
fn all(reader: &mut dyn Read, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > limit {
        return Err(format!("it is larger than {limit} bytes"));
    }
    Ok(bytes)
}

/// Bytes that [`TrimNul`] reads at once.
const CHUNK: usize = 32 << 10;

/// Leaves out one NUL at the end of a file.
pub(super) struct TrimNul<R> {
    inner: R,
    chunk: Vec<u8>,
    at: usize,
    /// What follows the chunk: only when that is nothing, the chunk's last byte is the file's.
    next: Option<Vec<u8>>,
}

impl<R: Read> TrimNul<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, chunk: Vec::new(), at: 0, next: None }
    }

    fn more(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(CHUNK);
        (&mut self.inner).take(CHUNK as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl<R: Read> Read for TrimNul<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() {
            let next = self.next.take();
            self.chunk = next.map_or_else(|| self.more(), Ok)?;
            self.at = 0;
            let next = self.more()?;
            if next.is_empty() && self.chunk.last() == Some(&0) {
                self.chunk.pop();
            }
            self.next = Some(next);
        }
        let left = &self.chunk[self.at..];
        let n = left.len().min(into.len());
        into[..n].copy_from_slice(&left[..n]);
        self.at += n;
        Ok(n)
    }
}
