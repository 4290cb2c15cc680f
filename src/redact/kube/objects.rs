//! A list of Kubernetes objects on its way through the redactor.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::dom::Node;
use super::sanitise::Sanitiser;
use crate::redact::{Format, Redacted, Redactor};

/// Largest object that is sanitised; the API server stores none that comes near it.
const MAX_OBJECT: usize = 32 << 20;

/// A list of Kubernetes objects on its way through the redactor: one object a line, in a typed `List` document.
///
/// Each object is sanitised by its type (Secrets, environment, `ConfigMap`s, annotations, embedded JSON, ...), loses its
/// `managedFields`, gets `apiVersion` and `kind` where the list left them out, and then every remaining string goes
/// through the rules. One object that cannot be decoded or redacted becomes one stub object.
pub struct ObjectStream {
    redactor: Redactor,
    file: String,
    api_version: String,
    kind: String,
    count: usize,
}

impl ObjectStream {
    pub(in crate::redact) fn new(redactor: Redactor, file: &str, api_version: &str, kind: &str) -> Self {
        Self { redactor, file: file.to_owned(), api_version: api_version.to_owned(), kind: kind.to_owned(), count: 0 }
    }

    /// Takes the JSON text of one object and appends it, redacted, to `out`.
    pub fn push(&mut self, raw: &[u8], out: &mut Redacted<Vec<u8>>) {
        let result = catch_unwind(AssertUnwindSafe(|| self.object(raw)));
        let text = result.unwrap_or_else(|_| Err("the sanitiser panicked".to_owned())).unwrap_or_else(|reason| {
            let reason = self.redactor.text(&reason).into_inner();
            self.redactor.note_stub(&format!("{}#{}", self.file, self.count), &reason);
            let member = |key: &str, value: Node| (key.to_owned(), value);
            let stub = Node::Object(vec![
                member("apiVersion", Node::text(&self.api_version)),
                member("kind", Node::text(&self.kind)),
                member("metadata", Node::Object(Vec::new())),
                member("casefileStub", Node::text(reason)),
            ]);
            stub.to_json().into_bytes()
        });
        let out = out.inner_mut();
        out.extend_from_slice(if self.count == 0 { self.head() } else { ",\n".to_owned() }.as_bytes());
        out.extend_from_slice(&text);
        self.count += 1;
    }

    fn object(&self, raw: &[u8]) -> Result<Vec<u8>, String> {
        if raw.len() > MAX_OBJECT {
            return Err(format!("the object is larger than {MAX_OBJECT} bytes"));
        }
        let text = std::str::from_utf8(raw).map_err(|_| "the object is not UTF-8".to_owned())?;
        let mut node = Node::parse(text).map_err(|e| format!("the object is not JSON: {e}"))?;
        let Node::Object(members) = &mut node else { return Err("the object is not a JSON object".to_owned()) };
        for (key, value) in [("kind", &self.kind), ("apiVersion", &self.api_version)] {
            if !members.iter().any(|(k, _)| k == key) {
                members.insert(0, (key.to_owned(), Node::text(value)));
            }
        }
        Sanitiser::new(&self.redactor, &self.file).object(&mut node);
        // The byte engine is the net under the types.
        let line = node.to_json();
        let redacted = self.redactor.bytes(&self.file, Format::Json, line.as_bytes()).map_err(|e| e.to_string())?;
        let text = redacted.into_inner();
        let sound = text == line.as_bytes() || std::str::from_utf8(&text).is_ok_and(|t| Node::parse(t).is_ok());
        if sound { Ok(text) } else { Err("the redacted object would not be JSON any more".to_owned()) }
    }

    /// Closes the list.
    pub fn finish(&mut self, out: &mut Redacted<Vec<u8>>) {
        let head = if self.count == 0 { self.head() } else { String::new() };
        let out = out.inner_mut();
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(b"\n]}\n");
    }

    /// How many objects were pushed.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    fn head(&self) -> String {
        let kind = Node::text(format!("{}List", self.kind)).to_json();
        let version = Node::text(&self.api_version).to_json();
        format!("{{\"kind\":{kind},\"apiVersion\":{version},\"metadata\":{{}},\"items\":[\n")
    }
}
