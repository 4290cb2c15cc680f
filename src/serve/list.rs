//! Objects and lists of them, in the representation that the client asked for.

use std::sync::Arc;

use http::StatusCode;
use http::header::{HeaderValue, WARNING};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::api::Call;
use super::discovery::{METRICS_GROUP, group_version};
use super::http::{Format, Response, json as respond, no_such_page};
use super::objects::{List, Object, typed};
use super::page;
use super::select::{Fields, Labels};
use super::status::Status;
use super::table;

/// An object: its list and its place in it.
pub(super) type Found = (Arc<List>, usize);

const META: &str = "meta.k8s.io/v1";

/// Answers a get or a list. Blocks.
///
/// # Errors
/// As the API words them.
pub(super) fn objects(call: &Call) -> Result<Response, Status> {
    match call.target.name.as_deref() {
        Some(name) => get(call, name),
        None => list(call),
    }
}

fn get(call: &Call, name: &str) -> Result<Response, Status> {
    let target = &call.target;
    let Some(kind) = call.state.catalog.kind(&target.group, &target.version, &target.plural) else {
        return Ok(no_such_page());
    };
    let found = call.state.objects.get(&target.group, &target.plural, target.namespace.as_deref(), name)?;
    let Some((list, at)) = found else { return Err(Status::not_found(target, name)) };
    let object = &list.objects[at];
    let api_version = group_version(&target.group, &target.version);
    let body = match call.format {
        Format::Table => table(call, &[(&list, at)], &kind.kind, &Map::new())?,
        Format::Metadata => partial(&object.value),
        Format::Json | Format::Discovery => typed(&object.value, &kind.kind, &api_version),
    };
    Ok(respond(StatusCode::OK, &body))
}

/// The objects that a list request is about, in order, with the resource version of the list.
///
/// # Errors
/// For selectors that are not valid, and lists that cannot be read.
pub(super) fn selected(call: &Call) -> Result<(Vec<Found>, i64), Status> {
    let target = &call.target;
    let namespace = target.namespace.as_deref();
    let labels = Labels::parse(call.query.get("labelSelector").unwrap_or(""))?;
    let fields = Fields::parse(call.query.get("fieldSelector").unwrap_or(""), &target.group, &target.plural)?;
    let lists = call.state.objects.lists(&target.group, &target.plural, namespace)?;
    let version = lists.iter().map(|l| l.version).max().unwrap_or(0).max(1);
    let mut found = Vec::new();
    for list in lists {
        for (at, object) in list.objects.iter().enumerate() {
            let inside = namespace.is_none_or(|n| n == object.namespace);
            if inside && labels.matches(&object.value) && fields.matches(&object.value) {
                found.push((Arc::clone(&list), at));
            }
        }
    }
    let all = namespace.is_none();
    found.sort_by_cached_key(|(list, at)| list.objects[*at].key(all));
    Ok((found, version))
}

fn list(call: &Call) -> Result<Response, Status> {
    let target = &call.target;
    let Some(kind) = call.state.catalog.kind(&target.group, &target.version, &target.plural) else {
        return Ok(no_such_page());
    };
    let (mut found, version) = selected(call)?;
    let all = target.namespace.is_none();
    let invalid = |text: String| Status::bad_request(format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"));
    let limit = call.query.number("limit").map_err(invalid)?.filter(|n| *n > 0);
    let limit = limit.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let limit = limit.into_iter().chain(call.state.page_limit).min().unwrap_or(usize::MAX);

    let mut metadata = Map::new();
    // Usage is measured, not stored, and has no versions.
    if target.group != METRICS_GROUP {
        metadata.insert("resourceVersion".into(), version.to_string().into());
    }
    if let Some(text) = call.query.get("continue") {
        if call.expire {
            return Err(page::expire(text, version));
        }
        let start = page::parse(text, version)?;
        found.retain(|(list, at)| list.objects[*at].key(all) > start.after);
    }
    if found.len() > limit {
        let rest = found.len() - limit;
        found.truncate(limit);
        if let Some((list, at)) = found.last() {
            metadata.insert("continue".into(), page::token(version, &list.objects[*at].key(all)).into());
            // The real server counts only what it did not have to filter.
            if call.query.get("labelSelector").or(call.query.get("fieldSelector")).is_none() {
                metadata.insert("remainingItemCount".into(), rest.into());
            }
        }
    }

    let shown: Vec<(&Arc<List>, usize)> = found.iter().map(|(list, at)| (list, *at)).collect();
    let values = || shown.iter().map(|(list, at)| &list.objects[*at].value);
    let mut response = match call.format {
        Format::Table => respond(StatusCode::OK, &table(call, &shown, &kind.kind, &metadata)?),
        Format::Metadata => {
            let items: Vec<Value> = values().map(partial).collect();
            let kind = "PartialObjectMetadataList".to_owned();
            respond(StatusCode::OK, &Whole { kind, api_version: META.to_owned(), metadata, items })
        }
        Format::Json | Format::Discovery => {
            let api_version = group_version(&target.group, &target.version);
            let items: Vec<&Value> = values().collect();
            respond(StatusCode::OK, &Whole { kind: format!("{}List", kind.kind), api_version, metadata, items })
        }
    };
    if let Some(warning) = absent(call) {
        response.headers_mut().insert(WARNING, warning);
    }
    Ok(response)
}

/// A list as it is written: its objects are borrowed, because they may be many.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<T> {
    kind: String,
    api_version: String,
    metadata: Map<String, Value>,
    items: Vec<T>,
}

/// What `kubectl` prints when a bundle has no list of a kind: that there is none in it does not say that there was none.
fn absent(call: &Call) -> Option<HeaderValue> {
    let target = &call.target;
    let namespace = target.namespace.as_deref();
    if !call.state.is_bundle || call.state.objects.has_list(&target.group, &target.plural, namespace) {
        return None;
    }
    let place = namespace.map_or_else(String::new, |n| format!(" of namespace {n}"));
    let text = format!("the bundle has no {}{place}: none existed, or they were not collected", target.qualified());
    // A name that is no header text is no name of a kind either.
    HeaderValue::from_str(&format!("299 - \"{}\"", text.replace(['"', '\\'], ""))).ok()
}

/// Rows for objects.
///
/// # Errors
/// When the definition of a custom kind cannot be read.
pub(super) fn table(
    call: &Call,
    objects: &[(&Arc<List>, usize)],
    kind: &str,
    metadata: &Map<String, Value>,
) -> Result<Value, Status> {
    let target = &call.target;
    let printer = table::Printer::find(&call.state, &target.group, &target.version, &target.plural)?;
    let now = call.state.clock.now();
    let api_version = group_version(&target.group, &target.version);
    let row = |object: &Object| {
        let mut row = Map::new();
        row.insert("cells".into(), printer.cells(object, now).into());
        let conditions = table::conditions(&target.group, &target.plural, &object.value);
        if !conditions.is_null() {
            row.insert("conditions".into(), conditions);
        }
        let whole = match call.query.get("includeObject") {
            Some("None") => return Value::Object(row),
            Some("Object") => typed(&object.value, kind, &api_version),
            _ => partial(&object.value),
        };
        row.insert("object".into(), whole);
        Value::Object(row)
    };
    let rows: Vec<Value> = objects.iter().map(|(list, at)| row(&list.objects[*at])).collect();
    Ok(json!({
        "kind": "Table",
        "apiVersion": META,
        "metadata": metadata,
        "columnDefinitions": printer.columns(),
        "rows": rows,
    }))
}

/// The metadata of an object alone.
pub(super) fn partial(value: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": value["metadata"]})
}
