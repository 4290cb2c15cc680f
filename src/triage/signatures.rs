//! Log signatures of a profile: known lines of known programs, all found in one scan.
//!
//! A signature names literals (`anchors`) one of which stands in every line that it matches. One automaton looks for all of
//! them at once; only lines with an anchor meet a regular expression.

use std::sync::{Arc, LazyLock};

use aho_corasick::{AhoCorasick, MatchKind};
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use super::finding::{Category, Level};

/// Profile and text of each `profiles/<id>/signatures.toml`. A test walks the folder, so that none can be forgotten here.
const SOURCES: [(&str, &str); 1] = [("kms", include_str!("../../profiles/kms/signatures.toml"))];

/// Memory of one compiled expression, in bytes.
const REGEX_MAX: usize = 1 << 20;

static BUILT_IN: LazyLock<Vec<(&str, Arc<Signatures>)>> = LazyLock::new(|| {
    SOURCES
        .iter()
        .filter_map(|(id, text)| Some((*id, Arc::new(parse(&format!("profiles/{id}/signatures.toml"), text).ok()?))))
        .collect()
});

/// Why signatures cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {reason}")]
pub(crate) struct SignatureError {
    origin: String,
    reason: String,
}

/// What a line that matches a signature says about the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum When {
    /// It names why a container ended.
    Crash,
    /// It is trouble wherever it stands.
    Seen,
    /// It is worth knowing.
    Note,
    /// It is known to be normal.
    Noise,
}

/// One signature.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signature {
    pub(crate) id: String,
    regex: String,
    anchors: Vec<String>,
    /// A line that matches this too is not meant.
    #[serde(default)]
    exclude: Option<String>,
    pub(crate) when: When,
    #[serde(default = "Signature::no_category")]
    pub(crate) category: Category,
    #[serde(default = "Signature::no_level")]
    pub(crate) level: Level,
    /// Another signature in the same log says more.
    #[serde(default)]
    pub(crate) wrapper: bool,
    #[serde(default)]
    pub(crate) meaning: String,
    #[serde(default)]
    pub(crate) remedy: Vec<String>,
    /// Why noise is noise, for whoever reads the file.
    #[serde(default)]
    #[cfg_attr(not(test), expect(dead_code, reason = "required in the file by a test, and shown by no report"))]
    why: String,
}

impl Signature {
    fn no_category() -> Category {
        Category::Startup
    }

    fn no_level() -> Level {
        Level::Two
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: u32,
    #[serde(default)]
    signature: Vec<Signature>,
}

/// All signatures of a profile, compiled.
#[derive(Debug)]
pub(crate) struct Signatures {
    list: Vec<Signature>,
    regexes: Vec<(Regex, Option<Regex>)>,
    anchors: Vec<String>,
    /// Signature of each anchor.
    owners: Vec<usize>,
    finder: AhoCorasick,
}

impl Signatures {
    /// The signatures of a built-in profile, none where it has none.
    pub(crate) fn of_profile(id: &str) -> Option<Arc<Self>> {
        BUILT_IN.iter().find(|(profile, _)| *profile == id).map(|(_, signatures)| Arc::clone(signatures))
    }

    /// The signature with this index.
    pub(crate) fn get(&self, index: usize) -> Option<&Signature> {
        self.list.get(index)
    }

    /// Literals that a line must have one of to be worth a look.
    pub(crate) fn anchors(&self) -> impl Iterator<Item = &str> {
        self.anchors.iter().map(String::as_str)
    }

    /// Indices of the signatures that match one line, in the order of the file.
    pub(crate) fn matches(&self, line: &[u8]) -> Vec<usize> {
        let mut candidates: Vec<usize> = self
            .finder
            .find_overlapping_iter(line)
            .filter_map(|m| self.owners.get(m.pattern().as_usize()).copied())
            .collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates.retain(|i| {
            let Some((regex, exclude)) = self.regexes.get(*i) else { return false };
            regex.is_match(line) && !exclude.as_ref().is_some_and(|e| e.is_match(line))
        });
        candidates
    }
}

/// Parses and compiles the text of a `signatures.toml`; `origin` names it in errors.
///
/// # Errors
/// When the text is not TOML, has an unknown or missing key, or an expression does not compile.
pub(crate) fn parse(origin: &str, text: &str) -> Result<Signatures, SignatureError> {
    let wrong = |reason: String| SignatureError { origin: origin.to_owned(), reason };
    let file: File = toml::from_str(text).map_err(|e| wrong(e.to_string().trim_end().to_owned()))?;
    if file.schema != 1 {
        return Err(wrong(format!("schema = {} is not known; this version reads schema 1", file.schema)));
    }
    let mut regexes = Vec::new();
    let mut anchors = Vec::new();
    let mut owners = Vec::new();
    for (index, signature) in file.signature.iter().enumerate() {
        let id = &signature.id;
        let compile = |key: &str, text: &str| {
            RegexBuilder::new(text)
                .size_limit(REGEX_MAX)
                .build()
                .map_err(|e| wrong(format!("[[signature]] id = \"{id}\": {key}: {e}")))
        };
        let exclude = signature.exclude.as_deref().map(|e| compile("exclude", e)).transpose()?;
        regexes.push((compile("regex", &signature.regex)?, exclude));
        if signature.anchors.is_empty() || signature.anchors.iter().any(|a| a.len() < 4) {
            return Err(wrong(format!(
                "[[signature]] id = \"{id}\": anchors need at least one literal of 4 characters"
            )));
        }
        for anchor in &signature.anchors {
            anchors.push(anchor.clone());
            owners.push(index);
        }
    }
    let finder = AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        .build(&anchors)
        .map_err(|e| wrong(format!("anchors: {e}")))?;
    Ok(Signatures { list: file.signature, regexes, anchors, owners, finder })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn ids(signatures: &Signatures, line: &str) -> Vec<String> {
        signatures.matches(line.as_bytes()).into_iter().map(|i| signatures.list[i].id.clone()).collect()
    }

    #[test]
    fn every_file_is_built_in_and_compiles() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
        let mut found = Vec::new();
        for entry in std::fs::read_dir(root).unwrap() {
            let entry = entry.unwrap();
            if entry.path().join("signatures.toml").is_file() {
                found.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        found.sort();
        assert_eq!(found, SOURCES.map(|(id, _)| id.to_owned()));
        for (id, text) in SOURCES {
            let signatures = parse(id, text).unwrap();
            let mut seen = std::collections::BTreeSet::new();
            for signature in &signatures.list {
                assert!(seen.insert(&signature.id), "{} stands twice", signature.id);
                if signature.when == When::Noise {
                    assert!(!signature.why.is_empty(), "{} needs a reason", signature.id);
                } else {
                    assert!(!signature.meaning.is_empty() && !signature.remedy.is_empty(), "{}", signature.id);
                }
            }
        }
    }

    #[test]
    fn anchors_stand_in_every_match() {
        // Each alternative of an expression must need an anchor: a line made of the anchor's surroundings is found, and a
        // line without any anchor is not, although the expression alone might match it.
        let kms = Signatures::of_profile("kms").unwrap();
        for (line, want) in [
            ("Error: unknown field `preproc_redis`, expected one of `a`", vec!["CFG03"]),
            ("Caused by: missing configuration field \"service\"", vec!["CFG02"]),
            ("Error: threshold.__all__: 3*t+1 must be equal to number of parties", vec!["CFG04"]),
            ("  WARN Skipping legacy PRSS migration: Unencrypted load failed: x", vec![]),
            ("Error: reading failed: Unencrypted load failed: io error", vec!["KMS07"]),
            ("panicked: Failed to parse MPC IP Address", vec!["CFG08"]),
            ("write: No space left on device (os error 28)", vec!["STO13"]),
        ] {
            assert_eq!(ids(&kms, line), want, "{line}");
        }
    }

    #[test]
    fn errors_name_file_and_key() {
        let text = "schema = 1\n[[signature]]\nid = \"A\"\nregex = '('\nanchors = ['abcd']\nwhen = \"seen\"\n";
        let error = parse("s.toml", text).unwrap_err().to_string();
        assert!(error.contains("s.toml") && error.contains("id = \"A\"") && error.contains("regex"), "{error}");
        let error = parse("s.toml", "schema = 1\n[[signature]]\nidd = 1\n").unwrap_err().to_string();
        assert!(error.contains("line 3"), "{error}");
    }
}
