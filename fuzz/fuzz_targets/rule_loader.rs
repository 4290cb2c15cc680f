//! A rule file of any content is accepted or refused, never more.
#![no_main]

use casefile::redact::{CorrelationKey, Redactor};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("fuzz.toml"), text).unwrap();
    if let Ok(redactor) = Redactor::builder(CorrelationKey::from_bytes([7; 32])).with_rules(dir.path()).build() {
        let _ = redactor.text("password=abc ghp_0123 https://u:p@h \"name\":\"x\"");
    }
});
