//! Files and texts one after the other: the rules for each, and then the values that are known to be secret from all of them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::closed::{CopyError, WholeFile};
use super::known::Sweep;
use super::{Format, RedactError, Redacted, Redactor};

/// What is done to each of many files.
pub struct Cleaner {
    pub(super) redactor: Redactor,
    sweep: Option<Sweep>,
}

impl Cleaner {
    /// Only the rules.
    #[must_use]
    pub fn rules(redactor: &Redactor) -> Self {
        Self { redactor: redactor.clone(), sweep: None }
    }

    /// The rules, for files whose result is thrown away: what they bring up is known to the redactor afterwards, so that
    /// nothing is ever written that a later file shows to be secret.
    #[must_use]
    pub fn scout(redactor: &Redactor) -> Self {
        Self::rules(&redactor.scout())
    }

    /// The rules, and the values that the redactor knows by now.
    #[must_use]
    pub fn knowing(redactor: &Redactor) -> Self {
        Self { redactor: redactor.clone(), sweep: redactor.sweep() }
    }

    /// The search for known values; none when there are none that can be searched.
    #[must_use]
    pub fn known(&self) -> Option<&Sweep> {
        self.sweep.as_ref()
    }

    /// The name of a file or member.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        self.path(name).into_inner()
    }

    /// The path of a file.
    #[must_use]
    pub fn path(&self, path: &str) -> Redacted<String> {
        let clean = self.redactor.text(path);
        self.sweep.as_ref().map(|known| known.path(&clean)).unwrap_or(clean)
    }

    /// A short text.
    #[must_use]
    pub fn text(&self, text: &str) -> Redacted<String> {
        let clean = self.redactor.text(text);
        self.sweep.as_ref().map(|known| known.text(&clean)).unwrap_or(clean)
    }

    /// A document in memory; `file` is the name that the report counts under.
    ///
    /// # Errors
    /// When the content cannot be redacted safely.
    pub fn bytes(&self, file: &str, content: &[u8]) -> Result<Redacted<Vec<u8>>, RedactError> {
        let clean = self.redactor.bytes(file, Format::of_path(file), content)?;
        let Some(known) = &self.sweep else { return Ok(clean) };
        known.bytes(file, &clean).map_err(|e| RedactError::Content(e.to_string()))
    }

    /// Every text in a value of our own, such as a ledger entry or the manifest.
    ///
    /// # Errors
    /// When the value does not survive the round trip through JSON.
    pub fn record<T: Serialize + DeserializeOwned>(&self, value: &T) -> Result<Redacted<T>, RedactError> {
        let clean = self.redactor.record(value)?;
        match &self.sweep {
            Some(known) => known.record(&clean),
            None => Ok(clean),
        }
    }

    /// Redacts one document into an empty file. One that cannot be redacted becomes a stub; says whether it could.
    ///
    /// # Errors
    /// When reading or writing fails.
    pub fn document(&self, name: &str, source: &mut dyn Read, target: &mut File) -> Result<bool, CopyError<io::Error>> {
        let sound = self.redactor.copy(name, Format::of_path(name), source, &mut WholeFile(target))?;
        self.sweep(name, target).map_err(CopyError::Write)?;
        Ok(sound)
    }

    /// Takes known values out of a document that was redacted, and stands at its end.
    ///
    /// # Errors
    /// When the file, or a temporary one, cannot be read or written.
    pub fn sweep(&self, name: &str, document: &mut File) -> io::Result<()> {
        let Some(known) = &self.sweep else { return Ok(()) };
        document.rewind()?;
        if known.touches(document)? {
            document.rewind()?;
            let mut swept = tempfile::tempfile()?;
            known.rewrite(name, document, &mut |part| swept.write_all(part.get()))?;
            swept.rewind()?;
            document.set_len(0)?;
            document.rewind()?;
            io::copy(&mut swept, document)?;
        }
        document.seek(SeekFrom::End(0))?;
        Ok(())
    }
}
