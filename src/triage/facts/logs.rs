//! One pass over a log: known signatures, the error that ended it, its last words.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::sync::{Arc, LazyLock};

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::{memchr, memchr_iter, memrchr};

use super::value::parse_time;
use crate::model::time::Timestamp;
use crate::triage::finding::{Evidence, Place};
use crate::triage::signatures::{FOLLOW_LINES, Signature, Signatures, When};
use crate::triage::text;

/// Bytes of one line that are looked at.
const LINE_MAX: usize = 8 << 10;
const CHUNK: usize = 256 << 10;
/// Lines that are kept behind the head of an error: its causes, the message of a panic.
const BLOCK: usize = 8;
/// Last lines that are kept.
const TAIL: usize = 3;
/// Errors in one minute that are a burst.
const BURST: u64 = 20;
/// Minutes with errors that are kept; the newest.
const MINUTES_MAX: usize = 1_440;
/// Matches that wait for the line behind them, at most.
const PENDING_MAX: usize = 1_000;
/// What the kubelet writes in place of a log that it cannot read.
const NO_LOG: &[u8] = b"unable to retrieve container logs";

/// Literals that begin a fatal error, weakest first.
const MARKERS: [(&str, u8); 24] = [
    ("ERROR", 1),
    ("\"error\"", 1),
    ("level=error", 1),
    ("Error:", 2),
    ("error:", 2),
    ("ERROR:", 2),
    ("Exception", 2),
    ("CRITICAL", 2),
    ("Traceback (most recent call last)", 3),
    ("Exception in thread", 3),
    ("FATAL", 3),
    ("Fatal", 3),
    ("fatal:", 3),
    ("level=fatal", 3),
    ("\"fatal\"", 3),
    ("panicked at", 3),
    ("panic:", 3),
    ("Segmentation fault", 3),
    ("core dumped", 3),
    ("exec format error", 3),
    ("error while loading shared libraries", 3),
    ("cannot open shared object", 3),
    ("OutOfMemoryError", 3),
    ("Permission denied", 2),
];

/// Which log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogKey {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
    pub(crate) previous: bool,
}

/// What one log says.
#[derive(Debug, Default)]
pub(crate) struct LogFacts {
    path: Arc<str>,
    pub(crate) lines: u64,
    /// The last error that looks fatal: line, strength, text, causes behind it.
    fatal: Option<Fatal>,
    tail: Vec<(u64, String)>,
    /// By index of the signature.
    pub(crate) hits: BTreeMap<usize, Hit>,
    /// Matches that count only with another line behind them: signature, line, excerpt.
    pending: Vec<(usize, u64, String)>,
    /// Errors a minute (minutes since 1970), for lines with a time stamp.
    errors: BTreeMap<i64, u64>,
    no_log: bool,
}

#[derive(Debug)]
struct Fatal {
    line: u64,
    strength: u8,
    block: Vec<String>,
}

/// Where a signature stands in a log.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) line: u64,
    pub(crate) excerpt: String,
    pub(crate) count: u64,
    pub(crate) last_line: u64,
    pub(crate) first: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    /// Whether it was seen as often, and in as short a time, as its signature asks for.
    pub(crate) enough: bool,
    /// The newest times, as many as the signature asks for; kept only for a signature with a window.
    recent: VecDeque<Timestamp>,
}

impl Hit {
    /// Counts one more line.
    fn again(&mut self, signature: &Signature, line: u64, time: Option<Timestamp>) {
        self.count += 1;
        self.last_line = line;
        self.last = time.or(self.last);
        match (signature.window, time) {
            (None, _) => self.enough |= self.count >= u64::from(signature.min_count),
            (Some(window), Some(time)) => {
                self.recent.push_back(time);
                if self.recent.len() > signature.min_count as usize {
                    self.recent.pop_front();
                }
                let full = self.recent.len() == signature.min_count as usize;
                self.enough |= full && self.recent.front().is_some_and(|first| time - *first <= window);
            }
            (Some(_), None) => {}
        }
    }
}

/// The error that ended a container, as its log tells it.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    /// The most telling line, without time stamp and level.
    pub(crate) text: String,
    /// Whether it is an error, or only the last line.
    pub(crate) is_error: bool,
    pub(crate) evidence: Vec<Evidence>,
}

impl LogFacts {
    /// Path of the log.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether there is a line of the program in it.
    pub(crate) fn has_text(&self) -> bool {
        !self.tail.is_empty() && !self.no_log
    }

    fn hit(
        &mut self,
        signatures: &Signatures,
        index: usize,
        line: u64,
        excerpt: impl FnOnce() -> String,
        time: Option<Timestamp>,
    ) {
        let Some(signature) = signatures.get(index) else { return };
        let hit = self.hits.entry(index).or_insert_with(|| Hit {
            line,
            excerpt: excerpt(),
            count: 0,
            last_line: line,
            first: time,
            last: time,
            enough: false,
            recent: VecDeque::new(),
        });
        hit.again(signature, line, time);
    }

    /// Evidence at a line.
    pub(crate) fn evidence(&self, line: u64, excerpt: &str) -> Evidence {
        Evidence { path: self.path.to_string(), place: Place::Line(line), excerpt: text::line(excerpt, text::EXCERPT) }
    }

    /// Times with many errors: beginning, end, how many errors. Neighbouring minutes are one burst.
    pub(crate) fn bursts(&self) -> Vec<(Timestamp, Timestamp, u64)> {
        let mut bursts: Vec<(i64, i64, u64)> = Vec::new();
        for (minute, count) in self.errors.iter().filter(|(_, count)| **count >= BURST) {
            match bursts.last_mut().filter(|b| b.1 + 1 >= *minute) {
                Some(open) => *open = (open.0, *minute, open.2 + count),
                None => bursts.push((*minute, *minute, *count)),
            }
        }
        let at = |minute: i64| chrono::DateTime::from_timestamp(minute.saturating_mul(60), 0);
        bursts.into_iter().filter_map(|(from, to, n)| Some((at(from)?, at(to.saturating_add(1))?, n))).collect()
    }

    /// Errors a minute on average, over the minutes between the first and the last error.
    pub(crate) fn errors_a_minute(&self) -> f64 {
        let (Some((first, _)), Some((last, _))) = (self.errors.first_key_value(), self.errors.last_key_value()) else {
            return 0.0;
        };
        #[expect(clippy::cast_precision_loss, reason = "a rate for a comparison")]
        let rate = self.errors.values().sum::<u64>() as f64 / (last.saturating_sub(*first).saturating_add(1)) as f64;
        rate
    }

    /// Whether it holds an error that looks like the end of a program.
    pub(crate) fn has_error(&self) -> bool {
        self.fatal.is_some()
    }

    /// Whether its last error, or its last lines, name this host: `db:5432`, `db.ns.svc`, `"db"`.
    pub(crate) fn names_host(&self, host: &str, namespace: &str) -> bool {
        let lines: Vec<&str> = match &self.fatal {
            Some(fatal) => fatal.block.iter().map(String::as_str).collect(),
            None => self.tail.iter().map(|(_, text)| text.as_str()).collect(),
        };
        lines.iter().any(|line| {
            line.match_indices(host).any(|(at, _)| {
                let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
                let rest = &line[at + host.len()..];
                let ends = rest.starts_with('"')
                    || rest.strip_prefix(':').is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()))
                    || rest.strip_prefix('.').is_some_and(|domain| domain.starts_with(namespace));
                ends && !line[..at].ends_with(word)
            })
        })
    }

    /// Why the container ended; none for an empty log.
    pub(crate) fn cause(&self) -> Option<Cause> {
        if let Some(fatal) = &self.fatal {
            // One entry for the whole block: its lines mean little one by one.
            let lines: Vec<&str> = fatal.block.iter().map(|l| l.trim()).filter(|l| !l.is_empty()).collect();
            let evidence = vec![self.evidence(fatal.line, &lines.join(" "))];
            return Some(Cause { text: headline(&fatal.block), is_error: true, evidence });
        }
        let (_, last) = self.tail.last()?;
        Some(Cause {
            text: strip(last),
            is_error: false,
            evidence: self.tail.iter().map(|(line, text)| self.evidence(*line, text)).collect(),
        })
    }
}

/// The most telling line of an error block: the deepest cause of a chain, the message of a panic, the last line of a
/// traceback; otherwise the first line.
fn headline(block: &[String]) -> String {
    let first = block.first().map(String::as_str).unwrap_or_default();
    if first.contains("Traceback (most recent call last)") {
        let last = block.iter().skip(1).rfind(|l| !l.starts_with([' ', '\t']));
        return strip(last.map_or(first, String::as_str));
    }
    if let Some(at) = first.find("panicked at") {
        let message = block.iter().skip(1).find(|l| !l.trim().is_empty());
        // Older toolchains put the message in the first line, in quotes.
        return match message {
            Some(message) if !message.trim_start().starts_with("note:") => format!("panic: {}", strip(message)),
            _ => strip(&first[at..]),
        };
    }
    let causes = block.iter().position(|l| l.trim_start().starts_with("Caused by:"));
    if let Some(at) = causes {
        let inline = block[at].trim_start().trim_start_matches("Caused by:").trim();
        let deepest = block
            .iter()
            .skip(at + 1)
            .take_while(|l| l.starts_with([' ', '\t']) && !l.trim().is_empty())
            .last()
            .map_or(inline, |l| l.trim());
        // anyhow numbers its causes.
        let deepest = deepest.split_once(": ").filter(|(n, _)| n.parse::<u32>().is_ok()).map_or(deepest, |(_, d)| d);
        if !deepest.is_empty() {
            return text::line(deepest, 200);
        }
    }
    strip(first)
}

/// A log line without its time stamp, so that the same line of two pods is the same text.
fn strip(line: &str) -> String {
    let mut rest = line.trim();
    if let Some((head, tail)) = rest.split_once(' ')
        && parse_time(head).is_some()
    {
        rest = tail.trim_start();
    }
    text::line(rest, 200)
}

static MARKER_FINDER: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().match_kind(MatchKind::Standard).build(MARKERS.map(|(m, _)| m)).ok());

/// One finder for markers and anchors, used for all logs of a bundle.
pub(super) struct LogScanner {
    finder: Option<AhoCorasick>,
    signatures: Option<Arc<Signatures>>,
}

impl LogScanner {
    pub(super) fn new(signatures: Option<Arc<Signatures>>) -> Self {
        let mut literals: Vec<&str> = MARKERS.iter().map(|(m, _)| *m).collect();
        if let Some(signatures) = &signatures {
            literals.extend(signatures.anchors());
        }
        Self { finder: AhoCorasick::builder().match_kind(MatchKind::Standard).build(literals).ok(), signatures }
    }

    /// Reads a log to its end.
    ///
    /// # Errors
    /// What reading meets; what was read until then is lost with it.
    pub(super) fn scan(&self, path: &str, mut reader: impl Read) -> Result<LogFacts, std::io::Error> {
        let mut log = LogFacts { path: Arc::from(path), ..LogFacts::default() };
        let mut buffer = vec![0_u8; CHUNK];
        let (mut filled, mut skipping, mut open_block) = (0, false, 0);
        loop {
            let read = match reader.read(&mut buffer[filled..]) {
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            filled += read;
            if read == 0 {
                if filled > 0 && !skipping {
                    self.lines(&mut log, &buffer[..filled], &mut open_block);
                }
                return Ok(log);
            }
            let Some(end) = memrchr(b'\n', &buffer[..filled]) else {
                // A line longer than the buffer: its beginning is looked at, the rest is passed over.
                if filled == buffer.len() {
                    if !skipping {
                        self.lines(&mut log, &buffer[..LINE_MAX], &mut open_block);
                    }
                    skipping = true;
                    filled = 0;
                }
                continue;
            };
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
    }

    /// Looks at whole lines. `open_block` is how many more lines belong to the last error.
    fn lines(&self, log: &mut LogFacts, bytes: &[u8], open_block: &mut usize) {
        let base = log.lines;
        let mut at = 0;
        let mut number = base;
        if *open_block > 0 {
            at = extend(log, bytes, 0, open_block);
            number += memchr_iter(b'\n', &bytes[..at]).count() as u64;
        }
        while at < bytes.len() {
            let Some(found) = self.finder.as_ref().and_then(|f| f.find(&bytes[at..])) else { break };
            let hit = at + found.start();
            let start = memrchr(b'\n', &bytes[at..hit]).map_or(at, |n| at + n + 1);
            let end = memchr(b'\n', &bytes[hit..]).map_or(bytes.len(), |n| hit + n);
            number += memchr_iter(b'\n', &bytes[at..start]).count() as u64;
            let line = &bytes[start..end.min(start + LINE_MAX)];
            let opened = self.line(log, number + 1, line);
            at = (end + 1).min(bytes.len());
            number += 1;
            if opened {
                *open_block = BLOCK - 1;
                let next = extend(log, bytes, at, open_block);
                number += memchr_iter(b'\n', &bytes[at..next]).count() as u64;
                // Lines of the block may match signatures of their own.
                for (i, line) in bytes[at..next].split(|b| *b == b'\n').enumerate() {
                    let n = number - memchr_iter(b'\n', &bytes[at..next]).count() as u64 + i as u64 + 1;
                    self.signatures(log, n, &line[..line.len().min(LINE_MAX)]);
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

    /// Looks at one line with a literal in it; gives whether it opened an error block.
    fn line(&self, log: &mut LogFacts, number: u64, line: &[u8]) -> bool {
        let noise = self.signatures(log, number, line);
        let strength = if noise { 0 } else { strength(line) };
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
    fn signatures(&self, log: &mut LogFacts, number: u64, line: &[u8]) -> bool {
        let Some(signatures) = &self.signatures else { return false };
        let matched = signatures.matches(line);
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
}

/// The time stamp that a line begins with.
fn line_time(line: &[u8]) -> Option<Timestamp> {
    line.split(|b| *b == b' ').next().and_then(|w| std::str::from_utf8(w).ok()).and_then(parse_time)
}

/// How much a line looks like the end of a program, 0 for not at all.
fn strength(line: &[u8]) -> u8 {
    let Some(finder) = MARKER_FINDER.as_ref() else { return 0 };
    let mut best = 0;
    for found in finder.find_overlapping_iter(line) {
        let (_, strength) = MARKERS[found.pattern().as_usize()];
        // `Error:` at the beginning of a line is how a Rust, Node or shell program ends.
        let leads = found.start() == 0 && strength == 2;
        best = best.max(if leads { 3 } else { strength });
    }
    best
}

/// Adds following lines to the open error block until an empty line; gives where to go on.
fn extend(log: &mut LogFacts, bytes: &[u8], mut at: usize, open: &mut usize) -> usize {
    let Some(fatal) = &mut log.fatal else { return at };
    while *open > 0 && at < bytes.len() {
        let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n);
        let line = &bytes[at..end.min(at + LINE_MAX)];
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        let ends = text.is_empty() && fatal.block.len() > 1 && !fatal.block[0].starts_with("Error");
        let next = text.split(' ').next().is_some_and(|w| parse_time(w).is_some());
        if ends || next || strength(line) >= 3 && !text.trim_start().starts_with("Caused by") {
            *open = 0;
            return at;
        }
        fatal.block.push(text);
        *open -= 1;
        at = (end + 1).min(bytes.len());
    }
    at
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scan(text: &str) -> LogFacts {
        LogScanner::new(Signatures::of_profile("kms")).scan("x.log", text.as_bytes()).unwrap()
    }

    fn cause(text: &str) -> (String, u64) {
        let cause = scan(text).cause().unwrap();
        let Place::Line(line) = cause.evidence[0].place else { panic!() };
        (cause.text, line)
    }

    #[test]
    fn the_telling_line_is_found() {
        for (log, want, line) in [
            (
                "starting\nthread main panicked at src/main.rs:42:10:\ncalled Result::unwrap() on an Err value: PoolTimedOut\n",
                "panic: called Result::unwrap() on an Err value: PoolTimedOut",
                2,
            ),
            (
                "a\nError: transport error: tcp connect error: Connection refused (os error 111)",
                "Error: transport error: tcp connect error: Connection refused (os error 111)",
                2,
            ),
            ("Error: cannot load\n\nCaused by:\n    0: reading\n    1: unknown field `x`\n", "unknown field `x`", 1),
            ("2026-11-21T06:32:20Z ERROR boom\n2026-11-21T06:32:21Z INFO bye\n", "ERROR boom", 1),
            ("Traceback (most recent call last):\n  File \"x\", line 1\nValueError: no\n", "ValueError: no", 1),
            (
                "panic: runtime error: index out of range\n\ngoroutine 1 [running]:\n",
                "panic: runtime error: index out of range",
                1,
            ),
        ] {
            assert_eq!(cause(log), (want.to_owned(), line), "{log}");
        }
        let last = scan("one\ntwo\n\nthree\nfour\n").cause().unwrap();
        assert!(!last.is_error);
        assert_eq!(last.text, "four");
        assert_eq!(last.evidence[0].place, Place::Line(2));
    }

    #[test]
    fn what_the_kubelet_writes_is_not_a_log() {
        assert!(!scan("unable to retrieve container logs for containerd://2ae4").has_text());
        assert!(!scan("").has_text());
        assert!(scan("x").has_text());
    }

    #[test]
    fn signatures_have_lines_and_counts() {
        let log = scan(
            "a\nNo space left on device\nb\nx: os error 28\nError: a\nCaused by: missing configuration field \"service\"\n",
        );
        let ids: Vec<_> = log.hits.values().map(|h| (h.line, h.count)).collect();
        assert_eq!(ids, vec![(6, 1), (2, 2)]);
    }

    /// Hits of one signature made of these keys: count, first line, whether it is enough.
    fn hits(keys: &str, text: &str) -> Option<(u64, u64, bool)> {
        let file = format!(
            "schema = 1\n[[signature]]\nid = \"A\"\nregex = 'boom'\nanchors = ['boom']\nwhen = \"seen\"\nmeaning = \"m\"\nremedy = [\"r\"]\n{keys}\n"
        );
        let signatures = crate::triage::signatures::parse("s", &file).unwrap();
        let log = LogScanner::new(Some(Arc::new(signatures))).scan("x.log", text.as_bytes()).unwrap();
        log.hits.get(&0).map(|h| (h.count, h.line, h.enough))
    }

    #[test]
    fn some_signatures_must_be_seen_often() {
        assert_eq!(hits("min_count = 3", "boom\nboom\n"), Some((2, 1, false)));
        assert_eq!(hits("min_count = 3", "boom\nx\nboom\nboom\n"), Some((3, 1, true)));
        let window = "min_count = 2\nwindow = \"1m\"";
        assert_eq!(hits(window, "boom\nboom\n"), Some((2, 1, false)), "lines without a time do not count");
        let at = |time: &str| format!("2026-11-21T{time}Z boom\n");
        assert_eq!(hits(window, &(at("06:00:00") + &at("06:05:00"))), Some((2, 1, false)));
        assert_eq!(hits(window, &(at("06:00:00") + &at("06:05:00") + &at("06:05:59"))), Some((3, 1, true)));
    }

    #[test]
    fn some_signatures_need_a_line_behind_them() {
        let keys = "followed_by = 'because'";
        assert_eq!(hits(keys, "boom\nx\n"), None);
        assert_eq!(hits(keys, "boom because\nx\n"), None, "it must be another line");
        assert_eq!(hits(keys, "a\nboom\nx\nbecause of y\n"), Some((1, 2, true)));
        assert_eq!(hits(keys, &format!("boom\n{}because\n", "x\n".repeat(FOLLOW_LINES))), None);
        // The line behind it may be in another part of a large log.
        let filler = format!("{}\n", "y".repeat(99)).repeat(CHUNK / 100 * 2);
        for pad in 0..4 {
            let text = format!("{}{}boom\n{}because\n", "z".repeat(pad), &filler[..CHUNK - 7], "x\n");
            assert_eq!(hits(keys, &text).map(|h| h.0), Some(1), "{pad}");
        }
    }

    #[test]
    fn very_long_lines_cost_one_line() {
        let text = format!("{}\nError: {}\nlast\n", "x".repeat(CHUNK * 3), "y".repeat(CHUNK));
        let log = scan(&text);
        assert_eq!(log.lines, 3);
        assert_eq!(log.tail.last().unwrap(), &(3, "last".to_owned()));
        assert_eq!(log.fatal.unwrap().line, 2);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..2000)) {
            let log = LogScanner::new(None).scan("x", bytes.as_slice()).unwrap();
            let lines = bytes.split(|b| *b == b'\n').count() as u64 - u64::from(bytes.is_empty() || bytes.ends_with(b"\n"));
            prop_assert_eq!(log.lines, lines);
            for (line, text) in &log.tail {
                let real = bytes.split(|b| *b == b'\n').nth(usize::try_from(*line).unwrap() - 1).unwrap();
                let real = String::from_utf8_lossy(real);
                prop_assert_eq!(text.as_str(), real.trim_end());
            }
        }
    }
}
