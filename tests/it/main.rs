//! The integration tests: one binary, so that it links once.

mod architecture;
mod bundle;
mod cli;
mod collect;
mod demo;
mod engine;
mod host;
mod incidents;
mod kubernetes;
mod redaction;
mod serve;
mod support;
mod triage;
mod triage_rules;
