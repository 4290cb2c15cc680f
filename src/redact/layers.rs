//! The layers of redaction that work while content passes by.

use std::collections::BTreeMap;

/// Which layers are on. A program has them all; only a test can switch one off, to show what nothing but it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layers {
    /// Objects of Kubernetes are read by what their fields mean.
    pub(super) objects: bool,
    /// JSON is walked by its structure.
    pub(super) walker: bool,
    /// Text is searched for settings, tokens, keys and URLs.
    pub(super) engine: bool,
    /// Encodings are decoded and searched.
    pub(super) decoding: bool,
    /// What is secret in one place is searched in all others.
    pub(super) known: bool,
}

impl Layers {
    /// All of them.
    pub(super) const ALL: Self = Self { objects: true, walker: true, engine: true, decoding: true, known: true };
}

/// The layer that found something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    Objects,
    Walker,
    Engine,
    Decoding,
    Known,
}

impl Layer {
    /// The name in reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Walker => "walker",
            Self::Engine => "engine",
            Self::Decoding => "decoding",
            Self::Known => "known",
        }
    }
}

/// How often each rule has replaced something, by the layer that found it.
pub(super) type Counts = BTreeMap<(Layer, u16), u64>;
