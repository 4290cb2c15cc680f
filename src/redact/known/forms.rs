//! The encodings in which a known value is searched.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// How a match is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it stands.
    Plain,
    /// With the whole run of base64 around it, which would not decode any more.
    Base64,
    /// With the whole run of hexadecimal digits around it.
    Hex,
    /// By a replacement in UTF-16.
    Utf16 {
        /// Whether the high byte of each unit comes first.
        big: bool,
    },
}

/// All forms of a value, each once; none is shorter than eight bytes.
pub(super) fn forms(value: &[u8]) -> Vec<(Form, Zeroizing<Vec<u8>>)> {
    let mut out: Vec<(Form, Zeroizing<Vec<u8>>)> = Vec::new();
    let mut add = |form: Form, text: Vec<u8>| {
        let text = Zeroizing::new(text);
        if text.len() >= 8 && !out.iter().any(|(_, t)| *t == text) {
            out.push((form, text));
        }
    };
    add(Form::Plain, value.to_vec());
    add(Form::Plain, json(value, false));
    add(Form::Plain, json(value, true));
    add(Form::Plain, percent(value, b"0123456789ABCDEF"));
    add(Form::Plain, percent(value, b"0123456789abcdef"));
    for shift in 0..3 {
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = Zeroizing::new(engine.encode([&[0; 2][..shift], value].concat()));
            // Characters that also hold bits of what stands before and behind are left out.
            let from = (shift * 8).div_ceil(6);
            let to = (shift + value.len()) * 8 / 6;
            add(Form::Base64, text.as_bytes()[from..to].to_vec());
        }
    }
    add(Form::Hex, value.iter().flat_map(|b| format!("{b:02x}").into_bytes()).collect());
    add(Form::Hex, value.iter().flat_map(|b| format!("{b:02X}").into_bytes()).collect());
    add(Form::Utf16 { big: false }, value.iter().flat_map(|b| [*b, 0]).collect());
    add(Form::Utf16 { big: true }, value.iter().flat_map(|b| [0, *b]).collect());
    add(Form::Plain, portable(value));
    out
}

/// The forms in which a value is searched that may be a word: as it stands, and where it is all of an encoded run.
pub(super) fn word_forms(value: &[u8]) -> Vec<(Form, Zeroizing<Vec<u8>>)> {
    let all = [
        (Form::Plain, value.to_vec()),
        (Form::Plain, json(value, false)),
        (Form::Plain, percent(value, b"0123456789ABCDEF")),
        (Form::Base64, STANDARD_NO_PAD.encode(value).into_bytes()),
    ];
    let mut out: Vec<(Form, Zeroizing<Vec<u8>>)> = Vec::new();
    for (form, text) in all.map(|(form, text)| (form, Zeroizing::new(text))) {
        if !out.iter().any(|(_, t)| *t == text) {
            out.push((form, text));
        }
    }
    out
}

/// The value in the name of a file, where some signs cannot stand.
fn portable(value: &[u8]) -> Vec<u8> {
    let sign = |b: &u8| matches!(b, b':' | b'*' | b'?' | b'|' | b'<' | b'>' | b'"' | b'\\');
    value.iter().map(|b| if sign(b) { b'-' } else { *b }).collect()
}

/// The value inside of a JSON string; `html` also escapes `<`, `>` and `&`, as Go does.
fn json(value: &[u8], html: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for b in value {
        match b {
            b'"' | b'\\' => out.extend([b'\\', *b]),
            b'<' | b'>' | b'&' if html => out.extend(format!("\\u{:04x}", u32::from(*b)).bytes()),
            b => out.push(*b),
        }
    }
    out
}

fn percent(value: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for b in value {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~') {
            out.push(*b);
        } else {
            out.extend([b'%', digits[usize::from(b >> 4)], digits[usize::from(b & 15)]]);
        }
    }
    out
}
