//! How often the windows of a literal are met in content that is no secret, so that it is looked for where it is rarest.

use super::{WORDS, place};

/// Lines of logs, objects and settings.
const SAMPLE: &[u8] = include_bytes!("sample.txt");

/// How often each place of the bit table is met in the sample.
pub(super) struct Common {
    counts: Vec<u16>,
}

impl Common {
    pub(super) fn new() -> Self {
        let mut counts = vec![0_u16; WORDS * 64];
        for window in SAMPLE.windows(3) {
            let slot = slot([window[0], window[1], window[2]]);
            counts[slot] = counts[slot].saturating_add(1);
        }
        Self { counts }
    }

    /// What a look-up of this window costs, roughly.
    pub(super) fn of(&self, window: [u8; 3]) -> u32 {
        // Where the sample tells nothing, letters that are rare in words.
        let rare = window.iter().filter(|b| matches!(b.to_ascii_lowercase(), b'j' | b'q' | b'x' | b'z' | b'_')).count();
        u32::from(self.counts[slot(window)]) * 8 + 3_u32.saturating_sub(u32::try_from(rare).unwrap_or(0))
    }
}

fn slot(window: [u8; 3]) -> usize {
    let (index, bit) = place(window);
    index * 64 + bit as usize
}
