//! What all commands share of the terminal: colours, formats, quietness and errors.

use std::io::IsTerminal;

use clap::ValueEnum;

use super::{Exit, traces};

/// Flags that every command accepts.
#[derive(Debug, clap::Args)]
pub(super) struct OutputArgs {
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = ColorArg::Auto, value_name = "WHEN")]
    color: ColorArg,
    /// Output for people or for programs
    #[arg(long, global = true, value_enum, default_value_t = FormatArg::Human, value_name = "FORMAT")]
    format: FormatArg,
    /// Show no progress
    #[arg(long, global = true)]
    no_progress: bool,
    /// Print only errors and the result
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Say more (repeat for more)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ColorArg {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    Human,
    Json,
    Markdown,
}

/// How the result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// For a terminal.
    Human,
    /// One JSON document on stdout, one JSON event a line on stderr.
    Json,
    /// Markdown, for `triage`.
    Markdown,
}

/// The resolved output settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    /// Format of the result.
    pub(super) format: Format,
    /// Whether stdout gets colours.
    pub(super) color: bool,
    /// Whether stderr gets colours.
    pub(super) color_err: bool,
    /// How progress is shown.
    pub(super) progress: Progress,
    /// Errors and the result only.
    pub(super) quiet: bool,
    /// How much more to say.
    pub(super) verbose: u8,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Bars that redraw themselves.
    Bars,
    /// One line an event.
    Lines,
    /// One JSON object an event.
    Json,
    /// Nothing.
    None,
}

impl Output {
    /// Resolves the flags against the environment: `NO_COLOR`, and whether stdout and stderr are terminals.
    pub(super) fn new(args: &OutputArgs) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let color = |terminal: bool| match args.color {
            ColorArg::Always => true,
            ColorArg::Never => false,
            ColorArg::Auto => terminal && !plain,
        };
        let terminal = std::io::stderr().is_terminal();
        let progress = match args.format {
            FormatArg::Json => Progress::Json,
            _ if args.no_progress || args.quiet => Progress::None,
            _ if terminal => Progress::Bars,
            _ => Progress::Lines,
        };
        Self {
            format: match args.format {
                FormatArg::Human => Format::Human,
                FormatArg::Json => Format::Json,
                FormatArg::Markdown => Format::Markdown,
            },
            color: color(std::io::stdout().is_terminal()),
            color_err: color(terminal),
            progress,
            quiet: args.quiet,
            verbose: args.verbose,
        }
    }

    /// Columns of the terminal, for wrapping.
    pub(super) fn width(&self) -> usize {
        usize::from(console_width()).clamp(60, 120)
    }

    /// A sentence for the person at the terminal; never part of the result.
    pub(super) fn notice(&self, text: &str) {
        if !self.quiet && self.format != Format::Json {
            eprintln!("{}", traces::clean(text));
        }
    }

    /// Prints an error with its causes and gives the exit code that it asks for.
    pub(super) fn error(&self, error: &anyhow::Error) -> Exit {
        let exit = if error.is::<UsageError>() { Exit::Usage } else { Exit::Error };
        let text = traces::clean(&with_causes(error));
        if self.format == Format::Json {
            eprintln!("{}", serde_json::json!({"event": "error", "message": text, "exit_code": exit.code()}));
        } else if self.color_err {
            eprintln!("\x1b[1;31merror\x1b[0m: {text}");
        } else {
            eprintln!("error: {text}");
        }
        exit
    }
}

/// An error and its causes on one line; a cause that the error already tells is not told again.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// An error that the command line itself causes: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct UsageError(pub(super) String);

/// A usage error from a text that says what is wrong and what to try.
pub(super) fn usage(text: impl Into<String>) -> anyhow::Error {
    UsageError(text.into()).into()
}

/// Columns of stdout's terminal; 100 where it has none.
fn console_width() -> u16 {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdout())
        && size.ws_col > 0
    {
        return size.ws_col;
    }
    100
}
