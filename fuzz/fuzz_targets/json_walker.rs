//! What is an object before is an object after, in a document and in a list of Kubernetes objects.
#![no_main]

use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let _ = redactor.bytes("fuzz.json", Format::Json, data);
    let mut out = Redacted::buffer();
    let mut objects = redactor.objects("fuzz.json", "v1", "Secret");
    objects.push(data, &mut out);
    objects.finish(&mut out);
});
