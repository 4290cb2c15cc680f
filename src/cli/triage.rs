//! `casefile triage`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;

use super::Exit;
use super::output::{Format, Output};
use crate::bundle::{self, format};
use crate::model::Manifest;
use crate::redact::RedactionReport;
use crate::triage::{self, ManifestError, Rulebook, Severity};
use crate::{profile, report};

/// Largest `redaction.json` that is read.
const REDACTION_MAX: u64 = 64 << 20;
/// Problems of an archive that are told one by one.
const PROBLEMS: usize = 10;
/// Width of the output where the terminal does not say its own.
const WIDTH: usize = 100;

/// Arguments of `casefile triage`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Bundles: archives or unpacked directories
    #[arg(required = true, value_name = "BUNDLE")]
    bundles: Vec<PathBuf>,
    /// Read them with this profile instead of the one in their manifest
    #[arg(long, value_name = "ID|DIR")]
    profile: Option<String>,
    /// Directory with newer rules.toml and signatures.toml, or with a folder `<profile>/` that holds them; a rule or signature
    /// whose id is known replaces the built-in one
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Exit with code 4 when a finding is at least this severe
    #[arg(long, value_enum, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,
    /// Also write the report for a browser to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Overwrite the file of --html
    #[arg(long, requires = "html")]
    force: bool,
}

/// Severity for `--fail-on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// Something hurts now
    Critical,
    /// Something will hurt, or hurts a little
    Warning,
    /// Anything was found
    Info,
}

impl From<FailOn> for Severity {
    fn from(level: FailOn) -> Self {
        match level {
            FailOn::Critical => Self::Critical,
            FailOn::Warning => Self::Warning,
            FailOn::Info => Self::Info,
        }
    }
}

/// Runs the command.
#[expect(clippy::needless_pass_by_value, reason = "every command takes its arguments")]
pub(super) fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    let chosen = args.profile.as_deref().map(book_of).transpose()?;
    if let Some(dir) = &args.rules {
        // A missing directory is a usage error, whatever the bundles say.
        if !dir.is_dir() {
            return Err(super::output::usage(format!("--rules {}: there is no such directory", dir.display())));
        }
    }
    if args.html.is_some() && args.bundles.len() > 1 {
        return Err(super::output::usage("--html takes one bundle; run it once for each"));
    }
    let mut exit = Exit::Complete;
    let many = args.bundles.len() > 1;
    for path in &args.bundles {
        let store = bundle::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        if store.entries().is_empty() {
            anyhow::bail!("{} holds no files (is it the right directory?)", path.display());
        }
        let profile = chosen.as_ref().map(Rulebook::id);
        let (manifest, lacks) = match triage::manifest_of(store.as_ref(), profile) {
            Ok((manifest, false)) => (manifest, None),
            Ok((manifest, true)) => (manifest, Some("it has no manifest.json".to_owned())),
            // Whatever else can be read is worth reading.
            Err(damaged @ ManifestError::Malformed(_)) => {
                (triage::made_up(store.as_ref(), profile)?, Some(damaged.to_string()))
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        if let Some(lacks) = lacks {
            output.notice(&format!(
                "{}: {lacks}; it is read with profile {}, as if it was made {}",
                path.display(),
                manifest.profile,
                when(&manifest)
            ));
        }
        for problem in store.problems().iter().take(PROBLEMS) {
            output.notice(&format!("{}: {problem}", path.display()));
        }
        let mut book = chosen.clone().unwrap_or_else(|| Rulebook::builtin(&manifest.profile));
        if let Some(dir) = &args.rules {
            book = book.with_directory(dir)?;
        }
        let triage = triage::run_with(store.as_ref(), &manifest, &book)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let redaction: Option<RedactionReport> =
            store.read(format::REDACTION, REDACTION_MAX).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let view = report::View::new(&triage, &manifest, redaction.as_ref());
        if many && output.format != Format::Json {
            println!("==> {} <==", path.display());
        }
        match output.format {
            Format::Human => print!("{}", report::terminal(&view, output.color, width())),
            Format::Markdown => print!("{}", report::markdown(&view)),
            Format::Json => print!("{}", report::json(&triage)),
        }
        if many && output.format != Format::Json {
            println!();
        }
        if let Some(target) = &args.html {
            write_html(target, &report::html(&view)?, args.force)?;
            output.notice(&format!("wrote {}", target.display()));
        }
        if let (Some(limit), Some(worst)) = (args.fail_on, triage.worst())
            && worst >= limit.into()
        {
            exit = exit.worst(Exit::Findings);
        }
    }
    Ok(exit)
}

/// When a bundle was made, as far as it says.
fn when(manifest: &Manifest) -> String {
    if manifest.finished == crate::model::time::Timestamp::default() {
        "at a time that nothing in it tells".to_owned()
    } else {
        format!("at {}", crate::model::time::rfc3339(manifest.finished))
    }
}

/// The rules of `--profile`: a built-in profile, or a directory.
fn book_of(profile: &str) -> anyhow::Result<Rulebook> {
    match profile::find_builtin(profile) {
        Ok(found) => Ok(Rulebook::builtin(&found.id)),
        Err(_) if Path::new(profile).is_dir() => Ok(Rulebook::of_directory(Path::new(profile))?),
        Err(unknown) => Err(super::output::usage(unknown.to_string())),
    }
}

/// Width of the terminal, by `COLUMNS` where a shell exports it.
fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).unwrap_or(WIDTH)
}

fn write_html(target: &Path, html: &str, force: bool) -> anyhow::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).truncate(true);
    if force {
        options.create(true);
    } else {
        options.create_new(true);
    }
    let mut file = options
        .open(target)
        .with_context(|| format!("cannot write {} (an existing file needs --force)", target.display()))?;
    file.write_all(html.as_bytes()).with_context(|| format!("cannot write {}", target.display()))
}
