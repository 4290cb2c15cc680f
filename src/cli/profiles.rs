//! `casefile profiles`: list, show and validate.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::Exit;
use super::output::{Format, Output, usage};
use crate::profile::{self, Profile};

/// Arguments of `casefile profiles`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the built-in profiles
    List,
    /// Show what a profile collects, and why
    Show {
        /// Id of a built-in profile
        id: String,
    },
    /// Check a profile directory
    Validate {
        /// Directory with a profile.toml
        dir: PathBuf,
    },
}

/// Runs the command.
pub(super) fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    match args.command.unwrap_or(Action::List) {
        Action::List => list(output),
        Action::Show { id } => {
            show(profile::find_builtin(&id).map_err(|e| usage(e.to_string()))?);
        }
        Action::Validate { dir } => {
            let profile = profile::load_dir(&dir)?;
            println!(
                "{}: ok ({} commands, {} endpoints, {} parameters)",
                profile.id,
                profile.exec.len(),
                profile.http.len(),
                profile.parameters.len()
            );
        }
    }
    Ok(Exit::Complete)
}

fn list(output: &Output) {
    if output.format == Format::Json {
        let rows: Vec<_> = profile::builtin().iter().map(|p| json!({"id": p.id, "title": p.title})).collect();
        println!("{}", json!(rows));
        return;
    }
    for profile in profile::builtin() {
        println!("{:12} {}", profile.id, profile.title);
    }
}

fn show(profile: &Profile) {
    println!("{}: {}", profile.id, profile.title);
    println!("archive: {}-YYYYMMDD_HHMMSS.tar.gz", profile.prefix);
    for selector in &profile.kubernetes.detect {
        println!("found by: pods with {selector}");
    }
    for (name, parameter) in &profile.parameters {
        let default = parameter.default.as_deref().map(|d| format!(" [default: {d}]")).unwrap_or_default();
        println!("--set {name}=...: {}{default}", parameter.description);
    }
    for exec in &profile.exec {
        println!("exec {:20} pods {:28} {}", exec.id, exec.pods.to_string(), exec.command.join(" "));
        println!("     {:20} {}", "", exec.why);
    }
    for http in &profile.http {
        println!("http {:20} pods {:28} port {} {}", http.id, http.pods.to_string(), http.port, http.path);
        println!("     {:20} {}", "", http.why);
    }
    for unit in &profile.host.units {
        println!("unit {unit}");
    }
}
