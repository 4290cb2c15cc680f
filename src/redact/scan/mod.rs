//! The byte engine: finds secrets in any text, whatever its format.
//!
//! One pass finds candidates ([`literals`]); each candidate is then checked by code or by one anchored
//! rule inside a bounded window. Cost does not grow with the number of rules.

mod argument;
mod auth;
mod bounds;
mod decode;
mod flow;
mod hcl;
mod keyvalue;
mod list;
pub(super) mod literals;
mod mnemonic;
mod pair;
mod pem;
mod region;
mod rule;
mod setting;
mod spoken;
mod sql;
pub(super) mod toml_text;
mod url;
pub(super) mod value;
mod vocabulary;
pub(super) mod words;
mod xml;
mod yaml_secret;
mod yaml_value;

pub(super) use region::Region;

use std::cell::{Cell, RefCell};

use zeroize::Zeroizing;

use super::Format;
use super::layers::Layers;
use super::rules::{Anchor, RuleSet, engine};
use super::span::{Quotes, Span};
use super::token::Ids;
use literals::Hit;

/// How far a construct of several lines is followed before it is taken for endless.
pub(super) const LOOKAHEAD: usize = 64 << 10;
/// Layers of encoding that are decoded.
const MAX_DEPTH: u8 = 3;

/// What a scan needs to know.
#[derive(Clone, Copy)]
pub(super) struct Env<'a> {
    pub(super) set: &'a RuleSet,
    pub(super) ids: &'a Ids,
    pub(super) format: Format,
    pub(super) layers: Layers,
    /// TOML: the string of several lines that the bytes begin in.
    pub(super) within: toml_text::Inside,
    /// Where decoded secrets are noted; none where nobody asks.
    pub(super) inside: Option<&'a Inside>,
}

/// Secrets that were found inside of an encoding, as they are without it. It has no `Debug`, because it holds them.
#[derive(Default)]
pub(super) struct Inside(RefCell<Vec<(u16, Zeroizing<Vec<u8>>)>>);

impl Inside {
    fn add(&self, rule: u16, value: &[u8]) {
        self.0.borrow_mut().push((rule, Zeroizing::new(value.to_vec())));
    }

    /// Rule and value of each.
    pub(super) fn into_values(self) -> Vec<(u16, Zeroizing<Vec<u8>>)> {
        self.0.into_inner()
    }
}

/// What a scan found beside spans.
#[derive(Default)]
pub(super) struct Outcome {
    /// The scan is only valid up to here: what follows needs bytes that are not there yet. The start of a line.
    pub(super) hold: Option<usize>,
    /// A secret that goes on behind the bytes, and from where the rest of it begins.
    pub(super) open: Option<(usize, Region)>,
    /// Bytes that were looked at, those of one place as often as they were.
    cost: usize,
}

/// Buffers that scans reuse.
#[derive(Default)]
pub(super) struct Scratch {
    hits: Vec<Hit>,
}

/// One pass over a piece of content that begins at the start of a line.
pub(super) struct Scan<'a> {
    env: Env<'a>,
    bytes: &'a [u8],
    /// Whether more bytes follow these.
    more: bool,
    depth: u8,
    spans: &'a mut Vec<Span>,
    outcome: Outcome,
    /// Hits before this belong to something that is already masked.
    resume: usize,
    /// Hits between these belong to a value that is masked already, further down.
    skip: (usize, usize),
    line: (usize, usize),
    /// Start of a line, and whether it is a JSON document.
    json_line: (usize, bool),
    last_key: (usize, usize),
    /// Start of the line whose value belongs to a name above it, and of that name's line.
    paired: Option<(usize, usize)>,
    /// TOML: the strings, once somebody has asked for them.
    texts: Option<Vec<(usize, usize)>>,
    memory: Memory,
    effort: Effort,
}

/// What the hits of a line have cost so far.
#[derive(Default)]
struct Effort {
    /// Where the line begins and ends.
    line: (usize, usize),
    /// Bytes of the line that were looked at, those of one place as often as they were.
    bytes: Cell<usize>,
    /// Whether the line was given up.
    gone: bool,
    /// Bytes of all lines.
    total: Cell<usize>,
}

/// How often each byte of a line may be looked at.
const LOOKS: usize = 24;
/// How many bytes any line may cost, and any line inside of an encoding.
const FREE: [usize; 2] = [4 << 10, 1 << 10];

/// What earlier hits of a line have shown, so that the cost of a byte does not grow with the number of hits around it.
#[derive(Default)]
struct Memory {
    /// Where the last bare value begins and ends, and the end of its line; the last list; the last run of a rule.
    bare: (usize, usize, usize),
    list: (usize, usize),
    run: (u16, usize, usize),
    /// The last value of a header, and the last cookies.
    header: (usize, usize, usize),
    cookies: (usize, usize),
    /// Where the last word of a URL begins, and where it ends or was seen to go on.
    url: (usize, usize),
    /// The last match of each rule with a pattern.
    patterns: Vec<Matched>,
    /// Up to here, escapes are decoded.
    escaped: usize,
    /// The end that values share, and how many of them there are.
    crowd: (usize, usize),
    /// What was read beside mappings.
    beside: flow::Beside,
    /// Bytes that were searched for the braces around names of a line, and the end of the line.
    searched: (usize, usize),
}

/// A match of a rule with a pattern.
struct Matched {
    rule: u16,
    /// Its candidate, and the end of what was masked.
    at: usize,
    end: usize,
    /// A candidate inside of it, and the length of its anchor.
    deferred: Option<(usize, usize)>,
}

/// Values of one end that are looked at; longer ones behind them are masked unseen.
const CROWD: usize = 64;
/// Values up to this length are always judged, however many share their end.
const SHORT: usize = 512;

/// Finds all secrets in `bytes`.
pub(super) fn scan(env: Env<'_>, bytes: &[u8], more: bool, scratch: &mut Scratch, spans: &mut Vec<Span>) -> Outcome {
    if env.layers.engine { run(env, bytes, more, 0, scratch, spans) } else { Outcome::default() }
}

fn run(env: Env<'_>, bytes: &[u8], more: bool, depth: u8, scratch: &mut Scratch, spans: &mut Vec<Span>) -> Outcome {
    env.set.literals.hits(bytes, &mut scratch.hits);
    let mut scan = Scan {
        env,
        bytes,
        more,
        depth,
        spans,
        outcome: Outcome::default(),
        resume: 0,
        skip: (0, 0),
        line: (0, 0),
        json_line: (usize::MAX, false),
        last_key: (usize::MAX, 0),
        paired: None,
        texts: None,
        memory: Memory::default(),
        effort: Effort::default(),
    };
    for hit in &scratch.hits {
        if hit.start < scan.resume || (scan.skip.0..scan.skip.1).contains(&hit.start) {
            continue;
        }
        if scan.is_spent(hit.start) {
            scan.give_up(hit.start);
            continue;
        }
        if hit.stem {
            scan.at_stem(*hit);
        } else {
            scan.at_anchor(*hit);
        }
        if scan.outcome.hold.is_some() {
            break;
        }
    }
    scan.deferred();
    scan.decode_lane();
    scan.phrases();
    let outcome = Outcome { cost: scan.effort.total.get(), ..scan.outcome };
    if let Some(hold) = outcome.hold {
        spans.retain(|s| s.start < hold);
    }
    outcome
}

/// Whether a text is what stands between two strings of JSON: marks, numbers, literals.
fn is_between_strings(text: &[u8]) -> bool {
    let mark = |b: &u8| matches!(b, b',' | b':' | b'{' | b'}' | b'[' | b']');
    let literal = |b: &u8| b.is_ascii_digit() || b".+-eEtrufalsn".contains(b);
    text.trim_ascii().first().is_none_or(mark) && text.iter().all(|b| b.is_ascii_whitespace() || mark(b) || literal(b))
}

/// Whether a text is a name as people give it.
fn is_plain_name(text: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/');
    text.len() <= 64 && text.iter().all(plain) && !value::looks_random(text, 8)
}

impl Scan<'_> {
    fn at_anchor(&mut self, hit: Hit) {
        let (set, at) = (self.env.set, hit.start);
        for (anchor, len) in set.literals.at(self.bytes, hit) {
            match anchor {
                Anchor::Rule(rule) => self.rule(rule, at, len),
                Anchor::Url => self.url(at),
                Anchor::Dsn => self.dsn(at),
                Anchor::Jwt => self.jwt(at),
                Anchor::Pem => self.pem(at),
                Anchor::PrivateLines => self.private_lines(at, len),
                Anchor::SecretKind | Anchor::SecretData => self.yaml_secret(at, anchor == Anchor::SecretKind),
                Anchor::Escape => self.escaped(at),
                Anchor::PairValue => self.value_above(at),
                Anchor::FlowData => self.flow_secret(at),
            }
        }
    }

    /// Notes that bytes were looked at.
    fn spend(&self, bytes: usize) {
        for sum in [&self.effort.bytes, &self.effort.total] {
            sum.set(sum.get().saturating_add(bytes));
        }
    }

    /// Notes that a value was looked at. Its lines behind the first do not count, because a region of lines is looked at once.
    fn spend_value(&self, start: usize, end: usize) {
        self.spend(end.min(self.effort.line.1).saturating_sub(start));
    }

    /// Whether the line around a hit has cost so much that somebody must have written it to be slow.
    fn is_spent(&mut self, at: usize) -> bool {
        let (start, end) = self.line_of(at);
        if self.effort.line != (start, end) {
            self.begin_effort((start, end));
        }
        self.effort.bytes.get() > (end - start) * LOOKS + FREE[usize::from(self.depth > 0)]
    }

    fn begin_effort(&mut self, line: (usize, usize)) {
        self.effort = Effort { line, total: self.effort.total.clone(), ..Effort::default() };
    }

    /// Takes a whole line for secret, without a look. In JSON and TOML what stands between strings stays, and names do.
    fn give_up(&mut self, at: usize) {
        let (mut at, line_end) = self.line_of(at);
        self.resume = self.resume.max(line_end);
        self.effort.gone = true;
        if self.env.format == Format::Toml {
            return self.give_up_toml(at, line_end);
        }
        while at < line_end {
            let end = self.clipped(at, line_end);
            let behind = self.bytes[(end + 1).min(line_end)..line_end].trim_ascii_start();
            let name = behind.starts_with(b":") && is_plain_name(&self.bytes[at..end]);
            if !name && !is_between_strings(&self.bytes[at..end]) {
                self.mask(at, end, engine::SECRET, None);
            }
            at = end + 1;
        }
    }

    fn give_up_toml(&mut self, start: usize, line_end: usize) {
        let within = |text: &&(usize, usize)| text.0 < line_end && text.1 > start;
        let texts: Vec<_> = self.toml_texts().iter().filter(within).copied().collect();
        let mut at = start;
        for (from, to) in texts.iter().copied().chain([(line_end, line_end)]) {
            // Without any string it is no TOML.
            let (from, to) = (from.max(at), to.min(line_end));
            let mut words = self.bytes[at..from].split(|b| !b.is_ascii_alphanumeric() && !matches!(b, b'_' | b'-'));
            if texts.is_empty() || words.any(|word| value::looks_random(word, 16)) {
                self.mask(at, from, engine::SECRET, None);
            }
            self.mask(from, to, engine::SECRET, None);
            at = to;
        }
    }

    /// Notes bytes to replace, unless they are a replacement already.
    fn mask(&mut self, start: usize, end: usize, rule: u16, quotes: Option<Quotes>) {
        // The same rule has the bytes already.
        let known =
            |s: &&Span| s.rule == rule && s.id.is_none() && s.quotes == quotes && s.start <= start && s.end >= end;
        if self.spans.iter().rev().take(4).any(|s| known(&s)) {
            return;
        }
        let end = self.clipped(start, end);
        self.spend_value(start, end);
        if start < end
            && self.env.set.is_on(rule)
            && !self.env.set.is_redacted(&self.bytes[start..end])
            && !self.env.set.is_inside_own(self.bytes, start, end)
        {
            self.spans.push(Span { quotes, ..Span::new(start, end, rule) });
        }
    }

    /// Where a bare value ends. Values that end in the same place are looked at once.
    fn bare_end(&mut self, from: usize, end: usize) -> usize {
        let (begin, stop, of) = self.memory.bare;
        if of != end || !(begin..stop).contains(&from) || value::begins_reference(&self.bytes[from..end]) {
            self.memory.bare = (from, value::bare_stop(self.bytes, from, end), end);
            self.spend(self.memory.bare.1 - from);
            if value::begins_reference(&self.bytes[from..end]) {
                self.memory.bare.0 = self.memory.bare.1;
            }
        }
        value::without_delimiters(self.bytes, from, self.memory.bare.1)
    }

    /// Whether a long value shares its end with more of those before it than are looked at.
    fn is_crowded(&mut self, from: usize, end: usize) -> bool {
        if self.memory.crowd.0 != end {
            self.memory.crowd = (end, 0);
        }
        self.memory.crowd.1 += 1;
        self.memory.crowd.1 > CROWD && end.saturating_sub(from) > SHORT
    }

    /// In JSON and TOML a value never leaves the string that it begins in.
    fn clipped(&mut self, start: usize, end: usize) -> usize {
        if start >= end {
            return end;
        }
        if self.env.format == Format::Toml {
            let texts = self.toml_texts();
            let next = texts.partition_point(|text| text.1 < start);
            return texts.get(next).filter(|text| text.0 <= start).map_or(end, |text| end.min(text.1));
        }
        if self.env.format != Format::Json && !self.is_json_line(start) {
            return end;
        }
        let mut at = start;
        while let Some(i) = memchr::memchr(b'"', &self.bytes[at..end]) {
            let quote = at + i;
            let slashes = self.bytes[..quote].iter().rev().take_while(|b| **b == b'\\').count();
            if slashes.is_multiple_of(2) {
                return quote;
            }
            at = quote + 1;
        }
        end
    }

    /// Where the texts of strings of TOML begin and end.
    fn toml_texts(&mut self) -> &[(usize, usize)] {
        self.texts.get_or_insert_with(|| {
            let mut texts = Vec::new();
            toml_text::follow(self.bytes, self.env.within, |from, to| texts.push((from, to)));
            texts
        })
    }

    /// Whether the line around a position is a JSON document by itself.
    fn is_json_line(&mut self, at: usize) -> bool {
        let (start, end) = self.line_of(at);
        if self.json_line.0 != start {
            let line = self.bytes[start..end].trim_ascii();
            let shape = matches!((line.first(), line.last()), (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']')));
            let parses = shape && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
            self.json_line = (start, parses);
        }
        self.json_line.1
    }

    /// The line around a position. NUL ends a line too, as in `/proc/*/environ`.
    fn line_of(&mut self, at: usize) -> (usize, usize) {
        if at < self.line.0 || at >= self.line.1 {
            let start = memchr::memrchr2(b'\n', 0, &self.bytes[..at]).map_or(0, |i| i + 1);
            let end = memchr::memchr2(b'\n', 0, &self.bytes[at..]).map_or(self.bytes.len(), |i| at + i);
            self.line = (start, end);
        }
        self.line
    }

    /// Asks for more bytes, from the line around `at` on.
    fn hold_line(&mut self, at: usize) {
        let mut start = self.line_of(at).0;
        // A value does not go without the line that names it.
        if let Some((_, name)) = self.paired.filter(|paired| paired.0 == start) {
            start = name;
        }
        self.outcome.hold = Some(self.outcome.hold.map_or(start, |h| h.min(start)));
    }

    /// Follows a region of several lines that begins behind `from`. Gives its end, or nothing when more bytes are
    /// needed first; `at` is where the construct began.
    fn follow(&mut self, at: usize, from: usize, region: Region) -> Option<usize> {
        let limit = self.bytes.len().min(from + LOOKAHEAD);
        match region.end(&self.bytes[..limit], from, !self.more && limit == self.bytes.len()) {
            Some(end) => Some(end),
            None if limit == from + LOOKAHEAD => {
                let end = memchr::memrchr(b'\n', &self.bytes[..limit]).map_or(limit, |i| i + 1).max(from);
                self.outcome.open = Some((end, region));
                // What lies behind is swallowed by the stream, so this scan ends here.
                self.resume = usize::MAX;
                Some(end)
            }
            None => {
                self.hold_line(at);
                None
            }
        }
    }
}
