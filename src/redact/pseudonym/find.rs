//! Finds addresses and names in any text.
//!
//! The text is taken apart into runs of characters that such values are made of. Escapes (`\n`, `\u0022`, `%2F`, colours of
//! a terminal) end a run, so that what stands behind them is seen whole. Nothing goes over the end of a line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::host::Place;
use super::suffixes::UNITS;
use super::{Found, Pseudonym, Pseudonyms, host};

/// Longest run that is looked at; longer ones are data, and addresses in them are found by their digits alone.
const MAX_RUN: usize = 4 << 10;
/// Longest part in front of the sign of an e-mail address.
const MAX_LOCAL: usize = 64;
/// Programs whose versions look like addresses in the `User-Agent` header.
const AGENTS: [&str; 7] = ["chrome", "chromium", "edg", "edge", "headlesschrome", "opr", "safari"];
/// Words in front of a version.
const VERSIONS: [&str; 3] = ["version", "release", "tag"];

impl Pseudonyms {
    /// All values in `bytes` that get a pseudonym, in order; none overlaps another one.
    pub(in crate::redact) fn find(&self, bytes: &[u8], out: &mut Vec<Found>) {
        let mut at = 0;
        while at < bytes.len() {
            let skip = separator(bytes, at);
            if skip > 0 {
                at += skip;
                continue;
            }
            let mut end = at;
            while end < bytes.len() && (separator(bytes, end) == 0) {
                end += if is_percent_at(bytes, end) { 3 } else { 1 };
            }
            let end = end.min(bytes.len());
            if end - at >= 3 {
                Run { names: self, bytes, start: at, end }.find(out);
            }
            at = end;
        }
    }
}

/// `%40`: the sign of an e-mail address in a URL.
fn is_percent_at(bytes: &[u8], at: usize) -> bool {
    bytes[at] == b'%' && bytes.get(at + 1..at + 3) == Some(b"40")
}

/// How many bytes at `at` belong to no run; 0 inside a run.
fn separator(bytes: &[u8], at: usize) -> usize {
    let hex = |from: usize, len: usize| {
        bytes.get(from..from + len).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    match bytes[at] {
        b if b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'@' | b'+') => 0,
        b'%' if is_percent_at(bytes, at) => 0,
        b'%' if hex(at + 1, 2) => 3,
        0x1b if bytes.get(at + 1) == Some(&b'[') => {
            let codes = bytes[at + 2..].iter().take(16).take_while(|b| b.is_ascii_digit() || **b == b';').count();
            (2 + codes + 1).min(bytes.len() - at)
        }
        b'\\' => {
            let slashes = bytes[at..].iter().take_while(|b| **b == b'\\').count();
            let next = at + slashes;
            let more = match bytes.get(next) {
                Some(b'u') if hex(next + 1, 4) => 5,
                Some(b'x') if hex(next + 1, 2) => 3,
                Some(b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'0') => 1,
                _ => 0,
            };
            slashes + more
        }
        _ => 1,
    }
}

/// Characters between separators.
struct Run<'a> {
    names: &'a Pseudonyms,
    bytes: &'a [u8],
    start: usize,
    end: usize,
}

impl Run<'_> {
    fn find(&self, out: &mut Vec<Found>) {
        let run = &self.bytes[self.start..self.end];
        let first = out.len();
        let has = |b: u8| memchr::memchr(b, run).is_some();
        let short = run.len() <= MAX_RUN;
        if self.names.has(Pseudonym::Email) && short && (has(b'@') || has(b'%')) {
            self.emails(out);
        }
        if self.names.has(Pseudonym::Mac) && run.len() >= 14 {
            self.macs(out, first);
        }
        if self.names.has(Pseudonym::Ip) {
            if has(b':') && short {
                self.v6(out, first);
            }
            if run.iter().filter(|b| matches!(b, b'.' | b'-')).count() >= 3 {
                self.v4(out, first);
            }
        }
        if self.names.has(Pseudonym::Host) && short && has(b'.') {
            self.hosts(out, first);
        }
        out[first..].sort_unstable_by_key(|f| f.start);
    }

    fn text(&self, range: Range<usize>) -> &str {
        // A run is ASCII but for the tail of a percent sign, which is ASCII, too.
        std::str::from_utf8(&self.bytes[range]).unwrap_or_default()
    }

    fn add(&self, out: &mut Vec<Found>, first: usize, range: Range<usize>, kind: Pseudonym, text: Option<String>) {
        let free = out[first..].iter().all(|f| f.end <= range.start || f.start >= range.end);
        if let Some(text) = text.filter(|_| free) {
            out.push(Found { start: range.start, end: range.end, kind, text });
        }
    }

    fn emails(&self, out: &mut Vec<Found>) {
        let first = out.len();
        for at in self.start..self.end {
            let sign = match self.bytes[at] {
                b'@' => "@",
                b'%' => "%40",
                _ => continue,
            };
            let local = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+');
            let front = self.bytes[self.start..at].iter().rev().take_while(|b| local(b)).count();
            let (from, host) = (at - front, at + sign.len());
            let len = self.bytes[host..self.end].iter().take_while(|b| is_host_byte(**b)).count();
            let name = self.text(host..host + len).trim_end_matches(['.', '-', '_']);
            let user = self.text(from..at);
            let domain = name.rsplit_once('.').is_some_and(|(head, last)| {
                !head.is_empty()
                    && last.len() >= 2
                    && last.bytes().all(|b| b.is_ascii_alphabetic())
                    && !UNITS.contains(&last)
            });
            // What stands between `//` and the sign is a user of a server, and `git` is everyone's.
            let login = self.bytes[..from].ends_with(b"//")
                || from > self.start && self.bytes[from - 1] == b':' && {
                    memchr::memmem::find(&self.bytes[from.saturating_sub(MAX_LOCAL)..from], b"//").is_some()
                };
            if domain && !login && user != "git" && (1..=MAX_LOCAL).contains(&front) && !user.starts_with("REDACTED-") {
                let text = self.names.email(user, name, sign);
                // A pseudonym of an earlier pass is no host either.
                let text = text.unwrap_or_else(|| self.text(from..host + name.len()).to_owned());
                self.add(out, first, from..host + name.len(), Pseudonym::Email, Some(text));
            }
        }
    }

    fn macs(&self, out: &mut Vec<Found>, first: usize) {
        let bytes = self.bytes;
        let mut at = self.start;
        while at + 14 <= self.end {
            if at > self.start && bytes[at - 1].is_ascii_alphanumeric() {
                at += 1;
                continue;
            }
            let Some((end, octets, separator)) = self.mac_at(at) else {
                at += 1;
                continue;
            };
            if let Ok(octets) = <[u8; 6]>::try_from(octets.as_slice()) {
                let upper = bytes[at..end].iter().any(u8::is_ascii_uppercase);
                let text = self.names.mac(octets, char::from(separator), upper);
                self.add(out, first, at..end, Pseudonym::Mac, text);
            }
            at = end;
        }
    }

    /// A chain of hexadecimal groups with one separator: where it ends, its bytes and the separator.
    fn mac_at(&self, at: usize) -> Option<(usize, Vec<u8>, u8)> {
        let run = &self.bytes[at..self.end];
        let group = run.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let separator = *run.get(group)?;
        if !matches!((group, separator), (2, b':' | b'-') | (4, b'.')) {
            return None;
        }
        let digits = |from: usize| run.get(from..from + group).filter(|g| g.iter().all(u8::is_ascii_hexdigit));
        let mut octets = Vec::new();
        let mut from = 0;
        loop {
            let text = std::str::from_utf8(digits(from)?).ok()?;
            for pair in 0..group / 2 {
                octets.push(u8::from_str_radix(&text[2 * pair..2 * pair + 2], 16).ok()?);
            }
            from += group;
            if run.get(from) != Some(&separator) || digits(from + 1).is_none() {
                break;
            }
            from += 1;
        }
        if run.get(from).is_some_and(u8::is_ascii_alphanumeric) {
            return None;
        }
        // Groups of four digits and nothing else are numbers.
        let letters = run[..from].iter().any(u8::is_ascii_alphabetic);
        (separator != b'.' || letters).then_some((at + from, octets, separator))
    }

    fn v6(&self, out: &mut Vec<Found>, first: usize) {
        let bytes = self.bytes;
        let part = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
        let mut at = self.start;
        while at < self.end {
            let len = bytes[at..self.end].iter().take_while(|b| part(b)).count();
            let free = at == self.start || !bytes[at - 1].is_ascii_alphanumeric();
            let tail = bytes.get(at + len).is_some_and(u8::is_ascii_alphanumeric);
            let mut end = at + len;
            if tail {
                // A word behind the last colon is no part of it: `fd00::1:http`.
                end = bytes[at..end].iter().rposition(|b| *b == b':').map_or(at, |i| at + i);
            }
            while end > at && (bytes[end - 1] == b'.' || bytes[end - 1] == b':' && !bytes[at..end].ends_with(b"::")) {
                end -= 1;
            }
            let mut from = at;
            // A word in front ends with a colon: `peer:fd00::1`.
            for _ in 0..8 {
                if free || from > at {
                    let text = self.text(from..end);
                    let address = if text.matches(':').count() >= 2 { text.parse::<Ipv6Addr>().ok() } else { None };
                    if let Some(address) = address {
                        let text = self.names.ip(IpAddr::V6(address), self.length(end));
                        if text.is_some() {
                            self.add(out, first, from..end, Pseudonym::Ip, text);
                            break;
                        }
                    }
                }
                let Some(i) = memchr::memchr(b':', &bytes[from..end]) else { break };
                from += i + 1;
            }
            at += len + 1;
        }
    }

    fn v4(&self, out: &mut Vec<Found>, first: usize) {
        let mut at = self.start;
        while at < self.end {
            if self.bytes[at].is_ascii_digit()
                && let Some((end, address, dashed)) = self.quad(at)
            {
                let length = if dashed { None } else { self.length(end) };
                let text = self.names.ip(IpAddr::V4(address), length);
                let text = text.map(|t| if dashed { t.replace('.', "-") } else { t });
                self.add(out, first, at..end, Pseudonym::Ip, text);
                at = end;
            } else {
                // Digits that do not begin an address do not begin one further on.
                let digits = self.bytes[at..self.end].iter().take_while(|b| b.is_ascii_digit()).count();
                at += digits.max(1);
            }
        }
    }

    /// Four octets between dots, or between dashes as in `ip-10-0-1-2`, which are no version.
    fn quad(&self, at: usize) -> Option<(usize, Ipv4Addr, bool)> {
        let bytes = self.bytes;
        let front = &bytes[self.start..at];
        let dashed = front.ends_with(b"ip-") && !front[..front.len() - 3].last().is_some_and(u8::is_ascii_alphanumeric);
        let before = |i: usize| front.len().checked_sub(i).map(|i| front[i]);
        let joined = before(1).is_some_and(|b| b.is_ascii_alphanumeric())
            || before(1) == Some(b'.') && before(2).is_some_and(|b| b.is_ascii_digit());
        if joined {
            return None;
        }
        let separator = if dashed || bytes.get(at..self.end)?.iter().take(4).any(|b| *b == b'-') { b'-' } else { b'.' };
        let mut octets = [0_u8; 4];
        let mut end = at;
        for (i, octet) in octets.iter_mut().enumerate() {
            if i > 0 {
                if bytes.get(end) != Some(&separator) {
                    return None;
                }
                end += 1;
            }
            let len = bytes[end.min(self.end)..self.end].iter().take(4).take_while(|b| b.is_ascii_digit()).count();
            *octet = self.text(end..end + len).parse().ok().filter(|_| len == 1 || bytes[end] != b'0')?;
            end += len;
        }
        let behind = &bytes[end..self.end];
        let address = Ipv4Addr::from(octets);
        let more = behind.first().is_some_and(|b| b.is_ascii_alphanumeric())
            || behind.first() == Some(&separator) && behind.get(1).is_some_and(u8::is_ascii_digit);
        if more {
            return None;
        }
        if separator == b'-' {
            // Only names of nodes and pods are written so: `ip-10-0-1-2`, `10-0-1-2.kms.pod`.
            return (dashed || behind.first() == Some(&b'.')).then_some((end, address, true));
        }
        (!self.is_version(at, behind)).then_some((end, address, false))
    }

    /// Whether four numbers are a version: of an image, behind a word that says so, or with a suffix.
    fn is_version(&self, at: usize, behind: &[u8]) -> bool {
        let suffix = |b: &[u8]| matches!(b, [b'-' | b'+' | b'_', next, ..] if next.is_ascii_alphabetic());
        if suffix(behind) {
            return true;
        }
        let line = &self.bytes[at.saturating_sub(128)..at];
        let line = &line[memchr::memrchr(b'\n', line).map_or(0, |i| i + 1)..];
        let word = |end: usize| {
            let len = line[..end].iter().rev().take_while(|b| b.is_ascii_alphanumeric()).count();
            String::from_utf8_lossy(&line[end - len..end]).to_ascii_lowercase()
        };
        let Some(last) = line.len().checked_sub(1) else { return false };
        if line[last] == b'/' {
            return AGENTS.contains(&word(last).as_str());
        }
        let port = behind.first() == Some(&b':') && behind.get(1).is_some_and(u8::is_ascii_digit);
        if line[last] == b':' && !port {
            // The name of an image has a path and no scheme: `registry/name:1.2.3.4`.
            let edge = |b: &u8| !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/' | b':'));
            let name = &line[line.iter().rposition(edge).map_or(0, |i| i + 1)..last];
            if name.contains(&b'/') && memchr::memmem::find(name, b"//").is_none() {
                return true;
            }
        }
        let gap = |b: &u8| matches!(b, b' ' | b':' | b'=' | b'"' | b'\'' | b'\\' | b'v');
        let end = line.iter().rposition(|b| !gap(b)).map_or(0, |i| i + 1);
        end < line.len() && VERSIONS.iter().any(|v| word(end).ends_with(v))
    }

    /// The length of the prefix of a network that ends at `end`: `/16`.
    fn length(&self, end: usize) -> Option<u32> {
        let rest = self.bytes.get(end..)?;
        // A slash may be written `\/` or `%2F`.
        let rest = [&b"/"[..], b"\\/", b"%2F", b"%2f"].iter().find_map(|s| rest.strip_prefix(*s))?;
        let len = rest.iter().take(4).take_while(|b| b.is_ascii_digit()).count();
        let joined = rest.get(len).is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/'));
        std::str::from_utf8(&rest[..len]).ok()?.parse().ok().filter(|_| !joined)
    }

    fn hosts(&self, out: &mut Vec<Found>, first: usize) {
        let bytes = self.bytes;
        let mut at = self.start;
        while at < self.end {
            let len = bytes[at..self.end].iter().take_while(|b| is_host_byte(**b)).count();
            let word = self.text(at..at + len);
            let from = at + (word.len() - word.trim_start_matches(['.', '-', '_']).len());
            let word = self.text(from..(at + len).max(from)).trim_end_matches(['.', '-', '_']);
            let next = bytes.get(at + len);
            let port = next == Some(&b':') && bytes.get(at + len + 1).is_some_and(u8::is_ascii_digit);
            let front = &bytes[..from];
            let place = if [&b"//"[..], b"@", b"%40"].iter().any(|sign| front.ends_with(sign)) {
                Place::Address
            } else if port {
                Place::Numbered
            } else {
                Place::Text
            };
            let word = if place == Place::Address { word } else { &word[..host::without_extension(word)] };
            if word.contains('.') && host::is_host(word, place) {
                self.add(out, first, from..from + word.len(), Pseudonym::Host, host::pseudonym(&self.names.mask, word));
            }
            at += len + if next == Some(&b'%') { 3 } else { 1 };
        }
    }
}

fn is_host_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')
}
