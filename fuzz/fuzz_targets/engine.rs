//! Any bytes, split anywhere, give the same result in every format.
#![no_main]

use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u16, Vec<u8>)| {
    let (format, cut, data) = input;
    let format = [Format::Text, Format::Json, Format::Yaml, Format::Toml, Format::Env][usize::from(format) % 5];
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let Ok(whole) = redactor.bytes("fuzz", format, &data) else { return };
    let cut = usize::from(cut) % (data.len() + 1);
    let mut out = Redacted::buffer();
    let mut stream = redactor.stream("fuzz", format);
    stream.push(&data[..cut], &mut out).unwrap();
    stream.push(&data[cut..], &mut out).unwrap();
    stream.finish(&mut out).unwrap();
    assert!(out == whole, "the split at {cut} changes the result");
});
