//! Reads concatenated gzip members, and knows at each byte in which member it is.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

use flate2::bufread::GzDecoder;

use super::Limits;

/// Bytes of an archive, readable anywhere.
pub trait Source: Send + Sync {
    /// Reads some bytes at an offset; zero at the end.
    ///
    /// # Errors
    /// When the medium fails.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Length in bytes.
    fn size(&self) -> u64;
}

impl Source for Vec<u8> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let n = buf.len().min(self.len() - from);
        buf[..n].copy_from_slice(&self[from..from + n]);
        Ok(n)
    }

    fn size(&self) -> u64 {
        self.len() as u64
    }
}

/// An archive in a file.
pub(super) struct FileSource {
    file: File,
    size: u64,
}

impl FileSource {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }
}

impl Source for FileSource {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(&self.file, buf, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(&self.file, buf, offset);
    }

    fn size(&self) -> u64 {
        self.size
    }
}

/// Reads a source from an offset on.
struct Window {
    source: Arc<dyn Source>,
    /// Offset of the byte behind the buffer.
    next: u64,
    buffer: Box<[u8]>,
    from: usize,
    to: usize,
}

impl Window {
    fn new(source: Arc<dyn Source>, at: u64) -> Self {
        Self { source, next: at, buffer: vec![0; 16 << 10].into(), from: 0, to: 0 }
    }

    fn position(&self) -> u64 {
        self.next.saturating_sub((self.to - self.from) as u64)
    }
}

impl BufRead for Window {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.from == self.to {
            let n = self.source.read_at(&mut self.buffer, self.next)?;
            (self.from, self.to) = (0, n);
            self.next = self.next.checked_add(n as u64).ok_or_else(|| bad("an offset is beyond all files"))?;
        }
        Ok(&self.buffer[self.from..self.to])
    }

    fn consume(&mut self, n: usize) {
        self.from = (self.from + n).min(self.to);
    }
}

impl Read for Window {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(buf.len());
        buf[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}

/// Uncompressed bytes from a member's beginning to the end of the archive.
pub(super) struct Members {
    decoder: Option<GzDecoder<Window>>,
    start: u64,
    member: u64,
    /// Bytes of the current member that were taken from the decoder.
    taken: u64,
    total: u64,
    buffer: Box<[u8]>,
    from: usize,
    to: usize,
    ratio: u64,
    ratio_floor: u64,
}

impl Members {
    pub(super) fn at(source: Arc<dyn Source>, offset: u64, limits: &Limits) -> Self {
        Self {
            decoder: Some(GzDecoder::new(Window::new(source, offset))),
            start: offset,
            member: offset,
            taken: 0,
            total: 0,
            buffer: vec![0; 32 << 10].into(),
            from: 0,
            to: 0,
            ratio: limits.ratio,
            ratio_floor: limits.ratio_floor,
        }
    }

    /// Offset of the member that holds the next byte, and how far into the member that byte is.
    pub(super) fn position(&mut self) -> io::Result<(u64, u64)> {
        self.fill_buf()?;
        Ok((self.member, self.taken - (self.to - self.from) as u64))
    }

    /// Skips bytes; gives how many there were.
    pub(super) fn skip(&mut self, bytes: u64) -> io::Result<u64> {
        io::copy(&mut self.take(bytes), &mut io::sink())
    }

    fn check_ratio(&self) -> io::Result<()> {
        let Some(decoder) = &self.decoder else { return Ok(()) };
        let compressed = decoder.get_ref().position().saturating_sub(self.start).max(1);
        if self.total > self.ratio_floor && self.total / compressed > self.ratio {
            return Err(bad(&format!(
                "it unpacks to more than {} times its size, which no honest log does",
                self.ratio
            )));
        }
        Ok(())
    }
}

impl BufRead for Members {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.from == self.to {
            let Some(decoder) = self.decoder.as_mut() else { break };
            match decoder.read(&mut self.buffer) {
                Ok(0) => {}
                Ok(n) => {
                    (self.from, self.to) = (0, n);
                    self.taken += n as u64;
                    self.total += n as u64;
                    self.check_ratio()?;
                    break;
                }
                Err(error) => {
                    if error.kind() != io::ErrorKind::Interrupted {
                        self.decoder = None;
                    }
                    return Err(error);
                }
            }
            // The member is over and its checksum was right.
            let Some(mut window) = self.decoder.take().map(GzDecoder::into_inner) else { break };
            let rest = window.fill_buf()?;
            if rest.is_empty() {
                break;
            }
            if rest[0] != 0x1f {
                return Err(bad("bytes behind the compressed data are not gzip"));
            }
            self.member = window.position();
            self.taken = 0;
            self.decoder = Some(GzDecoder::new(window));
        }
        Ok(&self.buffer[self.from..self.to])
    }

    fn consume(&mut self, n: usize) {
        self.from = (self.from + n).min(self.to);
    }
}

impl Read for Members {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(buf.len());
        buf[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}

pub(super) fn bad(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_owned())
}
