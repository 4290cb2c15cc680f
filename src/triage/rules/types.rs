//! Types of the facts that rules may use: checks, default values of cases and the documentation go by them.

use serde_json::{Map, Value, json};

use super::vocabulary::FACTS;

/// Type of a fact or of a part of one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Type {
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `double`
    Float,
    /// `string`
    Text,
    /// `list(...)`
    List(&'static Type),
    /// `map(string, ...)`
    Map(&'static Type),
    /// An object with known fields.
    Record(&'static Record),
    /// What a configuration file holds.
    Any,
}

/// An object with known fields.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) name: &'static str,
    pub(super) fields: &'static [Field],
}

/// A field of a record, or a fact.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) of: Type,
    pub(super) meaning: &'static str,
}

/// A fact: a variable of every expression.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) field: Field,
    /// Where in the bundle it comes from.
    pub(super) source: &'static str,
}

use Type::{Any, Bool, Float, Int, List, Map as MapOf, Record as RecordOf, Text};

/// The fact with this name.
pub(super) fn find(name: &str) -> Option<&'static Fact> {
    FACTS.iter().find(|f| f.field.name == name)
}

impl Record {
    /// The field with this name.
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|f| f.name == name)
    }
}

/// The value of a part that a case does not give.
pub(super) fn empty(of: &Type) -> Value {
    match of {
        Bool => json!(false),
        Int => json!(0),
        Float => json!(0.0),
        Text => json!(""),
        List(_) => json!([]),
        MapOf(_) => json!({}),
        Any => Value::Null,
        RecordOf(record) => {
            Value::Object(record.fields.iter().map(|f| (f.name.to_owned(), empty(&f.of))).collect::<Map<_, _>>())
        }
    }
}

/// Makes a whole value of what a case gives of it.
///
/// # Errors
/// A field that does not exist, or a value of another type; the text names the place.
pub(super) fn complete(of: &Type, given: Value, place: &str) -> Result<Value, String> {
    let wrong = |want: &str, given: &Value| Err(format!("{place} must be {want}, and is {given}"));
    match (of, given) {
        (Any, given) | (Bool, given @ Value::Bool(_)) | (Text, given @ Value::String(_)) => Ok(given),
        (Int, given) if given.is_i64() => Ok(given),
        (Float, given) if given.is_number() => Ok(json!(given.as_f64())),
        (List(of), Value::Array(items)) => {
            let items = items.into_iter().enumerate().map(|(i, item)| complete(of, item, &format!("{place}[{i}]")));
            Ok(Value::Array(items.collect::<Result<_, _>>()?))
        }
        (MapOf(of), Value::Object(entries)) => {
            let entries = entries.into_iter().map(|(k, v)| {
                let whole = complete(of, v, &format!("{place}.{k}"))?;
                Ok((k, whole))
            });
            Ok(Value::Object(entries.collect::<Result<_, String>>()?))
        }
        (RecordOf(record), Value::Object(entries)) => {
            let mut whole = match empty(of) {
                Value::Object(whole) => whole,
                _ => Map::new(),
            };
            for (name, given) in entries {
                let Some(field) = record.field(&name) else {
                    let known = record.fields.iter().map(|f| f.name);
                    return Err(format!("{place} has no field `{name}`{}", crate::model::place::nearest(&name, known)));
                };
                whole.insert(name.clone(), complete(&field.of, given, &format!("{place}.{name}"))?);
            }
            Ok(Value::Object(whole))
        }
        (Bool, given) => wrong("true or false", &given),
        (Text, given) => wrong("a text", &given),
        (Int, given) => wrong("a whole number", &given),
        (Float, given) => wrong("a number", &given),
        (List(_), given) => wrong("a list", &given),
        (MapOf(_) | RecordOf(_), given) => wrong("a table", &given),
    }
}

/// The tables of `docs/triage.md`, made from the definitions above.
#[must_use]
pub fn documentation() -> String {
    use std::fmt::Write as _;

    fn shape(of: &Type) -> String {
        match of {
            Bool => "bool".to_owned(),
            Int => "int".to_owned(),
            Float => "double".to_owned(),
            Text => "string".to_owned(),
            Any => "any".to_owned(),
            List(of) => format!("list({})", shape(of)),
            MapOf(of) => format!("map(string, {})", shape(of)),
            RecordOf(record) => record.name.to_owned(),
        }
    }
    fn visit(of: &Type, seen: &mut Vec<&'static Record>) {
        match of {
            List(of) | MapOf(of) => visit(of, seen),
            RecordOf(record) if !seen.iter().any(|r| r.name == record.name) => {
                seen.push(record);
                for field in record.fields {
                    visit(&field.of, seen);
                }
            }
            _ => {}
        }
    }
    let mut out = String::from("| fact | shape | what | source |\n|---|---|---|---|\n");
    let mut records = Vec::new();
    for fact in &FACTS {
        let Field { name, of, meaning } = &fact.field;
        let _ = writeln!(out, "| `{name}` | `{}` | {meaning} | {} |", shape(of), fact.source);
        visit(of, &mut records);
    }
    out.push_str("\n| record | fields |\n|---|---|\n");
    for record in records {
        let fields = record.fields.iter().map(|f| {
            let meaning = if f.meaning.is_empty() { String::new() } else { format!(" ({})", f.meaning) };
            format!("`{}`: `{}`{meaning}", f.name, shape(&f.of))
        });
        let _ = writeln!(out, "| `{}` | {} |", record.name, fields.collect::<Vec<_>>().join("; "));
    }
    out
}
