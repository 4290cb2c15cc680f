//! `casefile doctor`: what can be reached and read, and the rights that are missing.

use std::collections::BTreeSet;

use serde_json::json;

use super::output::{Format, Output};
use super::session::PlanArgs;
use super::{Exit, traces};
use crate::collect::kubernetes::{self, Verdict};
use crate::model::Access;

/// Arguments of `casefile doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    plan: PlanArgs,
    /// Print a minimal ClusterRole and Role for exactly what is planned, and nothing else
    #[arg(long)]
    role: bool,
}

/// Runs the command.
pub(super) fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    super::runtime::block_on(doctor(args, *output))
}

async fn doctor(args: Args, output: Output) -> anyhow::Result<Exit> {
    let (session, items) = args.plan.plan().await?;
    let Some(cluster) = &session.cluster else {
        let why = session.no_cluster.as_ref().map_or("none was asked for", |n| n.reason.as_str());
        anyhow::bail!("no cluster to check: {why}");
    };
    let mut needed: BTreeSet<Access> = items.iter().flat_map(|item| item.access()).collect();
    needed.extend(kubernetes::spawned_access(&session.profile, &session.namespaces));
    let mut needed: Vec<Access> = needed.into_iter().collect();
    let unseen = kubernetes::out_of_sight(cluster, &needed, &session.namespaces).await;
    needed.retain(|access| !unseen.iter().any(|(other, _)| other == access));
    if args.role {
        print!("{}{}", remark(&unseen), kubernetes::role_yaml(&needed, "casefile"));
        return Ok(Exit::Complete);
    }
    let verdicts = kubernetes::review(cluster, &needed).await;
    let missing: Vec<Access> =
        verdicts.iter().filter(|(_, v)| !matches!(v, Verdict::Allowed)).map(|(a, _)| a.clone()).collect();
    if output.format == Format::Json {
        let rows: Vec<_> =
            verdicts.iter().map(|(access, verdict)| json!({"access": access, "verdict": verdict})).collect();
        println!(
            "{}",
            serde_json::to_string_pretty(&json!({
                "server": traces::clean(cluster.server()), "version": cluster.version(), "profile": session.profile.id,
                "namespaces": session.namespaces, "rights": rows,
                "left_out": unseen.iter().map(|(access, why)| json!({"access": access, "reason": traces::clean(why)})).collect::<Vec<_>>(),
            }))?
        );
    } else {
        session.announce(&output);
        for (access, verdict) in &verdicts {
            let (mark, reason) = match verdict {
                Verdict::Allowed => ("ok ", String::new()),
                Verdict::Denied(reason) => ("no ", traces::clean(reason)),
                Verdict::Unknown(reason) => ("?  ", traces::clean(reason)),
            };
            println!("{mark} {} {reason}", right(access));
        }
        for (access, why) in &unseen {
            println!("-   {} not asked: {}", right(access), traces::clean(why));
        }
        println!();
        if missing.is_empty() {
            println!("All {} rights are there.", verdicts.len());
        } else {
            println!("{} of {} rights are missing. A role that grants exactly these:\n", missing.len(), verdicts.len());
            print!("{}", kubernetes::role_yaml(&missing, "casefile-missing"));
        }
    }
    Ok(if missing.is_empty() { Exit::Complete } else { Exit::Incomplete })
}

/// A right on one line.
fn right(access: &Access) -> String {
    let place = access.namespace.as_deref().map_or_else(|| "cluster".to_owned(), |n| format!("namespace {n}"));
    let group = if access.group.is_empty() { String::new() } else { format!(".{}", access.group) };
    format!("{:6} {}{group} ({place})", access.verb, access.resource)
}

/// The comment above a role about what it leaves out.
fn remark(unseen: &[(Access, String)]) -> String {
    let mut text = String::new();
    for (access, why) in unseen {
        let line = format!("{}: {}", right(access), traces::clean(why));
        text.push_str(&format!("# Left out: {}\n", line.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    text
}
