//! Finds where a value ends, and tells values from references, placeholders and prose.

use super::words::Class;
use crate::redact::Format;
use crate::redact::rules::{RuleSet, engine};
use crate::redact::span::Quotes;
use crate::redact::token;

/// A quote with the backslashes in front of it, if there is one at `at`; and where it ends.
pub(super) fn quote_at(bytes: &[u8], at: usize, end: usize) -> Option<(Quotes, usize)> {
    let rest = &bytes[at.min(end)..end];
    let level = rest.iter().take_while(|b| **b == b'\\').count();
    let quote = *rest.get(level)?;
    (matches!(quote, b'"' | b'\'' | b'`') && level <= 15)
        .then(|| (Quotes { level: u8::try_from(level).unwrap_or(15), quote }, at + level + 1))
}

/// The end of the text behind an opening quote: the offset of the closing quote's first byte. None when it is not
/// closed before `end`. A quote of a lower level closes the string around, and so this one too.
pub(super) fn close_of(bytes: &[u8], from: usize, end: usize, open: Quotes) -> Option<usize> {
    let level = usize::from(open.level);
    let mut at = from;
    while let Some(i) = memchr::memchr3(b'"', open.quote, b'\n', &bytes[at..end]) {
        let found = at + i;
        let slashes = bytes[from..found].iter().rev().take_while(|b| **b == b'\\').count();
        let b = bytes[found];
        if b == open.quote {
            let doubled = level == 0 && b == b'\'' && bytes.get(found + 1) == Some(&b'\'') && found + 1 < end;
            if doubled {
                at = found + 2;
                continue;
            }
            // Nested levels have 0, 1, 3, 7 backslashes; an escaped backslash in the value adds pairs of the level.
            let modulus = 2 * (level + 1);
            if slashes % modulus == level || slashes < level {
                return Some(found - level.min(slashes));
            }
        } else if b == b'"' && level > 0 && slashes < level {
            return Some(found - slashes);
        }
        at = found + 1;
    }
    None
}

/// The end of a bare value in running text.
pub(super) fn bare_end(bytes: &[u8], from: usize, end: usize) -> usize {
    without_delimiters(bytes, from, bare_stop(bytes, from, end))
}

/// Whether a value begins with a reference, whose brackets do not end it.
pub(super) fn begins_reference(value: &[u8]) -> bool {
    reference_len(value) > 0
}

/// What stops a bare value.
pub(super) fn bare_stop(bytes: &[u8], from: usize, end: usize) -> usize {
    let mut at = from + reference_len(&bytes[from.min(end)..end]);
    while at < end {
        match bytes[at] {
            b' ' | b'\t' | b'\r' | b'\n' | 0 | 0x1b | b'"' | b'\'' | b'`' | b'<' | b'|' => break,
            // A backslash in front of a quote or a letter is an escape of the string around.
            b'\\'
                if bytes[at..end]
                    .iter()
                    .find(|b| **b != b'\\')
                    .is_none_or(|b| matches!(b, b'"' | b'\'' | b'n' | b'r' | b't' | b'u')) =>
            {
                break;
            }
            b',' | b';' | b'&' | b')' | b']' | b'}' if separates(bytes, at, end) => break,
            _ => at += 1,
        }
    }
    at
}

/// The end of a bare value without the delimiters in front of what stopped it.
pub(super) fn without_delimiters(bytes: &[u8], from: usize, stop: usize) -> usize {
    let mut at = stop;
    while at > from && matches!(bytes[at - 1], b',' | b';') {
        at -= 1;
    }
    at
}

/// Bytes of `${X}`, `$(X)` or `{{ x }}` at the beginning, whose brackets do not end a value.
fn reference_len(bytes: &[u8]) -> usize {
    let line = &bytes[..bytes.len().min(256)];
    [(&b"${"[..], &b"}"[..], false), (b"$(", b")", false), (b"{{", b"}}", true)]
        .iter()
        .find(|r| line.starts_with(r.0))
        .map_or(0, |(_, close, spaced)| {
            let len = memchr::memmem::find(line, close).map_or(0, |at| at + close.len());
            let plain =
                |b: &u8| matches!(b, b' ' if *spaced) || (b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b','));
            if line[..len].iter().all(plain) { len } else { 0 }
        })
}

/// Whether a delimiter is one: behind it nothing, white space, another delimiter, or `name=` or `name:` follows.
fn separates(bytes: &[u8], at: usize, end: usize) -> bool {
    let rest = &bytes[at + 1..end];
    let Some(next) = rest.first() else { return true };
    if next.is_ascii_whitespace()
        || matches!(next, b'"' | b'\'' | b'`' | b',' | b';' | b')' | b']' | b'}' | b'\\' | b'<')
    {
        return true;
    }
    if bytes[at] == b'&' && rest.starts_with(b"amp;") {
        return true;
    }
    if bytes[at] == b'}' && *next == b':' && closes_fields(&bytes[..at], &rest[1..]) {
        return true;
    }
    let name = rest
        .iter()
        .take(64)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' '))
        .count();
    // The dashes of a PEM block are no name.
    name > 0 && memchr::memmem::find(&rest[..name], b"--").is_none() && matches!(rest.get(name), Some(b'=' | b':'))
}

/// Whether a brace with a colon behind it closes the fields of a span, as `tracing` of Rust writes them:
/// `request{id=5}: target: message`, `outer{id=5}:inner{round=1}: message`.
fn closes_fields(before: &[u8], behind: &[u8]) -> bool {
    let near = &before[before.len().saturating_sub(512)..];
    let word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':');
    let opened =
        memchr::memrchr3(b'{', b'}', b'\n', near).is_some_and(|i| near[i] == b'{' && i > 0 && word(&near[i - 1]));
    let name = behind.iter().take(64).take_while(|b| word(b)).count();
    opened && (behind.first().is_none_or(u8::is_ascii_whitespace) || (name > 0 && behind.get(name) == Some(&b'{')))
}

/// The end of a value that goes on to the end of the line, unless further `name=value` pairs follow on the line.
pub(super) fn line_value_end(bytes: &[u8], from: usize, end: usize) -> usize {
    let mut stop = end;
    let mut at = from;
    while let Some(i) = memchr::memchr(b' ', &bytes[at..end]) {
        let space = at + i;
        let rest = &bytes[space + 1..end];
        let name =
            rest.iter().take(64).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')).count();
        if name > 0 && rest.get(name) == Some(&b'=') && !rest[..name].ends_with(b".") {
            stop = space;
            break;
        }
        at = space + 1;
    }
    while stop > from && matches!(bytes[stop - 1], b' ' | b'\t' | b'\r') {
        stop -= 1;
    }
    stop
}

/// `${X}`, `$(X)`, `{{ x }}`, `%X%`, `$X`, `vault:...`: not a value but where to find it.
pub(in crate::redact) fn is_reference(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let wrapped = |open: &[u8], close: &[u8]| {
        value.len() > open.len() + close.len()
            && value.starts_with(open)
            && value.ends_with(close)
            && memchr::memmem::find(&value[open.len()..], close) == Some(value.len() - open.len() - close.len())
    };
    let name = |v: &[u8]| v.len() > 1 && v.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_');
    wrapped(b"${", b"}")
        || wrapped(b"$(", b")")
        || wrapped(b"{{", b"}}")
        || (wrapped(b"%", b"%") && name(&value[1..value.len() - 1]))
        || value.strip_prefix(b"$").is_some_and(|v| name(v) || (!v.is_empty() && v.iter().all(u8::is_ascii_digit)))
        || value.strip_prefix(b"JTI=").is_some_and(is_uuid)
        || is_call(value)
        || [
            &b"<set to the key '"[..],
            b"vault:",
            b"ref+",
            b"file:",
            b"env:",
            b"arn:",
            b"awssm://",
            b"secret://",
            b"op://",
        ]
        .iter()
        .any(|p| value.starts_with(p))
}

/// `self.session.get_token(client_id`: a line of a program, as stack traces show them.
fn is_call(value: &[u8]) -> bool {
    let Some(open) = memchr::memchr(b'(', value) else { return false };
    let word = |w: &[u8]| !w.is_empty() && w.iter().all(|b| b.is_ascii_lowercase() || *b == b'_');
    let argument = &value[open + 1..];
    let argument = argument.strip_suffix(b")").unwrap_or(argument);
    let parts = value[..open].split(|b| *b == b'.');
    value[..open].contains(&b'.') && parts.clone().all(word) && (argument.is_empty() || word(argument))
}

/// `24 bytes`: what `kubectl describe` shows of a value.
fn is_size(value: &[u8]) -> bool {
    value.strip_suffix(b" bytes").is_some_and(|n| !n.is_empty() && n.iter().all(u8::is_ascii_digit))
}

/// `***`, `xxxxx`, `<redacted>` and the like.
pub(in crate::redact) fn is_masked(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let same = |b: u8| value.len() >= 3 && value.iter().all(|v| *v == b);
    same(b'*')
        || same(b'x')
        || same(b'X')
        || same(b'.')
        || same(b'#')
        || [
            &b"REDACTED"[..],
            b"[REDACTED]",
            b"<redacted>",
            b"[redacted]",
            b"--- REDACTED ---",
            b"DATA+OMITTED",
            b"(sensitive value)",
            b"<sensitive>",
            b"<set>",
            b"<unset>",
            b"<hidden>",
            b"[MASKED]",
            b"PROTECTED",
            b"[PROTECTED]",
        ]
        .contains(&value)
        || (value.len() > 2
            && value[0] == b'<'
            && value[value.len() - 1] == b'>'
            && value[1..value.len() - 1]
                .iter()
                .all(|b| b.is_ascii_alphabetic() || matches!(b, b'-' | b'_' | b' ' | b'.')))
}

fn is_empty_word(value: &[u8]) -> bool {
    const WORDS: [&str; 22] = [
        "null",
        "none",
        "nil",
        "true",
        "false",
        "undefined",
        "yes",
        "no",
        "on",
        "off",
        "enabled",
        "disabled",
        "<nil>",
        "~",
        "{}",
        "[]",
        "unknown",
        "required",
        "optional",
        "default",
        "n/a",
        "empty",
    ];
    WORDS.iter().any(|w| value.eq_ignore_ascii_case(w.as_bytes()))
}

/// Nothing that could be a secret under any key.
pub(in crate::redact) fn is_placeholder(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    value.is_empty() || is_empty_word(value) || is_masked(value) || is_reference(value) || is_size(value)
}

/// An absolute path, which names a file that holds the secret.
fn is_path(value: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b'@');
    let rooted =
        value.starts_with(b"/") || value.starts_with(b"./") || value.starts_with(b"~/") || value.starts_with(b"../");
    let loud = value.iter().filter(|b| b.is_ascii_uppercase() || b.is_ascii_digit()).count();
    rooted && value.iter().all(plain) && value[1..].contains(&b'/') && loud * 3 < value.len()
}

/// `/`, `/root`, `/app/kms`: what a shell keeps in `PWD`.
fn is_directory(value: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-' | b'/');
    value.starts_with(b"/") && value.iter().all(plain)
}

/// Whether a text is a UUID as it is usually written.
pub(in crate::redact) fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value
            .iter()
            .enumerate()
            .all(|(i, b)| if matches!(i, 8 | 13 | 18 | 23) { *b == b'-' } else { b.is_ascii_hexdigit() })
}

/// Whether a literal is a number, or one of the words that writers of JSON have.
pub(in crate::redact) fn is_json_literal(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 9] =
        [b"true", b"false", b"null", b"NaN", b"Infinity", b"None", b"True", b"False", b"undefined"];
    let digits = |t: &[u8]| t.iter().take_while(|b| b.is_ascii_digit()).count();
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    if WORDS.contains(&unsigned) {
        return true;
    }
    let whole = digits(unsigned);
    let mut rest = &unsigned[whole..];
    if let [b'.', fraction @ ..] = rest {
        rest = &fraction[digits(fraction)..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        rest = &exponent[digits(exponent)..];
    }
    whole > 0 && rest.is_empty()
}

/// Whether a value without quotes is one of its format, so that its replacement needs quotes.
pub(super) fn is_literal(format: Format, text: &[u8]) -> bool {
    let number = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    is_json_literal(text)
        || (format == Format::Toml
            && (number.first().is_some_and(u8::is_ascii_digit) || matches!(number, b"inf" | b"nan")))
}

/// Whether a text looks like random characters: long enough, and letters mixed with digits or cases.
pub(in crate::redact) fn looks_random(value: &[u8], min: usize) -> bool {
    let any = |f: fn(&u8) -> bool| value.iter().any(f);
    value.len() >= min
        && !value.contains(&b' ')
        && any(u8::is_ascii_alphabetic)
        && (any(u8::is_ascii_digit)
            || (value.len() >= 20 && any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase)))
        && !is_uuid(value)
}

/// 32 bytes of hex, with or without `0x`.
pub(in crate::redact) fn is_hex32(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"0x").or_else(|| value.strip_prefix(b"0X")).unwrap_or(value);
    digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit)
}

fn is_name(value: &[u8]) -> bool {
    let label = |l: &[u8]| {
        !l.is_empty() && l.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
    };
    let mut parts = value.split(|b| *b == b'/');
    matches!((parts.next(), parts.next(), parts.next()), (Some(a), Some(b), None) if label(a) && label(b))
}

/// `password`, `postgres-password`: the name of a key of a Secret, as in `secretKey: password`.
fn is_key_name(value: &[u8]) -> bool {
    let last = value.rsplit(|b| matches!(b, b'-' | b'_' | b'.')).next().unwrap_or_default();
    matches!(last, b"password" | b"token")
        && value.iter().all(|b| b.is_ascii_lowercase() || matches!(b, b'-' | b'_' | b'.'))
}

/// `default-token-x5gwd`: the name that Kubernetes gave to the Secret of a service account.
fn is_token_secret(value: &[u8]) -> bool {
    const SUFFIX: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let Some((head, suffix)) = value.len().checked_sub(5).map(|at| value.split_at(at)) else { return false };
    (head.ends_with(b"-token-") || head.ends_with(b"-dockercfg-"))
        && suffix.iter().all(|b| SUFFIX.contains(b))
        && head.iter().all(|b| b.is_ascii_lowercase() || *b == b'-')
}

/// Whether a value under a key of this class is to be masked. Gives the rule.
pub(in crate::redact) fn judge(set: &RuleSet, class: Class, value: &[u8]) -> Option<u16> {
    if class == Class::Benign {
        return None;
    }
    let value = value.trim_ascii();
    if is_placeholder(value) || set.is_redacted(value) {
        return None;
    }
    // The letters and digits of a replacement in a value are not what it was.
    let plain = set.without_own(value);
    let value = plain.as_deref().unwrap_or(value);
    if value.starts_with(b"UkVEQUNURUQt") && token::base64_bytes(value).is_some_and(|v| set.is_own(v.trim_ascii())) {
        return None;
    }
    if value.starts_with(b"-----BEGIN ") || value.starts_with(b"ssh-") || value.starts_with(b"ecdsa-sha2-") {
        return None;
    }
    let digits = value.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'));
    // Sessions of a protocol have numbers and long hexadecimal ids; those of the web have neither.
    if matches!(class, Class::Secret(engine::SESSION) | Class::Weak(engine::SESSION))
        && (digits || (value.len() != 32 && value.iter().all(u8::is_ascii_hexdigit)))
    {
        return None;
    }
    match class {
        Class::Benign => None,
        Class::Hex(rule) => is_hex32(value).then_some(rule),
        Class::Weak(rule) => {
            let url = memchr::memmem::find(value, b"://").is_some();
            let timed = value.ends_with(b"Z") && value.contains(&b':');
            // `session: id=1`: the value is a setting itself, and judged as one.
            let setting = memchr::memchr(b'=', value).is_some_and(|i| value[i..].iter().any(u8::is_ascii_alphanumeric));
            let min = if rule == engine::PASSWORD { 6 } else { 8 };
            (!digits
                && !setting
                && !url
                && !timed
                && !is_path(value)
                && !is_name(value)
                && !value.starts_with(b"0xc0")
                && looks_random(value, min))
            .then_some(rule)
        }
        Class::Directory => (!is_directory(value)).then_some(engine::PASSWORD),
        Class::Secret(engine::PASSWORD) => Some(engine::PASSWORD),
        Class::Secret(rule) => {
            let public = (digits && value.len() <= 19)
                || is_path(value)
                || value.starts_with(b"{")
                || value.starts_with(b"map[");
            let name = rule == engine::SECRET && (is_name(value) || is_key_name(value) || is_token_secret(value));
            (!public && !name).then_some(rule)
        }
    }
}

/// Prose behind a colon: a plain word that is followed by another one.
pub(super) fn is_prose(set: &RuleSet, bytes: &[u8], from: usize, to: usize, line_end: usize) -> bool {
    let plain = set.without_own(&bytes[from..to]);
    let word = plain.as_deref().unwrap_or(&bytes[from..to]);
    let own = plain.is_some();
    let plain = word.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b'-' | b'\'' | b'.' | b','));
    let next = bytes[to..line_end].iter().find(|b| **b != b',' && **b != b';');
    // What stands for a replacement is a small letter, whatever was there.
    let small = |b: &u8| b.is_ascii_lowercase() && !(own && *b == token::STAND_IN);
    let capitals = word.iter().skip(1).any(u8::is_ascii_uppercase) && word.iter().any(small);
    plain
        && !capitals
        && next == Some(&b' ')
        && bytes[to..line_end].iter().find(|b| !matches!(b, b' ' | b',' | b';')).is_some_and(u8::is_ascii_alphabetic)
}
