//! A JSON tree that keeps what a typed one loses: the text of numbers, the order of members, and duplicates.

/// Deepest nesting of an object.
const MAX_DEPTH: usize = 256;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// `null`, `true`, `false` or a number, as written.
    Literal(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    /// Parses one JSON document. The error says why it is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { text, at: 0 };
        let node = parser.value(0)?;
        parser.blank();
        if parser.at == text.len() {
            Ok(node)
        } else {
            Err(format!("something follows the JSON at byte {}", parser.at))
        }
    }

    pub(super) fn text(value: impl Into<String>) -> Self {
        Self::Text(value.into())
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

    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Literal(text) => out.push_str(text),
            Self::Text(text) => quote(text, out),
            Self::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (i, (key, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    quote(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    pub(super) fn to_json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
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

    fn value(&mut self, depth: usize) -> Result<Node, String> {
        if depth > MAX_DEPTH {
            return self.fail("nesting is too deep");
        }
        self.blank();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Node::Text(self.string()?)),
            Some(b) if b.is_ascii_alphanumeric() || b == b'-' => {
                let rest = &self.text.as_bytes()[self.at..];
                let len =
                    rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')).count();
                let literal = &self.text[self.at..self.at + len];
                if !matches!(literal, "null" | "true" | "false")
                    && serde_json::from_str::<serde_json::Number>(literal).is_err()
                {
                    return self.fail("an unknown literal");
                }
                self.at += len;
                Ok(Node::Literal(literal.to_owned()))
            }
            _ => self.fail("a value is missing"),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node, String> {
        self.at += 1;
        let mut members = Vec::new();
        loop {
            self.blank();
            match self.peek() {
                Some(b'}') if members.is_empty() => break,
                Some(b'"') => {}
                _ => return self.fail("a key is missing"),
            }
            let key = self.string()?;
            self.blank();
            if self.peek() != Some(b':') {
                return self.fail("a colon is missing");
            }
            self.at += 1;
            members.push((key, self.value(depth + 1)?));
            self.blank();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return self.fail("an object is not closed"),
            }
        }
        self.at += 1;
        Ok(Node::Object(members))
    }

    fn list(&mut self, depth: usize) -> Result<Node, String> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.blank();
            if self.peek() == Some(b']') && items.is_empty() {
                break;
            }
            items.push(self.value(depth + 1)?);
            self.blank();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return self.fail("a list is not closed"),
            }
        }
        self.at += 1;
        Ok(Node::List(items))
    }

    fn string(&mut self) -> Result<String, String> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut end = start + 1;
        loop {
            match memchr::memchr2(b'"', b'\\', bytes.get(end..).unwrap_or_default()) {
                None => return self.fail("a string is not closed"),
                Some(i) if bytes[end + i] == b'\\' => end += i + 2,
                Some(i) => {
                    end += i + 1;
                    break;
                }
            }
        }
        self.at = end;
        let raw = &self.text[start..end];
        if raw.contains('\\') {
            serde_json::from_str(raw).map_err(|e| format!("a broken string at byte {start}: {e}"))
        } else if raw.bytes().any(|b| b < 0x20) {
            Err(format!("a control character in the string at byte {start}"))
        } else {
            Ok(raw[1..raw.len() - 1].to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_order_and_duplicates_survive() {
        let text = r#"{"z":18446744073709551615,"a":[1.10,-0,1e3,123456789012345678901234567890],"a":null,"t":"a\"\\\n\u0001é"}"#;
        assert_eq!(Node::parse(text).unwrap().to_json(), text);
    }

    #[test]
    fn broken_json_is_refused() {
        for text in ["", "{", "{\"a\"}", "[1,]", "{\"a\":1,}", "nul", "\"a", "{} {}", "\"\\x\"", "\"\u{1}\""] {
            assert!(Node::parse(text).is_err(), "{text}");
        }
        assert!(Node::parse(&"[".repeat(10_000)).is_err());
    }
}
