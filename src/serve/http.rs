//! Bodies, content negotiation and queries: what every handler shares of HTTP.

use std::io;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde::Serialize;

use super::path::percent_decode;

/// Body of every response.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;
/// A response of the server.
pub(super) type Response = http::Response<Body>;

/// A body that is in memory.
pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A JSON document, with the newline that the real server ends it with.
pub(super) fn json(code: StatusCode, value: &impl Serialize) -> Response {
    json_as(code, "application/json", value)
}

/// A JSON document under a more precise content type.
pub(super) fn json_as(code: StatusCode, content_type: &'static str, value: &impl Serialize) -> Response {
    let mut text = Vec::new();
    if let Err(error) = serde_json::to_writer(&mut text, value) {
        // Only a map with keys that are no texts cannot be written, and there is none.
        return plain(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write the answer: {error}\n"));
    }
    text.push(b'\n');
    with_type(code, HeaderValue::from_static(content_type), full(text))
}

/// Plain text as Go's `http.Error` writes it.
pub(super) fn plain(code: StatusCode, text: impl Into<Bytes>) -> Response {
    with_type(code, HeaderValue::from_static("text/plain; charset=utf-8"), full(text))
}

/// What Go's router says for a path that it does not know.
pub(super) fn no_such_page() -> Response {
    plain(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// A response with a content type.
pub(super) fn with_type(code: StatusCode, content_type: HeaderValue, body: Body) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// The representation that a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// The objects.
    Json,
    /// Printer columns.
    Table,
    /// Metadata only.
    Metadata,
    /// Aggregated discovery.
    Discovery,
}

impl Format {
    /// The first representation of an `Accept` header that this server has. Protobuf is passed over: its clients
    /// accept JSON too, and the content type tells them what they got.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let accept = headers.get(http::header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
        for choice in accept.split(',') {
            let mut parts = choice.split(';').map(str::trim);
            let media = parts.next().unwrap_or("");
            if !matches!(media, "application/json" | "*/*" | "application/*") {
                continue;
            }
            let parameter = |name: &str| {
                choice
                    .split(';')
                    .skip(1)
                    .find_map(|p| p.trim().split_once('=').filter(|(n, _)| *n == name))
                    .map(|p| p.1)
            };
            match (parameter("as"), parameter("v")) {
                (None, _) => return Self::Json,
                (Some("Table"), Some("v1")) => return Self::Table,
                (Some("PartialObjectMetadataList" | "PartialObjectMetadata"), Some("v1")) => return Self::Metadata,
                (Some("APIGroupDiscoveryList"), Some("v2")) => return Self::Discovery,
                _ => {}
            }
        }
        Self::Json
    }
}

/// The parameters of a query, decoded, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the part of a URI behind the `?`.
    pub(super) fn parse(query: &str) -> Self {
        let decode = |text: &str| percent_decode(&text.replace('+', " "));
        Self(
            query
                .split('&')
                .filter(|p| !p.is_empty())
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    /// The first value of a parameter; an empty one counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// All values of a parameter.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect()
    }

    /// Whether a parameter is true as Go's `strconv.ParseBool` understands it.
    pub(super) fn is_true(&self, name: &str) -> bool {
        matches!(self.get(name), Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
    }

    /// A whole number.
    ///
    /// # Errors
    /// The text that is none.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, String> {
        self.get(name).map(|text| text.parse().map_err(|_| text.to_owned())).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(accept: &'static str) -> Format {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::ACCEPT, HeaderValue::from_static(accept));
        Format::of(&headers)
    }

    #[test]
    fn the_first_representation_that_exists_wins() {
        assert_eq!(
            format("application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io"),
            Format::Table
        );
        assert_eq!(format("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"), Format::Json);
        assert_eq!(format("application/vnd.kubernetes.protobuf,application/json"), Format::Json);
        assert_eq!(format("application/vnd.kubernetes.protobuf;as=Table;v=v1, */*"), Format::Json);
        assert_eq!(
            format("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"),
            Format::Discovery
        );
        assert_eq!(format("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"), Format::Metadata);
        assert_eq!(Format::of(&HeaderMap::new()), Format::Json);
    }

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("command=sh&command=-c&command=echo%20out%3B+x&stdout=true&limit=5&container=");
        assert_eq!(query.all("command"), ["sh", "-c", "echo out; x"]);
        assert!(query.is_true("stdout"));
        assert_eq!(query.number("limit"), Ok(Some(5)));
        assert_eq!(query.get("container"), None);
        assert_eq!(Query::parse("limit=x").number("limit"), Err("x".to_owned()));
    }
}
