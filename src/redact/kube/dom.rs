//! A JSON tree that keeps what a typed one loses: the text of numbers, the order of members, and duplicates.
//!
//! Texts are borrowed from the document wherever they stand in it as they are, which is nearly everywhere.

use std::borrow::Cow;

/// Deepest nesting of an object.
const MAX_DEPTH: usize = 256;
/// Field that says which client wrote which field: a third of most objects, and of no use here.
const MANAGED_FIELDS: &str = "managedFields";
/// Longest number that is in the range of any reader, whatever its digits are.
const PLAIN_NUMBER: usize = 18;

/// A JSON value. A borrowed text needs no escapes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    /// `null`, `true`, `false` or a number, as written.
    Literal(Cow<'a, str>),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// A parsed document.
pub(super) struct Parsed<'a> {
    pub(super) node: Node<'a>,
    /// Whether there were `managedFields`, which are left out.
    pub(super) shortened: bool,
}

impl<'a> Node<'a> {
    /// Parses one JSON document, without its `managedFields`. The error says why it is none.
    pub(super) fn parse(text: &'a str) -> Result<Parsed<'a>, String> {
        let mut parser = Parser { text, at: 0, shortened: false, members: Vec::new(), items: Vec::new() };
        let node = parser.value(0)?;
        parser.blank();
        if parser.at == text.len() {
            Ok(Parsed { node, shortened: parser.shortened })
        } else {
            Err(format!("something follows the JSON at byte {}", parser.at))
        }
    }

    /// A text that may need escapes.
    pub(super) fn text(value: impl Into<String>) -> Self {
        Self::Text(Cow::Owned(value.into()))
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        let Self::Object(members) = self else { return None };
        members.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// Appends the JSON text.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Literal(text) => out.extend_from_slice(text.as_bytes()),
            Self::Text(text) => quote(text, matches!(text, Cow::Borrowed(_)), out),
            Self::List(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                for (i, (key, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    quote(key, matches!(key, Cow::Borrowed(_)), out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }

    pub(super) fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut out);
        // Made of texts and ASCII only, so nothing is ever lost.
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// Writes a text between quotes; a plain one needs no escapes.
fn quote(text: &str, plain: bool, out: &mut Vec<u8>) {
    out.push(b'"');
    if plain {
        out.extend_from_slice(text.as_bytes());
    } else {
        escape(text.as_bytes(), out);
    }
    out.push(b'"');
}

fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        let (plain, behind) = rest.split_at(plain_len(rest));
        out.extend_from_slice(plain);
        let Some((special, more)) = behind.split_first() else { return };
        match special {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b => out.extend_from_slice(format!("\\u{b:04x}").as_bytes()),
        }
        rest = more;
    }
}

/// How many bytes stand in front of the first quote, backslash or control character. Eight are looked at together.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*eight);
        let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & TOPS;
        let found =
            below(word, 0x20) | below(word ^ (ONES * u64::from(b'"')), 1) | below(word ^ (ONES * u64::from(b'\\')), 1);
        if found != 0 {
            // A borrow reaches only bytes behind the first hit.
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|b| **b >= 0x20 && !matches!(b, b'"' | b'\\')).count()
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    shortened: bool,
    /// Members and items of what is open, so that each object and list is allocated once and at its size.
    members: Vec<(Cow<'a, str>, Node<'a>)>,
    items: Vec<Node<'a>>,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while self.peek().is_some_and(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn fail<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("{what} at byte {}", self.at))
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, String> {
        if depth > MAX_DEPTH {
            return self.fail("nesting is too deep");
        }
        self.blank();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Node::Text(self.string()?)),
            Some(b) if b.is_ascii_alphanumeric() || b == b'-' => self.literal(),
            _ => self.fail("a value is missing"),
        }
    }

    fn literal(&mut self) -> Result<Node<'a>, String> {
        let rest = &self.text.as_bytes()[self.at..];
        let len = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')).count();
        let literal = &self.text[self.at..self.at + len];
        let known = matches!(literal, "null" | "true" | "false")
            || is_plain_number(literal)
            || serde_json::from_str::<serde_json::Number>(literal).is_ok();
        if !known {
            return self.fail("an unknown literal");
        }
        self.at += len;
        Ok(Node::Literal(Cow::Borrowed(literal)))
    }

    fn object(&mut self, depth: usize) -> Result<Node<'a>, String> {
        self.at += 1;
        let outer = self.members.len();
        let mut first = true;
        loop {
            self.blank();
            match self.peek() {
                Some(b'}') if first => break,
                Some(b'"') => {}
                _ => return self.fail("a key is missing"),
            }
            first = false;
            let key = self.string()?;
            self.blank();
            if self.peek() != Some(b':') {
                return self.fail("a colon is missing");
            }
            self.at += 1;
            if key == MANAGED_FIELDS {
                self.skip(depth + 1)?;
                self.shortened = true;
            } else {
                let value = self.value(depth + 1)?;
                self.members.push((key, value));
            }
            self.blank();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return self.fail("an object is not closed"),
            }
        }
        self.at += 1;
        Ok(Node::Object(self.members.drain(outer..).collect()))
    }

    fn list(&mut self, depth: usize) -> Result<Node<'a>, String> {
        self.at += 1;
        let outer = self.items.len();
        loop {
            self.blank();
            if self.peek() == Some(b']') && self.items.len() == outer {
                break;
            }
            let item = self.value(depth + 1)?;
            self.items.push(item);
            self.blank();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return self.fail("a list is not closed"),
            }
        }
        self.at += 1;
        Ok(Node::List(self.items.drain(outer..).collect()))
    }

    /// Passes over a value of which nothing is kept. Only its strings and brackets are looked at.
    fn skip(&mut self, depth: usize) -> Result<(), String> {
        self.blank();
        let mut open = depth;
        loop {
            match self.peek() {
                Some(b'"') => drop(self.string_end()?),
                Some(b'{' | b'[') => {
                    open += 1;
                    if open > MAX_DEPTH {
                        return self.fail("nesting is too deep");
                    }
                    self.at += 1;
                }
                Some(b'}' | b']') if open > depth => {
                    open -= 1;
                    self.at += 1;
                }
                Some(b'}' | b']') | None => return self.fail("a value is missing"),
                Some(_) if open == depth => drop(self.literal()?),
                Some(_) => self.at += 1,
            }
            if open == depth {
                return Ok(());
            }
        }
    }

    /// Goes behind the string that begins here; gives where it began and whether it has escapes.
    fn string_end(&mut self) -> Result<(usize, bool), String> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let (mut end, mut escaped) = (start + 1, false);
        loop {
            end += plain_len(bytes.get(end..).unwrap_or_default());
            match bytes.get(end) {
                None => return self.fail("a string is not closed"),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    end += 2;
                }
                Some(_) => return Err(format!("a control character in the string at byte {start}")),
            }
        }
        self.at = end + 1;
        Ok((start, escaped))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, String> {
        let (start, escaped) = self.string_end()?;
        let raw = &self.text[start..self.at];
        if escaped {
            serde_json::from_str(raw).map(Cow::Owned).map_err(|e| format!("a broken string at byte {start}: {e}"))
        } else {
            Ok(Cow::Borrowed(&raw[1..raw.len() - 1]))
        }
    }
}

/// An integer of few digits; all else is left to a real parser.
fn is_plain_number(literal: &str) -> bool {
    let digits = literal.strip_prefix('-').unwrap_or(literal).as_bytes();
    digits.len() <= PLAIN_NUMBER
        && digits.iter().all(u8::is_ascii_digit)
        && digits.first().is_some_and(|d| *d != b'0' || digits.len() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_order_and_duplicates_survive() {
        let text = r#"{"z":18446744073709551615,"a":[1.10,-0,1e3,123456789012345678901234567890],"a":null,"t":"a\"\\\n\u0001é"}"#;
        assert_eq!(Node::parse(text).unwrap().node.to_json(), text);
    }

    #[test]
    fn broken_json_is_refused() {
        for text in ["", "{", "{\"a\"}", "[1,]", "{\"a\":1,}", "nul", "\"a", "{} {}", "\"\\x\"", "\"\u{1}\""] {
            assert!(Node::parse(text).is_err(), "{text}");
        }
        assert!(Node::parse(&"[".repeat(10_000)).is_err());
    }

    #[test]
    fn managed_fields_are_passed_over() {
        let text = r#"{"managedFields":[{"a":"}]\\\"","b":{"c":[1,null]}}],"a":{"managedFields":null},"z":{"managedFields":{},"b":1}}"#;
        let parsed = Node::parse(text).unwrap();
        assert_eq!(parsed.node.to_json(), r#"{"a":{},"z":{"b":1}}"#);
        assert!(parsed.shortened && !Node::parse("{}").unwrap().shortened);
        for text in [
            r#"{"managedFields":"#,
            r#"{"managedFields":}"#,
            r#"{"managedFields":[}"#,
            r#"{"managedFields":x}"#,
            r#"{"managedFields":["a}"#,
            r#"{"managedFields":1,}"#,
        ] {
            assert!(Node::parse(text).is_err(), "{text}");
        }
        assert!(Node::parse(&format!("{{\"managedFields\":{}", "[".repeat(10_000))).is_err());
    }

    #[test]
    fn the_first_special_byte_is_found_at_every_place() {
        for len in 0..40 {
            for (place, special) in (0..len).flat_map(|p| [(p, b'"'), (p, b'\\'), (p, 0x1f), (p, 0)]) {
                for other in [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
                    let mut bytes = vec![other; len];
                    assert_eq!(plain_len(&bytes), len);
                    bytes[place] = special;
                    assert_eq!(plain_len(&bytes), place, "{special} after {other}");
                }
            }
        }
    }
}
