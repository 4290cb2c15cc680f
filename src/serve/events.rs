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
        let value = &event[stored];
        // The real server writes a missing time, and leaves out everything else that is empty.
        if name == "eventTime" || !(value.is_null() || value == "") {
            out.insert(name.to_owned(), value.clone());
        }
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
            "source": {"component": "c"}, "count": 14, "type": "Warning", "eventTime": null, "reportingInstance": "",
        });
        assert_eq!(
            converted(&event).to_string(),
            r#"{"metadata":{"name":"e"},"eventTime":null,"reason":"R","regarding":{"name":"p"},"note":"m","type":"Warning","deprecatedSource":{"component":"c"},"deprecatedCount":14}"#
        );
    }
}
