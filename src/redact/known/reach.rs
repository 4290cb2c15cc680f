//! Where a known value is searched: the more it looks like an ordinary word, the more its surroundings must say.

use crate::redact::rules::engine;
use crate::redact::scan::value::is_uuid;

/// Where a value is searched, from the widest to the narrowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Everywhere and in all encodings: finding it is no accident.
    Anywhere,
    /// Where it stands as a word of its own.
    Word,
    /// Where it stands as a word of its own, in a line that speaks of credentials.
    Spoken,
}

/// Lengths of values that are searched everywhere.
const RANDOM: std::ops::RangeInclusive<usize> = 8..=512;
/// Lengths of values that are searched as words.
const WORD: std::ops::RangeInclusive<usize> = 6..=64;
/// Names of algorithms and the like, which stand for keys in settings and everywhere in logs.
const PUBLIC: [&[u8]; 16] = [
    b"ed25519",
    b"secp256k1",
    b"secp256r1",
    b"prime256v1",
    b"keccak256",
    b"bls12381",
    b"bn254",
    b"aes256gcm",
    b"hmacsha256",
    b"argon2id",
    b"pbkdf2",
    b"blake2b",
    b"base64url",
    b"curve25519",
    b"rsa2048",
    b"rsa4096",
];
/// What a line says that speaks of credentials, in lower case.
const SPEAKS: [&[u8]; 10] =
    [b"passw", b"passphrase", b"pwd", b"secret", b"credential", b"login", b"logged in", b"auth", b"token", b"api key"];
/// Bytes of a line to each side of a word that are looked at.
const NEAR: usize = 512;

/// Where a value that a rule is sure of is searched; none when finding it elsewhere would say nothing.
pub(super) fn of(rule: u16, value: &[u8]) -> Option<Reach> {
    let plain = value.iter().all(|b| (0x21..=0x7e).contains(b));
    let has = |needle: &[u8]| memchr::memmem::find(value, needle).is_some();
    if !plain || has(b"://") || value.starts_with(b"/") || has(b"REDACTED-") {
        return None;
    }
    if RANDOM.contains(&value.len()) && (is_random(value) || is_random_uuid(value)) {
        return Some(Reach::Anywhere);
    }
    let weak = if WORD.contains(&value.len()) { as_word(value)? } else { return None };
    match rule {
        engine::PASSWORD | engine::URL => Some(weak),
        // These names are also given to things that have names.
        engine::TOKEN | engine::API_KEY | engine::KUBERNETES_SECRET => Some(Reach::Spoken),
        _ => None,
    }
}

/// Whether a value is so unlike names, hosts, paths and versions that finding it elsewhere is no accident.
fn is_random(value: &[u8]) -> bool {
    let any = |f: fn(&u8) -> bool| value.iter().any(f);
    let (lower, upper, digit) = (any(u8::is_ascii_lowercase), any(u8::is_ascii_uppercase), any(u8::is_ascii_digit));
    let odd = value.iter().any(is_odd);
    let dotted = value.contains(&b'.');
    let kinds = changes(value, |b| u8::from(b.is_ascii_digit()));
    let cases = changes(value, |b| u8::from(b.is_ascii_uppercase()));
    if is_uuid(value) {
        return false;
    }
    if dotted && value.iter().filter(|b| **b == b'.').count() != 2 && !odd {
        // Hosts and versions; a token of three parts is none.
        return false;
    }
    (lower && upper && digit && kinds >= 2 && !(dotted && value.len() < 40))
        || (odd && digit && (lower || upper) && !dotted)
        || (digit && (lower || upper) && !dotted && value.len() >= 12 && kinds >= 4)
        || (lower && upper && !dotted && value.len() >= 20 && cases >= 6)
}

/// How a value that people may have chosen is searched.
fn as_word(value: &[u8]) -> Option<Reach> {
    if PUBLIC.iter().any(|name| value.eq_ignore_ascii_case(name)) {
        return None;
    }
    let (letter, digit) = (value.iter().any(u8::is_ascii_alphabetic), value.iter().any(u8::is_ascii_digit));
    let odd = value.iter().any(is_odd);
    let single = value.iter().all(u8::is_ascii_alphanumeric);
    let parts: Vec<&[u8]> = value.split(|b| matches!(b, b'-' | b'_' | b'.')).filter(|p| !p.is_empty()).collect();
    let words = parts.iter().filter(|p| p.len() >= 3 && p.iter().all(u8::is_ascii_alphabetic)).count();
    let cases = changes(value, |b| u8::from(b.is_ascii_uppercase()));
    if !letter {
        // A number is a port, a size or a time.
        return None;
    }
    if odd || (single && digit && value.len() >= 7) || (single && value.len() >= 16) {
        Some(Reach::Word)
    } else if (parts.len() >= 2 && digit && value.len() >= 8)
        || (words >= 2 && value.len() >= 10)
        || (single && value.len() >= 10 && cases >= 3)
    {
        Some(Reach::Spoken)
    } else {
        None
    }
}

/// Punctuation that names and paths do not have.
fn is_odd(b: &u8) -> bool {
    matches!(b, b'!' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'~' | b'?' | b'@' | b'+')
}

/// How often neighbouring letters and digits differ in kind.
fn changes(value: &[u8], kind: fn(u8) -> u8) -> usize {
    let word = |b: &u8| b.is_ascii_alphanumeric();
    value.windows(2).filter(|w| word(&w[0]) && word(&w[1]) && kind(w[0]) != kind(w[1])).count()
}

/// A UUID that somebody has drawn: not the nil one, nor one of few digits, as examples have.
fn is_random_uuid(value: &[u8]) -> bool {
    let mut digits: Vec<u8> = value.to_ascii_lowercase();
    digits.sort_unstable();
    digits.dedup();
    is_uuid(value) && digits.len() > 8
}

/// Whether a value stands at a place as a word of its own. In a name of a file the signs of paths end a word, too.
pub(super) fn is_word(bytes: &[u8], start: usize, end: usize, name: bool) -> bool {
    let open = match bytes[..start].last() {
        None => true,
        Some(b'/' | b'.') => name,
        Some(b) if is_edge(*b) || matches!(b, b'=' | b'(' | b'[' | b'{' | b':') => true,
        // The end of an escape: `\n`, or a colour.
        Some(b'n' | b'r' | b't') => start >= 2 && bytes[start - 2] == b'\\',
        Some(b'm') => {
            let before = &bytes[start.saturating_sub(12)..start - 1];
            let digits = before.iter().rev().take_while(|b| b.is_ascii_digit() || **b == b';').count();
            before[..before.len() - digits].ends_with(b"\x1b[")
        }
        Some(_) => false,
    };
    let closed = match bytes.get(end) {
        None => true,
        Some(b'/') => name,
        Some(b'.') if name => true,
        Some(b) if is_edge(*b) || matches!(b, b')' | b']' | b'}' | b'&' | b'@' | b'\\' | 0x1b) => true,
        // A full stop of a sentence; in the middle of a word it joins.
        Some(b'.' | b':' | b'!' | b'?') => bytes.get(end + 1).is_none_or(|b| is_edge(*b) || *b == b'\\'),
        Some(_) => false,
    };
    open && closed
}

fn is_edge(b: u8) -> bool {
    b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'`' | b',' | b';' | b'<' | b'>' | b'|' | 0)
}

/// Whether the line around a word speaks of credentials.
pub(super) fn is_spoken(bytes: &[u8], start: usize, end: usize) -> bool {
    let floor = start.saturating_sub(NEAR);
    let roof = bytes.len().min(end + NEAR);
    let from = memchr::memrchr(b'\n', &bytes[floor..start]).map_or(floor, |i| floor + i + 1);
    let to = memchr::memchr(b'\n', &bytes[end..roof]).map_or(roof, |i| end + i);
    // The word itself says nothing about its line.
    [&bytes[from..start], &bytes[end..to]].iter().any(|part| {
        let line = part.to_ascii_lowercase();
        SPEAKS.iter().any(|word| memchr::memmem::find(&line, word).is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_random_is_searched_everywhere() {
        for value in [
            "Hunter2x",
            "S3cretValue",
            "P@ssw0rd",
            "9f86d081884c7d659a2feaa0c55ad015",
            "k3xm2p9q4rt8",
            "AbCdEfGhIjKlMnOpQrSt",
            "correct#horse1",
            "4c2f8e1d9b7a6c5f3e2d1c0b9a8f7e6d5c4b3a2f1e0d9c8b7a6f5e4d3c2b1a09",
            "3f0b1c9e-5a1d-4c55-9c2d-0d0a5c3a1f00",
        ] {
            assert_eq!(of(engine::SECRET, value.as_bytes()), Some(Reach::Anywhere), "{value}");
        }
    }

    #[test]
    fn words_of_people_need_surroundings() {
        for (value, reach) in [
            ("hunter2", Some(Reach::Word)),
            ("admin123", Some(Reach::Word)),
            ("correcthorsebattery", Some(Reach::Word)),
            ("pa$$wd", Some(Reach::Word)),
            ("correct-horse", Some(Reach::Spoken)),
            ("CorrectHorse", Some(Reach::Spoken)),
            ("v1.25.3-gke100", Some(Reach::Spoken)),
            ("us-east-1", Some(Reach::Spoken)),
            // Names, words and numbers, which stand everywhere.
            ("changeme", None),
            ("password", None),
            ("postgres", None),
            ("minioadmin", None),
            ("party1", None),
            ("kms-core", None),
            ("node-1", None),
            ("10.0.12.114", None),
            ("12345678", None),
            ("secp256k1", None),
            ("https://h.example.com/x1Y2z3", None),
            ("/var/run/secrets/T0ken1", None),
            ("two words 1A2b3C", None),
            ("00000000-0000-0000-0000-000000000000", None),
            ("Ab1", None),
        ] {
            assert_eq!(of(engine::PASSWORD, value.as_bytes()), reach, "{value}");
        }
        // A Secret also holds names of users, regions and hosts.
        assert_eq!(of(engine::KUBERNETES_SECRET, b"hunter2"), Some(Reach::Spoken));
        assert_eq!(of(engine::CREDENTIAL, b"hunter2"), None);
    }

    #[test]
    fn a_word_has_edges() {
        for (text, is) in [
            ("x=hunter2", true),
            ("\"hunter2\"", true),
            ("say hunter2.", true),
            ("a:hunter2@host", true),
            ("line\\nhunter2\\n", true),
            ("\x1b[32mhunter2\x1b[0m", true),
            ("hunter2.example.com", false),
            ("host/hunter2", false),
            ("hunter2-0", false),
            ("xhunter2", false),
            ("hunter2:5432", false),
        ] {
            let start = text.find("hunter2").unwrap();
            assert_eq!(is_word(text.as_bytes(), start, start + 7, false), is, "{text}");
        }
        assert!(is_word(b"logs/hunter2.log", 5, 12, true));
    }
}
