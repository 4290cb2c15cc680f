//! JSON web tokens, `Authorization` headers and cookies.

use super::{Scan, value};
use crate::redact::rules::engine;
use crate::redact::token::base64_bytes;

/// Schemes that stand in front of credentials.
const SCHEMES: [&str; 15] = [
    "bearer",
    "basic",
    "token",
    "apikey",
    "api-key",
    "negotiate",
    "ntlm",
    "digest",
    "splunk",
    "ssws",
    "geniekey",
    "key",
    "jwt",
    "aws4-hmac-sha256",
    "dpop",
];

fn is_part(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')
}

impl Scan<'_> {
    /// At `eyJ`: a token has a header that is a JSON object with `alg` or `enc`, and a second part.
    pub(super) fn jwt(&mut self, at: usize) {
        let bytes = self.bytes;
        let (line_start, line_end) = self.line_of(at);
        // Inside a longer run it is a later part of a token, or plain base64.
        if at > line_start
            && (is_part(bytes[at - 1]) || bytes[at - 1] == b'.')
            && !super::bounds::escape_end(&bytes[..at])
        {
            let glued = bytes[at - 1] == b'_';
            if !glued {
                return;
            }
        }
        let part = |from: usize| {
            let len = bytes[from..line_end].iter().take_while(|b| is_part(**b)).count();
            self.spend(len);
            len
        };
        let head = part(at);
        if bytes.get(at + head) != Some(&b'.') {
            return;
        }
        let header = base64_bytes(&bytes[at..at + head.min(2_048)]).unwrap_or_default();
        let has = |needle: &[u8]| memchr::memmem::find(&header, needle).is_some();
        if !(has(b"\"alg\"") || has(b"\"enc\"") || has(b"\"typ\"") || has(b"\"kid\"")) {
            return;
        }
        let mut end = at + head;
        let mut parts = 1;
        while parts < 5 && end < line_end && bytes[end] == b'.' {
            let len = part(end + 1);
            end += 1 + len;
            parts += 1;
        }
        if end > at + head + 1 {
            self.mask(at, end, engine::JWT, None);
        }
    }

    /// At `bearer` or `basic ` in running text.
    pub(super) fn scheme(&mut self, at: usize, end: usize) {
        let bytes = self.bytes;
        let (_, line_end) = self.line_of(at);
        if at > 0 && bytes[at - 1].is_ascii_alphanumeric() && !super::bounds::escape_end(&bytes[..at]) {
            return;
        }
        let mut from = end;
        while from < line_end && matches!(bytes[from], b' ' | b'\t') {
            from += 1;
        }
        if from == end && bytes[end - 1] != b' ' {
            return;
        }
        let class =
            |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'+' | b'/' | b'=' | b':');
        let len = bytes[from..line_end].iter().take_while(|b| class(b)).count();
        self.spend(len);
        let word = &bytes[from..from + len];
        let secret = if bytes[at].eq_ignore_ascii_case(&b'b') && end - at == 6 && bytes[end - 1] == b' ' {
            len >= 6
                && base64_bytes(word)
                    .is_some_and(|plain| plain.contains(&b':') && crate::redact::token::is_text(&plain))
        } else {
            value::looks_random(word, 8)
                || (len >= 20 && !word.contains(&b':') && !word.iter().all(|b| b.is_ascii_lowercase() || *b == b'-'))
        };
        if secret && !memchr::memchr(b'=', word).is_some_and(|i| word[i..].iter().any(|b| b.is_ascii_alphanumeric())) {
            self.mask(from, from + len, engine::AUTHORIZATION, None);
        }
    }

    /// The value of an `Authorization` header: the scheme stays.
    pub(super) fn authorization(&mut self, start: usize, end: usize) {
        let bytes = self.bytes;
        let (mut start, mut end) = (start, end);
        while start < end && (bytes[start].is_ascii_whitespace() || bytes[start] == b'[') {
            start += 1;
        }
        while end > start && (bytes[end - 1].is_ascii_whitespace() || bytes[end - 1] == b']') {
            end -= 1;
        }
        let text = &bytes[start..end];
        self.spend(text.len());
        let word = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
        let scheme = SCHEMES.iter().find(|s| text[..word].eq_ignore_ascii_case(s.as_bytes()));
        match scheme.copied() {
            Some("aws4-hmac-sha256") => {
                if let Some(i) = memchr::memmem::find(text, b"Signature=") {
                    let from = i + 10;
                    let len = text[from..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
                    self.mask(start + from, start + from + len, engine::SIGNATURE, None);
                }
            }
            Some("digest") => {
                for field in [&b"response=\""[..], b"response=\\\""] {
                    if let Some(i) = memchr::memmem::find(text, field) {
                        let from = i + field.len();
                        let len = text[from..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
                        self.mask(start + from, start + from + len, engine::AUTHORIZATION, None);
                    }
                }
            }
            Some(_) if word < text.len() => {
                let from = start + word + text[word..].iter().take_while(|b| b.is_ascii_whitespace()).count();
                if !value::is_placeholder(&bytes[from..end]) && !bytes[from..end].starts_with(b"realm=") {
                    self.mask(from, end, engine::AUTHORIZATION, None);
                }
            }
            Some(_) => {}
            None => {
                if !value::is_placeholder(&text[..word])
                    && (word >= 8 || word == text.len())
                    && value::looks_random(&text[..word], 6)
                {
                    self.mask(start, end, engine::AUTHORIZATION, None);
                }
            }
        }
    }

    /// The value of a `Cookie` or `Set-Cookie` header: names and attributes stay.
    pub(super) fn cookies(&mut self, start: usize, end: usize) {
        const ATTRIBUTES: [&str; 6] = ["path", "domain", "max-age", "expires", "samesite", "version"];
        let bytes = self.bytes;
        // A header inside of another one has no pairs that the other one has not.
        let (begin, stop) = self.memory.cookies;
        if stop == end && (begin..stop).contains(&start) && memchr::memchr(b'=', &bytes[start..end]).is_some() {
            return;
        }
        self.memory.cookies = (start, end);
        self.spend(end - start);
        let mut at = start;
        let mut pairs = 0;
        while at < end {
            let stop = memchr::memchr(b';', &bytes[at..end]).map_or(end, |i| at + i);
            if let Some(sign) = memchr::memchr(b'=', &bytes[at..stop]) {
                let name = bytes[at..at + sign].trim_ascii();
                let mut from = at + sign + 1;
                let mut to = stop;
                // With the backslashes of a quote that is escaped.
                while to > from
                    && (bytes[to - 1].is_ascii_whitespace()
                        || matches!(bytes[to - 1], b'"' | b']')
                        || (bytes[to - 1] == b'\\' && matches!(bytes.get(to), Some(b'"' | b'\\'))))
                {
                    to -= 1;
                }
                if from < to && bytes[from] == b'"' {
                    from += 1;
                }
                let attribute = ATTRIBUTES.iter().any(|a| name.eq_ignore_ascii_case(a.as_bytes()));
                if !attribute && !value::is_placeholder(&bytes[from..to]) {
                    self.mask(from, to, engine::COOKIE, None);
                }
                pairs += 1;
            }
            at = stop + 1;
        }
        if pairs == 0 && value::looks_random(bytes[start..end].trim_ascii(), 16) {
            self.mask(start, end, engine::COOKIE, None);
        }
    }
}
