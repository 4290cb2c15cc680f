//! Replaces the content of a finished artifact.

use std::fs::File;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::piece::{Piece, Stored, member};
use super::trim::hex;
use super::{Spool, SpoolError, create_private};
use crate::bundle::format::{MEMBER, SHARED_MEMBER};
use crate::model::{BundlePath, FileEntry};
use crate::redact::Redacted;

/// What `rewrite` calls: it reads the old content and hands the new one, piece by piece, to its second argument.
pub type Edit<'a> =
    dyn FnMut(&mut dyn Read, &mut dyn FnMut(&Redacted<Vec<u8>>) -> io::Result<()>) -> io::Result<()> + 'a;

impl Spool {
    /// Gives a finished artifact another name, or that name with a number when it is taken. The content stays.
    ///
    /// # Errors
    /// When there is no such artifact, or the journal cannot be written.
    pub fn rename(&self, path: &str, name: &Redacted<String>) -> Result<FileEntry, SpoolError> {
        let old = self.stored().into_iter().find(|s| s.entry.path == path);
        let mut stored = old.ok_or_else(|| self.failed(path, io::ErrorKind::NotFound.into()))?;
        stored.entry.path = super::locked(&self.inner.names).take(&BundlePath::portable(name.get())).to_string();
        let entry = stored.entry.clone();
        self.close(stored)?;
        Ok(entry)
    }

    /// Replaces the content of a finished artifact by what `edit` makes of it. Size and checksum follow, the note about
    /// truncation stays. After an error the old content is still there.
    ///
    /// # Errors
    /// When there is no such artifact, or the spool or `edit` fails.
    pub fn rewrite(&self, path: &str, edit: &mut Edit<'_>) -> Result<FileEntry, SpoolError> {
        let fail = |e: io::Error| self.failed(path, e);
        let old = self.stored().into_iter().find(|s| s.entry.path == path);
        let old = old.ok_or_else(|| fail(io::ErrorKind::NotFound.into()))?;
        // A name of its own for each rewriting, so that a crash leaves either the old or the new one.
        let name = (0_u32..)
            .map(|n| format!("{:06}.rewritten{n}.gz", old.id))
            .find(|name| !self.dir().join(name).exists())
            .unwrap_or_default();
        let mut fresh = Fresh {
            spool: self,
            file: create_private(&self.dir().join(&name)).map_err(fail)?,
            name,
            block: Vec::new(),
            pieces: Vec::new(),
            offset: 0,
            size: 0,
            hash: Sha256::new(),
        };
        let result = edit(&mut old.reader(self.dir()), &mut |part| fresh.add(part.get()))
            .and_then(|()| fresh.seal(true))
            .map_err(fail);
        if let Err(error) = result {
            let _ = std::fs::remove_file(self.dir().join(&fresh.name));
            self.freed(fresh.offset);
            return Err(error);
        }
        let entry = FileEntry { size: fresh.size, sha256: hex(&fresh.hash.finalize()), ..old.entry.clone() };
        let stored = Stored { entry: entry.clone(), pieces: fresh.pieces, ..old };
        self.close(stored)?;
        let mut files: Vec<&str> = old.pieces.iter().map(|p| p.file.as_str()).collect();
        files.sort_unstable();
        files.dedup();
        for file in files {
            // A file that stays is ignored, because the journal says where the content lies.
            let _ = std::fs::remove_file(self.dir().join(file));
        }
        self.freed(old.on_disk());
        Ok(entry)
    }
}

/// The new content as it grows.
struct Fresh<'a> {
    spool: &'a Spool,
    name: String,
    file: File,
    block: Vec<u8>,
    pieces: Vec<Piece>,
    offset: u64,
    size: u64,
    hash: Sha256,
}

impl Fresh<'_> {
    fn add(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let n = bytes.len().min(MEMBER - self.block.len());
            self.block.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            if self.block.len() == MEMBER {
                self.seal(false)?;
            }
        }
        Ok(())
    }

    /// Writes the block; a small artifact stays raw, because packing lets several share a member.
    fn seal(&mut self, last: bool) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let gzip = !(last && self.pieces.is_empty() && self.block.len() <= SHARED_MEMBER);
        let bytes = if gzip { member(&self.block)? } else { self.block.clone() };
        self.spool.write(&mut self.file, &bytes)?;
        let (stored, raw) = (bytes.len() as u64, self.block.len() as u64);
        self.pieces.push(Piece { file: self.name.clone(), offset: self.offset, stored, raw, gzip });
        self.offset += stored;
        self.block.clear();
        Ok(())
    }
}
