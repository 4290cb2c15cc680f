//! All objects of one kind, with their printer columns.

use std::collections::BTreeMap;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::api::{Cluster, escaped};
use super::discovery::Kind;
use super::list::{self, Ended, Form, Query, Visit};
use super::table::{Column, TableFile};
use crate::bundle::layout;
use crate::collect::{CollectError, Done, Item, ObjectArtifact, Sink};
use crate::model::{Access, ItemId, Outcome, Truncation};

/// Releases of Helm hold whole charts with all values; only their metadata is read.
const HELM: &str = "helm.sh/release.v1";
const NOT_HELM: &str = "type!=helm.sh/release.v1";
const ONLY_HELM: &str = "type=helm.sh/release.v1";

/// Id of the item that lists a kind.
pub(super) fn id(kind: &Kind, namespace: Option<&str>) -> ItemId {
    let name = kind.full_name();
    ItemId::new(match namespace {
        Some(namespace) => format!("kubernetes/{name}/{namespace}"),
        None => format!("kubernetes/{name}"),
    })
}

/// The right to list a kind.
pub(super) fn list_access(kind: &Kind, namespace: Option<&str>) -> Access {
    Access::new("list", &kind.group, &kind.plural, namespace)
}

/// Lists one kind.
pub(super) struct ObjectsItem {
    id: ItemId,
    cluster: Cluster,
    kind: Kind,
    namespace: Option<String>,
    _hold: Option<TaskTrackerToken>,
}

impl ObjectsItem {
    pub(super) fn new(cluster: Cluster, kind: Kind, namespace: Option<String>) -> Self {
        Self { id: id(&kind, namespace.as_deref()), cluster, kind, namespace, _hold: None }
    }

    /// Keeps a gate closed until this item is gone.
    pub(super) fn holding(mut self, hold: Option<TaskTrackerToken>) -> Self {
        self._hold = hold;
        self
    }

    async fn collect(&self, sink: &Sink) -> Result<Done, CollectError> {
        let namespace = self.namespace.as_deref();
        let access = list_access(&self.kind, namespace);
        let mut file = ObjectFile::new(&self.kind, namespace);
        let secrets = self.kind.group.is_empty() && self.kind.plural == "secrets";
        let mut query = Query::new(self.kind.path(namespace), access.clone(), Form::Table);
        query.fields = secrets.then_some(NOT_HELM);
        let mut ended = list::read(&self.cluster, sink, query, &mut file).await?;
        if secrets && ended.cut.is_none() {
            let mut query = Query::new(self.kind.path(namespace), access, Form::Metadata);
            query.fields = Some(ONLY_HELM);
            let mut helm = Helm { file: &mut file, newest: BTreeMap::new() };
            match list::read(&self.cluster, sink, query, &mut helm).await {
                Ok(more) => {
                    helm.finish(&self.cluster, sink, &self.kind.path(namespace)).await?;
                    ended.objects += more.objects;
                    ended.undecodable += more.undecodable;
                    ended.cut = more.cut;
                }
                Err(error) => ended.cut = Some(error),
            }
        }
        file.finish(sink, ended.truncation())?;
        Ok(done(&ended))
    }
}

impl Item for ObjectsItem {
    fn id(&self) -> &ItemId {
        &self.id
    }

    fn collector(&self) -> &'static str {
        "kubernetes/objects"
    }

    fn describe(&self) -> String {
        let place = self.namespace.as_deref().map_or_else(|| "of the cluster".to_owned(), |n| format!("in {n}"));
        let note = if self.kind.group.is_empty() && self.kind.plural == "secrets" {
            "; only names, keys, types, sizes and certificate dates are stored"
        } else {
            ""
        };
        format!("lists all {} {place}{note}", self.kind.full_name())
    }

    fn access(&self) -> Vec<Access> {
        vec![list_access(&self.kind, self.namespace.as_deref())]
    }

    fn run<'a>(&'a self, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.collect(sink).boxed()
    }
}

/// The outcome of a list that was read at least in part.
pub(super) fn done(ended: &Ended) -> Done {
    match ended.reason() {
        Some(reason) if ended.cut.is_some() || ended.oversized > 0 => Done::with(Outcome::Truncated, reason),
        Some(reason) => Done::with(Outcome::Ok, reason),
        None if ended.objects == 0 => Done { outcome: Outcome::Empty, reason: None, spawn: Vec::new() },
        None => Done::ok(),
    }
}

/// The two files of a kind: its objects and its columns. Neither is made before the first object.
pub(super) struct ObjectFile {
    path: String,
    api_version: String,
    kind: String,
    objects: Option<ObjectArtifact>,
    table: TableFile,
}

impl ObjectFile {
    pub(super) fn new(kind: &Kind, namespace: Option<&str>) -> Self {
        Self::at(
            layout::objects(&kind.group, &kind.plural, namespace),
            layout::table(&kind.group, &kind.plural, namespace),
            kind.api_version(),
            kind.kind.clone(),
        )
    }

    pub(super) fn at(path: String, table: String, api_version: String, kind: String) -> Self {
        Self { path, api_version, kind, objects: None, table: TableFile::new(table) }
    }

    /// Ends both files.
    pub(super) fn finish(mut self, sink: &Sink, truncation: Option<Truncation>) -> Result<(), CollectError> {
        self.table.finish(sink)?;
        match self.objects.take() {
            Some(objects) => objects.finish(truncation),
            None => Ok(()),
        }
    }
}

impl Visit for ObjectFile {
    fn columns(&mut self, columns: &[Column]) {
        self.table.columns(columns.iter().map(|c| c.name.as_str()));
    }

    fn object(&mut self, sink: &Sink, raw: &[u8], cells: Option<Vec<String>>) -> Result<(), CollectError> {
        let objects = match self.objects.as_mut() {
            Some(objects) => objects,
            None => self.objects.insert(sink.create_objects(&self.path, &self.api_version, &self.kind)?),
        };
        objects.push(raw)?;
        cells.map_or(Ok(()), |cells| self.table.row(sink, cells))
    }
}

/// Turns the metadata of Helm releases back into (empty) Secrets, so that the list has one kind.
///
/// Of the newest revision of each release the record itself is read, for its chart and its status; the redactor takes those out of
/// it and drops the rest. Older revisions are told by their labels.
struct Helm<'a> {
    file: &'a mut ObjectFile,
    /// Newest revision of each release: its number, its Secret's name and what is to be written when it cannot be read.
    newest: BTreeMap<String, (i64, String, Vec<u8>)>,
}

/// Releases whose record is read.
const RELEASES_MAX: usize = 100;
/// Largest record.
const RECORD_MAX: usize = 4 << 20;

impl Helm<'_> {
    /// Reads the newest records. What cannot be read is told by its labels, like the older ones.
    async fn finish(self, cluster: &Cluster, sink: &Sink, path: &str) -> Result<(), CollectError> {
        for (_, name, metadata) in self.newest.into_values() {
            let path = format!("{path}?limit=1&fieldSelector=metadata.name%3D{}", escaped(&name));
            let record = match cluster.get(Some(sink), &path, "application/json", RECORD_MAX).await {
                Ok(Ok(body)) => record(&body),
                Ok(Err(_)) | Err(_) => None,
            };
            self.file.object(sink, record.as_deref().unwrap_or(&metadata), None)?;
        }
        Ok(())
    }
}

/// The one Secret of a list, if it is a release record.
fn record(list: &[u8]) -> Option<Vec<u8>> {
    let list: Value = serde_json::from_slice(list).ok()?;
    let object = list.get("items")?.as_array()?.first()?;
    let mut object = object.as_object().filter(|o| o.get("type").is_some_and(|t| t == HELM))?.clone();
    object.insert("apiVersion".to_owned(), "v1".into());
    object.insert("kind".to_owned(), "Secret".into());
    Some(Value::Object(object).to_string().into_bytes())
}

impl Visit for Helm<'_> {
    fn object(&mut self, sink: &Sink, raw: &[u8], _cells: Option<Vec<String>>) -> Result<(), CollectError> {
        let Ok(Value::Object(mut object)) = serde_json::from_slice(raw) else {
            return self.file.object(sink, raw, None);
        };
        // A server that knows no field selector sends all Secrets, and the others are in the file already.
        let other = object.get("type").is_some_and(|t| t != HELM);
        if other {
            return Ok(());
        }
        object.insert("apiVersion".to_owned(), "v1".into());
        object.insert("kind".to_owned(), "Secret".into());
        object.insert("type".to_owned(), HELM.into());
        object.remove("data");
        let object = Value::Object(object);
        let text = |at: &str| object.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (release, revision) = (text("/metadata/labels/name"), text("/metadata/labels/version"));
        let mut raw = object.to_string().into_bytes();
        if let Ok(revision) = revision.parse::<i64>()
            && (self.newest.len() < RELEASES_MAX || self.newest.contains_key(&release))
        {
            match self.newest.get_mut(&release) {
                Some(newest) if newest.0 >= revision => {}
                Some(newest) => {
                    let older = std::mem::replace(newest, (revision, text("/metadata/name"), raw));
                    raw = older.2;
                }
                None => {
                    self.newest.insert(release, (revision, text("/metadata/name"), raw));
                    return Ok(());
                }
            }
        }
        self.file.object(sink, &raw, None)
    }
}
