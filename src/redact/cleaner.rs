//! Files one after the other: the rules for each, and then the values that are known to be secret from all of them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::closed::{CopyError, WholeFile};
use super::known::Sweep;
use super::{Format, Redactor};

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

    /// The name of a file or member.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        let clean = self.redactor.text(name);
        match &self.sweep {
            Some(sweep) => sweep.path(&clean).into_inner(),
            None => clean.into_inner(),
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
