//! The integration tests: one binary, so that it links once.

mod architecture;
mod bundle;
mod collect;
mod demo;
mod engine;
mod host;
mod kubernetes;
mod redaction;
mod redaction_fixtures;
mod serve;
mod support;
mod triage;
mod triage_rules;
