//! Reads rule files and says exactly what is wrong with a broken one.

use std::path::Path;

use super::{RuleDef, RuleFile};
use crate::model::place::{position, toml_error};

/// Largest rule file that is read.
const MAX_FILE: u64 = 1 << 20;
/// Most rules that a directory may add.
const MAX_RULES: usize = 2_000;
/// Most rule files that a directory may hold.
const MAX_FILES: usize = 200;

/// What is wrong with a rule file: `file:line:column: what`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(pub(in crate::redact) String);

/// One rule file and its text.
#[derive(Debug, Clone)]
pub(in crate::redact) struct Source {
    pub(in crate::redact) name: String,
    pub(in crate::redact) text: String,
    pub(in crate::redact) rules: Vec<RuleDef>,
}

/// Reads every `*.toml` of a directory (or one file), in the order of names.
///
/// # Errors
/// When the directory or a file cannot be read, or a file is not a rule file.
pub fn load_dir(path: &Path) -> Result<Vec<RuleDef>, Problem> {
    Ok(sources(path)?.into_iter().flat_map(|s| s.rules).collect())
}

pub(in crate::redact) fn sources(path: &Path) -> Result<Vec<Source>, Problem> {
    let unreadable = |path: &Path, e: &std::io::Error| {
        Problem(format!("cannot read {}: {e}; check the path and its rights", path.display()))
    };
    let mut files = Vec::new();
    if path.is_file() {
        files.push(path.to_path_buf());
    } else {
        for entry in std::fs::read_dir(path).map_err(|e| unreadable(path, &e))? {
            let file = entry.map_err(|e| unreadable(path, &e))?.path();
            if file.extension().is_some_and(|e| e == "toml") {
                files.push(file);
            }
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Problem(format!("{} holds no *.toml rule file", path.display())));
    }
    if files.len() > MAX_FILES {
        return Err(Problem(format!("{} holds {} rule files; the limit is {MAX_FILES}", path.display(), files.len())));
    }
    let mut sources = Vec::new();
    let mut count = 0;
    for file in files {
        let size = std::fs::metadata(&file).map_err(|e| unreadable(&file, &e))?.len();
        if size > MAX_FILE {
            return Err(Problem(format!("{} is larger than {MAX_FILE} bytes", file.display())));
        }
        let text = std::fs::read_to_string(&file).map_err(|e| unreadable(&file, &e))?;
        let source = parse(&file.display().to_string(), text)?;
        count += source.rules.len();
        if count > MAX_RULES {
            return Err(Problem(format!("{} holds more than {MAX_RULES} rules", path.display())));
        }
        sources.push(source);
    }
    Ok(sources)
}

/// Parses one rule file.
pub(in crate::redact) fn parse(name: &str, text: String) -> Result<Source, Problem> {
    let file: RuleFile = toml::from_str(&text).map_err(|e| Problem(toml_error(name, &text, &e)))?;
    if file.schema != 1 {
        return Err(Problem(format!("{name}: schema {} is not known; this version reads schema 1", file.schema)));
    }
    Ok(Source { name: name.to_owned(), text, rules: file.rule })
}

/// Where a rule stands in its file, for messages about its content.
pub(in crate::redact) fn locate(source: &Source, id: &str) -> String {
    let needle = format!("\"{id}\"");
    let (line, column) = position(&source.text, source.text.find(&needle).unwrap_or(0));
    format!("{}:{line}:{column}", source.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_a_suggestion() {
        let text = "schema = 1\n[[rule]]\nid = \"abc\"\npatern = \"x\"\n";
        let error = parse("mine.toml", text.to_owned()).unwrap_err().to_string();
        assert!(error.starts_with("mine.toml:4:1: unknown field `patern`"), "{error}");
        assert!(error.ends_with("did you mean `pattern`?"), "{error}");
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let error = load_dir(Path::new("/nonexistent/rules")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/rules"), "{error}");
    }
}
