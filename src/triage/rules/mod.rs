//! Rules of profiles as data: conditions in CEL over documented facts, and what to say when they hold.

mod check;
mod engine;
mod expr;
mod facts;
mod load;
mod types;
mod validate;
mod vocabulary;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, LazyLock};

pub use types::documentation as fact_tables;
pub use validate::{Checked, validate};

use super::draft::Draft;
use super::facts::Facts;
use super::finding::{Category, Evidence, Level, Place, Severity, Subject};
use super::signatures::{self, Signatures};
use crate::model::Manifest;
use crate::profile::{self, LabelSelector};
use load::Rule;

/// Profile and text of each `profiles/<id>/rules.toml`. A test walks the folder, so that none can be forgotten here.
const SOURCES: [(&str, &str); 6] = [
    ("kms", include_str!("../../../profiles/kms/rules.toml")),
    ("kubernetes", include_str!("../../../profiles/kubernetes/rules.toml")),
    ("kvstore", include_str!("../../../profiles/kvstore/rules.toml")),
    ("monitoring", include_str!("../../../profiles/monitoring/rules.toml")),
    ("mpc-wallet", include_str!("../../../profiles/mpc-wallet/rules.toml")),
    ("parthenon", include_str!("../../../profiles/parthenon/rules.toml")),
];
/// Rules that hold for every profile with a cluster.
const COMMON: &str = "kubernetes";
/// Rules about services beside a cluster; they hold for every profile.
const SERVICES: &str = "monitoring";

static BUILT_IN: LazyLock<BTreeMap<&str, Vec<Arc<Rule>>>> = LazyLock::new(|| {
    SOURCES
        .iter()
        .filter_map(|(id, text)| {
            let rules = load::parse(&format!("profiles/{id}/rules.toml"), text).ok()?;
            Some((*id, rules.into_iter().map(Arc::new).collect()))
        })
        .collect()
});

/// Why rules or signatures cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// A file or directory cannot be read.
    #[error("cannot read {path}: {reason}; check the path and its rights")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
    /// The directory holds nothing that could be used.
    #[error(
        "{path} holds neither {id}/rules.toml nor {id}/signatures.toml, and no rules.toml or signatures.toml of its own"
    )]
    Empty {
        /// The directory.
        path: String,
        /// The profile.
        id: String,
    },
    /// Mistakes in files, one `file:line:column: what` a line.
    #[error("{0}\ncheck them with: casefile profiles validate DIR")]
    Mistakes(String),
    /// The profile itself.
    #[error(transparent)]
    Profile(#[from] profile::ProfileError),
}

/// What is known of one kind of system: the rules and log signatures of its profile, and how to find its main part.
#[derive(Debug, Clone, Default)]
pub struct Rulebook {
    id: String,
    pub(super) detect: Vec<LabelSelector>,
    pub(super) signatures: Option<Arc<Signatures>>,
    /// With the profile that each rule belongs to.
    rules: Vec<(String, Arc<Rule>)>,
}

impl Rulebook {
    /// The rulebook of a built-in profile; an unknown id has the rules that hold for every cluster.
    #[must_use]
    pub fn builtin(id: &str) -> Self {
        let mut rules = Vec::new();
        let ids = [COMMON, SERVICES, id];
        let ids = ids.iter().enumerate().filter(|(i, source)| {
            let twice = ids[..*i].contains(source);
            let of_clusters = **source == COMMON && id == "host";
            !(twice || of_clusters)
        });
        for (_, source) in ids {
            let found = BUILT_IN.get(source).into_iter().flatten();
            rules.extend(found.map(|rule| ((*source).to_owned(), Arc::clone(rule))));
        }
        Self {
            id: id.to_owned(),
            detect: profile::find_builtin(id).map_or_else(|_| Vec::new(), |p| p.kubernetes.detect.clone()),
            signatures: Signatures::of_profile(id),
            rules,
        }
    }

    /// The rulebook of a profile directory.
    ///
    /// # Errors
    /// When `profile.toml` or one of the other files cannot be read or has mistakes.
    pub fn of_directory(dir: &Path) -> Result<Self, RuleError> {
        let profile = profile::load_dir(dir)?;
        let mut book = Self {
            id: profile.id.clone(),
            detect: profile.kubernetes.detect,
            signatures: None,
            rules: Self::builtin(if profile.id == "host" { "host" } else { COMMON }).rules,
        };
        book.read(dir)?;
        Ok(book)
    }

    /// Adds the rules and signatures of a directory: of `DIR/<id of the profile>/` where that exists, else of `DIR` itself. A
    /// rule or signature whose id is known replaces the older one.
    ///
    /// # Errors
    /// When there is nothing to read, or it has mistakes.
    pub fn with_directory(mut self, dir: &Path) -> Result<Self, RuleError> {
        let own = dir.join(&self.id);
        let found = if own.is_dir() { self.read(&own)? } else { self.read(dir)? };
        if found {
            return Ok(self);
        }
        Err(RuleError::Empty { path: dir.display().to_string(), id: self.id })
    }

    /// Id of the profile.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    fn read(&mut self, dir: &Path) -> Result<bool, RuleError> {
        let mut found = false;
        if let Some((origin, text)) = read_file(&dir.join("rules.toml"))? {
            let rules = load::parse(&origin, &text).map_err(|m| RuleError::Mistakes(m.join("\n")))?;
            let ids: BTreeSet<&str> = rules.iter().map(|r| r.id.as_str()).collect();
            self.rules.retain(|(profile, r)| *profile != self.id || !ids.contains(r.id.as_str()));
            let id = self.id.clone();
            self.rules.extend(rules.into_iter().map(|r| (id.clone(), Arc::new(r))));
            found = true;
        }
        if let Some((origin, text)) = read_file(&dir.join("signatures.toml"))? {
            let parsed = signatures::parse_over(self.signatures.as_deref(), &origin, &text);
            self.signatures = Some(Arc::new(parsed.map_err(|e| RuleError::Mistakes(e.to_string()))?));
            found = true;
        }
        Ok(found)
    }

    /// Evaluates the rules; `before` are the findings so far.
    pub(super) fn evaluate(&self, facts: &Facts, manifest: &Manifest, before: &[Draft]) -> Vec<Draft> {
        let run = || {
            let rules: Vec<(&str, &Rule)> = self.rules.iter().map(|(id, r)| (id.as_str(), r.as_ref())).collect();
            let source = |name: &str, out: &mut dyn FnMut(serde_json::Value)| {
                facts::visit(name, facts, manifest, self.signatures.as_deref(), out);
            };
            engine::evaluate(&rules, &source, before)
        };
        match expr::on_large_stack(run).map_err(|e| e.to_string()).and_then(|r| r) {
            Ok(drafts) => drafts,
            Err(why) => vec![failed(&self.id, &why)],
        }
    }

    /// Depth and links of the rules and signatures, by their full id.
    pub(super) fn links(&self) -> BTreeMap<String, Links> {
        let signatures = self.signatures.iter().flat_map(|s| s.depths()).map(|(id, depth)| {
            (format!("{}/{id}", self.id), Links { depth, explains: Vec::new(), explained_by: Vec::new() })
        });
        let rules = self.rules.iter().map(|(id, r)| {
            let links = Links { depth: r.depth, explains: r.explains.clone(), explained_by: r.explained_by.clone() };
            (format!("{id}/{}", r.id), links)
        });
        signatures.chain(rules).collect()
    }
}

/// What a rule says about its place in a chain.
#[derive(Debug)]
pub(super) struct Links {
    pub(super) depth: u8,
    /// Empty: everything that it reaches. A `*` at the end stands for any rest.
    pub(super) explains: Vec<String>,
    /// Empty: everything that reaches it.
    pub(super) explained_by: Vec<String>,
}

/// Whether one of these patterns names this rule; no pattern at all names every rule.
pub(super) fn names(patterns: &[String], rule: &str) -> bool {
    patterns.is_empty()
        || patterns.iter().any(|p| match p.strip_suffix('*') {
            Some(head) => rule.starts_with(head),
            None => p == rule,
        })
}

fn failed(id: &str, why: &str) -> Draft {
    Draft::new("rule-failed", Category::DataQuality, Severity::Info, Level::Three)
        .about(Subject::new("profile", "", id))
        .title(format!("the rules of profile {id} could not be evaluated: {why}"))
        .meaning("What they look for may be there and was not seen.")
        .seen_in([Evidence {
            path: crate::bundle::format::MANIFEST.to_owned(),
            place: Place::Pointer("/profile".to_owned()),
            excerpt: id.to_owned(),
        }])
        .remedy(["Check the rules: casefile profiles validate"])
}

/// Name and text of a file; none when it does not exist.
fn read_file(path: &Path) -> Result<Option<(String, String)>, RuleError> {
    let origin = path.display().to_string();
    let unreadable = |reason: String| RuleError::Unreadable { path: origin.clone(), reason };
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(e.to_string())),
        Ok(meta) if meta.len() > load::FILE_MAX => {
            return Err(unreadable(format!("it is larger than {} bytes", load::FILE_MAX)));
        }
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
    Ok(Some((origin, text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = r#"schema = 1
[[rule]]
id = "r"
category = "startup"
severity = "warning"
level = 1
for_each = "p in pods"
when = "p.restarts > 3"
subject = "pod/{p.namespace}/{p.name}"
title = "{who} restarted {p.restarts} times {{so}}"
meaning = "m"
remedy = ["look at {p.name}"]
[[rule.evidence]]
at = "p"
[[rule.case]]
name = "often"
facts.pods = [{ namespace = "n", name = "a", restarts = 4 }]
expect = ["pod/n/a"]
title = "{who} restarted 4 times {so}"
[[rule.case]]
name = "seldom"
facts.pods = [{ name = "a", restarts = 3 }]
expect = []
"#;

    fn problems(text: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let profile = "schema = 1\nid = \"x\"\ntitle = \"X\"\nprefix = \"x\"\n";
        std::fs::write(dir.path().join("profile.toml"), profile).unwrap();
        std::fs::write(dir.path().join("rules.toml"), text).unwrap();
        let prefix = format!("{}/", dir.path().display());
        let checked = validate(&dir.path().display().to_string());
        checked.problems.into_iter().map(|p| p.replace(&prefix, "")).collect()
    }

    #[test]
    fn every_file_is_built_in_and_valid() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
        let mut found = Vec::new();
        for entry in std::fs::read_dir(root).unwrap() {
            let entry = entry.unwrap();
            if entry.path().join("rules.toml").is_file() {
                found.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        found.sort();
        assert_eq!(found, SOURCES.map(|(id, _)| id.to_owned()));
        for (id, _) in SOURCES {
            let checked = validate(id);
            assert!(checked.problems.is_empty(), "{}", checked.problems.join("\n"));
            assert!(checked.rules > 0 && checked.cases >= 2 * checked.rules, "{checked:?}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        assert_eq!(problems(RULE), Vec::<String>::new());
        for (from, to, want) in [
            ("level = 1", "level = 1\nlevell = 2", "rules.toml:7:1: unknown field `levell`"),
            ("level = 1", "level = 1\nlevell = 2", "did you mean `level`?"),
            ("p in pods", "p in podss", "rules.toml:7:12: there is no fact `podss`; did you mean `pods`?"),
            (
                "p.restarts > 3",
                "p.restart > 3",
                "rules.toml:8:8: a pod has no field `restart`; did you mean `restarts`?",
            ),
            ("p.restarts > 3", "p.restarts > 'x'", "rules.toml:8:8: `>` cannot compare an int with a string"),
            ("p.restarts > 3", "p.restarts", "a condition must be a bool, and this is an int"),
            ("p.restarts > 3", "p.restarts >", "cannot be parsed"),
            ("p.restarts > 3", "p.name.startWith('a')", "there is no function `startWith`; did you mean `startsWith`?"),
            (
                "p.restarts > 3",
                "p.containers.exists(c, c.nam == 'x')",
                "a container has no field `nam`; did you mean `name`?",
            ),
            ("p.restarts > 3", "p.restarts * 0.5 > 1.0", "`*` does not take an int and a double"),
            ("p in pods", "p in profile", "for_each needs a list, and gets a string"),
            ("{p.restarts} times", "{p.labels} times", "`{p.labels}` is a map and no text"),
            ("{p.restarts} times", "{p.restarts times", "rules.toml:10:9: the expression cannot be parsed"),
            ("at = \"p\"", "at = \"p.name\"", "evidence must be a place"),
            ("level = 1", "level = 4", "level 4 does not exist"),
            (
                "expect = []",
                "expect = [\"pod//a\"]",
                "case \"seldom\" of rule `r`: expected a finding about pod//a, got one about nothing",
            ),
            ("restarts = 3 }", "restart = 3 }", "pods[0] has no field `restart`; did you mean `restarts`?"),
            ("restarts = 3 }", "restarts = \"x\" }", "pods[0].restarts must be a whole number"),
            (
                "level = 1",
                "level = 1\nexplains = [\"container-cras\"]",
                "there is no rule `container-cras`; did you mean `container-crash`?",
            ),
            ("for_each = \"p in pods\"\nwhen = \"p.restarts > 3\"", "when = \"1 > 0\"", "there is no fact `p`"),
            ("id = \"r\"", "id = \"R\"", "lower-case"),
        ] {
            assert!(RULE.contains(from), "{from}");
            let problems = problems(&RULE.replace(from, to));
            assert!(problems.iter().any(|p| p.contains(want)), "{to}: {problems:?}");
        }
        let silent = RULE.replace(
            "facts.pods = [{ name = \"a\", restarts = 3 }]\nexpect = []",
            "facts.pods = [{ name = \"a\", restarts = 5 }]\nexpect = [\"pod//a\"]",
        );
        assert!(problems(&silent).iter().any(|p| p.contains("in which it is silent")));
    }

    #[test]
    fn expressions_cannot_overflow_the_stack() {
        for deep in [
            format!("{}true{}", "(".repeat(400), ")".repeat(400)),
            "!".repeat(900) + "true",
            "1+".repeat(450) + "1 > 0",
        ] {
            // Whether it is refused or not, the process goes on.
            let _ = problems(&RULE.replace("p.restarts > 3", &deep));
        }
        let long = format!("p.name == '{}'", "x".repeat(2_000));
        assert!(problems(&RULE.replace("p.restarts > 3", &long)).iter().any(|p| p.contains("the limit is")));
    }

    #[test]
    fn the_facts_are_those_of_the_documentation() {
        let text = include_str!("../../../docs/triage.md");
        for line in fact_tables().lines() {
            assert!(text.contains(line), "docs/triage.md lacks (see: casefile profiles facts)\n{line}");
        }
    }

    #[test]
    fn a_rule_that_cannot_be_evaluated_is_told() {
        // `value` of a configuration is of any type, so this is only found when it is evaluated.
        let text = RULE
            .replace("p in pods", "p in configs")
            .replace("p.restarts > 3", "p.value.a > 1")
            .replace("{p.name}", "{p.pod}")
            .replace("{p.restarts}", "many");
        let text = &text[..text.find("[[rule.case]]").unwrap()];
        let rules = load::parse("r.toml", text).unwrap();
        let value = |a: serde_json::Value| {
            let config = serde_json::json!([{ "namespace": "n", "pod": "p", "value": { "a": a } }]);
            let whole = types::complete(&types::find("configs").unwrap().field.of, config, "configs").unwrap();
            let source = |_: &str, out: &mut dyn FnMut(serde_json::Value)| {
                whole.as_array().unwrap().iter().cloned().for_each(out);
            };
            let drafts = engine::evaluate(&[("x", &rules[0])], &source, &[]).unwrap();
            drafts.into_iter().map(|d| d.rule).collect::<Vec<_>>()
        };
        assert_eq!(value(serde_json::json!(2)), ["x/r"]);
        assert_eq!(value(serde_json::json!(1)), Vec::<String>::new());
        assert_eq!(value(serde_json::json!({ "b": 1 })), ["rule-failed"]);
    }

    #[test]
    fn rules_that_go_through_a_fact_never_need_all_of_it() {
        let each = |for_each: &str, when: &str| {
            let text = RULE.replace("p in pods", for_each).replace("p.restarts > 3", when);
            let text = &text[..text.find("[[rule.case]]").unwrap()];
            load::parse("r.toml", text).unwrap().remove(0)
        };
        let pods: Vec<serde_json::Value> = (0..5)
            .map(|i| serde_json::json!({"namespace": "n", "name": format!("p{i}"), "restarts": i, "ready": i % 2 == 0}))
            .collect();
        let pods = types::complete(&types::find("pods").unwrap().field.of, pods.into(), "pods").unwrap();
        let source = |name: &str, out: &mut dyn FnMut(serde_json::Value)| {
            if name == "pods" {
                pods.as_array().unwrap().iter().cloned().for_each(out);
            }
        };
        for (for_each, when, streams, want) in [
            ("p in pods", "p.restarts > 3", true, vec!["p4"]),
            ("p in pods.filter(x, x.ready)", "p.restarts > 1", true, vec!["p2", "p4"]),
            ("p in pods.filter(x, pods.exists(y, y.restarts > x.restarts))", "p.restarts > 1", false, vec!["p2", "p3"]),
            ("p in pods", "size(pods) == 5 && p.restarts > 3", false, vec!["p4"]),
        ] {
            let rule = each(for_each, when);
            assert_eq!(rule.each.is_some(), streams, "{for_each} {when}");
            assert!(rule.uses.contains("pods") && rule.fields.contains(&("pod", "restarts")));
            let found = engine::evaluate(&[("x", &rule)], &source, &[]).unwrap();
            let names: Vec<&str> = found.iter().flat_map(|d| &d.subjects).map(Subject::name).collect();
            assert_eq!(names, want, "{for_each} {when}");
        }
    }
}
