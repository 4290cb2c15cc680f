//! Where the archive goes.

use std::path::{Path, PathBuf};

use super::output::usage;
use crate::model::time::{Timestamp, file_stamp};

/// Flags that name the archive.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct TargetArgs {
    /// Archive to write, directory to write it into, or - for stdout [default: the current directory]
    #[arg(long, short, value_name = "FILE|DIR|-")]
    pub(super) output: Option<PathBuf>,
    /// Id of the support case, for the archive's name and its manifest
    #[arg(long, value_name = "ID")]
    pub(super) case: Option<String>,
    /// Overwrite an existing archive
    #[arg(long)]
    pub(super) force: bool,
}

/// The resolved place of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Name of the archive without `.tar.gz`, and of its top directory.
    pub(super) stem: String,
    /// The file; none for stdout.
    pub(super) file: Option<PathBuf>,
    /// Directory for the spool: beside the archive, so that no other disk fills up.
    pub(super) spool_parent: PathBuf,
}

impl Target {
    /// Resolves the flags. Everything that would make the end of the run fail is refused here, before the first request.
    pub(super) fn new(args: &TargetArgs, prefix: &str, started: Timestamp) -> anyhow::Result<Self> {
        let case = args.case.as_deref().map(case_id).transpose()?;
        let mut stem = prefix.to_owned();
        if let Some(case) = &case {
            stem = format!("{stem}-{case}");
        }
        stem = format!("{stem}-{}", file_stamp(started));
        let output = args.output.clone().unwrap_or_else(|| PathBuf::from("."));
        if output.as_os_str() == "-" {
            return Ok(Self { stem, file: None, spool_parent: std::env::temp_dir() });
        }
        let (dir, file) = if output.is_dir() {
            (output.clone(), output.join(format!("{stem}.tar.gz")))
        } else if output.as_os_str().to_string_lossy().ends_with('/') {
            anyhow::bail!("the directory {} does not exist (try: mkdir -p {0})", output.display());
        } else {
            let parent = output.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            (parent.to_path_buf(), output.clone())
        };
        if !dir.is_dir() {
            anyhow::bail!("the directory {} does not exist (try: mkdir -p {0})", dir.display());
        }
        if !args.force && file.symlink_metadata().is_ok() {
            return Err(usage(format!(
                "{} exists (try: another --output, or --force to overwrite it)",
                file.display()
            )));
        }
        tempfile::Builder::new().prefix(".casefile-").tempfile_in(&dir).map_err(|e| {
            anyhow::anyhow!(
                "cannot write into {}: {e} (try: --output with a directory that you can write)",
                dir.display()
            )
        })?;
        Ok(Self { stem, file: Some(file), spool_parent: dir })
    }
}

/// A case id as it may stand in a file name.
fn case_id(raw: &str) -> anyhow::Result<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if raw.is_empty() || raw.len() > 64 || !raw.chars().all(fits) || raw.starts_with('.') {
        return Err(usage(format!(
            "--case '{raw}': an id has 1 to 64 letters, digits, '-', '_' or '.' (try: --case INC-1234)"
        )));
    }
    Ok(raw.to_owned())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at() -> Timestamp {
        DateTime::from_timestamp(1_795_241_400, 0).unwrap()
    }

    fn args(output: &Path) -> TargetArgs {
        TargetArgs { output: Some(output.to_path_buf()), ..TargetArgs::default() }
    }

    #[test]
    fn a_directory_gets_the_designed_name() {
        let dir = tempfile::tempdir().unwrap();
        let with_case = TargetArgs { case: Some("INC-7".to_owned()), ..args(dir.path()) };
        let target = Target::new(&with_case, "kms-diagnostics", at()).unwrap();
        assert_eq!(target.file, Some(dir.path().join("kms-diagnostics-INC-7-20261121_061000.tar.gz")));
        assert_eq!(target.spool_parent, dir.path());
    }

    #[test]
    fn what_would_fail_at_the_end_is_refused_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let existing = dir.path().join("a.tar.gz");
        std::fs::write(&existing, "x").unwrap();
        let error = |args: &TargetArgs| Target::new(args, "p", at()).unwrap_err().to_string();
        assert!(error(&args(&existing)).contains("--force"));
        assert!(Target::new(&TargetArgs { force: true, ..args(&existing) }, "p", at()).is_ok());
        assert!(error(&args(&dir.path().join("no/such/a.tar.gz"))).contains("mkdir -p"));
        for case in ["", "a/b", "..", "a b"] {
            let args = TargetArgs { case: Some(case.to_owned()), ..args(dir.path()) };
            assert!(error(&args).contains("--case"), "{case}");
        }
    }
}
