//! Secrets that go on over lines: where they end.

/// How a secret of several lines ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::redact) enum Region {
    /// Lines that are blank or indented deeper than this many columns.
    Indent(usize),
    /// Up to a delimiter, which is not part of it.
    Delimiter(&'static [u8]),
    /// The body of a PEM block; the text in front of `BEGIN` on its line.
    Pem(Vec<u8>),
    /// Lines of nothing but base64.
    Base64,
    /// Lines up to the first one that has no backslash at its end.
    Continued,
    /// Lines up to one that has only this word, which is not part of it.
    Heredoc(Vec<u8>),
    /// Up to a quote that is not escaped.
    Quote(u8),
    /// Up to white space or a quote: a token without end.
    Token,
}

impl Region {
    /// Where the region ends that goes on at `from`; none when that cannot be said before more bytes are there.
    /// `last` says that no more bytes follow.
    pub(in crate::redact) fn end(&self, bytes: &[u8], from: usize, last: bool) -> Option<usize> {
        let rest = bytes.get(from..).unwrap_or_default();
        match self {
            Self::Delimiter(text) => {
                memchr::memmem::find(rest, text).map(|i| from + i).or_else(|| last.then_some(bytes.len()))
            }
            Self::Quote(quote) => {
                let mut escaped = false;
                for (i, b) in rest.iter().enumerate() {
                    match *b {
                        _ if escaped => escaped = false,
                        b'\\' => escaped = true,
                        b if b == *quote => return Some(from + i),
                        _ => {}
                    }
                }
                last.then_some(bytes.len())
            }
            Self::Token => rest
                .iter()
                .position(|b| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'`' | 0))
                .map(|i| from + i)
                .or_else(|| last.then_some(bytes.len())),
            Self::Heredoc(word) => {
                let mut at = from;
                while at < bytes.len() {
                    // In the variables of a process a zero byte ends a line, too.
                    let other = if matches!(self, Self::Pem(_)) { 0 } else { b'\n' };
                    let line_end = memchr::memchr2(b'\n', other, &bytes[at..]).map(|i| at + i);
                    if line_end.is_none() && !last {
                        return None;
                    }
                    if bytes[at..line_end.unwrap_or(bytes.len())].trim_ascii() == word.as_slice() {
                        return Some(at);
                    }
                    at = line_end.map_or(bytes.len(), |i| i + 1);
                }
                last.then_some(bytes.len())
            }
            Self::Continued => {
                let mut at = from;
                while at < bytes.len() {
                    let Some(line_end) = memchr::memchr(b'\n', &bytes[at..]).map(|i| at + i) else {
                        return last.then_some(bytes.len());
                    };
                    if !super::setting::is_continued(&bytes[at..line_end]) {
                        return Some(line_end + 1);
                    }
                    at = line_end + 1;
                }
                last.then_some(bytes.len())
            }
            Self::Indent(_) | Self::Pem(_) | Self::Base64 => {
                let mut at = from;
                let mut end = from;
                while at < bytes.len() {
                    // In the variables of a process a zero byte ends a line, too.
                    let other = if matches!(self, Self::Pem(_)) { 0 } else { b'\n' };
                    let line_end = memchr::memchr2(b'\n', other, &bytes[at..]).map(|i| at + i);
                    if line_end.is_none() && !last {
                        return None;
                    }
                    let stop = line_end.unwrap_or(bytes.len());
                    let line = &bytes[at..stop];
                    let blank = line.trim_ascii().is_empty();
                    if !blank && !self.takes(line) {
                        return Some(end);
                    }
                    at = line_end.map_or(bytes.len(), |i| i + 1);
                    if !blank {
                        end = at;
                    }
                }
                last.then_some(end)
            }
        }
    }

    /// Whether a line that is not blank belongs to the region.
    fn takes(&self, line: &[u8]) -> bool {
        match self {
            Self::Indent(columns) => indent(line) > *columns,
            Self::Base64 => line.trim_ascii().iter().all(|b| is_base64(*b)),
            Self::Pem(prefix) => super::pem::is_body(line, prefix),
            _ => false,
        }
    }
}

pub(super) fn indent(line: &[u8]) -> usize {
    line.iter().take_while(|b| matches!(b, b' ' | b'\t')).count()
}

pub(super) fn is_base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_')
}
