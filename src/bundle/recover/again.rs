//! The rules once more over what a killed run had written: a newer program may know more, and a file that was cut off may
//! read differently than the whole would have.

use std::io;

use sha2::{Digest, Sha256};

use super::super::spool::{Spool, SpoolError, SpoolStore};
use super::super::store::Store;
use crate::redact::{CopyError, Format, Outlet, Redacted, Redactor};

/// Redacts every artifact again. Gives the paths of the artifacts that changed.
pub(super) fn redact(spool: &Spool, redactor: &Redactor) -> Result<Vec<String>, SpoolError> {
    let mut changed = Vec::new();
    let store = SpoolStore::new(spool);
    for file in spool.files() {
        let format = Format::of_path(&file.path);
        let failed = |source| SpoolError::Read { path: file.path.clone(), source };
        let mut content = store.open(&file.path).map_err(|e| failed(io::Error::other(e.to_string())))?;
        let mut digest = Digested::default();
        let sound = redactor.copy(&file.path, format, content.as_mut(), &mut digest).map_err(|e| match e {
            CopyError::Read(e) => failed(e),
            CopyError::Write(never) => match never {},
        })?;
        if sound && digest.hex() == file.sha256 {
            continue;
        }
        spool.rewrite(&file.path, &mut |content, write| {
            if !sound {
                return write(&redactor.stub("it cannot be redacted again"));
            }
            redactor.copy(&file.path, format, content, &mut Forward(write)).map(|_| ()).map_err(|e| match e {
                CopyError::Read(e) | CopyError::Write(e) => e,
            })
        })?;
        changed.push(file.path.clone());
    }
    Ok(changed)
}

/// Keeps nothing but the checksum.
#[derive(Default)]
struct Digested(Sha256);

impl Digested {
    fn hex(self) -> String {
        self.0.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
}

impl Outlet for Digested {
    type Error = std::convert::Infallible;

    fn write(&mut self, content: &Redacted<Vec<u8>>) -> Result<(), Self::Error> {
        self.0.update(content.get());
        Ok(())
    }

    fn restart(&mut self) -> Result<(), Self::Error> {
        self.0 = Sha256::new();
        Ok(())
    }
}

/// Hands on what the spool takes.
struct Forward<'a>(&'a mut dyn FnMut(&Redacted<Vec<u8>>) -> io::Result<()>);

impl Outlet for Forward<'_> {
    type Error = io::Error;

    fn write(&mut self, content: &Redacted<Vec<u8>>) -> io::Result<()> {
        (self.0)(content)
    }

    fn restart(&mut self) -> io::Result<()> {
        Err(io::Error::other("it was redacted a moment ago and cannot be redacted now"))
    }
}
