//! The end of a run: triage over the spool, the reports, the manifest, the archive and its audit.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::Utc;
use serde_json::json;

use super::super::audit::FinalAudit;
use super::super::log::Log;
use super::super::output::Output;
use super::super::session::Session;
use super::super::target::Target;
use crate::bundle::inspect::{self, quarantined};
use crate::bundle::{self, PackOptions, Packed, Spool, SpoolHeader, SpoolStore, format};
use crate::collect::{RunResult, health_sources};
use crate::model::size;
use crate::model::time::{Timestamp, rfc3339};
use crate::model::{FileEntry, LedgerEntry, Manifest, SCHEMA_VERSION, Tool};
use crate::redact::{AuditResult, Cleaner, Redacted, RedactionReport, Redactor};
use crate::report::{self, View};
use crate::triage::{self, Triage};

/// What the end of a run needs to know of its beginning.
pub(super) struct Finish<'a> {
    pub(super) session: &'a Session,
    pub(super) target: &'a Target,
    pub(super) case: Option<String>,
    pub(super) force: bool,
    pub(super) max_size: u64,
    pub(super) started: Timestamp,
    pub(super) redactor: &'a Redactor,
    pub(super) spool: Spool,
}

/// What was made.
pub(super) struct Made {
    pub(super) manifest: Manifest,
    pub(super) triage: Triage,
    pub(super) markdown: String,
    /// Whether stdout was to get the archive, so that nothing else may be written there.
    pub(super) to_stdout: bool,
    /// Rule, path and line of each hit of the audit.
    pub(super) leaks: Vec<String>,
    redaction: RedactionReport,
    /// The archive; none when it went to stdout.
    file: Option<PathBuf>,
    bytes: u64,
}

impl Finish<'_> {
    /// Writes the run's metadata into the spool, so that a bundle can be recovered after a crash.
    pub(super) fn header(&self) -> anyhow::Result<()> {
        let header = SpoolHeader {
            tool: Tool::this(),
            profile: self.session.profile.id.clone(),
            parameters: self.session.shown_parameters(),
            namespaces: self.session.namespaces.clone(),
            case: self.case.clone(),
            started: self.started,
            top_dir: self.target.stem.clone(),
        };
        self.spool.header(&self.redactor.record(&header)?)?;
        Ok(())
    }

    /// The manifest, with the artifacts of the spool but without the files of the run itself.
    fn manifest(&self, result: RunResult, files: Vec<FileEntry>) -> Manifest {
        Manifest {
            schema_version: SCHEMA_VERSION,
            tool: Tool::this(),
            status: result.status,
            profile: self.session.profile.id.clone(),
            parameters: self.session.shown_parameters(),
            namespaces: self.session.namespaces.clone(),
            case: self.case.clone(),
            started: self.started,
            finished: Utc::now(),
            clocks: result.clocks,
            notes: self.notes(result.notes, &result.ledger),
            ledger: result.ledger,
            files,
        }
    }

    /// The notes of the run, who told the health of the system, which protection the user has switched off, and what is under
    /// a pseudonym.
    fn notes(
        &self,
        mut notes: BTreeMap<String, serde_json::Value>,
        ledger: &[LedgerEntry],
    ) -> BTreeMap<String, serde_json::Value> {
        if let Some(sources) = health_sources(&self.session.profile.health_order, ledger) {
            notes.insert("health_sources".to_owned(), sources);
        }
        let report = self.redactor.report();
        if !report.disabled.is_empty() {
            notes.insert("redaction-rules-off".to_owned(), json!(report.disabled));
        }
        if !report.pseudonyms.is_empty() {
            notes.insert("pseudonyms".to_owned(), json!(report.pseudonyms.keys().collect::<Vec<_>>()));
        }
        notes
    }

    /// Triages, reports and packs.
    pub(super) fn pack(self, mut result: RunResult, log: &Log) -> anyhow::Result<Made> {
        let redactor = self.redactor;
        let cleaner = Cleaner::knowing(redactor);
        inspect::rename(&self.spool, &cleaner, result.ledger.iter_mut().flat_map(|entry| &mut entry.artifacts))?;
        let files = self.spool.fit(self.max_size)?;
        // What the terminal shows is made of this, so known values leave here and not only in the archive.
        let mut manifest = cleaner.record(&self.manifest(result, files))?.into_inner();
        let audit = FinalAudit::new();
        let (triage, mut leaks) = self.examine(&mut manifest, &cleaner, &audit)?;
        let audited = AuditResult { files: manifest.files.len() as u64, hits: leaks.clone() };
        let counts = RedactionReport { audit: Some(audited), ..redactor.report() };
        let view = View::new(&triage, &manifest, Some(&counts));
        let markdown = report::markdown(&view);
        let html = report::html(&view)?;

        // The reports are made of redacted texts, and still go the same way as everything else.
        let document =
            |name: &'static str, text: &str| -> anyhow::Result<_> { Ok((name, cleaner.bytes(name, text.as_bytes())?)) };
        let mut first = vec![
            document(format::SUMMARY, &markdown)?,
            document(format::TRIAGE, &report::json(&triage))?,
            document(format::TIMELINE, &report::timeline_json(&triage))?,
            document(format::REPORT, &html)?,
            document(format::LOG, &log.text())?,
        ];
        leaks.extend(inspect::audit_documents(&audit, &first)?);
        let audited = AuditResult { files: (manifest.files.len() + first.len()) as u64, hits: leaks.clone() };
        let redaction = RedactionReport { audit: Some(audited), ..redactor.report() };
        let last = first.len();
        first.push(document(format::REDACTION, &pretty(&redaction)?)?);
        manifest.files.extend(first.iter().map(|(name, content)| bundle::file_entry(name, content)));
        manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
        first.push(document(format::MANIFEST, &pretty(&manifest)?)?);

        leaks.extend(inspect::audit_documents(&audit, &first[last..])?);
        let packed = self.write(first, &cleaner, leaks.is_empty())?;
        self.spool.remove()?;
        Ok(Made {
            to_stdout: self.target.file.is_none(),
            markdown,
            leaks,
            file: packed.path,
            bytes: packed.bytes,
            redaction,
            manifest,
            triage,
        })
    }
}

impl Finish<'_> {
    /// Triages, and looks for secrets meanwhile: both read every artifact, and neither waits for the other. What is
    /// secret in one file must not stand in another one, so such files are rewritten and triaged again.
    fn examine(
        &self,
        manifest: &mut Manifest,
        cleaner: &Cleaner,
        audit: &FinalAudit,
    ) -> anyhow::Result<(Triage, Vec<String>)> {
        let read = |manifest: &Manifest| triage::run(&SpoolStore::new(&self.spool), manifest);
        let (triage, inspection) = std::thread::scope(|scope| {
            let triage = scope.spawn(|| read(manifest));
            let inspection = inspect::inspect(&self.spool, cleaner.known(), audit);
            (triage.join(), inspection)
        });
        let triage = triage.map_err(|_| anyhow::anyhow!("triage panicked; the data are still in the spool"))??;
        let mut inspection = inspection?;
        let Some(known) = cleaner.known().filter(|_| !inspection.touched.is_empty()) else {
            return Ok((triage, inspection.leaks));
        };
        inspect::clean(&self.spool, known, audit, &mut inspection)?;
        manifest.files = self.spool.files();
        Ok((read(manifest)?, inspection.leaks))
    }

    /// Writes the archive to its file, or to stdout. One that may hold a secret only ever goes to a file whose name says
    /// so: a stream cannot be taken back, and an archive that `--force` would replace stays.
    fn write(
        &self,
        first: Vec<(&'static str, Redacted<Vec<u8>>)>,
        cleaner: &Cleaner,
        clean: bool,
    ) -> anyhow::Result<Packed> {
        let mut stdout = std::io::stdout().lock();
        let target = match &self.target.file {
            Some(path) if clean => bundle::Target::File(path.clone()),
            Some(path) => bundle::Target::File(quarantined(path)),
            None if clean => bundle::Target::Writer(&mut stdout),
            None => {
                let path = self.target.spool_parent.join(format!("{}.tar.gz", self.target.stem));
                bundle::Target::File(quarantined(&path))
            }
        };
        let top_dir = cleaner.text(&self.target.stem);
        let force = self.force || !clean;
        let options = PackOptions { top_dir, target, first, mtime: self.started, force };
        Ok(bundle::pack(&self.spool, options)?)
    }
}

fn pretty<T: serde::Serialize>(value: &T) -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value)?))
}

impl Made {
    /// The triage for a terminal.
    pub(super) fn terminal(&self, output: &Output) -> String {
        let view = View::new(&self.triage, &self.manifest, Some(&self.redaction));
        report::terminal(&view, output.color, output.width())
    }

    /// The last lines of a run: what was made, what is missing, what to do with it.
    pub(super) fn closing_lines(&self, quiet: bool) -> String {
        let Some(file) = &self.file else { return String::new() };
        if quiet {
            return file.display().to_string();
        }
        let mut lines = Vec::new();
        let missing = self.manifest.ledger.iter().filter(|e| !e.outcome.is_complete()).count();
        if missing > 0 {
            lines.push(format!(
                "{missing} of {} items could not be read; SUMMARY.md names them",
                self.manifest.ledger.len()
            ));
        }
        if self.leaks.is_empty() {
            lines.push(format!(
                "{}  ({}, {} files, {} values redacted)",
                file.display(),
                size::human(self.bytes),
                self.manifest.files.len() + 1,
                self.redaction.total()
            ));
            lines.push(format!("look into it: casefile show {}", file.display()));
        } else {
            lines.push(format!("the leak audit hit {} times; do not send {}", self.leaks.len(), file.display()));
            lines.extend(self.leaks.iter().map(|hit| format!("  {hit}")));
        }
        lines.join("\n")
    }

    /// The result for programs.
    pub(super) fn result(&self) -> serde_json::Value {
        json!({
            "event": "result",
            "bundle": self.file,
            "bytes": self.bytes,
            "files": self.manifest.files.len() + 1,
            "redactions": self.redaction.total(),
            "complete": self.manifest.is_complete(),
            "finished": rfc3339(self.manifest.finished),
            "leaks": self.leaks,
            "triage": self.triage,
        })
    }
}
