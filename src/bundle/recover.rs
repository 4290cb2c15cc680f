//! Packs what a killed run left behind.

mod again;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::format::{MANIFEST, SUMMARY};
use super::inspect::{self, quarantined};
use super::spool::{JOURNAL, Leftover, Spool, SpoolError, SpoolHeader};
use super::verify::LeakAudit;
use super::writer::{PackError, PackOptions, Packed, Target, file_entry, pack};
use crate::model::time::{Timestamp, file_stamp, rfc3339};
use crate::model::{Manifest, Outcome, RunStatus, SCHEMA_VERSION, Tool};
use crate::redact::{Cleaner, RedactError, Redactor};

/// Why a spool cannot be recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The spool cannot be read.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The archive cannot be written.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The texts that recovery makes cannot be redacted.
    #[error(transparent)]
    Redact(#[from] RedactError),
}

/// What `recover` is told.
pub struct RecoverOptions<'a> {
    /// Where the archive goes; none for the name that the run would have given it, beside the spool.
    pub target: Option<Target<'a>>,
    /// Whether an existing file may be replaced.
    pub force: bool,
    /// Redacts the texts that recovery makes, and once more what the run had written.
    pub redactor: &'a Redactor,
    /// Looks for secrets in what is packed.
    pub audit: &'a dyn LeakAudit,
}

/// What was recovered.
#[derive(Debug)]
pub struct Recovered {
    /// The archive.
    pub packed: Packed,
    /// Artifacts that the run had not finished.
    pub unfinished: Vec<String>,
    /// What could not be recovered, in sentences.
    pub problems: Vec<String>,
    /// What the audit found: path, kind and line.
    pub leaks: Vec<String>,
}

/// Packs the spool of a killed run as a valid bundle that says that it was recovered. The spool stays. When the audit finds
/// something, the bundle becomes a file with `.quarantine` behind its name, whatever the target was.
///
/// # Errors
/// When the directory is no spool, its run is alive, or the archive cannot be written.
pub fn recover(dir: &Path, options: RecoverOptions<'_>) -> Result<Recovered, RecoverError> {
    let Leftover { spool, header, mut ledger, mut unfinished, mut problems } = Spool::reopen(dir)?;
    let header = header.unwrap_or_else(|| {
        problems.push("the run was killed before it wrote what it is about".to_owned());
        unknown(dir)
    });
    let mut redone = again::redact(&spool, options.redactor)?;
    // What the second look has found to be secret must not stand anywhere else.
    let cleaner = Cleaner::knowing(options.redactor);
    let inspection = inspect::settle(&spool, cleaner.known(), options.audit)?;
    redone.extend(inspection.touched);
    let artifacts = ledger.iter_mut().flat_map(|entry| &mut entry.artifacts);
    inspect::rename(&spool, &cleaner, artifacts.chain(&mut unfinished).chain(&mut redone))?;
    redone.sort();
    redone.dedup();
    let files = spool.files();
    // A second recovery finds them closed, and says the same.
    unfinished.extend(
        files
            .iter()
            .filter(|f| f.truncation.as_ref().is_some_and(|t| t.reason == "interrupted"))
            .map(|f| f.path.clone()),
    );
    unfinished.sort();
    unfinished.dedup();
    ledger.sort_by(|a, b| a.item.cmp(&b.item));
    ledger.dedup_by(|a, b| a.item == b.item);
    for entry in &mut ledger {
        entry.artifacts.retain(|path| {
            let there = files.binary_search_by(|f| f.path.as_str().cmp(path)).is_ok();
            if !there {
                problems.push(format!("{path} of {} is lost", entry.item));
            }
            there
        });
        if entry.outcome == Outcome::Ok && entry.artifacts.iter().any(|a| unfinished.binary_search(a).is_ok()) {
            entry.outcome = Outcome::Truncated;
        }
    }
    let finished = ledger
        .iter()
        .filter_map(|e| {
            e.started?.checked_add_signed(chrono::Duration::milliseconds(i64::try_from(e.duration_ms).ok()?))
        })
        .max()
        .unwrap_or(header.started)
        .max(header.started);
    let notes = BTreeMap::from([
        ("recovered".to_owned(), NOTE.into()),
        ("recovered-unfinished".to_owned(), unfinished.clone().into()),
        ("recovered-problems".to_owned(), problems.clone().into()),
        ("recovered-redacted-again".to_owned(), redone.into()),
    ]);
    let mut manifest = Manifest {
        schema_version: SCHEMA_VERSION,
        tool: header.tool.clone(),
        status: RunStatus::Recovered,
        profile: header.profile.clone(),
        parameters: header.parameters.clone(),
        namespaces: header.namespaces.clone(),
        case: header.case.clone(),
        started: header.started,
        finished,
        clocks: Vec::new(),
        notes,
        ledger,
        files,
    };
    let text = summary(&manifest, &unfinished, &problems);
    let summary = cleaner.bytes(SUMMARY, text.as_bytes())?;
    manifest.files.push(file_entry(SUMMARY, &summary));
    manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
    let manifest = cleaner.record(&manifest)?.into_inner();
    let json = serde_json::to_vec_pretty(&manifest).map_err(|e| RedactError::Content(e.to_string()))?;
    let first = vec![(SUMMARY, summary), (MANIFEST, cleaner.bytes(MANIFEST, &json)?)];
    let mut leaks = inspection.leaks;
    leaks.extend(inspect::audit_documents(options.audit, &first).map_err(|e| RedactError::Content(e.to_string()))?);
    let top_dir = cleaner.text(&header.top_dir);
    let beside = || default_target(dir, top_dir.get());
    let target = match options.target {
        None if leaks.is_empty() => Target::File(beside()),
        Some(target) if leaks.is_empty() => target,
        Some(Target::File(path)) => Target::File(quarantined(&path)),
        // A stream cannot be renamed once somebody has it.
        Some(Target::Writer(_)) | None => Target::File(quarantined(&beside())),
    };
    let force = options.force || !leaks.is_empty();
    let packed = pack(&spool, PackOptions { top_dir: top_dir.clone(), target, first, mtime: header.started, force })?;
    Ok(Recovered { packed, unfinished, problems, leaks })
}

const NOTE: &str = "The run was killed. The ledger has the items that had ended; items that were planned but had not \
    ended are unknown and are not in it, so nothing can be concluded from what is absent.";

const SWEEP: &str = "The values that the run knew to be secret were never written, so they could not be searched in all files. \
    The rules and the audit have run over every file once more.";

fn default_target(dir: &Path, top: &str) -> PathBuf {
    let name = crate::model::BundlePath::portable(&top.replace('/', "-"));
    // `.` has a parent only by its full name.
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
    dir.parent().unwrap_or(Path::new(".")).join(format!("{name}.tar.gz"))
}

/// Stands in for metadata that were never written: the time is that of the journal.
fn unknown(dir: &Path) -> SpoolHeader {
    let started = std::fs::metadata(dir.join(JOURNAL))
        .and_then(|meta| meta.created().or_else(|_| meta.modified()))
        .map_or(Timestamp::UNIX_EPOCH, Timestamp::from);
    SpoolHeader {
        tool: Tool::this(),
        profile: "unknown".to_owned(),
        parameters: BTreeMap::new(),
        namespaces: Vec::new(),
        case: None,
        started,
        top_dir: format!("casefile-recovered-{}", file_stamp(started)),
    }
}

fn summary(manifest: &Manifest, unfinished: &[String], problems: &[String]) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "# Recovered bundle\n\nThe run that collected this was killed before it could finish. `casefile recover` packed \
         what it had written. There is no triage in here yet: run `casefile triage` over this archive.\n"
    );
    let _ = writeln!(out, "- Profile: {}", manifest.profile);
    let _ = writeln!(out, "- Started: {}", rfc3339(manifest.started));
    let _ = writeln!(out, "- Last item ended: {}", rfc3339(manifest.finished));
    let _ = writeln!(out, "- Files: {}", manifest.files.len());
    let _ = writeln!(out, "- Items that had ended: {}", manifest.ledger.len());
    for (outcome, count) in manifest.outcomes() {
        let _ = writeln!(out, "  - {outcome}: {count}");
    }
    let _ = writeln!(out, "\n{NOTE}\n\n{SWEEP}");
    for (title, lines) in [("Files that were being written", unfinished), ("What could not be recovered", problems)] {
        if !lines.is_empty() {
            let _ = writeln!(out, "\n## {title}\n");
        }
        for line in lines {
            let _ = writeln!(out, "- {line}");
        }
    }
    out
}
