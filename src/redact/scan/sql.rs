//! SQL in logs: `INSERT INTO users (name, password) VALUES ('a', 'x')`.

use super::Scan;
use super::keyvalue::{Key, skip_blank};
use super::words::Class;

/// Columns of a list, at most.
const MAX_COLUMNS: usize = 256;
/// Longest list of columns.
const MAX_LIST: usize = 8 << 10;
/// Rows of one statement that are read for one column, in bytes.
const MAX_ROWS: usize = 64 << 10;

impl Scan<'_> {
    /// A secret name in the list of columns of an `INSERT`: masks its value in each row. Says whether it is one.
    pub(super) fn column(&mut self, key: Key, class: Class, at: usize) -> bool {
        let bytes = self.bytes;
        let (line_start, line_end) = key.line;
        let next = skip_blank(bytes, at, line_end);
        if class == Class::Benign || !matches!(bytes.get(next), Some(b',' | b')')) {
            return false;
        }
        let head = &bytes[line_start.max(key.start.saturating_sub(MAX_LIST))..key.start];
        self.spend(head.len() / 8);
        let Some(open) = memchr::memrchr(b'(', head) else { return false };
        if !begins_insert(&head[..open]) {
            return false;
        }
        let column = memchr::memchr_iter(b',', &head[open..]).count();
        let roof = line_end.min(next + MAX_ROWS);
        let Some(mut at) = memchr::memchr(b')', &bytes[next..roof]).map(|i| next + i + 1) else { return false };
        at = skip_blank(bytes, at, roof);
        if column >= MAX_COLUMNS || !bytes[at..roof].get(..6).is_some_and(|word| word.eq_ignore_ascii_case(b"values")) {
            return false;
        }
        at = skip_blank(bytes, at + 6, roof);
        while at < roof && bytes[at] == b'(' {
            let Some((value, end)) = value_of(bytes, at + 1, roof, column) else {
                self.spend(roof - at);
                return true;
            };
            self.spend(end - at);
            if let Some((from, to)) = value {
                self.judged(class, from, to, None);
            }
            at = skip_blank(bytes, end, roof);
            at = if bytes.get(at) == Some(&b',') { skip_blank(bytes, at + 1, roof) } else { roof };
        }
        true
    }
}

/// Whether the words in front of a list of columns are those of an `INSERT`: `insert into schema.table`.
fn begins_insert(head: &[u8]) -> bool {
    let mut words = head.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).rev();
    words.next().is_some() && words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"into"))
}

/// A range of bytes.
type Range = (usize, usize);

/// The text in quotes that is the value of a column of a row, and where the row ends; none when it does not.
fn value_of(bytes: &[u8], from: usize, roof: usize, column: usize) -> Option<(Option<Range>, usize)> {
    let (mut at, mut depth, mut index, mut value) = (from, 0_usize, 0, None);
    while at < roof {
        match bytes[at] {
            b'\'' => {
                let open = at + 1;
                at = open;
                // A quote is doubled, or behind a backslash in MySQL.
                loop {
                    at += memchr::memchr2(b'\'', b'\\', bytes.get(at..roof)?)?;
                    let pair = bytes[at] == b'\\' || bytes.get(at + 1) == Some(&b'\'');
                    if !pair {
                        break;
                    }
                    at += 2;
                }
                if index == column {
                    value = Some((open, at));
                }
            }
            b'(' => depth += 1,
            b')' if depth == 0 => return Some((value, at + 1)),
            b')' => depth -= 1,
            b',' if depth == 0 => index += 1,
            _ => {}
        }
        at += 1;
    }
    None
}
