//! The lines of one document on their way through the engine.

use std::collections::BTreeMap;

use super::hidden::Raw;
use super::layers::{Counts, Layer};
use super::pseudonym::{Found, Pseudonym};
use super::rules::RuleSet;
use super::scan::{self, Env, Region, Scratch, toml_text};
use super::span::{Quotes, Span, union};
use super::token::{Id, replacement};
use super::trace::Trace;
use super::walk::json::Walker;
use super::{Format, RedactError, Redacted, Redactor};

/// Bytes that are held back at most, unless the builder of the redactor was told otherwise.
pub(super) const WINDOW: usize = 256 << 10;
/// The smallest window: what straddles a cut, and something to emit.
pub(super) const MIN_WINDOW: usize = OVERLAP + (8 << 10);
/// What stays in the window when a line is longer than it, so that what straddles the cut is seen whole.
const OVERLAP: usize = 32 << 10;
/// Bytes in front of a cut that the next window still sees.
const CONTEXT: usize = 256;

/// The bytes of one document, in pushes of any size. After an error nothing more comes.
pub(super) struct Lines {
    redactor: Redactor,
    file: String,
    format: Format,
    buffer: Raw,
    /// Bytes that are held back at most.
    window: usize,
    /// Bytes at the front of the buffer that are emitted already and serve as context.
    seen: usize,
    /// Offset of the buffer's first byte in the document.
    base: u64,
    /// A secret without end that is being dropped.
    swallow: Option<Region>,
    /// TOML: the string of several lines in which what was not emitted yet begins.
    within: toml_text::Inside,
    walker: Option<Walker>,
    /// How far the walker has come, as an offset in the document.
    walked: u64,
    /// What the walker found, with offsets in the document.
    found: Vec<(u64, u64, u16, bool)>,
    scratch: Scratch,
    spans: Vec<Span>,
    /// What gets a pseudonym; nothing of it is in a span.
    names: Vec<Found>,
    counts: Counts,
    name_counts: BTreeMap<Pseudonym, u64>,
    ids: Vec<Id>,
    /// Where replacements begin in what was emitted since the last [`Lines::forget_replaced`].
    replaced: Vec<usize>,
    failed: bool,
    /// Whether anything was replaced in the document.
    changed: bool,
    /// Whether this looks at what was redacted already, where names have their pseudonyms.
    again: bool,
    /// Takes down each replacement, where somebody asked for it.
    pub(super) trace: Option<Trace>,
}

impl Lines {
    pub(super) fn new(redactor: Redactor, file: &str, format: Format) -> Self {
        let walks = format == Format::Json && redactor.inner().layers.walker;
        Self {
            window: redactor.inner().window,
            redactor,
            file: file.to_owned(),
            format,
            buffer: Raw::default(),
            seen: 0,
            base: 0,
            swallow: None,
            within: None,
            walker: walks.then(Walker::new),
            walked: 0,
            found: Vec::new(),
            scratch: Scratch::default(),
            spans: Vec::new(),
            names: Vec::new(),
            counts: Counts::new(),
            name_counts: BTreeMap::new(),
            ids: Vec::new(),
            replaced: Vec::new(),
            failed: false,
            changed: false,
            again: false,
            trace: None,
        }
    }

    /// A look at what was redacted already, from a place in the document on. It goes by lines alone, as not all of the document
    /// comes by there.
    pub(super) fn again(&self, within: toml_text::Inside) -> Self {
        let mut lines = Self::new(self.redactor.clone(), &self.file, self.format);
        lines.walker = None;
        lines.again = true;
        lines.within = within;
        lines
    }

    /// TOML: the string of several lines in which what was not emitted yet begins.
    pub(super) fn within(&self) -> toml_text::Inside {
        self.within
    }

    /// Whether nothing is held back.
    pub(super) fn is_idle(&self) -> bool {
        self.buffer.is_empty() && self.swallow.is_none()
    }

    /// Lets text go by that needs no look.
    pub(super) fn pass(&mut self, text: &[u8], out: &mut Redacted<Vec<u8>>) {
        if self.format == Format::Toml {
            self.within = toml_text::behind(text, self.within);
        }
        out.inner_mut().extend_from_slice(text);
    }

    /// Where replacements begin in what was emitted since the last call of [`Lines::forget_replaced`].
    pub(super) fn replaced(&self) -> &[usize] {
        &self.replaced
    }

    pub(super) fn forget_replaced(&mut self) {
        self.replaced.clear();
    }

    /// Redacts a whole document that is in memory and takes it over; says whether it changed. A document that fits into
    /// the window is not copied; `walk` says whether the walker has to see it. The stream is as new before and after.
    ///
    /// # Errors
    /// When the content cannot be redacted safely.
    pub(super) fn document(
        &mut self,
        document: &mut Vec<u8>,
        walk: bool,
        out: &mut Redacted<Vec<u8>>,
    ) -> Result<bool, RedactError> {
        self.restart(walk || document.len() >= self.window);
        if document.len() < self.window {
            std::mem::swap(&mut *self.buffer, document);
        } else {
            self.push(document, out)?;
        }
        self.finish(out)?;
        std::mem::swap(&mut *self.buffer, document);
        Ok(self.changed)
    }

    /// Begins a new document; what was allocated is kept.
    fn restart(&mut self, walk: bool) {
        self.settle();
        self.buffer.clear();
        self.found.clear();
        self.spans.clear();
        self.names.clear();
        (self.seen, self.base, self.walked, self.swallow, self.within) = (0, 0, 0, None, None);
        (self.failed, self.changed) = (false, false);
        self.replaced.clear();
        let walks = walk && self.format == Format::Json && self.redactor.inner().layers.walker;
        self.walker = walks.then(Walker::new);
    }

    /// Takes raw bytes; appends what is safe to emit to `out`. Bytes may be held back until a later push or
    /// [`Lines::finish`], but never more than a bounded window.
    ///
    /// # Errors
    /// When the content cannot be redacted safely.
    pub(super) fn push(&mut self, raw: &[u8], out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        self.refuse_failed()?;
        let mut rest = raw;
        while !rest.is_empty() {
            let room = self.window.saturating_sub(self.buffer.len() - self.seen).max(1);
            let (piece, later) = rest.split_at(room.min(rest.len()));
            self.buffer.extend_from_slice(piece);
            rest = later;
            let full = self.buffer.len() - self.seen >= self.window;
            if full || self.swallow.is_some() || memchr::memchr(b'\n', piece).is_some() {
                self.guarded(false, out)?;
            }
        }
        Ok(())
    }

    /// Ends the document and emits the rest.
    ///
    /// # Errors
    /// When the content cannot be redacted safely.
    pub(super) fn finish(&mut self, out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        self.refuse_failed()?;
        self.guarded(true, out)?;
        self.settle();
        Ok(())
    }

    fn refuse_failed(&self) -> Result<(), RedactError> {
        if self.failed {
            Err(RedactError::Content("an earlier part of the document failed".to_owned()))
        } else {
            Ok(())
        }
    }

    fn guarded(&mut self, last: bool, out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        // Pessimistic, so that a panic leaves the stream closed.
        self.failed = true;
        let result = self.process(last, out.inner_mut());
        self.failed = result.is_err();
        result
    }

    /// Hands the counters to the run.
    fn settle(&mut self) {
        self.redactor.count(&self.file, std::mem::take(&mut self.counts), &std::mem::take(&mut self.ids));
        self.redactor.count_pseudonyms(&self.file, std::mem::take(&mut self.name_counts));
    }

    fn process(&mut self, last: bool, out: &mut Vec<u8>) -> Result<(), RedactError> {
        loop {
            if let Some(region) = self.swallow.clone() {
                if !self.swallowed(&region, last) {
                    return Ok(());
                }
                self.swallow = None;
            }
            self.walk(last)?;
            let progress = self.lines(last, out)?;
            if self.swallow.is_some() {
                continue;
            }
            if self.buffer.len() - self.seen < self.window || last {
                if last && self.buffer.len() > self.seen {
                    if progress {
                        continue;
                    }
                    return Err(RedactError::Content("the end of the document was not reached".to_owned()));
                }
                return Ok(());
            }
            if !progress {
                self.long_line(out)?;
            }
        }
    }

    /// Drops what belongs to a secret without end; says whether its end was reached.
    fn swallowed(&mut self, region: &Region, last: bool) -> bool {
        let end = region.end(&self.buffer, self.seen, last);
        let drop = match (end, region) {
            (Some(end), _) => end,
            (None, Region::Indent(_) | Region::Pem(_) | Region::Base64 | Region::Continued | Region::Heredoc(_)) => {
                memchr::memrchr(b'\n', &self.buffer[self.seen..]).map_or(self.seen, |i| self.seen + i + 1)
            }
            (None, Region::Delimiter(text)) => (self.buffer.len() + 1).saturating_sub(text.len()).max(self.seen),
            (None, _) => {
                let slashes = self.buffer[self.seen..].iter().rev().take_while(|b| **b == b'\\').count();
                self.buffer.len() - slashes % 2
            }
        };
        self.drain(drop, 0);
        self.changed = true;
        end.is_some()
    }

    /// Shows the walker what it has not seen yet.
    fn walk(&mut self, last: bool) -> Result<(), RedactError> {
        let Some(walker) = &mut self.walker else { return Ok(()) };
        let set = self.redactor.set();
        let from = usize::try_from(self.walked.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.buffer.len());
        walker.feed(set, &self.buffer[from..])?;
        self.walked = self.base + self.buffer.len() as u64;
        if last {
            walker.finish(set);
        }
        self.found.extend(walker.take().map(|f| (f.start, f.end, f.rule, f.bare)));
        Ok(())
    }

    /// Emits complete lines. Says whether it emitted any.
    fn lines(&mut self, last: bool, out: &mut Vec<u8>) -> Result<bool, RedactError> {
        let pending = &self.buffer[self.seen..];
        let end = if last { Some(pending.len()) } else { memchr::memrchr(b'\n', pending).map(|i| i + 1) };
        let Some(end) = end.filter(|e| *e > 0).map(|e| self.seen + e) else { return Ok(false) };
        let outcome = self.scan(end, !last);
        let mut limit = outcome.hold.unwrap_or(end);
        let mut swallow = None;
        if let Some((at, region)) = outcome.open {
            limit = limit.min(at);
            swallow = Some(region);
        }
        if let Some(walker) = self.walker.as_ref().filter(|_| !last) {
            let hold = usize::try_from(walker.hold().saturating_sub(self.base)).unwrap_or(usize::MAX);
            if hold < limit {
                limit = memchr::memrchr(b'\n', &self.buffer[..hold.max(self.seen)]).map_or(self.seen, |i| i + 1);
                swallow = None;
            }
        }
        // A span that goes on behind the limit is found again when the rest is there.
        while let Some(start) = self.crossing(limit) {
            limit = memchr::memrchr(b'\n', &self.buffer[..start]).map_or(0, |i| i + 1);
            swallow = None;
        }
        if limit <= self.seen {
            return Ok(false);
        }
        self.swallow = swallow;
        self.emit(limit, out)?;
        self.drain(limit, 0);
        Ok(true)
    }

    /// Emits the first part of a line that is longer than the window.
    fn long_line(&mut self, out: &mut Vec<u8>) -> Result<(), RedactError> {
        let end = self.buffer.len();
        let outcome = self.scan(end, false);
        let mut spans = std::mem::take(&mut self.spans);
        if let Some((at, _)) = outcome.open {
            spans.push(Span::new(at, end, super::rules::engine::SECRET));
        }
        if let Some(walker) = &self.walker
            && let Some((start, rule)) = walker.open_secret(self.redactor.set())
        {
            let start = usize::try_from(start.saturating_sub(self.base)).unwrap_or(end).max(self.seen);
            spans.push(Span { layer: Layer::Walker, ..Span::new(start, end, rule) });
        }
        union(&mut spans);
        let mut cut = end - OVERLAP;
        let floor = cut.saturating_sub(4 << 10).max(self.seen + 1);
        let safe = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b',' | b';' | b'\'');
        cut = self.buffer[floor..cut].iter().rposition(safe).map_or(cut, |i| floor + i + 1);
        if let Some(walker) = &self.walker {
            let hold = usize::try_from(walker.hold().saturating_sub(self.base)).unwrap_or(cut);
            if hold > self.seen {
                cut = cut.min(hold);
            }
        }
        let mut endless = false;
        if let Some(span) = spans.iter().find(|s| s.start < cut && s.end > cut) {
            if span.start > self.seen {
                cut = span.start;
            } else {
                cut = span.end;
                endless = span.end == end;
            }
        }
        self.spans = spans;
        self.only_outside_of_spans();
        if let Some(name) = self.names.iter().find(|n| n.start < cut && n.end > cut).filter(|n| n.start > self.seen) {
            cut = name.start;
        }
        self.spans.retain(|s| s.start < cut);
        let quote = self.buffer[..cut].get(self.spans.last().map_or(0, |s| s.start.saturating_sub(1))).copied();
        self.emit(cut, out)?;
        if endless {
            self.swallow = Some(match quote {
                Some(b @ (b'"' | b'\'')) => Region::Quote(b),
                _ => Region::Token,
            });
            self.drain(cut, 0);
        } else {
            self.drain(cut, CONTEXT);
        }
        Ok(())
    }

    fn scan(&mut self, end: usize, more: bool) -> scan::Outcome {
        self.spans.clear();
        let inner = self.redactor.inner();
        let env = Env {
            set: &inner.set,
            ids: &inner.ids,
            format: self.format,
            layers: inner.layers,
            within: self.within,
            inside: None,
        };
        let outcome = scan::scan(env, &self.buffer[..end], more, &mut self.scratch, &mut self.spans);
        let (base, seen) = (self.base, self.seen);
        for (start, stop, rule, bare) in &self.found {
            let at = |o: u64| usize::try_from(o.saturating_sub(base)).unwrap_or(usize::MAX);
            if at(*start) < end && *stop > base {
                let quotes = bare.then_some(Quotes { level: 0, quote: b'"' });
                let span = Span::new(at(*start), at(*stop).min(end), *rule);
                self.spans.push(Span { quotes, layer: Layer::Walker, ..span });
            }
        }
        for span in &mut self.spans {
            span.start = span.start.max(seen);
        }
        union(&mut self.spans);
        self.names.clear();
        if let Some(pseudonyms) = inner.pseudonyms.as_ref().filter(|_| !self.again) {
            pseudonyms.find(&self.buffer[..end], &mut self.names);
            self.only_outside_of_spans();
        }
        outcome
    }

    /// Forgets names that are emitted already, and those in or around a secret, which is replaced as a whole.
    fn only_outside_of_spans(&mut self) {
        let (spans, seen) = (&self.spans, self.seen);
        self.names.retain(|name| {
            let next = spans.partition_point(|s| s.end <= name.start);
            name.start >= seen && spans.get(next).is_none_or(|s| s.start >= name.end)
        });
    }

    /// Where something to replace begins that stands on both sides of a place.
    fn crossing(&self, place: usize) -> Option<usize> {
        let span = self.spans.iter().find(|s| s.start < place && s.end > place).map(|s| s.start);
        span.or_else(|| self.names.iter().find(|n| n.start < place && n.end > place).map(|n| n.start))
    }

    /// Writes the buffer up to `limit`, spans replaced.
    fn emit(&mut self, limit: usize, out: &mut Vec<u8>) -> Result<(), RedactError> {
        let inner = self.redactor.inner();
        let mut at = self.seen;
        let mut names = self.names.iter().filter(|n| n.start < limit && n.end <= limit).peekable();
        let mut plain = |mut from: usize, to: usize, out: &mut Vec<u8>| {
            while let Some(name) = names.next_if(|n| n.start < to) {
                out.extend_from_slice(&self.buffer[from..name.start]);
                out.extend_from_slice(name.text.as_bytes());
                *self.name_counts.entry(name.kind).or_default() += 1;
                from = name.end;
            }
            out.extend_from_slice(&self.buffer[from..to]);
        };
        for span in self.spans.iter().filter(|s| s.start < limit) {
            if span.start < at || span.end > limit {
                return Err(RedactError::Content("a secret crosses the end of what can be emitted".to_owned()));
            }
            plain(at, span.start, out);
            let id = span.id.unwrap_or_else(|| inner.ids.of(&self.buffer[span.start..span.end]));
            let quote = |out: &mut Vec<u8>| {
                if let Some(q) = span.quotes {
                    out.extend(std::iter::repeat_n(b'\\', usize::from(q.level)));
                    out.push(q.quote);
                }
            };
            self.replaced.push(out.len());
            quote(out);
            out.extend_from_slice(replacement(inner.set.kind(span.rule), id).as_bytes());
            quote(out);
            self.redactor.confirm(span.rule, &self.buffer[span.start..span.end]);
            self.changed = true;
            *self.counts.entry((span.layer, span.rule)).or_default() += 1;
            if let Some(trace) = &mut self.trace {
                trace.note(
                    &inner.set,
                    &self.buffer[self.seen..],
                    (span.start - self.seen, span.end - self.seen),
                    span,
                    id,
                );
            }
            self.ids.push(id);
            at = span.end;
        }
        plain(at, limit, out);
        self.changed |= !self.name_counts.is_empty();
        if self.ids.len() > 4_096 {
            self.settle();
        }
        Ok(())
    }

    /// Forgets what was emitted but for `keep` bytes of context.
    fn drain(&mut self, upto: usize, keep: usize) {
        if self.format == Format::Toml {
            self.within = toml_text::behind(&self.buffer[self.seen..upto], self.within);
        }
        let from = upto.saturating_sub(keep);
        if let Some(trace) = &mut self.trace {
            trace.pass(&self.buffer[self.seen..upto]);
        }
        self.buffer.drain(..from);
        self.seen = upto - from;
        self.base += from as u64;
        let base = self.base;
        self.found.retain(|(_, end, _, _)| *end > base);
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.settle();
    }
}

/// The rules that a stream uses.
impl Redactor {
    fn set(&self) -> &RuleSet {
        &self.inner().set
    }
}
