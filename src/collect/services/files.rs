//! Files of this host by globs: the newest part of logs, rotated and compressed ones among them, and configuration.
//!
//! Keys, wallets and databases are never opened, whatever a profile says.

use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use flate2::read::MultiGzDecoder;
use futures::FutureExt;
use futures::future::BoxFuture;
use globset::{GlobBuilder, GlobMatcher};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::item::put_json;
use crate::collect::rooted::{self, Tree};
use crate::collect::source::{Source, SourceItem};
use crate::collect::{CollectError, Done, Item, Keep, Lane, Limits, Sink};
use crate::model::Outcome;
use crate::profile::{self, FileKind};
use crate::redact::Format;

/// Files that one item reads, the newest ones.
const FILES_MAX: usize = 50;
/// Names that are looked at below the fixed part of a glob.
const NAMES_MAX: usize = 20_000;
const DEPTH_MAX: usize = 8;
/// Largest configuration file.
const CONFIG_MAX: u64 = 1 << 20;
/// A compressed log is unpacked up to this many times the limit of a log.
const UNPACK_MAX: u64 = 64;
const PIECE: usize = 64 << 10;

/// Ends of names of files with keys or data.
const REFUSED_ENDS: [&str; 24] = [
    ".bak",
    ".dat",
    ".db",
    ".der",
    ".idx",
    ".jks",
    ".kdbx",
    ".kdb",
    ".key",
    ".keystore",
    ".ldb",
    ".mdb",
    ".ovpn",
    ".p12",
    ".p8",
    ".pfx",
    ".pkcs12",
    ".ppk",
    ".sqlite",
    ".sqlite3",
    ".sst",
    ".vlog",
    ".wal",
    ".wallet",
];
/// Beginnings of such names.
const REFUSED_STARTS: [&str; 11] = [
    ".git-credentials",
    ".htpasswd",
    ".netrc",
    ".pgpass",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "id_rsa",
    "keystore",
    "primes-",
    "wallet",
];
/// Directories of such files.
const REFUSED_DIRS: [&str; 8] = [".aws", ".gnupg", ".ssh", "keystore", "keystores", "private", "secrets", "wallets"];

struct Files {
    id: String,
    globs: Vec<Result<Pattern, String>>,
    kind: FileKind,
}

#[derive(Clone)]
struct Pattern {
    base: PathBuf,
    matcher: GlobMatcher,
}

/// The item that reads the files of one table.
pub(super) fn item(own: &profile::Files, paths: &[String]) -> Arc<dyn Item> {
    let globs = paths.iter().map(|p| pattern(p)).collect();
    let id = format!("services/files/{}", own.id);
    let what = format!("Files {}: {}", paths.join(", "), own.why);
    let lane = if own.kind == FileKind::Log { Lane::Logs } else { Lane::State };
    Arc::new(SourceItem::new(&id, "services/files", what, lane, Files { id: own.id.clone(), globs, kind: own.kind }))
}

/// A glob with the directory that its fixed part names.
fn pattern(text: &str) -> Result<Pattern, String> {
    let glob = GlobBuilder::new(text).literal_separator(true).build().map_err(|e| format!("{text}: {}", e.kind()))?;
    let fixed: PathBuf = Path::new(text)
        .components()
        .take_while(|c| !c.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']))
        .collect();
    // Without a wild card the fixed part is the file itself.
    let base = if fixed == Path::new(text) { fixed.parent().map(Path::to_owned).unwrap_or_default() } else { fixed };
    Ok(Pattern { base, matcher: glob.compile_matcher() })
}

/// Whether a file may hold keys, a wallet or a database.
fn is_refused(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let bare = name.strip_suffix(".gz").unwrap_or(&name);
    // `.key.1` and `wallet.dat.old` are the same files a day later.
    let refused_end = REFUSED_ENDS.iter().any(|end| bare.ends_with(end) || bare.contains(&format!("{end}.")));
    let refused_pem = bare.ends_with(".pem") && !["ca", "cert", "chain", "crt"].iter().any(|w| bare.contains(w));
    let refused_dir = path.parent().is_some_and(|dir| {
        dir.components().any(|c| REFUSED_DIRS.contains(&c.as_os_str().to_string_lossy().to_ascii_lowercase().as_str()))
    });
    refused_end
        || refused_pem
        || refused_dir
        || REFUSED_STARTS.iter().any(|s| name.starts_with(s))
        || name.contains("private")
}

/// A file that matched.
struct Found {
    path: PathBuf,
    /// Where it stands when all links are followed.
    real: PathBuf,
    modified: SystemTime,
    size: u64,
}

/// What a search gave.
#[derive(Default)]
struct Search {
    found: Vec<Found>,
    refused: usize,
    /// Links to files of others, which whoever made the link may not be allowed to read.
    foreign: usize,
    looked_at: usize,
    denied: Vec<String>,
}

impl Search {
    fn dir(&mut self, dir: &Path, pattern: &Pattern, depth: usize) {
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() == io::ErrorKind::PermissionDenied {
                    self.denied.push(dir.display().to_string());
                }
                return;
            }
        };
        let mut entries: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).take(NAMES_MAX).collect();
        entries.sort();
        for path in entries {
            self.looked_at += 1;
            if self.looked_at > NAMES_MAX {
                return;
            }
            let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
            if meta.is_dir() {
                if depth < DEPTH_MAX {
                    self.dir(&path, pattern, depth + 1);
                }
            } else if pattern.matcher.is_match(&path) {
                self.file(path, pattern);
            }
        }
    }

    fn file(&mut self, path: PathBuf, pattern: &Pattern) {
        // A link is judged by its own name and by what it leads to.
        let Ok(real) = path.canonicalize() else { return };
        let Ok(meta) = std::fs::metadata(&real) else { return };
        if !meta.is_file() || self.found.iter().any(|f| f.path == path) {
            return;
        }
        if is_refused(&path) || is_refused(&real) {
            self.refused += 1;
            return;
        }
        if !may_follow(&path, &real, &meta, &pattern.base) {
            self.foreign += 1;
            return;
        }
        let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        self.found.push(Found { path, real, modified, size: meta.len() });
    }
}

/// Whether a name may lead to this file: it stands below the directory of the glob, or behind a link that we, the administrator or the
/// owner of the file made. A program that may write its own logs must not choose what else is read.
fn may_follow(path: &Path, real: &Path, target: &std::fs::Metadata, base: &Path) -> bool {
    let Ok(link) = std::fs::symlink_metadata(path) else { return false };
    if !link.is_symlink() {
        return base.canonicalize().is_ok_and(|base| real.starts_with(base));
    }
    [0, rustix::process::geteuid().as_raw(), target.uid()].contains(&link.uid())
}

impl Files {
    async fn run(&self, sink: &Sink) -> Result<Done, CollectError> {
        let limits = sink.limits().clone();
        let patterns: Vec<Pattern> = self.globs.iter().filter_map(|g| g.clone().ok()).collect();
        let mut problems: Vec<String> = self.globs.iter().filter_map(|g| g.clone().err()).collect();
        let search = tokio::task::spawn_blocking(move || {
            let mut search = Search::default();
            for pattern in &patterns {
                search.dir(&pattern.base, pattern, 0);
            }
            search
        });
        let mut search = search.await.map_err(|_| CollectError::Failed("the search for files failed".to_owned()))?;
        search.found.sort_by(|a, b| b.modified.cmp(&a.modified).then_with(|| a.path.cmp(&b.path)));
        let oldest = limits.since.and_then(|since| SystemTime::now().checked_sub(since));
        if self.kind == FileKind::Log {
            search.found.retain(|f| oldest.is_none_or(|oldest| f.modified >= oldest));
        }
        let all = search.found.len();
        search.found.truncate(FILES_MAX);
        if all > FILES_MAX {
            problems.push(format!("the {FILES_MAX} newest of {all} files are kept"));
        }
        if search.looked_at > NAMES_MAX {
            problems.push(format!("only the first {NAMES_MAX} names were looked at"));
        }
        if search.foreign > 0 {
            problems.push(format!("{} links lead to files of another owner and were not followed", search.foreign));
        }
        let denied = !search.denied.is_empty();
        problems.extend(search.denied.iter().take(3).map(|d| format!("{d} is not readable (try: run as root)")));
        if !search.found.is_empty() {
            put_json(
                sink,
                &format!("services/files/{}-index.json", self.id),
                &index(&search.found, SystemTime::now()),
            )?;
        }
        let mut kept = 0;
        for file in &search.found {
            match self.copy(sink, file, &limits).await {
                Ok(()) => kept += 1,
                Err(error @ CollectError::Spool(_)) => return Err(error),
                Err(error) => problems.push(error.to_string()),
            }
        }
        let refused = (search.refused > 0).then(|| format!("{} files with keys or data were left out", search.refused));
        match (kept, problems.is_empty()) {
            (0, false) if denied => Err(CollectError::Forbidden(problems.join("; "))),
            (0, false) => Err(CollectError::Failed(problems.join("; "))),
            (0, true) => {
                Err(CollectError::NotApplicable(refused.unwrap_or_else(|| "no such file is there".to_owned())))
            }
            (_, true) => Ok(Done { outcome: Outcome::Ok, reason: refused, spawn: Vec::new() }),
            (_, false) => {
                Ok(Done::with(Outcome::Truncated, problems.into_iter().take(5).collect::<Vec<_>>().join("; ")))
            }
        }
    }

    async fn copy(&self, sink: &Sink, found: &Found, limits: &Limits) -> Result<(), CollectError> {
        let shown = found.path.to_string_lossy().into_owned();
        let packed = shown.ends_with(".gz");
        let name = shown.trim_start_matches('/');
        let target = format!("services/files/{}/{}", self.id, if packed { name.trim_end_matches(".gz") } else { name });
        let (format, keep, cap) = match self.kind {
            FileKind::Log => (Format::Text, Keep::Newest(limits.log_limit), limits.log_limit),
            FileKind::Config => (format_of(name), Keep::Oldest(CONFIG_MAX), CONFIG_MAX),
        };
        let tail = self.kind == FileKind::Log && !packed;
        // What redaction holds back and the first line make up the margin.
        let skip = if tail { found.size.saturating_sub(cap.saturating_add(1 << 20)) } else { 0 };
        let (send, mut pieces) = tokio::sync::mpsc::channel::<io::Result<Zeroizing<Vec<u8>>>>(4);
        let path = found.real.clone();
        let reader = tokio::task::spawn_blocking(move || {
            let most = if packed { cap.saturating_mul(UNPACK_MAX) } else { u64::MAX };
            if let Err(error) = read(&path, skip, packed, most, &send) {
                // Nobody listens any more when the item has ended.
                let _ = send.blocking_send(Err(error));
            }
        });
        let mut file = sink.create(&target, format, keep)?;
        let mut failed = None;
        while let Some(piece) = pieces.recv().await {
            match piece {
                Ok(piece) => file.write(&piece)?,
                Err(error) => failed = Some(error),
            }
            if file.is_full() {
                break;
            }
        }
        drop(pieces);
        // It ends at its next piece.
        let _ = reader.await;
        let cut = (skip > 0).then(|| crate::model::Truncation {
            reason: "log-limit".to_owned(),
            dropped_bytes: Some(skip),
            kept: crate::model::Kept::Newest,
        });
        match failed {
            None => file.finish(cut),
            Some(error) => {
                file.finish(Some(crate::model::Truncation {
                    reason: "not-readable".to_owned(),
                    dropped_bytes: None,
                    kept: crate::model::Kept::Oldest,
                }))?;
                Err(CollectError::from_io(&shown, &error))
            }
        }
    }
}

/// Sizes and times of the files: an empty log beside a rotated one that grows tells more than either's text.
fn index(found: &[Found], now: SystemTime) -> Value {
    let rows = found.iter().map(|f| {
        let age = now.duration_since(f.modified).unwrap_or_default().as_secs();
        let modified = chrono::DateTime::<chrono::Utc>::from(f.modified);
        let path = f.path.to_string_lossy();
        json!({"path": path, "file": path.trim_start_matches('/'), "bytes": f.size, "age_s": age,
            "modified": modified.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)})
    });
    json!({"files": rows.collect::<Vec<_>>()})
}

/// The format of a configuration file; one without an extension that says it is read as `key=value` lines.
fn format_of(name: &str) -> Format {
    match Format::of_path(name) {
        Format::Text if !name.ends_with(".txt") => Format::Env,
        format => format,
    }
}

fn read(
    path: &Path,
    skip: u64,
    packed: bool,
    most: u64,
    send: &tokio::sync::mpsc::Sender<io::Result<Zeroizing<Vec<u8>>>>,
) -> io::Result<()> {
    let mut file = Tree::at(Path::new("/")).without_links().file(path)?;
    file.seek(SeekFrom::Start(skip))?;
    let mut reader: Box<dyn Read> =
        if packed { Box::new(MultiGzDecoder::new(file).take(most)) } else { Box::new(file.take(most)) };
    let mut piece = vec![0; PIECE];
    loop {
        let read = reader.read(&mut piece)?;
        if read == 0 || send.blocking_send(Ok(Zeroizing::new(piece[..read].to_vec()))).is_err() {
            return Ok(());
        }
    }
}

/// Reads a small file as a whole.
///
/// # Errors
/// When it cannot be read, is no regular file, or is larger than `cap`.
pub(super) fn read_small(path: &Path, cap: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut content = Zeroizing::new(Vec::new());
    rooted::regular_file(path)?.take(cap + 1).read_to_end(&mut content)?;
    if content.len() as u64 > cap {
        return Err(io::Error::other(format!("it is larger than {cap} bytes")));
    }
    Ok(content)
}

impl Source for Files {
    fn collect<'a>(&'a self, sink: &'a Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
        self.run(sink).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_wallets_and_databases_are_refused() {
        for path in [
            "/certs/node1.key",
            "/d/wallet.dat",
            "/d/blocks.dat.idx",
            "/d/txindex/000005.ldb",
            "/data/primes-party-0.json",
            "/home/u/.ssh/config",
            "/etc/nginx/.htpasswd",
            "/x/server.pem",
            "/x/node.key.1",
            "/x/a.p12",
            "/x/id_rsa.pub",
            "/etc/x/private/a.conf",
            "/x/my-private-notes.log",
            "/x/node.key.gz",
            "/var/lib/x/x.sqlite3",
            "/x/keystore.json",
        ] {
            assert!(is_refused(Path::new(path)), "{path}");
        }
        for path in
            ["/var/log/drachma/a.log", "/var/log/drachma/a.log.1", "/etc/x/a.conf", "/x/ca.pem", "/x/a.log-2026.gz"]
        {
            assert!(!is_refused(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn a_glob_begins_at_its_fixed_part() {
        for (glob, base) in
            [("/var/log/x/*.log", "/var/log/x"), ("/etc/x/a.conf", "/etc/x"), ("/a/*/b", "/a"), ("/{a,b}/c", "/")]
        {
            assert_eq!(pattern(glob).unwrap().base, Path::new(base), "{glob}");
        }
        assert!(pattern("/a/[").is_err());
    }

    #[test]
    fn a_link_to_a_key_is_refused_and_a_pipe_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("node.key"), "k").unwrap();
        std::fs::write(dir.path().join("b.log"), "b").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(dir.path().join("node.key"), dir.path().join("a.log")).unwrap();
        let mut search = Search::default();
        let glob = pattern(&format!("{}/*.log", dir.path().display())).unwrap();
        search.dir(&glob.base, &glob, 0);
        assert_eq!(search.found.len(), 1);
        assert!(search.found[0].path.ends_with("b.log") && search.refused == 1);
        assert!(read_small(&dir.path().join("b.log"), 0).is_err());
    }

    #[test]
    fn a_link_of_another_user_to_a_file_that_is_not_theirs_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (logs, other) = (dir.path().join("logs"), dir.path().join("other"));
        std::fs::create_dir_all(&logs).unwrap();
        std::fs::write(&other, "of somebody").unwrap();
        std::os::unix::fs::symlink(&other, logs.join("a.log")).unwrap();
        let meta = std::fs::metadata(&other).unwrap();
        let link = logs.join("a.log");
        assert!(may_follow(&link, &other, &meta, &logs), "we made this link");
        // A directory on the way was swapped for a link: the name itself is none.
        assert!(!may_follow(&other, &other, &meta, &logs));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::lchown(&link, Some(4711), None).unwrap();
            assert!(!may_follow(&link, &other, &meta, &logs));
            std::os::unix::fs::chown(&other, Some(4711), None).unwrap();
            assert!(may_follow(&link, &other, &std::fs::metadata(&other).unwrap(), &logs));
        }
    }
}
