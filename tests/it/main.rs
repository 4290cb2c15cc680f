//! The integration tests: one binary, so that it links once.

mod architecture;
mod collect;
mod engine;
mod host;
mod support;
mod bundle;
mod kubernetes;
mod demo;
mod bundle;
mod serve;
mod bundle;
mod demo;
mod kubernetes;
