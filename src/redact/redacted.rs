//! The type that proves that redaction has happened.

/// A value that has been through the redactor.
///
/// Reading it is free; making it is not: the constructor is visible in this module's parent only. Whatever accepts
/// bytes for a bundle accepts nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Vouches for a value. Only the redaction code may do that.
    pub(in crate::redact) fn vouch(value: T) -> Self {
        Self(value)
    }

    /// The value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The value, by move.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl Redacted<Vec<u8>> {
    /// An empty buffer, into which a [`super::Stream`] writes.
    #[must_use]
    pub fn buffer() -> Self {
        Self(Vec::new())
    }

    /// Empties the buffer and keeps its memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Where redaction code appends.
    pub(in crate::redact) fn inner_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

/// A part of a text of our own, which cannot carry a secret.
#[derive(Debug, Clone, Copy)]
pub enum Fixed {
    /// Text from the program itself.
    Text(&'static str),
    /// A number, such as a count of bytes.
    Number(u64),
}

impl Redacted<String> {
    /// A text made of nothing but the program's own words and numbers; it needs no redaction.
    #[must_use]
    pub fn fixed(parts: &[Fixed]) -> Self {
        Self(
            parts
                .iter()
                .map(|part| match part {
                    Fixed::Text(text) => (*text).to_owned(),
                    Fixed::Number(number) => number.to_string(),
                })
                .collect(),
        )
    }
}
