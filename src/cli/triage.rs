//! `casefile triage`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;

use super::Exit;
use super::output::{Format, Output};
use crate::bundle::{self, Store, format};
use crate::model::Manifest;
use crate::redact::RedactionReport;
use crate::triage::network::{Party, Unread};
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
    /// Bundles: archives or unpacked directories. Bundles of several parties of one KMS network are compared
    #[arg(required = true, value_name = "BUNDLE")]
    bundles: Vec<PathBuf>,
    /// Read them with this profile instead of the one in their manifest
    #[arg(long, value_name = "ID|DIR")]
    profile: Option<String>,
    /// Directory with newer rules.toml and signatures.toml, or with a folder `<profile>/` that holds them; a rule or signature
    /// whose id is known replaces the built-in one
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Behind the comparison of a network, also show the triage of each bundle
    #[arg(long)]
    each: bool,
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
    if args.bundles.len() > 1 {
        return several(&args, chosen.as_ref(), output);
    }
    let mut exit = Exit::Complete;
    for path in &args.bundles {
        let bundle = Bundle::open(path, chosen.as_ref(), args.rules.as_deref(), output)?;
        let triage = triage::run_with(bundle.store.as_ref(), &bundle.manifest, &bundle.book)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let redaction = bundle.redaction();
        let view = report::View::new(&triage, &bundle.manifest, redaction.as_ref());
        show(&view, output);
        if let Some(target) = &args.html {
            write_html(target, &report::html(&view)?, args.force)?;
            output.notice(&format!("wrote {}", target.display()));
        }
        exit = exit.worst(ended(args.fail_on, triage.worst()));
    }
    Ok(exit)
}

/// A bundle that was opened.
struct Bundle {
    store: Box<dyn Store>,
    manifest: Manifest,
    book: Rulebook,
}

impl Bundle {
    fn open(path: &Path, chosen: Option<&Rulebook>, rules: Option<&Path>, output: &Output) -> anyhow::Result<Self> {
        let store = bundle::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        if store.entries().is_empty() {
            anyhow::bail!("{} holds no files (is it the right directory?)", path.display());
        }
        let profile = chosen.map(Rulebook::id);
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
        let mut book = chosen.cloned().unwrap_or_else(|| Rulebook::builtin(&manifest.profile));
        if let Some(dir) = rules {
            book = book.with_directory(dir)?;
        }
        Ok(Self { store, manifest, book })
    }

    fn redaction(&self) -> Option<RedactionReport> {
        let bytes = self.store.read(format::REDACTION, REDACTION_MAX).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

/// Several bundles: compared when they are of parties of one network, and else one after the other.
fn several(args: &Args, chosen: Option<&Rulebook>, output: &Output) -> anyhow::Result<Exit> {
    let mut exit = Exit::Complete;
    let mut parties = Vec::new();
    let mut unread = Vec::new();
    let mut shown = Vec::new();
    for path in &args.bundles {
        let label = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
        let read = Bundle::open(path, chosen, args.rules.as_deref(), output).and_then(|bundle| {
            let (triage, party) = Party::read(bundle.store.as_ref(), &bundle.manifest, &bundle.book, &label)
                .with_context(|| format!("cannot read {}", path.display()))?;
            Ok((triage, party, bundle.redaction(), bundle.manifest))
        });
        match read {
            Ok((triage, party, redaction, manifest)) => {
                exit = exit.worst(ended(args.fail_on, triage.worst()));
                if party.is_known() {
                    parties.push(party);
                } else {
                    let reason =
                        format!("it does not say which party of a network it is of (profile {})", manifest.profile);
                    unread.push(Unread { bundle: label, reason });
                }
                shown.push((path, triage, redaction, manifest));
            }
            // One broken bundle is not the end: the others are read, and the exit code says that something is missing.
            Err(error) => {
                output.notice(&format!("{error:#}"));
                let reason = crate::triage::text::line(&format!("{error:#}"), 200);
                unread.push(Unread { bundle: label, reason });
                exit = exit.worst(Exit::Incomplete);
            }
        }
    }
    if shown.is_empty() {
        anyhow::bail!("none of the {} bundles can be read; the reasons are above", args.bundles.len());
    }
    let compared = parties.len() > 1;
    if compared {
        let network = triage::network::compare(parties, unread);
        match output.format {
            Format::Human => print!("{}", report::network_terminal(&network, output.color, width())),
            Format::Markdown => print!("{}", report::network_markdown(&network)),
            Format::Json => print!("{}", report::network_json(&network)),
        }
        exit = exit.worst(ended(args.fail_on, network.worst()));
    }
    if !compared || args.each {
        for (i, (path, triage, redaction, manifest)) in shown.iter().enumerate() {
            if output.format != Format::Json {
                println!("{}==> {} <==", if compared || i > 0 { "\n" } else { "" }, path.display());
            }
            show(&report::View::new(triage, manifest, redaction.as_ref()), output);
        }
    }
    Ok(exit)
}

fn show(view: &report::View<'_>, output: &Output) {
    match output.format {
        Format::Human => print!("{}", report::terminal(view, output.color, width())),
        Format::Markdown => print!("{}", report::markdown(view)),
        Format::Json => print!("{}", report::json(view.triage())),
    }
}

/// The exit code that `--fail-on` asks for.
fn ended(limit: Option<FailOn>, worst: Option<Severity>) -> Exit {
    match (limit, worst) {
        (Some(limit), Some(worst)) if worst >= limit.into() => Exit::Findings,
        _ => Exit::Complete,
    }
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
