//! The integration tests: one binary, so that it links once.

mod architecture;
mod demo;
mod triage;
mod triage_rules;
