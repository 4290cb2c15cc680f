//! `casefile recover`.

use super::Exit;
use super::output::Output;

/// Arguments of `casefile recover`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Runs the command.
pub(super) fn run(_args: Args, _output: &Output) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
