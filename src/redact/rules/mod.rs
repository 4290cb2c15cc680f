//! Rules: what is a secret, as data. The built-in rules and a user's rules have one format and one loader.

mod builtin;
mod class;
mod example;
mod load;
mod set;
#[cfg(test)]
mod weaken;

pub use example::{Example, expand};
pub use load::{Problem, load_dir};
pub(super) use set::{Anchor, Check, RuleSet, engine, normal_key};

use serde::Deserialize;

/// One rule file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFile {
    /// Version of the format; 1.
    pub(super) schema: u32,
    /// The rules.
    #[serde(default)]
    pub(super) rule: Vec<RuleDef>,
}

/// One rule as written.
///
/// A rule finds candidates by literal `anchors` (or by `keys`, the names of settings), and then checks a bounded window
/// behind the anchor: either with `run` (a run of characters of a class) or with `pattern` (a regular expression).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleDef {
    /// Stable id, `[a-z0-9-]{3,48}`; the report counts under it.
    pub id: String,
    /// Label in the replacement, `[a-z-]{2,16}`.
    pub kind: String,
    /// What the rule finds.
    pub description: String,
    /// Literals of three bytes or more, case-sensitive; one occurs in every match.
    #[serde(default)]
    pub anchors: Vec<String>,
    /// Names of settings whose value is secret; compared without case, dashes, dots and underscores.
    #[serde(default)]
    pub keys: Vec<String>,
    /// A run of characters right behind the anchor.
    pub run: Option<RunDef>,
    /// A regular expression over bytes. It begins at the anchor, or up to `lookback` bytes before it.
    pub pattern: Option<String>,
    /// Name of the group to replace; the whole match where it is absent.
    pub mask: Option<String>,
    /// What may stand before the match.
    #[serde(default)]
    pub left: Boundary,
    /// How far before the anchor a match may begin.
    #[serde(default)]
    pub lookback: usize,
    /// Length of the window behind the anchor that `pattern` sees.
    #[serde(default = "default_max_len")]
    pub max_len: usize,
    /// Texts that the rule must redact. `{base62:36}` stands for 36 made-up characters.
    pub examples: Vec<String>,
    /// Texts that the whole engine must leave as they are.
    #[serde(default)]
    pub not_examples: Vec<String>,
    /// Wrappings in which the tests try every example.
    #[serde(default = "default_carriers")]
    pub carriers: Vec<String>,
}

/// A run of characters.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunDef {
    /// The characters, as in a bracket expression.
    pub class: String,
    /// At least so many, the anchor not counted.
    pub min: usize,
    /// At most so many; a longer run is no match.
    pub max: Option<usize>,
}

/// What may stand before a match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Boundary {
    /// No letter and no digit, unless it is the end of an escape such as `\n`, `%3D` or an ANSI colour.
    #[default]
    Token,
    /// Anything.
    None,
}

fn default_max_len() -> usize {
    512
}

fn default_carriers() -> Vec<String> {
    ["raw", "env", "json", "json-escaped", "yaml", "url", "header", "base64"].map(str::to_owned).to_vec()
}

/// What `rules list` and `rules explain` show.
#[derive(Debug, Clone)]
pub struct RuleInfo {
    /// Stable id.
    pub id: String,
    /// Label in the replacement.
    pub kind: String,
    /// What the rule finds.
    pub description: String,
    /// The file that holds the rule, `engine` for detectors in code.
    pub source: String,
    /// The rule as written; none for detectors in code.
    pub definition: Option<RuleDef>,
}
