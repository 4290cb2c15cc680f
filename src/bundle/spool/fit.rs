//! Makes room: when the archive would be too large, the largest logs give up their oldest bytes, each down to the
//! same share.

use super::piece::{Piece, Stored, member};
use super::trim::{Why, total};
use super::{Spool, SpoolError, locked};
use crate::model::FileEntry;
use crate::redact::Format;

/// Compressed bytes of an entry beside its content: tar header, its rows in the manifest and in the index.
const ENTRY_COST: u64 = 320;
/// Room for the summary, the report and the manifest's head.
const RESERVE: u64 = 256 << 10;
/// No log is cut below this many compressed bytes: its end is what explains a crash.
const FLOOR: u64 = 4 << 10;

impl Spool {
    /// Cuts the largest logs so that the archive stays at about `max_size` compressed bytes, newest bytes kept, and
    /// gives the entries as they are now. Call it when all artifacts are finished and before the manifest is made.
    ///
    /// Only text is cut, because the half of a JSON document is none; so the archive can still be larger.
    ///
    /// # Errors
    /// When the spool fails.
    pub fn fit(&self, max_size: u64) -> Result<Vec<FileEntry>, SpoolError> {
        // Collecting is over, so no artifact needs them any more.
        locked(&self.inner.blocks).clear();
        let files = self.stored();
        let reserve = RESERVE.min(max_size / 4);
        let room = max_size.saturating_sub(reserve);
        let upper: u64 = files.iter().map(|f| ENTRY_COST + stored(&f.pieces)).sum();
        if upper <= room {
            return Ok(self.files());
        }
        let mut logs = Vec::new();
        let mut fixed = 0;
        for file in files {
            let size = self.compressed(&file)?;
            fixed += ENTRY_COST;
            if Format::of_path(&file.entry.path) == Format::Text && size > FLOOR {
                logs.push((size, file));
            } else {
                fixed += size;
            }
        }
        let sizes: Vec<u64> = logs.iter().map(|(size, _)| *size).collect();
        let Some(share) = fair_share(&sizes, room.saturating_sub(fixed)) else { return Ok(self.files()) };
        let share = share.max(FLOOR);
        for (size, file) in logs {
            if size > share {
                self.cut_to(file, size, share)?;
            }
        }
        Ok(self.files())
    }

    /// Compressed size of an artifact. Small ones are compressed at packing time, so they are tried here.
    fn compressed(&self, file: &Stored) -> Result<u64, SpoolError> {
        let mut size = 0;
        for piece in &file.pieces {
            size += if piece.gzip {
                piece.stored
            } else {
                let raw = piece.load(self.dir()).map_err(|e| self.failed(&piece.file, e))?;
                member(&raw).map_err(|e| self.failed(&piece.file, e))?.len() as u64
            };
        }
        Ok(size)
    }

    /// Keeps about `share` of `size` compressed bytes.
    fn cut_to(&self, mut file: Stored, size: u64, share: u64) -> Result<(), SpoolError> {
        let skip = skip_for(&file.pieces, size, share);
        // The line that an earlier cut put in front goes with the first line, and is no content of the source.
        let before = file.dropped.wrapping_sub(file.marker);
        let trimmed = self.cut_front(file.id, &file.entry.path, &file.pieces, skip, before, Why::MaxSize)?;
        let earlier = file.entry.truncation.take().filter(|t| t.reason != "log-limit");
        file.entry.truncation = Some(Why::MaxSize.truncation(earlier, trimmed.dropped));
        file.adopt(trimmed);
        file.entry.sha256 = self.checksum(&file.pieces)?;
        self.close(file)
    }
}

fn stored(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|piece| piece.stored).sum()
}

/// How many raw bytes must go so that about `share` of `size` compressed bytes stay.
fn skip_for(pieces: &[Piece], size: u64, share: u64) -> u64 {
    let mut left = share;
    let mut kept = 0;
    for piece in pieces.iter().rev() {
        let cost = if piece.gzip { piece.stored } else { size.min(piece.stored) };
        if cost <= left {
            left -= cost;
            kept += piece.raw;
        } else {
            // Part of a block: assume that it compresses evenly.
            kept += u64::try_from(u128::from(piece.raw) * u128::from(left) / u128::from(cost.max(1))).unwrap_or(0);
            break;
        }
    }
    total(pieces).saturating_sub(kept)
}

/// The largest share such that all sizes, each cut to the share, sum to at most `room`; none when nothing must be cut.
fn fair_share(sizes: &[u64], room: u64) -> Option<u64> {
    let mut sorted = sizes.to_vec();
    sorted.sort_unstable();
    let mut left = room;
    for (i, size) in sorted.iter().enumerate() {
        let share = left / (sorted.len() - i) as u64;
        if *size > share {
            return Some(share);
        }
        left -= size;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_ones_keep_all_and_large_ones_share_the_rest() {
        assert_eq!(fair_share(&[10, 1000, 2000], 1010), Some(500));
        assert_eq!(fair_share(&[10, 20], 30), None);
        assert_eq!(fair_share(&[], 0), None);
        assert_eq!(fair_share(&[5], 0), Some(0));
    }

    proptest! {
        #[test]
        fn a_share_fills_the_room(sizes in proptest::collection::vec(0_u64..10_000, 0..20), room in 0_u64..50_000) {
            let sum = |t: u64| sizes.iter().map(|s| (*s).min(t)).sum::<u64>();
            match fair_share(&sizes, room) {
                None => prop_assert!(sum(u64::MAX) <= room),
                Some(t) => prop_assert!(sum(t) <= room && sum(t + 1) > room),
            }
        }
    }

    #[test]
    fn the_kept_part_of_a_block_is_proportional() {
        let piece = |stored, raw| Piece { file: "x".to_owned(), offset: 0, stored, raw, gzip: true };
        let pieces = [piece(100, 1000), piece(100, 1000), piece(50, 500)];
        assert_eq!(skip_for(&pieces, 250, 250), 0);
        assert_eq!(skip_for(&pieces, 250, 150), 1000);
        assert_eq!(skip_for(&pieces, 250, 100), 1500);
        assert_eq!(skip_for(&pieces, 250, 0), 2500);
    }
}
