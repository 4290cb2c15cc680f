//! The part of JSONPath that printer columns use: `.a.b`, `.a['b.c']`, `.a[0]`, `.a[*].b`, `.a[?(@.type=="Ready")].status`.

use serde_json::Value;

/// A compiled path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    /// Elements whose field has a text.
    Where(Vec<String>, String),
}

/// Steps of one path.
const STEPS: usize = 32;

impl Path {
    /// Compiles a path; none for what is not understood.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut rest = text.strip_prefix('{').map_or(text, |t| t.strip_suffix('}').unwrap_or(t));
        rest = rest.strip_prefix('$').unwrap_or(rest);
        let mut steps = Vec::new();
        while !rest.is_empty() && steps.len() < STEPS {
            if let Some(tail) = rest.strip_prefix('[') {
                let (step, tail) = bracket(tail)?;
                steps.push(step);
                rest = tail;
                continue;
            }
            rest = rest.strip_prefix('.')?;
            // A dot may be escaped inside of a name.
            let (mut name, mut end, mut escaped) = (String::new(), rest.len(), false);
            for (at, c) in rest.char_indices() {
                match c {
                    '\\' if !escaped => escaped = true,
                    '.' | '[' if !escaped => {
                        end = at;
                        break;
                    }
                    c => {
                        name.push(c);
                        escaped = false;
                    }
                }
            }
            rest = &rest[end..];
            match name.as_str() {
                "" => {}
                "*" => steps.push(Step::All),
                _ => steps.push(Step::Field(name)),
            }
        }
        (rest.is_empty() && !steps.is_empty()).then_some(Self(steps))
    }

    /// The first value that the path leads to.
    pub(super) fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        walk(&self.0, value).filter(|v| !v.is_null())
    }
}

fn walk<'a>(steps: &[Step], value: &'a Value) -> Option<&'a Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match step {
        Step::Field(name) => walk(rest, value.get(name)?),
        Step::Index(at) => {
            let items = value.as_array()?;
            let at =
                usize::try_from(*at).ok().or_else(|| items.len().checked_sub(usize::try_from(at.checked_neg()?).ok()?));
            walk(rest, items.get(at?)?)
        }
        Step::All => match value {
            Value::Array(items) => items.iter().find_map(|v| walk(rest, v)),
            Value::Object(fields) => fields.values().find_map(|v| walk(rest, v)),
            _ => None,
        },
        Step::Where(path, wanted) => value
            .as_array()?
            .iter()
            .filter(|item| {
                let found = path.iter().fold(*item, |v, name| &v[name]);
                match found {
                    Value::String(text) => text == wanted,
                    other => format!("{other}") == wanted.as_str(),
                }
            })
            .find_map(|item| walk(rest, item)),
    }
}

/// What stands between brackets, and what follows them.
fn bracket(text: &str) -> Option<(Step, &str)> {
    for quote in ['\'', '"'] {
        if let Some(tail) = text.strip_prefix(quote) {
            let (name, tail) = tail.split_once(quote)?;
            return Some((Step::Field(name.to_owned()), tail.strip_prefix(']')?));
        }
    }
    if let Some(tail) = text.strip_prefix("?(") {
        let (condition, tail) = tail.split_once(")]")?;
        let (path, wanted) = condition.split_once("==")?;
        let wanted = wanted.trim().trim_matches(['"', '\'']).to_owned();
        let path = path.trim().strip_prefix("@.")?.split('.').map(str::to_owned).collect();
        return Some((Step::Where(path, wanted), tail));
    }
    let (inner, tail) = text.split_once(']')?;
    match inner {
        "*" => Some((Step::All, tail)),
        _ => Some((Step::Index(inner.parse().ok()?), tail)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_of_printer_columns_work() {
        let object = json!({
            "spec": {"party": 3, "a.b": "dot"},
            "status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "Live", "status": "True"}]},
        });
        for (path, expected) in [
            (".spec.party", Some(json!(3))),
            ("{.spec.party}", Some(json!(3))),
            (r".spec.a\.b", Some(json!("dot"))),
            (".spec['a.b']", Some(json!("dot"))),
            (r#".status.conditions[?(@.type=="Live")].status"#, Some(json!("True"))),
            (".status.conditions[?(@.type=='Ready')].status", Some(json!("False"))),
            (".status.conditions[-1].type", Some(json!("Live"))),
            (".status.conditions[*].type", Some(json!("Ready"))),
            (".status.absent", None),
            (".status.conditions[7]", None),
        ] {
            assert_eq!(Path::parse(path).unwrap().find(&object).cloned(), expected, "{path}");
        }
        assert_eq!(Path::parse("status"), None);
        assert_eq!(Path::parse(".a[?(x)]"), None);
        assert_eq!(Path::parse(""), None);
    }

    proptest! {
        #[test]
        fn any_path_is_safe(text in ".{0,40}") {
            let _ = Path::parse(&text).map(|p| p.find(&json!({"a": [1, {"b": null}]})).is_some());
        }
    }
}
