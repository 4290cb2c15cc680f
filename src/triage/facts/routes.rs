//! Routes of the Gateway API: the gateways that they belong to, and the services that they lead to.

use serde_json::Value;

use super::value::{int, list, string, text};
use super::{At, Key};

/// References of one route that are kept.
const REFERENCES_MAX: usize = 200;

/// A route.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) at: At,
    pub(crate) kind: String,
    pub(crate) key: Key,
    /// Gateways that should serve it.
    pub(crate) gateways: Vec<Key>,
    /// Services and ports that it leads to.
    pub(crate) backends: Vec<(Key, i64)>,
}

/// Reads a route; a name without a namespace is one of its own.
pub(super) fn route(kind: String, key: Key, at: At, object: &Value) -> Route {
    let own = key.0.clone();
    let named = |reference: &Value| {
        let namespace = text(reference, "/namespace");
        let namespace = if namespace.is_empty() { own.clone() } else { namespace.to_owned() };
        (namespace, string(reference, "/name"))
    };
    let is = |reference: &Value, want: &str| {
        let found = text(reference, "/kind");
        found.is_empty() || found == want
    };
    let gateways = list(object, "/spec/parentRefs").iter().filter(|r| is(r, "Gateway")).map(named);
    let rules = list(object, "/spec/rules").iter().flat_map(|rule| list(rule, "/backendRefs"));
    let backends = rules
        .filter(|r| is(r, "Service") && text(r, "/group").is_empty())
        .map(|r| (named(r), int(r, "/port").unwrap_or_default()));
    Route {
        at,
        kind,
        gateways: gateways.take(REFERENCES_MAX).collect(),
        backends: backends.take(REFERENCES_MAX).collect(),
        key,
    }
}
