//! Label and field selectors.

use serde_json::Value;

use super::status::Status;

/// A parsed `labelSelector`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Labels(Vec<Requirement>);

#[derive(Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    Above(i64),
    Below(i64),
}

impl Labels {
    /// Reads a selector: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, `a>1`, `a<1`, joined by commas.
    ///
    /// # Errors
    /// 400 in the server's words.
    pub(super) fn parse(text: &str) -> Result<Self, Status> {
        let mut requirements = Vec::new();
        for part in split(text) {
            if !part.trim().is_empty() {
                requirements.push(requirement(part.trim())?);
            }
        }
        Ok(Self(requirements))
    }

    /// Whether an object's labels fulfil every requirement.
    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.0.iter().all(|Requirement { key, test }| {
            let value = labels.get(key).and_then(Value::as_str);
            let number = || value.and_then(|v| v.parse::<i64>().ok());
            match test {
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::In(values) => value.is_some_and(|v| values.iter().any(|x| x == v)),
                Test::NotIn(values) => value.is_none_or(|v| values.iter().all(|x| x != v)),
                Test::Above(limit) => number().is_some_and(|n| n > *limit),
                Test::Below(limit) => number().is_some_and(|n| n < *limit),
            }
        })
    }
}

/// Splits at commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_u32, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn requirement(text: &str) -> Result<Requirement, Status> {
    let make = |key: &str, test: Test| {
        let key = key.trim();
        valid_key(key)?;
        Ok(Requirement { key: key.to_owned(), test })
    };
    if let Some(key) = text.strip_prefix('!') {
        return make(key, Test::Absent);
    }
    if let Some((key, value)) = text.split_once("!=") {
        return make(key, Test::NotIn(vec![valid_value(value)?]));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return make(key, Test::In(vec![valid_value(value)?]));
    }
    let number = |value: &str| {
        value.trim().parse::<i64>().map_err(|_| {
            unparsable(&format!(
                "values[0]: Invalid value: \"{}\": for 'Gt', 'Lt' operators, the value must be an integer",
                value.trim()
            ))
        })
    };
    if let Some((key, value)) = text.split_once('>') {
        return make(key, Test::Above(number(value)?));
    }
    if let Some((key, value)) = text.split_once('<') {
        return make(key, Test::Below(number(value)?));
    }
    if let Some((head, tail)) = text.split_once('(') {
        let Some(inner) = tail.strip_suffix(')') else {
            return Err(unparsable("found '', expected: ',', or ')'"));
        };
        let values = inner.split(',').map(valid_value).collect::<Result<Vec<_>, _>>()?;
        let mut words = head.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => make(key, Test::In(values)),
            (Some(key), Some("notin"), None) => make(key, Test::NotIn(values)),
            (_, other, _) => {
                Err(unparsable(&format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", other.unwrap_or("("))))
            }
        };
    }
    make(text, Test::Exists)
}

fn unparsable(what: &str) -> Status {
    Status::bad_request(format!("unable to parse requirement: {what}"))
}

fn name_ok(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    text.len() <= 63
        && edge(text.bytes().next())
        && edge(text.bytes().last())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn valid_key(key: &str) -> Result<(), Status> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(p, n)| (Some(p), n));
    if name_ok(name) && prefix.is_none_or(|p| !p.is_empty() && p.split('.').all(name_ok)) {
        return Ok(());
    }
    Err(unparsable(&format!(
        "<nil>: Invalid value: \"{key}\": name part must consist of alphanumeric characters, '-', '_' or '.', and must \
         start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for \
         validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    )))
}

fn valid_value(value: &str) -> Result<String, Status> {
    let value = value.trim();
    if value.is_empty() || name_ok(value) {
        return Ok(value.to_owned());
    }
    Err(unparsable(&format!(
        "values[0][]: Invalid value: \"{value}\": a valid label must be an empty string or consist of alphanumeric \
         characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
         'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    )))
}

/// A parsed `fieldSelector`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<(String, bool, String)>);

/// Fields that can be selected beside `metadata.name` and `metadata.namespace`: group, plural, fields.
const FIELDS: [(&str, &str, &[&str]); 13] = [
    (
        "",
        "pods",
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
    ),
    (
        "",
        "events",
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
    ),
    (
        "events.k8s.io",
        "events",
        &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
    ),
    ("", "nodes", &["spec.unschedulable"]),
    ("", "namespaces", &["status.phase"]),
    ("", "secrets", &["type"]),
    ("", "services", &["spec.clusterIP", "spec.type"]),
    ("", "replicationcontrollers", &["status.replicas"]),
    ("", "persistentvolumes", &["name"]),
    ("", "persistentvolumeclaims", &["name"]),
    ("apps", "replicasets", &["status.replicas"]),
    ("batch", "jobs", &["status.successful"]),
    ("certificates.k8s.io", "certificatesigningrequests", &["spec.signerName"]),
];

impl Fields {
    /// Reads a selector for a kind: `a=b`, `a==b`, `a!=b`, joined by commas.
    ///
    /// # Errors
    /// 400 in the server's words, also for a field that the kind cannot be selected by.
    pub(super) fn parse(text: &str, group: &str, plural: &str) -> Result<Self, Status> {
        let mut terms = Vec::new();
        for part in unescaped_split(text).iter().filter(|p| !p.is_empty()) {
            let (key, equal, value) = if let Some((key, value)) = part.split_once("!=") {
                (key, false, value)
            } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (key, true, value)
            } else {
                return Err(Status::bad_request(format!("invalid selector: '{text}'; can't understand '{part}'")));
            };
            supported(key, group, plural)?;
            terms.push((key.to_owned(), equal, unescape(value)));
        }
        Ok(Self(terms))
    }

    /// Whether an object fulfils every term; a missing field is the empty text.
    pub(super) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(key, equal, wanted)| (field(object, key) == *wanted) == *equal)
    }
}

fn supported(key: &str, group: &str, plural: &str) -> Result<(), Status> {
    let known = FIELDS.iter().find(|(g, p, _)| *g == group && *p == plural);
    if matches!(key, "metadata.name" | "metadata.namespace") || known.is_some_and(|(.., keys)| keys.contains(&key)) {
        return Ok(());
    }
    Err(Status::bad_request(if known.is_some() && group.is_empty() {
        format!("field label not supported: {key}")
    } else {
        format!("\"{key}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    }))
}

fn field(object: &Value, key: &str) -> String {
    let value = match key {
        "source" => match &object["source"]["component"] {
            Value::String(text) if !text.is_empty() => return text.clone(),
            _ => &object["reportingComponent"],
        },
        "name" => &object["metadata"]["name"],
        "status.successful" => &object["status"]["succeeded"],
        _ => key.split('.').fold(object, |value, name| &value[name]),
    };
    match value {
        Value::String(text) => text.clone(),
        Value::Null if matches!(key, "spec.unschedulable" | "spec.hostNetwork") => "false".to_owned(),
        Value::Null if key.starts_with("status.") && (key.ends_with("replicas") || key.ends_with("successful")) => {
            "0".to_owned()
        }
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Splits at commas that no backslash escapes.
fn unescaped_split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == ',' && !escaped {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    parts
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn labels(text: &str) -> bool {
        let object = json!({"metadata": {"labels": {"app": "kms-core", "party": "3", "example.com/x": ""}}});
        Labels::parse(text).unwrap().matches(&object)
    }

    #[test]
    fn labels_select() {
        for (text, expected) in [
            ("", true),
            ("app=kms-core", true),
            ("app==kms-core,party=3", true),
            ("app!=kms-core", false),
            ("absent!=x", true),
            ("app in (kms-core, other)", true),
            ("app notin (kms-core),party", false),
            ("zone notin (a)", true),
            ("party", true),
            ("!party", false),
            ("!zone,example.com/x", true),
            ("example.com/x=", true),
            ("party>2", true),
            ("party<3", false),
        ] {
            assert_eq!(labels(text), expected, "{text}");
        }
    }

    #[test]
    fn bad_labels_are_refused_as_recorded() {
        let body = Labels::parse("*").unwrap_err().body();
        assert_eq!(body["code"], 400);
        assert_eq!(
            body["message"],
            "unable to parse requirement: <nil>: Invalid value: \"*\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        );
        assert!(Labels::parse("a in (b").is_err());
        assert!(Labels::parse("a like (b)").is_err());
    }

    #[test]
    fn fields_select() {
        let event = json!({"involvedObject": {"name": "a", "kind": "Pod"}, "type": "Warning", "source": {"component": "kubelet"}});
        let is = |text: &str| Fields::parse(text, "", "events").unwrap().matches(&event);
        assert!(is("involvedObject.name=a,type!=Normal"));
        assert!(is("involvedObject.namespace=,source=kubelet"));
        assert!(!is("involvedObject.kind==Node"));
        let node = json!({"metadata": {"name": "n"}});
        assert!(Fields::parse("spec.unschedulable=false", "", "nodes").unwrap().matches(&node));
    }

    #[test]
    fn unknown_fields_are_refused_as_recorded() {
        let message = |text: &str, group: &str, plural: &str| {
            Fields::parse(text, group, plural).unwrap_err().body()["message"].as_str().unwrap().to_owned()
        };
        assert_eq!(message("spec.foo=x", "", "pods"), "field label not supported: spec.foo");
        assert!(message("status.foo=x", "apps", "deployments").contains("not a known field selector"));
        assert!(message("nonsense", "", "pods").contains("can't understand 'nonsense'"));
    }

    proptest! {
        #[test]
        fn any_selector_is_safe(text in ".{0,60}") {
            let _ = Labels::parse(&text).map(|l| l.matches(&json!({})));
            let _ = Fields::parse(&text, "", "pods").map(|f| f.matches(&json!({})));
        }
    }
}
