use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;
use crate::redact::{CorrelationKey, Redactor};

fn scan(text: &str) -> Vec<(String, u64)> {
    let hits = Audit::new().scan("f", &mut text.as_bytes()).unwrap();
    hits.into_iter().map(|h| (h.rule, h.line)).collect()
}

#[test]
fn all_patterns_compile() {
    let audit = Audit::new();
    assert_eq!(audit.rules.len(), RULES.len());
    assert!(audit.literals.is_some() && audit.own.is_some());
}

#[test]
fn every_match_holds_a_literal_of_its_rule() {
    for (text, rule) in [
        ("ASIAQWERTYUIOPASDFGH", "audit-aws-access-key"),
        ("sk_live_0123456789abcdefghij", "audit-stripe-key"),
        ("glpat-0123456789abcdefghij", "audit-gitlab-token"),
        ("AUTHORIZATION: BASIC dXNlcjpwYXNzd29yZA==", "audit-bearer"),
        ("Password = 'correct-horse'", "audit-password"),
        ("PASSWD: \"correct-horse\"", "audit-password"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab", "audit-aws-secret"),
    ] {
        assert_eq!(scan(text), [(rule.to_owned(), 1)], "{text}");
    }
}

#[test]
fn plain_secrets_are_found_with_their_line() {
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let text = format!("one\nx AKIAQWERTYUIOPASDFGH\npostgres://u:hunter2@h/db\n-----BEGIN PRIVATE KEY-----\n{body}\n");
    let found = scan(&text);
    let line = |rule: &str| found.iter().find(|(r, _)| r == rule).map(|(_, l)| *l);
    assert_eq!(line("audit-aws-access-key"), Some(2));
    assert_eq!(line("audit-url-password"), Some(3));
    assert_eq!(line("audit-pem-private-key"), Some(5));
}

#[test]
fn replacements_and_references_are_fine() {
    for text in [
        "postgres://u:REDACTED-password-abcdefghijkl@h/db",
        "-----BEGIN PRIVATE KEY-----\nREDACTED-private-key-abcdefghijkl\n-----END PRIVATE KEY-----\n",
        "password: \"REDACTED-password-abcdefghijkl\"",
        "https://h:8443/p@q",
    ] {
        assert_eq!(scan(text), [], "{text}");
    }
}

#[test]
fn a_secret_in_a_very_long_line_is_found() {
    let text = format!("{}ghp_0123456789abcdefghijABCDEFGHIJ012345{}", "x ".repeat(300_000), " y".repeat(10_000));
    assert_eq!(scan(&text), [("audit-github-token".to_owned(), 1)]);
}

#[test]
fn a_canary_is_found() {
    let audit = Audit::new().with_canaries([b"zebra-17".to_vec()]);
    assert_eq!(audit.scan("f", &mut &b"a\nb zebra-17"[..]).unwrap()[0].line, 2);
}

/// A secret for each detector, as it would stand in a file.
const SAMPLES: [(&str, &str); 17] = [
    ("audit-aws-access-key", "id AKIAQWERTYUIOPASDFGH"),
    ("audit-github-token", "ghp_0123456789abcdefghijABCDEFGHIJ012345"),
    ("audit-gitlab-token", "glpat-0123456789abcdefghij"),
    ("audit-slack-token", "xoxb-123456789012-abcdefghijklmnopqr"),
    ("audit-npm-token", "npm_0123456789abcdefghijABCDEFGHIJ012345"),
    ("audit-google-key", "AIza0123456789abcdefghijABCDEFGHIJ01234"),
    ("audit-stripe-key", "sk_live_0123456789abcdefghij"),
    ("audit-vault-token", "hvs.0123456789abcdefghijklmn"),
    ("audit-jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLW9mLWp3dA"),
    ("audit-url-password", "postgres://app:hunter2xyz@db:5432/x"),
    ("audit-bearer", "Authorization: Bearer abcdefghijklmnop1234"),
    ("audit-password", "password: \"hunter2xyz\""),
    ("audit-aws-secret", "aws_secret_access_key=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"),
    ("audit-openssh-body", "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQyNTUxOQ"),
    ("audit-pem-one-line", "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTU"),
    (
        "audit-pem-base64",
        "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUV2UUlCQURBTkJna3Foa2lHOXcwQkFRRUZBQVNDQktjd2dnU2pBZ0VBQW9JQkFR",
    ),
    (
        "audit-pem-private-key",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n",
    ),
];

type Encoding = (&'static str, fn(&str) -> Vec<u8>);

/// What the audit can read.
const ENCODINGS: [Encoding; 13] = [
    ("raw", |s| s.as_bytes().to_vec()),
    ("JSON", |s| serde_json::to_vec(s).unwrap()),
    ("base64", |s| STANDARD.encode(s).into_bytes()),
    ("base64, one byte further", |s| STANDARD.encode(format!("x{s}")).into_bytes()),
    ("base64, two bytes further", |s| STANDARD.encode(format!("xy{s}")).into_bytes()),
    ("base64url", |s| URL_SAFE_NO_PAD.encode(s).into_bytes()),
    ("base64 of base64", |s| STANDARD.encode(STANDARD.encode(s)).into_bytes()),
    ("hexadecimal", |s| s.bytes().flat_map(|b| format!("{b:02x}").into_bytes()).collect()),
    ("HEXADECIMAL", |s| s.bytes().flat_map(|b| format!("{b:02X}").into_bytes()).collect()),
    ("percent signs", |s| s.bytes().flat_map(|b| format!("%{b:02X}").into_bytes()).collect()),
    ("escapes", |s| s.bytes().flat_map(|b| format!("\\u{b:04x}").into_bytes()).collect()),
    ("UTF-16 of little end", |s| s.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ("UTF-16 of big end", |s| s.encode_utf16().flat_map(u16::to_be_bytes).collect()),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever redaction has made of a file: what comes into it behind its back is found, in each encoding.
    #[test]
    fn what_is_planted_after_redaction_is_found(lines in prop::collection::vec("[a-z =:0-9]{0,60}", 0..6), place in 0_usize..6) {
        let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
        let audit = Audit::new();
        let clean = redactor.text(&lines.join("\n")).into_inner();
        let lines: Vec<&str> = clean.lines().collect();
        let place = place.min(lines.len());
        prop_assert!(audit.scan("f", &mut clean.as_bytes()).unwrap().is_empty(), "{clean}");
        for (rule, secret) in SAMPLES {
            for (name, encode) in ENCODINGS {
                let mut file = lines[..place].iter().flat_map(|l| [l.as_bytes(), b"\n"].concat()).collect::<Vec<u8>>();
                file.extend(b"level=info value=");
                file.extend(encode(secret));
                file.push(b'\n');
                file.extend(lines[place..].join("\n").as_bytes());
                let hits = audit.scan("f", &mut file.as_slice()).unwrap();
                prop_assert!(hits.iter().any(|h| h.rule == rule || rule.starts_with("audit-pem") && h.rule.starts_with("audit-pem")), "{rule} in {name}: {hits:?}");
            }
        }
    }
}

#[test]
fn replacements_are_recognised_in_every_encoding() {
    let audit = Audit::new();
    for (rule, secret) in [
        ("audit-url-password", "postgres://app:REDACTED-password-abcdefghijkl@db:5432/x"),
        ("audit-password", "password: \"REDACTED-password-abcdefghijkl\""),
        ("audit-bearer", "Authorization: Bearer REDACTED-credential-abcdefghijkl"),
    ] {
        for (name, encode) in ENCODINGS {
            let text = encode(secret);
            assert_eq!(audit.scan("f", &mut text.as_slice()).unwrap(), [], "{rule} in {name}");
        }
    }
    // The value itself is the replacement in an encoding.
    for (name, encode) in &ENCODINGS[2..9] {
        for token in ["REDACTED-secret-abcdefghijkl", "the REDACTED-secret-abcdefghijkl stood here"] {
            let value = String::from_utf8(encode(token)).unwrap();
            let text = format!("Authorization: Basic {value}\npassword = \"{value}\"\n");
            assert_eq!(audit.scan("f", &mut text.as_bytes()).unwrap(), [], "{name}: {text}");
        }
    }
}

#[test]
fn data_that_is_no_text_is_no_secret() {
    let noise: Vec<u8> = (0..6_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let hex: String = noise.iter().map(|b| format!("{b:02x}")).collect();
    for text in [STANDARD.encode(&noise), URL_SAFE_NO_PAD.encode(&noise), hex] {
        assert_eq!(scan(&text), [], "{text}");
    }
    assert_eq!(Audit::new().scan("f", &mut noise.as_slice()).unwrap(), []);
}
