//! Compares content with what redaction made of it.

/// What every replacement begins with.
const MARK: &[u8] = b"REDACTED-";
/// So many equal bytes in a row are taken for the place where the texts run together again.
const SYNC: usize = 24;

/// Lines that one replacement takes, at most.
const LINES: usize = 256;

/// How many bytes of `before` are not in `after` any more, in their order. A replacement adds no line but may take some: those up to
/// the one that is the next again.
pub(crate) fn touched(before: &[u8], after: &[u8]) -> usize {
    let before: Vec<&[u8]> = before.split(|b| *b == b'\n').collect();
    let after: Vec<&[u8]> = after.split(|b| *b == b'\n').collect();
    let (mut i, mut sum) = (0, 0);
    for (j, line) in after.iter().enumerate() {
        let Some(first) = before.get(i) else { break };
        let more = before.len() - i > after.len() - j && first != line;
        let next = after.get(j + 1).filter(|_| more);
        let taken = next.and_then(|next| before[i + 1..].iter().take(LINES).position(|b| b == next));
        let end = i + taken.unwrap_or(0);
        sum += touched_in(&before[i..=end].join(&b'\n'), line);
        i = end + 1;
    }
    sum + before.get(i..).unwrap_or_default().iter().map(|line| line.len() + 1).sum::<usize>()
}

fn touched_in(before: &[u8], after: &[u8]) -> usize {
    let (mut i, mut j, mut lost) = (0, 0, 0);
    while i < before.len() {
        let same = before[i..].iter().zip(&after[j..]).take_while(|(a, b)| a == b).count();
        (i, j) = (i + same, j + same);
        if i == before.len() || j == after.len() {
            break;
        }
        let (skip, next) = resume(&before[i..], &after[j..]);
        lost += skip;
        (i, j) = (i + skip, j + next);
    }
    lost + before.len() - i
}

/// Where two texts that differ run together again: bytes to skip in both.
fn resume(before: &[u8], after: &[u8]) -> (usize, usize) {
    // Behind the replacement; a quote may have been put around it.
    let token = memchr::memmem::find(&after[..after.len().min(64)], MARK).map_or(0, |at| {
        let name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-';
        at + after[at..].iter().take_while(|b| name(b)).count()
    });
    for start in token..after.len().min(token + 512) {
        let rest = &after[start..];
        let until = memchr::memmem::find(rest, MARK).unwrap_or(rest.len()).min(SYNC);
        if until == 0 {
            continue;
        }
        // What is left of the text is all of it: only its end can be the same.
        if until == rest.len() {
            if before.ends_with(rest) {
                return (before.len() - rest.len(), start);
            }
        } else if until >= 4
            && let Some(at) = memchr::memmem::find(before, &rest[..until])
        {
            return (at, start);
        }
    }
    (before.len(), after.len())
}

/// How many bytes of a secret are still there: those in pieces of eight bytes or more (or the whole of a shorter one)
/// that `after` holds somewhere.
pub(crate) fn survivors(after: &[u8], secret: &[u8]) -> usize {
    let width = secret.len().min(8);
    if width == 0 {
        return 0;
    }
    let mut left = vec![false; secret.len()];
    for (at, piece) in secret.windows(width).enumerate() {
        if memchr::memmem::find(after, piece).is_some() {
            left[at..at + width].fill(true);
        }
    }
    left.iter().filter(|l| **l).count()
}
