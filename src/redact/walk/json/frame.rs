//! An object or a list that is open, and what its keys mean.

use super::value::Pending;
use crate::redact::scan::words::{Class, classify};

/// Annotation whose text is a whole object.
const LAST_APPLIED: &[u8] = b"last-applied-configuration";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unknown,
    Secret,
    Other,
}

/// A key that says something of its value beside its class.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Kind,
    Name,
    Value,
    Data,
    StringData,
    LastApplied,
    Other,
}

impl Key {
    fn of(name: &[u8]) -> Self {
        // By length first, because nearly all keys are others.
        match (name.len(), name) {
            (3, b"key" | b"Key") | (4, b"name" | b"Name") => Self::Name,
            (3, b"val") | (5, b"value" | b"Value") => Self::Value,
            (4, b"kind") => Self::Kind,
            (4, b"data") => Self::Data,
            (10, b"stringData") => Self::StringData,
            (26.., _) if name.ends_with(LAST_APPLIED) => Self::LastApplied,
            _ => Self::Other,
        }
    }
}

pub(super) struct Frame {
    pub(super) object: bool,
    pub(super) key: Key,
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
    /// A frame in the value of a key of its parent.
    pub(super) fn inside(parent: Option<&Self>, object: bool) -> Self {
        let class = match parent {
            Some(p) if !object && p.object => p.key_class,
            Some(p) if !object => p.class,
            _ => Class::Benign,
        };
        let under = parent.filter(|p| object && p.object).map(|p| p.key);
        let mut frame = Self {
            object,
            key: Key::Other,
            key_class: Class::Benign,
            class,
            name: None,
            values: Vec::new(),
            kind: Kind::Unknown,
            data: Vec::new(),
            is_data: matches!(under, Some(Key::Data | Key::StringData)),
            is_string_data: under == Some(Key::StringData),
            dull: false,
        };
        frame.look();
        frame
    }

    pub(super) fn set_key(&mut self, name: &[u8]) {
        self.key = Key::of(name);
        self.key_class = classify(name);
        self.look();
    }

    /// Sees to the value behind a new key, or to the items of a list.
    fn look(&mut self) {
        let class = if self.object { self.key_class } else { self.class };
        // Data matters where it is found, one level below.
        let meaning = matches!(self.key, Key::Kind | Key::Name | Key::Value | Key::LastApplied);
        self.dull = class == Class::Benign && !self.is_data && !(self.object && meaning);
    }
}
