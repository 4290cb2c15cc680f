//! `rules.toml`: its shape, and everything that can be wrong with it before a bundle is there.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use super::check::{Scope, Seen, Ty};
use super::expr::{self, Expression, Template, on_large_stack};
use super::types;
use crate::model::place::{nearest, position, toml_error};
use crate::triage::finding::{Category, Level, Severity, Who};

/// Largest rule file that is read, in bytes.
pub(super) const FILE_MAX: u64 = 1 << 20;
/// Rules of one file.
const RULES_MAX: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: u32,
    #[serde(default)]
    rule: Vec<RuleText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    id: Spanned<String>,
    category: Category,
    severity: Severity,
    level: Level,
    #[serde(default)]
    call: Option<Who>,
    #[serde(default)]
    parties: Option<Spanned<String>>,
    title: Spanned<String>,
    meaning: Spanned<String>,
    remedy: Vec<Spanned<String>>,
    #[serde(default)]
    for_each: Option<Spanned<String>>,
    #[serde(default, rename = "let")]
    names: BTreeMap<String, Spanned<String>>,
    when: Spanned<String>,
    #[serde(default)]
    unless: Option<Spanned<String>>,
    #[serde(default)]
    critical_when: Option<Spanned<String>>,
    subject: Spanned<String>,
    #[serde(default)]
    group: Option<Spanned<String>>,
    #[serde(default = "default_confidence")]
    confidence: f64,
    #[serde(default = "default_depth")]
    depth: u8,
    #[serde(default)]
    evidence: Vec<EvidenceText>,
    #[serde(default)]
    explains: Vec<Spanned<String>>,
    #[serde(default)]
    explained_by: Vec<Spanned<String>>,
    #[serde(default)]
    not_with: Vec<Spanned<String>>,
    #[serde(default)]
    case: Vec<CaseText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EvidenceText {
    at: Spanned<String>,
    #[serde(default)]
    excerpt: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseText {
    name: Spanned<String>,
    #[serde(default)]
    facts: BTreeMap<String, Value>,
    expect: Vec<String>,
    #[serde(default)]
    severity: Option<Severity>,
    #[serde(default)]
    title: Option<String>,
}

fn default_confidence() -> f64 {
    0.8
}

fn default_depth() -> u8 {
    4
}

/// A compiled rule.
#[derive(Debug)]
pub(super) struct Rule {
    /// Without the profile in front.
    pub(super) id: String,
    /// `file:line:column` of its id.
    pub(super) origin: String,
    pub(super) category: Category,
    pub(super) severity: Severity,
    pub(super) level: Level,
    /// None: who acts by the level.
    pub(super) call: Option<Who>,
    /// Ids of the parties that `call = "peer"` means: a list.
    pub(super) parties: Option<Expression>,
    pub(super) title: Template,
    pub(super) meaning: Template,
    pub(super) remedy: Vec<Template>,
    /// Name of the element and the list that it comes from.
    pub(super) for_each: Option<(String, Expression)>,
    pub(super) names: Vec<(String, Expression)>,
    pub(super) when: Expression,
    pub(super) unless: Option<Expression>,
    pub(super) critical_when: Option<Expression>,
    pub(super) subject: Template,
    pub(super) group: Option<Template>,
    pub(super) confidence: f64,
    pub(super) depth: u8,
    pub(super) evidence: Vec<(Expression, Option<Template>)>,
    pub(super) explains: Vec<String>,
    pub(super) explained_by: Vec<String>,
    pub(super) not_with: Vec<String>,
    pub(super) cases: Vec<Case>,
    /// Facts that it uses.
    pub(super) uses: BTreeSet<&'static str>,
    /// The fact of which it needs one element at a time, and which it uses for nothing else.
    pub(super) each: Option<&'static str>,
    /// Fields of records that it looks at.
    pub(super) fields: BTreeSet<(&'static str, &'static str)>,
    /// Places of the ids of other rules, for [`super::validate()`].
    pub(super) links: Vec<(String, String)>,
}

/// An example of what a rule says.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) origin: String,
    pub(super) facts: BTreeMap<String, Value>,
    /// Subjects that it must name, in any order; none when it must be silent.
    pub(super) expect: Vec<String>,
    pub(super) severity: Option<Severity>,
    pub(super) title: Option<String>,
}

/// Parses, checks and compiles the text of a `rules.toml`; `origin` names it in errors.
///
/// # Errors
/// All mistakes, one `file:line:column: what` each. Mistakes of the TOML itself are found one at a time.
pub(super) fn parse(origin: &str, text: &str) -> Result<Vec<Rule>, Vec<String>> {
    let file: File = toml::from_str(text).map_err(|e| vec![toml_error(origin, text, &e)])?;
    if file.schema != 1 {
        return Err(vec![format!("{origin}:1:1: schema = {} is not known; this version reads schema 1", file.schema)]);
    }
    if file.rule.len() > RULES_MAX {
        return Err(vec![format!("{origin}:1:1: {} rules; the limit is {RULES_MAX}", file.rule.len())]);
    }
    let compiled = on_large_stack(|| {
        let mut rules = Vec::new();
        let mut mistakes = Vec::new();
        let mut ids = BTreeSet::new();
        for rule in file.rule {
            let mut reader = Reader { origin, text, mistakes: &mut mistakes, seen: Seen::default() };
            if !ids.insert(rule.id.get_ref().clone()) {
                reader.mistake(&rule.id, "this id stands twice");
            }
            rules.extend(reader.rule(rule));
        }
        if mistakes.is_empty() { Ok(rules) } else { Err(mistakes) }
    });
    compiled.unwrap_or_else(|e| Err(vec![format!("{origin}: {e}")]))
}

/// Reads one rule and notes what is wrong with it.
struct Reader<'a> {
    origin: &'a str,
    text: &'a str,
    mistakes: &'a mut Vec<String>,
    seen: Seen,
}

impl Reader<'_> {
    fn place(&self, at: &Spanned<String>) -> String {
        let (line, column) = position(self.text, at.span().start);
        format!("{}:{line}:{column}", self.origin)
    }

    fn mistake(&mut self, at: &Spanned<String>, what: &str) {
        let place = self.place(at);
        self.mistakes.push(format!("{place}: {what}"));
    }

    fn expression(&mut self, source: &Spanned<String>, scope: &Scope) -> Option<Expression> {
        match expr::compile(source.get_ref(), scope, &mut self.seen) {
            Ok(expression) => Some(expression),
            Err(what) => {
                self.mistake(source, &what);
                None
            }
        }
    }

    fn condition(&mut self, source: &Spanned<String>, scope: &Scope) -> Option<Expression> {
        let expression = self.expression(source, scope)?;
        if matches!(expression.ty, Ty::Bool | Ty::Any) {
            return Some(expression);
        }
        self.mistake(source, &format!("a condition must be a bool, and this is {}", expression.ty.show()));
        None
    }

    fn template(&mut self, source: &Spanned<String>, scope: &Scope) -> Option<Template> {
        match Template::compile(source.get_ref(), scope, &mut self.seen) {
            Ok(template) => Some(template),
            Err(what) => {
                self.mistake(source, &what);
                None
            }
        }
    }

    fn parties(&mut self, source: &Spanned<String>, scope: &Scope, call: Option<Who>) -> Option<Expression> {
        if call != Some(Who::Peer) {
            self.mistake(source, "parties needs call = \"peer\"");
            return None;
        }
        let expression = self.expression(source, scope)?;
        if matches!(expression.ty, Ty::List(_) | Ty::Any) {
            return Some(expression);
        }
        self.mistake(source, &format!("parties must be a list, and this is {}", expression.ty.show()));
        None
    }

    /// `p in pods`.
    fn for_each(&mut self, source: &Spanned<String>, scope: &mut Scope) -> Option<(String, Expression)> {
        let Some((name, list)) = source.get_ref().split_once(" in ") else {
            self.mistake(source, "for_each must be `<name> in <list>`, such as `p in pods`");
            return None;
        };
        let name = name.trim().to_owned();
        if !self.is_name(source, &name) {
            return None;
        }
        let list = match expr::compile(list, scope, &mut self.seen) {
            Ok(list) => list,
            Err(what) => {
                self.mistake(source, &what);
                return None;
            }
        };
        let element = match &list.ty {
            Ty::List(element) => element.as_ref().clone(),
            Ty::Any => Ty::Any,
            other => {
                self.mistake(source, &format!("for_each needs a list, and gets {}", other.show()));
                return None;
            }
        };
        scope.insert(name.clone(), element);
        Some((name, list))
    }

    fn is_name(&mut self, at: &Spanned<String>, name: &str) -> bool {
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !plain || name.starts_with(|c: char| c.is_ascii_digit()) || name == "who" || types::find(name).is_some() {
            self.mistake(at, &format!("`{name}` cannot be a name: letters, digits and `_`, and no name of a fact"));
            return false;
        }
        true
    }

    fn rule(&mut self, rule: RuleText) -> Option<Rule> {
        let before = self.mistakes.len();
        let id = rule.id.get_ref().clone();
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            self.mistake(&rule.id, "an id has lower-case letters, digits and `-`");
        }
        if !(0.0..=1.0).contains(&rule.confidence) {
            self.mistake(&rule.id, "confidence must be between 0 and 1");
        }
        if rule.depth > 8 {
            self.mistake(&rule.id, "depth must be between 0 (a cause) and 8 (a consequence)");
        }
        if rule.remedy.is_empty() {
            self.mistake(&rule.id, "remedy needs at least one step");
        }
        if rule.evidence.is_empty() {
            self.mistake(&rule.id, "a rule needs [[rule.evidence]], so that people can see for themselves");
        }
        let mut scope = Scope::new();
        let for_each = rule.for_each.as_ref().map(|source| self.for_each(source, &mut scope));
        if matches!(for_each, Some(None)) {
            // Everything else would only complain about the element that is not known.
            return None;
        }
        let listed = std::mem::take(&mut self.seen.facts);
        let mut names = Vec::new();
        let item_scope = scope.clone();
        for (name, source) in &rule.names {
            if self.is_name(source, name)
                && let Some(expression) = self.expression(source, &item_scope)
            {
                scope.insert(name.clone(), expression.ty.clone());
                names.push((name.clone(), expression));
            }
        }
        if self.mistakes.len() > before {
            return None;
        }
        let when = self.condition(&rule.when, &scope);
        let unless = rule.unless.as_ref().map(|s| self.condition(s, &scope));
        let critical_when = rule.critical_when.as_ref().map(|s| self.condition(s, &scope));
        let title = self.template(&rule.title, &scope);
        let meaning = self.template(&rule.meaning, &scope);
        let remedy: Vec<_> = rule.remedy.iter().filter_map(|s| self.template(s, &scope)).collect();
        let subject = self.template(&rule.subject, &scope);
        if rule.subject.get_ref().matches('/').count() < 2 {
            self.mistake(&rule.subject, "subject must be `kind/namespace/name`; the namespace may be empty");
        }
        let parties = rule.parties.as_ref().map(|s| self.parties(s, &scope, rule.call));
        let group = rule.group.as_ref().map(|s| self.template(s, &scope));
        let mut evidence = Vec::new();
        for selector in &rule.evidence {
            let excerpt = selector.excerpt.as_ref().map(|s| self.template(s, &scope));
            if let Some(at) = self.expression(&selector.at, &scope) {
                if !is_place(&at.ty) {
                    self.mistake(
                        &selector.at,
                        &format!(
                            "evidence must be a place (`x.at`), something that has one, or a list of such; this is {}",
                            at.ty.show()
                        ),
                    );
                }
                evidence.push((at, excerpt.flatten()));
            }
        }
        let cases: Vec<_> = rule.case.into_iter().filter_map(|case| self.case(case)).collect();
        let mut uses = std::mem::take(&mut self.seen.facts);
        let each = rule.for_each.as_ref().zip(for_each.as_ref()).and_then(|(source, list)| {
            let fact = list.as_ref()?.1.made_of()?;
            let once = words(source.get_ref()).filter(|w| *w == fact).count() == 1;
            (once && !uses.contains(fact)).then_some(fact)
        });
        uses.extend(listed);
        let strings = |of: &[Spanned<String>]| of.iter().map(|s| s.get_ref().clone()).collect::<Vec<_>>();
        let links = rule.explains.iter().chain(&rule.explained_by).chain(&rule.not_with);
        let links = links.map(|s| (s.get_ref().clone(), self.place(s))).collect();
        if self.mistakes.len() > before {
            return None;
        }
        Some(Rule {
            origin: self.place(&rule.id),
            id,
            category: rule.category,
            severity: rule.severity,
            level: rule.level,
            call: rule.call,
            parties: parties.flatten(),
            title: title?,
            meaning: meaning?,
            remedy,
            for_each: for_each.flatten(),
            names,
            when: when?,
            unless: unless.flatten(),
            critical_when: critical_when.flatten(),
            subject: subject?,
            group: group.flatten(),
            confidence: rule.confidence,
            depth: rule.depth,
            evidence,
            explains: strings(&rule.explains),
            explained_by: strings(&rule.explained_by),
            not_with: strings(&rule.not_with),
            cases,
            uses,
            each,
            fields: std::mem::take(&mut self.seen.fields),
            links,
        })
    }

    fn case(&mut self, case: CaseText) -> Option<Case> {
        let before = self.mistakes.len();
        let mut facts = BTreeMap::new();
        for (name, given) in case.facts {
            let Some(fact) = types::find(&name) else {
                let hint = nearest(&name, super::vocabulary::FACTS.iter().map(|f| f.field.name));
                self.mistake(&case.name, &format!("there is no fact `{name}`{hint}"));
                continue;
            };
            match types::complete(&fact.field.of, given, &name) {
                Ok(whole) => {
                    facts.insert(name, whole);
                }
                Err(what) => self.mistake(&case.name, &what),
            }
        }
        (self.mistakes.len() == before).then(|| Case {
            origin: self.place(&case.name),
            name: case.name.into_inner(),
            facts,
            expect: case.expect,
            severity: case.severity,
            title: case.title,
        })
    }
}

/// The words of an expression: names, and what stands in texts.
fn words(source: &str) -> impl Iterator<Item = &str> {
    source.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// Whether evidence can be made of a value of this type.
fn is_place(ty: &Ty) -> bool {
    match ty {
        Ty::Record(record) => record.name == "place" || record.field("at").is_some(),
        Ty::List(of) => is_place(of),
        Ty::Any => true,
        _ => false,
    }
}
