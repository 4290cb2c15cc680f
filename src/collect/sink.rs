//! The only way from a collector into the bundle.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc::UnboundedSender;

use super::{CollectError, Limits};
use crate::bundle::{Spool, SpoolWriter};
use crate::model::{ClockOffset, Event, ItemId, Kept, Truncation};
use crate::redact::{Format, ObjectStream, RedactError, Redacted, Redactor, Stream};

/// Bytes between two progress events of one item.
const PROGRESS_STEP: u64 = 256 << 10;

/// Which bytes of an artifact are kept when it has more than a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// All of them.
    All,
    /// The first ones, counted before redaction.
    Oldest(u64),
    /// The last ones, counted after redaction.
    Newest(u64),
}

/// What one item writes into. The engine makes one for each item.
pub struct Sink {
    shared: Arc<Shared>,
    limits: Arc<Limits>,
}

/// What the sink and its open artifacts count together.
pub(super) struct Shared {
    item: ItemId,
    redactor: Redactor,
    spool: Spool,
    events: UnboundedSender<Event>,
    bytes: AtomicU64,
    unreported: AtomicU64,
    attempts: AtomicU32,
    written: Mutex<Written>,
}

/// What an item left behind beside bytes.
#[derive(Default)]
pub(super) struct Written {
    pub(super) artifacts: Vec<String>,
    pub(super) truncated: Option<String>,
    pub(super) clocks: Vec<ClockOffset>,
    pub(super) notes: Vec<(String, serde_json::Value)>,
    pub(super) spool_error: Option<String>,
}

impl Sink {
    pub(super) fn new(
        item: ItemId,
        redactor: Redactor,
        spool: Spool,
        events: UnboundedSender<Event>,
        limits: Arc<Limits>,
    ) -> Self {
        let shared = Shared {
            item,
            redactor,
            spool,
            events,
            bytes: AtomicU64::new(0),
            unreported: AtomicU64::new(0),
            attempts: AtomicU32::new(0),
            written: Mutex::default(),
        };
        Self { shared: Arc::new(shared), limits }
    }

    /// Limits of the run.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Opens an artifact. The path is redacted and made portable; a path that is taken gets a number.
    ///
    /// # Errors
    /// When the spool fails.
    pub fn create(&self, path: &str, format: Format, keep: Keep) -> Result<Artifact, CollectError> {
        let file = self.shared.redactor.text(path);
        let newest = if let Keep::Newest(bytes) = keep { Some(bytes) } else { None };
        let writer = self.shared.spool(self.shared.spool.artifact(&file, newest))?;
        let stream = self.shared.redactor.stream(writer.path().as_str(), format);
        let room = if let Keep::Oldest(bytes) = keep { bytes } else { u64::MAX };
        Ok(Artifact {
            body: Body {
                shared: Arc::clone(&self.shared),
                path: writer.path().as_str().to_owned(),
                writer: Some(writer),
                buffer: Redacted::buffer(),
                failed: false,
            },
            stream,
            format,
            room,
            limit: room,
            cut: 0,
            received: 0,
        })
    }

    /// Writes a whole small document.
    ///
    /// # Errors
    /// When the spool fails.
    pub fn put(&self, path: &str, format: Format, content: &[u8]) -> Result<(), CollectError> {
        let mut artifact = self.create(path, format, Keep::All)?;
        artifact.write(content)?;
        artifact.finish(None)
    }

    /// Opens a typed list of Kubernetes objects.
    ///
    /// # Errors
    /// When the spool fails.
    pub fn create_objects(&self, path: &str, api_version: &str, kind: &str) -> Result<ObjectArtifact, CollectError> {
        let file = self.shared.redactor.text(path);
        let writer = self.shared.spool(self.shared.spool.artifact(&file, None))?;
        let stream = self.shared.redactor.objects(writer.path().as_str(), api_version, kind);
        Ok(ObjectArtifact {
            body: Body {
                shared: Arc::clone(&self.shared),
                path: writer.path().as_str().to_owned(),
                writer: Some(writer),
                buffer: Redacted::buffer(),
                failed: false,
            },
            stream,
        })
    }

    /// Counts one request, retries included.
    pub fn attempt(&self) {
        self.shared.attempts.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes that a source sent and that no artifact counts, such as pages that are taken apart into objects.
    pub fn received(&self, bytes: u64) {
        self.shared.progress(bytes);
    }

    /// Notes the difference between our clock and another one, for the manifest.
    pub fn clock(&self, offset: ClockOffset) {
        self.shared.with(|w| w.clocks.push(offset));
    }

    /// Notes a fact about the run for the manifest, such as the server's version.
    pub fn note(&self, key: &str, value: serde_json::Value) {
        self.shared.with(|w| w.notes.push((key.to_owned(), value)));
    }

    pub(super) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn attempts(&self) -> u32 {
        self.shared.attempts.load(Ordering::Relaxed)
    }

    pub(super) fn take_written(&self) -> Written {
        self.shared.written.lock().map(|mut w| std::mem::take(&mut *w)).unwrap_or_default()
    }
}

impl Shared {
    fn with(&self, change: impl FnOnce(&mut Written)) {
        if let Ok(mut written) = self.written.lock() {
            change(&mut written);
        }
    }

    fn spool<T>(&self, result: Result<T, crate::bundle::SpoolError>) -> Result<T, CollectError> {
        result.map_err(|error| {
            self.with(|w| w.spool_error = Some(error.to_string()));
            CollectError::Spool(error)
        })
    }

    fn progress(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let waiting = self.unreported.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if waiting >= PROGRESS_STEP {
            self.unreported.fetch_sub(waiting, Ordering::Relaxed);
            let item = ItemId::new(self.redactor.text(self.item.as_str()).into_inner());
            // Nobody listens after the run is over; that is fine.
            let _ = self.events.send(Event::Progress { item, bytes: waiting });
        }
    }
}

/// The part that artifacts of all kinds share: a spool file and what happens when redaction fails.
struct Body {
    shared: Arc<Shared>,
    path: String,
    writer: Option<SpoolWriter>,
    buffer: Redacted<Vec<u8>>,
    failed: bool,
}

impl Body {
    /// Runs one step of redaction and stores what it gave. A refusal or a panic turns the artifact into a stub.
    fn step(
        &mut self,
        redact: impl FnOnce(&mut Redacted<Vec<u8>>) -> Result<(), RedactError>,
    ) -> Result<(), CollectError> {
        let Some(writer) = self.writer.as_mut().filter(|_| !self.failed) else { return Ok(()) };
        let result = self.shared.redactor.step(&self.path, writer, &mut self.buffer, redact);
        self.failed = !self.shared.spool(result)?;
        Ok(())
    }

    fn close(&mut self, truncation: Option<Truncation>) -> Result<(), CollectError> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let truncation = if self.failed {
            Some(Truncation { reason: "redaction-failed".to_owned(), dropped_bytes: None, kept: Kept::Oldest })
        } else {
            truncation
        };
        let result = writer.finish(truncation);
        let entry = self.shared.spool(result)?;
        self.shared.with(|w| {
            if let Some(truncation) = &entry.truncation {
                w.truncated.get_or_insert_with(|| truncation.reason.clone());
            }
            w.artifacts.push(entry.path);
        });
        Ok(())
    }
}

impl Drop for Body {
    /// An artifact that nobody finished belongs to an item that was cancelled, timed out, failed or panicked. What is
    /// there is worth keeping.
    fn drop(&mut self) {
        let cut = Truncation { reason: "interrupted".to_owned(), dropped_bytes: None, kept: Kept::Oldest };
        // The error is already noted for the engine; a destructor has nobody to tell.
        let _ = self.close(Some(cut));
    }
}

/// One file of the bundle that is being written.
///
/// When it is dropped without [`Artifact::finish`], what was written stays, marked as interrupted.
pub struct Artifact {
    body: Body,
    stream: Stream,
    format: Format,
    room: u64,
    limit: u64,
    cut: u64,
    received: u64,
}

impl Artifact {
    /// The path that the artifact has in the bundle.
    #[must_use]
    pub fn path(&self) -> &str {
        self.body.writer.as_ref().map_or("", |w| w.path().as_str())
    }

    /// Appends raw bytes; they are redacted before they are stored.
    ///
    /// # Errors
    /// When the spool fails. A failure of redaction is not an error here: a stub takes the artifact's place.
    pub fn write(&mut self, raw: &[u8]) -> Result<(), CollectError> {
        self.body.shared.progress(raw.len() as u64);
        self.received += raw.len() as u64;
        let take = usize::try_from(self.room).unwrap_or(usize::MAX).min(raw.len());
        self.room -= take as u64;
        self.cut += (raw.len() - take) as u64;
        let stream = &mut self.stream;
        self.body.step(|out| stream.push(&raw[..take], out))
    }

    /// Bytes that were written so far, before redaction and limits.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Begins the artifact anew, for a source that is read again from another place. What was written is dropped.
    ///
    /// # Errors
    /// When the spool fails.
    pub fn restart(&mut self) -> Result<(), CollectError> {
        if self.body.failed {
            return Ok(());
        }
        let Some(writer) = self.body.writer.as_mut() else { return Ok(()) };
        self.stream = self.body.shared.redactor.stream(writer.path().as_str(), self.format);
        (self.room, self.cut) = (self.limit, 0);
        let result = writer.restart();
        self.body.shared.spool(result)
    }

    /// Whether the limit of [`Keep::Oldest`] is reached, so that reading on is of no use.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.room == 0
    }

    /// Ends the artifact; `truncation` says what the source cut off, if anything.
    ///
    /// # Errors
    /// When the spool fails.
    pub fn finish(mut self, truncation: Option<Truncation>) -> Result<(), CollectError> {
        let stream = &mut self.stream;
        self.body.step(|out| stream.finish(out))?;
        let own = (self.cut > 0).then(|| Truncation {
            reason: "size-limit".to_owned(),
            dropped_bytes: Some(self.cut),
            kept: Kept::Oldest,
        });
        self.body.close(truncation.or(own))
    }
}

impl Drop for Artifact {
    /// Emits what the stream held back, so that an interrupted log ends where the source ended.
    fn drop(&mut self) {
        if self.body.writer.is_some() {
            let stream = &mut self.stream;
            let _ = self.body.step(|out| stream.finish(out));
        }
    }
}

/// A typed list of Kubernetes objects that is being written.
pub struct ObjectArtifact {
    body: Body,
    stream: ObjectStream,
}

impl ObjectArtifact {
    /// Appends one object, given as the JSON text that the server sent.
    ///
    /// # Errors
    /// When the spool fails.
    pub fn push(&mut self, raw: &[u8]) -> Result<(), CollectError> {
        self.body.shared.progress(raw.len() as u64);
        let stream = &mut self.stream;
        self.body.step(|out| {
            stream.push(raw, out);
            Ok(())
        })
    }

    /// How many objects the list has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.stream.count()
    }

    /// Ends the list; `truncation` says what is missing, if anything.
    ///
    /// # Errors
    /// When the spool fails.
    pub fn finish(mut self, truncation: Option<Truncation>) -> Result<(), CollectError> {
        self.end()?;
        self.body.close(truncation)
    }

    fn end(&mut self) -> Result<(), CollectError> {
        let stream = &mut self.stream;
        self.body.step(|out| {
            stream.finish(out);
            Ok(())
        })
    }
}

impl Drop for ObjectArtifact {
    /// Closes the document, so that an interrupted list is still valid JSON.
    fn drop(&mut self) {
        if self.body.writer.is_some() {
            let _ = self.end();
        }
    }
}
