//! Walkers that know the structure of a format and give spans into the original bytes.
pub(super) mod json;
