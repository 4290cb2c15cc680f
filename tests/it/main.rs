//! The integration tests: one binary, so that it links once.

mod architecture;
mod bundle;
mod demo;
mod kubernetes;
