//! How far a start got: the lines that a program writes on its way up, in their order.

use aho_corasick::{AhoCorasick, MatchKind};
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use super::text;

/// Stages of one profile.
const STAGES_MAX: usize = 100;
/// Memory of one compiled expression, in bytes.
const REGEX_MAX: usize = 1 << 20;
/// Characters of a captured value.
const VALUE_MAX: usize = 200;

/// One step of a start.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stage {
    pub(crate) id: String,
    /// A literal that stands in its line and in no other.
    anchor: String,
    /// What has been done when the line is there.
    pub(crate) title: String,
    /// Not every version or kind of node writes it.
    #[serde(default)]
    pub(crate) optional: bool,
    /// Named groups of it are facts about the program, such as its version.
    #[serde(default)]
    regex: Option<String>,
}

/// All stages of a profile, the first one first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stages {
    list: Vec<Stage>,
    regexes: Vec<Option<Regex>>,
    finder: Option<AhoCorasick>,
}

impl Stages {
    /// Compiles the stages of a file.
    ///
    /// # Errors
    /// What cannot be meant.
    pub(crate) fn compile(list: Vec<Stage>) -> Result<Self, String> {
        if list.len() > STAGES_MAX {
            return Err(format!("{} stages; the limit is {STAGES_MAX}", list.len()));
        }
        let mut regexes = Vec::new();
        for (i, stage) in list.iter().enumerate() {
            let wrong = |what: &str| Err(format!("stage `{}`: {what}", stage.id));
            if stage.anchor.len() < 8 {
                return wrong("its anchor needs at least 8 characters");
            }
            if list[..i].iter().any(|other| other.id == stage.id) {
                return wrong("this id stands twice");
            }
            regexes.push(match &stage.regex {
                None => None,
                Some(regex) => match RegexBuilder::new(regex).size_limit(REGEX_MAX).build() {
                    Ok(regex) => Some(regex),
                    Err(error) => return wrong(&error.to_string()),
                },
            });
        }
        let anchors: Vec<&str> = list.iter().map(|s| s.anchor.as_str()).collect();
        let finder = AhoCorasick::builder().match_kind(MatchKind::Standard).build(anchors);
        Ok(Self { finder: Some(finder.map_err(|e| format!("anchors of stages: {e}"))?), list, regexes })
    }

    /// Literals that a line must have one of to be worth a look.
    pub(crate) fn anchors(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|s| s.anchor.as_str())
    }

    /// The stage with this index.
    pub(crate) fn get(&self, index: usize) -> Option<&Stage> {
        self.list.get(index)
    }

    /// The last stage.
    pub(crate) fn last(&self) -> Option<usize> {
        self.list.len().checked_sub(1)
    }

    /// What comes behind a stage in every start.
    pub(crate) fn next(&self, index: usize) -> Option<&Stage> {
        self.list.iter().skip(index + 1).find(|s| !s.optional)
    }

    /// The stage that a line shows, with what it says about the program.
    pub(crate) fn of_line(&self, line: &[u8]) -> Option<(usize, Vec<(String, String)>)> {
        let index = self.finder.as_ref()?.find(line)?.pattern().as_usize();
        let mut said = Vec::new();
        if let Some(regex) = self.regexes.get(index).and_then(Option::as_ref)
            && let Some(found) = regex.captures(line)
        {
            for name in regex.capture_names().flatten() {
                if let Some(value) = found.name(name) {
                    let value = text::line(&String::from_utf8_lossy(value.as_bytes()), VALUE_MAX);
                    said.push((name.to_owned(), value));
                }
            }
        }
        Some((index, said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(text: &str) -> Result<Stages, String> {
        #[derive(Deserialize)]
        struct File {
            stage: Vec<Stage>,
        }
        Stages::compile(toml::from_str::<File>(text).unwrap().stage)
    }

    const TWO: &str = "[[stage]]\nid = \"a\"\nanchor = \"starting version\"\nregex = 'version (?P<version>\\S+)'\ntitle = \"t\"\n[[stage]]\nid = \"b\"\nanchor = \"maybe ready\"\ntitle = \"t\"\noptional = true\n[[stage]]\nid = \"c\"\nanchor = \"now serving\"\ntitle = \"t\"\n";

    #[test]
    fn lines_show_stages() {
        let stages = stages(TWO).unwrap();
        let (index, said) = stages.of_line(b"x starting version 1.2 y").unwrap();
        assert_eq!((index, said), (0, vec![("version".to_owned(), "1.2".to_owned())]));
        assert_eq!(stages.of_line(b"now serving").unwrap().0, 2);
        assert!(stages.of_line(b"nothing").is_none());
        assert_eq!(stages.next(0).unwrap().id, "c");
        assert_eq!((stages.last(), stages.next(2).is_none()), (Some(2), true));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, want) in [
            (TWO.replace("now serving", "now"), "stage `c`: its anchor"),
            (TWO.replace("\"c\"", "\"a\""), "stands twice"),
            (TWO.replace("(?P<", "(?P"), "stage `a`"),
        ] {
            let error = stages(&text).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }
}
