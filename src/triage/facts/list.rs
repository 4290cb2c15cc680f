//! Splits a list of Kubernetes objects into its objects without decoding the list.
//!
//! A decoder for the whole document would lose every object behind the first broken byte and would hold the list in
//! memory. This scanner only counts brackets outside of strings, so that one broken object costs one object.

use std::io::Read;

use memchr::memchr2;

use crate::triage::finding::Place;

/// Bytes of one object that are read; a larger one is skipped.
pub(super) const OBJECT_MAX: usize = 16 << 20;
const CHUNK: usize = 64 << 10;
/// Keys of the root object that are longer cannot be `items`.
const KEY_MAX: usize = 16;

/// How a list ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With its closing bracket.
    Closed,
    /// There is no array of objects in the document.
    NoList,
    /// In the middle.
    CutOff,
}

/// Calls `each` with place and bytes of every object: the elements of the root array, or of the root object's
/// `items`. The bytes are none where the object is larger than [`OBJECT_MAX`].
///
/// # Errors
/// What reading meets.
pub(super) fn split(
    mut reader: impl Read,
    each: &mut dyn FnMut(Place, Option<&[u8]>),
) -> Result<Ending, std::io::Error> {
    let mut scanner = Scanner::new();
    let mut chunk = vec![0_u8; CHUNK];
    loop {
        let read = match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        scanner.feed(&chunk[..read], each);
        if scanner.closed {
            return Ok(Ending::Closed);
        }
    }
    Ok(if scanner.list_depth.is_some() || scanner.depth > 0 && !scanner.ended {
        Ending::CutOff
    } else {
        Ending::NoList
    })
}

struct Scanner {
    line: u64,
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The last string at depth 1 of a root object, where it may be a key.
    key: Vec<u8>,
    /// The next value belongs to the key `items`.
    items_next: bool,
    /// Depth inside of the array of objects.
    list_depth: Option<u32>,
    index: usize,
    element: Vec<u8>,
    element_line: u64,
    inside: bool,
    oversized: bool,
    closed: bool,
    ended: bool,
}

impl Scanner {
    fn new() -> Self {
        Self {
            line: 1,
            depth: 0,
            in_string: false,
            escaped: false,
            key: Vec::new(),
            items_next: false,
            list_depth: None,
            index: 0,
            element: Vec::new(),
            element_line: 0,
            inside: false,
            oversized: false,
            closed: false,
            ended: false,
        }
    }

    fn feed(&mut self, chunk: &[u8], each: &mut dyn FnMut(Place, Option<&[u8]>)) {
        let mut from = 0;
        let mut at = 0;
        while at < chunk.len() && !self.closed {
            if self.in_string {
                at = self.string(chunk, at);
                continue;
            }
            let byte = chunk[at];
            match byte {
                b'\n' => self.line += 1,
                b'"' => {
                    self.in_string = true;
                    self.key.clear();
                    self.items_next = false;
                }
                b':' if self.depth == 1 && self.list_depth.is_none() => self.items_next = self.key == b"items",
                b'{' | b'[' => {
                    if byte == b'[' && self.list_depth.is_none() && (self.depth == 0 || self.items_next) {
                        self.list_depth = Some(self.depth + 1);
                    } else if byte == b'{' && self.list_depth == Some(self.depth) {
                        self.inside = true;
                        self.oversized = false;
                        self.element.clear();
                        self.element_line = self.line;
                        from = at;
                    }
                    self.items_next = false;
                    self.depth += 1;
                }
                b'}' | b']' => {
                    if byte == b']' && self.list_depth == Some(self.depth) {
                        self.closed = true;
                    }
                    self.depth = self.depth.saturating_sub(1);
                    self.ended = self.depth == 0;
                    if byte == b'}' && self.inside && self.list_depth == Some(self.depth) {
                        self.keep(&chunk[from..=at]);
                        self.emit(each);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        if self.inside {
            self.keep(&chunk[from..]);
        }
    }

    /// Goes through a string from `at`; gives where to go on.
    fn string(&mut self, chunk: &[u8], mut at: usize) -> usize {
        while at < chunk.len() {
            if self.escaped {
                self.escaped = false;
                at += 1;
                continue;
            }
            let end = memchr2(b'"', b'\\', &chunk[at..]).map_or(chunk.len(), |n| at + n);
            if self.depth == 1 && self.list_depth.is_none() && self.key.len() < KEY_MAX {
                self.key.extend(chunk[at..end].iter().take(KEY_MAX));
            }
            at = end + 1;
            match chunk.get(end) {
                Some(b'"') => {
                    self.in_string = false;
                    return at;
                }
                Some(_) => self.escaped = true,
                None => return chunk.len(),
            }
        }
        chunk.len()
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.element.len() + bytes.len() > OBJECT_MAX {
            self.oversized = true;
            self.element.clear();
        }
        if !self.oversized {
            self.element.extend_from_slice(bytes);
        }
    }

    fn emit(&mut self, each: &mut dyn FnMut(Place, Option<&[u8]>)) {
        // An object that fills more than one line is easier to find by its pointer.
        let place = if self.element_line == self.line && self.line > 1 {
            Place::Line(self.line)
        } else {
            let prefix = if self.list_depth == Some(1) { "" } else { "/items" };
            Place::Pointer(format!("{prefix}/{}", self.index))
        };
        each(place, (!self.oversized).then_some(self.element.as_slice()));
        self.index += 1;
        self.inside = false;
        self.element.clear();
        self.element.shrink_to(1 << 20);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> (Vec<(Place, String)>, Ending) {
        let mut found = Vec::new();
        let ending = split(text.as_bytes(), &mut |place, bytes| {
            found.push((place, String::from_utf8_lossy(bytes.unwrap_or(b"too large")).into_owned()));
        })
        .unwrap();
        (found, ending)
    }

    #[test]
    fn one_object_a_line_gives_lines() {
        let (found, ending) = all("{\"kind\":\"PodList\",\"items\":[\n{\"a\":\"}]\"},\n{\"b\":{\"items\":[1]}}\n]}\n");
        assert_eq!(ending, Ending::Closed);
        assert_eq!(found[0], (Place::Line(2), "{\"a\":\"}]\"}".to_owned()));
        assert_eq!(found[1], (Place::Line(3), "{\"b\":{\"items\":[1]}}".to_owned()));
    }

    #[test]
    fn other_shapes_give_pointers() {
        let (found, _) = all("{\"metadata\": {\"items\": []}, \"items\": [\n {\n \"a\": \"\\\"{\" }\n]}");
        assert_eq!(found, vec![(Place::Pointer("/items/0".into()), "{\n \"a\": \"\\\"{\" }".to_owned())]);
        let (found, _) = all("[{\"a\":1},{\"b\":2}]");
        assert_eq!(found[1], (Place::Pointer("/1".into()), "{\"b\":2}".to_owned()));
    }

    #[test]
    fn endings_are_told_apart() {
        assert_eq!(all("{\"items\":null}").1, Ending::NoList);
        assert_eq!(all("").1, Ending::NoList);
        assert_eq!(all("{\"items\":[{\"a\":1},{\"b\"").1, Ending::CutOff);
        assert_eq!(all("{\"items\":[{\"a\":1},{\"b\"").0.len(), 1);
        assert_eq!(all("{\"items\":[]}").1, Ending::Closed);
    }

    proptest! {
        #[test]
        fn objects_survive_any_text(texts in proptest::collection::vec(".{0,30}", 0..8), pretty: bool) {
            let objects: Vec<serde_json::Value> = texts.iter().map(|t| serde_json::json!({"t": t, "n": [{}, t]})).collect();
            let list = serde_json::json!({"kind": "List", "items": objects});
            let text = if pretty { serde_json::to_string_pretty(&list) } else { serde_json::to_string(&list) }.unwrap();
            let (found, ending) = all(&text);
            prop_assert_eq!(ending, Ending::Closed);
            let read: Vec<serde_json::Value> = found.iter().map(|(_, t)| serde_json::from_str(t).unwrap()).collect();
            prop_assert_eq!(read, objects);
        }

        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut n = 0;
            split(bytes.as_slice(), &mut |_, _| n += 1).unwrap();
            prop_assert!(n <= bytes.len());
        }
    }
}
