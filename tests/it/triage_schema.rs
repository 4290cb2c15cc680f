//! What triage writes is what the published schema says.

use std::path::Path;

use casefile::bundle::DirStore;
use casefile::bundle::overlay::Fixtures;
use casefile::report;
use casefile::triage;
use serde_json::{Value, json};

fn schema() -> Value {
    serde_json::from_str(include_str!("../../docs/schema/triage.schema.json")).unwrap()
}

/// Checks the keywords that the schema uses; one that is not known here is an error, so that none is passed over.
fn check(root: &Value, schema: &Value, value: &Value, place: &str, errors: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        let mut wrong = |what: String| errors.push(format!("{place}: {what}"));
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                check(root, root.pointer(pointer).unwrap(), value, place, errors);
                return;
            }
            "const" if value != rule => wrong(format!("{value} is not {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => wrong(format!("{value} is not one of {rule}")),
            "type" => {
                let is = |name: &str| match name {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    "null" => value.is_null(),
                    other => panic!("type {other}"),
                };
                let names = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                if !names.iter().any(|n| is(n.as_str().unwrap())) {
                    wrong(format!("{value} is not {rule}"));
                }
            }
            "minimum" if value.as_f64().unwrap() < rule.as_f64().unwrap() => wrong(format!("{value} is below {rule}")),
            "maximum" if value.as_f64().unwrap() > rule.as_f64().unwrap() => wrong(format!("{value} is above {rule}")),
            "minItems" if (value.as_array().unwrap().len() as u64) < rule.as_u64().unwrap() => {
                wrong(format!("fewer than {rule}"));
            }
            "pattern" if !regex::Regex::new(rule.as_str().unwrap()).unwrap().is_match(value.as_str().unwrap()) => {
                wrong(format!("{value} does not match {rule}"));
            }
            "format" if chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap_or_default()).is_err() => {
                wrong(format!("{value} is no {rule}"));
            }
            "required" => {
                for name in rule.as_array().unwrap() {
                    if value.get(name.as_str().unwrap()).is_none() {
                        wrong(format!("lacks {name}"));
                    }
                }
            }
            "const" | "enum" | "minimum" | "maximum" | "minItems" | "pattern" | "format" | "additionalProperties" => {}
            "properties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    match rule.get(name) {
                        Some(rule) => check(root, rule, value, &format!("{place}/{name}"), errors),
                        None if schema.get("additionalProperties") == Some(&json!(false)) => {
                            errors.push(format!("{place}: {name} is not in the schema"));
                        }
                        None => {}
                    }
                }
            }
            "items" => {
                for (i, value) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, value, &format!("{place}/{i}"), errors);
                }
            }
            "oneOf" => {
                let fits = rule.as_array().unwrap().iter().filter(|rule| {
                    let mut inner = Vec::new();
                    check(root, rule, value, place, &mut inner);
                    inner.is_empty()
                });
                let fits = fits.count();
                if fits != 1 {
                    errors.push(format!("{place}: fits {fits} of the alternatives"));
                }
            }
            other => panic!("the keyword {other} is not known to this test"),
        }
    }
}

fn errors(value: &Value) -> Vec<String> {
    errors_by(&schema(), value)
}

/// What is wrong with a document by this schema.
pub(crate) fn errors_by(schema: &Value, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    check(schema, schema, value, "", &mut errors);
    errors
}

#[test]
fn every_triage_fits_the_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let fixtures = Fixtures::new(Box::new(DirStore::open(&root).unwrap())).unwrap();
    let mut count = 0;
    let stores = fixtures.incidents().iter().map(|i| (i.name.clone(), fixtures.cluster(&i.name).unwrap()));
    for (name, store) in stores.chain([("recorded".to_owned(), fixtures.base("recorded").unwrap())]) {
        let (mut manifest, _) = triage::manifest_of(&store, Some("kms")).unwrap();
        manifest.finished = "2026-11-21T06:32:42Z".parse().unwrap();
        let triage = triage::run(&store, &manifest).unwrap();
        let value: Value = serde_json::from_str(&report::json(&triage)).unwrap();
        assert_eq!(errors(&value), Vec::<String>::new(), "{name}");
        count += triage.findings.len();
        let timeline: Value = serde_json::from_str(&report::timeline_json(&triage)).unwrap();
        assert_eq!(timeline["moments"], value["timeline"], "{name}");
    }
    assert!(count > 30, "only {count} findings were checked");
}

#[test]
fn the_check_finds_what_is_wrong() {
    let good = json!({"schema_version": 1, "status": "healthy", "root_cause": null, "findings": [], "timeline": [],
        "coverage": {"planned": 1, "seen": 1, "missing": []}, "pods": []});
    assert_eq!(errors(&good), Vec::<String>::new());
    for (pointer, bad) in [
        ("/schema_version", json!(2)),
        ("/status", json!("fine")),
        ("/root_cause", json!(1)),
        ("/coverage", json!({"planned": -1, "seen": 1, "missing": []})),
        ("/coverage", json!({"seen": 1, "missing": []})),
        ("/timeline", json!([{"at": "noon", "subject": "pod/n/a", "what": "x", "severity": "info"}])),
        ("/timeline", json!([{"at": "2026-11-21T06:32:42Z", "subject": "pod", "what": "x", "severity": "info"}])),
        ("/pods", json!([{"more": 1}])),
    ] {
        let mut value = good.clone();
        *value.pointer_mut(pointer).unwrap() = bad;
        assert!(!errors(&value).is_empty(), "{pointer}");
    }
}
