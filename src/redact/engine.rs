//! The redactor: rules, key and counters of one run.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::known::{Known, Sweep};
use super::layers::{Counts, Layers};
use super::pseudonym::{Pseudonym, Pseudonyms};
use super::rules::{RuleInfo, RuleSet};
use super::token::{Id, Ids};
use super::{CorrelationKey, Format, Match, ObjectStream, RedactError, Redacted, RedactionReport, Stream, stream};

/// Most distinct ids that are counted one by one.
const MAX_DISTINCT: usize = 1 << 20;
/// Pieces of a long credential that are searched.
const PIECE: usize = 256;

/// The rules, the key and the counters of one run. Cheap to clone; safe to share between tasks.
#[derive(Clone)]
pub struct Redactor {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) set: Arc<RuleSet>,
    pub(super) ids: Ids,
    pub(super) pseudonyms: Option<Pseudonyms>,
    pub(super) layers: Layers,
    /// Bytes that a stream holds back at most.
    pub(super) window: usize,
    known: Arc<Known>,
    report: Mutex<Counters>,
}

#[derive(Default)]
struct Counters {
    report: RedactionReport,
    distinct: HashSet<u64>,
}

/// Chooses the rules of a [`Redactor`].
#[must_use]
pub struct RedactorBuilder {
    key: CorrelationKey,
    dirs: Vec<PathBuf>,
    disabled: Vec<String>,
    pseudonyms: Vec<Pseudonym>,
    layers: Layers,
    window: usize,
}

impl RedactorBuilder {
    /// Switches layers off.
    #[cfg(test)]
    pub(super) fn with_layers(mut self, layers: Layers) -> Self {
        self.layers = layers;
        self
    }

    /// Adds the rules of a directory of `*.toml` files, or of one file.
    pub fn with_rules(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dirs.push(dir.into());
        self
    }

    /// Switches a rule off. The report names it.
    pub fn without_rule(mut self, id: impl Into<String>) -> Self {
        self.disabled.push(id.into());
        self
    }

    /// Replaces addresses or names by pseudonyms, too. The report names the kind.
    pub fn with_pseudonym(mut self, kind: Pseudonym) -> Self {
        self.pseudonyms.push(kind);
        self
    }

    /// Bytes that a stream holds back at most: 256 KiB unless told, and never less than 40 KiB. A line that is longer is cut
    /// into windows of that size; the fewer bytes, the more cuts and the less memory.
    pub fn with_window(mut self, bytes: usize) -> Self {
        self.window = bytes.max(stream::MIN_WINDOW);
        self
    }

    /// Reads and compiles the rules.
    ///
    /// # Errors
    /// When a source of rules cannot be read or is broken, or a rule to switch off does not exist.
    pub fn build(self) -> Result<Redactor, RedactError> {
        let dirs: Vec<&Path> = self.dirs.iter().map(PathBuf::as_path).collect();
        let set = RuleSet::with(&dirs, &self.disabled)?;
        let ids = Ids::new(&self.key)?;
        let pseudonyms = Pseudonyms::new(&self.key, &self.pseudonyms)?;
        let (known, report, layers) = (Arc::default(), Mutex::default(), self.layers);
        let inner = Inner { set, ids, pseudonyms, layers, window: self.window, known, report };
        Ok(Redactor { inner: Arc::new(inner) })
    }
}

impl Redactor {
    /// A redactor with the built-in rules.
    ///
    /// # Errors
    /// When a built-in rule does not compile, which the tests exclude.
    pub fn new(key: CorrelationKey) -> Result<Self, RedactError> {
        Self::builder(key).build()
    }

    /// A redactor with the built-in rules and more, or without some of them.
    pub fn builder(key: CorrelationKey) -> RedactorBuilder {
        let (dirs, disabled, pseudonyms) = (Vec::new(), Vec::new(), Vec::new());
        RedactorBuilder { key, dirs, disabled, pseudonyms, layers: Layers::ALL, window: stream::WINDOW }
    }

    /// A redactor that learns values for this one and counts for itself: it reads content whose result is thrown away,
    /// so that what is secret behind is known in front.
    #[must_use]
    pub fn scout(&self) -> Self {
        let Inner { set, ids, layers, window, known, .. } = &*self.inner;
        let (set, ids, known) = (Arc::clone(set), ids.clone(), Arc::clone(known));
        let inner =
            Inner { set, ids, pseudonyms: None, layers: *layers, window: *window, known, report: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Takes note of a credential that the program itself was given, so that it is found wherever it stands.
    pub fn remember(&self, secret: &str) {
        let note = |piece: &str| self.confirm(super::rules::engine::PASSWORD, piece.as_bytes());
        let secret = secret.trim();
        if secret.contains('\n') || secret.contains("-----BEGIN ") {
            // A key: each of its lines.
            return secret.lines().map(str::trim).filter(|line| !line.starts_with("-----")).for_each(note);
        }
        note(secret);
        if let [_, _, signature] = secret.split('.').collect::<Vec<_>>()[..] {
            note(signature);
        }
        // The sweep searches for no longer ones, so what is longer is searched in pieces.
        if secret.len() > PIECE {
            secret.as_bytes().chunks(PIECE).filter_map(|piece| std::str::from_utf8(piece).ok()).for_each(note);
        }
        // What is given as `name=value` is secret when its name says so.
        drop(self.text(secret));
    }

    /// Redacts a short text: a name, a path, an error message, one log line.
    #[must_use]
    pub fn text(&self, text: &str) -> Redacted<String> {
        self.counted_text("texts", text)
    }

    fn counted_text(&self, file: &str, text: &str) -> Redacted<String> {
        let result = catch_unwind(AssertUnwindSafe(|| self.bytes(file, Format::Text, text.as_bytes())));
        let redacted = result.ok().and_then(Result::ok).and_then(|bytes| String::from_utf8(bytes.into_inner()).ok());
        Redacted::vouch(redacted.unwrap_or_else(|| "[a text that could not be redacted]".to_owned()))
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

    /// Redacts a document in memory as [`Redactor::bytes`] does, and tells what was replaced where. What only a second look
    /// at replaced lines finds is not among it.
    ///
    /// # Errors
    /// When the content cannot be redacted safely.
    pub fn explain(
        &self,
        file: &str,
        format: Format,
        content: &[u8],
    ) -> Result<(Redacted<Vec<u8>>, Vec<Match>), RedactError> {
        let mut out = Redacted::buffer();
        let mut stream = self.stream(file, format).traced();
        stream.push(content, &mut out)?;
        stream.finish(&mut out)?;
        Ok((out, stream.into_matches()))
    }

    /// Redacts every text inside a value of our own, such as a ledger entry or the manifest.
    ///
    /// # Errors
    /// When the value does not survive the round trip through JSON.
    pub fn record<T: Serialize + DeserializeOwned>(&self, value: &T) -> Result<Redacted<T>, RedactError> {
        let mut value = serde_json::to_value(value).map_err(|e| RedactError::Content(e.to_string()))?;
        self.texts_of(&mut value);
        serde_json::from_value(value).map(Redacted::vouch).map_err(|e| RedactError::Content(e.to_string()))
    }

    fn texts_of(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                let redacted = self.counted_text("records", text).into_inner();
                *text = redacted;
            }
            Value::Array(items) => items.iter_mut().for_each(|v| self.texts_of(v)),
            Value::Object(map) => map.values_mut().for_each(|v| self.texts_of(v)),
            _ => {}
        }
    }

    /// Starts a list of Kubernetes objects; `file` is the name that the report counts under, `kind` and `api_version`
    /// belong to the objects inside.
    #[must_use]
    pub fn objects(&self, file: &str, api_version: &str, kind: &str) -> ObjectStream {
        ObjectStream::new(self.clone(), file, api_version, kind)
    }

    /// Starts a stream; `file` is the name that the report counts under.
    #[must_use]
    pub fn stream(&self, file: &str, format: Format) -> Stream {
        Stream::new(self.clone(), file, format)
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
        let (file, reason) = (self.text(file).into_inner(), self.text(reason).into_inner());
        if let Ok(mut counters) = self.inner.report.lock() {
            counters.report.stubs.insert(file, reason);
        }
    }

    /// What was redacted so far.
    #[must_use]
    pub fn report(&self) -> RedactionReport {
        let mut report = self.inner.report.lock().map_or_else(
            |_| RedactionReport::default(),
            |c| RedactionReport { distinct: c.distinct.len() as u64, ..c.report.clone() },
        );
        report.disabled = self.inner.set.disabled();
        for kind in self.inner.pseudonyms.iter().flat_map(Pseudonyms::kinds) {
            report.pseudonyms.entry(kind.name().to_owned()).or_default();
        }
        report.rules_sha256.clone_from(&self.inner.set.sha256);
        env!("CASEFILE_ENGINE_SHA256").clone_into(&mut report.engine_sha256);
        report.key_id = self.inner.ids.key_id();
        report
    }

    /// All rules in use, those in code first.
    #[must_use]
    pub fn rules(&self) -> &[RuleInfo] {
        &self.inner.set.infos
    }

    /// A search for all values that were found to be secret so far; none when there are none that can be searched.
    #[must_use]
    pub fn sweep(&self) -> Option<Sweep> {
        let on = self.inner.layers.known && self.inner.set.is_on(super::rules::engine::KNOWN);
        on.then(|| Sweep::new(self, &self.inner.known)).flatten()
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Notes a value that a rule replaced, for the sweep.
    pub(super) fn confirm(&self, rule: u16, value: &[u8]) {
        self.inner.known.note(&self.inner.set, &self.inner.ids, rule, value);
    }

    pub(super) fn count_pseudonyms(&self, file: &str, counts: BTreeMap<Pseudonym, u64>) {
        if counts.is_empty() {
            return;
        }
        let Ok(mut counters) = self.inner.report.lock() else { return };
        for (kind, count) in counts {
            let files = counters.report.pseudonyms.entry(kind.name().to_owned()).or_default();
            *files.entry(file.to_owned()).or_default() += count;
        }
    }

    pub(super) fn count(&self, file: &str, counts: Counts, ids: &[Id]) {
        if counts.is_empty() && ids.is_empty() {
            return;
        }
        let Ok(mut counters) = self.inner.report.lock() else { return };
        for ((layer, rule), count) in counts {
            *counters.report.layers.entry(layer.name().to_owned()).or_default() += count;
            if let Some(rule) = self.inner.set.rule(rule) {
                *counters.report.rules.entry(rule.id.clone()).or_default().entry(file.to_owned()).or_default() += count;
            }
        }
        for id in ids {
            if counters.distinct.len() < MAX_DISTINCT {
                counters.distinct.insert(id.number());
            }
        }
    }
}
