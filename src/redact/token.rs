//! Replacement tokens: `REDACTED-<kind>-<id>`, where equal secrets get equal ids in whatever encoding they occur.

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::CorrelationKey;

/// What every replacement starts with.
pub(super) const PREFIX: &[u8] = b"REDACTED-";
/// Characters of an id: 60 bits.
pub(super) const ID_LEN: usize = 12;
/// Longest kind.
const MAX_KIND: usize = 16;
/// Longest replacement.
pub(super) const MAX_LEN: usize = PREFIX.len() + MAX_KIND + 1 + ID_LEN;
/// What stands for a replacement where names and values are judged.
pub(super) const STAND_IN: u8 = b'q';
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// How many layers of encoding are taken off a value before it is hashed.
const MAX_LAYERS: usize = 4;

/// Makes ids. It has no `Debug`, because it holds the key.
#[derive(Clone)]
pub(super) struct Ids {
    mac: Hmac<Sha256>,
}

/// The id of one secret value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id(u64);

impl Ids {
    pub(super) fn new(key: &CorrelationKey) -> Result<Self, super::RedactError> {
        let mac = Hmac::new_from_slice(key.bytes()).map_err(|e| super::RedactError::Key(e.to_string()))?;
        Ok(Self { mac })
    }

    /// What tells two keys apart and says nothing about either: a tag over a text that no value can be.
    pub(super) fn key_id(&self) -> String {
        let mut mac = self.mac.clone();
        mac.update(b"key-id\0");
        mac.finalize().into_bytes().iter().take(8).map(|b| format!("{b:02x}")).collect()
    }

    /// The id of a value as it stands in the content: quotes, escapes, percent signs and base64 are taken off first.
    pub(super) fn of(&self, value: &[u8]) -> Id {
        self.of_canonical(&canonical(value))
    }

    /// The id of a value that is already canonical.
    pub(super) fn of_canonical(&self, value: &[u8]) -> Id {
        let mut mac = self.mac.clone();
        mac.update(b"v1\0");
        mac.update(value);
        let tag = mac.finalize().into_bytes();
        let mut head = [0_u8; 8];
        head.copy_from_slice(&tag[..8]);
        Id(u64::from_be_bytes(head) >> 4)
    }
}

impl Id {
    /// The twelve characters.
    pub(super) fn text(self) -> String {
        base32(self.0, ID_LEN)
    }

    pub(super) fn number(self) -> u64 {
        self.0
    }
}

/// The low bits of a number, five in each character.
pub(super) fn base32(number: u64, len: usize) -> String {
    (0..len).rev().map(|i| char::from(BASE32[(number >> (5 * i)) as usize & 31])).collect()
}

/// The whole replacement text.
pub(super) fn replacement(kind: &str, id: Id) -> String {
    format!("REDACTED-{kind}-{}", id.text())
}

/// The kind inside a text that is exactly one replacement.
pub(super) fn kind_of_own(value: &[u8]) -> Option<&[u8]> {
    let rest = value.strip_prefix(PREFIX)?;
    let (kind, id) = rest.split_at_checked(rest.len().checked_sub(ID_LEN + 1)?)?;
    let plain = |b: &u8| b.is_ascii_lowercase() || *b == b'-';
    (kind.len() >= 2 && kind.iter().all(plain) && id[0] == b'-' && id[1..].iter().all(|b| BASE32.contains(b)))
        .then_some(kind)
}

/// Length and kind of the replacement that a text begins with, whatever stands behind it.
pub(super) fn own_head(value: &[u8]) -> Option<(usize, &[u8])> {
    let rest = value.strip_prefix(PREFIX)?;
    let dashes = rest.iter().take(MAX_KIND + 1).enumerate().filter(|(_, b)| **b == b'-').map(|(i, _)| i);
    dashes.map(|i| PREFIX.len() + i + 1 + ID_LEN).find_map(|len| Some((len, kind_of_own(value.get(..len)?)?)))
}

/// The text with one letter in the place of each replacement whose kind is `known`; none when there is no replacement.
/// What a name or a value says must not depend on the letters of a replacement in it.
pub(super) fn without_own(value: &[u8], known: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let mut at = memchr::memmem::find(value, PREFIX)?;
    let mut out = Vec::with_capacity(value.len());
    let (mut done, mut any) = (0, false);
    loop {
        let step = match own_head(&value[at..]).filter(|(_, kind)| known(kind)) {
            Some((len, _)) => {
                out.extend_from_slice(&value[done..at]);
                out.push(STAND_IN);
                (done, any) = (at + len, true);
                len
            }
            None => PREFIX.len(),
        };
        match memchr::memmem::find(&value[at + step..], PREFIX) {
            Some(i) => at += step + i,
            None => break,
        }
    }
    out.extend_from_slice(&value[done..]);
    any.then_some(out)
}

/// Takes off everything that is encoding and not value, so that `p%40ss`, `p@ss` and its base64 are one secret.
pub(super) fn canonical(value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut value = Zeroizing::new(trim(value).to_vec());
    for _ in 0..MAX_LAYERS {
        if let Some(body) = pem_body(&value) {
            return Zeroizing::new(body);
        }
        let next = Zeroizing::new(
            if value.contains(&b'\\')
                && let Some(plain) = unescape(&value)
            {
                plain
            } else if value.contains(&b'%')
                && let Some(plain) = percent(&value)
            {
                plain
            } else if let Some(plain) = base64_text(&value) {
                plain
            } else {
                break;
            },
        );
        if next == value {
            break;
        }
        value = Zeroizing::new(trim(&next).to_vec());
    }
    value
}

fn trim(mut value: &[u8]) -> &[u8] {
    loop {
        let inner = value.trim_ascii();
        let quoted = inner.len() >= 2 && matches!(inner[0], b'"' | b'\'') && inner[0] == inner[inner.len() - 1];
        let inner = if quoted { &inner[1..inner.len() - 1] } else { inner };
        if inner.len() == value.len() {
            return inner;
        }
        value = inner;
    }
}

/// The type and the base64 characters of a PEM block, whatever stands between its lines.
pub(super) fn pem_body(value: &[u8]) -> Option<Vec<u8>> {
    let start = memchr::memmem::find(value, b"-----BEGIN ")?;
    let head = &value[start + 11..];
    let dashes = memchr::memmem::find(head, b"-----")?;
    let rest = &head[dashes + 5..];
    let body = &rest[..memchr::memmem::find(rest, b"-----END").unwrap_or(rest.len())];
    let mut out = head[..dashes].to_vec();
    let mut i = 0;
    while i < body.len() {
        match body[i] {
            // Escaped line ends: any number of backslashes and one letter.
            b'\\' => {
                while i < body.len() && body[i] == b'\\' {
                    i += 1;
                }
            }
            b if b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=') => out.push(b),
            _ => {}
        }
        i += 1;
    }
    Some(out)
}

/// Decodes JSON escapes once.
pub(super) fn unescape(value: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len());
    let mut i = 0;
    while i < value.len() {
        if value[i] != b'\\' {
            out.push(value[i]);
            i += 1;
            continue;
        }
        let plain = match *value.get(i + 1)? {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            b @ (b'"' | b'\'' | b'\\' | b'/') => b,
            b'u' => {
                let hex = std::str::from_utf8(value.get(i + 2..i + 6)?).ok()?;
                let c = char::from_u32(u32::from_str_radix(hex, 16).ok()?)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                i += 6;
                continue;
            }
            _ => return None,
        };
        out.push(plain);
        i += 2;
    }
    Some(out)
}

fn hex(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// Decodes `%HH`; none when a percent sign is not followed by two hex digits.
fn percent(value: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len());
    let mut i = 0;
    while i < value.len() {
        if value[i] == b'%' {
            out.push(hex(*value.get(i + 1)?)? << 4 | hex(*value.get(i + 2)?)?);
            i += 3;
        } else {
            out.push(value[i]);
            i += 1;
        }
    }
    Some(out)
}

/// Decodes base64 or base64url, padded or not.
pub(super) fn base64_bytes(value: &[u8]) -> Option<Vec<u8>> {
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    const ANY: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, ANY);
    const URL: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, ANY);
    if value.iter().any(|b| matches!(b, b'-' | b'_')) { URL.decode(value).ok() } else { STANDARD.decode(value).ok() }
}

/// Whether bytes look like text that a person or a program wrote.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let plain = |b: &u8| matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7e);
    bytes.iter().all(plain)
        || (std::str::from_utf8(bytes).is_ok() && bytes.iter().filter(|b| plain(b)).count() * 4 >= bytes.len() * 3)
}

/// The text inside base64, when it is text.
pub(super) fn base64_text(value: &[u8]) -> Option<Vec<u8>> {
    if value.len() < 8 || value.len() % 4 == 1 {
        return None;
    }
    base64_bytes(value).filter(|plain| plain.len() >= 4 && is_text(plain))
}

/// How many bytes stand in front of the first quote, backslash or control character. Eight are looked at together.
#[inline]
pub(super) fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*eight);
        let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & TOPS;
        // With this bit turned, a quote stands next to the control characters, which stay together.
        let found = below(word ^ (ONES * 2), 0x21) | below(word ^ (ONES * u64::from(b'\\')), 1);
        if found != 0 {
            // A borrow reaches only bytes behind the first hit.
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|b| **b >= 0x20 && !matches!(b, b'"' | b'\\')).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Ids {
        Ids::new(&CorrelationKey::from_bytes([7; 32])).unwrap()
    }

    #[test]
    fn one_secret_in_many_encodings_has_one_id() {
        let ids = ids();
        let raw = ids.of(b"p@ss-W0rd!x");
        assert_eq!(raw, ids.of(b"p%40ss-W0rd!x"));
        assert_eq!(raw, ids.of(b"\"p@ss-W0rd!x\""));
        assert_eq!(raw, ids.of(b"cEBzcy1XMHJkIXg="));
        assert_eq!(raw, ids.of(b"p\\u0040ss-W0rd!x"));
        assert_ne!(raw, ids.of(b"p@ss-W0rd!y"));
    }

    #[test]
    fn another_key_gives_other_ids() {
        let other = Ids::new(&CorrelationKey::from_bytes([8; 32])).unwrap();
        assert_ne!(ids().of(b"value"), other.of(b"value"));
    }

    #[test]
    fn a_replacement_is_inert_and_recognised() {
        let text = replacement("password", ids().of(b"x"));
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{text}");
        assert_eq!(kind_of_own(text.as_bytes()), Some(b"password".as_slice()));
        assert_eq!(kind_of_own(b"REDACTED-password-hunter2"), None);
        assert_eq!(kind_of_own(b"REDACTED--abcdefghijkl"), None);
    }

    #[test]
    fn pem_of_any_shape_has_one_body() {
        let lines = b"-----BEGIN PRIVATE KEY-----\nMIIE\nabcd==\n-----END PRIVATE KEY-----\n";
        let escaped = b"-----BEGIN PRIVATE KEY-----\\nMIIE\\nabcd==\\n-----END PRIVATE KEY-----";
        let twice = b"-----BEGIN PRIVATE KEY-----\\\\nMIIE\\\\nabcd==\\\\n-----END PRIVATE KEY-----";
        assert_eq!(pem_body(lines), pem_body(escaped));
        assert_eq!(pem_body(lines), pem_body(twice));
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
