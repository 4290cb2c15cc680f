//! What stands behind a value: a mark that ends it, another token without a comma, or what is no JSON.
//!
//! A replacement must not move the quotes, braces and commas by which a second pass reads. So each token is judged by itself and replaced
//! in its place, a string between its quotes. Where the byte engine may replace braces, which is outside of strings and numbers, the rest
//! of the line is left to it.

use super::value::{Pending, Value};
use super::{MAX_KEY, MAX_VALUE, Walker};
use crate::redact::rules::RuleSet;
use crate::redact::scan::value::is_json_literal;
use crate::redact::token;

impl Walker {
    /// At the end of a token that is a value; `next` is the byte behind it where it is known.
    pub(super) fn begin(&mut self, set: &RuleSet, value: Value<'_>, next: Option<u8>) {
        // A name without quotes, or a word that is no JSON.
        if value.bare && (self.expect_key || !is_json_literal(value.text)) {
            return self.lose(set);
        }
        if self.stack.is_empty() {
            return;
        }
        self.expect_value = false;
        self.flush(set);
        if matches!(next, Some(b',' | b'}' | b']' | b'\n')) {
            return self.value(set, value);
        }
        self.current = Some(value.kept());
    }

    /// At a colon. The string in front of it is a key, whatever was expected there.
    pub(super) fn colon(&mut self, set: &RuleSet) {
        let object = self.stack.last().is_some_and(|f| f.object);
        match self.current.take() {
            None if !self.expect_value => {}
            Some(Pending { bare: false, text, .. }) if object => self.set_key(&text, text.contains(&b'\\')),
            open => {
                self.current = open;
                return self.lose(set);
            }
        }
        self.expect_key = false;
        self.expect_value = object;
    }

    pub(super) fn set_key(&mut self, text: &[u8], escaped: bool) {
        let Some(frame) = self.stack.last_mut() else { return };
        let plain = if escaped { token::unescape(text) } else { None };
        let name = plain.as_deref().unwrap_or(text);
        frame.set_key(&name[..name.len().min(MAX_KEY)]);
    }

    /// Ends the value that is open when it stands long ago, so that it can be emitted.
    pub(super) fn bound(&mut self, set: &RuleSet) {
        if self.current.as_ref().is_some_and(|open| self.offset - open.end > MAX_VALUE as u64) {
            self.flush(set);
        }
    }

    /// At something that is no JSON.
    pub(super) fn lose(&mut self, set: &RuleSet) {
        self.flush(set);
        self.lost = true;
    }

    /// Sees to the value that is open, at a mark or a token that ends it.
    pub(super) fn flush(&mut self, set: &RuleSet) {
        let Some(open) = self.current.take() else { return };
        self.value(set, open.value());
    }
}
