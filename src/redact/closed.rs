//! Failing closed: a document that cannot be redacted becomes a stub with the reason, and nothing of it stays.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::hidden::Raw;
use super::{Format, RedactError, Redacted, Redactor};

/// Bytes that are read at once.
const CHUNK: usize = 128 << 10;

/// Where redacted bytes go.
pub trait Outlet {
    /// Why it does not take them.
    type Error;

    /// Appends bytes.
    ///
    /// # Errors
    /// When they cannot be stored.
    fn write(&mut self, content: &Redacted<Vec<u8>>) -> Result<(), Self::Error>;

    /// Drops everything that was written.
    ///
    /// # Errors
    /// When that cannot be done.
    fn restart(&mut self) -> Result<(), Self::Error>;
}

/// Why a document was not copied; one that could not be redacted is no error.
#[derive(Debug)]
pub enum CopyError<E> {
    /// The source cannot be read.
    Read(io::Error),
    /// The outlet does not take it.
    Write(E),
}

/// A file that holds nothing but the result.
pub(super) struct WholeFile<'a>(pub(super) &'a mut File);

impl Outlet for WholeFile<'_> {
    type Error = io::Error;

    fn write(&mut self, content: &Redacted<Vec<u8>>) -> io::Result<()> {
        self.0.write_all(content.get())
    }

    fn restart(&mut self) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.rewind()
    }
}

impl Redactor {
    /// Runs one step of a document's redaction and hands on what it gave; `buffer` holds that meanwhile. A refusal or a
    /// panic puts a stub in the place of everything that was handed on. Says whether the document may go on.
    ///
    /// # Errors
    /// When the outlet fails.
    pub fn step<O: Outlet>(
        &self,
        name: &str,
        outlet: &mut O,
        buffer: &mut Redacted<Vec<u8>>,
        redact: impl FnOnce(&mut Redacted<Vec<u8>>) -> Result<(), RedactError>,
    ) -> Result<bool, O::Error> {
        buffer.clear();
        let reason = match catch_unwind(AssertUnwindSafe(|| redact(buffer))) {
            Ok(Ok(())) => {
                if !buffer.get().is_empty() {
                    outlet.write(buffer)?;
                }
                return Ok(true);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the redaction engine panicked".to_owned(),
        };
        self.leave_stub(name, outlet, &reason).map(|()| false)
    }

    /// Puts a stub in the place of everything that an outlet was given.
    ///
    /// # Errors
    /// When the outlet fails.
    pub fn leave_stub<O: Outlet>(&self, name: &str, outlet: &mut O, reason: &str) -> Result<(), O::Error> {
        self.note_stub(name, reason);
        outlet.restart()?;
        outlet.write(&self.stub(reason))
    }

    /// Redacts a whole source into an outlet; `name` is what the report counts under. Says whether it could be redacted;
    /// otherwise the outlet holds a stub.
    ///
    /// # Errors
    /// When the source cannot be read or the outlet fails.
    pub fn copy<O: Outlet>(
        &self,
        name: &str,
        format: Format,
        source: &mut dyn Read,
        outlet: &mut O,
    ) -> Result<bool, CopyError<O::Error>> {
        let mut stream = self.stream(name, format);
        let mut chunk = Raw::default();
        chunk.resize(CHUNK, 0);
        let mut buffer = Redacted::buffer();
        loop {
            let read = match source.read(&mut chunk) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(CopyError::Read)?,
            };
            let sound = self
                .step(name, outlet, &mut buffer, |out| {
                    if read == 0 { stream.finish(out) } else { stream.push(&chunk[..read], out) }
                })
                .map_err(CopyError::Write)?;
            if !sound || read == 0 {
                return Ok(sound);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::redact::CorrelationKey;

    impl Outlet for Vec<u8> {
        type Error = Infallible;

        fn write(&mut self, content: &Redacted<Vec<u8>>) -> Result<(), Infallible> {
            self.extend_from_slice(content.get());
            Ok(())
        }

        fn restart(&mut self) -> Result<(), Infallible> {
            self.clear();
            Ok(())
        }
    }

    fn redactor() -> Redactor {
        Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap()
    }

    #[test]
    fn a_source_is_redacted_or_replaced_as_a_whole() {
        let redactor = redactor();
        let mut out = Vec::new();
        let text = b"line\npassword=Hunter2xyz\n";
        assert!(redactor.copy("a", Format::Text, &mut text.as_slice(), &mut out).unwrap());
        assert!(out.starts_with(b"line\npassword=REDACTED-password-"));
        let late = [b"begin\n".repeat(60_000), vec![b'['; 20_000]].concat();
        let mut out = Vec::new();
        assert!(!redactor.copy("b", Format::Json, &mut late.as_slice(), &mut out).unwrap());
        assert!(out.starts_with(b"[casefile left this file out") && !out.ends_with(b"begin\n"));
        assert!(redactor.report().stubs.contains_key("b"));
    }

    #[test]
    fn a_panic_leaves_a_stub_without_its_text() {
        let redactor = redactor();
        let mut out = b"so far".to_vec();
        let mut buffer = Redacted::buffer();
        let sound = redactor.step("a", &mut out, &mut buffer, |_| panic!("at Hunter2xyz")).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!sound && text.contains("panicked") && !text.contains("Hunter2") && !text.contains("so far"), "{text}");
        assert!(!redactor.report().stubs["a"].contains("Hunter2"));
    }
}
