//! An object or a list that is open, and what its keys mean.

use super::value::Pending;
use crate::redact::scan::words::Class;

/// Annotation whose text is a whole object.
const LAST_APPLIED: &[u8] = b"last-applied-configuration";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unknown,
    Secret,
    Other,
}

pub(super) struct Frame {
    pub(super) object: bool,
    pub(super) key: Vec<u8>,
    /// Class of the key.
    pub(super) key_class: Class,
    /// Class of the key in whose value this frame stands, for lists of secrets.
    pub(super) class: Class,
    /// The value of `name` or `key`. Most objects have no `value` beside it, so it is classified only then.
    pub(super) name: Option<Vec<u8>>,
    pub(super) values: Vec<Pending>,
    pub(super) kind: Kind,
    pub(super) data: Vec<Pending>,
    pub(super) is_data: bool,
    pub(super) is_string_data: bool,
    /// The next value cannot matter, so its text need not be kept.
    pub(super) dull: bool,
}

impl Frame {
    /// Sees to the value behind a new key, or to the items of a list.
    pub(super) fn look(&mut self) {
        let class = if self.object { self.key_class } else { self.class };
        self.dull = class == Class::Benign && !self.is_data && !(self.object && has_meaning(&self.key));
    }
}

/// Keys whose values are looked at whatever class the key has.
pub(super) fn has_meaning(key: &[u8]) -> bool {
    is_value(key) || matches!(key, b"kind" | b"name" | b"key" | b"Name" | b"Key") || key.ends_with(LAST_APPLIED)
}

pub(super) fn is_value(key: &[u8]) -> bool {
    matches!(key, b"value" | b"Value" | b"val")
}

pub(super) fn is_last_applied(frame: &Frame) -> bool {
    frame.object && frame.key.ends_with(LAST_APPLIED)
}
