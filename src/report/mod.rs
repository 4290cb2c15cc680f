//! Findings as a person reads them: Markdown, HTML and the terminal.
