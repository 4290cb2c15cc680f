//! The slowest inputs: what fuzzing found, and shapes that are made to be slow.

use std::path::Path;

use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};

use crate::clock::speed;
use crate::corpus::Random;
use crate::speed::PUSH;

/// Each input is repeated up to this size, so that the cost of a new stream does not count.
const SIZE: usize = 256 << 10;

/// Nanoseconds a byte; none when the content is refused.
fn cost(redactor: &Redactor, format: Format, content: &[u8]) -> Option<f64> {
    let mut out = Redacted::buffer();
    let mut refused = false;
    let rate = speed(content.len(), || {
        let mut stream = redactor.stream("bench", format);
        for chunk in content.chunks(PUSH) {
            out.clear();
            refused |= stream.push(chunk, &mut out).is_err();
        }
        refused |= stream.finish(&mut out).is_err();
    });
    (!refused).then_some(1e3 / rate)
}

/// Pieces that begin something which does not come to its end, or much work for few bytes.
pub(crate) fn shapes() -> Vec<(String, String)> {
    let mut random = Random::new(11);
    let mut all: Vec<(String, String)> = [
        ("schemes", "://"),
        ("user info", "a://b:"),
        ("jwt heads", "eyJ"),
        ("jwt parts", "eyJhbGciOi.eyJ."),
        ("pem heads", "-----BEGIN PRIVATE KEY-----\n"),
        ("pem heads, one line", "-----BEGIN PRIVATE KEY-----\\n"),
        ("password words", "password "),
        ("password settings", "password="),
        ("quotes", "\\\"password\\\":\\\""),
        ("braces", "{\"name\":\"token\",\"value\":"),
        ("escapes", "\\u0070"),
        ("percent", "%70%61"),
        ("entities", "&#112;"),
        ("pairs", "name: DB_PASSWORD\n"),
        ("values", "value: aaaaaaaa1\n"),
        ("block scalars", "token: |\n  a\n"),
        ("data", "data:\n"),
        ("kind", "kind: Secret\n"),
        ("words", "abandon ability able about above absent "),
        ("at signs", "@tcp("),
        ("bearer", "Bearer "),
        ("cookies", "Set-Cookie: a=b; "),
        ("short tokens", "ghp_"),
        ("secrets", "password=Hunter2x9 "),
        ("secret json", "{\"password\":\"Hunter2x9\"}\n"),
    ]
    .map(|(name, piece)| (name.to_owned(), piece.to_owned()))
    .into();
    all.push(("base64 of text".to_owned(), "cGFzc3dvcmQ6IGFiYyBkZWYgZ2hpIA==".repeat(2)));
    all.push(("random base64".to_owned(), random.base64(4_096)));
    all.push(("random hex".to_owned(), random.hex(4_096)));
    all
}

/// The kept inputs of the fuzzers (`FUZZ_INPUTS` names another folder) and what a byte of each costs, cheapest first.
fn kept(redactor: &Redactor) -> Vec<(f64, String)> {
    let dir =
        std::env::var("FUZZ_INPUTS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus").to_owned());
    let mut costs = Vec::new();
    for (target, format) in [
        ("text", Format::Text),
        ("json", Format::Json),
        ("yaml", Format::Yaml),
        ("toml", Format::Toml),
        ("env", Format::Env),
        ("decoders", Format::Text),
    ] {
        let Ok(files) = std::fs::read_dir(Path::new(&dir).join(target)) else { continue };
        for file in files.flatten() {
            let Ok(content) = std::fs::read(file.path()) else { continue };
            // The first two bytes say where the fuzzer splits.
            let content = content.get(2..).unwrap_or_default();
            if content.is_empty() {
                continue;
            }
            if let Some(cost) = cost(redactor, format, &repeated(content)) {
                costs.push((cost, format!("{target}/{}", file.file_name().to_string_lossy())));
            }
        }
    }
    costs.sort_by(|a, b| a.0.total_cmp(&b.0));
    costs
}

/// Nanoseconds that a byte of the median input costs.
pub(crate) fn median(redactor: &Redactor) -> Option<f64> {
    let costs = kept(redactor);
    costs.get(costs.len() / 2).map(|c| c.0)
}

fn repeated(piece: &[u8]) -> Vec<u8> {
    piece.iter().copied().cycle().take(SIZE).collect()
}

/// Prints the median and the worst cost over the kept inputs, and that of each shape.
pub(crate) fn table() {
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let costs = kept(&redactor);
    let Some(median) = costs.get(costs.len() / 2).map(|c| c.0) else {
        println!("there are no inputs of the fuzzers");
        return;
    };
    println!("{} inputs of the fuzzers: median {median:.1} ns/byte; the slowest:", costs.len());
    for (cost, name) in costs.iter().rev().take(5) {
        println!("  {name:<50}{cost:>8.1}{:>8.1} x median", cost / median);
    }
    let mut shapes: Vec<(f64, String)> = shapes()
        .into_iter()
        .filter_map(|(name, piece)| Some((cost(&redactor, Format::Text, &repeated(piece.as_bytes()))?, name)))
        .collect();
    shapes.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("shapes that are made to be slow, as text:");
    for (cost, name) in shapes.iter().take(8) {
        println!("  {name:<50}{cost:>8.1}{:>8.1} x median", cost / median);
    }
}
