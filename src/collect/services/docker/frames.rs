//! Logs of an engine: frames of an 8-byte header and a payload, or raw bytes when the container has a terminal.

/// Takes a stream of frames apart, in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: Vec<u8>,
    left: usize,
    raw: bool,
}

impl Frames {
    /// A decoder; `raw` for a container with a terminal.
    pub(super) fn new(raw: bool) -> Self {
        Self { raw, ..Self::default() }
    }

    /// Appends the payloads in `bytes` to `out`.
    ///
    /// # Errors
    /// When the bytes are no frames.
    pub(super) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        if self.raw {
            out.extend_from_slice(bytes);
            return Ok(());
        }
        while !bytes.is_empty() {
            if self.left > 0 {
                let take = self.left.min(bytes.len());
                out.extend_from_slice(&bytes[..take]);
                self.left -= take;
                bytes = &bytes[take..];
                continue;
            }
            let take = (8 - self.header.len()).min(bytes.len());
            self.header.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if let [kind, 0, 0, 0, a, b, c, d] = self.header[..] {
                if kind > 3 {
                    return Err("the log is no stream of frames");
                }
                self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                self.header.clear();
            } else if self.header.len() == 8 {
                return Err("the log is no stream of frames");
            }
        }
        Ok(())
    }

    /// Whether the stream ended between two frames.
    pub(super) fn is_whole(&self) -> bool {
        self.left == 0 && self.header.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, text: &[u8]) -> Vec<u8> {
        let mut out = vec![kind, 0, 0, 0];
        out.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        out.extend_from_slice(text);
        out
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bytes in [&b"2026-11-21T10:00:00Z plain line\n"[..], b"\x07\0\0\0\0\0\0\x01a", b"\x01\0\0\x01\0\0\0\x01a"] {
            assert!(Frames::new(false).push(bytes, &mut Vec::new()).is_err());
            let mut out = Vec::new();
            Frames::new(true).push(bytes, &mut out).unwrap();
            assert_eq!(out, bytes);
        }
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_the_pieces(
            texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
            step in 1_usize..20,
        ) {
            let stream: Vec<u8> = texts.iter().enumerate().flat_map(|(i, t)| frame(1 + (i % 2) as u8, t)).collect();
            let mut frames = Frames::new(false);
            let mut out = Vec::new();
            for piece in stream.chunks(step) {
                frames.push(piece, &mut out).unwrap();
            }
            prop_assert!(frames.is_whole());
            prop_assert_eq!(out, texts.concat());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Frames::new(false).push(&bytes, &mut Vec::new());
        }
    }
}
