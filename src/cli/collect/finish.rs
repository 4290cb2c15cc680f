//! The end of a run: triage over the spool, the reports, the manifest, the archive and its audit.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::Utc;
use serde_json::json;

use super::super::audit::{FinalAudit, quarantine};
use super::super::inspect;
use super::super::log::Log;
use super::super::output::Output;
use super::super::session::Session;
use super::super::target::Target;
use crate::bundle::{self, PackOptions, Packed, Spool, SpoolHeader, SpoolStore, format};
use crate::collect::{RunResult, health_sources};
use crate::model::size;
use crate::model::time::{Timestamp, rfc3339};
use crate::model::{FileEntry, LedgerEntry, Manifest, SCHEMA_VERSION, Tool};
use crate::redact::{Format, Redacted, RedactionReport, Redactor, Sweep};
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
    pub(super) to_stdout: bool,
    /// Rule, path and line of each hit of the audit.
    pub(super) leaks: Vec<String>,
    redaction: RedactionReport,
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
        let sweep = redactor.sweep();
        if let Some(sweep) = &sweep {
            inspect::rename(&self.spool, redactor, sweep, &mut result.ledger)?;
        }
        let files = self.spool.fit(self.max_size)?;
        let manifest = redactor.record(&self.manifest(result, files))?;
        // What the terminal shows is made of this, so known values leave here and not only in the archive.
        let manifest = sweep.as_ref().map(|s| s.record(&manifest)).transpose()?.unwrap_or(manifest);
        let mut manifest = manifest.into_inner();
        let (triage, mut leaks) = self.examine(&mut manifest, sweep.as_ref())?;
        let counts = redactor.report();
        let view = View::new(&triage, &manifest, Some(&counts));
        let markdown = report::markdown(&view);
        let html = report::html(&view)?;

        // The reports are made of redacted texts, and still go the same way as everything else.
        let document = |name: &'static str, kind: Format, text: &str| -> anyhow::Result<_> {
            let clean = redactor.bytes(name, kind, text.as_bytes())?;
            Ok((name, sweep.as_ref().map(|s| s.bytes(name, &clean)).transpose()?.unwrap_or(clean)))
        };
        let mut first = vec![
            document(format::SUMMARY, Format::Text, &markdown)?,
            document(format::TRIAGE, Format::Json, &report::json(&triage))?,
            document(format::TIMELINE, Format::Json, &report::timeline_json(&triage))?,
            document(format::REPORT, Format::Text, &html)?,
            document(format::LOG, Format::Text, &log.text())?,
        ];
        let redaction = redactor.report();
        first.push(document(format::REDACTION, Format::Json, &pretty(&redaction)?)?);
        manifest.files.extend(first.iter().map(|(name, content)| bundle::file_entry(name, content)));
        manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
        first.push(document(format::MANIFEST, Format::Json, &pretty(&manifest)?)?);

        let audit = FinalAudit::new();
        for (name, content) in &first {
            leaks.extend(inspect::audit_document(&audit, name, content.get())?);
        }
        let packed = self.write(first)?;
        let file = match packed.path {
            Some(path) if !leaks.is_empty() => Some(quarantine(&path)?),
            other => other,
        };
        self.spool.remove()?;
        Ok(Made {
            to_stdout: self.target.file.is_none(),
            markdown,
            leaks,
            file,
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
    fn examine(&self, manifest: &mut Manifest, sweep: Option<&Sweep>) -> anyhow::Result<(Triage, Vec<String>)> {
        let read = |manifest: &Manifest| triage::run(&SpoolStore::new(&self.spool), manifest);
        let (triage, inspection) = std::thread::scope(|scope| {
            let triage = scope.spawn(|| read(manifest));
            let inspection = inspect::run(&self.spool, sweep);
            (triage.join(), inspection)
        });
        let triage = triage.map_err(|_| anyhow::anyhow!("triage panicked; the data are still in the spool"))??;
        let inspection = inspection?;
        let Some(sweep) = sweep.filter(|_| !inspection.touched.is_empty()) else {
            return Ok((triage, inspection.leaks));
        };
        inspect::clean(&self.spool, sweep, &inspection.touched)?;
        manifest.files = self.spool.files();
        Ok((read(manifest)?, inspect::run(&self.spool, None)?.leaks))
    }

    /// Writes the archive to its file, or to stdout.
    fn write(&self, first: Vec<(&'static str, Redacted<Vec<u8>>)>) -> anyhow::Result<Packed> {
        let mut stdout = std::io::stdout().lock();
        let target = match &self.target.file {
            Some(path) => bundle::Target::File(path.clone()),
            None => bundle::Target::Writer(&mut stdout),
        };
        let top_dir = self.redactor.text(&self.target.stem);
        let top_dir = self.redactor.sweep().map_or(top_dir.clone(), |sweep| sweep.text(&top_dir));
        let options = PackOptions { top_dir, target, first, mtime: self.started, force: self.force };
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
