//! Evaluation: rules over facts, to drafts of findings.

use std::collections::BTreeSet;
use std::sync::Arc;

use cel::objects::{Key, Map};
use cel::{Context, Value};
use serde_json::Value as Json;

use super::expr::{self, Failure};
use super::load::Rule;
use super::types::{self, Type};
use crate::triage::draft::Draft;
use crate::triage::finding::{Call, Category, Evidence, Level, Place, Severity, Subject};
use crate::triage::text;

/// Evidence of one selector.
const EVIDENCE_MAX: usize = 8;
/// Parties that one finding names.
const PARTIES_MAX: usize = 100;

/// Where facts come from: hands over the fact with this name, each element of a list by itself.
pub(super) type Source<'s> = dyn Fn(&str, &mut dyn FnMut(Json)) + 's;

/// From decoded JSON. Whole numbers become `int`, not `uint`, so that they can be calculated with.
pub(super) fn to_cel(value: Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(b),
        Json::Number(n) => match n.as_i64() {
            Some(n) => Value::Int(n),
            None => n.as_f64().map_or(Value::Null, Value::Float),
        },
        Json::String(text) => Value::String(Arc::new(text)),
        Json::Array(items) => Value::List(Arc::new(items.into_iter().map(to_cel).collect())),
        Json::Object(entries) => Value::Map(Map {
            map: Arc::new(entries.into_iter().map(|(k, v)| (Key::String(Arc::new(k)), to_cel(v))).collect()),
        }),
    }
}

/// Evaluates rules. The text beside each is its profile, in front of its id; `before` are the findings so far.
///
/// A fact of which rules need one element at a time is never there as a whole: it may be as large as the cluster.
pub(super) fn evaluate(rules: &[(&str, &Rule)], source: &Source<'_>, before: &[Draft]) -> Result<Vec<Draft>, String> {
    let fields: Fields = rules.iter().flat_map(|(_, rule)| rule.fields.iter().copied()).collect();
    let mut context = expr::context()?;
    let whole: BTreeSet<&str> =
        rules.iter().flat_map(|(_, r)| r.uses.iter().copied().filter(|f| r.each != Some(f))).collect();
    for name in whole {
        context.add_variable_from_value(name, all(name, source, &fields));
    }
    let mut found: Vec<Result<Vec<Draft>, String>> = Vec::new();
    for (prefix, rule) in rules {
        found.push(if rule.each.is_some() { Ok(Vec::new()) } else { one(rule, prefix, &context) });
    }
    let streamed: BTreeSet<&str> = rules.iter().filter_map(|(_, rule)| rule.each).collect();
    for name in streamed {
        source(name, &mut |item| {
            let item = Value::List(Arc::new(vec![to_cel(lean(name, item, &fields))]));
            for ((prefix, rule), found) in rules.iter().zip(&mut found).filter(|((_, r), _)| r.each == Some(name)) {
                let Ok(drafts) = found else { continue };
                let mut inner = context.new_inner_scope();
                inner.add_variable_from_value(name, item.clone());
                match one(rule, prefix, &inner) {
                    Ok(more) => drafts.extend(more),
                    Err(why) => *found = Err(why),
                }
            }
        });
    }
    let mut drafts = Vec::new();
    for ((prefix, rule), found) in rules.iter().zip(found) {
        match found {
            Ok(found) => drafts.extend(found.into_iter().filter(|d| !said(d, rule, before))),
            Err(why) => drafts.push(broken(rule, prefix, &why)),
        }
    }
    Ok(drafts)
}

/// Fields that some rule looks at: name of the record and of the field.
type Fields = BTreeSet<(&'static str, &'static str)>;

/// A fact as a whole.
fn all(name: &str, source: &Source<'_>, fields: &Fields) -> Value {
    let Some(fact) = types::find(name) else { return Value::Null };
    let mut items = Vec::new();
    source(name, &mut |item| items.push(to_cel(lean(name, item, fields))));
    if matches!(fact.field.of, Type::List(_)) {
        return Value::List(Arc::new(items));
    }
    items.pop().unwrap_or_else(|| to_cel(types::empty(&fact.field.of)))
}

/// An element without the fields that no rule looks at. Its place stays: evidence needs it.
fn lean(name: &str, mut item: Json, fields: &Fields) -> Json {
    let record = match types::find(name).map(|f| f.field.of) {
        Some(Type::List(Type::Record(record))) => record,
        _ => return item,
    };
    if let Json::Object(entries) = &mut item {
        entries.retain(|key, _| {
            key == "at" || record.field(key).is_none_or(|field| fields.contains(&(record.name, field.name)))
        });
    }
    item
}

/// Whether a finding that says the same better is there already.
fn said(draft: &Draft, rule: &Rule, before: &[Draft]) -> bool {
    before
        .iter()
        .filter(|b| rule.not_with.contains(&b.rule))
        .any(|b| b.subjects.iter().any(|s| draft.subjects.contains(s)))
}

fn broken(rule: &Rule, prefix: &str, why: &str) -> Draft {
    Draft::new("rule-failed", Category::DataQuality, Severity::Info, Level::Three)
        .about(Subject::new("rule", "", &format!("{prefix}/{}", rule.id)))
        .title(format!("rule {prefix}/{} could not be evaluated: {why}", rule.id))
        .meaning(format!("What it looks for may be there and was not seen. It stands at {}.", rule.origin))
        .seen_in([Evidence {
            path: crate::bundle::format::MANIFEST.to_owned(),
            place: Place::Pointer("/profile".to_owned()),
            excerpt: format!("rules of profile {prefix}"),
        }])
        .remedy(["Correct the rule, and run: casefile profiles validate"])
}

/// Evaluates one rule for each of its elements.
fn one(rule: &Rule, prefix: &str, context: &Context<'_, '_>) -> Result<Vec<Draft>, String> {
    let Some((name, list)) = &rule.for_each else {
        return match draft(rule, prefix, context) {
            Ok(draft) => Ok(draft.into_iter().collect()),
            Err(Failure::Absent) => Ok(Vec::new()),
            Err(Failure::Broken(why)) => Err(why),
        };
    };
    let items = match list.value(context) {
        Ok(Value::List(items)) => items,
        Ok(other) => return Err(format!("for_each gives a {} and no list", other.type_of())),
        Err(Failure::Absent) => return Ok(Vec::new()),
        Err(Failure::Broken(why)) => return Err(why),
    };
    let mut drafts = Vec::new();
    for item in items.iter() {
        let mut inner = context.new_inner_scope();
        inner.add_variable_from_value(name.as_str(), item.clone());
        match draft(rule, prefix, &inner) {
            Ok(draft) => drafts.extend(draft),
            Err(Failure::Absent) => {}
            Err(Failure::Broken(why)) => return Err(why),
        }
    }
    Ok(drafts)
}

/// Evaluates a rule in a context that has its element.
fn draft(rule: &Rule, prefix: &str, outer: &Context<'_, '_>) -> Result<Option<Draft>, Failure> {
    // What is false without the names of `let` is false with them, and they may be dear.
    if !rule.names.is_empty() && matches!(rule.when.holds(outer), Ok(false)) {
        return Ok(None);
    }
    let mut context = outer.new_inner_scope();
    for (name, expression) in &rule.names {
        context.add_variable_from_value(name.as_str(), expression.value(outer)?);
    }
    if !rule.when.holds(&context)? {
        return Ok(None);
    }
    if let Some(unless) = &rule.unless {
        match unless.holds(&context) {
            Ok(true) => return Ok(None),
            Ok(false) | Err(Failure::Absent) => {}
            Err(broken) => return Err(broken),
        }
    }
    let critical = match rule.critical_when.as_ref().map(|c| c.holds(&context)) {
        None | Some(Err(Failure::Absent)) => false,
        Some(Ok(critical)) => critical,
        Some(Err(broken)) => return Err(broken),
    };
    let subject = rule.subject.render(&context)?;
    let mut parts = subject.splitn(3, '/');
    let mut part = || parts.next().unwrap_or_default();
    let subject = Subject::new(part(), part(), part());
    let mut draft = Draft::new(
        format!("{prefix}/{}", rule.id),
        rule.category,
        if critical { Severity::Critical } else { rule.severity },
        rule.level,
    )
    .about(subject)
    .title(rule.title.render(&context)?)
    .meaning(rule.meaning.render(&context)?)
    .confidence(rule.confidence);
    if let Some(who) = rule.call {
        let mut call = Call::from(who);
        if let Some(parties) = &rule.parties {
            match parties.value(&context) {
                Ok(Value::List(items)) => call.parties = items.iter().filter_map(party).take(PARTIES_MAX).collect(),
                Ok(_) | Err(Failure::Absent) => {}
                Err(broken) => return Err(broken),
            }
        }
        draft = draft.call(call);
    }
    if let Some(group) = &rule.group {
        draft = draft.same_when(group.render(&context)?);
    }
    for step in &rule.remedy {
        draft = draft.remedy([step.render(&context)?]);
    }
    for (selector, excerpt) in &rule.evidence {
        let places = match selector.value(&context) {
            Ok(places) => places,
            Err(Failure::Absent) => continue,
            Err(broken) => return Err(broken),
        };
        let excerpt = excerpt.as_ref().map(|e| e.render(&context)).transpose()?;
        let mut found = Vec::new();
        collect(&places, excerpt.as_deref(), &mut found);
        draft = draft.seen_in(found);
    }
    Ok(Some(draft))
}

/// An id of a party: a number, or a text.
fn party(value: &Value) -> Option<String> {
    match value {
        Value::Int(n) => Some(n.to_string()),
        Value::UInt(n) => Some(n.to_string()),
        Value::String(s) => Some(text::line(s, 40)),
        _ => None,
    }
}

/// Evidence from a place, something that has one, or a list of such.
fn collect(value: &Value, excerpt: Option<&str>, out: &mut Vec<Evidence>) {
    match value {
        Value::List(items) => {
            for item in items.iter() {
                if out.len() >= EVIDENCE_MAX {
                    return;
                }
                collect(item, excerpt, out);
            }
        }
        Value::Map(map) => {
            let get = |name: &str| map.map.get(&Key::String(Arc::new(name.to_owned())));
            if let Some(at) = get("at") {
                return collect(at, excerpt, out);
            }
            let word = |name: &str| match get(name) {
                Some(Value::String(text)) => text.as_str(),
                _ => "",
            };
            let path = word("path");
            if path.is_empty() {
                return;
            }
            let place = match get("line") {
                Some(Value::Int(line)) if *line > 0 => Place::Line(line.unsigned_abs()),
                _ => Place::Pointer(word("pointer").to_owned()),
            };
            let excerpt = excerpt.unwrap_or_else(|| word("text"));
            out.push(Evidence { path: path.to_owned(), place, excerpt: text::line(excerpt, text::EXCERPT) });
        }
        _ => {}
    }
}
