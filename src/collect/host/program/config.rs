//! The configuration file of the program.

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::super::gather;
use super::super::roots::FILE_CAP;
use super::{Shared, Work, process};
use crate::collect::rooted::Tree;
use crate::collect::{CollectError, Done, Sink, blocking};
use crate::model::Outcome;
use crate::redact::Format;

/// Reads the first file that is there.
pub(super) struct ReadConfig;

impl Work for ReadConfig {
    fn collect<'a>(&'a self, shared: &'a Shared, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        read(shared, sink).boxed()
    }
}

async fn read(shared: &Shared, sink: &Sink) -> Result<Done, CollectError> {
    let process = shared.process().await;
    let mut looked = Vec::new();
    let mut refused = None;
    for place in &shared.program.config {
        let Some((shown, tree, path)) = resolve(shared, process, place) else { continue };
        let work = move || bytes(&tree?, &path);
        match blocking::within(&shown, gather::deadline(sink), work).await? {
            Ok(content) => {
                let target = shared.values.fill(&shared.program.artifact)?;
                sink.put(&target, Format::of_path(&target), &content)?;
                let said = format!("read from {shown}");
                return Ok(if content.len() as u64 == FILE_CAP {
                    Done::with(Outcome::Truncated, format!("{said}; only the first {} MiB are kept", FILE_CAP >> 20))
                } else {
                    Done::with(Outcome::Ok, said)
                });
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                refused.get_or_insert_with(|| format!("{shown} is not readable: {error}"));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => looked.push(shown),
            Err(error) => looked.push(format!("{shown} ({error})")),
        }
    }
    if let Some(refused) = refused {
        return Err(CollectError::Forbidden(format!("{refused} (try: run as root)")));
    }
    let name = &shared.program.name;
    let text = match process {
        Some(process) => format!("{name} runs as process {}, and its configuration is not there", process.pid),
        None => format!("{name} does not run here"),
    };
    let looked = if looked.is_empty() { String::new() } else { format!("; looked at {}", looked.join(", ")) };
    Err(CollectError::NotFound(format!("{text}{looked} (try: --set config_file=PATH, or run as root)")))
}

/// Reads at most [`FILE_CAP`] bytes of a regular file.
fn bytes(tree: &Tree, path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    tree.file(path)?.take(FILE_CAP).read_to_end(&mut content)?;
    Ok(content)
}

/// What a place of the profile means here: how it is called, and in which tree it stands under which name.
fn resolve(
    shared: &Shared,
    process: Option<&process::Process>,
    place: &str,
) -> Option<(String, io::Result<Tree>, PathBuf)> {
    let (name, own) = match place.as_bytes().first()? {
        b'-' => (process?.argument(place)?.to_owned(), process),
        // What the user names stands on this host.
        b'{' => (shared.values.fill(place).ok().filter(|p| !p.is_empty())?, None),
        _ => (place.to_owned(), process),
    };
    let path = Path::new(&name);
    let (tree, whole) = match own {
        Some(process) => (process.tree(), process.whole(path)?),
        None if path.is_absolute() => (Ok(Tree::at(&shared.outside.roots.root)), path.to_owned()),
        None => (Ok(Tree::at(Path::new("/"))), std::path::absolute(path).ok()?),
    };
    Some((name, tree, whole))
}
