//! The redaction of texts and objects, and its rules.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};

pub(crate) fn redactor() -> &'static Redactor {
    static ONE: OnceLock<Redactor> = OnceLock::new();
    ONE.get_or_init(|| Redactor::new(CorrelationKey::from_bytes([7; 32])).expect("the built-in rules compile"))
}

/// The result is the same wherever the input is split; the first two bytes say where.
fn split(format: Format, input: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (at, data) = input.split_at_checked(2)?;
    let whole = redactor().bytes("fuzz", format, data);
    let cut = (usize::from(at[0]) << 8 | usize::from(at[1])) % (data.len() + 1);
    let mut out = Redacted::buffer();
    let mut stream = redactor().stream("fuzz", format);
    let parts = stream
        .push(&data[..cut], &mut out)
        .and_then(|()| stream.push(&data[cut..], &mut out))
        .and_then(|()| stream.finish(&mut out));
    match (whole, parts) {
        (Ok(whole), Ok(())) => {
            assert!(whole == out, "the split at {cut} changes the result");
            Some((data.to_vec(), whole.into_inner()))
        }
        (Err(_), Err(_)) => None,
        _ => panic!("the split at {cut} decides whether the content is refused"),
    }
}

/// Logs and anything else.
pub(crate) fn text(input: &[u8]) {
    split(Format::Text, input);
}

/// JSON stays JSON.
pub(crate) fn json(input: &[u8]) {
    let Some((before, after)) = split(Format::Json, input) else { return };
    let parses = |content: &[u8]| serde_json::from_slice::<serde_json::Value>(content).is_ok();
    assert!(!parses(&before) || parses(&after), "JSON is broken");
}

/// YAML.
pub(crate) fn yaml(input: &[u8]) {
    split(Format::Yaml, input);
}

/// TOML stays TOML.
pub(crate) fn toml(input: &[u8]) {
    let Some((before, after)) = split(Format::Toml, input) else { return };
    let parses =
        |content: &[u8]| std::str::from_utf8(content).is_ok_and(|t| ::toml::from_str::<::toml::Table>(t).is_ok());
    assert!(!parses(&before) || parses(&after), "TOML is broken");
}

/// Settings, one a line.
pub(crate) fn env(input: &[u8]) {
    split(Format::Env, input);
}

/// UTF-16, with a byte order mark or without.
pub(crate) fn utf16(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    let units = rest.iter().map(|b| u16::from(*b));
    let units = (first & 1 == 0).then_some(0xfeff_u16).into_iter().chain(units);
    let bytes: Vec<u8> = if first & 2 == 0 {
        units.flat_map(u16::to_le_bytes).collect()
    } else {
        units.flat_map(u16::to_be_bytes).collect()
    };
    let head = [*first, first.wrapping_mul(31)];
    split(Format::Text, &[&head[..], &bytes].concat());
}

/// What is an object before is an object after.
pub(crate) fn objects(input: &[u8]) {
    const KINDS: [(&str, &str); 8] = [
        ("v1", "Secret"),
        ("v1", "ConfigMap"),
        ("v1", "Pod"),
        ("v1", "Event"),
        ("apps/v1", "Deployment"),
        ("v1", "List"),
        ("authentication.k8s.io/v1", "TokenReview"),
        ("example.com/v1", "Widget"),
    ];
    let Some((first, object)) = input.split_first() else { return };
    let (version, kind) = KINDS[usize::from(*first) % KINDS.len()];
    let mut out = Redacted::buffer();
    let mut list = redactor().objects("fuzz", version, kind);
    list.push(object, &mut out);
    list.push(b"{\"metadata\":{\"name\":\"x\"},\"data\":{\"a\":\"Zm9vYmFyYmF6\"}}", &mut out);
    list.finish(&mut out);
    let list: serde_json::Value = serde_json::from_slice(out.get()).expect("a list is JSON");
    assert!(list["items"].as_array().is_some_and(|items| items.len() <= 2), "an object became more than one");
}

/// A secret beside any text leaves in every encoding of it.
pub(crate) fn decoders(input: &[u8]) {
    const SECRET: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    let Some((kind, rest)) = input.split_first() else { return };
    let plain: String = rest
        .iter()
        .map(|b| char::from(*b))
        .filter(|c| c.is_ascii_alphanumeric() || " .:\n".contains(*c))
        .take(4_096)
        .collect();
    let plain = format!("some words in front {plain} {SECRET} and behind");
    let encoded = match kind % 6 {
        0 => STANDARD.encode(&plain),
        1 => URL_SAFE_NO_PAD.encode(&plain),
        2 => plain.bytes().map(|b| format!("{b:02x}")).collect(),
        3 => plain.bytes().map(|b| format!("%{b:02X}")).collect(),
        4 => plain.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
        _ => plain.bytes().flat_map(|b| [char::from(b), '\0']).collect(),
    };
    let Ok(clean) = redactor().bytes("fuzz", Format::Text, encoded.as_bytes()) else { return };
    let clean = clean.into_inner();
    assert!(clean != encoded.as_bytes(), "nothing was found in the encoding");
    assert!(!clean.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()), "the secret is there");
}

/// A rule file of any content is accepted or refused, never more.
pub(crate) fn rule_loader(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(dir) = tempfile::tempdir() else { return };
    if std::fs::write(dir.path().join("fuzz.toml"), text).is_err() {
        return;
    }
    // What cannot be read does not have to be compiled together with the rest.
    if casefile::redact::load_dir(dir.path()).is_err() {
        return;
    }
    if let Ok(redactor) = Redactor::builder(CorrelationKey::from_bytes([7; 32])).with_rules(dir.path()).build() {
        let _ = redactor.text("password=abc ghp_0123 https://u:p@h \"name\":\"x\"");
    }
}
