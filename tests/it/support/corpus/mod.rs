//! Made-up and recorded content for measuring redaction, shared by the tests and by `benches/redact`.
//!
//! Everything is deterministic: the same seed gives the same bytes on every machine.

pub(crate) mod clean;
mod clean_data;
mod clean_logs;
pub(crate) mod measure;
pub(crate) mod planted;

use casefile::redact::Format;

/// A file of the corpus.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// Path below the corpus' directory; the first part is the name of the group.
    pub(crate) path: String,
    pub(crate) format: Format,
    pub(crate) content: Vec<u8>,
}

impl Document {
    pub(crate) fn new(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        let path = path.into();
        Self { format: Format::of_path(&path), path, content: content.into() }
    }

    /// The group that tables are made by.
    pub(crate) fn group(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }
}

/// Numbers that look random and are the same in each run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (SplitMix64).
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[usize::try_from(self.below(list.len() as u64)).unwrap_or(0)]
    }

    fn text(&mut self, alphabet: &[u8], len: usize) -> String {
        (0..len).map(|_| char::from(*self.pick(alphabet))).collect()
    }

    pub(crate) fn hex(&mut self, len: usize) -> String {
        self.text(b"0123456789abcdef", len)
    }

    pub(crate) fn lower(&mut self, len: usize) -> String {
        self.text(b"abcdefghijklmnopqrstuvwxyz0123456789", len)
    }

    pub(crate) fn base62(&mut self, len: usize) -> String {
        self.text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", len)
    }

    pub(crate) fn base64(&mut self, len: usize) -> String {
        self.text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", len)
    }

    /// Suffixes as Kubernetes makes them: no vowels, no confusable characters.
    pub(crate) fn suffix(&mut self, len: usize) -> String {
        self.text(b"bcdfghjklmnpqrstvwxz2456789", len)
    }

    pub(crate) fn uuid(&mut self) -> String {
        let tail = *self.pick(&["8", "9", "a", "b"]);
        format!("{}-{}-4{}-{tail}{}-{}", self.hex(8), self.hex(4), self.hex(3), self.hex(3), self.hex(12))
    }
}
