//! A JSON tree that keeps what a typed one loses: the text of numbers, the order of members, and duplicates.
//!
//! Texts are borrowed from the document wherever they stand in it as they are, which is nearly everywhere.

use std::borrow::Cow;

use crate::redact::token::plain_len;

/// Deepest nesting of an object.
const MAX_DEPTH: usize = 256;
/// Field that says which client wrote which field: a third of most objects, and of no use here.
pub(super) const MANAGED_FIELDS: &str = "managedFields";
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
        let mut parser = Parser::new(text);
        let node = parser.value(0)?;
        parser.end()?;
        Ok(Parsed { node, shortened: parser.shortened })
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
pub(super) fn quote(text: &str, plain: bool, out: &mut Vec<u8>) {
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

/// A string as it stands in the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'a> {
    /// Between its quotes.
    pub(super) text: &'a str,
    /// Whether it has escapes, and whether some are others than those that [`Node::write`] makes.
    pub(super) escaped: bool,
    pub(super) foreign: bool,
}

/// Reads tokens of JSON, and makes a tree of them.
pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    shortened: bool,
    /// Whether there were blanks between tokens.
    pub(super) spaced: bool,
    /// Members and items of what is open, so that each object and list is allocated once and at its size.
    members: Vec<(Cow<'a, str>, Node<'a>)>,
    items: Vec<Node<'a>>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, shortened: false, spaced: false, members: Vec::new(), items: Vec::new() }
    }

    /// Nothing may follow.
    pub(super) fn end(&mut self) -> Result<(), String> {
        self.blank();
        if self.at == self.text.len() { Ok(()) } else { self.fail("something follows the JSON") }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    pub(super) fn blank(&mut self) {
        // What the API server writes has none.
        if self.peek().is_some_and(|b| b > b' ') {
            return;
        }
        while self.peek().is_some_and(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
            self.spaced = true;
        }
    }

    pub(super) fn fail<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("{what} at byte {}", self.at))
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, String> {
        match self.begin(depth)? {
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => Ok(Node::Text(self.string()?)),
            _ => Ok(Node::Literal(Cow::Borrowed(self.literal()?))),
        }
    }

    /// The first byte of the value that comes next.
    #[inline]
    pub(super) fn begin(&mut self, depth: usize) -> Result<u8, String> {
        if depth > MAX_DEPTH {
            return self.fail("nesting is too deep");
        }
        self.blank();
        match self.peek() {
            Some(b) if matches!(b, b'{' | b'[' | b'"' | b'-') || b.is_ascii_alphanumeric() => Ok(b),
            _ => self.fail("a value is missing"),
        }
    }

    pub(super) fn literal(&mut self) -> Result<&'a str, String> {
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
        Ok(literal)
    }

    fn object(&mut self, depth: usize) -> Result<Node<'a>, String> {
        self.at += 1;
        let outer = self.members.len();
        let mut first = true;
        while self.key_follows(first)? {
            first = false;
            let key = self.string()?;
            self.colon()?;
            if key == MANAGED_FIELDS {
                self.skip(depth + 1)?;
                self.shortened = true;
            } else {
                let value = self.value(depth + 1)?;
                self.members.push((key, value));
            }
            if !self.goes_on(b'}', "an object is not closed")? {
                break;
            }
        }
        self.at += 1;
        Ok(Node::Object(self.members.drain(outer..).collect()))
    }

    /// Whether a key comes next; only the first one may be missing.
    #[inline]
    pub(super) fn key_follows(&mut self, first: bool) -> Result<bool, String> {
        self.blank();
        match self.peek() {
            Some(b'}') if first => Ok(false),
            Some(b'"') => Ok(true),
            _ => self.fail("a key is missing"),
        }
    }

    #[inline]
    pub(super) fn colon(&mut self) -> Result<(), String> {
        self.blank();
        if self.peek() != Some(b':') {
            return self.fail("a colon is missing");
        }
        self.at += 1;
        Ok(())
    }

    /// Goes behind a comma, or stays at the bracket that closes.
    #[inline]
    pub(super) fn goes_on(&mut self, close: u8, missing: &str) -> Result<bool, String> {
        self.blank();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(b) if b == close => Ok(false),
            _ => self.fail(missing),
        }
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
            if !self.goes_on(b']', "a list is not closed")? {
                break;
            }
        }
        self.at += 1;
        Ok(Node::List(self.items.drain(outer..).collect()))
    }

    /// Passes over a value of which nothing is kept. Only its strings and brackets are looked at.
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), String> {
        self.blank();
        let mut open = depth;
        loop {
            match self.peek() {
                Some(b'"') => drop(self.raw()?),
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
                Some(_) if open == depth => {
                    self.literal()?;
                }
                Some(_) => self.at += 1,
            }
            if open == depth {
                return Ok(());
            }
        }
    }

    /// Goes behind the string that begins here.
    #[inline(always)]
    pub(super) fn raw(&mut self) -> Result<Raw<'a>, String> {
        let start = self.at + 1;
        let end = start + plain_len(self.text.as_bytes().get(start..).unwrap_or_default());
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return self.raw_behind(end);
        }
        self.at = end + 1;
        Ok(Raw { text: &self.text[start..end], escaped: false, foreign: false })
    }

    /// The same behind its first byte that is not plain.
    #[inline(never)]
    fn raw_behind(&mut self, mut end: usize) -> Result<Raw<'a>, String> {
        let bytes = self.text.as_bytes();
        let (start, mut escaped, mut foreign) = (self.at, false, false);
        loop {
            match bytes.get(end) {
                None => return self.fail("a string is not closed"),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    foreign |= !matches!(bytes.get(end + 1), Some(b'"' | b'\\' | b'n' | b'r' | b't'));
                    end += 2;
                }
                Some(_) => return Err(format!("a control character in the string at byte {start}")),
            }
            end += plain_len(bytes.get(end..).unwrap_or_default());
        }
        self.at = end + 1;
        Ok(Raw { text: &self.text[start + 1..end], escaped, foreign })
    }

    fn string(&mut self) -> Result<Cow<'a, str>, String> {
        let start = self.at;
        let raw = self.raw()?;
        if raw.escaped { self.unescaped(start).map(Cow::Owned) } else { Ok(Cow::Borrowed(raw.text)) }
    }

    /// What the string says that begins at a place and ends here.
    pub(super) fn unescaped(&self, start: usize) -> Result<String, String> {
        serde_json::from_str(&self.text[start..self.at]).map_err(|e| format!("a broken string at byte {start}: {e}"))
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
}
