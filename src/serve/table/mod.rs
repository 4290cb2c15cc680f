//! Printer columns: what `kubectl get` shows, computed by the server.

mod builtin;
mod cells;
mod jsonpath;
mod pod;

use serde_json::{Value, json};

use super::clock::{self, human};
use super::objects::Object;
use super::state::State;
use super::status::Status;
use crate::model::time::Timestamp;

/// How many columns a custom kind may have.
const COLUMNS: usize = 32;

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    kind: String,
    format: String,
    /// 0 is always shown, 1 with `-o wide`.
    priority: i64,
}

/// Cells of one object.
type Cells = fn(&Value, Timestamp) -> Vec<Value>;

/// The columns of one kind and how they are filled.
pub(super) struct Printer {
    columns: Vec<Column>,
    cells: Source,
}

enum Source {
    /// A kind that the server prints itself.
    BuiltIn(Cells),
    /// Name, then one path a column, from the definition of a custom kind.
    Paths(Vec<(jsonpath::Path, bool)>),
}

impl Printer {
    /// The printer of a kind; name and age where it has none of its own.
    ///
    /// # Errors
    /// When the stored definitions of custom kinds cannot be read.
    pub(super) fn find(state: &State, group: &str, version: &str, plural: &str) -> Result<Self, Status> {
        if let Some(custom) = Self::custom(state, group, version, plural)? {
            return Ok(custom);
        }
        if let Some((columns, cells)) = builtin::find(group, plural) {
            return Ok(Self { columns, cells: Source::BuiltIn(cells) });
        }
        Ok(Self {
            columns: vec![Column::name(), Column::text("Age", 0)],
            cells: Source::BuiltIn(|object, now| vec![text(&object["metadata"]["name"]), age(object, now).into()]),
        })
    }

    /// Columns of a custom kind, from its definition.
    fn custom(state: &State, group: &str, version: &str, plural: &str) -> Result<Option<Self>, Status> {
        let name = format!("{plural}.{group}");
        let found = state.objects.get("apiextensions.k8s.io", "customresourcedefinitions", None, &name)?;
        let Some((list, at)) = found else { return Ok(None) };
        let spec = &list.objects[at].value["spec"];
        let of_version =
            spec["versions"].as_array().into_iter().flatten().find(|v| v["name"] == version).unwrap_or(&Value::Null);
        let (mut columns, mut paths) = (vec![Column::name()], Vec::new());
        for column in of_version["additionalPrinterColumns"].as_array().into_iter().flatten().take(COLUMNS) {
            let field = |name: &str| column[name].as_str().unwrap_or("").to_owned();
            let Some(path) = jsonpath::Path::parse(&field("jsonPath")) else { continue };
            paths.push((path, field("type") == "date"));
            columns.push(Column {
                name: field("name"),
                kind: field("type"),
                format: field("format"),
                priority: column["priority"].as_i64().unwrap_or(0),
            });
        }
        if paths.is_empty() {
            columns.push(Column { kind: "date".into(), ..Column::text("Age", 0) });
            paths.extend(jsonpath::Path::parse(".metadata.creationTimestamp").map(|p| (p, true)));
        }
        Ok(Some(Self { columns, cells: Source::Paths(paths) }))
    }

    /// `columnDefinitions`.
    pub(super) fn columns(&self) -> Value {
        self.columns
            .iter()
            .map(|c| json!({"name": c.name, "type": c.kind, "format": c.format, "description": "", "priority": c.priority}))
            .collect()
    }

    /// The cells of one object.
    pub(super) fn cells(&self, object: &Object, now: Timestamp) -> Vec<Value> {
        match &self.cells {
            Source::BuiltIn(cells) => cells(&object.value, now),
            Source::Paths(paths) => {
                let mut cells = vec![object.name.as_str().into()];
                cells.extend(paths.iter().map(|(path, date)| match path.find(&object.value) {
                    Some(Value::String(at)) if *date => since(at, now).into(),
                    Some(value @ (Value::Array(_) | Value::Object(_))) => value.to_string().into(),
                    Some(value) => value.clone(),
                    None if *date => "<unknown>".into(),
                    None => Value::Null,
                }));
                cells
            }
        }
    }
}

impl Column {
    fn name() -> Self {
        Self { format: "name".into(), ..Self::text("Name", 0) }
    }

    fn text(name: &str, priority: i64) -> Self {
        Self { name: name.to_owned(), kind: "string".to_owned(), format: String::new(), priority }
    }
}

/// What a row says about the end of its object: pods that are done are marked so.
pub(super) fn conditions(group: &str, plural: &str, object: &Value) -> Value {
    let (reason, message) = match object["status"]["phase"].as_str() {
        Some("Succeeded") if group.is_empty() && plural == "pods" => {
            ("Succeeded", "The pod has completed successfully.")
        }
        Some("Failed") if group.is_empty() && plural == "pods" => ("Failed", "The pod failed."),
        _ => return Value::Null,
    };
    json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}])
}

/// A text, or an empty one.
fn text(value: &Value) -> Value {
    value.as_str().unwrap_or("").into()
}

/// A text, or another one where it is missing or empty.
fn text_or(value: &Value, other: &str) -> Value {
    value.as_str().filter(|t| !t.is_empty()).unwrap_or(other).into()
}

/// A number, 0 where it is missing.
fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// Time since a time, or what is printed where it is unknown.
fn since(at: &str, now: Timestamp) -> String {
    clock::parse(at).map_or_else(|| "<unknown>".to_owned(), |at| human(now - at))
}

/// Time since an object was made.
fn age(object: &Value, now: Timestamp) -> String {
    since(object["metadata"]["creationTimestamp"].as_str().unwrap_or(""), now)
}
