//! The integration tests: one binary, so that it links once.

mod architecture;
mod bundle;
mod collect;
mod demo;
mod engine;
mod host;
mod kubernetes;
mod redact_archives;
mod redact_matrix;
mod redaction;
mod serve;
mod support;
mod triage;
mod triage_rules;
