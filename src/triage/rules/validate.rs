//! `casefile profiles validate`: everything that can be known about rules and signatures without a bundle.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::engine;
use super::expr::on_large_stack;
use super::load::{self, Case, Rule};
use super::{Rulebook, SOURCES, names, read_file};
use crate::profile;
use crate::triage::root_cause;
use crate::triage::signatures;

/// What a check of one profile found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Id of the profile.
    pub profile: String,
    /// Number of its rules.
    pub rules: usize,
    /// Number of cases that were run.
    pub cases: usize,
    /// Number of its log signatures.
    pub signatures: usize,
    /// Mistakes, each `file:line:column: what` where the place is known.
    pub problems: Vec<String>,
}

/// Checks a profile: a directory, or the id of a built-in one.
#[must_use]
pub fn validate(profile: &str) -> Checked {
    let dir = Path::new(profile);
    if let Ok(builtin) = profile::find_builtin(profile) {
        let text = |sources: &[(&str, &str)]| {
            sources.iter().find(|(id, _)| *id == profile).map(|(_, text)| (*text).to_owned())
        };
        let name = |file: &str| format!("profiles/{profile}/{file}");
        let rules = text(&SOURCES).map(|t| (name("rules.toml"), t));
        let signatures = text(&signatures::SOURCES).map(|t| (name("signatures.toml"), t));
        return check(&builtin.id, rules, signatures);
    }
    let mut checked = Checked { profile: profile.to_owned(), ..Checked::default() };
    let id = match profile::load_dir(dir) {
        Ok(profile) => profile.id,
        Err(error) => {
            checked.problems.push(error.to_string());
            return checked;
        }
    };
    match (read_file(&dir.join("rules.toml")), read_file(&dir.join("signatures.toml"))) {
        (Ok(rules), Ok(signatures)) => check(&id, rules, signatures),
        (rules, signatures) => {
            checked.problems.extend([rules.err(), signatures.err()].into_iter().flatten().map(|e| e.to_string()));
            checked
        }
    }
}

fn check(id: &str, rules: Option<(String, String)>, signatures: Option<(String, String)>) -> Checked {
    let mut checked = Checked { profile: id.to_owned(), ..Checked::default() };
    let mut known: BTreeSet<String> = Rulebook::builtin(id).links().into_keys().collect();
    if let Some((origin, text)) = signatures {
        match signatures::parse_over(None, &origin, &text) {
            Ok(parsed) => {
                checked.signatures = parsed.len();
                known.extend(parsed.ids().map(|s| format!("{id}/{s}")));
            }
            Err(error) => checked.problems.push(error.to_string()),
        }
    }
    let Some((origin, text)) = rules else { return checked };
    let rules = match load::parse(&origin, &text) {
        Ok(rules) => rules,
        Err(mistakes) => {
            checked.problems.extend(mistakes);
            return checked;
        }
    };
    known.extend(rules.iter().map(|r| format!("{id}/{}", r.id)));
    checked.rules = rules.len();
    for rule in &rules {
        checked.problems.extend(dead(rule));
        for (link, place) in &rule.links {
            let one = [link.clone()];
            let there = known.iter().any(|k| names(&one, k)) || root_cause::RULES.iter().any(|k| names(&one, k));
            if !there {
                let all = known.iter().map(String::as_str).chain(root_cause::RULES.iter().copied());
                checked
                    .problems
                    .push(format!("{place}: there is no rule `{link}`{}", crate::model::place::nearest(link, all)));
            }
        }
    }
    let rules: Vec<Arc<Rule>> = rules.into_iter().map(Arc::new).collect();
    let run = on_large_stack(|| {
        let cases = rules.iter().flat_map(|rule| rule.cases.iter().map(move |case| (rule, case)));
        cases.map(|(rule, case)| run(id, rule, case)).collect::<Vec<_>>()
    });
    match run {
        Ok(results) => {
            checked.cases = results.len();
            checked.problems.extend(results.into_iter().flatten());
        }
        Err(error) => checked.problems.push(format!("{origin}: the cases could not be run: {error}")),
    }
    checked
}

/// Rules that can never say anything, or of which nobody knows whether they can.
fn dead(rule: &Rule) -> Vec<String> {
    let mut problems = Vec::new();
    let mut say = |what: &str| problems.push(format!("{}: rule `{}` {what}", rule.origin, rule.id));
    if rule.uses.is_empty() {
        say("looks at no fact, so it holds always or never");
    }
    if rule.cases.iter().all(|c| c.expect.is_empty()) {
        say("needs a [[rule.case]] in which it fires");
    }
    if rule.cases.iter().all(|c| !c.expect.is_empty()) {
        say("needs a [[rule.case]] in which it is silent");
    }
    problems
}

/// Runs one case; gives what is wrong.
fn run(id: &str, rule: &Rule, case: &Case) -> Option<String> {
    let wrong = |what: String| Some(format!("{}: case \"{}\" of rule `{}`: {what}", case.origin, case.name, rule.id));
    if let Some(unused) = case.facts.keys().find(|f| !rule.uses.contains(f.as_str())) {
        return wrong(format!("it gives `{unused}`, which the rule does not look at"));
    }
    let source = |name: &str, out: &mut dyn FnMut(serde_json::Value)| match case.facts.get(name).cloned() {
        Some(serde_json::Value::Array(items)) => items.into_iter().for_each(out),
        Some(given) => out(given),
        None => {}
    };
    let drafts = match engine::evaluate(&[(id, rule)], &source, &[]) {
        Ok(drafts) => drafts,
        Err(error) => return wrong(error),
    };
    if let Some(broken) = drafts.iter().find(|d| d.rule == "rule-failed") {
        return wrong(broken.title.clone());
    }
    let got: BTreeSet<&str> = drafts.iter().flat_map(|d| &d.subjects).map(|s| s.as_str()).collect();
    let want: BTreeSet<&str> = case.expect.iter().map(String::as_str).collect();
    if got != want {
        let show = |subjects: BTreeSet<&str>| match subjects.len() {
            0 => "nothing".to_owned(),
            _ => subjects.into_iter().collect::<Vec<_>>().join(", "),
        };
        return wrong(format!("expected a finding about {}, got one about {}", show(want), show(got)));
    }
    let first = drafts.first()?;
    if case.severity.is_some_and(|s| s != first.severity) {
        return wrong(format!("expected another severity than {}", first.severity));
    }
    if let Some(title) = case.title.as_ref().filter(|t| **t != first.title) {
        return wrong(format!("expected the title \"{title}\", got \"{}\"", first.title));
    }
    // Values of a case without a place have no evidence; those of a bundle always have one.
    None
}
