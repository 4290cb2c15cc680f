//! `casefile recover`.

use std::path::{Path, PathBuf};

use super::Exit;
use super::audit::FinalAudit;
use super::output::{Format, Output, usage};
use super::show::put;
use crate::bundle::{RecoverOptions, Target, recover};
use crate::model::size;
use crate::redact::{CorrelationKey, Redactor};

/// Arguments of `casefile recover`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory .casefile-*.spool that a killed run left behind
    dir: PathBuf,
    /// Where the archive goes, - for standard output [default: beside the directory, with the name that the run had chosen]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
    /// Remove the directory when the archive is written
    #[arg(long)]
    remove: bool,
}

/// Runs the command.
pub(super) fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    // What the run collected was redacted by the run; this is for what recovery adds, and for a second look.
    let redactor = Redactor::new(CorrelationKey::random()?)?;
    let inside = args.output.as_deref().is_some_and(|path| is_inside(path, &args.dir));
    if args.remove && inside {
        return Err(usage("--remove would remove the archive, too; write it outside of the directory"));
    }
    let to_stdout = args.output.as_deref() == Some(Path::new("-"));
    let mut stdout = std::io::stdout().lock();
    let target =
        args.output.map(|path| if path.as_os_str() == "-" { Target::Writer(&mut stdout) } else { Target::File(path) });
    let audit = FinalAudit::new();
    let options = RecoverOptions { target, force: args.force, redactor: &redactor, audit: &audit };
    let recovered = recover(&args.dir, options)?;
    drop(stdout);
    for problem in &recovered.problems {
        output.notice(&format!("warning: {problem}"));
    }
    for leak in &recovered.leaks {
        output.notice(&format!("leak: {leak}"));
    }
    let leaked = !recovered.leaks.is_empty();
    if let Some(path) = recovered.packed.path.as_ref().filter(|_| leaked) {
        output.notice(&format!(
            "{}the leak audit hit {} times; do not send {}; the directory stays",
            if to_stdout { "nothing was written to standard output: " } else { "" },
            recovered.leaks.len(),
            path.display()
        ));
    }
    if args.remove && !leaked {
        std::fs::remove_dir_all(&args.dir).map_err(|e| {
            anyhow::anyhow!("the archive is written, but {} cannot be removed: {e}", args.dir.display())
        })?;
    }
    let packed = &recovered.packed;
    if let Some(path) = packed.path.as_ref().filter(|_| !to_stdout) {
        if output.format == Format::Json {
            let result = serde_json::json!({
                "path": path, "bytes": packed.bytes, "files": packed.files,
                "unfinished": recovered.unfinished, "problems": recovered.problems, "leaks": recovered.leaks,
            });
            put(format!("{result}\n").as_bytes())?;
        } else {
            put(format!("{}\n", path.display()).as_bytes())?;
        }
    }
    output.notice(&format!(
        "recovered {} files ({}), {} of them unfinished; next: casefile triage",
        packed.files,
        size::human(packed.bytes),
        recovered.unfinished.len()
    ));
    if !args.remove && !leaked {
        output.notice(&format!("{} is no longer needed", args.dir.display()));
    }
    // What the run had not reached is missing, and nobody knows what it was.
    Ok(if leaked { Exit::Leak } else { Exit::Incomplete })
}

fn is_inside(file: &Path, dir: &Path) -> bool {
    let parent = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    matches!((parent.canonicalize(), dir.canonicalize()), (Ok(parent), Ok(dir)) if parent.starts_with(&dir))
}
