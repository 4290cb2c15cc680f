//! Parses the command line, runs the command and exits with its code; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(casefile::cli::run().code())
}
