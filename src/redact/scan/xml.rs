//! XML: texts of elements, attributes, and pairs of elements. Looked for near a name that is secret, wherever it stands.

use super::Scan;
use super::keyvalue::Key;
use super::words::Class;

/// How far behind a name its element is followed.
const NEAR: usize = 4 << 10;
/// Elements whose text names the value in an element behind it, in lower case.
const NAMES: [&[u8]; 3] = [b"name", b"key", b"entry-name"];
/// Elements with such a value.
const VALUES: [&[u8]; 6] = [b"value", b"string", b"val", b"data", b"stringvalue", b"entry-value"];
/// Longest prefix of a namespace.
const MAX_PREFIX: usize = 64;
/// Elements that may stand between the two.
const MAX_SIBLINGS: usize = 6;

/// What was found where an element should be.
enum Look<T> {
    Found(T),
    Nothing,
    /// More bytes are needed to tell.
    Later,
}

impl Scan<'_> {
    /// A secret name as that of an element, or as the text of one; says whether it was.
    pub(super) fn xml(&mut self, key: Key) -> bool {
        let bytes = self.bytes;
        let before = &bytes[key.line.0..key.start];
        if before.last() == Some(&b'>') {
            return bytes[key.end..].starts_with(b"</") && self.named_by(key);
        }
        let before = before.strip_suffix(b":").map_or(before, |ns| {
            // `<ns:password`
            let plain = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
            &ns[..ns.len() - ns.iter().rev().take(MAX_PREFIX).take_while(plain).count()]
        });
        let opens = before.last() == Some(&b'<')
            && bytes.get(key.end).is_some_and(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'));
        if opens {
            self.element(key);
        }
        opens
    }

    /// `<password>x</password>`, `<password value="x"/>`
    fn element(&mut self, key: Key) {
        let class = self.classify(&self.bytes[key.start..key.end]);
        if class != Class::Benign {
            self.tag(key, class, &self.bytes[key.start..key.end], key.end);
        }
    }

    /// The rest of a tag whose value belongs to a name: an attribute `value`, or the text behind the tag.
    pub(super) fn tag(&mut self, key: Key, class: Class, name: &[u8], at: usize) {
        let bytes = self.bytes;
        let end = match self.tag_end(at) {
            Look::Found(end) => end,
            Look::Nothing => return,
            Look::Later => return self.hold_line(key.start),
        };
        if self.value_in(class, at, end) || bytes[end - 1] == b'/' {
            return;
        }
        match self.text(end + 1, name) {
            Look::Found((from, to)) => {
                if self.masked(class, from, to, None) {
                    self.skip = (from, to);
                }
            }
            Look::Nothing => {}
            Look::Later => self.hold_line(key.start),
        }
    }

    /// `<name>db.password</name><value>x</value>`; says whether the name stands in an element for names.
    fn named_by(&mut self, key: Key) -> bool {
        let bytes = self.bytes;
        let tag = &bytes[key.line.0..key.start - 1];
        let Some(open) = memchr::memrchr(b'<', tag) else { return false };
        let element = local(&tag[open + 1..]);
        if !NAMES.iter().any(|n| element.eq_ignore_ascii_case(n)) {
            return false;
        }
        let class = self.classify(&bytes[key.start..key.end]);
        if class == Class::Benign {
            return true;
        }
        // Behind `</name>`, and behind each element that has no value.
        let mut at = key.end;
        for _ in 0..=MAX_SIBLINGS {
            let next = match self.tag_end(at) {
                Look::Found(end) => end + 1,
                Look::Nothing => return true,
                Look::Later => break,
            };
            let blank = bytes[next..].iter().take_while(|b| b.is_ascii_whitespace()).count();
            let start = next + blank;
            let end = match self.tag_end(start) {
                Look::Found(end) => end,
                Look::Nothing => return true,
                Look::Later => break,
            };
            let tag = &bytes[start..end];
            if !tag.starts_with(b"<") || tag.starts_with(b"</") {
                return true;
            }
            let name = tag[1..].split(|b| b.is_ascii_whitespace() || *b == b'/').next().unwrap_or_default();
            if VALUES.iter().any(|v| local(name).eq_ignore_ascii_case(v)) {
                self.tag(key, class, name, start + 1 + name.len());
                return true;
            }
            // To the end of its text, where its own closing tag begins.
            at = match self.find(end, b"</") {
                Look::Found(at) => at,
                Look::Nothing => return true,
                Look::Later => break,
            };
        }
        self.hold_line(key.start);
        true
    }

    /// Where the tag ends that `at` stands in.
    fn tag_end(&self, at: usize) -> Look<usize> {
        self.find(at, b">")
    }

    /// The text of an element from behind its tag up to `</name>`.
    fn text(&self, at: usize, name: &[u8]) -> Look<(usize, usize)> {
        const CDATA: &[u8] = b"<![CDATA[";
        let bytes = self.bytes;
        let near = &bytes[at.min(bytes.len())..bytes.len().min(at + NEAR)];
        let lead = near.iter().take_while(|b| b.is_ascii_whitespace()).count();
        let rest = &near[lead..];
        if rest.len() < CDATA.len() && near.len() < NEAR && self.more {
            return Look::Later;
        }
        if rest.starts_with(CDATA) {
            let from = at + lead + CDATA.len();
            return match self.find(from, b"]]>") {
                Look::Found(to) => Look::Found((from, to)),
                Look::Nothing => Look::Nothing,
                Look::Later => Look::Later,
            };
        }
        let close = match self.find(at, b"<") {
            Look::Found(close) => Some(close),
            Look::Nothing => None,
            Look::Later => return Look::Later,
        };
        let closes = match close.map(|close| (close, self.tag_end(close))) {
            Some((close, Look::Found(end))) => {
                let closing = bytes[close..end].strip_prefix(b"</");
                closing.is_some_and(|n| local(n.trim_ascii()) == local(name)).then_some(close)
            }
            Some((_, Look::Later)) => return Look::Later,
            _ => None,
        };
        // Where the end was cut off or misspelt, the line counts. `<your-token> then` is a placeholder and no element.
        let of_line = || {
            let stop = near.iter().position(|b| matches!(b, b'<' | b'\n')).unwrap_or(near.len());
            near.first().is_some_and(u8::is_ascii_alphanumeric).then_some(at + stop)
        };
        match closes.or_else(of_line) {
            Some(stop) => {
                let to = at + bytes[at..stop].trim_ascii_end().len();
                Look::Found((at + lead.min(to - at), to))
            }
            None => Look::Nothing,
        }
    }

    fn find(&self, at: usize, what: &[u8]) -> Look<usize> {
        let near = &self.bytes[at.min(self.bytes.len())..self.bytes.len().min(at + NEAR)];
        self.spend(near.len() / 8);
        match memchr::memmem::find(near, what) {
            Some(i) => Look::Found(at + i),
            None if near.len() < NEAR && self.more => Look::Later,
            None => Look::Nothing,
        }
    }
}

/// The name without its namespace.
fn local(name: &[u8]) -> &[u8] {
    let name = name.split(|b| b.is_ascii_whitespace()).next().unwrap_or_default();
    name.rsplit(|b| *b == b':').next().unwrap_or_default()
}
