//! Speed: the engine beside a copy and gzip of the same bytes, with the built-in rules and with twice as many.

use std::fmt::Write as _;
use std::io::Write as _;

use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};

use crate::clock::speed;
use crate::contents::{base64, binary, clean_logs, controller_log, objects, one_line, pod_log, secret_dense, yaml};
use crate::corpus::Random;

/// Bytes of one push: what a connection gives at once.
pub(crate) const PUSH: usize = 64 << 10;

fn engine(redactor: &Redactor, format: Format, content: &[u8]) -> f64 {
    let mut out = Redacted::buffer();
    speed(content.len(), || {
        let mut stream = redactor.stream("bench", format);
        for chunk in content.chunks(PUSH) {
            out.clear();
            stream.push(chunk, &mut out).unwrap();
        }
        stream.finish(&mut out).unwrap();
    })
}

fn sanitiser(redactor: &Redactor, content: &[u8]) -> f64 {
    let content = &content[..content.len() / 8];
    let content = &content[..=content.iter().rposition(|b| *b == b'\n').unwrap()];
    let mut out = Redacted::buffer();
    speed(content.len(), || {
        let mut list = redactor.objects("bench", "v1", "Pod");
        for object in content.split(|b| *b == b'\n').filter(|o| !o.is_empty()) {
            out.clear();
            list.push(object, &mut out);
        }
        list.finish(&mut out);
    })
}

fn gzip(content: &[u8]) -> f64 {
    let part = &content[..content.len() / 8];
    speed(part.len(), || {
        let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(part.len()), flate2::Compression::new(6));
        encoder.write_all(part).unwrap();
        std::hint::black_box(encoder.finish().unwrap());
    })
}

fn copy(content: &[u8]) -> f64 {
    let mut copy = vec![0_u8; content.len()];
    speed(content.len(), || {
        copy.copy_from_slice(std::hint::black_box(content));
        std::hint::black_box(&mut copy);
    })
}

/// As many rules again as there are: made-up vendors with prefixes like those of real ones.
fn doubled(builtin: usize) -> Redactor {
    let mut text = String::from("schema = 1\n");
    let mut random = Random::new(5);
    for n in 0..builtin {
        let word: String = (0..4).map(|_| char::from(b'a' + random.below(26) as u8)).collect();
        let _ = write!(
            text,
            "[[rule]]\nid = \"made-up-{n}\"\nkind = \"token\"\ndescription = \"made up\"\nanchors = [\"{word}_{}\", \"{word}-{}\"]\nrun = {{ class = \"A-Za-z0-9\", min = 20 }}\nexamples = [\"{word}_{}{{A-Za-z0-9:32}}\"]\n",
            n % 10,
            n % 7,
            n % 10
        );
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("more.toml"), text).unwrap();
    Redactor::builder(CorrelationKey::from_bytes([7; 32])).with_rules(dir.path()).build().unwrap()
}

pub(crate) fn speeds() {
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let more = doubled(redactor.rules().len());
    println!("{} rules; with more: {}", redactor.rules().len(), more.rules().len());
    println!(
        "{:<28}{:>8}{:>10}{:>10}{:>14}{:>9}",
        "MB/s of one core", "engine", "/ memcpy", "/ gzip -6", "twice the rules", "loss"
    );
    let row = |name: &str, format: Format, content: &[u8]| {
        let (speed, twice) = (engine(&redactor, format, content), engine(&more, format, content));
        let (copy, gzip) = (copy(content), gzip(content));
        println!(
            "{name:<28}{speed:>8.0}{:>10.3}{:>10.1}{twice:>14.0}{:>8.0}%",
            speed / copy,
            speed / gzip,
            (1.0 - twice / speed) * 100.0
        );
    };
    let log = pod_log();
    row("pod log", Format::Text, &log);
    drop(log);
    row("clean logs", Format::Text, &clean_logs());
    row("secret in each fifth line", Format::Text, &secret_dense());
    let log = controller_log();
    row("controller log as text", Format::Text, &log);
    row("controller log as JSON", Format::Json, &log);
    drop(log);
    let pods = objects();
    row("objects, one a line", Format::Json, &pods);
    let (speed, gzip) = (sanitiser(&redactor, &pods), gzip(&pods));
    println!("{:<28}{speed:>8.0}{:>10}{:>10.1}", "objects, sanitised by type", "", speed / gzip);
    row("objects, all on one line", Format::Json, &one_line());
    row("YAML", Format::Yaml, &yaml());
    row("base64", Format::Text, &base64());
    row("random bytes", Format::Text, &binary());
}
