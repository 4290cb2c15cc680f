//! Looks again at the lines in which something was replaced.
//!
//! A replacement takes marks away that a look went by: a quote, a brace, a name. What is read differently without them
//! is settled here, so that a pass over redacted content changes nothing. Lines that stayed as they were are not read
//! again, unless a line above asks for them; so each further look costs next to nothing.

use super::scan::toml_text::Inside;
use super::stream::Lines;
use super::trace::Trace;
use super::{Format, Match, RedactError, Redacted, Redactor};

/// Bytes that are pushed together while a look waits for the end of something.
const STEP: usize = 4 << 10;
/// Looks behind the first one. The third finds something in one of a million hostile lines.
const AGAIN: usize = 3;

/// Some looks at one document, in pushes of any size. After an error nothing more comes.
pub(super) struct Settled {
    first: Lines,
    /// The others. Most documents have nothing to replace and need none.
    again: Vec<Look>,
    /// While there are none: whether a line is on its way.
    inside: bool,
    format: Format,
    /// What a look gave, and what the next one makes of it.
    pieces: [Redacted<Vec<u8>>; 2],
}

/// A look at what another one gave.
struct Look {
    lines: Lines,
    /// Whether a line is on its way whose beginning went past.
    inside: bool,
}

impl Settled {
    pub(super) fn new(redactor: Redactor, file: &str, format: Format) -> Self {
        let first = Lines::new(redactor, file, format);
        Self { first, again: Vec::new(), inside: false, format, pieces: [Redacted::buffer(), Redacted::buffer()] }
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
    /// [`Settled::finish`], but never more than a bounded window for each look.
    ///
    /// # Errors
    /// When the content cannot be redacted safely.
    pub(super) fn push(&mut self, raw: &[u8], out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        let within = self.first.within();
        self.first.push(raw, &mut self.pieces[0])?;
        self.forward(within, false, out)
    }

    /// Ends the document and emits the rest.
    ///
    /// # Errors
    /// When the content cannot be redacted safely.
    pub(super) fn finish(&mut self, out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        let within = self.first.within();
        self.first.finish(&mut self.pieces[0])?;
        self.forward(within, true, out)
    }

    /// Shows what the first look gave to the others; `within` is where that begins.
    fn forward(&mut self, within: Inside, last: bool, out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        if self.again.is_empty() && !self.first.replaced().is_empty() {
            let look = || Look { lines: self.first.again(within), inside: self.inside };
            self.again.extend(std::iter::repeat_with(look).take(AGAIN));
        }
        let [piece, next] = &mut self.pieces;
        self.inside = piece.get().last().map_or(self.inside, |b| !ends_line(*b));
        let mut before = &mut self.first;
        for look in &mut self.again {
            if before.replaced().is_empty() && look.lines.is_idle() && self.format != Format::Toml {
                look.inside = piece.get().last().map_or(look.inside, |b| !ends_line(*b));
            } else {
                look.take(piece.get(), before.replaced(), next)?;
                piece.clear();
                std::mem::swap(piece, next);
            }
            if last {
                look.lines.finish(piece)?;
            }
            before.forget_replaced();
            before = &mut look.lines;
        }
        before.forget_replaced();
        if out.get().is_empty() {
            std::mem::swap(out, piece);
        } else {
            out.inner_mut().extend_from_slice(piece.get());
        }
        piece.clear();
        Ok(())
    }
}

impl Look {
    /// Takes what the look before gave; `replaced` says where replacements begin in it.
    fn take(&mut self, text: &[u8], replaced: &[usize], out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        let line_end = |from: usize| memchr::memchr2(b'\n', 0, &text[from..]).map_or(text.len(), |i| from + i + 1);
        let (mut at, mut next) = (0, 0);
        while at < text.len() {
            if self.inside {
                let end = line_end(at);
                self.lines.pass(&text[at..end], out);
                self.inside = !ends_line(text[end - 1]);
                at = end;
            } else if self.lines.is_idle() {
                while replaced.get(next).is_some_and(|r| *r < at) {
                    next += 1;
                }
                let start = replaced
                    .get(next)
                    .map_or(text.len(), |r| memchr::memrchr2(b'\n', 0, &text[at..*r]).map_or(at, |i| at + i + 1));
                self.lines.pass(&text[at..start], out);
                self.inside = start == text.len() && !ends_line(text[start - 1]);
                at = line_end(start);
                self.lines.push(&text[start..at], out)?;
            } else {
                let end = line_end(text.len().min(at + STEP) - 1);
                self.lines.push(&text[at..end], out)?;
                at = end;
            }
        }
        Ok(())
    }
}

/// NUL ends a line, too, as in the byte engine: what it holds back begins behind one.
fn ends_line(b: u8) -> bool {
    matches!(b, b'\n' | 0)
}
