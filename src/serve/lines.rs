//! The lines of a log that a request wants, filtered as they stream by, in bounded memory.

use chrono::SecondsFormat;

use super::clock;
use crate::model::time::Timestamp;

/// Bytes at the start of a line in which its time is looked for.
const HEAD: usize = 256;

/// What a request wants of a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Put the time in front of each line.
    pub(super) timestamps: bool,
    /// Only lines of this time or later.
    pub(super) since: Option<Timestamp>,
    /// Only so many lines at the end.
    pub(super) tail: Option<u64>,
    /// Leave out so many lines at the beginning.
    pub(super) skip: u64,
    /// Stop after so many bytes: the oldest are kept.
    pub(super) limit: Option<u64>,
    /// The time of lines before the first one that tells its time.
    pub(super) start: Timestamp,
}

impl Wanted {
    /// Everything.
    pub(super) fn new(start: Timestamp) -> Self {
        Self { timestamps: false, since: None, tail: None, skip: 0, limit: None, start }
    }
}

/// Whether the lines of a log begin with the kubelet's time (nine digits of a second and one space).
pub(super) fn timestamped(head: &[u8]) -> bool {
    // The last line may be cut.
    let mut lines: Vec<&[u8]> = head.split(|b| *b == b'\n').take(8).collect();
    if lines.len() > 1 {
        lines.pop();
    }
    let stamped = lines.iter().filter(|line| stamp(line).is_some()).count();
    stamped * 2 > lines.len()
}

/// The kubelet's time at the start of a line, and the length of it with its space.
fn stamp(line: &[u8]) -> Option<(Timestamp, usize)> {
    let end = line.iter().take(40).position(|b| *b == b' ')?;
    let text = std::str::from_utf8(&line[..end]).ok()?;
    let fraction = text.get(20..29)?;
    let shaped = text.as_bytes().get(19) == Some(&b'.')
        && fraction.bytes().all(|b| b.is_ascii_digit())
        && matches!(text.as_bytes().get(29), Some(b'Z' | b'+' | b'-'));
    if shaped { Some((clock::parse(text)?, end + 1)) } else { None }
}

/// A time that a program itself wrote near the start of a line: the first RFC 3339 time there is.
fn written(line: &[u8]) -> Option<Timestamp> {
    let digits =
        |at: usize, count: usize| line.get(at..at + count).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    let shaped = |at: usize| {
        digits(at, 4)
            && line.get(at + 4) == Some(&b'-')
            && matches!(line.get(at + 10), Some(b'T' | b't' | b' '))
            && digits(at + 11, 2)
    };
    let start = (0..line.len().min(HEAD)).find(|at| shaped(*at))?;
    let rest = &line[start..line.len().min(start + 40)];
    let end = rest
        .iter()
        .skip(11)
        .position(|b| !(b.is_ascii_digit() || matches!(b, b':' | b'.' | b'Z' | b'+' | b'-')))
        .map_or(rest.len(), |n| n + 11);
    let mut text = std::str::from_utf8(&rest[..end]).ok()?.replacen(' ', "T", 1);
    if !text.ends_with('Z') && !text.get(19..)?.contains(['+', '-']) {
        text.push('Z');
    }
    clock::parse(&text)
}

/// Where in a line the stream is.
#[derive(Debug, PartialEq, Eq)]
enum At {
    /// The start of a line is collected until its time can be told.
    Head,
    /// The rest of a line passes.
    Pass,
    /// The rest of a line is dropped.
    Drop,
}

/// Lets the wanted lines of a stream of chunks through.
#[derive(Debug)]
pub(super) struct Filter {
    wanted: Wanted,
    stamped: bool,
    head: Vec<u8>,
    at: At,
    time: Timestamp,
    skip: u64,
    left: u64,
}

impl Filter {
    /// A filter for a log whose lines do or do not begin with the kubelet's time.
    pub(super) fn new(wanted: Wanted, stamped: bool) -> Self {
        let (time, skip, left) = (wanted.start, wanted.skip, wanted.limit.unwrap_or(u64::MAX));
        Self { wanted, stamped, head: Vec::new(), at: At::Head, time, skip, left }
    }

    /// Whether nothing can come any more.
    pub(super) fn is_done(&self) -> bool {
        self.left == 0
    }

    /// Takes the next bytes and appends what of them passes.
    pub(super) fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() && !self.is_done() {
            let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |n| n + 1);
            let (line, rest) = bytes.split_at(end);
            bytes = rest;
            self.part(line, out);
        }
    }

    /// Ends the log: a last line may have no newline.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.at == At::Head && !self.head.is_empty() {
            self.decide(out);
        }
    }

    /// Takes a part of one line, with its newline if it ends there.
    fn part(&mut self, part: &[u8], out: &mut Vec<u8>) {
        let ends = part.last() == Some(&b'\n');
        match self.at {
            At::Head => {
                let taken = part.len().min(HEAD.saturating_sub(self.head.len()));
                self.head.extend_from_slice(&part[..taken]);
                if ends || self.head.len() >= HEAD {
                    self.decide(out);
                    if self.at == At::Pass {
                        self.emit(&part[taken..], out);
                    }
                }
            }
            At::Pass => self.emit(part, out),
            At::Drop => {}
        }
        if ends {
            self.at = At::Head;
            self.head.clear();
        }
    }

    /// Decides about a line by its start, and emits that start.
    fn decide(&mut self, out: &mut Vec<u8>) {
        let head = std::mem::take(&mut self.head);
        let stamp = if self.stamped { stamp(&head) } else { None };
        if let Some(time) = stamp.map(|(time, _)| time).or_else(|| if self.stamped { None } else { written(&head) }) {
            self.time = time;
        }
        if self.skip > 0 {
            self.skip -= 1;
            self.at = At::Drop;
            return;
        }
        if self.wanted.since.is_some_and(|since| self.time < since) {
            self.at = At::Drop;
            return;
        }
        self.at = At::Pass;
        let text = &head[stamp.map_or(0, |(_, length)| length)..];
        if self.wanted.timestamps {
            let time = self.time.to_rfc3339_opts(SecondsFormat::Nanos, true);
            self.emit(time.as_bytes(), out);
            self.emit(b" ", out);
        }
        self.emit(text, out);
    }

    fn emit(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let count = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        out.extend_from_slice(&bytes[..count]);
        self.left -= count as u64;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAMPED: &str = "2026-11-21T06:31:07.044027796Z a 2026-11-21T06:31:07.000000Z x\n\
        2026-11-21T06:31:27.048246009Z b\n2026-11-21T06:31:47.062648408Z c\n";
    const PLAIN: &str = "banner\n2026-11-21T06:31:27.000000Z  WARN b\n{\"timestamp\":\"2026-11-21T06:31:47Z\"}\n  at c";

    fn start() -> Timestamp {
        clock::parse("2026-11-21T06:00:00Z").unwrap()
    }

    fn run(log: &str, wanted: Wanted, split: usize) -> String {
        let mut filter = Filter::new(wanted, timestamped(log.as_bytes()));
        let mut out = Vec::new();
        for chunk in log.as_bytes().chunks(split.max(1)) {
            filter.feed(chunk, &mut out);
        }
        filter.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_kubelets_time_is_taken_off_and_put_on() {
        assert!(timestamped(STAMPED.as_bytes()));
        assert!(!timestamped(PLAIN.as_bytes()));
        let all = Wanted::new(start());
        assert_eq!(run(STAMPED, all, 7), "a 2026-11-21T06:31:07.000000Z x\nb\nc\n");
        assert_eq!(run(STAMPED, Wanted { timestamps: true, ..all }, 7), STAMPED);
        assert_eq!(run(PLAIN, all, 7), PLAIN);
        let stamped = run(PLAIN, Wanted { timestamps: true, ..all }, 7);
        assert_eq!(
            stamped,
            "2026-11-21T06:00:00.000000000Z banner\n2026-11-21T06:31:27.000000000Z 2026-11-21T06:31:27.000000Z  WARN b\n\
             2026-11-21T06:31:47.000000000Z {\"timestamp\":\"2026-11-21T06:31:47Z\"}\n2026-11-21T06:31:47.000000000Z   at c"
        );
    }

    #[test]
    fn lines_are_chosen() {
        let all = Wanted::new(start());
        assert_eq!(run(STAMPED, Wanted { skip: 2, ..all }, 5), "c\n");
        let since = Some(clock::parse("2026-11-21T06:31:27Z").unwrap());
        assert_eq!(run(STAMPED, Wanted { since, ..all }, 5), "b\nc\n");
        assert_eq!(run(PLAIN, Wanted { since, ..all }, 5), PLAIN.strip_prefix("banner\n").unwrap());
        assert_eq!(run(PLAIN, Wanted { limit: Some(9), ..all }, 5), "banner\n20");
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(log in "(?s).{0,400}", split in 1_usize..50, skip in 0_u64..3, limit in 1_u64..300) {
            let wanted = Wanted { skip, limit: Some(limit), ..Wanted::new(start()) };
            let run = |split: usize| {
                let mut filter = Filter::new(wanted, false);
                let mut out = Vec::new();
                log.as_bytes().chunks(split).for_each(|chunk| filter.feed(chunk, &mut out));
                filter.finish(&mut out);
                out
            };
            prop_assert_eq!(run(split), run(usize::MAX));
        }
    }
}
