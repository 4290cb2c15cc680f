//! Reading one list: paged, resumed after errors, each object handed on as the bytes that the server sent.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::Refusal;
use super::api::{Cluster, escaped};
use super::split::{Array, SplitError, Splitter};
use super::table::{Column, cell};
use crate::collect::{CollectError, Sink, retry};
use crate::model::{Access, Kept, Truncation};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";
const PLAIN: &str = "application/json";
/// Objects a page.
const LIMIT: u32 = 500;
/// An expired list is taken up again this often.
const EXPIRED_MAX: u32 = 5;
/// Pages in a row that bring nothing new before a list counts as one without an end.
const STALE_PAGES: u32 = 3;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Printer columns and whole objects together.
    Table,
    /// Whole objects.
    Plain,
    /// Metadata only.
    Metadata,
}

/// One list to read.
pub(super) struct Query {
    /// Path without a query.
    pub(super) path: String,
    /// The right that it takes.
    pub(super) access: Access,
    /// What is asked for first; a server that refuses it is asked for whole objects.
    pub(super) form: Form,
    /// Field selector; left out when the server does not know it.
    pub(super) fields: Option<&'static str>,
    /// Label selector.
    pub(super) labels: Option<String>,
}

impl Query {
    pub(super) fn new(path: String, access: Access, form: Form) -> Self {
        Self { path, access, form, fields: None, labels: None }
    }
}

/// Who takes the objects.
pub(super) trait Visit: Send {
    /// The columns of a page, behind its rows: a server may send them in any order.
    fn columns(&mut self, columns: &[Column]) {
        let _ = columns;
    }

    /// One object, with its printer columns where the server gave them. The bytes may be anything.
    fn object(&mut self, sink: &Sink, raw: &[u8], cells: Option<Vec<String>>) -> Result<(), CollectError>;
}

/// How a list ended.
#[derive(Default)]
pub(super) struct Ended {
    /// Objects that were handed on.
    pub(super) objects: usize,
    /// Of these, how many are not JSON.
    pub(super) undecodable: usize,
    /// Objects that are missing because of their size.
    pub(super) oversized: usize,
    /// Why the rest is missing.
    pub(super) cut: Option<CollectError>,
}

impl Ended {
    /// What to say about an incomplete list in the ledger.
    pub(super) fn reason(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(error) = &self.cut {
            parts.push(format!("the list broke off after {}: {error}", objects(self.objects)));
        }
        if self.undecodable > 0 {
            parts.push(format!("{} could not be decoded", objects(self.undecodable)));
        }
        if self.oversized > 0 {
            parts.push(format!("{} too large to be kept", objects(self.oversized)));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// The mark for the list's file.
    pub(super) fn truncation(&self) -> Option<Truncation> {
        let reason = match (&self.cut, self.oversized) {
            (Some(CollectError::TimedOut(_)), _) => "timed-out",
            (Some(CollectError::Transient(_)), _) => "connection-lost",
            (Some(_), _) => "list-incomplete",
            (None, 0) => return None,
            (None, _) => "size-limit",
        };
        Some(Truncation { reason: reason.to_owned(), dropped_bytes: None, kept: Kept::Oldest })
    }
}

fn objects(count: usize) -> String {
    if count == 1 { "1 object".to_owned() } else { format!("{count} objects") }
}

/// Reads a list to its end. An error is for lists of which nothing was read.
pub(super) async fn read(
    cluster: &Cluster,
    sink: &Sink,
    query: Query,
    visit: &mut dyn Visit,
) -> Result<Ended, CollectError> {
    cluster.allowed(&query.access)?;
    let mut reader = Reader {
        cluster,
        sink,
        visit,
        form: query.form,
        fields: query.fields,
        query,
        limit: Some(LIMIT),
        token: None,
        seen: HashSet::new(),
        ended: Ended::default(),
        expired: 0,
        stale: 0,
    };
    match reader.run().await {
        Ok(()) => Ok(reader.ended),
        // A full disk is not the server's fault, and more of the list does not help.
        Err(error @ CollectError::Spool(_)) => Err(error),
        Err(error) if reader.ended.objects == 0 => Err(error),
        Err(error) => {
            reader.ended.cut = Some(error);
            Ok(reader.ended)
        }
    }
}

struct Reader<'a> {
    cluster: &'a Cluster,
    sink: &'a Sink,
    visit: &'a mut dyn Visit,
    query: Query,
    form: Form,
    fields: Option<&'static str>,
    limit: Option<u32>,
    token: Option<String>,
    /// Hashes of what was handed on, because a page that broke off or expired is asked for again.
    seen: HashSet<u64>,
    ended: Ended,
    expired: u32,
    stale: u32,
}

/// The rest of a list document.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rest {
    metadata: Option<RestMeta>,
    column_definitions: Vec<Column>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RestMeta {
    r#continue: Option<String>,
}

#[derive(Deserialize)]
struct Row<'a> {
    cells: Vec<Value>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    metadata: NamedMeta,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NamedMeta {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
}

/// Why a page was not the next one.
enum Turn {
    /// Goes on, or the list is at its end.
    Next,
    /// The same page is asked for in another way.
    Again,
}

impl Reader<'_> {
    async fn run(&mut self) -> Result<(), CollectError> {
        loop {
            match self.page_with_retries().await? {
                Turn::Again => {}
                Turn::Next if self.token.is_none() => return Ok(()),
                Turn::Next => {}
            }
        }
    }

    async fn page_with_retries(&mut self) -> Result<Turn, CollectError> {
        let mut attempt = 1;
        loop {
            self.sink.attempt();
            let error = match self.page().await {
                Ok(turn) => return Ok(turn),
                Err(error) => error,
            };
            let Some(wait) = retry::wait_after(&error, attempt) else { return Err(error) };
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    fn path(&self) -> String {
        let mut parts = Vec::new();
        if let Some(limit) = self.limit {
            parts.push(format!("limit={limit}"));
        }
        if self.form == Form::Table {
            parts.push("includeObject=Object".to_owned());
        }
        if let Some(fields) = self.fields {
            parts.push(format!("fieldSelector={}", escaped(fields)));
        }
        if let Some(labels) = &self.query.labels {
            parts.push(format!("labelSelector={}", escaped(labels)));
        }
        if let Some(token) = &self.token {
            parts.push(format!("continue={}", escaped(token)));
        }
        if parts.is_empty() { self.query.path.clone() } else { format!("{}?{}", self.query.path, parts.join("&")) }
    }

    async fn page(&mut self) -> Result<Turn, CollectError> {
        let accept = match self.form {
            Form::Table => TABLE,
            Form::Plain => PLAIN,
            Form::Metadata => METADATA,
        };
        let response = match self.cluster.open(&self.path(), accept).await? {
            Ok(response) => response,
            Err(refusal) => return self.refused(refusal),
        };
        let mut chunks = self.cluster.chunks(response.into_body());
        let mut splitter = Splitter::new();
        let mut page = Page { fresh: 0, bare_rows: false };
        while let Some(chunk) = chunks.next().await? {
            splitter.push::<PageError>(&chunk, &mut |array, element| self.element(&mut page, array, element))?;
            if page.bare_rows {
                // The table has no objects in it; only a plain list has them.
                self.form = Form::Plain;
                return Ok(Turn::Again);
            }
        }
        let envelope = splitter.finish().map_err(PageError::from)?;
        self.ended.oversized += envelope.oversized;
        let rest: Rest = serde_json::from_slice(&envelope.json)
            .map_err(|_| CollectError::Transient(SplitError::NotJson.to_string()))?;
        self.visit.columns(&rest.column_definitions);
        let next = rest.metadata.and_then(|m| m.r#continue).filter(|t| !t.is_empty());
        self.stale = if page.fresh > 0 { 0 } else { self.stale + 1 };
        if next.is_some() && (next == self.token || self.stale >= STALE_PAGES) {
            return Err(CollectError::Failed("the server repeats itself instead of ending the list".to_owned()));
        }
        self.token = next;
        Ok(Turn::Next)
    }

    fn element(&mut self, page: &mut Page, array: Array, element: &[u8]) -> Result<(), PageError> {
        if page.bare_rows {
            return Ok(());
        }
        let (raw, cells) = match array {
            Array::Items => (element, None),
            Array::Rows => match serde_json::from_slice::<Row<'_>>(element) {
                Ok(Row { cells, object: Some(object) }) if object.get() != "null" => {
                    (object.get().as_bytes(), Some(cells.iter().map(cell).collect()))
                }
                Ok(_) => {
                    page.bare_rows = true;
                    return Ok(());
                }
                // A row that is not JSON: its object is handed on as it is, so that it is accounted for.
                Err(_) => (element, None),
            },
        };
        let mut hasher = DefaultHasher::new();
        let decodable = match serde_json::from_slice::<Named>(raw) {
            Ok(Named { metadata: NamedMeta { name: Some(name), namespace, uid } }) => {
                (name, namespace, uid).hash(&mut hasher);
                true
            }
            Ok(_) => {
                raw.hash(&mut hasher);
                true
            }
            Err(_) => {
                raw.hash(&mut hasher);
                serde_json::from_slice::<serde::de::IgnoredAny>(raw).is_ok()
            }
        };
        if !self.seen.insert(hasher.finish()) {
            return Ok(());
        }
        page.fresh += 1;
        self.ended.objects += 1;
        self.ended.undecodable += usize::from(!decodable);
        Ok(self.visit.object(self.sink, raw, cells)?)
    }

    fn refused(&mut self, refusal: Refusal) -> Result<Turn, CollectError> {
        self.cluster.deny(&self.query.access, &refusal);
        match refusal.code {
            406 | 415 if self.form != Form::Plain => {
                self.form = Form::Plain;
                Ok(Turn::Again)
            }
            410 if self.token.is_some() && self.expired < EXPIRED_MAX => {
                self.expired += 1;
                // Without a token the whole list is read again in one piece, which cannot expire.
                if refusal.continue_token.is_none() {
                    self.limit = None;
                }
                self.token = refusal.continue_token;
                Ok(Turn::Again)
            }
            400 if self.fields.is_some() && self.token.is_none() => {
                self.fields = None;
                Ok(Turn::Again)
            }
            _ => Err(refusal.into_error()),
        }
    }
}

struct Page {
    fresh: usize,
    bare_rows: bool,
}

/// An error in the middle of a page: of the document, or of who takes the objects.
enum PageError {
    Split(SplitError),
    Collect(CollectError),
}

impl From<SplitError> for PageError {
    fn from(error: SplitError) -> Self {
        Self::Split(error)
    }
}

impl From<CollectError> for PageError {
    fn from(error: CollectError) -> Self {
        Self::Collect(error)
    }
}

impl From<PageError> for CollectError {
    fn from(error: PageError) -> Self {
        match error {
            // Whatever garbled one answer may spare the next one.
            PageError::Split(error) => Self::Transient(error.to_string()),
            PageError::Collect(error) => error,
        }
    }
}
