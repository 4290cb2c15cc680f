//! Bundles of other tools, presented under the paths of [`layout`].
//!
//! A layout is recognised by its paths. Nothing is unpacked or converted when a bundle is opened, but for one pass over
//! files that hold the logs of several containers: lists are put together from single objects while they are read.

mod cluster_dump;
mod convert;
mod crust_gather;
mod kinds;
mod must_gather;
mod troubleshoot;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use super::format::{FIRST, MANIFEST};
use super::layout;
use super::store::{Entry, Store, StoreError};
use convert::{ListReader, Source};
use kinds::Kind;

/// Problems that are kept one by one.
const DAMAGE_MAX: usize = 100;
/// Text of a problem.
const TEXT_MAX: usize = 300;

/// Where a file of another tool belongs.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// It holds one object.
    Object(Kind),
    /// It holds a list of objects.
    List(Kind),
    /// It is the log of one container.
    Log { namespace: String, pod: String, container: String, previous: bool },
    /// It holds the logs of all containers of a pod.
    PodLogs { namespace: String, pod: String },
    /// It is the same file under another path.
    File(String),
    /// It says what the tool could not collect.
    Failure,
    /// It is nothing that a bundle has; it keeps its path.
    Other,
    /// It would be taken for something that it is not.
    Hidden,
}

/// One way to lay out a bundle.
trait Layout: Sync {
    /// What the bundle is called in messages, with its article.
    fn title(&self) -> &'static str;
    /// How many of the paths speak for this layout; none when it is certainly another.
    fn score(&self, store: &dyn Store) -> usize;
    /// Where a file belongs.
    fn place(&self, path: &str) -> Place;
    /// Documents that are made from others: path and content.
    fn documents(&self, _store: &dyn Store) -> Vec<(String, Vec<u8>)> {
        Vec::new()
    }
    /// Whether files may end in a NUL that was not in the original.
    fn pads(&self) -> bool {
        false
    }
}

/// All layouts; the first of the best ones counts.
static LAYOUTS: [&dyn Layout; 4] =
    [&troubleshoot::Troubleshoot, &must_gather::MustGather, &crust_gather::CrustGather, &cluster_dump::ClusterDump];

/// Presents the bundle of another tool under our paths; gives any other store back as it is.
pub(super) fn adapt(store: Box<dyn Store>) -> Box<dyn Store> {
    if store.contains(MANIFEST) {
        return store;
    }
    let mut best: Option<(usize, &dyn Layout)> = None;
    for layout in LAYOUTS {
        let score = layout.score(&*store);
        if score > best.map_or(0, |(best, _)| best) {
            best = Some((score, layout));
        }
    }
    match best {
        Some((_, layout)) => Box::new(ForeignStore::new(store, layout)),
        None => store,
    }
}

/// What stands behind one path.
enum View {
    /// A file of the bundle as it is.
    File(String),
    /// A list, put together from files while it is read.
    List(Kind, Vec<Source>),
    /// A part of a file: path, offset and length.
    Part(String, u64, u64),
    /// A document that was made when the bundle was opened.
    Made(Vec<u8>),
}

/// The bundle of another tool.
struct ForeignStore {
    inner: Box<dyn Store>,
    title: &'static str,
    pads: bool,
    views: BTreeMap<String, View>,
    entries: Vec<Entry>,
    problems: Vec<String>,
    /// What could not be decoded so far: our path and why.
    damage: Mutex<BTreeSet<(String, String)>>,
}

impl ForeignStore {
    fn new(inner: Box<dyn Store>, layout: &dyn Layout) -> Self {
        let mut build = Build::default();
        for (path, bytes) in layout.documents(&*inner) {
            let size = bytes.len() as u64;
            build.put(path, View::Made(bytes), size);
        }
        for entry in inner.entries() {
            build.add(&*inner, entry, layout.place(&entry.path));
        }
        let title = layout.title();
        let mut problems = vec![format!(
            "it was read as {title}; {} of its {} files are shown under the paths that a bundle of casefile has",
            build.placed,
            inner.entries().len()
        )];
        // Such bundles are full of links to files that are elsewhere in them.
        let (links, others): (Vec<&String>, Vec<&String>) = inner.problems().iter().partition(|p| p.contains(IGNORED));
        problems.extend(others.into_iter().cloned());
        if let [first, ..] = links.as_slice() {
            problems.push(format!("{} of its entries were ignored, such as this one: {first}", links.len()));
        }
        problems.append(&mut build.problems);
        if let Some(first) = &build.hidden {
            problems.push(format!(
                "{} files are not shown, such as {first}: another file has their place, or they only look like a file of a bundle",
                build.hidden_count
            ));
        }
        let mut store = Self {
            inner,
            title,
            pads: layout.pads(),
            entries: Vec::with_capacity(build.views.len()),
            views: BTreeMap::new(),
            problems,
            damage: Mutex::default(),
        };
        for (path, (view, size)) in build.views {
            let view = match view {
                View::List(kind, mut sources) => {
                    sources.sort();
                    match sources.as_slice() {
                        // The tool's own JSON needs no conversion.
                        [Source { list: true, path }] if has_extension(path, "json") => View::File(path.clone()),
                        _ => View::List(kind, sources),
                    }
                }
                view => view,
            };
            store.entries.push(Entry { path: path.clone(), size });
            store.views.insert(path, view);
        }
        store
    }

    fn note(&self, path: &str, reason: String) {
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        if damage.len() < DAMAGE_MAX {
            damage.insert((path.to_owned(), reason));
        }
    }

    fn file(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, StoreError> {
        let reader = self.inner.open(path)?;
        if self.pads { Ok(Box::new(convert::TrimNul::new(reader))) } else { Ok(reader) }
    }
}

/// How readers begin to tell why an entry is left out.
const IGNORED: &str = " was ignored: ";

impl Store for ForeignStore {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, StoreError> {
        let (ours, view) = self.views.get_key_value(path).ok_or_else(|| StoreError::NotFound(path.to_owned()))?;
        match view {
            View::File(path) => self.file(path),
            View::Made(bytes) => Ok(Box::new(bytes.as_slice())),
            View::Part(path, offset, len) => {
                let mut reader = self.inner.open(path)?;
                let skipped = io::copy(&mut (&mut reader).take(*offset), &mut io::sink());
                skipped.map_err(|source| StoreError::Io { path: path.clone(), source })?;
                Ok(Box::new(reader.take(*len)))
            }
            View::List(kind, sources) => Ok(Box::new(ListReader::new(
                &*self.inner,
                kind,
                sources,
                Box::new(move |reason| self.note(ours, reason)),
            ))),
        }
    }

    fn problems(&self) -> &[String] {
        &self.problems
    }

    fn origin(&self) -> Option<&str> {
        Some(self.title)
    }

    fn damage(&self) -> Vec<(String, String)> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// What is found out while the entries are gone through.
#[derive(Default)]
struct Build {
    views: BTreeMap<String, (View, u64)>,
    problems: Vec<String>,
    placed: usize,
    hidden: Option<String>,
    hidden_count: usize,
}

impl Build {
    fn add(&mut self, store: &dyn Store, entry: &Entry, place: Place) {
        let path = entry.path.as_str();
        let file = || View::File(path.to_owned());
        match place {
            Place::Object(kind) => self.source(kind, Source { list: false, path: path.to_owned() }, entry.size),
            Place::List(kind) => self.source(kind, Source { list: true, path: path.to_owned() }, entry.size),
            Place::Log { namespace, pod, container, previous } => {
                self.place(layout::log(&namespace, &pod, &container, previous), path, file(), entry.size);
            }
            Place::PodLogs { namespace, pod } => self.pod_logs(store, entry, &namespace, &pod),
            Place::File(ours) => self.place(ours, path, file(), entry.size),
            Place::Failure => {
                let text = store.read(path, TEXT_MAX as u64).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                let text = text.trim();
                // An empty object means that nothing failed.
                if !matches!(text, "" | "{}" | "[]" | "null") {
                    self.problem(format!("{path} says what could not be collected: {}", line(text)));
                }
                if layout::parse_log(path).is_none() {
                    self.put(path.to_owned(), file(), entry.size);
                }
            }
            Place::Other if !looks_like_ours(path) => {
                self.put(path.to_owned(), file(), entry.size);
            }
            Place::Other | Place::Hidden => self.hide(path),
        }
    }

    fn source(&mut self, kind: Kind, source: Source, size: u64) {
        self.placed += 1;
        let entry = self.views.entry(kind.path()).or_insert_with(|| (View::List(kind, Vec::new()), 0));
        if let View::List(_, sources) = &mut entry.0 {
            sources.push(source);
            entry.1 = entry.1.saturating_add(size);
        }
    }

    fn pod_logs(&mut self, store: &dyn Store, entry: &Entry, namespace: &str, pod: &str) {
        let parts = match cluster_dump::parts(store, &entry.path, namespace, pod) {
            Ok(parts) => parts,
            Err(error) => return self.problem(format!("{} cannot be read to its end: {error}", entry.path)),
        };
        self.placed += 1;
        for part in parts {
            match part.failure {
                Some(text) => {
                    self.problem(format!("the log of {pod}/{} was not collected: {}", part.container, line(&text)));
                }
                None => {
                    let view = View::Part(entry.path.clone(), part.offset, part.len);
                    self.put(layout::log(namespace, pod, &part.container, false), view, part.len);
                }
            }
        }
    }

    fn place(&mut self, ours: String, theirs: &str, view: View, size: u64) {
        if super::reader::safe(ours.as_bytes()).as_deref() == Some(ours.as_str()) && self.put(ours, view, size) {
            self.placed += 1;
        } else {
            self.hide(theirs);
        }
    }

    fn put(&mut self, path: String, view: View, size: u64) -> bool {
        if self.views.contains_key(&path) {
            return false;
        }
        self.views.insert(path, (view, size));
        true
    }

    fn hide(&mut self, path: &str) {
        self.hidden.get_or_insert_with(|| path.to_owned());
        self.hidden_count += 1;
    }

    fn problem(&mut self, text: String) {
        match self.problems.len() {
            n if n < DAMAGE_MAX => self.problems.push(text),
            DAMAGE_MAX => self.problems.push("and more".to_owned()),
            _ => {}
        }
    }
}

/// Directories of a bundle whose files triage and `serve` read.
const READ: [&str; 4] = ["cluster-info", "cluster-resources", "health", "usage"];

/// Whether a path means something in a bundle of ours.
fn looks_like_ours(path: &str) -> bool {
    let top = path.split('/').next().unwrap_or(path);
    FIRST.contains(&path) || (path.contains('/') && READ.contains(&top))
}

/// A short printable line.
fn line(text: &str) -> String {
    text.chars().take(TEXT_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Whether a path ends in this extension.
fn has_extension(path: &str, extension: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, found)| found == extension)
}

/// The name of a YAML or JSON file without its extension.
fn stem(name: &str) -> Option<&str> {
    let (stem, extension) = name.rsplit_once('.')?;
    (matches!(extension, "yaml" | "yml" | "json") && !stem.is_empty()).then_some(stem)
}

/// The path below the first of some directories that lies at most `deepest` directories deep: the directory and the
/// segments below it.
fn below<'a>(path: &'a str, roots: &[&str], deepest: usize) -> Option<(&'a str, Vec<&'a str>)> {
    let segments: Vec<&str> = path.split('/').collect();
    let at = segments.iter().take(deepest + 1).position(|s| roots.contains(s))?;
    Some((segments[at], segments[at + 1..].to_vec()))
}

#[cfg(test)]
mod tests;
