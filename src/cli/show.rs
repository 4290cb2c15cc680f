//! `casefile show`.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;

use anyhow::Context;

use super::Exit;
use super::output::{Format, Output, usage};
use crate::bundle::format::{FIRST, SUMMARY};
use crate::bundle::{Entry, Store, open};
use crate::model::size;

/// JSON above this is not pretty-printed: it is held in memory for that.
const PRETTY_MAX: u64 = 256 << 20;
/// The summary is a page, not a book.
const SUMMARY_MAX: u64 = 4 << 20;
/// Candidates that an error names.
const NAMED: usize = 10;

/// Arguments of `casefile show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "PATH may be a whole path, a glob such as '**/kms-core*.log', or the end of one path.")]
pub(super) struct Args {
    /// A .tar.gz, or the directory that it unpacks to
    bundle: PathBuf,
    /// The file to show [default: the summary and the list of files]
    path: Option<String>,
    /// Show only the files, as a tree
    #[arg(long, conflicts_with_all = ["list", "path"])]
    tree: bool,
    /// Show only the files, one a line, with sizes in bytes
    #[arg(long, conflicts_with = "path")]
    list: bool,
    /// Indent JSON
    #[arg(long, requires = "path")]
    pretty: bool,
}

/// Runs the command.
#[expect(clippy::needless_pass_by_value, reason = "all commands have this signature")]
pub(super) fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    let store = open(&args.bundle)?;
    let store = store.as_ref();
    let done = match &args.path {
        Some(wanted) => show_files(store, wanted, args.pretty),
        None => show_list(store, &args, output),
    };
    for (at, problem) in store.problems().iter().enumerate() {
        let what = if at == 0 && store.origin().is_some() { "note" } else { "warning" };
        output.notice(&format!("{what}: {problem}"));
    }
    for (path, reason) in store.damage() {
        output.notice(&format!("warning: {path}: {reason}"));
    }
    done.map(|()| Exit::Complete)
}

fn show_list(store: &dyn Store, args: &Args, output: &Output) -> anyhow::Result<()> {
    let entries = store.entries();
    if output.format == Format::Json {
        let files: Vec<_> = entries.iter().map(|e| serde_json::json!({"path": e.path, "size": e.size})).collect();
        let result = serde_json::json!({"files": files, "origin": store.origin(), "problems": store.problems()});
        return put(format!("{result:#}\n").as_bytes());
    }
    if args.list {
        let lines: String = entries.iter().map(|e| format!("{:>12}  {}\n", e.size, e.path)).collect();
        return put(lines.as_bytes());
    }
    if !args.tree && store.contains(SUMMARY) {
        put(&printable(store.read(SUMMARY, SUMMARY_MAX)?))?;
        put(b"\n")?;
    }
    put(tree(entries).as_bytes())
}

fn show_files(store: &dyn Store, wanted: &str, pretty: bool) -> anyhow::Result<()> {
    let found = find(store.entries(), wanted)?;
    for path in &found {
        if found.len() > 1 {
            put(format!("==> {path} <==\n").as_bytes())?;
        }
        if pretty {
            let bytes = store.read(path, PRETTY_MAX)?;
            let json: serde_json::Value = serde_json::from_slice(&bytes)
                .with_context(|| format!("{path} is not JSON; leave --pretty out to see it as it is"))?;
            put(format!("{json:#}\n").as_bytes())?;
        } else {
            copy(store.open(path)?.as_mut(), path)?;
        }
    }
    Ok(())
}

/// The entries that a path, a glob or the end of a path means.
fn find<'a>(entries: &'a [Entry], wanted: &str) -> anyhow::Result<Vec<&'a str>> {
    let paths = || entries.iter().map(|e| e.path.as_str());
    if let Some(path) = paths().find(|path| *path == wanted) {
        return Ok(vec![path]);
    }
    if wanted.contains(['*', '?', '[', '{']) {
        let glob = globset::Glob::new(wanted).map_err(|e| usage(format!("{wanted} is not a glob: {e}")))?;
        let glob = glob.compile_matcher();
        let found: Vec<&str> = paths().filter(|path| glob.is_match(path)).collect();
        anyhow::ensure!(!found.is_empty(), "nothing in the bundle matches {wanted}; see `casefile show BUNDLE --list`");
        return Ok(found);
    }
    // Whole segments at the end are meant before any other end.
    let segments = format!("/{wanted}");
    let mut found: Vec<&str> = paths().filter(|path| path.ends_with(&segments)).collect();
    if found.is_empty() {
        found = paths().filter(|path| path.ends_with(wanted)).collect();
    }
    match found.len() {
        0 => anyhow::bail!("{wanted} is not in the bundle; see `casefile show BUNDLE --list`"),
        1 => Ok(found),
        n => {
            let some = found.iter().take(NAMED).copied().collect::<Vec<_>>().join("\n  ");
            let more = if n > NAMED { "\n  ..." } else { "" };
            Err(usage(format!("{wanted} is the end of {n} paths; name one of them:\n  {some}{more}")))
        }
    }
}

/// Copies a file to stdout. A terminal gets text only, without the control characters that could command it.
fn copy(content: &mut dyn Read, path: &str) -> anyhow::Result<()> {
    let terminal = io::stdout().is_terminal();
    let mut buffer = vec![0; 64 << 10];
    let mut first = true;
    loop {
        let n = match content.read(&mut buffer) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e).with_context(|| format!("cannot read all of {path}")),
        };
        if n == 0 {
            return Ok(());
        }
        if terminal && first && buffer[..n].contains(&0) {
            return Err(usage(format!("{path} is binary; redirect standard output to a file to get it")));
        }
        if !put_more(&printable(buffer[..n].to_vec()))? {
            return Ok(());
        }
        first = false;
    }
}

/// Takes the escape character and its kin out of text for a terminal.
fn printable(mut bytes: Vec<u8>) -> Vec<u8> {
    if io::stdout().is_terminal() {
        for byte in &mut bytes {
            if (*byte < b' ' && !matches!(byte, b'\n' | b'\t' | b'\r')) || *byte == 0x7f {
                *byte = b'?';
            }
        }
    }
    bytes
}

/// Writes to stdout. A reader that has seen enough, such as `head`, is no error.
pub(super) fn put(bytes: &[u8]) -> anyhow::Result<()> {
    put_more(bytes).map(|_| ())
}

/// As [`put`]; says whether the reader wants more.
fn put_more(bytes: &[u8]) -> anyhow::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true).context("cannot write to standard output"),
    }
}

/// All files below their directories, the first page's files first.
fn tree(entries: &[Entry]) -> String {
    let mut out = String::new();
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let is_first = |e: &&Entry| FIRST.contains(&e.path.as_str());
    let first = FIRST.iter().filter_map(|name| entries.iter().find(|e| e.path == *name));
    for entry in first.chain(entries.iter().filter(|e| !is_first(e))) {
        for (at, _) in entry.path.match_indices('/') {
            let dir = &entry.path[..at];
            if known.insert(dir) {
                let depth = dir.matches('/').count();
                let name = dir.rsplit('/').next().unwrap_or(dir);
                out.push_str(&format!("{:>10}  {}{name}/\n", "", "  ".repeat(depth)));
            }
        }
        let depth = entry.path.matches('/').count();
        let name = entry.path.rsplit('/').next().unwrap_or(&entry.path);
        out.push_str(&format!("{:>10}  {}{name}\n", size::human(entry.size), "  ".repeat(depth)));
    }
    let total = entries.iter().fold(0_u64, |sum, e| sum.saturating_add(e.size));
    out.push_str(&format!("{:>10}  in {} files\n", size::human(total), entries.len()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        ["SUMMARY.md", "a/b/x.log", "a/c/x.log", "a/c/xx.log", "manifest.json"]
            .into_iter()
            .map(|path| Entry { path: path.to_owned(), size: 2048 })
            .collect()
    }

    #[test]
    fn a_file_is_found_by_path_by_glob_and_by_its_end() {
        let entries = entries();
        assert_eq!(find(&entries, "a/b/x.log").unwrap(), ["a/b/x.log"]);
        assert_eq!(find(&entries, "b/x.log").unwrap(), ["a/b/x.log"]);
        assert_eq!(find(&entries, "fest.json").unwrap(), ["manifest.json"]);
        assert_eq!(find(&entries, "a/**/x.log").unwrap(), ["a/b/x.log", "a/c/x.log"]);
        let ambiguous = find(&entries, "x.log").unwrap_err().to_string();
        assert!(ambiguous.contains("2 paths") && ambiguous.contains("a/b/x.log"), "{ambiguous}");
        assert!(find(&entries, "nothing").is_err());
        assert!(find(&entries, "no*thing").is_err());
    }

    #[test]
    fn the_tree_names_each_directory_once() {
        let tree = tree(&entries());
        assert_eq!(tree.matches("a/\n").count(), 1, "{tree}");
        assert!(tree.starts_with("     2 KiB  SUMMARY.md\n     2 KiB  manifest.json\n"), "{tree}");
        assert!(tree.ends_with("10 KiB  in 5 files\n"), "{tree}");
    }
}
