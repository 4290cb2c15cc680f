//! `casefile plan`: what `collect` would do.

use serde_json::json;

use super::output::{Format, Output};
use super::session::PlanArgs;
use super::{Exit, traces};
use crate::model::size;

/// Arguments of `casefile plan`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    plan: PlanArgs,
}

/// Runs the command.
pub(super) fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    super::runtime::block_on(plan(args.plan, *output))
}

async fn plan(args: PlanArgs, output: Output) -> anyhow::Result<Exit> {
    let (session, items) = args.plan().await?;
    session.announce(&output);
    if output.format == Format::Json {
        let rows: Vec<_> = items
            .iter()
            .map(|item| {
                json!({
                    "item": item.id(),
                    "collector": item.collector(),
                    "effect": item.effect(),
                    "access": item.access(),
                    "description": traces::clean(&item.describe()),
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&json!({"profile": session.profile.id, "items": rows}))?);
        return Ok(Exit::Complete);
    }
    let width = items.iter().map(|i| i.id().as_str().len()).max().unwrap_or(0).min(60);
    for item in &items {
        println!("{:width$}  {:7}  {}", item.id(), item.effect().as_str(), traces::clean(&item.describe()));
    }
    println!();
    println!("{} items; items that read lists plan more, such as the logs of each container.", items.len());
    println!(
        "At least {} requests, {} at the same time. At most {} of each log, and {} for the archive.",
        items.len(),
        args.limits.concurrency(),
        size::human(args.limits.log_limit()),
        size::human(args.limits.max_size())
    );
    println!("Nothing is created, changed or deleted. Ids work with --only and --skip.");
    Ok(Exit::Complete)
}
