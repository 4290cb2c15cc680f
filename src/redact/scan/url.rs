//! Passwords in the userinfo of URLs and DSNs.

use super::Scan;
use super::value;
use crate::redact::rules::engine;

/// Longest part of a URL that is searched for its `@`.
const MAX_URL: usize = 2 << 10;

fn ends_url(b: u8) -> bool {
    b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' | 0)
}

impl Scan<'_> {
    /// At `://`.
    pub(super) fn url(&mut self, at: usize) {
        let bytes = self.bytes;
        if at == 0 || !bytes[at - 1].is_ascii_alphanumeric() {
            return;
        }
        // The id of a node of Ethereum is its public key.
        if bytes[..at].ends_with(b"enode") {
            return;
        }
        let start = at + 3;
        let word = &bytes[start..self.url_end(start)];
        self.spend(word.len());
        // `${PASSWORD}` and `{{ .x }}` hold characters that would otherwise end the authority.
        let authority = &word[..word.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(word.len())];
        if let Some(sign) = memchr::memrchr(b'@', authority) {
            // `u:p@ss/w0rd@db.example.com`: what stands behind the first `@` is no host, but what stands behind a later one is.
            let host = &authority[sign + 1..];
            let query = memchr::memchr(b'?', word).unwrap_or(word.len());
            let later = memchr::memrchr(b'@', &word[..query]).filter(|l| {
                let rest = &word[l + 1..query];
                *l > authority.len()
                    && !host.iter().any(|b| matches!(b, b'.' | b':'))
                    && rest.contains(&b'.')
                    && authority[..sign].contains(&b':')
            });
            self.userinfo(start, start + later.unwrap_or(sign));
            return;
        }
        // No `@` in the authority: either no userinfo, or a password that holds `/`, `?` or `#` unescaped. Then what
        // looks like a port is not a number.
        if let Some(colon) = memchr::memchr(b':', authority)
            && authority[0] != b'['
            && !authority[colon + 1..].iter().all(u8::is_ascii_digit)
            && let Some(sign) = memchr::memrchr(b'@', word)
        {
            self.userinfo(start, start + sign);
        }
    }

    /// Where the word around a URL ends, or is cut off. Words inside of one end with it, so it is looked for once.
    fn url_end(&mut self, start: usize) -> usize {
        let limit = self.bytes.len().min(start + MAX_URL);
        let (begin, end) = self.memory.url;
        let known = if (begin..end).contains(&start) { end } else { start };
        let more = self.bytes[known..limit.max(known)].iter().position(|b| ends_url(*b));
        let end = more.map_or(limit.max(known), |i| known + i);
        self.memory.url = (start, end);
        end.min(limit)
    }

    fn userinfo(&mut self, start: usize, sign: usize) {
        let info = &self.bytes[start..sign];
        if let Some(colon) = memchr::memchr(b':', info) {
            let password = &info[colon + 1..];
            if !value::is_reference(password) && !value::is_masked(password) {
                self.mask(start + colon + 1, sign, engine::URL, None);
            }
        } else if value::looks_random(info, 16) {
            // A token in the place of the user, as Sentry and GitHub have it.
            self.mask(start, sign, engine::URL, None);
        }
    }

    /// At `@tcp(` or `@unix(`: `user:password@tcp(host:port)/db`.
    pub(super) fn dsn(&mut self, at: usize) {
        let (line_start, _) = self.line_of(at);
        let from = at.saturating_sub(512).max(line_start);
        let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'`' | b'=' | b'<');
        let word = self.bytes[from..at].iter().rposition(ends).map_or(from, |i| from + i + 1);
        let word = if self.bytes[word..at].starts_with(b"mysql://") { word + 8 } else { word };
        if let Some(colon) = memchr::memchr(b':', &self.bytes[word..at]) {
            let password = &self.bytes[word + colon + 1..at];
            if !value::is_reference(password) && !value::is_masked(password) {
                self.mask(word + colon + 1, at, engine::URL, None);
            }
        }
    }
}
