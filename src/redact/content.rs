//! What a document is made of before the engine sees it: UTF-16 becomes UTF-8 and back, and binary content is refused.

use zeroize::Zeroizing;

use super::hidden::Raw;
use super::settle::Settled;
use super::{Format, Match, RedactError, Redacted, Redactor};

/// Bytes at the beginning that decide what a document is.
const SNIFF: usize = 512;

/// First bytes of content that no rule can read.
const MAGIC: [(&[u8], &str); 15] = [
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\x7fELF", "ELF"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"SQLite format 3\0", "SQLite"),
    (b"\xca\xfe\xba\xbe", "Java class"),
    (b"\xfe\xed\xfe\xed", "Java key store"),
    (b"\xd4\xc3\xb2\xa1", "packet capture"),
    (b"\x0a\x0d\x0d\x0a", "packet capture"),
    (b"\0asm", "WebAssembly"),
];

/// One document on its way through the redactor, in pushes of any size.
///
/// UTF-16 is redacted as the text that it is. Binary content is refused, because no rule can read it. After an error
/// the stream gives nothing more, and the file must be replaced by a stub.
pub struct Stream {
    lines: Settled,
    kind: Kind,
    /// What was pushed before the kind was known; a half code unit afterwards.
    pending: Raw,
    /// Half a character of what the engine gave.
    half: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unknown,
    Bytes,
    Utf16 { big: bool },
}

impl Stream {
    pub(super) fn new(redactor: Redactor, file: &str, format: Format) -> Self {
        Self {
            lines: Settled::new(redactor, file, format),
            kind: Kind::Unknown,
            pending: Raw::default(),
            half: Vec::new(),
        }
    }

    /// Takes down what is replaced where.
    pub(super) fn traced(mut self) -> Self {
        self.lines.trace();
        self
    }

    /// What was taken down.
    pub(super) fn into_matches(self) -> Vec<Match> {
        self.lines.into_matches()
    }

    /// Takes raw bytes; appends what is safe to emit to `out`. Bytes may be held back until a later push or
    /// [`Stream::finish`], but never more than a bounded window.
    ///
    /// # Errors
    /// When the content cannot be redacted safely.
    pub fn push(&mut self, raw: &[u8], out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        if self.kind != Kind::Unknown {
            return self.feed(raw, out);
        }
        if self.pending.is_empty() && raw.len() >= SNIFF {
            self.decide(raw)?;
            return self.feed(raw, out);
        }
        self.pending.extend_from_slice(raw);
        if self.pending.len() < SNIFF { Ok(()) } else { self.decided(out) }
    }

    /// Ends the document and emits the rest.
    ///
    /// # Errors
    /// When the content cannot be redacted safely.
    pub fn finish(&mut self, out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        if self.kind == Kind::Unknown {
            self.decided(out)?;
        }
        if let Kind::Utf16 { big } = self.kind {
            if !self.pending.is_empty() {
                return Err(RedactError::Content("the UTF-16 text ends inside of a character".to_owned()));
            }
            let mut text = Redacted::buffer();
            self.lines.finish(&mut text)?;
            return self.encode(text.get(), big, out);
        }
        self.lines.finish(out)
    }

    /// Decides by what was pushed so far, and takes it.
    fn decided(&mut self, out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        let pending = std::mem::take(&mut self.pending);
        self.decide(&pending)?;
        self.feed(&pending, out)
    }

    fn decide(&mut self, begin: &[u8]) -> Result<(), RedactError> {
        let head = &begin[..begin.len().min(SNIFF)];
        if let Some(big) = utf16(head) {
            self.kind = Kind::Utf16 { big };
        } else if let Some(what) = binary(head) {
            return Err(RedactError::Content(format!("it is binary ({what})")));
        } else {
            self.kind = Kind::Bytes;
        }
        Ok(())
    }

    fn feed(&mut self, raw: &[u8], out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        let Kind::Utf16 { big } = self.kind else { return self.lines.push(raw, out) };
        self.pending.extend_from_slice(raw);
        let (text, used) = decode(&self.pending, big)?;
        self.pending.drain(..used);
        let mut clean = Redacted::buffer();
        self.lines.push(text.as_bytes(), &mut clean)?;
        self.encode(clean.get(), big, out)
    }

    /// Turns what the engine gave back into UTF-16.
    fn encode(&mut self, text: &[u8], big: bool, out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        self.half.extend_from_slice(text);
        let whole = match std::str::from_utf8(&self.half) {
            Ok(text) => text.len(),
            Err(e) if e.error_len().is_none() => e.valid_up_to(),
            Err(_) => return Err(RedactError::Content("the redacted text is not UTF-8 any more".to_owned())),
        };
        let out = out.inner_mut();
        for unit in std::str::from_utf8(&self.half[..whole]).unwrap_or_default().encode_utf16() {
            out.extend_from_slice(&if big { unit.to_be_bytes() } else { unit.to_le_bytes() });
        }
        self.half.drain(..whole);
        Ok(())
    }
}

fn unit(pair: &[u8], big: bool) -> u16 {
    let pair = [pair[0], pair[1]];
    if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
}

/// Decodes whole characters; gives how many bytes they took.
fn decode(bytes: &[u8], big: bool) -> Result<(Zeroizing<String>, usize), RedactError> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len()));
    let units = bytes.len() / 2;
    let mut at = 0;
    while at < units {
        let first = unit(&bytes[2 * at..], big);
        let pair = (0xd800..0xdc00).contains(&first);
        if pair && at + 1 == units {
            break;
        }
        let len = 1 + usize::from(pair);
        let both = (at..at + len).map(|i| unit(&bytes[2 * i..], big));
        for c in char::decode_utf16(both) {
            text.push(c.map_err(|_| RedactError::Content("the UTF-16 text holds half a character".to_owned()))?);
        }
        at += len;
    }
    Ok((text, 2 * at))
}

/// Whether a document begins like UTF-16, and in which order: by its byte order mark, or by the zero bytes of its ASCII
/// characters.
fn utf16(head: &[u8]) -> Option<bool> {
    let head = &head[..head.len() / 2 * 2];
    let marked = head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]);
    if head.len() < 4 || !marked && memchr::memchr(0, head).is_none() {
        return None;
    }
    let units = head.len() / 2;
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|b| **b == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    for (mark, big) in [([0xff, 0xfe], false), ([0xfe, 0xff], true)] {
        if head[..2] == mark {
            let ascii = if big { even } else { odd };
            let plain = head.iter().filter(|b| matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7e)).count();
            let text = ascii * 8 >= units || (plain * 10 < head.len() * 6 && decode(head, big).is_ok());
            return text.then_some(big);
        }
    }
    // Without a mark nearly every unit must be ASCII.
    (units >= 16 && (odd * 10 >= units * 8 && even * 20 < units || even * 10 >= units * 8 && odd * 20 < units))
        .then_some(even > odd)
}

/// Why content is binary.
fn binary(head: &[u8]) -> Option<&'static str> {
    let begins = |magic: &[u8]| magic.first() == head.first() && head.starts_with(magic);
    let bzip2 = || head.get(4..10) == Some(&b"1AY&SY"[..]);
    if let Some((_, name)) = MAGIC.iter().find(|(magic, name)| begins(magic) && (*name != "bzip2" || bzip2())) {
        return Some(name);
    }
    if head.get(257..262) == Some(&b"ustar"[..]) {
        return Some("tar");
    }
    if head.len() < 32 {
        return None;
    }
    // Counted in parts that fit into a byte, so that many bytes are counted together.
    let count = |is: fn(u8) -> bool| -> usize {
        head.chunks(128).map(|part| usize::from(part.iter().map(|b| u8::from(is(*b))).sum::<u8>())).sum()
    };
    let zeros = count(|b| b == 0);
    let odd = count(|b| matches!(b, 1..=8 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f));
    // Values that zero bytes separate have few of them.
    (zeros * 10 > head.len() * 3 || odd * 10 > head.len() * 2).then_some("zero and control bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::CorrelationKey;

    fn redact(input: &[u8], step: usize) -> Result<Vec<u8>, RedactError> {
        let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32]))?;
        let mut stream = redactor.stream("file", Format::Text);
        let mut out = Redacted::buffer();
        for piece in input.chunks(step) {
            stream.push(piece, &mut out)?;
        }
        stream.finish(&mut out)?;
        Ok(out.into_inner())
    }

    fn utf16_of(text: &str, big: bool) -> Vec<u8> {
        text.encode_utf16().flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
    }

    #[test]
    fn utf16_is_redacted_as_text_in_both_orders() {
        for big in [false, true] {
            for mark in ["\u{feff}", ""] {
                let input = utf16_of(&format!("{mark}Größe 10 𝄞\r\npassword=Hunter2xyz\r\nend of the text\r\n"), big);
                let whole = redact(&input, input.len()).unwrap();
                let text = String::from_utf16(&whole.chunks(2).map(|p| unit(p, big)).collect::<Vec<_>>()).unwrap();
                assert!(text.contains("password=REDACTED-password-") && !text.contains("Hunter2"), "{text}");
                assert!(text.starts_with(&format!("{mark}Größe 10 𝄞\r\n")) && text.ends_with("end of the text\r\n"));
                for step in [1, 3, 7, 64] {
                    assert!(redact(&input, step).unwrap() == whole, "in pieces of {step}");
                }
            }
        }
    }

    #[test]
    fn long_utf16_is_redacted_behind_its_head() {
        let input =
            utf16_of(&format!("\u{feff}{}\npassword=Hunter2xyz\n", "some lines of text\n".repeat(3_000)), false);
        let out = redact(&input, 4_093).unwrap();
        let secret = utf16_of("Hunter2", false);
        assert!(memchr::memmem::find(&out, &secret).is_none());
    }

    #[test]
    fn binary_content_is_refused() {
        let mut gzip = b"\x1f\x8b\x08\0\0\0\0\0".to_vec();
        gzip.extend([7; 100]);
        let mut tar = vec![b'a'; 600];
        tar[257..262].copy_from_slice(b"ustar");
        for input in [gzip, tar, vec![0; 1_000], b"PK\x03\x04abcdefghijkl".to_vec(), b"\x7fELF\x02\x01".to_vec()] {
            assert!(matches!(redact(&input, 10), Err(RedactError::Content(e)) if e.contains("binary")), "{input:?}");
        }
        let broken = [&b"\xff\xfe"[..], &utf16_of("password", false), b"\0\xd8a\0"].concat();
        assert!(redact(&broken, 100).is_err());
    }

    #[test]
    fn text_with_zero_bytes_and_other_bytes_is_text() {
        for input in [
            &b"HOME=/root\0PATH=/usr/bin:/bin\0LANG=C.UTF-8\0HOSTNAME=abc\0"[..],
            b"\xff\xfe\x80 plain text all the way, whatever its first bytes say",
            b"\x1b[32mINFO\x1b[0m coloured \x1b[1mlog\x1b[0m line with words in it\n",
            b"a\0",
            b"",
        ] {
            assert_eq!(redact(input, 5).unwrap(), input);
        }
    }
}
