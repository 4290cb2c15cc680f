//! What stands behind a value: a mark that ends it, or another token without a comma, as broken documents have it.

use zeroize::Zeroizing;

use super::value::{Pending, Value};
use super::{MAX_KEY, MAX_VALUE, Walker, push};
use crate::redact::rules::RuleSet;
use crate::redact::scan::words::classify;
use crate::redact::token;

/// A value whose end is not seen yet.
pub(super) struct Open {
    pub(super) value: Pending,
    /// Its bytes with its quotes.
    pub(super) outer: (u64, u64),
    /// More than one token: it is replaced with its quotes.
    pub(super) several: bool,
    /// What there was before its last token, when that is a string and so may be the next key.
    pub(super) before: Option<Before>,
}

/// A value without its last token.
pub(super) struct Before {
    /// Where it ended; none when the last token is the first one.
    pub(super) end: Option<u64>,
    /// Bytes of its text.
    pub(super) len: usize,
    pub(super) several: bool,
}

impl Walker {
    /// At the end of a token that is a value, or goes on with one that has no comma behind it; `next` is the byte behind it
    /// where it is known.
    pub(super) fn begin(&mut self, set: &RuleSet, value: Value<'_>, outer: (u64, u64), next: Option<u8>) {
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
    pub(super) fn colon(&mut self, set: &RuleSet) {
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

    pub(super) fn set_key(&mut self, text: &[u8]) {
        let Some(frame) = self.stack.last_mut() else { return };
        frame.key.clear();
        let plain = if text.contains(&b'\\') { token::unescape(text) } else { None };
        let name = plain.as_deref().unwrap_or(text);
        frame.key.extend_from_slice(&name[..name.len().min(MAX_KEY)]);
        frame.key_class = classify(&frame.key);
        frame.look();
    }

    /// Takes what stands behind a value without a comma to that value. One that goes on for long is seen to at once, so that
    /// it can be emitted.
    pub(super) fn extend(&mut self, set: &RuleSet, text: &[u8], end: u64, string: bool) {
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
    pub(super) fn bound(&mut self, set: &RuleSet, at: u64) {
        if self.current.as_ref().is_some_and(|open| at - open.value.end > MAX_VALUE as u64) {
            self.flush(set);
        }
    }

    /// At something that is no JSON, behind a value.
    pub(super) fn lose(&mut self, set: &RuleSet) {
        self.flush(set);
        self.lost = true;
    }

    /// Sees to the value that is open, at a mark that ends it.
    pub(super) fn flush(&mut self, set: &RuleSet) {
        self.lost = false;
        let Some(open) = self.current.take() else { return };
        let value = open.value.value();
        let (start, end) = open.outer;
        self.value(set, if open.several { Value { start, end, bare: true, ..value } } else { value });
    }
}
