//! A list of Kubernetes objects on its way through the redactor.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::dom::{Node, quote};
use super::look::matters;
use super::pass::Pass;
use super::sanitise::{Sanitiser, is_typed};
use crate::redact::hidden::Raw;
use crate::redact::scan::LOOKAHEAD;
use crate::redact::stream::Lines;
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
    /// The byte engine, and the text of the object that is on its way into it.
    lines: Lines,
    line: Raw,
}

impl ObjectStream {
    pub(in crate::redact) fn new(redactor: Redactor, file: &str, api_version: &str, kind: &str) -> Self {
        let lines = Lines::new(redactor.clone(), file, Format::Json);
        Self {
            redactor,
            file: file.to_owned(),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            count: 0,
            lines,
            line: Raw::default(),
        }
    }

    /// Takes the JSON text of one object and appends it, redacted, to `out`.
    pub fn push(&mut self, raw: &[u8], out: &mut Redacted<Vec<u8>>) {
        if self.count == 0 {
            self.head(out.inner_mut());
        } else {
            out.inner_mut().extend_from_slice(b",\n");
        }
        let start = out.get().len();
        let result = catch_unwind(AssertUnwindSafe(|| self.object(raw, out)));
        if let Err(reason) = result.unwrap_or_else(|_| Err("the sanitiser panicked".to_owned())) {
            let reason = self.redactor.text(&reason).into_inner();
            self.redactor.note_stub(&format!("{}#{}", self.file, self.count), &reason);
            let member = |key: &'static str, value: Node<'static>| (key.into(), value);
            let stub = Node::Object(vec![
                member("apiVersion", Node::text(&self.api_version)),
                member("kind", Node::text(&self.kind)),
                member("metadata", Node::Object(Vec::new())),
                member("casefileStub", Node::text(reason)),
            ]);
            // Nothing of an object that broke redaction can be trusted.
            out.inner_mut().truncate(start);
            stub.write(out.inner_mut());
        }
        self.count += 1;
    }

    fn object(&mut self, raw: &[u8], out: &mut Redacted<Vec<u8>>) -> Result<(), String> {
        if raw.len() > MAX_OBJECT {
            return Err(format!("the object is larger than {MAX_OBJECT} bytes"));
        }
        let text = std::str::from_utf8(raw).map_err(|_| "the object is not UTF-8".to_owned())?;
        let pass = Pass::over(text).map_err(|e| format!("the object is not JSON: {e}"))?;
        let set = &self.redactor.inner().set;
        let mut sanitiser = self.redactor.inner().layers.objects.then(|| Sanitiser::new(&self.redactor, &self.file));
        self.line.clear();
        let missing = [("apiVersion", &self.api_version, pass.has_version), ("kind", &self.kind, pass.has_kind)];
        let missing = missing.iter().filter(|(_, _, there)| !there).map(|(key, value, _)| (*key, Node::text(*value)));
        let matters = if pass.whole || (!pass.has_kind && is_typed(&self.kind)) {
            let mut node = Node::parse(text).map_err(|e| format!("the object is not JSON: {e}"))?.node;
            let Node::Object(members) = &mut node else { return Err("the object is not a JSON object".to_owned()) };
            members.splice(..0, missing.map(|(key, value)| (key.into(), value)));
            if let Some(sanitiser) = &mut sanitiser {
                sanitiser.object(&mut node);
            }
            node.write(&mut self.line);
            matters(&node, set)
        } else {
            self.line.push(b'{');
            for (key, value) in missing {
                quote(key, true, &mut self.line);
                self.line.push(b':');
                value.write(&mut self.line);
                self.line.push(b',');
            }
            let start = self.line.len();
            let matters = pass.write(set, sanitiser.as_mut(), &mut self.line);
            if self.line[start..] == *b"}" && self.line[start - 1] == b',' {
                self.line.remove(start - 1);
            }
            matters
        };
        drop(sanitiser);
        // The byte engine is the net under the types. Objects of more bytes than the walker looks ahead are judged by it
        // in another way, so those are left to it.
        let walk = matters || self.line.len() >= LOOKAHEAD;
        let start = out.get().len();
        let changed = self.lines.document(&mut self.line, walk, out).map_err(|e| e.to_string())?;
        let sound = !changed || std::str::from_utf8(&out.get()[start..]).is_ok_and(Pass::is_json);
        if sound { Ok(()) } else { Err("the redacted object would not be JSON any more".to_owned()) }
    }

    /// Closes the list.
    pub fn finish(&mut self, out: &mut Redacted<Vec<u8>>) {
        let out = out.inner_mut();
        if self.count == 0 {
            self.head(out);
        }
        out.extend_from_slice(b"\n]}\n");
    }

    /// How many objects were pushed.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    fn head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"kind\":");
        Node::text(format!("{}List", self.kind)).write(out);
        out.extend_from_slice(b",\"apiVersion\":");
        Node::text(&self.api_version).write(out);
        out.extend_from_slice(b",\"metadata\":{},\"items\":[\n");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::redact::CorrelationKey;

    fn lists(dir: &Path, found: &mut Vec<Vec<u8>>) {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                lists(&entry.path(), found);
            } else if entry.path().extension().is_some_and(|e| e == "json") {
                found.push(std::fs::read(entry.path()).unwrap());
            }
        }
    }

    /// Objects that the walker for JSON does not see come out as if it had seen them.
    #[test]
    fn what_is_not_walked_holds_nothing_for_the_walker() {
        let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
        let mut files = Vec::new();
        lists(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"), &mut files);
        let mut count = 0;
        for file in files {
            let Ok(serde_json::Value::Object(list)) = serde_json::from_slice(&file) else { continue };
            let Some(serde_json::Value::Array(items)) = list.get("items") else { continue };
            for item in items {
                let mut out = Redacted::buffer();
                let mut stream = redactor.objects("a", "v1", "Thing");
                stream.push(item.to_string().as_bytes(), &mut out);
                stream.finish(&mut out);
                let again = redactor.bytes("a", Format::Json, out.get()).unwrap();
                assert_eq!(String::from_utf8_lossy(again.get()), String::from_utf8_lossy(out.get()));
                count += 1;
            }
        }
        assert!(count > 100, "only {count} objects");
    }

    #[test]
    fn one_broken_object_costs_itself() {
        let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
        let mut out = Redacted::buffer();
        let mut stream = redactor.objects("a", "v1", "Pod");
        for object in [r#"{"a":1}"#, r#"{"password":"Hunter2xyz""#, r#"{"password":"Hunter2xyz","managedFields":[]}"#] {
            stream.push(object.as_bytes(), &mut out);
        }
        stream.finish(&mut out);
        let list: serde_json::Value = serde_json::from_slice(out.get()).unwrap();
        assert_eq!(list["items"][0]["a"], 1);
        assert!(list["items"][1]["casefileStub"].as_str().unwrap().contains("not JSON"));
        assert!(list["items"][2]["password"].as_str().unwrap().starts_with("REDACTED-password-"));
        assert_eq!(list["items"][2].get("managedFields"), None);
        assert!(!String::from_utf8_lossy(out.get()).contains("Hunter2"));
    }
}
