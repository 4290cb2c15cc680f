//! Walks the entries of a hostile tar: everything that is not a plain file with a safe name is reported and skipped.

use std::io::{self, Read};

use tar::{EntryType, Header, PaxExtensions};

use super::members::{Members, bad};

const BLOCK: u64 = 512;
/// Longest name or extended header that is read.
const EXTENSION_MAX: u64 = 64 << 10;
/// Problems that are kept; a hostile archive could have millions.
const PROBLEMS_MAX: usize = 100;

/// A plain file in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Path as in the archive, the top directory included.
    pub(super) path: String,
    /// Size of the content.
    pub(super) size: u64,
    /// Offset of the member in which the entry begins.
    pub(super) member: u64,
    /// Where in that member it begins.
    pub(super) offset: u64,
}

/// Entries of a tar, one after the other.
pub(super) struct Walk {
    pub(super) members: Members,
    pub(super) problems: Problems,
    /// Content and padding of the last entry that nobody read yet.
    left: u64,
    lost: bool,
}

/// What was found wrong, in sentences.
#[derive(Default)]
pub(super) struct Problems(pub(super) Vec<String>);

impl Problems {
    pub(super) fn note(&mut self, text: String) {
        match self.0.len() {
            n if n < PROBLEMS_MAX => self.0.push(text),
            PROBLEMS_MAX => self.0.push("and more".to_owned()),
            _ => {}
        }
    }
}

impl Walk {
    pub(super) fn new(members: Members) -> Self {
        Self { members, problems: Problems::default(), left: 0, lost: false }
    }

    /// The next plain file; none at the end of the tar.
    ///
    /// # Errors
    /// When the archive ends early or its compression is damaged; nothing can be read behind that.
    pub(super) fn next(&mut self) -> io::Result<Option<Found>> {
        let mut long: Option<Vec<u8>> = None;
        let mut size_override = None;
        let mut start = None;
        let mut zeros = 0;
        loop {
            self.skip_left()?;
            let at = self.members.position()?;
            let mut block = [0_u8; BLOCK as usize];
            match fill(&mut self.members, &mut block)? {
                0 if zeros > 0 => return Ok(None),
                0 => return Err(bad("the tar ends without its end mark; the archive was cut off")),
                n if n < block.len() => return Err(bad("the tar ends inside of a header; the archive was cut off")),
                _ => {}
            }
            if block.iter().all(|b| *b == 0) {
                zeros += 1;
                if zeros == 2 {
                    return Ok(None);
                }
                continue;
            }
            zeros = 0;
            let header = Header::from_byte_slice(&block);
            let Some(size) = checked_size(header) else {
                // The next block with a right checksum is where reading can go on.
                if !self.lost {
                    self.lost = true;
                    self.problems
                        .note("a tar header has a wrong checksum or size; what belongs to it is lost".to_owned());
                }
                (long, size_override, start) = (None, None, None);
                continue;
            };
            self.lost = false;
            let kind = header.entry_type();
            start.get_or_insert(at);
            match kind {
                EntryType::GNULongName => {
                    let mut name = self.extension(size)?;
                    while name.last() == Some(&0) {
                        name.pop();
                    }
                    long = Some(name);
                }
                EntryType::XHeader => {
                    let extension = self.extension(size)?;
                    for field in PaxExtensions::new(&extension).flatten() {
                        match field.key() {
                            Ok("path") => long = Some(field.value_bytes().to_vec()),
                            Ok("size") => size_override = field.value().ok().and_then(|v| v.parse().ok()),
                            _ => {}
                        }
                    }
                }
                EntryType::XGlobalHeader | EntryType::GNULongLink => {
                    self.extension(size)?;
                }
                _ => {
                    let size = size_override.take().unwrap_or(size);
                    let name = long.take().unwrap_or_else(|| header.path_bytes().into_owned());
                    let (member, offset) = start.take().unwrap_or(at);
                    self.left = padded(size)?;
                    if let Some(path) = self.accept(kind, &name) {
                        return Ok(Some(Found { path, size, member, offset }));
                    }
                }
            }
        }
    }

    /// Reads the content of the entry that [`Self::next`] gave last.
    pub(super) fn content(&mut self, size: u64) -> io::Take<&mut Members> {
        self.left = self.left.saturating_sub(size);
        (&mut self.members).take(size)
    }

    fn skip_left(&mut self) -> io::Result<()> {
        let left = std::mem::take(&mut self.left);
        if self.members.skip(left)? < left {
            return Err(bad("the tar ends inside of a file; the archive was cut off"));
        }
        Ok(())
    }

    fn extension(&mut self, size: u64) -> io::Result<Vec<u8>> {
        self.left = padded(size)?;
        if size > EXTENSION_MAX {
            self.problems.note("an extended tar header is too long and was ignored".to_owned());
            return Ok(Vec::new());
        }
        let mut bytes = Vec::new();
        self.content(size).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The path of a plain file with a safe name; all else is reported.
    fn accept(&mut self, kind: EntryType, name: &[u8]) -> Option<String> {
        let shown = String::from_utf8_lossy(name).escape_debug().to_string();
        let what = match kind {
            EntryType::Regular | EntryType::Continuous => match safe(name) {
                Some(path) => return Some(path),
                None => "its name would leave the archive's directory or cannot be shown",
            },
            EntryType::Directory => return None,
            EntryType::Link | EntryType::Symlink => "it is a link",
            EntryType::Char | EntryType::Block | EntryType::Fifo => "it is a device",
            _ => "it is not a plain file",
        };
        self.problems.note(format!("{shown} was ignored: {what}"));
        None
    }
}

fn checked_size(header: &Header) -> Option<u64> {
    // The sum of all bytes, with the checksum field itself counted as spaces.
    let sum = header
        .as_bytes()
        .iter()
        .enumerate()
        .fold(0_u32, |sum, (i, byte)| sum + u32::from(if (148..156).contains(&i) { b' ' } else { *byte }));
    (header.cksum().ok()? == sum).then(|| header.entry_size().ok()).flatten()
}

fn padded(size: u64) -> io::Result<u64> {
    size.checked_next_multiple_of(BLOCK).ok_or_else(|| bad("a size is beyond all files"))
}

fn fill(reader: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < buf.len() {
        match reader.read(&mut buf[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(n)
}

/// A relative path without `.`, `..`, empty segments, backslashes and control characters; a leading `./` is dropped.
pub(in crate::bundle) fn safe(name: &[u8]) -> Option<String> {
    let mut path = std::str::from_utf8(name).ok()?;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    let fine = |s: &str| !s.is_empty() && s != "." && s != ".." && !s.contains(|c: char| c == '\\' || c.is_control());
    let drive = path.as_bytes().get(1) == Some(&b':');
    (!drive && path.split('/').all(fine)).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_directory_are_refused() {
        for name in ["/etc/passwd", "../x", "a/../../x", "a//b", "", "a/", "C:/x", "a\\b", "a\nb", "a/."] {
            assert_eq!(safe(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(safe(b"\xff"), None);
        assert_eq!(safe(b"./top/a..b/c").as_deref(), Some("top/a..b/c"));
    }
}
