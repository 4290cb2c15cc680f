//! A streaming JSON walker: values under sensitive keys, pairs of name and value in any order, data of Secrets.
//!
//! It is lenient: several documents, one a line, and broken ones are all walked as far as they make sense.

use zeroize::Zeroizing;

use super::super::RedactError;
use super::super::rules::{RuleSet, engine};
use super::super::scan::LOOKAHEAD;
use super::super::scan::value::judge;
use super::super::scan::words::{Class, classify};

/// Deepest nesting.
const MAX_DEPTH: usize = 10_000;
/// Bytes of a value that are looked at.
const MAX_VALUE: usize = 4 << 10;
/// Bytes of the text of an annotation that is looked at; a longer one is replaced as a whole.
const MAX_ANNOTATION: usize = 128 << 10;
/// Bytes of a key that are looked at.
const MAX_KEY: usize = 256;

/// Annotation whose text is a whole object.
const LAST_APPLIED: &[u8] = b"last-applied-configuration";
/// Keys of closed frames whose memory is kept.
const SPARE: usize = 64;

/// A value to replace; offsets count from the beginning of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redact) struct Found {
    pub(in crate::redact) start: u64,
    pub(in crate::redact) end: u64,
    pub(in crate::redact) rule: u16,
    /// A number, which becomes a string.
    pub(in crate::redact) bare: bool,
}

/// A value whose fate depends on what follows in its object.
struct Pending {
    start: u64,
    end: u64,
    bare: bool,
    text: Zeroizing<Vec<u8>>,
}

/// A value whose end is not seen yet.
struct Open {
    value: Pending,
    /// Its bytes with its quotes.
    outer: (u64, u64),
    /// More than one token: it is replaced with its quotes.
    several: bool,
    /// What there was before its last token, when that is a string and so may be the next key.
    before: Option<Before>,
}

/// A value without its last token.
struct Before {
    /// Where it ended; none when the last token is the first one.
    end: Option<u64>,
    /// Bytes of its text.
    len: usize,
    several: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unknown,
    Secret,
    Other,
}

struct Frame {
    object: bool,
    key: Vec<u8>,
    /// Class of the key.
    key_class: Class,
    /// Class of the key in whose value this frame stands, for lists of secrets.
    class: Class,
    /// The value of `name` or `key`. Most objects have no `value` beside it, so it is classified only then.
    name: Option<Vec<u8>>,
    values: Vec<Pending>,
    kind: Kind,
    data: Vec<Pending>,
    is_data: bool,
    is_string_data: bool,
    /// The next value cannot matter, so its text need not be kept.
    dull: bool,
}

impl Frame {
    /// Sees to the value behind a new key, or to the items of a list.
    fn look(&mut self) {
        let class = if self.object { self.key_class } else { self.class };
        self.dull = class == Class::Benign && !self.is_data && !(self.object && has_meaning(&self.key));
    }
}

#[derive(Clone, Copy)]
enum State {
    Between,
    Text { start: u64, escaped: bool, key: bool },
    Literal { start: u64 },
}

/// A value that was just read.
#[derive(Clone, Copy)]
struct Value<'a> {
    start: u64,
    end: u64,
    bare: bool,
    text: &'a [u8],
}

impl Value<'_> {
    /// Several tokens without a comma between them, which are joined by a quote.
    fn is_several(&self) -> bool {
        self.bare && self.text.contains(&b'"')
    }

    fn kept(&self) -> Pending {
        Pending { start: self.start, end: self.end, bare: self.bare, text: self.text.to_vec().into() }
    }
}

impl Pending {
    fn value(&self) -> Value<'_> {
        Value { start: self.start, end: self.end, bare: self.bare, text: &self.text }
    }
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
    /// A value behind which nothing has come yet that ends it. What stands behind a value without a comma belongs to it.
    current: Option<Open>,
    /// Something that is no JSON stood behind a value. What follows is left to the byte engine up to the next mark.
    lost: bool,
    /// Keys of closed frames, to be used again.
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
        let mut hold = self.current.as_ref().map_or(self.offset, |open| open.outer.0);
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
        if let Some(open) = &self.current {
            let class = if frame.object { frame.key_class } else { frame.class };
            let whole = [open.value.text.as_slice(), b"\"", &self.text].concat();
            return judge(set, class, &whole).map(|rule| (open.outer.0, rule));
        }
        if is_last_applied(frame) {
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
        if matches!(self.state, State::Text { key: false, .. }) && self.current.is_some() {
            let text = std::mem::take(&mut self.text);
            self.extend(set, &text, self.offset, false);
        } else if let Some((start, rule)) = self.open_secret(set) {
            self.found.push(Found { start, end: self.offset, rule, bare: false });
        }
        self.flush(set);
        while !self.stack.is_empty() {
            self.close(set);
        }
    }

    fn is_interesting(&self) -> bool {
        self.stack.last().is_some_and(|f| {
            let class = if f.object { f.key_class } else { f.class };
            class != Class::Benign || f.is_data || is_value(&f.key) || is_last_applied(f)
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
            Some(frame) if is_last_applied(frame) => MAX_ANNOTATION,
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
        match bytes[0] {
            b'{' | b'[' => {
                self.flush(set);
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
                if len < bytes.len() {
                    self.offset += len as u64;
                    let text = &bytes[..len.min(self.room())];
                    let value = Value { start, end: self.offset, bare: true, text };
                    self.begin(set, value, (start, self.offset), bytes.get(len).copied());
                    return Ok(len);
                }
                self.text.clear();
                self.state = State::Literal { start };
                return Ok(self.literal(set, bytes));
            }
            b'\n' => self.flush(set),
            b' ' | b'\t' | b'\r' => {
                let blank = bytes.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r')).count();
                self.offset += blank as u64;
                self.bound(set, self.offset);
                return Ok(blank);
            }
            _ if self.current.is_some() => self.lose(set),
            _ => {}
        }
        self.offset += 1;
        Ok(1)
    }

    /// At a quote. A string that ends in these bytes and has no escapes is not copied.
    fn begin_text(&mut self, set: &RuleSet, bytes: &[u8]) -> usize {
        let start = self.offset;
        let key = self.expect_key && self.stack.last().is_some_and(|f| f.object);
        let rest = &bytes[1..];
        if let Some(len) = memchr::memchr3(b'"', b'\\', b'\n', rest)
            && rest[len] == b'"'
        {
            self.offset += 1 + len as u64;
            self.end_text(set, start, key, true, &rest[..len.min(self.room())], rest.get(len + 1).copied());
            self.offset += 1;
            self.expire(set);
            return len + 2;
        }
        self.text.clear();
        self.state = State::Text { start, escaped: false, key };
        self.offset += 1;
        1
    }

    fn open(&mut self, object: bool) -> Result<(), RedactError> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(RedactError::Content(format!("JSON is nested deeper than {MAX_DEPTH} levels")));
        }
        let parent = self.stack.last();
        let class = match parent {
            Some(p) if !object && p.object => p.key_class,
            Some(p) if !object => p.class,
            _ => Class::Benign,
        };
        let under = |name: &[u8]| object && parent.is_some_and(|p| p.object && p.key == name);
        let mut frame = Frame {
            object,
            key: self.spare.pop().unwrap_or_default(),
            key_class: Class::Benign,
            class,
            name: None,
            values: Vec::new(),
            kind: Kind::Unknown,
            data: Vec::new(),
            is_data: under(b"data") || under(b"stringData"),
            is_string_data: under(b"stringData"),
            dull: false,
        };
        frame.look();
        self.stack.push(frame);
        self.expect_key = object;
        Ok(())
    }

    fn close(&mut self, set: &RuleSet) {
        self.flush(set);
        let Some(mut frame) = self.stack.pop() else { return };
        self.expect_key = false;
        if self.spare.len() < SPARE {
            frame.key.clear();
            self.spare.push(std::mem::take(&mut frame.key));
        }
        if let Some(mut name) = frame.name {
            let class = if frame.values.is_empty() { Class::Benign } else { classify(&name) };
            name.clear();
            self.spare.push(name);
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
            self.begin(set, value, (start, self.offset), None);
            self.text = text;
        }
    }

    /// At the end of a token that is a value, or goes on with one that has no comma behind it; `next` is the byte behind it
    /// where it is known.
    fn begin(&mut self, set: &RuleSet, value: Value<'_>, outer: (u64, u64), next: Option<u8>) {
        if self.lost {
            return;
        }
        if self.current.is_some() {
            if value.bare && !value.text.first().is_some_and(|b| b.is_ascii_digit() || *b == b'-') {
                return self.lose(set);
            }
            return self.extend(set, value.text, outer.1, !value.bare);
        }
        if self.stack.is_empty() {
            return;
        }
        if matches!(next, Some(b',' | b'}' | b']' | b'\n')) {
            return self.value(set, value);
        }
        let before = (!value.bare).then_some(Before { end: None, len: 0, several: false });
        self.current = Some(Open { value: value.kept(), outer, several: false, before });
    }

    /// At a colon. The string in front of it is a key, whatever was expected there.
    fn colon(&mut self, set: &RuleSet) {
        self.expect_key = false;
        self.lost = false;
        let Some(mut open) = self.current.take() else { return };
        let Some(before) = open.before.take().filter(|_| self.stack.last().is_some_and(|f| f.object)) else {
            self.current = Some(open);
            return self.lose(set);
        };
        let name = Zeroizing::new(open.value.text.split_off(before.len));
        if let Some(end) = before.end {
            (open.outer.1, open.several) = (end, before.several);
            self.current = Some(open);
            self.flush(set);
        }
        self.set_key(name.strip_prefix(b"\"").filter(|_| before.end.is_some()).unwrap_or(&name));
    }

    fn set_key(&mut self, text: &[u8]) {
        let Some(frame) = self.stack.last_mut() else { return };
        frame.key.clear();
        let plain = if text.contains(&b'\\') { super::super::token::unescape(text) } else { None };
        let name = plain.as_deref().unwrap_or(text);
        frame.key.extend_from_slice(&name[..name.len().min(MAX_KEY)]);
        frame.key_class = classify(&frame.key);
        frame.look();
    }

    /// Takes what stands behind a value without a comma to that value. One that goes on for long is seen to at once, so that
    /// it can be emitted.
    fn extend(&mut self, set: &RuleSet, text: &[u8], end: u64, string: bool) {
        let room = self.room();
        let Some(open) = &mut self.current else { return };
        let before = Before { end: Some(open.outer.1), len: open.value.text.len(), several: open.several };
        open.before = string.then_some(before);
        open.several = true;
        open.outer.1 = end;
        push(&mut open.value.text, b"\"", room);
        push(&mut open.value.text, text, room);
        self.bound(set, end);
    }

    /// Ends the value that is open when it began long ago.
    fn bound(&mut self, set: &RuleSet, at: u64) {
        if self.current.as_ref().is_some_and(|open| at - open.value.end > MAX_VALUE as u64) {
            self.flush(set);
        }
    }

    /// At something that is no JSON, behind a value.
    fn lose(&mut self, set: &RuleSet) {
        self.flush(set);
        self.lost = true;
    }

    /// Sees to the value that is open, at a mark that ends it.
    fn flush(&mut self, set: &RuleSet) {
        self.lost = false;
        let Some(open) = self.current.take() else { return };
        let value = open.value.value();
        let (start, end) = open.outer;
        self.value(set, if open.several { Value { start, end, bare: true, ..value } } else { value });
    }

    fn end_text(&mut self, set: &RuleSet, start: u64, key: bool, closed: bool, text: &[u8], next: Option<u8>) {
        if key && closed {
            self.set_key(text);
            return;
        }
        let value = Value { start: start + 1, end: self.offset, bare: false, text };
        self.begin(set, value, (start, self.offset + u64::from(closed)), next);
        if !closed {
            // A raw line end inside a string is not JSON; start afresh.
            self.flush(set);
            while !self.stack.is_empty() {
                self.close(set);
            }
        }
    }

    fn value(&mut self, set: &RuleSet, value: Value<'_>) {
        let depth = self.stack.len();
        let Some(frame) = self.stack.last_mut() else { return };
        if frame.dull {
            return;
        }
        let class = if frame.object { frame.key_class } else { frame.class };
        if frame.is_data && depth >= 2 {
            let always = frame.is_string_data;
            let kind = self.stack[depth - 2].kind;
            if always || kind == Kind::Secret {
                return self.secret_data(set, value);
            }
            if kind == Kind::Unknown {
                self.stack[depth - 2].data.push(value.kept());
            }
        } else if is_last_applied(frame) {
            // A Secret inside the text of an annotation: nothing of it may stay.
            if holds_secret(value.text) {
                return self.secret_data(set, value);
            }
        } else if frame.object && value.is_several() && frame.key == b"kind" {
            let secret = memchr::memmem::find(value.text, b"Secret").is_some();
            frame.kind = if secret { Kind::Secret } else { Kind::Other };
        } else if frame.object && !value.bare {
            match frame.key.as_slice() {
                b"kind" => frame.kind = if value.text == b"Secret" { Kind::Secret } else { Kind::Other },
                b"name" | b"key" | b"Name" | b"Key" if frame.name.is_none() => {
                    let mut name = self.spare.pop().unwrap_or_default();
                    name.extend_from_slice(value.text);
                    frame.name = Some(name);
                }
                _ => {}
            }
            if frame.kind == Kind::Other {
                frame.data.clear();
            }
        }
        let Some(frame) = self.stack.last_mut() else { return };
        if frame.object && is_value(&frame.key) {
            match &frame.name {
                Some(name) => {
                    let class = classify(name);
                    self.judged(set, class, value);
                }
                None => frame.values.push(value.kept()),
            }
            return;
        }
        self.judged(set, class, value);
    }

    fn judged(&mut self, set: &RuleSet, class: Class, value: Value<'_>) {
        // A word without quotes that is no number is no JSON, but one of several tokens may be.
        if value.bare && !value.is_several() && !value.text.iter().any(u8::is_ascii_digit) {
            return;
        }
        // Cookies and authorization have a syntax of their own, which the byte engine knows.
        if matches!(class, Class::Secret(engine::COOKIE | engine::AUTHORIZATION)) {
            return;
        }
        if let Some(rule) = judge(set, class, value.text)
            && set.is_on(rule)
        {
            self.found.push(Found { start: value.start, end: value.end, rule, bare: value.bare });
        }
    }

    fn secret_data(&mut self, set: &RuleSet, value: Value<'_>) {
        let rule = engine::KUBERNETES_SECRET;
        let own =
            set.is_own(value.text) || super::super::token::base64_bytes(value.text).is_some_and(|v| set.is_own(&v));
        if (!value.bare || value.is_several()) && !value.text.is_empty() && !own && set.is_on(rule) {
            self.found.push(Found { start: value.start, end: value.end, rule, bare: value.bare });
        }
    }

    /// Decides about values whose object is too long to wait for: they are taken for secret where they may be.
    fn expire(&mut self, set: &RuleSet) {
        // The whole stack is looked at, so not behind every string.
        if self.offset < self.next_expiry {
            return;
        }
        self.next_expiry = self.offset + 4_096;
        let limit = self.offset.saturating_sub(LOOKAHEAD as u64);
        for i in 0..self.stack.len() {
            if self.stack[i].values.first().is_some_and(|v| v.start < limit) {
                for value in std::mem::take(&mut self.stack[i].values) {
                    self.judged(set, Class::Weak(engine::SECRET), value.value());
                }
            }
            if self.stack[i].data.first().is_some_and(|v| v.start < limit) {
                for value in std::mem::take(&mut self.stack[i].data) {
                    if super::super::token::base64_bytes(&value.text[..value.text.len() / 4 * 4]).is_some() {
                        self.secret_data(set, value.value());
                    }
                }
            }
        }
    }
}

fn is_literal(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')
}

/// Keys whose values are looked at whatever class the key has.
fn has_meaning(key: &[u8]) -> bool {
    is_value(key) || matches!(key, b"kind" | b"name" | b"key" | b"Name" | b"Key") || key.ends_with(LAST_APPLIED)
}

fn is_value(key: &[u8]) -> bool {
    matches!(key, b"value" | b"Value" | b"val")
}

fn is_last_applied(frame: &Frame) -> bool {
    frame.object && frame.key.ends_with(LAST_APPLIED)
}

/// Whether a Secret stands in the escaped JSON of an annotation, or may stand in what was not kept of it.
fn holds_secret(text: &[u8]) -> bool {
    let after = |from: usize| {
        let rest = &text[from..];
        let skip = rest.iter().take_while(|b| matches!(b, b'\\' | b'"' | b'\'' | b' ' | b':')).count();
        rest[skip..].starts_with(b"Secret") && !rest.get(skip + 6).is_some_and(u8::is_ascii_alphanumeric)
    };
    text.len() >= MAX_ANNOTATION || memchr::memmem::find_iter(text, b"kind").any(|at| after(at + 4))
}

fn push(text: &mut Vec<u8>, bytes: &[u8], room: usize) {
    let room = room.saturating_sub(text.len());
    text.extend_from_slice(&bytes[..bytes.len().min(room)]);
}
