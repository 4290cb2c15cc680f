//! The command line: arguments in two stages, `Args` (typed text) and then a plan (resolved and validated), one file a
//! command. Only this module prints, exits and reads the environment.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the one module that talks to the terminal")]

mod audit;
mod aws;
mod collect;
mod connection;
mod demo;
mod doctor;
mod exit;
mod generate;
mod log;
mod output;
mod plan;
mod profiles;
mod progress;
mod pseudonymise;
mod recover;
mod redact;
mod runtime;
mod select;
mod serve;
mod session;
mod show;
mod signals;
mod size;
mod target;
mod traces;
mod triage;
mod verify;

use std::io::Write as _;

use clap::{CommandFactory, Parser, Subcommand};

pub use exit::Exit;

/// Collects diagnostics from a running system, redacts every secret, and names the likely root cause.
#[derive(Debug, Parser)]
#[command(name = "casefile", version, propagate_version = true, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 complete; 1 error, no bundle; 2 usage; 3 bundle made but incomplete (its ledger says what is \
    missing); 4 findings at or above --fail-on; 5 leak audit hit, bundle quarantined; 130/143 interrupted, bundle valid."
)]
pub struct Cli {
    #[command(flatten)]
    output: output::OutputArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Collect a bundle from a cluster, or from this host where there is no cluster
    Collect(collect::Args),
    /// Collect from an embedded 13-party KMS deployment, healthy or with an incident
    Demo(demo::Args),
    /// Triage a bundle again, offline
    Triage(triage::Args),
    /// Show a bundle's summary, its files, or one file
    Show(show::Args),
    /// Check a bundle's format, checksums and ledger
    Verify(verify::Args),
    /// Pack what a killed run left behind into a valid bundle
    Recover(recover::Args),
    /// Serve a bundle as a read-only Kubernetes API on 127.0.0.1
    Serve(serve::Args),
    /// Redact a file, a directory or standard input, or look at the rules
    Redact(redact::Args),
    /// Show what can be reached and read, and the rights that are missing
    Doctor(doctor::Args),
    /// Show what `collect` would do; nothing is read beyond discovery
    Plan(plan::Args),
    /// List, show or validate profiles
    Profiles(profiles::Args),
    /// Write shell completions
    Completions(generate::CompletionsArgs),
    /// Write the man page
    Man,
}

/// Parses the arguments, runs the command and gives the exit code. Errors are printed here and nowhere else.
#[must_use]
pub fn run() -> Exit {
    harden();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            return refused(&error);
        }
    };
    rehearse_panic("start");
    let output = output::Output::new(&cli.output);
    let result = match cli.command {
        Command::Collect(args) => collect::run(args, &output),
        Command::Demo(args) => demo::run(args, &output),
        Command::Triage(args) => triage::run(args, &output),
        Command::Show(args) => show::run(args, &output),
        Command::Verify(args) => verify::run(args, &output),
        Command::Recover(args) => recover::run(args, &output),
        Command::Serve(args) => serve::run(args, &output),
        Command::Redact(args) => redact::run(args, &output),
        Command::Doctor(args) => doctor::run(args, &output),
        Command::Plan(args) => plan::run(args, &output),
        Command::Profiles(args) => profiles::run(args, &output),
        Command::Completions(args) => generate::completions(&args, &mut Cli::command()),
        Command::Man => generate::man(Cli::command()),
    };
    result.unwrap_or_else(|error| output.error(&error))
}

/// Prints what the parser says. Help and version are "errors" of it, too, that belong on stdout with exit code 0.
fn refused(error: &clap::Error) -> Exit {
    if !error.use_stderr() {
        let _ = error.print();
        return Exit::Complete;
    }
    // It quotes arguments, and a credential may be one of them.
    let text = error.render().to_string();
    let clean = traces::clean(&text);
    if clean == text {
        let _ = error.print();
    } else {
        eprint!("{clean}");
    }
    Exit::Usage
}

/// Keeps secrets that are in memory for a moment out of core dumps and out of what a panic prints.
fn harden() {
    // The message of a panic may quote what was being read. A run with a log of its own puts it there, redacted.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let _ = writeln!(std::io::stderr(), "casefile panicked at {place}; this is a bug, please report it");
    }));
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        // A system that refuses this still collects; its administrator decides about core dumps.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
}

/// Panics where `CASEFILE_REHEARSE_PANIC=PLACE:TEXT` asks for it, so that a test can see what the whole program prints then. Releases do
/// not have it.
#[cfg(debug_assertions)]
fn rehearse_panic(place: &str) {
    let asked = std::env::var("CASEFILE_REHEARSE_PANIC").unwrap_or_default();
    if let Some((_, text)) = asked.split_once(':').filter(|(at, _)| *at == place) {
        panic!("{text}");
    }
}

#[cfg(not(debug_assertions))]
fn rehearse_panic(_place: &str) {}

#[cfg(test)]
mod tests {
    /// Runs itself as a child, because the hook belongs to the whole process.
    #[test]
    fn a_panic_does_not_print_its_text() {
        const CHILD: &str = "CASEFILE_TEST_CHILD";
        if std::env::var_os(CHILD).is_some() {
            super::harden();
            panic!("while reading password=Hunter2xyz9Q");
        }
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cli::tests::a_panic_does_not_print_its_text", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success());
        assert!(stderr.contains("casefile panicked at src/cli/mod.rs"), "{stderr}");
        assert!(!stderr.contains("Hunter2") && !String::from_utf8_lossy(&run.stdout).contains("Hunter2"), "{stderr}");
    }
}
