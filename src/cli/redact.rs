//! `casefile redact`.

mod own;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use anyhow::Context;

use super::Exit;
use super::output::{Format as Output2, Output, usage};
use super::pseudonymise::PseudonymArgs;
use crate::bundle::inspect::quarantined;
use crate::redact::{ArchiveLimits, Cleaner, CopyError, CorrelationKey, Format, Redactor, RuleInfo, Shape, expand};

/// Deepest directory below the given one.
const MAX_DEPTH: usize = 64;

/// Arguments of `casefile redact`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    rules: Option<Box<RulesCommand>>,
    /// What to redact: a file, a bundle or other tar.gz, a zip, a directory, or `-` for standard input
    #[arg(default_value = "-", value_name = "FILE|DIR|-")]
    input: PathBuf,
    /// Where the result goes: a file, a directory for a directory, or `-` for standard output
    #[arg(long, short, default_value = "-", value_name = "FILE|DIR|-")]
    output: PathBuf,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Clone, Default, clap::Args)]
struct Options {
    /// Directory with rules to add
    #[arg(long, value_name = "DIR")]
    redaction_rules: Vec<PathBuf>,
    /// File with at least 32 secret bytes that make ids comparable between runs
    #[arg(long, value_name = "FILE")]
    correlation_key: Option<PathBuf>,
    /// Switch a rule off
    #[arg(long, value_name = "ID")]
    without_rule: Vec<String>,
    #[command(flatten)]
    pseudonyms: PseudonymArgs,
}

#[derive(Debug, clap::Subcommand)]
enum RulesCommand {
    /// List, explain and test the rules
    #[command(subcommand)]
    Rules(Rules),
}

#[derive(Debug, clap::Subcommand)]
enum Rules {
    /// List all rules
    List {
        #[command(flatten)]
        options: Options,
    },
    /// Show one rule with its examples
    Explain {
        /// Id of the rule
        id: String,
        #[command(flatten)]
        options: Options,
    },
    /// Run the examples of all rules, and of those in DIR, through the whole engine
    Check {
        /// Directory with rules
        dir: Option<PathBuf>,
    },
    /// Show each match in a file with its place, rule and layer, and the lines that change, values masked
    Test {
        /// The file, or `-`
        file: PathBuf,
        #[command(flatten)]
        options: Options,
    },
}

/// Runs the command.
pub(super) fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    match args.rules.map(|r| *r) {
        Some(RulesCommand::Rules(Rules::List { options })) => list(&redactor(&options)?, output),
        Some(RulesCommand::Rules(Rules::Explain { id, options })) => explain(&redactor(&options)?, &id),
        Some(RulesCommand::Rules(Rules::Check { dir })) => check(dir),
        Some(RulesCommand::Rules(Rules::Test { file, options })) => test(&redactor(&options)?, &file, output),
        None => {
            let redactor = redactor(&args.options)?;
            let Done { stubs, leaks } = redact(&redactor, &args.input, &args.output)?;
            let report = redactor.report();
            output.notice(&format!("{} replaced, {} distinct, {stubs} left out", report.total(), report.distinct));
            if !leaks.is_empty() {
                output.notice(&format!(
                    "the leak audit hit {} times; do not send {}",
                    leaks.len(),
                    quarantined(&args.output).display()
                ));
                leaks.iter().for_each(|hit| output.notice(&format!("leak: {hit}")));
                return Ok(Exit::Leak);
            }
            Ok(if stubs > 0 { Exit::Incomplete } else { Exit::Complete })
        }
    }
}

/// What the command has done.
#[derive(Default)]
struct Done {
    /// Files that were left out, because they could not be redacted.
    stubs: u64,
    /// What the audit found in a bundle of ours, by path, kind and line.
    leaks: Vec<String>,
}

impl From<u64> for Done {
    fn from(stubs: u64) -> Self {
        Self { stubs, ..Self::default() }
    }
}

fn redactor(options: &Options) -> anyhow::Result<Redactor> {
    let key = options.correlation_key.as_deref().map_or_else(CorrelationKey::random, CorrelationKey::from_file)?;
    let builder = options.redaction_rules.iter().fold(Redactor::builder(key), |b, dir| b.with_rules(dir));
    let builder = options.without_rule.iter().fold(builder, |b, id| b.without_rule(id));
    Ok(options.pseudonyms.switch_on(builder).build()?)
}

/// Redacts one thing, whatever it is.
fn redact(redactor: &Redactor, input: &Path, output: &Path) -> anyhow::Result<Done> {
    let stdio = Path::new("-");
    if input != stdio && input.is_dir() {
        if output == stdio {
            return Err(usage("a directory needs -o DIR: where should the redacted files go?"));
        }
        if output.exists() {
            return Err(usage(format!("{} exists; name a directory that does not", output.display())));
        }
        // A copy inside of its own source would be read again.
        let inside =
            output.parent().and_then(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p }.canonicalize().ok());
        if inside.zip(input.canonicalize().ok()).is_some_and(|(out, source)| out.starts_with(source)) {
            return Err(usage(format!(
                "{} lies inside {}; name a directory elsewhere",
                output.display(),
                input.display()
            )));
        }
        directory(&Cleaner::scout(redactor), input, None, Path::new(""), 0)?;
        return directory(&Cleaner::knowing(redactor), input, Some(output), Path::new(""), 0).map(Done::from);
    }
    let name = if input == stdio { "stdin".to_owned() } else { input.display().to_string() };
    if input != stdio
        && let Some(done) = archived(redactor, input, output, &name)?
    {
        return Ok(done);
    }
    let mut source: Box<dyn Read> = if input == stdio {
        Box::new(io::stdin().lock())
    } else {
        Box::new(
            File::open(input)
                .with_context(|| format!("cannot read {}; check the path and its rights", input.display()))?,
        )
    };
    // It may be readable only once, so the rules run once, and what they bring up is swept out of their result. Standard
    // output cannot be taken back, so the result waits in an unnamed file until it is whole.
    let mut whole = tempfile::tempfile().context("cannot make a temporary file")?;
    let stubs = stream(&Cleaner::rules(redactor), &name, source.as_mut(), &mut whole)?;
    Cleaner::knowing(redactor).sweep(&name, &mut whole)?;
    io::Seek::rewind(&mut whole)?;
    if output == stdio {
        io::copy(&mut whole, &mut io::stdout().lock())?;
        return Ok(stubs.into());
    }
    persist(output, |target| {
        io::copy(&mut whole, target)?;
        Ok(stubs)
    })
    .map(Done::from)
}

/// Redacts an archive; none when the file is none.
fn archived(redactor: &Redactor, input: &Path, output: &Path, name: &str) -> anyhow::Result<Option<Done>> {
    let mut source = File::open(input).with_context(|| format!("cannot read {name}; check the path and its rights"))?;
    let shape = if source.metadata()?.is_file() { Shape::of_file(&mut source)? } else { Shape::Other };
    match shape {
        Shape::Other => return Ok(None),
        Shape::Zip | Shape::Gzip | Shape::Tar => {}
    }
    if output == Path::new("-") {
        return Err(usage("an archive needs -o FILE: where should the redacted archive go?"));
    }
    if let Some((store, manifest)) = own::recognise(input) {
        return own::run(redactor, store.as_ref(), manifest, output).map(Some);
    }
    let limits = ArchiveLimits::default();
    let mut redact = |cleaner: &Cleaner, target: &mut File| {
        io::Seek::rewind(&mut source)?;
        let result = cleaner.archive(name, &mut source, target, &limits);
        result.with_context(|| format!("{name} cannot be redacted as an archive"))
    };
    let mut forgotten = tempfile::tempfile().context("cannot make a temporary file")?;
    redact(&Cleaner::scout(redactor), &mut forgotten)?;
    drop(forgotten);
    persist(output, |target| redact(&Cleaner::knowing(redactor), target)).map(|stubs| Some(stubs.into()))
}

/// Writes a file under a temporary name, and gives it its name when it is whole.
fn persist(target: &Path, write: impl FnOnce(&mut File) -> anyhow::Result<u64>) -> anyhow::Result<u64> {
    let parent = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = tempfile::NamedTempFile::new_in(parent)
        .with_context(|| format!("cannot write into {}; check that it exists and its rights", parent.display()))?;
    let stubs = write(temporary.as_file_mut())?;
    temporary
        .persist_noclobber(target)
        .map_err(|e| e.error)
        .with_context(|| format!("cannot write {}; it is never overwritten, so name another file", target.display()))?;
    Ok(stubs)
}

/// One document from a reader into an empty file. One that cannot be redacted becomes a stub.
fn stream(cleaner: &Cleaner, name: &str, source: &mut dyn Read, target: &mut File) -> anyhow::Result<u64> {
    let sound = cleaner.document(name, source, target).map_err(|error| match error {
        CopyError::Read(e) => anyhow::Error::new(e).context(format!("cannot read {name}")),
        CopyError::Write(e) => e.into(),
    })?;
    Ok(u64::from(!sound))
}

/// A directory, file by file, into another one, or nowhere when it is only read. Links are not followed; names go through
/// the rules too.
fn directory(
    cleaner: &Cleaner,
    input: &Path,
    output: Option<&Path>,
    below: &Path,
    depth: usize,
) -> anyhow::Result<u64> {
    anyhow::ensure!(depth < MAX_DEPTH, "{} is nested deeper than {MAX_DEPTH} directories", input.display());
    let source = input.join(below);
    let name = cleaner.name(&below.display().to_string());
    let safe = Path::new(&name).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    anyhow::ensure!(safe, "a name leads out of the directory");
    if let Some(output) = output {
        let target = output.join(&name);
        std::fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
    }
    let mut entries: Vec<_> = std::fs::read_dir(&source)
        .with_context(|| format!("cannot read {}", source.display()))?
        .collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut stubs = 0;
    for entry in entries {
        let kind = entry.file_type()?;
        let path = below.join(entry.file_name());
        if kind.is_dir() {
            stubs += directory(cleaner, input, output, &path, depth + 1)?;
        } else if kind.is_file() {
            let name = cleaner.name(&path.display().to_string());
            let mut source =
                File::open(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
            stubs += match output {
                Some(output) => {
                    let target = output.join(&name);
                    // A name is judged as a whole, so its directories may be called otherwise than alone.
                    target.parent().map_or(Ok(()), std::fs::create_dir_all)?;
                    persist(&target, |target| stream(cleaner, &name, &mut source, target))?
                }
                None => stream(cleaner, &name, &mut source, &mut tempfile::tempfile()?)?,
            };
        }
    }
    Ok(stubs)
}

fn list(redactor: &Redactor, output: &Output) -> anyhow::Result<Exit> {
    if output.format == Output2::Json {
        let rules: Vec<_> = redactor.rules().iter().map(json).collect();
        println!("{}", serde_json::to_string_pretty(&rules)?);
    } else {
        for rule in redactor.rules() {
            println!("{:<28} {:<14} {:<20} {}", rule.id, rule.kind, file_name(&rule.source), rule.description);
        }
    }
    Ok(Exit::Complete)
}

fn json(rule: &RuleInfo) -> serde_json::Value {
    serde_json::json!({"id": rule.id, "kind": rule.kind, "source": rule.source, "description": rule.description})
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn explain(redactor: &Redactor, id: &str) -> anyhow::Result<Exit> {
    let rule = redactor.rules().iter().find(|r| r.id == id);
    let rule =
        rule.ok_or_else(|| usage(format!("there is no rule `{id}`; `casefile redact rules list` names them")))?;
    println!(
        "{}: {}\n  replacement  REDACTED-{}-<id>\n  source       {}",
        rule.id, rule.description, rule.kind, rule.source
    );
    let Some(definition) = &rule.definition else { return Ok(Exit::Complete) };
    println!("  anchors      {}", definition.anchors.join("  "));
    if !definition.keys.is_empty() {
        println!("  keys         {}", definition.keys.join("  "));
    }
    if let Some(run) = &definition.run {
        let max = run.max.map_or_else(|| "any number".to_owned(), |m| m.to_string());
        println!("  then         {} to {max} of [{}]", run.min, run.class);
    }
    if let Some(pattern) = &definition.pattern {
        println!("  pattern      {pattern}");
    }
    for example in &definition.examples {
        let text = expand(example).text;
        println!("  redacts      {} -> {}", example, redactor.text(&text).get());
    }
    for example in &definition.not_examples {
        println!("  leaves       {example}");
    }
    Ok(Exit::Complete)
}

/// Runs examples and counter-examples of every rule.
fn check(dir: Option<PathBuf>) -> anyhow::Result<Exit> {
    let options = Options { redaction_rules: dir.into_iter().collect(), ..Options::default() };
    let redactor = redactor(&options)?;
    let mut failed = 0;
    let mut count = 0;
    for rule in redactor.rules() {
        let Some(definition) = &rule.definition else { continue };
        count += 1;
        for example in &definition.examples {
            let expanded = expand(example);
            let out = redactor.text(&expanded.text).into_inner();
            if out == expanded.text || expanded.secrets.iter().any(|s| s.len() >= 8 && out.contains(s)) {
                failed += 1;
                println!("{}: {}: not redacted: {example}", rule.source, rule.id);
            }
        }
        for example in &definition.not_examples {
            if redactor.text(example).get() != example {
                failed += 1;
                println!("{}: {}: redacted, but must stay: {example}", rule.source, rule.id);
            }
        }
    }
    println!("{count} rules checked, {failed} examples failed");
    Ok(if failed > 0 { Exit::Error } else { Exit::Complete })
}

/// Shows where which rule matches, and the lines that change, redacted.
fn test(redactor: &Redactor, path: &Path, output: &Output) -> anyhow::Result<Exit> {
    let mut text = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut text)?;
    } else {
        text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    let name = path.display().to_string();
    let (clean, matches) = redactor.explain(&name, Format::of_path(&name), &text)?;
    let clean = match Cleaner::knowing(redactor).known() {
        Some(known) => known.bytes(&name, &clean)?,
        None => clean,
    };
    let report = redactor.report();
    if output.format == Output2::Json {
        let places = matches.iter().map(|m| {
            serde_json::json!({"line": m.line, "column": m.column, "length": m.length, "rule": m.rule, "layer": m.layer,
                "replacement": m.replacement})
        });
        let result =
            serde_json::json!({"matches": places.collect::<Vec<_>>(), "rules": report.rules, "layers": report.layers});
        println!("{}", serde_json::to_string_pretty(&result)?);
        return Ok(Exit::Complete);
    }
    for m in &matches {
        let place = format!("{}:{}-{}", m.line, m.column, m.column + m.length - 1);
        println!("{place:<16} {:<28} {:<9} {}", m.rule, m.layer, m.replacement);
    }
    if !matches.is_empty() {
        println!();
    }
    for (number, line) in clean.get().split(|b| *b == b'\n').enumerate() {
        if memchr::memmem::find(line, b"REDACTED-").is_some() {
            println!("{}: {}", number + 1, String::from_utf8_lossy(line));
        }
    }
    for (rule, files) in report.rules {
        println!("{:>6}  {rule}", files.values().sum::<u64>());
    }
    Ok(Exit::Complete)
}
