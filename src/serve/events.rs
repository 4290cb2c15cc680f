//! Events in the newer of their two API groups, made from the stored ones of the core group.

use serde_json::{Map, Value};

/// The group whose events are the core group's in another shape.
pub(super) const GROUP: &str = "events.k8s.io";

/// Names of the fields there and in the core group.
const FIELDS: [(&str, &str); 15] = [
    ("metadata", "metadata"),
    ("eventTime", "eventTime"),
    ("series", "series"),
    ("reportingController", "reportingComponent"),
    ("reportingInstance", "reportingInstance"),
    ("action", "action"),
    ("reason", "reason"),
    ("regarding", "involvedObject"),
    ("related", "related"),
    ("note", "message"),
    ("type", "type"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// One event in the shape of `events.k8s.io/v1`.
pub(super) fn converted(event: &Value) -> Value {
    let mut out = Map::new();
    for (name, stored) in FIELDS {
        match event.get(stored) {
            // The real server leaves out empty texts and keeps times that are null.
            Some(value) if value != "" => out.insert(name.to_owned(), value.clone()),
            None if name == "eventTime" => out.insert(name.to_owned(), Value::Null),
            _ => None,
        };
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_have_their_new_names() {
        let event = json!({
            "metadata": {"name": "e"}, "involvedObject": {"name": "p"}, "reason": "R", "message": "m",
            "source": {"component": "c"}, "count": 14, "type": "Warning", "reportingInstance": "", "lastTimestamp": null,
        });
        assert_eq!(
            converted(&event).to_string(),
            r#"{"metadata":{"name":"e"},"eventTime":null,"reason":"R","regarding":{"name":"p"},"note":"m","type":"Warning","deprecatedSource":{"component":"c"},"deprecatedLastTimestamp":null,"deprecatedCount":14}"#
        );
    }
}
