//! `casefile verify`.

use std::path::PathBuf;

use super::Exit;
use super::audit::FinalAudit;
use super::output::{Format, Output};
use super::show::put;
use crate::bundle::{Problem, VerifyReport, verify};
use crate::model::size;

/// Arguments of `casefile verify`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 the bundle is whole; 1 it is damaged or cannot be read; 5 it holds what looks like a secret."
)]
pub(super) struct Args {
    /// A .tar.gz, or the directory that it unpacks to
    bundle: PathBuf,
}

/// Runs the command.
#[expect(clippy::needless_pass_by_value, reason = "all commands have this signature")]
pub(super) fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    let report = verify(&args.bundle, Some(&FinalAudit::new()))?;
    let text = if output.format == Format::Json {
        format!("{}\n", serde_json::to_string_pretty(&json(&report))?)
    } else {
        human(&args.bundle.display().to_string(), &report)
    };
    put(text.as_bytes())?;
    Ok(match (report.leaks.is_empty(), report.problems.is_empty()) {
        (false, _) => Exit::Leak,
        (true, false) => Exit::Error,
        (true, true) => Exit::Complete,
    })
}

fn json(report: &VerifyReport) -> serde_json::Value {
    let mut value = serde_json::json!(report);
    value["ok"] = report.is_ok().into();
    value
}

fn human(bundle: &str, report: &VerifyReport) -> String {
    let mut out = String::new();
    let mut list = |title: &str, problems: &[Problem]| {
        for problem in problems {
            let path = problem.path.as_deref().map(|p| format!("{p}: ")).unwrap_or_default();
            // Names in a foreign manifest may hold anything; none of it may command the terminal.
            let line: String = format!("{title}: {path}{}", problem.text)
                .chars()
                .map(|c| if c.is_control() { '?' } else { c })
                .collect();
            out.push_str(&line);
            out.push('\n');
        }
    };
    list("damaged", &report.problems);
    list("leak", &report.leaks);
    let verdict = match (report.leaks.len(), report.problems.len()) {
        (0, 0) => "the bundle is whole".to_owned(),
        (0, n) => format!("{n} problems"),
        (n, m) => format!("{n} leaks, {m} problems; do not pass the bundle on"),
    };
    out.push_str(&format!(
        "{bundle}: {verdict} ({} files, {}, {} items in the ledger{})\n",
        report.files,
        size::human(report.bytes),
        report.items,
        if report.audited { ", audited for leaks" } else { "" }
    ));
    out
}
