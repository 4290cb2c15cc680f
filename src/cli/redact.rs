//! `casefile redact`.

mod archive;
mod own;
mod zip;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::Context;

use self::archive::Shape;
use super::Exit;
use super::output::{Format as Output2, Output, usage};
use super::pseudonymise::PseudonymArgs;
use crate::redact::{CopyError, CorrelationKey, Format, Outlet, Redacted, Redactor, RuleInfo, Sweep, expand};

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
    /// Show what would be replaced in a file, line by line, values masked
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
        Some(RulesCommand::Rules(Rules::Test { file, options })) => test(&redactor(&options)?, &file),
        None => {
            let redactor = redactor(&args.options)?;
            let stubs = redact(&redactor, &args.input, &args.output)?;
            let report = redactor.report();
            output.notice(&format!("{} replaced, {} distinct, {stubs} left out", report.total(), report.distinct));
            Ok(if stubs > 0 { Exit::Incomplete } else { Exit::Complete })
        }
    }
}

fn redactor(options: &Options) -> anyhow::Result<Redactor> {
    let key = options.correlation_key.as_deref().map_or_else(CorrelationKey::random, CorrelationKey::from_file)?;
    let builder = options.redaction_rules.iter().fold(Redactor::builder(key), |b, dir| b.with_rules(dir));
    let builder = options.without_rule.iter().fold(builder, |b, id| b.without_rule(id));
    Ok(options.pseudonyms.switch_on(builder).build()?)
}

/// What is done to each document: the rules, and then the values that are known to be secret from all documents.
struct Clean {
    redactor: Redactor,
    sweep: Option<Sweep>,
}

impl Clean {
    /// Only the rules.
    fn rules(redactor: &Redactor) -> Self {
        Self { redactor: redactor.clone(), sweep: None }
    }

    /// The rules and the values that `read` brings up. It gets a redactor that learns, and its result is thrown away: so
    /// nothing is ever written that a later document shows to be secret.
    fn knowing(redactor: &Redactor, read: impl FnOnce(&Self) -> anyhow::Result<u64>) -> anyhow::Result<Self> {
        read(&Self::rules(&redactor.scout()))?;
        Ok(Self { redactor: redactor.clone(), sweep: redactor.sweep() })
    }

    /// The name of a file or member.
    fn name(&self, name: &str) -> String {
        let clean = self.redactor.text(name);
        self.sweep.as_ref().map_or(clean.clone(), |sweep| sweep.path(&clean)).into_inner()
    }
}

/// Redacts; gives the number of files that were left out.
fn redact(redactor: &Redactor, input: &Path, output: &Path) -> anyhow::Result<u64> {
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
        let clean = Clean::knowing(redactor, |clean| directory(clean, input, None, Path::new(""), 0))?;
        return directory(&clean, input, Some(output), Path::new(""), 0);
    }
    let name = if input == stdio { "stdin".to_owned() } else { input.display().to_string() };
    if input != stdio
        && let Some(stubs) = archived(redactor, input, output, &name)?
    {
        return Ok(stubs);
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
    let stubs = stream(&Clean::rules(redactor), &name, source.as_mut(), &mut whole)?;
    let clean = Clean { redactor: redactor.clone(), sweep: redactor.sweep() };
    sweep(&clean, &name, &mut whole)?;
    io::Seek::rewind(&mut whole)?;
    if output == stdio {
        io::copy(&mut whole, &mut io::stdout().lock())?;
        return Ok(stubs);
    }
    persist(output, |target| {
        io::copy(&mut whole, target)?;
        Ok(stubs)
    })
}

/// Redacts an archive; none when the file is none.
fn archived(redactor: &Redactor, input: &Path, output: &Path, name: &str) -> anyhow::Result<Option<u64>> {
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
    let clean = Clean::knowing(redactor, |clean| {
        let mut forgotten = tempfile::tempfile().context("cannot make a temporary file")?;
        archive::run(clean, name, &mut source, &mut forgotten)
    })?;
    io::Seek::rewind(&mut source)?;
    persist(output, |target| archive::run(&clean, name, &mut source, target)).map(Some)
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
fn stream(clean: &Clean, name: &str, source: &mut dyn Read, target: &mut File) -> anyhow::Result<u64> {
    let sound =
        clean.redactor.copy(name, Format::of_path(name), source, &mut Plain(target)).map_err(|error| match error {
            CopyError::Read(e) => anyhow::Error::new(e).context(format!("cannot read {name}")),
            CopyError::Write(e) => e.into(),
        })?;
    sweep(clean, name, target)?;
    Ok(u64::from(!sound))
}

/// Takes known values out of a document that was redacted, and stands at its end.
fn sweep(clean: &Clean, name: &str, document: &mut File) -> anyhow::Result<()> {
    let Some(known) = &clean.sweep else { return Ok(()) };
    io::Seek::rewind(document)?;
    if known.touches(document)? {
        io::Seek::rewind(document)?;
        let mut swept = tempfile::tempfile().context("cannot make a temporary file")?;
        known.rewrite(name, document, &mut |part| swept.write_all(part.get()))?;
        io::Seek::rewind(&mut swept)?;
        document.set_len(0)?;
        io::Seek::rewind(document)?;
        io::copy(&mut swept, document)?;
    }
    io::Seek::seek(document, io::SeekFrom::End(0))?;
    Ok(())
}

/// A file that holds nothing but the result.
struct Plain<'a>(&'a mut File);

impl Outlet for Plain<'_> {
    type Error = io::Error;

    fn write(&mut self, content: &Redacted<Vec<u8>>) -> io::Result<()> {
        self.0.write_all(content.get())
    }

    fn restart(&mut self) -> io::Result<()> {
        self.0.set_len(0)?;
        io::Seek::rewind(self.0)
    }
}

/// A directory, file by file, into another one, or nowhere when it is only read. Links are not followed; names go through
/// the rules too.
fn directory(clean: &Clean, input: &Path, output: Option<&Path>, below: &Path, depth: usize) -> anyhow::Result<u64> {
    anyhow::ensure!(depth < MAX_DEPTH, "{} is nested deeper than {MAX_DEPTH} directories", input.display());
    let source = input.join(below);
    let name = clean.name(&below.display().to_string());
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
            stubs += directory(clean, input, output, &path, depth + 1)?;
        } else if kind.is_file() {
            let name = clean.name(&path.display().to_string());
            let mut source =
                File::open(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
            stubs += match output {
                Some(output) => {
                    let target = output.join(&name);
                    // A name is judged as a whole, so its directories may be called otherwise than alone.
                    target.parent().map_or(Ok(()), std::fs::create_dir_all)?;
                    persist(&target, |target| stream(clean, &name, &mut source, target))?
                }
                None => stream(clean, &name, &mut source, &mut tempfile::tempfile()?)?,
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

/// Shows the lines that change, redacted, with the rules that the file met.
fn test(redactor: &Redactor, path: &Path) -> anyhow::Result<Exit> {
    let mut text = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut text)?;
    } else {
        text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    let name = path.display().to_string();
    let clean = redactor.bytes(&name, Format::of_path(&name), &text)?.into_inner();
    for (number, line) in clean.split(|b| *b == b'\n').enumerate() {
        if memchr::memmem::find(line, b"REDACTED-").is_some() {
            println!("{}: {}", number + 1, String::from_utf8_lossy(line));
        }
    }
    for (rule, files) in redactor.report().rules {
        println!("{:>6}  {rule}", files.values().sum::<u64>());
    }
    Ok(Exit::Complete)
}
