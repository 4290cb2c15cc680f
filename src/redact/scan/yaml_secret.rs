//! `kind: Secret` in YAML: the values of `data` and `stringData`, which may stand before or behind the kind.

use super::region::indent;
use super::{LOOKAHEAD, Scan};
use crate::redact::rules::engine;
use crate::redact::token::base64_bytes;

/// Fields beside `data` that are looked at for the kind: an object has a handful, and each of many would be looked at anew
/// from each of many.
const MAX_FIELDS: usize = 40;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unknown,
    Secret,
    Other,
}

impl Scan<'_> {
    /// At `kind: Secret`, or at `data:` or `stringData:` whose kind is not known.
    pub(super) fn yaml_secret(&mut self, at: usize, is_kind: bool) {
        let bytes = self.bytes;
        let (line_start, line_end) = self.line_of(at);
        let column = at - line_start;
        if !bytes[line_start..at].iter().all(|b| matches!(b, b' ' | b'-')) {
            return;
        }
        let line = bytes[at..line_end].trim_ascii_end();
        let behind =
            if is_kind { line == b"kind: Secret" } else { line.ends_with(b"data:") || line.ends_with(b"Data:") };
        if !behind {
            return;
        }
        let mut kind = if is_kind { Kind::Secret } else { Kind::Unknown };
        let mut inside = !is_kind;
        let mut plain = line == b"stringData:";
        let mut children: Vec<(usize, usize)> = Vec::new();
        let mut next = line_end + 1;
        let mut fields = 0;
        loop {
            if next >= bytes.len() {
                if self.more {
                    return self.hold_line(at);
                }
                break;
            }
            if next - at > LOOKAHEAD || fields > MAX_FIELDS {
                break;
            }
            let Some(stop) =
                memchr::memchr(b'\n', &bytes[next..]).map(|i| next + i).or((!self.more).then_some(bytes.len()))
            else {
                return self.hold_line(at);
            };
            let text = bytes[next..stop].trim_ascii();
            let depth = indent(&bytes[next..stop]);
            if !text.is_empty() {
                if depth < column || (depth == 0 && (text == b"---" || text == b"...")) {
                    break;
                }
                if depth == column {
                    fields += 1;
                    inside = matches!(text, b"data:" | b"stringData:");
                    plain |= text == b"stringData:";
                    if let Some(name) = text.strip_prefix(b"kind:") {
                        kind = if name.trim_ascii() == b"Secret" { Kind::Secret } else { Kind::Other };
                    }
                } else if inside {
                    children.push((next, stop));
                }
            }
            if kind == Kind::Other {
                return;
            }
            next = stop + 1;
        }
        if kind == Kind::Secret || plain {
            self.secret_children(&children, false);
        } else if next - at > LOOKAHEAD || fields > MAX_FIELDS {
            // Too long to see the kind: what can be data of a Secret is taken for it.
            self.secret_children(&children, true);
        }
    }

    /// Masks the values of the lines below `data:`.
    fn secret_children(&mut self, lines: &[(usize, usize)], only_base64: bool) {
        let bytes = self.bytes;
        let Some(depth) = lines.iter().map(|(a, b)| indent(&bytes[*a..*b])).min() else { return };
        let mut i = 0;
        while i < lines.len() {
            let (start, stop) = lines[i];
            let (mut last, first) = (i, i);
            while last + 1 < lines.len() && indent(&bytes[lines[last + 1].0..lines[last + 1].1]) > depth {
                last += 1;
            }
            let end = lines[last].1;
            i = last + 1;
            let item = bytes[start + depth..stop].starts_with(b"- ");
            let colon = if item {
                // A list has no place in the data of a Secret, but its items may be secret all the same.
                start + depth + 2
            } else {
                let Some(colon) = memchr::memchr(b':', &bytes[start..stop]) else { continue };
                start + colon + 1
            };
            let head = bytes[colon..stop].trim_ascii();
            if head.is_empty() && i > first + 1 && self.is_nested(lines[first + 1]) {
                self.secret_children(&lines[first + 1..i], only_base64);
                continue;
            }
            let from = if matches!(head.first(), Some(b'|' | b'>')) { (stop + 1).min(end) } else { colon };
            let value = bytes[from..end].trim_ascii();
            let quoted = value.len() >= 2 && matches!(value[0], b'"' | b'\'') && value.last() == value.first();
            let value = if quoted { &value[1..value.len() - 1] } else { value };
            if value.is_empty() || matches!(value, b"{}" | b"[]") || (only_base64 && base64_bytes(value).is_none()) {
                continue;
            }
            let from = value.as_ptr() as usize - bytes.as_ptr() as usize;
            self.mask(from, from + value.len(), engine::KUBERNETES_SECRET, None);
        }
    }

    /// Whether a line begins a list or a mapping rather than the rest of a text.
    fn is_nested(&self, (start, stop): (usize, usize)) -> bool {
        let line = self.bytes[start..stop].trim_ascii();
        line.starts_with(b"- ") || line.ends_with(b":") || memchr::memmem::find(line, b": ").is_some()
    }
}
