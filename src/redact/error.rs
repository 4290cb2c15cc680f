//! Why redaction refuses.

/// Why redaction refused.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// The correlation key cannot be had.
    #[error("correlation key: {0}")]
    Key(String),
    /// A rule file is broken. The text names file, line, column and key.
    #[error("redaction rules: {0}")]
    Rules(String),
    /// The content cannot be redacted safely; a stub must take its place.
    #[error("content cannot be redacted safely: {0}")]
    Content(String),
}
