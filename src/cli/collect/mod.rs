//! `casefile collect`: the main job.

mod finish;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio_util::sync::CancellationToken;

use self::finish::{Finish, Made};
use super::Exit;
use super::connection::ConnectionArgs;
use super::log::Log;
use super::output::{Format, Output, usage};
use super::progress::Reporter;
use super::pseudonymise::PseudonymArgs;
use super::select::{SelectArgs, Selection};
use super::session::{ProfileArgs, Session};
use super::signals::{self, Interruption};
use super::size;
use super::target::{Target, TargetArgs};
use crate::bundle::Spool;
use crate::collect::{Engine, Item, Limits};
use crate::redact::{CorrelationKey, Redactor};
use crate::triage::Severity;

/// Longest time that is kept free at the end of a run for packing.
const PACKING_MAX: Duration = Duration::from_secs(30);

/// Arguments of `casefile collect`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) profile: ProfileArgs,
    #[command(flatten)]
    pub(super) select: SelectArgs,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
    #[command(flatten)]
    pub(super) redaction: RedactionArgs,
    /// Exit with 4 when triage finds something of this severity or worse
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub(super) fail_on: Option<FailOn>,
    /// How to ask object stores, where it is not as the environment says.
    #[arg(skip)]
    pub(super) aws: Option<crate::collect::s3::Access>,
}

/// Flags that bound a run.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitArgs {
    /// Only logs and events of this age or younger, such as 24h
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    since: Option<Duration>,
    /// Only this many last lines of each log
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    tail: Option<u64>,
    /// Bytes kept of each container's log, the newest ones
    #[arg(long, value_name = "SIZE", default_value = "20MiB", value_parser = size::parse)]
    log_limit: u64,
    /// Largest archive; the largest logs give way first, and keep their newest part
    #[arg(long, value_name = "SIZE", default_value = "500MiB", value_parser = size::parse)]
    max_size: u64,
    /// Deadline of the whole run, packing included
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Deadline of one item
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    item_timeout: Duration,
    /// Items that run at the same time
    #[arg(long, value_name = "N", default_value = "16", value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
}

impl LimitArgs {
    /// Items that run at the same time.
    pub(super) fn concurrency(&self) -> u16 {
        self.concurrency
    }

    /// Bytes kept of each log.
    pub(super) fn log_limit(&self) -> u64 {
        self.log_limit
    }

    /// Largest archive in bytes.
    pub(super) fn max_size(&self) -> u64 {
        self.max_size
    }

    /// The limits that the engine works with: the run's deadline less the time to pack.
    pub(super) fn resolve(&self, request_timeout: Duration) -> Limits {
        let packing = (self.timeout / 10).min(PACKING_MAX);
        Limits {
            concurrency: usize::from(self.concurrency),
            item_timeout: self.item_timeout,
            run_timeout: self.timeout.saturating_sub(packing),
            request_timeout,
            log_limit: self.log_limit,
            since: self.since,
            tail: self.tail,
        }
    }
}

/// Flags that change what is redacted.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Redaction")]
pub(super) struct RedactionArgs {
    /// Directory with redaction rules to add to the built-in ones
    #[arg(long, value_name = "DIR")]
    redaction_rules: Option<PathBuf>,
    /// File with at least 32 random bytes, so that ids of secrets stay comparable across bundles
    #[arg(long, value_name = "FILE")]
    correlation_key: Option<PathBuf>,
    /// Switch a redaction rule off; manifest and summary name it (`casefile redact rules list` names all)
    #[arg(long, value_name = "ID")]
    without_rule: Vec<String>,
    #[command(flatten)]
    pseudonyms: PseudonymArgs,
}

impl RedactionArgs {
    /// Loads rules and key. Nothing is collected when one of them cannot be read.
    pub(super) fn resolve(&self) -> anyhow::Result<Redactor> {
        let key = match &self.correlation_key {
            Some(path) => CorrelationKey::from_file(path)?,
            None => CorrelationKey::random()?,
        };
        let builder = self.redaction_rules.iter().fold(Redactor::builder(key), |b, dir| b.with_rules(dir));
        let builder = self.without_rule.iter().fold(builder, |b, id| b.without_rule(id));
        Ok(self.pseudonyms.switch_on(builder).build()?)
    }
}

/// Severities of `--fail-on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum FailOn {
    Critical,
    Warning,
    Info,
}

impl FailOn {
    /// The severity from which on the run fails.
    pub(super) fn severity(self) -> Severity {
        match self {
            Self::Critical => Severity::Critical,
            Self::Warning => Severity::Warning,
            Self::Info => Severity::Info,
        }
    }
}

/// Runs the command.
pub(super) fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    let selection = Selection::new(&args.select)?;
    let redactor = args.redaction.resolve()?;
    let log = Log::start(&redactor, output.verbose);
    super::runtime::block_on(collect(args, selection, redactor, log, *output))
}

async fn collect(
    args: Args,
    selection: Selection,
    redactor: Redactor,
    log: Log,
    output: Output,
) -> anyhow::Result<Exit> {
    let started = Utc::now();
    // A place that cannot be written is found before the first request, whatever profile will name the archive.
    Target::new(&args.target, "casefile", started)?;
    let mut session = Session::open(&args.profile, &args.connection, &selection).await?;
    if let Some(aws) = &args.aws {
        session.aws = aws.clone();
    }
    for secret in session.secrets() {
        redactor.remember(secret);
        super::traces::remember(secret);
    }
    let target = Target::new(&args.target, &session.profile.prefix, started)?;
    session.announce(&output);
    let limits = args.limits.resolve(args.connection.request_timeout);
    let items = session.items(&limits, &selection).await?;
    refuse_empty(&items, &selection)?;

    let spool = Spool::create(&target.spool_parent)?;
    let cancel = CancellationToken::new();
    let interruption = signals::watch(cancel.clone(), move |text| output.notice(text));
    let (events, mut inbox) = tokio::sync::mpsc::unbounded_channel();
    let wanted = selection.clone();
    let engine = Engine {
        redactor: redactor.clone(),
        spool: spool.clone(),
        limits,
        events: events.clone(),
        cancel,
        wanted: Arc::new(move |item: &dyn Item| wanted.wants(item)),
    };
    let listener = tokio::spawn(async move {
        let mut reporter = Reporter::new(&output);
        while let Some(event) = inbox.recv().await {
            log_event(&log, &event);
            reporter.event(&event);
        }
        reporter.finish();
        log
    });
    let finish = Finish {
        session: &session,
        target: &target,
        case: args.target.case.clone(),
        force: args.target.force,
        max_size: args.limits.max_size,
        started,
        redactor: &redactor,
        spool,
    };
    finish.header()?;
    let result = engine.run(items).await;
    // No sender is left but ours; dropping it ends the listener, which gives the log back.
    let _ = events.send(crate::model::Event::Packing { artifacts: finish.spool.files().len() });
    drop(events);
    let log = listener.await.map_err(|_| anyhow::anyhow!("the progress display failed; nothing was lost"))?;
    let made = finish.pack(result, &log)?;
    report(&made, &output)?;
    Ok(exit_code(&made, args.fail_on, &interruption))
}

/// A plan without a single item is a typing error in `--only` or `--skip`.
fn refuse_empty(items: &[Arc<dyn Item>], selection: &Selection) -> anyhow::Result<()> {
    if selection.may_match(items) {
        return Ok(());
    }
    Err(usage("--only and --skip leave nothing to collect (try: casefile plan, which prints the ids)"))
}

fn log_event(log: &Log, event: &crate::model::Event) {
    use crate::model::Event;
    match event {
        Event::Finished { entry } => {
            let reason = entry.reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default();
            log.line(&format!(
                "{} {} {} ({} ms, {} bytes, {} attempts){reason}",
                crate::model::time::rfc3339(Utc::now()),
                entry.item,
                entry.outcome,
                entry.duration_ms,
                entry.bytes,
                entry.attempts
            ));
        }
        Event::Notice { text } => log.line(text),
        _ => {}
    }
}

/// Prints the result: the triage for people, one JSON document for programs.
fn report(made: &Made, output: &Output) -> anyhow::Result<()> {
    if made.to_stdout {
        if !made.leaks.is_empty() {
            output.notice(&format!("nothing was written to standard output: {}", made.closing_lines(false)));
        }
        return Ok(());
    }
    match output.format {
        Format::Json => println!("{}", serde_json::to_string(&made.result())?),
        Format::Markdown => print!("{}", made.markdown),
        Format::Human => {
            if !output.quiet {
                print!("{}", made.terminal(output));
                println!();
            }
            println!("{}", made.closing_lines(output.quiet));
        }
    }
    Ok(())
}

fn exit_code(made: &Made, fail_on: Option<FailOn>, interruption: &Interruption) -> Exit {
    let mut exit = Exit::Complete;
    if !made.manifest.is_complete() {
        exit = exit.worst(Exit::Incomplete);
    }
    if let (Some(fail_on), Some(worst)) = (fail_on, made.triage.worst())
        && worst >= fail_on.severity()
    {
        exit = exit.worst(Exit::Findings);
    }
    if let Some(interrupted) = interruption.exit() {
        exit = exit.worst(interrupted);
    }
    if !made.leaks.is_empty() {
        exit = exit.worst(Exit::Leak);
    }
    exit
}
