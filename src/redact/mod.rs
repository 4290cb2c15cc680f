//! Redaction: the only maker of [`Redacted`] values, and so the only way from a collector into a bundle.
//!
//! A collector hands raw bytes to the sink, the sink pushes them through a [`Stream`] of this module, and only what
//! comes out has the type that the spool accepts. Names, error texts, the ledger and the reports go through
//! [`Redactor::text`], [`Redactor::bytes`] and [`Redactor::record`].
//!
//! The result is a pure function of the content: it never depends on how the input was split into pushes.

mod archive;
pub mod audit;
mod cleaner;
mod closed;
mod content;
mod engine;
mod error;
mod hidden;
mod key;
mod known;
mod kube;
mod layers;
#[cfg(test)]
mod layers_tests;
mod pseudonym;
mod redacted;
mod report;
mod rules;
mod scan;
mod settle;
mod span;
mod stream;
mod token;
mod trace;
mod walk;

pub use archive::{ArchiveError, ArchiveLimits, Shape};
pub use cleaner::Cleaner;
pub use closed::{CopyError, Outlet};
pub use content::Stream;
pub use engine::{Redactor, RedactorBuilder};
pub use error::RedactError;
pub use key::CorrelationKey;
pub use known::Sweep;
pub use kube::ObjectStream;
pub use pseudonym::Pseudonym;
pub use redacted::{Fixed, Redacted};
pub use report::{AuditResult, RedactionReport};
pub use rules::{Boundary, Example, Problem, RuleDef, RuleInfo, RunDef, expand, load_dir};
pub use trace::Match;

/// What kind of content a stream carries. It chooses the structure-aware layer; the byte engine runs on all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Logs, command output and everything else that is lines of text.
    Text,
    /// One JSON document, or several behind each other, or one a line.
    Json,
    /// YAML, several documents allowed.
    Yaml,
    /// TOML.
    Toml,
    /// `KEY=value` lines: dotenv, `/proc/*/environ` (NUL-separated), properties, INI.
    Env,
}

impl Format {
    /// The format that a path's extension names; [`Format::Text`] where it names none.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        match name.rsplit_once('.').map_or("", |(_, ext)| ext) {
            "json" | "ndjson" | "jsonl" => Self::Json,
            "yaml" | "yml" => Self::Yaml,
            "toml" => Self::Toml,
            "env" | "properties" | "ini" | "conf" | "cnf" | "cfg" => Self::Env,
            _ => Self::Text,
        }
    }
}
