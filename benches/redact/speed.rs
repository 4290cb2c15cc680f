//! Speed: the engine beside a copy and gzip of the same bytes, with the built-in rules and with twice as many.

use std::fmt::Write as _;
use std::io::Write as _;

use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};

use crate::clock::speed;
use crate::contents::{base64, binary, clean_logs, controller_log, objects, one_line, pod_log, secret_dense, yaml};
use crate::corpus::Random;

/// Bytes of one push: what a connection gives at once.
pub(crate) const PUSH: usize = 64 << 10;

/// Bytes of a member of an archive, and of the part that is compressed to measure.
const MEMBER: usize = 1 << 20;
const MEMBERS: usize = 4 << 20;

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

/// What the spool does with the same bytes: members of a mebibyte, at its level.
pub(crate) fn members(content: &[u8]) -> f64 {
    let part = &content[..content.len().min(MEMBERS)];
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::new(5).unwrap());
    let mut out = vec![0; compressor.gzip_compress_bound(MEMBER)];
    speed(part.len(), || {
        for member in part.chunks(MEMBER) {
            std::hint::black_box(compressor.gzip_compress(member, &mut out).unwrap());
        }
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
        "{:<28}{:>8}{:>10}{:>11}{:>11}{:>17}{:>8}",
        "MB/s of one core", "engine", "/ memcpy", "/ gzip -6", "/ members", "twice the rules", "loss"
    );
    let row = |name: &str, format: Format, content: &[u8]| {
        // Taken in turns, because what else the machine does changes.
        let mut best = (0_f64, 0_f64);
        for _ in 0..2 {
            best.0 = best.0.max(engine(&redactor, format, content));
            best.1 = best.1.max(engine(&more, format, content));
        }
        let (speed, twice) = best;
        let (copy, gzip, members) = (copy(content), gzip(content), members(content));
        println!(
            "{name:<28}{speed:>8.0}{:>10.3}{:>11.1}{:>11.1}{twice:>17.0}{:>7.0}%",
            speed / copy,
            speed / gzip,
            speed / members,
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
    let (speed, gzip, members) = (sanitiser(&redactor, &pods), gzip(&pods), members(&pods));
    println!(
        "{:<28}{speed:>8.0}{:>10}{:>11.1}{:>11.1}",
        "objects, sanitised by type",
        "",
        speed / gzip,
        speed / members
    );
    row("objects, all on one line", Format::Json, &one_line());
    row("YAML", Format::Yaml, &yaml());
    row("base64", Format::Text, &base64());
    row("random bytes", Format::Text, &binary());
}
