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
mod redaction;
mod serve;
mod support;
mod triage;
mod triage_rules;
mod triage_schema;
