//! `casefile profiles`: list, show and validate.

use clap::Subcommand;
use serde_json::json;

use super::Exit;
use super::output::{Format, Output, usage};
use crate::profile::{self, Profile};
use crate::triage::{self, Checked};

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
    /// Show the facts that rules may use, as tables in Markdown
    Facts,
    /// Check profiles: syntax, types, unknown facts, dead rules, signatures, and the cases of rules
    Validate {
        /// Directory with a profile.toml, or id of a built-in profile; all built-in ones without it
        #[arg(value_name = "DIR|ID")]
        profile: Option<String>,
    },
}

/// Runs the command.
pub(super) fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    match args.command.unwrap_or(Action::List) {
        Action::List => list(output),
        Action::Show { id } => {
            show(profile::find_builtin(&id).map_err(|e| usage(e.to_string()))?);
        }
        Action::Facts => print!("{}", triage::fact_tables()),
        Action::Validate { profile } => return validate(profile.as_deref(), output),
    }
    Ok(Exit::Complete)
}

/// Checks one profile or all built-in ones; mistakes are told one a line, with their place.
fn validate(only: Option<&str>, output: &Output) -> anyhow::Result<Exit> {
    let ids: Vec<&str> = match only {
        Some(one) => vec![one],
        None => profile::builtin().iter().map(|p| p.id.as_str()).collect(),
    };
    let results: Vec<Checked> = ids.into_iter().map(triage::validate).collect();
    if output.format == Format::Json {
        let rows: Vec<_> = results
            .iter()
            .map(|r| {
                json!({"profile": r.profile, "rules": r.rules, "cases": r.cases, "signatures": r.signatures,
                    "problems": r.problems})
            })
            .collect();
        println!("{}", json!(rows));
    }
    for result in &results {
        for problem in &result.problems {
            output.notice(problem);
        }
        if output.format != Format::Json && result.problems.is_empty() {
            println!(
                "{}: ok ({} rules with {} cases, {} signatures)",
                result.profile, result.rules, result.cases, result.signatures
            );
        }
    }
    let problems: usize = results.iter().map(|r| r.problems.len()).sum();
    if problems > 0 {
        anyhow::bail!("{problems} mistakes; correct the lines above and validate again");
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
        let secret = if parameter.secret { " [secret]" } else { "" };
        println!("--set {name}=...: {}{default}{secret}", parameter.description);
    }
    for exec in &profile.exec {
        println!("exec {:20} pods {:28} {}", exec.id, exec.pods.to_string(), exec.command.join(" "));
        println!("     {:20} {}", "", exec.why);
    }
    for http in &profile.http {
        println!("http {:20} pods {:28} port {} {}", http.id, http.pods.to_string(), http.port, http.path);
        println!("     {:20} {}", "", http.why);
    }
    host(profile);
    services(profile);
}

/// The program where there is no cluster: what shows it, and what of the above is asked of it, too.
fn host(profile: &Profile) {
    let host = &profile.host;
    for unit in &host.units {
        println!("unit {unit}");
    }
    for process in &host.processes {
        println!("found by: process {process} of this host");
    }
    let Some(program) = &host.program else { return };
    println!("host program {} at {}", program.name, program.address);
    println!("     configuration        {}: {}", program.config.join(", "), program.artifact);
    let rows = [
        ("exec", profile.exec.iter().filter(|e| e.host).map(|e| (&e.id, &e.why)).collect::<Vec<_>>()),
        ("http", profile.http.iter().filter(|h| h.host).map(|h| (&h.id, &h.why)).collect()),
        ("grpc", profile.grpc.iter().filter(|g| g.host).map(|g| (&g.id, &g.why)).collect()),
        ("probe", profile.probe.iter().filter(|p| p.host).map(|p| (&p.id, &p.why)).collect()),
    ];
    for (kind, asked) in rows {
        for (id, why) in asked {
            println!("host {kind:5} {id:20} {why}");
        }
    }
}

/// Services beside a cluster: where they are looked for.
fn services(profile: &Profile) {
    let row = |kind: &str, place: &str| println!("{kind} {place}");
    for docker in &profile.docker {
        let host = docker.host.as_deref().unwrap_or("DOCKER_HOST, or the usual sockets");
        row("docker", &format!("{host}: {}", [docker.projects.join(" "), docker.containers.join(" ")].join(" ")));
    }
    profile.prometheus.iter().for_each(|p| row("prometheus", &p.url));
    profile.alertmanager.iter().for_each(|a| row("alertmanager", &a.url));
    profile.grafana.iter().for_each(|g| row("grafana", &g.url));
    profile.etcd.iter().for_each(|e| row("etcd", &format!("{}: keys below {}", e.url, e.prefixes.join(" "))));
    profile.postgres.iter().for_each(|p| row("postgres", &p.conninfo));
    profile.jsonrpc.iter().for_each(|j| row("jsonrpc", &format!("{}: {}", j.url, j.methods.join(" "))));
    for endpoint in &profile.endpoint {
        println!("endpoint {:20} {}{}", endpoint.id, endpoint.url, endpoint.path);
        println!("         {:20} {}", "", endpoint.why);
    }
    for files in &profile.files {
        println!("files {:20} {}", files.id, files.paths.join(" "));
        println!("      {:20} {}", "", files.why);
    }
}
