//! The rules once more over what a killed run had written: a newer program may know more, and a file that was cut off may
//! read differently than the whole would have.

use std::io;

use sha2::{Digest, Sha256};

use super::super::spool::{Spool, SpoolError, SpoolStore};
use super::super::store::Store;
use super::super::verify::LeakAudit;
use super::RecoverError;
use crate::model::LedgerEntry;
use crate::redact::{CopyError, Format, Outlet, Redacted, Redactor, Sweep};

/// Redacts every artifact again, and searches everywhere for what was found to be secret. Gives the paths of the artifacts
/// that changed.
pub(super) fn redact(
    spool: &Spool,
    redactor: &Redactor,
    ledger: &mut [LedgerEntry],
    unfinished: &mut [String],
) -> Result<Vec<String>, RecoverError> {
    let mut changed = Vec::new();
    let store = SpoolStore::new(spool);
    for file in spool.files() {
        let format = Format::of_path(&file.path);
        let failed = |source| SpoolError::Io { path: file.path.clone(), source };
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
    if let Some(sweep) = redactor.sweep() {
        search(spool, redactor, &sweep, &mut changed, ledger, unfinished)?;
    }
    changed.sort();
    changed.dedup();
    Ok(changed)
}

/// Takes known values out of all artifacts and their names.
fn search(
    spool: &Spool,
    redactor: &Redactor,
    sweep: &Sweep,
    changed: &mut Vec<String>,
    ledger: &mut [LedgerEntry],
    unfinished: &mut [String],
) -> Result<(), RecoverError> {
    let store = SpoolStore::new(spool);
    for file in spool.files() {
        let failed = |source| SpoolError::Io { path: file.path.clone(), source };
        let mut content = store.open(&file.path).map_err(|e| failed(io::Error::other(e.to_string())))?;
        if sweep.touches(content.as_mut()).map_err(failed)? {
            spool.rewrite(&file.path, &mut |content, write| sweep.rewrite(&file.path, content, write))?;
            changed.push(file.path.clone());
        }
        let name = sweep.path(&redactor.text(&file.path));
        if *name.get() != file.path {
            let path = spool.rename(&file.path, &name)?.path;
            let artifacts = ledger.iter_mut().flat_map(|entry| &mut entry.artifacts);
            for old in artifacts.chain(unfinished.iter_mut()).chain(changed.iter_mut()).filter(|p| **p == file.path) {
                old.clone_from(&path);
            }
        }
    }
    for entry in ledger {
        let redacted = sweep.record(&redactor.record(entry)?)?;
        *entry = redacted.into_inner();
    }
    Ok(())
}

/// Path, kind and line of everything in the spool that looks like a secret.
pub(super) fn audit(spool: &Spool, audit: &dyn LeakAudit) -> Result<Vec<String>, RecoverError> {
    let store = SpoolStore::new(spool);
    let mut leaks = Vec::new();
    for entry in store.entries() {
        let failed = |source| SpoolError::Io { path: entry.path.clone(), source };
        let mut content = store.open(&entry.path).map_err(|e| failed(io::Error::other(e.to_string())))?;
        let found = audit.scan(&entry.path, content.as_mut()).map_err(failed)?;
        leaks.extend(found.into_iter().map(|hit| format!("{}: {hit}", entry.path)));
    }
    Ok(leaks)
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
