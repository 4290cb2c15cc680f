//! Values, and whether they are secret.

use zeroize::Zeroizing;

use super::frame::{Key, Kind};
use super::{MAX_ANNOTATION, Walker};
use crate::redact::rules::{RuleSet, engine};
use crate::redact::scan::LOOKAHEAD;
use crate::redact::scan::value::judge;
use crate::redact::scan::words::{Class, classify};
use crate::redact::token;

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
pub(super) struct Pending {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) bare: bool,
    pub(super) text: Zeroizing<Vec<u8>>,
}

/// A value that was just read.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) bare: bool,
    pub(super) text: &'a [u8],
}

impl Value<'_> {
    pub(super) fn kept(&self) -> Pending {
        Pending { start: self.start, end: self.end, bare: self.bare, text: self.text.to_vec().into() }
    }
}

impl Pending {
    pub(super) fn value(&self) -> Value<'_> {
        Value { start: self.start, end: self.end, bare: self.bare, text: &self.text }
    }
}

impl Walker {
    pub(super) fn value(&mut self, set: &RuleSet, value: Value<'_>) {
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
        } else if frame.key == Key::LastApplied {
            // A Secret inside the text of an annotation: nothing of it may stay.
            if holds_secret(value.text) {
                return self.secret_data(set, value);
            }
        } else if frame.object && !value.bare {
            match frame.key {
                Key::Kind if value.text == b"Secret" => frame.kind = Kind::Secret,
                // Without a comma between them there may be two.
                Key::Kind if frame.kind == Kind::Unknown => frame.kind = Kind::Other,
                Key::Name if frame.name.is_none() => {
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
        if frame.key == Key::Value {
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

    pub(super) fn judged(&mut self, set: &RuleSet, class: Class, value: Value<'_>) {
        // A word without quotes that is no number is no JSON.
        if value.bare && !value.text.iter().any(u8::is_ascii_digit) {
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

    pub(super) fn secret_data(&mut self, set: &RuleSet, value: Value<'_>) {
        let rule = engine::KUBERNETES_SECRET;
        let own = set.is_own(value.text) || token::base64_bytes(value.text).is_some_and(|v| set.is_own(&v));
        if !value.bare && !value.text.is_empty() && !own && set.is_on(rule) {
            self.found.push(Found { start: value.start, end: value.end, rule, bare: value.bare });
        }
    }

    /// Decides about values whose object is too long to wait for: they are taken for secret where they may be.
    #[inline]
    pub(super) fn expire(&mut self, set: &RuleSet) {
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
                    if token::base64_bytes(&value.text[..value.text.len() / 4 * 4]).is_some() {
                        self.secret_data(set, value.value());
                    }
                }
            }
        }
    }
}

/// Whether a Secret stands in the escaped JSON of an annotation, or may stand in what was not kept of it.
pub(super) fn holds_secret(text: &[u8]) -> bool {
    let after = |from: usize| {
        let rest = &text[from..];
        let skip = rest.iter().take_while(|b| matches!(b, b'\\' | b'"' | b'\'' | b' ' | b':')).count();
        rest[skip..].starts_with(b"Secret") && !rest.get(skip + 6).is_some_and(u8::is_ascii_alphanumeric)
    };
    text.len() >= MAX_ANNOTATION || memchr::memmem::find_iter(text, b"kind").any(|at| after(at + 4))
}
