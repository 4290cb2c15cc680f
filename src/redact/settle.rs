//! Looks a second time at the lines in which something was replaced.
//!
//! A replacement takes marks away that the first look went by: a quote, a brace, a name. What is read differently without them
//! is settled here, so that a pass over redacted content changes nothing. Lines that stayed as they were are not read
//! again, unless a line above asks for them.

use super::stream::Lines;
use super::trace::Trace;
use super::{Format, Match, RedactError, Redacted, Redactor};

/// Bytes that are pushed together while the second look waits for the end of something.
const STEP: usize = 4 << 10;

/// Two looks at one document, in pushes of any size. After an error nothing more comes.
pub(super) struct Settled {
    first: Lines,
    second: Lines,
    /// What the first look gave.
    piece: Redacted<Vec<u8>>,
    /// Whether a line is on its way whose beginning went past the second look.
    inside: bool,
}

impl Settled {
    pub(super) fn new(redactor: Redactor, file: &str, format: Format) -> Self {
        Self {
            first: Lines::new(redactor.clone(), file, format),
            second: Lines::again(redactor, file, format),
            piece: Redacted::buffer(),
            inside: false,
        }
    }

    /// Takes down what the first look replaces.
    pub(super) fn trace(&mut self) {
        self.first.trace = Some(Trace::default());
    }

    /// What was taken down.
    pub(super) fn into_matches(mut self) -> Vec<Match> {
        self.first.trace.take().map(Trace::into_matches).unwrap_or_default()
    }

    /// Takes raw bytes; appends what is safe to emit to `out`. Bytes may be held back until a later push or
    /// [`Settled::finish`], but never more than two bounded windows.
    ///
    /// # Errors
    /// When the content cannot be redacted safely.
    pub(super) fn push(&mut self, raw: &[u8], out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        self.first.push(raw, &mut self.piece)?;
        self.forward(out)
    }

    /// Ends the document and emits the rest.
    ///
    /// # Errors
    /// When the content cannot be redacted safely.
    pub(super) fn finish(&mut self, out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        self.first.finish(&mut self.piece)?;
        self.forward(out)?;
        self.second.finish(out)
    }

    fn forward(&mut self, out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        let text = self.piece.get();
        let replaced = self.first.replaced();
        let line_end = |from: usize| memchr::memchr(b'\n', &text[from..]).map_or(text.len(), |i| from + i + 1);
        let (mut at, mut next) = (0, 0);
        while at < text.len() {
            if self.inside {
                let end = line_end(at);
                out.inner_mut().extend_from_slice(&text[at..end]);
                self.inside = text[end - 1] != b'\n';
                at = end;
            } else if self.second.is_idle() {
                while replaced.get(next).is_some_and(|r| *r < at) {
                    next += 1;
                }
                let start = replaced
                    .get(next)
                    .map_or(text.len(), |r| memchr::memrchr(b'\n', &text[at..*r]).map_or(at, |i| at + i + 1));
                out.inner_mut().extend_from_slice(&text[at..start]);
                self.inside = start == text.len() && text[start - 1] != b'\n';
                at = line_end(start);
                self.second.push(&text[start..at], out)?;
            } else {
                let end = line_end(text.len().min(at + STEP) - 1);
                self.second.push(&text[at..end], out)?;
                at = end;
            }
        }
        self.first.forget_replaced();
        self.second.forget_replaced();
        self.piece.clear();
        Ok(())
    }
}
