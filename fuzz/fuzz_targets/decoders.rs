//! A secret beside any text leaves in every encoding of it, and a second pass changes nothing.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use casefile::redact::{CorrelationKey, Format, Redactor};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

fuzz_target!(|input: (u8, String)| {
    let (kind, text) = input;
    let plain: String = text.chars().filter(|c| c.is_ascii_alphanumeric() || " .:\n".contains(*c)).collect();
    let plain = format!("some words in front {plain} {SECRET} and behind");
    let encoded = match kind % 6 {
        0 => STANDARD.encode(&plain),
        1 => URL_SAFE_NO_PAD.encode(&plain),
        2 => plain.bytes().map(|b| format!("{b:02x}")).collect(),
        3 => plain.bytes().map(|b| format!("%{b:02X}")).collect(),
        4 => plain.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
        _ => plain.bytes().flat_map(|b| [char::from(b), '\0']).collect(),
    };
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let Ok(clean) = redactor.bytes("fuzz", Format::Text, encoded.as_bytes()) else { return };
    assert!(!clean.get().windows(SECRET.len()).any(|w| w == SECRET.as_bytes()));
    let Ok(again) = redactor.bytes("fuzz", Format::Text, clean.get()) else { return };
    assert!(again == clean, "a second pass changes the result");
});
