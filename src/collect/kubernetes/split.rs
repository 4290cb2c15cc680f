//! Takes a list apart while it arrives, so that a page of any size costs the memory of its largest object.
//!
//! The splitter knows just enough JSON to find the elements of the array `items` or `rows` at the top of a document;
//! whether an element is valid is for others to judge.

/// Largest element that is kept; etcd refuses objects far smaller than this.
const ELEMENT_MAX: usize = 16 << 20;
/// Largest rest of the document.
const ENVELOPE_MAX: usize = 4 << 20;
/// Longest key that can be one of the two.
const KEY_MAX: usize = 16;

/// Why a document is not a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SplitError {
    /// It does not begin as an object, or its brackets do not match.
    #[error("the answer is not JSON")]
    NotJson,
    /// It ended too early.
    #[error("the answer broke off")]
    BrokeOff,
    /// Everything but the elements is larger than any server sends.
    #[error("the head of the answer is too large")]
    TooLarge,
}

/// Which array the elements were in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Array {
    /// `items` of a list.
    Items,
    /// `rows` of a table.
    Rows,
}

/// The rest of the document, with the array empty.
pub(super) struct Envelope {
    pub(super) json: Vec<u8>,
    /// Elements that were too large to keep.
    pub(super) oversized: usize,
}

/// Who takes the elements.
type Emit<'a, E> = &'a mut dyn FnMut(Array, &[u8]) -> Result<(), E>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before, around and behind the array.
    Around,
    /// In the array, between elements.
    Between,
    /// In an element.
    Inside,
}

/// The state between two pieces.
pub(super) struct Splitter {
    place: Place,
    array: Option<Array>,
    /// Open brackets, the document's own included.
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Whether the next string at depth 1 is a key.
    key_next: bool,
    in_key: bool,
    key: Vec<u8>,
    envelope: Vec<u8>,
    element: Vec<u8>,
    skipping: bool,
    oversized: usize,
    done: bool,
}

impl Splitter {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Around,
            array: None,
            depth: 0,
            in_string: false,
            escaped: false,
            key_next: false,
            in_key: false,
            key: Vec::new(),
            envelope: Vec::new(),
            element: Vec::new(),
            skipping: false,
            oversized: 0,
            done: false,
        }
    }

    /// Takes a piece and calls `emit` for each element that ends in it.
    pub(super) fn push<E: From<SplitError>>(&mut self, piece: &[u8], emit: Emit<'_, E>) -> Result<(), E> {
        let mut at = 0;
        while at < piece.len() {
            if self.in_string {
                at += self.string(&piece[at..])?;
            } else {
                self.byte(piece[at], emit)?;
                at += 1;
            }
        }
        Ok(())
    }

    /// Takes the part of a string up to its end, the next escape or the end of the piece; gives its length.
    fn string(&mut self, piece: &[u8]) -> Result<usize, SplitError> {
        if self.escaped {
            self.escaped = false;
            self.keep(&piece[..1])?;
            return Ok(1);
        }
        let (taken, stop) = match memchr::memchr2(b'"', b'\\', piece) {
            Some(at) => (at + 1, Some(piece[at])),
            None => (piece.len(), None),
        };
        self.keep(&piece[..taken])?;
        if self.in_key && self.key.len() <= KEY_MAX {
            let text = &piece[..taken - usize::from(stop == Some(b'"'))];
            self.key.extend_from_slice(&text[..text.len().min(KEY_MAX + 1)]);
        }
        match stop {
            Some(b'"') => {
                self.in_string = false;
                self.in_key = false;
            }
            Some(_) => self.escaped = true,
            None => {}
        }
        Ok(taken)
    }

    /// Takes one byte outside of strings.
    fn byte<E: From<SplitError>>(&mut self, byte: u8, emit: Emit<'_, E>) -> Result<(), E> {
        let blank = byte.is_ascii_whitespace();
        if self.depth == 0 {
            return match byte {
                _ if blank => Ok(()),
                b'{' if !self.done => {
                    self.depth = 1;
                    self.key_next = true;
                    Ok(self.keep(&[byte])?)
                }
                _ => Err(SplitError::NotJson.into()),
            };
        }
        match self.place {
            Place::Around => self.around(byte)?,
            Place::Between if blank || byte == b',' => {}
            Place::Between if byte == b']' => {
                self.place = Place::Around;
                self.depth -= 1;
                self.keep(&[byte])?;
            }
            Place::Between => {
                self.place = Place::Inside;
                self.inside(byte, emit)?;
            }
            Place::Inside => self.inside(byte, emit)?,
        }
        Ok(())
    }

    fn around(&mut self, byte: u8) -> Result<(), SplitError> {
        self.keep(&[byte])?;
        match byte {
            b'"' => {
                self.in_string = true;
                if self.depth == 1 && self.key_next {
                    self.in_key = true;
                    self.key_next = false;
                    self.key.clear();
                }
            }
            b',' if self.depth == 1 => self.key_next = true,
            b'{' => self.depth += 1,
            b'[' => {
                let named = match self.key.as_slice() {
                    b"items" => Some(Array::Items),
                    b"rows" => Some(Array::Rows),
                    _ => None,
                };
                if self.depth == 1 && self.array.is_none() && named.is_some() {
                    self.array = named;
                    self.place = Place::Between;
                }
                self.depth += 1;
            }
            b'}' | b']' => {
                self.depth -= 1;
                self.done = self.depth == 0;
            }
            _ => {}
        }
        Ok(())
    }

    fn inside<E: From<SplitError>>(&mut self, byte: u8, emit: Emit<'_, E>) -> Result<(), E> {
        match byte {
            // A scalar has no bracket of its own; the next comma or the array's end ends it.
            b',' | b']' if self.depth == 2 => {
                self.emit(emit)?;
                return self.byte(byte, emit);
            }
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        // A closing bracket too many would end the list early and hide what follows.
        if self.depth < 2 {
            return Err(SplitError::NotJson.into());
        }
        self.keep(&[byte])?;
        if self.depth == 2 && matches!(byte, b'}' | b']') {
            self.emit(emit)?;
        }
        Ok(())
    }

    fn emit<E>(&mut self, emit: Emit<'_, E>) -> Result<(), E> {
        self.place = Place::Between;
        let result = if std::mem::take(&mut self.skipping) {
            self.oversized += 1;
            Ok(())
        } else {
            emit(self.array.unwrap_or(Array::Items), &self.element)
        };
        self.element.clear();
        // One huge object must not keep its memory for the rest of the list.
        self.element.shrink_to(1 << 20);
        result
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), SplitError> {
        if self.place == Place::Inside {
            if self.element.len() + bytes.len() > ELEMENT_MAX {
                self.skipping = true;
                self.element.clear();
            }
            if !self.skipping {
                self.element.extend_from_slice(bytes);
            }
            return Ok(());
        }
        if self.envelope.len() + bytes.len() > ENVELOPE_MAX {
            return Err(SplitError::TooLarge);
        }
        self.envelope.extend_from_slice(bytes);
        Ok(())
    }

    /// Ends the document.
    pub(super) fn finish(self) -> Result<Envelope, SplitError> {
        if self.done {
            return Ok(Envelope { json: self.envelope, oversized: self.oversized });
        }
        Err(SplitError::BrokeOff)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Parts = (Vec<String>, String);

    fn split(pieces: &[&[u8]]) -> Result<Parts, SplitError> {
        let mut elements = Vec::new();
        let mut splitter = Splitter::new();
        for piece in pieces {
            splitter.push::<SplitError>(piece, &mut |_, element| {
                elements.push(String::from_utf8_lossy(element).into_owned());
                Ok(())
            })?;
        }
        let envelope = splitter.finish()?;
        Ok((elements, String::from_utf8_lossy(&envelope.json).into_owned()))
    }

    #[test]
    fn elements_and_the_rest_come_apart() {
        let text = br#" {"kind":"L","x":["items",{"items":[1]}],"items":[ {"a":"]}\"[{"} , {"b":[1,{}]},3 ,"s,]"],"metadata":{"continue":"t"}} "#;
        let (elements, rest) = split(&[text]).unwrap();
        assert_eq!(elements, [r#"{"a":"]}\"[{"}"#, r#"{"b":[1,{}]}"#, "3 ", r#""s,]""#]);
        assert_eq!(rest, r#"{"kind":"L","x":["items",{"items":[1]}],"items":[],"metadata":{"continue":"t"}}"#);
    }

    #[test]
    fn what_is_not_a_list_is_refused() {
        assert_eq!(split(&[b"<html>"]).unwrap_err(), SplitError::NotJson);
        assert_eq!(split(&[b"[1]"]).unwrap_err(), SplitError::NotJson);
        assert_eq!(split(&[b"{\"items\":[{\"a\":1}"]).unwrap_err(), SplitError::BrokeOff);
        assert_eq!(split(&[b""]).unwrap_err(), SplitError::BrokeOff);
        assert_eq!(split(&[b"{}{}"]).unwrap_err(), SplitError::NotJson);
        assert_eq!(split(&[b"{\"items\":[{}}"]).unwrap_err(), SplitError::NotJson);
    }

    #[test]
    fn one_element_too_large_costs_that_element() {
        let mut splitter = Splitter::new();
        let mut count = 0;
        let mut emit = |_: Array, _: &[u8]| -> Result<(), SplitError> {
            count += 1;
            Ok(())
        };
        splitter.push(b"{\"items\":[{\"a\":1},{\"big\":\"", &mut emit).unwrap();
        for _ in 0..17 {
            splitter.push(&vec![b'x'; 1 << 20], &mut emit).unwrap();
        }
        splitter.push(b"\"},{\"b\":2}]}", &mut emit).unwrap();
        assert_eq!(splitter.finish().unwrap().oversized, 1);
        assert_eq!(count, 2);
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_the_pieces(values in proptest::collection::vec(any::<String>(), 0..5), cut in 0_usize..200) {
            let items: Vec<serde_json::Value> = values.iter().map(|v| serde_json::json!({"v": v, "n": [{}]})).collect();
            let text = serde_json::json!({"kind": "List", "items": items, "metadata": {}}).to_string();
            let cut = cut.min(text.len());
            let whole = split(&[text.as_bytes()]).unwrap();
            let halves = split(&[&text.as_bytes()[..cut], &text.as_bytes()[cut..]]).unwrap();
            prop_assert_eq!(&whole, &halves);
            let back: Vec<serde_json::Value> = whole.0.iter().map(|e| serde_json::from_str(e).unwrap()).collect();
            prop_assert_eq!(back, items);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'{'), Just(b'['), Just(b'"'), Just(b']'), Just(b'}'), Just(b',')], 0..200)) {
            let mut text = b"{\"items\":[".to_vec();
            text.extend(&bytes);
            let _ = split(&[&text]);
            let _ = split(&[&bytes]);
        }
    }
}
