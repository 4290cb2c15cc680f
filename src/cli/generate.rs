//! `casefile completions` and `casefile man`.

use clap_complete::Shell;

use super::Exit;

/// Arguments of `casefile completions`.
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

/// Writes the completion script to stdout.
pub(super) fn completions(args: &CompletionsArgs, command: &mut clap::Command) -> anyhow::Result<Exit> {
    clap_complete::generate(args.shell, command, "casefile", &mut std::io::stdout());
    Ok(Exit::Complete)
}

/// Writes the man page to stdout.
pub(super) fn man(command: clap::Command) -> anyhow::Result<Exit> {
    clap_mangen::Man::new(command).render(&mut std::io::stdout())?;
    Ok(Exit::Complete)
}
