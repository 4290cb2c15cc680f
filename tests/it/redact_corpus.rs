//! Redaction over whole corpora: nothing clean is touched, nothing planted survives.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use casefile::redact::{CorrelationKey, Format, Redactor};

use super::support::corpus::{Document, clean, measure, planted};

fn redactor() -> Redactor {
    Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap()
}

fn redacted(redactor: &Redactor, document: &Document) -> Vec<u8> {
    redactor.bytes(&document.path, document.format, &document.content).unwrap().into_inner()
}

/// The lines that redaction changed, for messages.
fn changes(before: &[u8], after: &[u8]) -> String {
    let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
    let changed = before.lines().zip(after.lines()).filter(|(b, a)| a != b).take(3);
    changed.fold(String::new(), |mut out, (before, after)| {
        let _ = writeln!(out, "  - {before:.600}\n  + {after:.600}");
        out
    })
}

#[test]
fn what_must_stay_stays_in_every_syntax() {
    let redactor = redactor();
    let all = clean::must_keep();
    assert!(all.len() > 500, "only {}", all.len());
    let mut wrong = String::new();
    for document in &all {
        let after = redacted(&redactor, document);
        if after != document.content {
            let _ = write!(wrong, "{}\n{}", document.path, changes(&document.content, &after));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn clean_corpora_are_hardly_touched() {
    let redactor = redactor();
    let mut groups: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut wrong = String::new();
    for document in clean::documents(32 << 10) {
        let after = redacted(&redactor, &document);
        let touched = measure::touched(&document.content, &after);
        let group = groups.entry(document.group().to_owned()).or_default();
        *group = (group.0 + document.content.len(), group.1 + touched);
        if touched > 0 {
            let _ = write!(wrong, "{}: {touched} bytes\n{}", document.path, changes(&document.content, &after));
        }
    }
    assert!(groups.len() >= 8, "{groups:?}");
    for (group, (bytes, touched)) in groups {
        // 0.05 %
        assert!(touched * 2_000 <= bytes, "{group}: {touched} of {bytes} bytes\n{wrong}");
    }
}

/// What typical Secrets and settings hold beside secrets, and passwords that are words of people.
#[test]
fn known_values_leave_clean_corpora_alone() {
    let redactor = redactor();
    let values = [
        "postgres",
        "admin",
        "root",
        "kms",
        "password",
        "changeme",
        "minioadmin",
        "production",
        "localhost",
        "default",
        "redis",
        "kms-core",
        "kms-core-1",
        "us-east-1",
        "eu-west-1",
        "postgres-primary",
        "kms-connector",
        "kms-party-3",
        "10.0.12.114",
        "db-0.prod.svc.cluster.local",
        "https://kms.example.com",
        "5432",
        "50051",
        "true",
        "secp256k1",
        "ed25519",
        "sha256",
        "v1.31.2",
        "00000000-0000-0000-0000-000000000000",
        "hunter2",
        "correct-horse",
        "CorrectHorse",
        "admin123",
        "party1",
    ];
    for (i, value) in values.iter().enumerate() {
        let _ = redactor.text(&format!("password={value}"));
        let secret = format!("kind: Secret\nstringData:\n  key{i}: {value}\n  password: {value}\n");
        let _ = redactor.bytes("secret.yaml", Format::Yaml, secret.as_bytes()).unwrap();
    }
    let sweep = redactor.sweep().expect("some of them are searched");
    let mut wrong = String::new();
    for document in clean::must_keep().into_iter().chain(clean::documents(64 << 10)) {
        let before = redacted(&redactor, &document);
        let content = redactor.bytes(&document.path, document.format, &document.content).unwrap();
        let after = sweep.bytes(&document.path, &content).unwrap();
        if *after.get() != before {
            let _ = write!(wrong, "{}\n{}", document.path, changes(&before, after.get()));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn no_planted_secret_survives() {
    let redactor = redactor();
    let mut wrong = String::new();
    let (mut secrets, mut damage, mut bytes) = (0, 0, 0);
    for file in planted::documents(&redactor, 1) {
        let content = &file.document.content;
        let after = redacted(&redactor, &file.document);
        let mut masked = 0;
        for label in &file.labels {
            let secret = &content[label.span.clone()];
            secrets += 1;
            masked += secret.len();
            let left = measure::survivors(&after, secret);
            if left > 0 {
                let line = content[..label.span.start].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
                let line = &content[line..label.span.end];
                let piece = secret.windows(8).find_map(|w| Some((w, memchr::memmem::find(&after, w)?)));
                let there = piece.map(|(_, at)| &after[at.saturating_sub(60)..after.len().min(at + 60)]);
                let _ = writeln!(
                    wrong,
                    "{}: {} of {} bytes of {}: {:.300}\n  in {:?}",
                    file.document.path,
                    left,
                    secret.len(),
                    label.kind,
                    String::from_utf8_lossy(line),
                    there.map(String::from_utf8_lossy)
                );
            }
        }
        bytes += content.len() - masked;
        damage += measure::touched(content, &after).saturating_sub(masked);
    }
    assert!(secrets > 1_000, "only {secrets} secrets");
    assert!(wrong.is_empty(), "of {secrets}:\n{wrong}");
    // Around a secret something goes with it: what is in the same base64, and prefixes of tokens.
    assert!(damage * 50 <= bytes, "{damage} of {bytes} bytes around the secrets");
}

#[test]
fn replaced_bytes_are_counted() {
    let before = b"user=jane password=hunter2xyz host=db.example.com port=5432\nnext line is like it was\n";
    let after =
        b"user=jane password=REDACTED-password-abcdefghijkl host=db.example.com port=5432\nnext line is like it was\n";
    assert_eq!(measure::touched(before, after), 10);
    assert_eq!(measure::touched(before, before), 0);
    assert_eq!(measure::touched(b"a=12345678\n", b"a=REDACTED-x-abcdefghijkl\n"), 8);
    assert_eq!(measure::touched(b"a=12345678", b"a=REDACTED-x-abcdefghijkl"), 8);
    assert_eq!(measure::touched(b"abcdefgh", b""), 8);
}

#[test]
fn what_survives_is_counted_in_pieces() {
    assert_eq!(measure::survivors(b"x 0123456789 y", b"0123456789abcdef"), 10);
    assert_eq!(measure::survivors(b"x 0123456 y", b"0123456789abcdef"), 0);
    assert_eq!(measure::survivors(b"x 1234 y", b"1234"), 4);
}
