//! One pass over finished content for all known values in all their forms.

use std::collections::HashMap;
use std::io::{self, Read};

use aho_corasick::{AhoCorasick, Input, MatchKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::forms::{Form, forms, word_forms};
use super::reach::{Reach, is_spoken, is_word};
use super::{Hidden, Known};
use crate::redact::hidden::Raw;
use crate::redact::layers::{Counts, Layer};
use crate::redact::rules::engine;
use crate::redact::token::{Id, replacement};
use crate::redact::{RedactError, Redacted, Redactor};

/// Bytes that are looked at together.
const BLOCK: usize = 1 << 20;
/// Bytes at the end of a block that wait for the next one; more than the longest form and its run.
const HOLD: usize = 16 << 10;
/// How far the run around a match is followed to each side.
const MAX_RUN: usize = 4 << 10;
/// Bytes in front of a block that are shown with it: what stands before a word.
const CONTEXT: usize = 1 << 10;
/// Most values that are searched as words.
const MAX_WORDS: usize = 2_000;
/// Bits of the filter.
const FILTER: u32 = 20;

/// What is searched, as it was when the sweep was made. It has no `Debug`, because it holds secrets.
pub struct Sweep {
    redactor: Redactor,
    needles: Vec<Needle>,
    /// Seven bytes of needles: the needles that have them, and behind how many bytes. Every second place of a text is
    /// looked at, so each needle has the seven bytes at its beginning and those one further on.
    heads: HashMap<u64, Vec<(u32, usize)>>,
    /// One bit for each hash of a head: most places are turned down without a look into the table.
    filter: Vec<u64>,
    words: Option<Words>,
}

struct Needle {
    text: Hidden,
    form: Form,
    rule: u16,
    id: Id,
    reach: Reach,
}

/// Values that are searched as words: few, and short.
struct Words {
    searcher: AhoCorasick,
    needles: Vec<Needle>,
}

/// Part of a text in which matches may begin.
#[derive(Clone, Copy)]
struct Place {
    from: usize,
    limit: usize,
    /// Whether the text is the name of a file.
    name: bool,
}

/// Takes a block and the part of it in which matches may begin.
type Work<'a> = dyn FnMut(&[u8], Place) -> io::Result<Option<usize>> + 'a;

fn hash(head: u64) -> usize {
    (head.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER)) as usize
}

/// The first seven of at least eight bytes.
fn head(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk::<8>().map(|head| u64::from_le_bytes(*head) << 8)
}

impl Sweep {
    /// Takes the values that are known now; none when there are none.
    pub(in crate::redact) fn new(redactor: &Redactor, known: &Known) -> Option<Self> {
        let values = known.values.lock().ok()?;
        let mut sweep = Self {
            redactor: redactor.clone(),
            needles: Vec::new(),
            heads: HashMap::new(),
            filter: vec![0; 1 << (FILTER - 6)],
            words: None,
        };
        let mut words = Vec::new();
        let chosen = values.iter().filter(|(_, v)| v.reach != Reach::Anywhere).take(MAX_WORDS);
        for (id, value) in chosen {
            let (rule, id, reach) = (value.rule, *id, value.reach);
            let all = word_forms(&value.text).into_iter();
            words.extend(all.map(|(form, text)| Needle { text: Hidden::new(text), form, rule, id, reach }));
        }
        sweep.words = Words::new(words);
        for (id, value) in values.iter().filter(|(_, v)| v.reach == Reach::Anywhere) {
            for (form, text) in forms(&value.text) {
                let index = u32::try_from(sweep.needles.len()).ok()?;
                let Some(first) = head(&text) else { continue };
                // A needle of eight bytes has no ninth; what stands behind it is shifted out.
                let second = head(&[&text[1..], b"\0"].concat()).unwrap_or_default();
                for (behind, head) in [first, second].into_iter().enumerate() {
                    let bit = hash(head);
                    sweep.filter[bit / 64] |= 1 << (bit % 64);
                    sweep.heads.entry(head).or_default().push((index, behind));
                }
                let (text, reach) = (Hidden::new(text), Reach::Anywhere);
                sweep.needles.push(Needle { text, form, rule: value.rule, id: *id, reach });
            }
        }
        (!sweep.needles.is_empty() || sweep.words.is_some()).then_some(sweep)
    }

    /// Whether content in memory holds a known value.
    #[must_use]
    pub fn is_in(&self, content: &[u8]) -> bool {
        self.first(content, Place { from: 0, limit: content.len(), name: false }).is_some()
    }

    /// Whether content holds a known value.
    ///
    /// # Errors
    /// When reading fails.
    pub fn touches(&self, content: &mut dyn Read) -> io::Result<bool> {
        let mut found = false;
        self.blocks(content, false, &mut |block, place| {
            found = found || self.first(block, place).is_some();
            Ok(if found { None } else { Some(place.limit) })
        })?;
        Ok(found)
    }

    /// Copies content, known values replaced; `file` is the name that the report counts under.
    ///
    /// # Errors
    /// When reading or `write` fails.
    pub fn rewrite(
        &self,
        file: &str,
        content: &mut dyn Read,
        write: &mut dyn FnMut(&Redacted<Vec<u8>>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.copy(file, content, false, write)
    }

    fn copy(
        &self,
        file: &str,
        content: &mut dyn Read,
        name: bool,
        write: &mut dyn FnMut(&Redacted<Vec<u8>>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut count = 0;
        let mut out = Redacted::buffer();
        self.blocks(content, name, &mut |block, place| {
            out.clear();
            let end = self.replace(block, place, out.inner_mut(), &mut count);
            write(&out).map(|()| Some(end))
        })?;
        if count > 0 {
            self.redactor.count(file, Counts::from([((Layer::Known, engine::KNOWN), count)]), &[]);
        }
        Ok(())
    }

    /// Replaces known values in a document in memory.
    ///
    /// # Errors
    /// Never in practice: nothing is read or written.
    pub fn bytes(&self, file: &str, content: &Redacted<Vec<u8>>) -> io::Result<Redacted<Vec<u8>>> {
        let mut whole = Redacted::buffer();
        self.rewrite(file, &mut content.get().as_slice(), &mut |part| {
            whole.inner_mut().extend_from_slice(part.get());
            Ok(())
        })?;
        Ok(whole)
    }

    /// Replaces known values in a short text that was redacted.
    #[must_use]
    pub fn text(&self, text: &Redacted<String>) -> Redacted<String> {
        Redacted::vouch(self.short("texts", text.get(), false))
    }

    /// Replaces known values in the redacted path of a file.
    #[must_use]
    pub fn path(&self, path: &Redacted<String>) -> Redacted<String> {
        Redacted::vouch(self.short("names", path.get(), true))
    }

    /// Replaces known values in every text of a record that was redacted.
    ///
    /// # Errors
    /// When the record does not survive the round trip through JSON.
    pub fn record<T: Serialize + DeserializeOwned>(&self, record: &Redacted<T>) -> Result<Redacted<T>, RedactError> {
        let mut value = serde_json::to_value(record.get()).map_err(|e| RedactError::Content(e.to_string()))?;
        self.texts_of(&mut value);
        serde_json::from_value(value).map(Redacted::vouch).map_err(|e| RedactError::Content(e.to_string()))
    }

    fn texts_of(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => *text = self.short("records", text, false),
            serde_json::Value::Array(items) => items.iter_mut().for_each(|v| self.texts_of(v)),
            serde_json::Value::Object(map) => map.values_mut().for_each(|v| self.texts_of(v)),
            _ => {}
        }
    }

    fn short(&self, file: &str, text: &str, name: bool) -> String {
        let mut whole = Vec::with_capacity(text.len());
        let copied = self.copy(file, &mut text.as_bytes(), name, &mut |part| {
            whole.extend_from_slice(part.get());
            Ok(())
        });
        let text = copied.ok().and_then(|()| String::from_utf8(whole).ok());
        text.unwrap_or_else(|| "[a text that could not be redacted]".to_owned())
    }

    /// Reads blocks that overlap, and shows each with the part in which matches may begin. `work` says how many
    /// bytes are done with, or that no more are wanted.
    fn blocks(&self, content: &mut dyn Read, name: bool, work: &mut Work<'_>) -> io::Result<()> {
        let mut block = Raw::default();
        let mut from = 0;
        loop {
            let wanted = (BLOCK + HOLD - (block.len() - from)) as u64;
            let read = content.take(wanted).read_to_end(&mut block)?;
            let last = (read as u64) < wanted;
            let limit = if last { block.len() } else { block.len() - HOLD };
            let Some(done) = work(&block, Place { from, limit, name })? else { return Ok(()) };
            if last {
                return Ok(());
            }
            from = done.min(CONTEXT);
            block.drain(..done - from);
        }
    }

    fn replace(&self, block: &[u8], place: Place, out: &mut Vec<u8>, count: &mut u64) -> usize {
        let mut done = place.from;
        let mut strong = self.next(block, place.from, place.limit);
        let mut word = self.word(block, place);
        loop {
            let rest = Place { from: done, ..place };
            if strong.is_some_and(|(start, _)| start < done) {
                strong = self.next(block, done, place.limit);
            }
            if word.is_some_and(|(start, _)| start < done) {
                word = self.word(block, rest);
            }
            let Some((start, needle)) = earlier(strong, word) else { break };
            let (from, to) = widened(block, needle.form, start, start + needle.text.len());
            let from = from.max(done);
            out.extend_from_slice(&block[done..from]);
            let token = replacement(self.redactor.inner().set.kind(needle.rule), needle.id);
            match needle.form {
                Form::Utf16 { big: false } => out.extend(token.bytes().flat_map(|b| [b, 0])),
                Form::Utf16 { big: true } => out.extend(token.bytes().flat_map(|b| [0, b])),
                Form::Plain | Form::Base64 | Form::Hex => out.extend_from_slice(token.as_bytes()),
            }
            *count += 1;
            done = to;
        }
        let end = done.max(place.limit);
        out.extend_from_slice(&block[done..end]);
        end
    }

    /// The first match of any kind.
    fn first(&self, block: &[u8], place: Place) -> Option<(usize, &Needle)> {
        self.next(block, place.from, place.limit).or_else(|| self.word(block, place))
    }

    /// The first value that stands as a word of its own.
    fn word(&self, block: &[u8], place: Place) -> Option<(usize, &Needle)> {
        let words = self.words.as_ref()?;
        let mut at = place.from;
        while let Some(found) = words.searcher.find(Input::new(block).range(at..)) {
            if found.start() >= place.limit {
                return None;
            }
            let needle = words.needles.get(found.pattern().as_usize())?;
            let padding = if needle.form == Form::Base64 {
                block[found.end()..].iter().take(2).take_while(|b| **b == b'=').count()
            } else {
                0
            };
            let end = found.end() + padding;
            if is_word(block, found.start(), end, place.name)
                && (needle.reach == Reach::Word || (!place.name && is_spoken(block, found.start(), end)))
            {
                return Some((found.start(), needle));
            }
            at = found.start() + 1;
        }
        None
    }

    /// The first match that begins in `at..limit`; the longest one of its place.
    fn next(&self, block: &[u8], at: usize, limit: usize) -> Option<(usize, &Needle)> {
        // The last places have fewer than eight bytes behind them and still may hold the second head of a needle.
        let mut last = [0; 16];
        let tail = block.len().saturating_sub(8).max(at);
        let rest = block.get(tail..)?;
        last[..rest.len()].copy_from_slice(rest);
        let mut place = at;
        while place <= limit && place < block.len() {
            let bytes = if place < tail { &block[place..] } else { &last[place - tail..] };
            let head = head(bytes)?;
            let bit = hash(head);
            if self.filter[bit / 64] >> (bit % 64) & 1 != 0
                && let Some(found) = self.at(block, place, head, at..limit)
            {
                return Some(found);
            }
            place += 2;
        }
        None
    }

    /// The first and longest needle that has its head at a place.
    fn at(&self, block: &[u8], place: usize, head: u64, within: std::ops::Range<usize>) -> Option<(usize, &Needle)> {
        let matches = self.heads.get(&head)?.iter().filter_map(|(index, behind)| {
            let start = place.checked_sub(*behind).filter(|start| within.contains(start))?;
            let needle = self.needles.get(*index as usize)?;
            block[start..].starts_with(&needle.text).then_some((start, needle))
        });
        matches.min_by_key(|(start, needle)| (*start, std::cmp::Reverse(needle.text.len())))
    }
}

impl Words {
    fn new(needles: Vec<Needle>) -> Option<Self> {
        if needles.is_empty() {
            return None;
        }
        let texts = needles.iter().map(|n| &*n.text);
        let searcher = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts).ok()?;
        Some(Self { searcher, needles })
    }
}

/// The match that begins first; of two at one place the one that may stand anywhere.
fn earlier<'a>(strong: Option<(usize, &'a Needle)>, word: Option<(usize, &'a Needle)>) -> Option<(usize, &'a Needle)> {
    match (strong, word) {
        (Some(strong), Some(word)) => Some(if word.0 < strong.0 { word } else { strong }),
        (found, None) | (None, found) => found,
    }
}

/// The match with the run around it.
fn widened(block: &[u8], form: Form, start: usize, end: usize) -> (usize, usize) {
    let in_run = |b: &u8| match form {
        Form::Base64 => b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_' | b'='),
        Form::Hex => b.is_ascii_hexdigit(),
        Form::Plain | Form::Utf16 { .. } => false,
    };
    let before = block[..start].iter().rev().take(MAX_RUN).take_while(|b| in_run(b)).count();
    let behind = block[end..].iter().take(MAX_RUN).take_while(|b| in_run(b)).count();
    // A setting's name in front is no part of the run: `token=...`.
    let lead = &block[start - before..start];
    let name = lead.iter().rposition(|b| *b == b'=').map_or(0, |i| i + 1);
    (start - before + name, end + behind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::{CorrelationKey, Format};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    fn redactor() -> Redactor {
        Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap()
    }

    fn swept(redactor: &Redactor, content: &[u8]) -> Vec<u8> {
        let sweep = redactor.sweep().unwrap();
        let content = Redacted::vouch(content.to_vec());
        sweep.bytes("f", &content).unwrap().into_inner()
    }

    const VALUE: &str = "S3cr3t&Val\"ue<9";

    #[test]
    fn a_known_value_is_found_in_all_its_forms() {
        let redactor = redactor();
        let _ = redactor.bytes("a", Format::Json, br#"{"password":"S3cr3t&Val\"ue<9"}"#).unwrap();
        let hex: String = VALUE.bytes().map(|b| format!("{b:02x}")).collect();
        for form in [
            VALUE.to_owned(),
            VALUE.replace('"', "\\\""),
            VALUE.replace('"', "\\\"").replace('&', "\\u0026").replace('<', "\\u003c"),
            "S3cr3t%26Val%22ue%3C9".to_owned(),
            STANDARD.encode(VALUE),
            STANDARD.encode(format!("x{VALUE} and more")),
            STANDARD.encode(format!("xy{VALUE}")),
            hex.to_uppercase(),
            hex,
        ] {
            let out = String::from_utf8(swept(&redactor, format!("before {form} after").as_bytes())).unwrap();
            assert!(out.starts_with("before REDACTED-password-") && out.ends_with(" after"), "{form}: {out}");
            assert_eq!(out.len(), "before REDACTED-password-aaaaaaaaaaaa after".len(), "{out}");
        }
        let utf16: Vec<u8> = VALUE.bytes().flat_map(|b| [b, 0]).collect();
        let out = swept(&redactor, &utf16);
        assert!(out.starts_with(b"R\0E\0D\0A\0C\0T\0E\0D\0-\0") && out.len().is_multiple_of(2));
    }

    #[test]
    fn blocks_and_their_edges_hide_nothing() {
        let redactor = redactor();
        let _ = redactor.text("password=Hunter2xyz9Q");
        for at in [0, BLOCK - 20, BLOCK - 6, BLOCK, BLOCK + HOLD - 5, BLOCK + HOLD, 2 * BLOCK + HOLD - 3] {
            let mut content = vec![b'.'; at];
            content.extend_from_slice(b"Hunter2xyz9Q");
            content.extend(vec![b'.'; 100]);
            let out = swept(&redactor, &content);
            assert!(memchr::memmem::find(&out, b"Hunter2").is_none(), "at {at}");
            assert_eq!(out.iter().filter(|b| **b == b'.').count(), at + 100);
            assert!(redactor.sweep().unwrap().touches(&mut content.as_slice()).unwrap());
            assert!(!redactor.sweep().unwrap().touches(&mut out.as_slice()).unwrap());
        }
    }

    #[test]
    fn the_order_of_collection_does_not_matter() {
        let texts = ["password=Hunter2xyz9Q", "postgres://u:Hunter2xyz9Q@h/db", "token: Zq8vW3rT7yU1"];
        let result = |order: &[usize]| {
            let redactor = redactor();
            for i in order {
                let _ = redactor.text(texts[*i]);
            }
            swept(&redactor, b"x Hunter2xyz9Q y Zq8vW3rT7yU1 z")
        };
        let first = result(&[0, 1, 2]);
        for order in [[2, 1, 0], [1, 2, 0], [0, 2, 1]] {
            assert_eq!(result(&order), first);
        }
    }

    #[test]
    fn without_values_there_is_no_sweep() {
        let redactor = redactor();
        let _ = redactor.text("nothing here; password=changeme");
        assert!(redactor.sweep().is_none());
    }
}
