//! Proves over the rules as data that none can be weakened unnoticed: for each rule a table holds the shortest text of every
//! anchor and key, and a rule that lost an anchor or a key, or asks for one character more, leaves one of its texts alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::load::Source;
use super::{Boundary, RuleDef, RuleSet, builtin, engine, expand};
use crate::redact::layers::Layers;
use crate::redact::scan::{self, Env, Scratch};
use crate::redact::token::Ids;
use crate::redact::{CorrelationKey, Format};

const TABLE: &str = include_str!("../../../fixtures/secrets/weakest.toml");

/// Weaker rules that no text of the table tells from the rule, and why.
const EQUAL: [(&str, &str); 0] = [];

fn table() -> BTreeMap<String, Vec<String>> {
    toml::from_str(TABLE).unwrap()
}

fn rules() -> impl Iterator<Item = RuleDef> {
    builtin::sources().unwrap().into_iter().flat_map(|s| s.rules)
}

/// A rule without any other one, and without the detectors in code.
struct Alone {
    set: RuleSet,
    ids: Ids,
}

impl Alone {
    fn new(rule: &RuleDef) -> Option<Self> {
        let source = Source { name: "alone".to_owned(), text: String::new(), rules: vec![rule.clone()] };
        let off: Vec<String> = engine::TABLE.iter().map(|(id, _, _)| (*id).to_owned()).collect();
        let set = RuleSet::build(&[source], &off).ok()?;
        Some(Self { set, ids: Ids::new(&CorrelationKey::from_bytes([7; 32])).unwrap() })
    }

    /// Whether the rule replaces something in a text.
    fn finds(&self, text: &str) -> bool {
        let env = Env {
            set: &self.set,
            ids: &self.ids,
            format: Format::Text,
            layers: Layers::ALL,
            within: None,
            inside: None,
        };
        let mut spans = Vec::new();
        scan::scan(env, text.as_bytes(), false, &mut Scratch::default(), &mut spans);
        spans.iter().any(|s| usize::from(s.rule) == engine::TABLE.len())
    }
}

/// All ways in which a rule is made a little weaker.
fn weaker(rule: &RuleDef) -> Vec<(String, RuleDef)> {
    let mut out = Vec::new();
    let mut add = |what: String, change: &dyn Fn(&mut RuleDef)| {
        let mut other = rule.clone();
        change(&mut other);
        out.push((what, other));
    };
    for i in (0..rule.anchors.len()).filter(|_| rule.anchors.len() + rule.keys.len() > 1) {
        add(format!("without the anchor {:?}", rule.anchors[i]), &|r| drop(r.anchors.remove(i)));
    }
    for i in (0..rule.keys.len()).filter(|_| rule.anchors.len() + rule.keys.len() > 1) {
        add(format!("without the key {:?}", rule.keys[i]), &|r| drop(r.keys.remove(i)));
    }
    if let Some(run) = &rule.run {
        let (min, max) = (run.min, run.max);
        add("with a greater min".to_owned(), &|r| {
            if let Some(run) = &mut r.run {
                run.min = min + 1;
                run.max = max.map(|max| max.max(min + 1));
            }
        });
    }
    if let Some(pattern) = &rule.pattern {
        for (at, end, least) in counts(pattern) {
            let longer = format!("{}{}{}", &pattern[..at], least + 1, &pattern[end..]);
            add(format!("with {} in the place of {least} at {at} of the pattern", least + 1), &|r| {
                r.pattern = Some(longer.clone());
            });
        }
    }
    out
}

/// The least counts of a pattern's repetitions that say how long a secret is: where they stand, and the numbers.
fn counts(pattern: &str) -> Vec<(usize, usize, usize)> {
    let mut out = Vec::new();
    for (open, _) in pattern.match_indices('{') {
        let digits = pattern[open + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let end = open + 1 + digits;
        let Some(least) = pattern[open + 1..end].parse().ok().filter(|n| *n >= 8) else { continue };
        // `{8}` is exact: one more of it is another format, which the examples tell.
        if pattern[end..].starts_with(',') {
            out.push((open + 1, end, least));
        }
    }
    out
}

fn texts(table: &BTreeMap<String, Vec<String>>, rule: &RuleDef) -> Vec<String> {
    let pinned = table.get(&rule.id).into_iter().flatten();
    pinned.chain(&rule.examples).map(|t| expand(t).text).collect()
}

#[test]
fn every_rule_finds_its_texts_by_itself() {
    let table = table();
    let mut failures = Vec::new();
    for rule in rules() {
        let alone = Alone::new(&rule).unwrap();
        for text in texts(&table, &rule) {
            if !alone.finds(&text) {
                failures.push(format!("{}: {text}", rule.id));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let ids: Vec<String> = rules().map(|r| r.id).collect();
    let unknown: Vec<&String> = table.keys().filter(|id| !ids.contains(id)).collect();
    assert!(unknown.is_empty(), "rules that are gone: {unknown:?}");
}

#[test]
fn no_rule_can_be_weakened_unnoticed() {
    let table = table();
    let (mut tried, mut unnoticed) = (0, Vec::new());
    for rule in rules() {
        let texts = texts(&table, &rule);
        for (what, weak) in weaker(&rule) {
            tried += 1;
            let noticed = Alone::new(&weak).is_none_or(|weak| texts.iter().any(|t| !weak.finds(t)));
            if !noticed && !EQUAL.contains(&(rule.id.as_str(), what.as_str())) {
                unnoticed.push(format!("{} {what}", rule.id));
            }
        }
    }
    assert!(tried > 400, "only {tried}");
    assert!(unnoticed.is_empty(), "{} of {tried}:\n{}", unnoticed.len(), unnoticed.join("\n"));
}

/// Writes the table anew beside the build, after rules were added or changed on purpose.
#[test]
#[ignore = "writes the table of the shortest texts to target/weakest.toml"]
fn write_the_table() {
    let mut out = String::from(
        "# The shortest text of every anchor and key of each rule, all made up. A rule that finds one of them no more was weakened.\n",
    );
    let kept = table();
    for rule in rules() {
        let alone = Alone::new(&rule).unwrap();
        let mut found: Vec<String> = kept.get(&rule.id).cloned().unwrap_or_default();
        let sets = ["base62", "lower", "hex", "upper", "base32", "digit", "base58"];
        for anchor in &rule.anchors {
            let mut candidates: Vec<String> = Vec::new();
            if let Some(run) = &rule.run {
                candidates.extend(sets.map(|set| format!("{anchor}{{{set}:{}}}", run.min)));
            }
            for example in &rule.examples {
                candidates.push(example.clone());
                candidates.extend(rule.anchors.iter().map(|other| example.replacen(other.as_str(), anchor, 1)));
            }
            let without = weaker(&rule).into_iter().find(|(what, _)| *what == format!("without the anchor {anchor:?}"));
            let without = without.and_then(|(_, rule)| Alone::new(&rule));
            let fits = |t: &String| {
                let text = expand(t).text;
                alone.finds(&text) && without.as_ref().is_none_or(|w| !w.finds(&text))
            };
            if let Some(text) = candidates.into_iter().find(fits) {
                found.push(shortest(&text, &fits));
            }
        }
        found.sort();
        found.dedup();
        let _ = writeln!(out, "{} = {}", rule.id, toml::Value::from(found));
    }
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/target/weakest.toml"), out).unwrap();
}

/// The text with as few generated characters as `fits` allows.
fn shortest(text: &str, fits: &dyn Fn(&String) -> bool) -> String {
    let mut best = text.to_owned();
    'again: loop {
        for (open, _) in best.match_indices(':') {
            let digits = best[open + 1..].bytes().take_while(u8::is_ascii_digit).count();
            let Ok(count) = best[open + 1..open + 1 + digits].parse::<usize>() else { continue };
            let less = format!("{}{}{}", &best[..=open], count.saturating_sub(1), &best[open + 1 + digits..]);
            if count > 1 && best[open + 1 + digits..].starts_with('}') && fits(&less) {
                best = less;
                continue 'again;
            }
        }
        return best;
    }
}

#[test]
fn a_left_boundary_that_is_asked_for_matters() {
    // A rule that takes any neighbour finds its text behind a letter, too.
    for rule in rules().filter(|r| r.left == Boundary::None && r.lookback == 0 && r.run.is_some()) {
        let alone = Alone::new(&rule).unwrap();
        let text = expand(&rule.examples[0]).text;
        assert!(alone.finds(&format!("x{text}")), "{}", rule.id);
    }
}
