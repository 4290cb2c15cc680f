//! The configuration file of the program.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::super::gather;
use super::super::roots::{self, FILE_CAP};
use super::{Shared, Work, process};
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
        let Some((shown, path)) = resolve(shared, process, place) else { continue };
        let work = {
            let path = path.clone();
            move || roots::bytes(&path)
        };
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
                refused.get_or_insert(shown);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => looked.push(shown),
            Err(error) => looked.push(format!("{shown} ({error})")),
        }
    }
    if let Some(shown) = refused {
        return Err(CollectError::Forbidden(format!("{shown} is not readable (try: run as root)")));
    }
    let name = &shared.program.name;
    let text = match process {
        Some(process) => format!("{name} runs as process {}, and its configuration is not there", process.pid),
        None => format!("{name} does not run here"),
    };
    let looked = if looked.is_empty() { String::new() } else { format!("; looked at {}", looked.join(", ")) };
    Err(CollectError::NotFound(format!("{text}{looked} (try: --set config_file=PATH, or run as root)")))
}

/// What a place of the profile means here: how it is called, and the file.
fn resolve(shared: &Shared, process: Option<&process::Process>, place: &str) -> Option<(String, PathBuf)> {
    let root = &shared.outside.roots.root;
    let (name, own) = match place.as_bytes().first()? {
        b'-' => (process?.argument(place)?.to_owned(), process),
        // What the user names stands on this host.
        b'{' => (shared.values.fill(place).ok().filter(|p| !p.is_empty())?, None),
        _ => (place.to_owned(), process),
    };
    let path = Path::new(&name);
    let file = match own {
        Some(process) => process.file(path)?,
        None if path.is_absolute() => process::below(root, path),
        None => path.to_owned(),
    };
    Some((name, file))
}
