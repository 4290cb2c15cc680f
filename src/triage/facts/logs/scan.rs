//! Reading a log: line numbers, markers, signatures, the last lines.

use std::io::Read;
use std::sync::Arc;

use memchr::{memchr, memchr_iter, memrchr};

use super::super::value::parse_time;
use super::LogFacts;
use super::cause::Fatal;
use super::literals::Literals;
use super::markers::{MARKERS, strength_at};
use crate::model::time::Timestamp;
use crate::triage::signatures::{FOLLOW_LINES, Signatures, When};
use crate::triage::text;

/// Bytes of one line that are looked at.
const LINE_MAX: usize = 8 << 10;
/// Bytes that are read at once.
pub(super) const CHUNK: usize = 256 << 10;
/// Lines that are kept behind the head of an error: its causes, the message of a panic.
const BLOCK: usize = 8;
/// Last lines that are kept.
const TAIL: usize = 3;
/// Minutes with errors that are kept; the newest.
const MINUTES_MAX: usize = 1_440;
/// Matches that wait for the line behind them, at most.
const PENDING_MAX: usize = 1_000;
/// What the kubelet writes in place of a log that it cannot read.
const NO_LOG: &[u8] = b"unable to retrieve container logs";

/// One finder for markers and anchors, used for all logs of a bundle.
pub(in crate::triage::facts) struct LogScanner {
    /// The markers, then the anchors of the signatures.
    literals: Literals,
    signatures: Option<Arc<Signatures>>,
}

impl LogScanner {
    pub(in crate::triage::facts) fn new(signatures: Option<Arc<Signatures>>) -> Self {
        let mut literals: Vec<&str> = MARKERS.iter().map(|(m, _)| *m).collect();
        if let Some(signatures) = &signatures {
            literals.extend(signatures.anchors());
        }
        Self { literals: Literals::new(&literals), signatures }
    }

    /// Reads a log to its end. The buffer keeps its memory from one log to the next.
    ///
    /// # Errors
    /// What reading meets; what was read until then is lost with it.
    pub(in crate::triage::facts) fn scan(
        &self,
        path: &str,
        mut reader: impl Read,
        buffer: &mut Vec<u8>,
    ) -> Result<LogFacts, std::io::Error> {
        let mut log = LogFacts { path: Arc::from(path), ..LogFacts::default() };
        buffer.resize(CHUNK, 0);
        let (mut filled, mut skipping, mut open_block) = (0, false, 0);
        loop {
            // Large pieces, so that the result does not depend on the sizes of reads, and few searches are begun.
            filled += fill(&mut reader, &mut buffer[filled..])?;
            let ended = filled < buffer.len();
            match memrchr(b'\n', &buffer[..filled]) {
                Some(end) => {
                    let mut from = 0;
                    if skipping {
                        from = memchr(b'\n', &buffer[..filled]).map_or(filled, |n| n + 1);
                        skipping = false;
                    }
                    if from <= end {
                        self.lines(&mut log, &buffer[from..=end], &mut open_block);
                    }
                    buffer.copy_within(end + 1..filled, 0);
                    filled -= end + 1;
                }
                // A line longer than the buffer: its beginning is looked at, the rest is passed over.
                None if !ended => {
                    if !skipping {
                        self.lines(&mut log, &buffer[..LINE_MAX], &mut open_block);
                    }
                    skipping = true;
                    filled = 0;
                }
                None => {}
            }
            if ended {
                if filled > 0 && !skipping {
                    self.lines(&mut log, &buffer[..filled], &mut open_block);
                }
                return Ok(log);
            }
        }
    }

    /// Looks at whole lines. `open_block` is how many more lines belong to the last error.
    fn lines(&self, log: &mut LogFacts, bytes: &[u8], open_block: &mut usize) {
        let base = log.lines;
        let mut at = 0;
        let mut number = base;
        let mut cursor = self.literals.cursor();
        if *open_block > 0 {
            at = self.extend(log, bytes, 0, open_block);
            number += memchr_iter(b'\n', &bytes[..at]).count() as u64;
        }
        while at < bytes.len() {
            let Some(hit) = self.literals.next(bytes, at, &mut cursor) else { break };
            let start = memrchr(b'\n', &bytes[at..hit]).map_or(at, |n| at + n + 1);
            let end = memchr(b'\n', &bytes[hit..]).map_or(bytes.len(), |n| hit + n);
            number += memchr_iter(b'\n', &bytes[at..start]).count() as u64;
            let line = &bytes[start..end.min(start + LINE_MAX)];
            let opened = self.line(log, number + 1, line);
            at = (end + 1).min(bytes.len());
            number += 1;
            if opened {
                *open_block = BLOCK - 1;
                let next = self.extend(log, bytes, at, open_block);
                number += memchr_iter(b'\n', &bytes[at..next]).count() as u64;
                // Lines of the block may match signatures of their own.
                for (i, line) in bytes[at..next].split(|b| *b == b'\n').enumerate() {
                    let n = number - memchr_iter(b'\n', &bytes[at..next]).count() as u64 + i as u64 + 1;
                    let line = &line[..line.len().min(LINE_MAX)];
                    self.signatures(log, n, line, &self.read(line).candidates);
                }
                at = next;
            }
        }
        if !log.pending.is_empty() {
            self.followers(log, bytes, base);
        }
        log.lines += memchr_iter(b'\n', bytes).count() as u64 + u64::from(!bytes.ends_with(b"\n"));
        tail(log, bytes, base);
    }

    /// Looks for literals in one line.
    fn read(&self, line: &[u8]) -> Reading {
        let mut reading = Reading::default();
        self.literals.in_line(line, |literal, start| match literal.checked_sub(MARKERS.len()) {
            None => reading.strength = reading.strength.max(strength_at(literal, start)),
            Some(anchor) => reading.candidates.extend(self.signatures.as_ref().and_then(|s| s.owner(anchor))),
        });
        reading.candidates.sort_unstable();
        reading.candidates.dedup();
        reading
    }

    /// Looks at one line with a literal in it; gives whether it opened an error block.
    fn line(&self, log: &mut LogFacts, number: u64, line: &[u8]) -> bool {
        let Reading { strength, candidates } = self.read(line);
        let noise = self.signatures(log, number, line, &candidates);
        let strength = if noise { 0 } else { strength };
        if strength > 0
            && let Some(at) = line_time(line)
        {
            *log.errors.entry(at.timestamp() / 60).or_default() += 1;
            if log.errors.len() > MINUTES_MAX {
                log.errors.pop_first();
            }
        }
        if strength == 0 || log.fatal.as_ref().is_some_and(|f| f.strength > strength) {
            return false;
        }
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        log.fatal = Some(Fatal { line: number, strength, block: vec![text] });
        true
    }

    /// Counts the signatures of a line; gives whether the line is known noise.
    fn signatures(&self, log: &mut LogFacts, number: u64, line: &[u8], candidates: &[usize]) -> bool {
        let Some(signatures) = self.signatures.as_ref().filter(|_| !candidates.is_empty()) else { return false };
        let matched = signatures.confirm(candidates, line);
        if matched.iter().any(|i| signatures.get(*i).is_some_and(|s| s.when == When::Noise)) {
            return true;
        }
        for index in matched {
            if signatures.needs_more(index) {
                if log.pending.len() < PENDING_MAX {
                    log.pending.push((index, number, text::line(&String::from_utf8_lossy(line), text::EXCERPT)));
                }
                continue;
            }
            let excerpt = || text::line(&String::from_utf8_lossy(line), text::EXCERPT);
            log.hit(signatures, index, number, excerpt, line_time(line));
        }
        false
    }

    /// Looks for the lines that must stand behind matches, among the lines of `bytes`; `base` is the number of lines before.
    fn followers(&self, log: &mut LogFacts, bytes: &[u8], base: u64) {
        let Some(signatures) = &self.signatures else { return };
        for (index, number, excerpt) in std::mem::take(&mut log.pending) {
            let last = number + FOLLOW_LINES as u64;
            let from = usize::try_from(number.saturating_sub(base)).unwrap_or(usize::MAX);
            let mut lines = bytes.split(|b| *b == b'\n').zip(base + 1..).skip(from).take_while(|(_, n)| *n <= last);
            if lines.any(|(line, _)| signatures.follows(index, &line[..line.len().min(LINE_MAX)])) {
                let time = excerpt.split(' ').next().and_then(parse_time);
                log.hit(signatures, index, number, || excerpt, time);
            } else if last > base + memchr_iter(b'\n', bytes).count() as u64 {
                // The rest of its lines comes with the next part of the log.
                log.pending.push((index, number, excerpt));
            }
        }
    }

    /// Adds following lines to the open error block until an empty line; gives where to go on.
    fn extend(&self, log: &mut LogFacts, bytes: &[u8], mut at: usize, open: &mut usize) -> usize {
        let Some(fatal) = &mut log.fatal else { return at };
        while *open > 0 && at < bytes.len() {
            let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n);
            let line = &bytes[at..end.min(at + LINE_MAX)];
            let text = String::from_utf8_lossy(line).trim_end().to_owned();
            let ends = text.is_empty() && fatal.block.len() > 1 && !fatal.block[0].starts_with("Error");
            let next = text.split(' ').next().is_some_and(|w| parse_time(w).is_some());
            if ends || next || self.read(line).strength >= 3 && !text.trim_start().starts_with("Caused by") {
                *open = 0;
                return at;
            }
            fatal.block.push(text);
            *open -= 1;
            at = (end + 1).min(bytes.len());
        }
        at
    }
}

/// Reads until the buffer is full or there is no more; gives how much was read.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize, std::io::Error> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// What the literals of a line say.
#[derive(Default)]
struct Reading {
    /// How much it looks like the end of a program, 0 for not at all.
    strength: u8,
    /// Signatures that it may match.
    candidates: Vec<usize>,
}

/// The time stamp that a line begins with.
fn line_time(line: &[u8]) -> Option<Timestamp> {
    line.split(|b| *b == b' ').next().and_then(|w| std::str::from_utf8(w).ok()).and_then(parse_time)
}

/// Keeps the last lines that are not empty. `base` is the number of lines before `bytes`.
fn tail(log: &mut LogFacts, bytes: &[u8], base: u64) {
    let total = memchr_iter(b'\n', bytes).count() as u64 + u64::from(!bytes.ends_with(b"\n"));
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut found = Vec::new();
    let mut number = base + total;
    for line in body.rsplit(|b| *b == b'\n').take(200) {
        let shown = String::from_utf8_lossy(&line[..line.len().min(LINE_MAX)]).trim_end().to_owned();
        if line.starts_with(NO_LOG) {
            log.no_log = base == 0 && total == 1;
        }
        if !shown.trim().is_empty() {
            found.push((number, shown));
            if found.len() == TAIL {
                break;
            }
        }
        number -= 1;
    }
    found.reverse();
    if !found.is_empty() {
        log.tail.extend(found);
        let extra = log.tail.len().saturating_sub(TAIL);
        log.tail.drain(..extra);
    }
}
