//! `casefile plan`: what `collect` would do.

use serde_json::json;

use super::Exit;
use super::collect::LimitArgs;
use super::connection::ConnectionArgs;
use super::output::{Format, Output};
use super::select::{SelectArgs, Selection};
use super::session::{ProfileArgs, Session};

/// Arguments of `casefile plan`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    profile: ProfileArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

/// Runs the command.
pub(super) fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    super::runtime::block_on(plan(args, *output))
}

async fn plan(args: Args, output: Output) -> anyhow::Result<Exit> {
    let selection = Selection::new(&args.select)?;
    let session = Session::open(&args.profile, &args.connection, &selection).await?;
    session.announce(&output);
    let limits = args.limits.resolve(args.connection.request_timeout);
    let mut items = session.items(&limits, &selection).await?;
    items.retain(|item| selection.wants(item.as_ref()));
    if output.format == Format::Json {
        let rows: Vec<_> = items
            .iter()
            .map(|item| {
                json!({
                    "item": item.id(),
                    "collector": item.collector(),
                    "effect": item.effect(),
                    "access": item.access(),
                    "description": item.describe(),
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&json!({"profile": session.profile.id, "items": rows}))?);
        return Ok(Exit::Complete);
    }
    let width = items.iter().map(|i| i.id().as_str().len()).max().unwrap_or(0).min(60);
    for item in &items {
        println!("{:width$}  {:7}  {}", item.id(), item.effect().as_str(), item.describe());
    }
    println!();
    println!("{} items; items that read lists plan more, such as the logs of each container.", items.len());
    println!("Nothing is created, changed or deleted. Ids work with --only and --skip.");
    Ok(Exit::Complete)
}
