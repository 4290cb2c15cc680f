//! Members of a tar.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path};

use super::budget::Total;
use super::{ArchiveError, Run};

/// Longest name or link that is believed.
const MAX_NAME: usize = 4 << 10;

impl Run<'_> {
    /// Redacts the members of a tar into an empty file; gives the number of those that were left out.
    pub(super) fn tar(
        &mut self,
        source: Box<dyn Read + '_>,
        target: &mut File,
        depth: usize,
    ) -> Result<u64, ArchiveError> {
        let mut archive = tar::Archive::new(source);
        let mut out = tar::Builder::new(io::BufWriter::new(target));
        let mut names = HashSet::new();
        let mut stubs = 0;
        for entry in archive.entries().map_err(ArchiveError::Read)? {
            let mut entry = entry.map_err(ArchiveError::Read)?;
            self.budget.entry()?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let name = self.cleaner.name(&path);
            // A name that leads elsewhere, or that another member has, is never written.
            if !is_inside(&name) || !names.insert(name.trim_end_matches('/').to_owned()) {
                stubs += 1;
                continue;
            }
            let old = entry.header();
            let mut header = tar::Header::new_gnu();
            header.set_mode(old.mode().unwrap_or(0o600) & 0o777);
            header.set_mtime(old.mtime().unwrap_or(0));
            header.set_entry_type(old.entry_type());
            match old.entry_type() {
                tar::EntryType::Directory => {
                    header.set_size(0);
                    out.append_data(&mut header, &name, io::empty()).map_err(ArchiveError::Write)?;
                }
                tar::EntryType::Symlink | tar::EntryType::Link => {
                    let link =
                        entry.link_name_bytes().map(|l| String::from_utf8_lossy(&l).into_owned()).unwrap_or_default();
                    let link = self.cleaner.name(&link);
                    if is_inside(&link) {
                        header.set_size(0);
                        out.append_link(&mut header, &name, &link).map_err(ArchiveError::Write)?;
                    } else {
                        stubs += 1;
                    }
                }
                tar::EntryType::Regular | tar::EntryType::Continuous => {
                    let plain = Total::new(&mut entry, &self.budget);
                    let redact =
                        |run: &mut Self, clean: &mut File| run.content(&name, Box::new(plain), clean, depth + 1);
                    let (clean, left_out) = self.member(&name, redact)?;
                    stubs += left_out;
                    header.set_entry_type(tar::EntryType::Regular);
                    header.set_size(clean.metadata().map_err(ArchiveError::Write)?.len());
                    out.append_data(&mut header, &name, clean).map_err(ArchiveError::Write)?;
                }
                // Devices and pipes hold nothing to read; a sparse file may be endless zeros.
                _ => stubs += 1,
            }
        }
        out.into_inner().and_then(|mut file| file.flush()).map_err(ArchiveError::Write)?;
        Ok(stubs)
    }
}

/// Whether a name stays below the directory that it is unpacked in.
pub(super) fn is_inside(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.contains(['\0', '\\'])
        && Path::new(name).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
}
