//! A streaming JSON walker: values under sensitive keys, pairs of name and value in any order, data of Secrets.
//!
//! It is lenient: several documents, one a line, and broken ones are all walked as far as they make sense.

mod frame;
mod open;
mod value;

use zeroize::Zeroizing;

use super::super::RedactError;
use super::super::rules::{RuleSet, engine};
use super::super::scan::value::judge;
use super::super::scan::words::{Class, classify};
use super::super::token;
use frame::{Frame, Key, Kind};
pub(in crate::redact) use value::Found;
use value::{Pending, Value, holds_secret};

/// Deepest nesting.
const MAX_DEPTH: usize = 10_000;
/// Bytes of a value that are looked at.
const MAX_VALUE: usize = 4 << 10;
/// Bytes of the text of an annotation that is looked at; a longer one is replaced as a whole.
const MAX_ANNOTATION: usize = 128 << 10;
/// Bytes of a key that are looked at.
const MAX_KEY: usize = 256;
/// Names of closed frames whose memory is kept.
const SPARE: usize = 64;

#[derive(Clone, Copy)]
enum State {
    Between,
    Text { start: u64, escaped: bool, key: bool },
    Literal { start: u64 },
}

/// The walker. Feed it all bytes in order.
pub(in crate::redact) struct Walker {
    offset: u64,
    stack: Vec<Frame>,
    expect_key: bool,
    state: State,
    /// What was read of the string or literal that is open, as far as it matters.
    text: Zeroizing<Vec<u8>>,
    found: Vec<Found>,
    /// A value behind which nothing has come yet that ends it, and which may be the next key. What stands behind a value without
    /// a comma belongs to the same key.
    current: Option<Pending>,
    /// A colon stood here, and nothing behind it yet.
    expect_value: bool,
    /// Something stood here that is no JSON. What follows is left to the byte engine up to the end of the line.
    lost: bool,
    /// Names of closed frames, to be used again.
    spare: Vec<Vec<u8>>,
    next_expiry: u64,
}

impl Walker {
    pub(in crate::redact) fn new() -> Self {
        Self {
            offset: 0,
            stack: Vec::new(),
            expect_key: false,
            state: State::Between,
            text: Zeroizing::default(),
            found: Vec::new(),
            current: None,
            expect_value: false,
            lost: false,
            spare: Vec::new(),
            next_expiry: 0,
        }
    }

    /// Takes the next bytes.
    pub(in crate::redact) fn feed(&mut self, set: &RuleSet, bytes: &[u8]) -> Result<(), RedactError> {
        let mut at = 0;
        while at < bytes.len() {
            at += match self.state {
                State::Between => self.between(set, &bytes[at..])?,
                State::Text { .. } => self.inside(set, &bytes[at..]),
                State::Literal { .. } => self.literal(set, &bytes[at..]),
            };
        }
        Ok(())
    }

    /// Values that are now known to be secret.
    pub(in crate::redact) fn take(&mut self) -> std::vec::Drain<'_, Found> {
        self.found.drain(..)
    }

    /// The first byte that must not be emitted yet.
    pub(in crate::redact) fn hold(&self) -> u64 {
        let mut hold = self.current.as_ref().map_or(self.offset, |open| open.start);
        for frame in &self.stack {
            for pending in frame.values.iter().chain(&frame.data) {
                hold = hold.min(pending.start);
            }
        }
        match &self.state {
            State::Text { start, key: false, .. } if self.is_interesting() => hold.min(*start),
            State::Literal { start, .. } => hold.min(*start),
            _ => hold,
        }
    }

    /// Where the string began that is open now, when it is secret.
    pub(in crate::redact) fn open_secret(&self, set: &RuleSet) -> Option<(u64, u16)> {
        let State::Text { start, key: false, .. } = self.state else { return None };
        let frame = self.stack.last()?;
        if frame.key == Key::LastApplied {
            return holds_secret(&self.text).then_some((start + 1, engine::KUBERNETES_SECRET));
        }
        let class = if frame.object { frame.key_class } else { frame.class };
        judge(set, class, &self.text).map(|rule| (start + 1, rule))
    }

    /// Ends the stream.
    pub(in crate::redact) fn finish(&mut self, set: &RuleSet) {
        if matches!(self.state, State::Literal { .. }) {
            self.end_literal(set);
        }
        if let State::Text { start, key: false, .. } = self.state {
            let text = std::mem::take(&mut self.text);
            self.end_text(set, start, false, false, &text, None);
        }
        self.flush(set);
        while !self.stack.is_empty() {
            self.close(set);
        }
    }

    fn is_interesting(&self) -> bool {
        self.stack.last().is_some_and(|f| {
            let class = if f.object { f.key_class } else { f.class };
            class != Class::Benign || f.is_data || matches!(f.key, Key::Value | Key::LastApplied)
        })
    }

    /// Goes on in a string; gives how many bytes it took, at least one.
    fn inside(&mut self, set: &RuleSet, bytes: &[u8]) -> usize {
        let State::Text { start, mut escaped, key } = self.state else { return 0 };
        let room = self.room();
        let keep = key || !self.stack.is_empty();
        let mut at = 0;
        while at < bytes.len() {
            let from = at;
            if escaped {
                at += 1;
            }
            escaped = false;
            let stop = memchr::memchr3(b'"', b'\\', b'\n', &bytes[at..]).map(|i| at + i);
            at = stop.map_or(bytes.len(), |i| if bytes[i] == b'\\' { i + 1 } else { i });
            if keep {
                push(&mut self.text, &bytes[from..at], room);
            }
            match stop.map(|i| bytes[i]) {
                None => {}
                Some(b'\\') => escaped = true,
                Some(quote) => {
                    self.offset += at as u64;
                    let text = std::mem::take(&mut self.text);
                    self.state = State::Between;
                    self.end_text(set, start, key, quote == b'"', &text, bytes.get(at + 1).copied());
                    self.text = text;
                    self.offset += 1;
                    self.expire(set);
                    return at + 1;
                }
            }
        }
        self.state = State::Text { start, escaped, key };
        self.offset += at as u64;
        at
    }

    /// Bytes of the value that is open which are looked at.
    fn room(&self) -> usize {
        match self.stack.last() {
            // It may be a key whose comma is missing.
            Some(frame) if frame.dull => MAX_KEY,
            Some(frame) if frame.key == Key::LastApplied => MAX_ANNOTATION,
            _ => MAX_VALUE,
        }
    }

    /// Goes on in a literal.
    fn literal(&mut self, set: &RuleSet, bytes: &[u8]) -> usize {
        let len = bytes.iter().take_while(|b| is_literal(**b)).count();
        let room = self.room();
        push(&mut self.text, &bytes[..len], room);
        self.offset += len as u64;
        if len < bytes.len() {
            self.end_literal(set);
        }
        len
    }

    /// Takes at least one byte between strings and literals; gives how many.
    fn between(&mut self, set: &RuleSet, bytes: &[u8]) -> Result<usize, RedactError> {
        if self.lost {
            let line_end = memchr::memchr(b'\n', bytes);
            let len = line_end.map_or(bytes.len(), |i| i + 1);
            self.lost = line_end.is_none();
            self.offset += len as u64;
            return Ok(len);
        }
        match bytes[0] {
            b'}' | b']' | b',' if self.expect_value => {
                self.expect_value = false;
                self.lose(set);
            }
            b'{' | b'[' => {
                self.flush(set);
                self.expect_value = false;
                self.open(bytes[0] == b'{')?;
            }
            b'}' | b']' => self.close(set),
            b',' => {
                self.flush(set);
                self.expect_key = self.stack.last().is_some_and(|f| f.object);
            }
            b':' => self.colon(set),
            b'"' => return Ok(self.begin_text(set, bytes)),
            b if is_literal(b) => {
                let (start, len) = (self.offset, bytes.iter().take_while(|b| is_literal(**b)).count());
                if let Some(next) = bytes.get(len) {
                    self.offset += len as u64;
                    let text = &bytes[..len.min(self.room())];
                    let value = Value { start, end: self.offset, bare: true, text };
                    self.begin(set, value, Some(*next));
                    return Ok(len + self.comma(*next));
                }
                self.text.clear();
                self.state = State::Literal { start };
                return Ok(self.literal(set, bytes));
            }
            b'\n' | b' ' | b'\t' | b'\r' => {
                let (blank, lines) = blank(bytes);
                self.offset += blank as u64;
                if lines {
                    self.flush(set);
                } else {
                    self.bound(set);
                }
                return Ok(blank);
            }
            // A mark of the byte order, and what separates documents.
            0xef | 0xbb | 0xbf | 0x1e | 0 if self.stack.is_empty() => {}
            _ => self.lose(set),
        }
        self.offset += 1;
        Ok(1)
    }

    /// At a quote. A string that ends in these bytes and has no escapes is not copied.
    fn begin_text(&mut self, set: &RuleSet, bytes: &[u8]) -> usize {
        let start = self.offset;
        let key = self.expect_key && self.stack.last().is_some_and(|f| f.object);
        let rest = &bytes[1..];
        let len = token::plain_len(rest);
        if rest.get(len) == Some(&b'"') {
            self.offset += 1 + len as u64;
            let text = &rest[..len.min(self.room())];
            let next = rest.get(len + 1).copied();
            if key {
                self.flush(set);
                self.set_key(text, false);
            } else {
                self.end_text(set, start, false, true, text, next);
            }
            self.offset += 1;
            self.expire(set);
            // What nearly always follows is seen to at once.
            return len
                + 2
                + match next {
                    Some(b':') if key && !self.expect_value => {
                        self.colon(set);
                        self.offset += 1;
                        1
                    }
                    Some(next) if !key => self.comma(next),
                    _ => 0,
                };
        }
        self.text.clear();
        self.state = State::Text { start, escaped: false, key };
        self.offset += 1;
        1
    }

    /// Takes a comma behind a value that is done with; gives how many bytes it took.
    fn comma(&mut self, next: u8) -> usize {
        let Some(frame) = self.stack.last().filter(|_| next == b',' && !self.lost) else { return 0 };
        self.expect_key = frame.object;
        self.offset += 1;
        1
    }

    fn open(&mut self, object: bool) -> Result<(), RedactError> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(RedactError::Content(format!("JSON is nested deeper than {MAX_DEPTH} levels")));
        }
        let frame = Frame::inside(self.stack.last(), object);
        self.stack.push(frame);
        self.expect_key = object;
        Ok(())
    }

    fn close(&mut self, set: &RuleSet) {
        self.flush(set);
        let Some(frame) = self.stack.pop() else { return };
        self.expect_key = false;
        if let Some(mut name) = frame.name {
            let class = if frame.values.is_empty() { Class::Benign } else { classify(&name) };
            if self.spare.len() < SPARE {
                name.clear();
                self.spare.push(name);
            }
            for value in frame.values {
                self.judged(set, class, value.value());
            }
        }
        if frame.kind == Kind::Secret {
            for value in frame.data {
                self.secret_data(set, value.value());
            }
        }
    }

    fn end_literal(&mut self, set: &RuleSet) {
        if let State::Literal { start } = std::mem::replace(&mut self.state, State::Between) {
            let text = std::mem::take(&mut self.text);
            let value = Value { start, end: self.offset, bare: true, text: &text };
            self.begin(set, value, None);
            self.text = text;
        }
    }

    fn end_text(&mut self, set: &RuleSet, start: u64, key: bool, closed: bool, text: &[u8], next: Option<u8>) {
        if key && closed {
            self.flush(set);
            return self.set_key(text, true);
        }
        let value = Value { start: start + 1, end: self.offset, bare: false, text };
        if closed {
            return self.begin(set, value, next);
        }
        // A raw line end inside a string is not JSON; start afresh.
        self.flush(set);
        self.value(set, value);
        self.expect_value = false;
        while !self.stack.is_empty() {
            self.close(set);
        }
    }
}

/// How many blanks stand at the beginning, and whether a line ends among them. Eight spaces are looked at together.
#[inline]
fn blank(bytes: &[u8]) -> (usize, bool) {
    let (mut at, mut lines) = (0, false);
    loop {
        match bytes.get(at) {
            Some(b'\n') => lines = true,
            Some(b' ' | b'\t' | b'\r') => {}
            _ => return (at, lines),
        }
        at += 1;
        while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
            let spaces = (u64::from_le_bytes(*eight) ^ 0x2020_2020_2020_2020).trailing_zeros() as usize / 8;
            at += spaces;
            if spaces < 8 {
                break;
            }
        }
    }
}

fn is_literal(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')
}

fn push(text: &mut Vec<u8>, bytes: &[u8], room: usize) {
    let room = room.saturating_sub(text.len());
    text.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

#[cfg(test)]
mod tests {
    use super::blank;

    #[test]
    fn blanks_are_counted() {
        for spaces in 0..40 {
            for (text, lines) in [(" ", false), ("\t", false), ("\n", true), (" \r\n", true)] {
                for end in ["", "x", "xxxxxxxxx", "\u{a0}"] {
                    let text = text.to_owned() + &" ".repeat(spaces);
                    assert_eq!(blank((text.clone() + end).as_bytes()), (text.len(), lines), "{text:?} {end:?}");
                }
            }
        }
        assert_eq!(blank(b"x "), (0, false));
    }
}
