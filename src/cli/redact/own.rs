//! `casefile redact` on a bundle of ours: every file again, with a new manifest.

use std::io::Read;
use std::path::Path;

use serde_json::json;

use super::super::audit::FinalAudit;
use super::Done;
use crate::bundle::inspect::{self, quarantined};
use crate::bundle::{self, PackOptions, Spool, Store, Target, format};
use crate::model::{Kept, Manifest, Truncation};
use crate::redact::{AuditResult, Cleaner, CopyError, Format, RedactionReport, Redactor};

/// Files that the run made itself, in the order of the archive. `redaction.json` and the manifest are made anew.
const REPORTS: [&str; 5] = [format::SUMMARY, format::TRIAGE, format::TIMELINE, format::REPORT, format::LOG];

/// The manifest, when the file is a bundle of ours.
pub(super) fn recognise(path: &Path) -> Option<(Box<dyn Store>, Manifest)> {
    let store = bundle::open(path).ok()?;
    let manifest = bundle::manifest(store.as_ref()).ok()?;
    Some((store, manifest))
}

/// Redacts a bundle into another one.
pub(super) fn run(redactor: &Redactor, store: &dyn Store, manifest: Manifest, output: &Path) -> anyhow::Result<Done> {
    let parent = output.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let spool = Spool::create(parent)?;
    let result = rewrite(redactor, store, manifest, output, &spool);
    spool.remove()?;
    result
}

fn rewrite(
    redactor: &Redactor,
    store: &dyn Store,
    mut manifest: Manifest,
    output: &Path,
    spool: &Spool,
) -> anyhow::Result<Done> {
    let own =
        |path: &str| REPORTS.contains(&path) || [format::REDACTION, format::MANIFEST, format::INDEX].contains(&path);
    let mut stubs = 0;
    for entry in store.entries().iter().filter(|e| !own(&e.path)) {
        let truncation = manifest.files.iter().find(|f| f.path == entry.path).and_then(|f| f.truncation.clone());
        let mut content = store.open(&entry.path)?;
        stubs += artifact(redactor, spool, &entry.path, &mut content, truncation)?;
    }
    let cleaner = Cleaner::knowing(redactor);
    inspect::rename(spool, &cleaner, manifest.ledger.iter_mut().flat_map(|entry| &mut entry.artifacts))?;
    let audit = FinalAudit::new();
    let mut leaks = inspect::settle(spool, cleaner.known(), &audit)?.leaks;
    let mut first = Vec::new();
    for name in REPORTS {
        let mut text = Vec::new();
        let Ok(mut content) = store.open(name) else { continue };
        content.read_to_end(&mut text)?;
        first.push((name, cleaner.bytes(name, &text)?));
    }
    let pretty = |value: serde_json::Result<String>| -> anyhow::Result<Vec<u8>> { Ok((value? + "\n").into_bytes()) };
    leaks.extend(inspect::audit_documents(&audit, &first)?);
    let audited = AuditResult { files: (spool.files().len() + first.len()) as u64, hits: leaks.clone() };
    let report = RedactionReport { audit: Some(audited), ..redactor.report() };
    let report = pretty(serde_json::to_string_pretty(&report))?;
    let last = first.len();
    first.push((format::REDACTION, cleaner.bytes(format::REDACTION, &report)?));
    manifest.notes.insert("redacted-again".to_owned(), json!({"rules-off": redactor.report().disabled}));
    manifest.files = spool.files();
    manifest.files.extend(first.iter().map(|(name, content)| bundle::file_entry(name, content)));
    manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
    let mtime = manifest.started;
    let manifest = cleaner.record(&manifest)?.into_inner();
    let text = pretty(serde_json::to_string_pretty(&manifest))?;
    first.push((format::MANIFEST, cleaner.bytes(format::MANIFEST, &text)?));
    leaks.extend(inspect::audit_documents(&audit, &first[last..])?);
    let name = output.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.strip_suffix(".tar.gz").or_else(|| name.strip_suffix(".tgz")).unwrap_or(&name);
    let options = PackOptions {
        top_dir: cleaner.text(stem),
        target: Target::File(if leaks.is_empty() { output.to_path_buf() } else { quarantined(output) }),
        first,
        mtime,
        force: false,
    };
    bundle::pack(spool, options)?;
    Ok(Done { stubs, leaks })
}

/// One file through the redactor into the spool; a stub when that cannot be done.
fn artifact(
    redactor: &Redactor,
    spool: &Spool,
    path: &str,
    content: &mut dyn Read,
    truncation: Option<Truncation>,
) -> anyhow::Result<u64> {
    let mut writer = spool.artifact(&redactor.text(path), None)?;
    let sound = redactor.copy(path, Format::of_path(path), content, &mut writer).map_err(|error| match error {
        CopyError::Read(e) => anyhow::Error::new(e).context(format!("cannot read {path} in the bundle")),
        CopyError::Write(e) => e.into(),
    })?;
    let cut = Truncation { reason: "redaction-failed".to_owned(), dropped_bytes: None, kept: Kept::Oldest };
    writer.finish(if sound { truncation } else { Some(cut) })?;
    Ok(u64::from(!sound))
}
