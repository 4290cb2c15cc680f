//! Values that are known to be secret, and the sweep that finds them wherever else they stand.
//!
//! A value that was secret in one place (beside its name, in a Secret, in a URL) may stand elsewhere without anything that says so.
//! Confirmed values are kept in memory until the run ends, and are searched in everything that was
//! written, in their usual encodings. The result does not depend on the order in which files were collected.

mod forms;
mod reach;
mod sweep;

pub use sweep::Sweep;

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::Format;
use super::hidden::Hidden;
use super::layers::Layers;
use super::rules::{RuleSet, engine};
use super::scan::{self, Env, Inside, Scratch};
use super::token::{Id, Ids, canonical};
use reach::Reach;

/// Most values that are kept: those with the smallest ids, whatever came first.
const MAX_VALUES: usize = 20_000;
/// Shortest value.
const MIN_VALUE: usize = 6;
/// Largest value that is read for the secrets in it.
const MAX_DOCUMENT: usize = 64 << 10;
/// Shortest value that may hold another one in an encoding.
const MIN_ENCODED: usize = 24;

/// The values of one run. It has no `Debug`, because it holds secrets.
#[derive(Default)]
pub(super) struct Known {
    values: Mutex<BTreeMap<Id, Value>>,
}

struct Value {
    rule: u16,
    reach: Reach,
    text: Hidden,
}

impl Known {
    /// Remembers a value that a rule has replaced, when the rule is sure and the value can be searched, and the secrets
    /// inside of it: those of a whole file in a Secret, and those in an encoding.
    pub(super) fn note(&self, set: &RuleSet, ids: &Ids, rule: u16, value: &[u8]) {
        if value.len() > MAX_DOCUMENT || value.len() < MIN_VALUE || self.keep(ids, rule, value) || !is_nested(value) {
            return;
        }
        let inside = Inside::default();
        let env = Env { set, ids, format: Format::Text, layers: Layers::ALL, within: None, inside: Some(&inside) };
        let mut spans = Vec::new();
        scan::scan(env, value, false, &mut Scratch::default(), &mut spans);
        for span in spans.iter().filter(|s| s.end <= value.len() && s.end - s.start < value.len()) {
            self.keep(ids, span.rule, &value[span.start..span.end]);
        }
        for (rule, value) in inside.into_values() {
            self.keep(ids, rule, &value);
        }
    }

    /// Keeps a value, when the rule is sure and it can be searched; says whether it was kept with the same right before.
    fn keep(&self, ids: &Ids, rule: u16, value: &[u8]) -> bool {
        if !is_confirmed(rule) {
            return false;
        }
        let text = canonical(value);
        let Some(reach) = reach::of(rule, &text) else { return false };
        let id = ids.of_canonical(&text);
        let Ok(mut values) = self.values.lock() else { return false };
        let before = values.len();
        let value = values.entry(id).or_insert_with(|| Value { rule, reach, text: Hidden::new(text) });
        let known = value.rule <= rule && value.reach <= reach;
        // Neither label nor reach may depend on which place was seen first.
        value.rule = value.rule.min(rule);
        value.reach = value.reach.min(reach);
        let known = known && values.len() == before;
        if values.len() > MAX_VALUES {
            values.pop_last();
        }
        known
    }
}

/// Whether a value may hold other ones: it has the signs of a text, or is long enough to be an encoded one.
fn is_nested(value: &[u8]) -> bool {
    value.len() >= MIN_ENCODED
        || value.iter().any(|b| b.is_ascii_whitespace() || matches!(b, b'"' | b'=' | b':' | b'%' | b'&'))
}

/// Rules that are sure of what they find.
fn is_confirmed(rule: u16) -> bool {
    !matches!(
        rule,
        engine::SESSION | engine::MNEMONIC | engine::SIGNATURE | engine::PEM | engine::COOKIE | engine::ENCODED
    )
}
