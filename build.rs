//! Packs the fixtures of `casefile demo` into one archive, which the binary embeds, and tells it the digest of its engine.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};

/// Folders below `fixtures/` that the demo needs. Incidents that it does not offer stay out.
const FOLDERS: [&str; 2] = ["clusters/kms", "incidents"];

fn main() -> io::Result<()> {
    println!("cargo::rustc-env=CASEFILE_ENGINE_SHA256={}", engine()?);
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?).join("fixtures");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?).join("demo.tar.gz");
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = Vec::new();
    for folder in FOLDERS {
        println!("cargo::rerun-if-changed=fixtures/{folder}");
        walk(&root.join(folder), &mut files)?;
    }
    // The same fixtures give the same bytes, wherever and whenever they are packed.
    let mut entries: Vec<(String, PathBuf)> = files.into_iter().map(|file| (name(&root, &file), file)).collect();
    entries.sort();
    let gzip = GzBuilder::new().mtime(0).write(fs::File::create(out)?, Compression::best());
    let mut archive = tar::Builder::new(gzip);
    for (name, file) in entries {
        let bytes = fs::read(file)?;
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        archive.append_data(&mut header, name, bytes.as_slice())?;
    }
    archive.into_inner()?.finish()?.sync_all()
}

/// SHA-256 over the sources of redaction, so that a report can say what has redacted.
fn engine() -> io::Result<String> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?).join("src");
    println!("cargo::rerun-if-changed=src/redact");
    let mut files = Vec::new();
    walk(&root.join("redact"), &mut files)?;
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let (name, text) = (name(&root, &file), fs::read(&file)?);
        digest.update(format!("{name}\0{}\0", text.len()));
        digest.update(text);
    }
    Ok(digest.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if is_hidden(dir) {
        return Ok(());
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Whether a directory is an incident that `casefile demo` does not offer.
fn is_hidden(dir: &Path) -> bool {
    let expect = fs::read_to_string(dir.join("expect.toml")).unwrap_or_default();
    expect.lines().any(|line| line.trim() == "demo = false")
}

/// Path below the fixtures, with `/` on every system.
fn name(root: &Path, file: &Path) -> String {
    let relative = file.strip_prefix(root).unwrap_or(file);
    relative.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}
