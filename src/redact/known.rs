//! Values that are known to be secret, and the sweep that finds them wherever else they stand.
//!
//! A value that was secret in one place (beside its name, in a Secret, in a URL) may stand elsewhere without anything that says so.
//! Confirmed values are kept in memory until the run ends, and are searched in everything that was
//! written, in their usual encodings. The result does not depend on the order in which files were collected.

mod forms;
mod sweep;

pub use sweep::Sweep;

use std::collections::BTreeMap;
use std::sync::Mutex;

use zeroize::Zeroizing;

use super::Format;
use super::rules::{RuleSet, engine};
use super::scan::{self, Env, Scratch};
use super::token::{Id, Ids, canonical};

/// Most values that are kept: those with the smallest ids, whatever came first.
const MAX_VALUES: usize = 20_000;
/// Lengths of values that are searched.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=512;
/// Largest document of a Secret that is read for the values in it.
const MAX_DOCUMENT: usize = 64 << 10;

/// The values of one run. It has no `Debug`, because it holds secrets.
#[derive(Default)]
pub(super) struct Known {
    values: Mutex<BTreeMap<Id, Value>>,
}

struct Value {
    rule: u16,
    text: Zeroizing<Vec<u8>>,
}

impl Known {
    /// Remembers a value that a rule has replaced, when it is confirmed and long and random enough to be searched.
    pub(super) fn note(&self, set: &RuleSet, ids: &Ids, rule: u16, value: &[u8]) {
        if !is_confirmed(rule) || value.len() > MAX_DOCUMENT || value.len() < *LENGTHS.start() {
            return;
        }
        let text = Zeroizing::new(canonical(value));
        if is_searchable(&text) {
            self.insert(ids.of_canonical(&text), rule, text);
        } else if rule == engine::KUBERNETES_SECRET && text.iter().any(u8::is_ascii_whitespace) {
            // A whole file in a Secret: what is secret in it counts one by one.
            let mut spans = Vec::new();
            let env = Env { set, ids, format: Format::Text };
            scan::scan(env, &text, false, &mut Scratch::default(), &mut spans);
            for span in spans.iter().filter(|s| is_confirmed(s.rule) && s.end <= text.len()) {
                let inner = Zeroizing::new(canonical(&text[span.start..span.end]));
                if is_searchable(&inner) {
                    self.insert(ids.of_canonical(&inner), span.rule, inner);
                }
            }
        }
    }

    fn insert(&self, id: Id, rule: u16, text: Zeroizing<Vec<u8>>) {
        let Ok(mut values) = self.values.lock() else { return };
        let value = values.entry(id).or_insert(Value { rule, text });
        // The label must not depend on which place was seen first.
        value.rule = value.rule.min(rule);
        if values.len() > MAX_VALUES {
            values.pop_last();
        }
    }
}

/// Rules that are sure of what they find.
fn is_confirmed(rule: u16) -> bool {
    !matches!(
        rule,
        engine::SESSION | engine::MNEMONIC | engine::SIGNATURE | engine::PEM | engine::COOKIE | engine::ENCODED
    )
}

/// Whether a value is so unlike names, hosts, paths and versions that finding it elsewhere is no accident.
fn is_searchable(value: &[u8]) -> bool {
    let any = |f: fn(&u8) -> bool| value.iter().any(f);
    let has = |needle: &[u8]| memchr::memmem::find(value, needle).is_some();
    let plain = value.iter().all(|b| (0x21..=0x7e).contains(b));
    if !plain || !LENGTHS.contains(&value.len()) || has(b"://") || value.starts_with(b"/") || has(b"REDACTED-") {
        return false;
    }
    let (lower, upper, digit) = (any(u8::is_ascii_lowercase), any(u8::is_ascii_uppercase), any(u8::is_ascii_digit));
    let odd = any(|b| matches!(b, b'!' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'~' | b'?' | b'@' | b'+'));
    let dotted = value.contains(&b'.');
    let kinds = changes(value, |b| u8::from(b.is_ascii_digit()));
    let cases = changes(value, |b| u8::from(b.is_ascii_uppercase()));
    if is_uuid(value) {
        return false;
    }
    if dotted && value.iter().filter(|b| **b == b'.').count() != 2 && !odd {
        // Hosts and versions; a token of three parts is none.
        return false;
    }
    (lower && upper && digit && kinds >= 2 && !(dotted && value.len() < 40))
        || (odd && digit && (lower || upper) && !dotted)
        || (digit && (lower || upper) && !dotted && value.len() >= 12 && kinds >= 4)
        || (lower && upper && !dotted && value.len() >= 20 && cases >= 6)
}

/// How often neighbouring letters and digits differ in kind.
fn changes(value: &[u8], kind: fn(u8) -> u8) -> usize {
    let word = |b: &u8| b.is_ascii_alphanumeric();
    value.windows(2).filter(|w| word(&w[0]) && word(&w[1]) && kind(w[0]) != kind(w[1])).count()
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value
            .iter()
            .enumerate()
            .all(|(i, b)| if matches!(i, 8 | 13 | 18 | 23) { *b == b'-' } else { b.is_ascii_hexdigit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_random_is_searched() {
        for value in [
            "Hunter2x",
            "S3cretValue",
            "P@ssw0rd",
            "9f86d081884c7d659a2feaa0c55ad015",
            "k3xm2p9q4rt8",
            "AbCdEfGhIjKlMnOpQrSt",
            "correct#horse1",
            "4c2f8e1d9b7a6c5f3e2d1c0b9a8f7e6d5c4b3a2f1e0d9c8b7a6f5e4d3c2b1a09",
        ] {
            assert!(is_searchable(value.as_bytes()), "{value}");
        }
        for value in [
            "changeme",
            "password",
            "production-database",
            "kms-core-service-50051",
            "db-0.prod.svc.cluster.local",
            "https://h.example.com/x1Y2z3",
            "/var/run/secrets/T0ken1",
            "3f0b1c9e-5a1d-4c55-9c2d-0d0a5c3a1f00",
            "v1.25.3-gke100",
            "10.0.12.114",
            "two words 1A2b3C",
            "Ab1",
            "admin123",
            "us-east-1",
        ] {
            assert!(!is_searchable(value.as_bytes()), "{value}");
        }
    }
}
