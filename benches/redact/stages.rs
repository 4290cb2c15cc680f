//! What the stages of a collect cost on the artifacts of the demo's clusters, by kind: redaction beside the digest, the
//! compression and the audit of the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use casefile::redact::audit::Audit;
use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};
use sha2::{Digest, Sha256};

use crate::clock::speed;
use crate::speed::{PUSH, members};

/// How an artifact comes to the redactor.
enum Artifact {
    /// The objects of a list, one by one.
    Objects(Vec<Vec<u8>>),
    Text(Format, Vec<u8>),
}

impl Artifact {
    fn len(&self) -> usize {
        match self {
            Self::Objects(objects) => objects.iter().map(Vec::len).sum(),
            Self::Text(_, text) => text.len(),
        }
    }

    fn redact(&self, redactor: &Redactor, out: &mut Redacted<Vec<u8>>) {
        match self {
            Self::Objects(objects) => {
                let mut list = redactor.objects("bench", "v1", "Thing");
                objects.iter().for_each(|object| list.push(object, out));
                list.finish(out);
            }
            Self::Text(format, text) => {
                let mut stream = redactor.stream("bench", *format);
                // What cannot be redacted becomes a stub, which costs nothing.
                let _ =
                    text.chunks(PUSH).try_for_each(|chunk| stream.push(chunk, out)).and_then(|()| stream.finish(out));
            }
        }
    }
}

/// Reads an artifact as the collectors give it; lists of objects without the blanks of the fixture.
fn artifact(path: &Path) -> (String, Artifact) {
    let content = std::fs::read(path).unwrap();
    let format = Format::of_path(&path.to_string_lossy());
    if format == Format::Json
        && let Ok(serde_json::Value::Object(mut list)) = serde_json::from_slice(&content)
        && let Some(serde_json::Value::Array(items)) = list.remove("items")
    {
        let objects = items.iter().map(|item| item.to_string().into_bytes()).collect();
        return ("objects".to_owned(), Artifact::Objects(objects));
    }
    let kind = path.extension().map_or_else(String::new, |e| e.to_string_lossy().into_owned());
    (kind, Artifact::Text(format, content))
}

fn collect(dir: &Path, kinds: &mut BTreeMap<String, Vec<Artifact>>) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            collect(&entry.path(), kinds);
        } else {
            let (kind, artifact) = artifact(&entry.path());
            kinds.entry(kind).or_default().push(artifact);
        }
    }
}

/// Prints the table.
pub(crate) fn table() {
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let audit = Audit::new();
    let mut kinds = BTreeMap::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for dir in ["clusters", "incidents", "logs"] {
        collect(&fixtures.join(dir), &mut kinds);
    }
    println!(
        "{:<12}{:>7}{:>12}{:>9}{:>9}{:>9}{:>9}   ns a byte",
        "artifacts", "files", "bytes", "redact", "digest", "compress", "audit"
    );
    let mut sums = [0_f64; 4];
    let mut all = 0;
    for (kind, artifacts) in kinds {
        let bytes: usize = artifacts.iter().map(Artifact::len).sum();
        let mut out = Redacted::buffer();
        let cost = |rate: f64| 1e3 / rate;
        let redact = cost(speed(bytes, || {
            out.clear();
            artifacts.iter().for_each(|a| a.redact(&redactor, &mut out));
        }));
        // The later stages see what redaction gave, and their cost is that of a byte that went into it.
        let clean = out.get().as_slice();
        let share = clean.len() as f64 / bytes as f64;
        let digest = share
            * cost(speed(clean.len(), || {
                std::hint::black_box(Sha256::digest(clean));
            }));
        let compress = share * cost(members(clean));
        let audit = share
            * cost(speed(clean.len(), || {
                std::hint::black_box(audit.scan("bench", &mut &*clean).unwrap());
            }));
        println!("{kind:<12}{:>7}{bytes:>12}{redact:>9.2}{digest:>9.2}{compress:>9.2}{audit:>9.2}", artifacts.len());
        for (sum, cost) in sums.iter_mut().zip([redact, digest, compress, audit]) {
            *sum += cost * bytes as f64;
        }
        all += bytes;
    }
    let [redact, digest, compress, audit] = sums.map(|sum| sum / all as f64);
    println!("{:<12}{:>7}{all:>12}{redact:>9.2}{digest:>9.2}{compress:>9.2}{audit:>9.2}", "all", "");
}
