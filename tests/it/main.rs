//! The integration tests: one binary, so that it links once.

mod architecture;
mod bundle;
mod cli;
mod collect;
mod demo;
mod engine;
mod foreign;
mod host;
mod incidents;
mod kubernetes;
mod layout;
mod probe;
mod redact_archives;
mod redact_matrix;
mod redaction;
mod redaction_fixtures;
mod serve;
mod support;
mod triage;
mod triage_data;
mod triage_health;
mod triage_rules;
mod triage_schema;
