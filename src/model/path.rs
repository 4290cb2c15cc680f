//! Names of artifacts inside a bundle.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest segment of a path in bytes. Most file systems allow 255; the rest is room for suffixes of other tools.
const SEGMENT_MAX: usize = 200;

/// A relative, portable path inside a bundle: `/` between segments, no empty, `.` or `..` segment, no character that
/// Windows or an artifact store refuses, no segment above 200 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BundlePath(String);

impl BundlePath {
    /// Makes a portable path from any text. It never fails: what cannot stay is replaced by `-`, and a segment that
    /// is too long ends in a hash of the whole segment, so that different names stay different.
    #[must_use]
    pub fn portable(raw: &str) -> Self {
        let segments: Vec<String> = raw.split('/').filter(|s| !s.is_empty()).map(portable_segment).collect();
        if segments.is_empty() { Self("unnamed".to_owned()) } else { Self(segments.join("/")) }
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same path with `~<n>` before its extension: how a collision of names that differ only in case, or not at
    /// all, is resolved.
    #[must_use]
    pub fn numbered(&self, n: usize) -> Self {
        let (dir, name) = self.0.rsplit_once('/').map_or(("", self.0.as_str()), |(d, n)| (d, n));
        let (stem, ext) = match name.split_once('.') {
            Some((stem, ext)) if !stem.is_empty() => (stem, format!(".{ext}")),
            _ => (name, String::new()),
        };
        let name = portable_segment(&format!("{stem}~{n}{ext}"));
        Self(if dir.is_empty() { name } else { format!("{dir}/{name}") })
    }
}

impl fmt::Display for BundlePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn portable_segment(raw: &str) -> String {
    let mut out: String = raw
        .chars()
        .map(|c| match c {
            ':' | '*' | '?' | '|' | '<' | '>' | '"' | '\\' => '-',
            c if c.is_control() => '-',
            c => c,
        })
        .collect();
    while out.ends_with(['.', ' ']) {
        out.pop();
        out.push('-');
    }
    if is_reserved(&out) {
        out.insert(0, '-');
    }
    if out.len() > SEGMENT_MAX {
        let hash = Sha256::digest(out.as_bytes());
        let suffix: String = hash.iter().take(6).map(|b| format!("{b:02x}")).collect();
        let ext = out.rsplit_once('.').map(|(_, e)| e).filter(|e| e.len() <= 10).map(str::to_owned);
        let mut cut = SEGMENT_MAX - 24;
        while !out.is_char_boundary(cut) {
            cut -= 1;
        }
        out.truncate(cut);
        out.push('~');
        out.push_str(&suffix);
        if let Some(ext) = ext {
            out.push('.');
            out.push_str(&ext);
        }
    }
    out
}

/// Device names of Windows, which no file there may have, whatever its extension.
fn is_reserved(segment: &str) -> bool {
    let stem = segment.split('.').next().unwrap_or_default().to_ascii_lowercase();
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul")
        || (stem.len() == 4
            && (stem.starts_with("com") || stem.starts_with("lpt"))
            && stem.as_bytes()[3].is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_paths_stay() {
        let path = "cluster-resources/pods/logs/ns/pod/ctr.log";
        assert_eq!(BundlePath::portable(path).as_str(), path);
    }

    #[test]
    fn what_other_systems_refuse_is_replaced() {
        for (raw, want) in [
            ("/etc/passwd", "etc/passwd"),
            ("a/../../b", "a/.-/.-/b"),
            ("a/./b", "a/-/b"),
            ("x:y*?.log", "x-y--.log"),
            ("aux.txt", "-aux.txt"),
            ("name.", "name-"),
            ("", "unnamed"),
            ("a\u{0}b", "a-b"),
        ] {
            assert_eq!(BundlePath::portable(raw).as_str(), want, "{raw:?}");
        }
    }

    #[test]
    fn collisions_are_numbered_before_the_extension() {
        assert_eq!(BundlePath::portable("d/a.tar.gz").numbered(2).as_str(), "d/a~2.tar.gz");
        assert_eq!(BundlePath::portable("plain").numbered(3).as_str(), "plain~3");
    }

    proptest! {
        #[test]
        fn any_text_gives_a_portable_path(raw in ".{0,600}") {
            let path = BundlePath::portable(&raw);
            for segment in path.as_str().split('/') {
                prop_assert!(!segment.is_empty() && segment != "." && segment != "..");
                prop_assert!(segment.len() <= SEGMENT_MAX, "{} bytes", segment.len());
                prop_assert!(!segment.contains([':', '*', '?', '|', '<', '>', '"', '\\', '\0']));
            }
            // A portable path is already portable.
            prop_assert_eq!(BundlePath::portable(path.as_str()), path);
        }
    }
}
