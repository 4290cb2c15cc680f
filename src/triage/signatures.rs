//! Log signatures of a profile: known lines of known programs, all found in one scan.
//!
//! A signature names literals (`anchors`) one of which stands in every line that it matches. One automaton looks for all of
//! them at once; only lines with an anchor meet a regular expression.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use chrono::TimeDelta;
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use super::finding::{Category, Level};
use super::version;
use crate::model::place::{position, toml_error};

/// Profile and text of each `profiles/<id>/signatures.toml`. A test walks the folder, so that none can be forgotten here.
pub(super) const SOURCES: [(&str, &str); 1] = [("kms", include_str!("../../profiles/kms/signatures.toml"))];

/// Lines behind a match in which `followed_by` is looked for.
pub(super) const FOLLOW_LINES: usize = 8;
/// Largest `min_count`.
const COUNT_MAX: u32 = 1_000;
/// Memory of one compiled expression, in bytes.
const REGEX_MAX: usize = 1 << 20;

static BUILT_IN: LazyLock<Vec<(&str, Arc<Signatures>)>> = LazyLock::new(|| {
    SOURCES
        .iter()
        .filter_map(|(id, text)| Some((*id, Arc::new(parse(&format!("profiles/{id}/signatures.toml"), text).ok()?))))
        .collect()
});

/// Why signatures cannot be used.
/// One `file:line:column: what` a line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SignatureError(String);

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
    /// One of the next [`FOLLOW_LINES`] lines must match this.
    #[serde(default)]
    followed_by: Option<String>,
    /// Fewer lines than this say nothing.
    #[serde(default = "Signature::once")]
    pub(crate) min_count: u32,
    /// `min_count` lines must stand within this time; lines without a time stamp then do not count.
    #[serde(default, with = "window")]
    pub(crate) window: Option<TimeDelta>,
    /// Only in the logs of these containers; all when empty.
    #[serde(default)]
    pub(crate) containers: Vec<String>,
    /// Only for images whose tag is a version in this range, such as `>=0.13, <0.15`; an image without a version is in every
    /// range.
    #[serde(default)]
    versions: Option<String>,
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
    fn once() -> u32 {
        1
    }

    /// Whether it is meant for a container with this name and image.
    pub(crate) fn is_for(&self, container: &str, image: &str) -> bool {
        (self.containers.is_empty() || self.containers.iter().any(|c| c == container))
            && self.versions.as_deref().is_none_or(|range| version::admits(range, image))
    }

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

/// The expressions of one signature.
#[derive(Debug)]
struct Compiled {
    regex: Regex,
    exclude: Option<Regex>,
    followed_by: Option<Regex>,
}

/// `10m`, `2h`: a time span in a file.
mod window {
    use chrono::TimeDelta;
    use serde::{Deserialize, Deserializer, de::Error};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<TimeDelta>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let span = humantime::parse_duration(&text).map_err(|e| D::Error::custom(format!("{e}; write 10m or 2h")))?;
        TimeDelta::from_std(span).map(Some).map_err(|e| D::Error::custom(e.to_string()))
    }
}

/// All signatures of a profile, compiled.
#[derive(Debug)]
pub(crate) struct Signatures {
    list: Vec<Signature>,
    regexes: Vec<Compiled>,
    anchors: Vec<String>,
    /// Signature of each anchor.
    owners: Vec<usize>,
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

    /// The signature that an anchor belongs to, by the anchor's place in [`Self::anchors`].
    pub(crate) fn owner(&self, anchor: usize) -> Option<usize> {
        self.owners.get(anchor).copied()
    }

    /// Those of the signatures that match a line which holds one of their anchors.
    pub(crate) fn confirm(&self, candidates: &[usize], line: &[u8]) -> Vec<usize> {
        let fits = |i: &usize| {
            self.regexes.get(*i).is_some_and(|compiled| {
                compiled.regex.is_match(line) && !compiled.exclude.as_ref().is_some_and(|e| e.is_match(line))
            })
        };
        candidates.iter().copied().filter(fits).collect()
    }

    /// Whether a match counts only with another line behind it.
    pub(crate) fn needs_more(&self, index: usize) -> bool {
        self.regexes.get(index).is_some_and(|c| c.followed_by.is_some())
    }

    /// Whether this line is the one that must stand behind a match.
    pub(crate) fn follows(&self, index: usize, line: &[u8]) -> bool {
        self.regexes.get(index).and_then(|c| c.followed_by.as_ref()).is_some_and(|f| f.is_match(line))
    }

    /// Number of signatures.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Their ids, in the order of the file.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|s| s.id.as_str())
    }
}

/// Parses and compiles the text of a `signatures.toml`; `origin` names it in errors.
///
/// # Errors
/// When the text is not TOML, has an unknown or missing key, or an expression does not compile.
pub(crate) fn parse(origin: &str, text: &str) -> Result<Signatures, SignatureError> {
    parse_over(None, origin, text)
}

/// As [`parse`], on top of other signatures: one whose id is known replaces the older one.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_over(base: Option<&Signatures>, origin: &str, text: &str) -> Result<Signatures, SignatureError> {
    let file: File = toml::from_str(text).map_err(|e| SignatureError(toml_error(origin, text, &e)))?;
    if file.schema != 1 {
        let what = format!("schema = {} is not known; this version reads schema 1", file.schema);
        return Err(SignatureError(format!("{origin}:1:1: {what}")));
    }
    let mut list: Vec<Signature> = base.map_or_else(Vec::new, |b| b.list.clone());
    list.retain(|old| file.signature.iter().all(|new| new.id != old.id));
    let kept = list.len();
    list.extend(file.signature);
    let mut mistakes = Vec::new();
    let mut compiled = Vec::new();
    let mut ids = BTreeSet::new();
    for (index, signature) in list.iter().enumerate() {
        let found = compile(signature);
        let mut wrong = found.as_ref().err().cloned().into_iter().collect::<Vec<_>>();
        if !ids.insert(&signature.id) {
            wrong.push("this id stands twice".to_owned());
        }
        if index >= kept {
            wrong.extend(contradictions(signature));
        }
        let (line, column) = place(text, &signature.id);
        mistakes.extend(wrong.iter().map(|w| format!("{origin}:{line}:{column}: signature `{}`: {w}", signature.id)));
        compiled.extend(found);
    }
    if !mistakes.is_empty() {
        return Err(SignatureError(mistakes.join("\n")));
    }
    let (anchors, owners): (Vec<String>, Vec<usize>) = list
        .iter()
        .enumerate()
        .flat_map(|(index, signature)| signature.anchors.iter().map(move |anchor| (anchor.clone(), index)))
        .unzip();
    Ok(Signatures { list, regexes: compiled, anchors, owners })
}

/// Line and column of the id of a signature.
fn place(text: &str, id: &str) -> (usize, usize) {
    let at =
        [format!("id = \"{id}\""), format!("id=\"{id}\""), id.to_owned()].iter().find_map(|n| text.find(n.as_str()));
    position(text, at.unwrap_or_default())
}

fn compile(signature: &Signature) -> Result<Compiled, String> {
    let one = |key: &str, text: &str| {
        RegexBuilder::new(text).size_limit(REGEX_MAX).build().map_err(|e| format!("{key}: {e}"))
    };
    Ok(Compiled {
        regex: one("regex", &signature.regex)?,
        exclude: signature.exclude.as_deref().map(|e| one("exclude", e)).transpose()?,
        followed_by: signature.followed_by.as_deref().map(|e| one("followed_by", e)).transpose()?,
    })
}

/// What a signature says that cannot be meant.
fn contradictions(signature: &Signature) -> Vec<String> {
    let mut wrong = Vec::new();
    if signature.anchors.is_empty() || signature.anchors.iter().any(|a| a.len() < 4) {
        wrong.push("anchors need at least one literal of 4 characters".to_owned());
    }
    if !(1..=COUNT_MAX).contains(&signature.min_count) {
        wrong.push(format!("min_count must be between 1 and {COUNT_MAX}"));
    }
    if signature.window.is_some() && signature.min_count < 2 {
        wrong.push("window needs a min_count of at least 2".to_owned());
    }
    if let Some(range) = &signature.versions
        && let Err(what) = version::check(range)
    {
        wrong.push(format!("versions: {what}"));
    }
    let narrow = signature.min_count > 1
        || signature.followed_by.is_some()
        || signature.versions.is_some()
        || !signature.containers.is_empty();
    if signature.when == When::Noise && narrow {
        wrong.push("noise is noise everywhere: no min_count, followed_by, versions or containers".to_owned());
    }
    if signature.when != When::Noise && (signature.meaning.is_empty() || signature.remedy.is_empty()) {
        wrong.push("meaning and remedy are missing".to_owned());
    }
    wrong
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn ids(signatures: &Signatures, line: &str) -> Vec<String> {
        let line = line.as_bytes();
        let anchored = |i: &usize| {
            let anchors = signatures.anchors.iter().zip(&signatures.owners).filter(|(_, owner)| *owner == i);
            anchors.into_iter().any(|(anchor, _)| memchr::memmem::find(line, anchor.as_bytes()).is_some())
        };
        let candidates: Vec<usize> = (0..signatures.list.len()).filter(anchored).collect();
        signatures.confirm(&candidates, line).into_iter().map(|i| signatures.list[i].id.clone()).collect()
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
        assert!(error.contains("s.toml:3:1: signature `A`: regex"), "{error}");
        let error = parse("s.toml", "schema = 1\n[[signature]]\nidd = 1\n").unwrap_err().to_string();
        assert!(
            error.starts_with("s.toml:3:1: unknown field `idd`") && error.ends_with("did you mean `id`?"),
            "{error}"
        );
    }

    const ONE: &str = "schema = 1\n[[signature]]\nid = \"A\"\nregex = 'boom'\nanchors = ['boom']\nwhen = \"seen\"\nmeaning = \"m\"\nremedy = [\"r\"]\n";

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (more, want) in [
            ("min_count = 0", "min_count"),
            ("window = \"10m\"", "window needs"),
            ("min_count = 2\nwindow = \"soon\"", "write 10m"),
            ("versions = \">=x\"", "versions"),
            ("followed_by = '['", "followed_by"),
        ] {
            let error = parse("s.toml", &format!("{ONE}{more}\n")).unwrap_err().to_string();
            assert!(error.contains(want), "{more}: {error}");
        }
        let error =
            parse("s.toml", &format!("{}min_count = 2\n", ONE.replace("seen", "noise"))).unwrap_err().to_string();
        assert!(error.contains("noise is noise"), "{error}");
    }

    #[test]
    fn newer_signatures_replace_older_ones() {
        let old = parse("a", ONE).unwrap();
        let new = parse_over(Some(&old), "b", &ONE.replace("regex = 'boom'", "regex = 'boom [0-9]+'")).unwrap();
        assert_eq!(new.len(), 1);
        assert_eq!((ids(&new, "boom"), ids(&new, "boom 7")), (vec![], vec!["A".to_owned()]));
        let two = parse_over(Some(&old), "b", &ONE.replace("\"A\"", "\"B\"")).unwrap();
        assert_eq!(ids(&two, "boom"), ["A", "B"]);
    }
}
