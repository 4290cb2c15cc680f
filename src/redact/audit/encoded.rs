//! Texts that stand in an encoding: base64 at any alignment, hexadecimal, percent signs, `\u00XX` and UTF-16. Written for the audit
//! alone, so that it does not share a mistake with the decoders of the engine.

/// Shortest run of base64 that is decoded.
const MIN_RUN: usize = 24;
/// Shortest run of hexadecimal digits that is decoded.
const MIN_HEX: usize = 32;
/// Fewest characters in UTF-16.
const MIN_WIDE: usize = 12;
/// Decoded bytes that tell text from other data.
const HEAD: usize = 18;
/// Longest word that is decoded.
const MAX_WORD: usize = 64 << 10;

/// Shows every text that a block holds in an encoding, with the place where it begins.
pub(super) fn texts(block: &[u8], show: &mut dyn FnMut(usize, &[u8])) {
    runs(block, show);
    words(block, b'%', show);
    words(block, b'\\', show);
    if memchr::memchr(0, block).is_some() {
        wide(block, 0, show);
        wide(block, 1, show);
    }
}

/// Value of each byte in base64; [`NONE`] for bytes that do not stand in it.
const VALUES: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut b = 0_u8;
    loop {
        table[b as usize] = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => NONE,
        };
        if b == u8::MAX {
            break table;
        }
        b += 1;
    }
};
const NONE: u8 = u8::MAX;

fn six_bits(b: u8) -> Option<u8> {
    Some(VALUES[usize::from(b)]).filter(|v| *v != NONE)
}

fn is_plain(b: u8) -> bool {
    matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7e)
}

/// Whether the beginning of decoded bytes is text: nine of ten. Most data shows in its first bytes that it is none.
fn begins_text(bytes: impl Iterator<Item = u8>) -> bool {
    let (mut count, mut odd) = (0, 0);
    for b in bytes.take(HEAD) {
        count += 1;
        odd += usize::from(!is_plain(b));
        if odd * 10 > HEAD {
            return false;
        }
    }
    count > 0 && (count - odd) * 10 >= count * 9
}

/// A run that is long enough covers one of every so many places, so that only the words at those places are looked at.
fn runs(block: &[u8], show: &mut dyn FnMut(usize, &[u8])) {
    let ends = |b: &u8| VALUES[usize::from(*b)] == NONE;
    let (mut floor, mut at) = (0, MIN_RUN - 1);
    while at < block.len() {
        let mut end = at;
        // Half of such a run stands in front of the place or behind it. Most words are shorter.
        let may = |places: [usize; 4]| places.iter().all(|i| block.get(*i).is_some_and(|b| !ends(b)));
        if may([at, at + 4, at + 8, at + 12]) || may([at, at - 4, at - 8, at - 12]) {
            let start = block[floor..at].iter().rposition(ends).map_or(floor, |i| floor + i + 1);
            end = block[at..].iter().position(ends).map_or(block.len(), |i| at + i);
            if end - start >= MIN_RUN {
                run(&block[start..end], start, show);
            }
        }
        floor = end;
        at = end + MIN_RUN;
    }
}

fn run(run: &[u8], at: usize, show: &mut dyn FnMut(usize, &[u8])) {
    let digits = run.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    if digits >= MIN_HEX {
        for shift in 0..2 {
            if let Some(text) = from_hex(&run[shift..digits]) {
                show(at, &text);
            }
        }
    }
    for shift in 0..4 {
        let Some(head) = run.get(shift..shift + MIN_RUN) else { return };
        let values = head.chunks_exact(4).flat_map(|four| {
            let bits = four.iter().fold(0_u32, |bits, b| bits << 6 | u32::from(VALUES[usize::from(*b)]));
            let [_, a, b, c] = bits.to_be_bytes();
            [a, b, c]
        });
        if begins_text(values) {
            show(at, &from_base64(&run[shift..]));
        }
    }
}

fn from_base64(run: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(run.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0);
    for value in run.iter().filter_map(|b| six_bits(*b)) {
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    out
}

fn digit(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

fn from_hex(run: &[u8]) -> Option<Vec<u8>> {
    let bytes = || run.chunks_exact(2).map_while(|p| Some(digit(p[0])? << 4 | digit(p[1])?));
    begins_text(bytes()).then(|| bytes().collect())
}

/// Words with `%41`, or with `\u0041`.
fn words(block: &[u8], sign: u8, show: &mut dyn FnMut(usize, &[u8])) {
    let escape = |at: usize| -> Option<(u8, usize)> {
        let rest = &block[at..];
        let digits = if sign == b'%' { rest.get(1..3)? } else { rest.get(2..6).filter(|_| rest[1] == b'u')? };
        let high = digits.len() - 2;
        let ascii = digits[..high].iter().all(|b| *b == b'0');
        let value = digit(digits[high])? << 4 | digit(digits[high + 1])?;
        ascii.then_some((value, digits.len() + 1 + usize::from(sign != b'%')))
    };
    let edge = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'<' | b'>' | 0);
    let mut at = 0;
    while let Some(found) = memchr::memchr(sign, &block[at..]).map(|i| at + i) {
        if escape(found).is_none() {
            at = found + 1;
            continue;
        }
        let floor = at.max(found.saturating_sub(MAX_WORD));
        let start = block[floor..found].iter().rposition(edge).map_or(floor, |i| floor + i + 1);
        let roof = block.len().min(found + MAX_WORD);
        let end = block[found..roof].iter().position(edge).map_or(roof, |i| found + i);
        let mut text = Vec::with_capacity(end - start);
        let mut i = start;
        while i < end {
            let (b, len) = if block[i] == sign { escape(i).unwrap_or((sign, 1)) } else { (block[i], 1) };
            text.push(b);
            i += len;
        }
        show(start, &text);
        at = end.max(found + 1);
    }
}

/// Characters whose other byte is zero; `order` is the place of the character in its pair.
fn wide(block: &[u8], order: usize, show: &mut dyn FnMut(usize, &[u8])) {
    // A text may begin at any place, so both ways to make pairs are tried.
    for shift in 0..2 {
        let mut text = Vec::new();
        let mut start = 0;
        let mut end = |start: usize, text: &mut Vec<u8>| {
            if text.len() >= MIN_WIDE {
                show(start, text);
            }
            text.clear();
        };
        for (i, pair) in block[shift.min(block.len())..].chunks_exact(2).enumerate() {
            if is_plain(pair[order]) && pair[1 - order] == 0 {
                if text.is_empty() {
                    start = shift + 2 * i;
                }
                text.push(pair[order]);
            } else {
                end(start, &mut text);
            }
        }
        end(start, &mut text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_every_length_at_every_place_are_found() {
        for len in [MIN_RUN - 1, MIN_RUN, MIN_RUN + 1, 2 * MIN_RUN, 99] {
            for before in 0..2 * MIN_RUN {
                // "ABAB..." is text at one of the alignments: a run that is looked at is shown.
                let block = [&b" a ".repeat(20)[..before], b" ", &b"QUJB".repeat(30)[..len], b" tail"].concat();
                let mut places = Vec::new();
                runs(&block, &mut |at, _| places.push(at));
                assert_eq!(places.contains(&(before + 1)), len >= MIN_RUN, "{len} behind {before}");
            }
        }
    }
}
