//! What the program says about itself: errors, notices, and what the parser of the command line quotes. All of it goes through
//! the rules first, because causes come from libraries, servers and people, and may hold what they were given.

use std::sync::OnceLock;

use crate::redact::{Cleaner, CorrelationKey, Redactor};

static REDACTOR: OnceLock<Option<Redactor>> = OnceLock::new();

/// The redactor for what is said. It knows what is secret among the arguments, wherever it is quoted.
fn redactor() -> Option<&'static Redactor> {
    let make = || {
        let redactor = CorrelationKey::random().and_then(Redactor::new).ok()?;
        let args: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
        // Together for flags in front of their values, and one by one for values with blanks.
        let _ = redactor.text(&args.join(" "));
        args.iter().for_each(|arg| drop(redactor.text(arg)));
        Some(redactor)
    };
    REDACTOR.get_or_init(make).as_ref()
}

/// Takes note of a credential that the program was given.
pub(super) fn remember(secret: &str) {
    if let Some(redactor) = redactor() {
        redactor.remember(secret);
    }
}

/// The text without secrets.
pub(super) fn clean(text: &str) -> String {
    let Some(redactor) = redactor() else { return "[a text that could not be redacted]".to_owned() };
    Cleaner::knowing(redactor).text(text).into_inner()
}
