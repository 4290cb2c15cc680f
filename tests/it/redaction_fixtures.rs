//! Redaction of all fixtures: how the content was split into pushes changes nothing, and what is redacted stays as it is.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a folder of fixtures").flatten() {
        let path = entry.path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn redacted(redactor: &Redactor, format: Format, content: &[u8], step: usize) -> Option<Vec<u8>> {
    let mut out = Redacted::buffer();
    let mut stream = redactor.stream("fixture", format);
    for chunk in content.chunks(step) {
        stream.push(chunk, &mut out).ok()?;
    }
    stream.finish(&mut out).ok()?;
    Some(out.into_inner())
}

#[test]
fn neither_the_size_of_pushes_nor_a_second_pass_changes_the_result() {
    let mut all = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"), &mut all);
    assert!(all.len() > 100, "fixtures are missing");
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let mut wrong = String::new();
    for path in all {
        let content = std::fs::read(&path).unwrap();
        for format in [Format::Text, Format::of_path(&path.to_string_lossy())] {
            let whole = redacted(&redactor, format, &content, content.len().max(1));
            for step in [997, 64 << 10] {
                if redacted(&redactor, format, &content, step) != whole {
                    let _ = writeln!(wrong, "{} as {format:?} in pushes of {step}", path.display());
                }
            }
            if let Some(whole) = whole
                && redacted(&redactor, format, &whole, whole.len().max(1)).as_ref() != Some(&whole)
            {
                let _ = writeln!(wrong, "{} as {format:?} changes again", path.display());
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
