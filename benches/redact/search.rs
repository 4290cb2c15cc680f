//! Looks for slow inputs: pieces that begin something are put together at random, and what costs more is changed further.

use std::time::{Duration, Instant};

use casefile::redact::{CorrelationKey, Format, Redacted, Redactor};

use crate::clock::seconds;
use crate::corpus::Random;
use crate::speed::PUSH;
use crate::worst::{median, shapes};

/// Size of the inputs while they are compared, and of those that show whether the cost of a byte grows.
const SMALL: usize = 32 << 10;
const LARGE: usize = 512 << 10;
/// Most pieces of an input.
const PIECES: usize = 12;
/// Changes without success after which a search starts afresh.
const PATIENCE: usize = 150;

const GLUE: [&str; 40] = [
    " ",
    "\n",
    "\n  ",
    "\t",
    "\"",
    "'",
    "\\",
    "\\\"",
    "\\n",
    ":",
    ": ",
    "=",
    ",",
    "{",
    "}",
    "[",
    "]",
    "(",
    "<",
    ">",
    "/",
    "?",
    "#",
    "@",
    "&",
    "%",
    "%22",
    "&quot;",
    "$",
    "${",
    "|",
    "|\n ",
    "-",
    "--",
    "- ",
    ".",
    "_",
    "\0",
    "a",
    "Zm9vYmFyYmF6",
];

/// Nanoseconds a byte; none when the content is refused.
fn cost(redactor: &Redactor, format: Format, piece: &[u8], size: usize) -> Option<f64> {
    let content: Vec<u8> = piece.iter().copied().cycle().take(size).collect();
    let start = Instant::now();
    let (mut out, mut best) = (Redacted::buffer(), f64::MAX);
    for _ in 0..2 {
        let (before, mut runs) = (seconds(start), 0_u32);
        let spent = loop {
            let mut stream = redactor.stream("bench", format);
            for chunk in content.chunks(PUSH) {
                out.clear();
                stream.push(chunk, &mut out).ok()?;
            }
            stream.finish(&mut out).ok()?;
            runs += 1;
            let spent = seconds(start) - before;
            if spent > 0.008 {
                break spent;
            }
        };
        best = best.min(spent * 1e9 / f64::from(runs) / size as f64);
    }
    Some(best)
}

/// Beginnings of what rules and code look for.
fn pieces(redactor: &Redactor) -> Vec<String> {
    let anchors = redactor.rules().iter().filter_map(|r| r.definition.as_ref()).flat_map(|d| d.anchors.clone());
    let names = [
        "password",
        "token",
        "secret",
        "name",
        "value",
        "key",
        "auth",
        "session",
        "data",
        "kind",
        "Secret",
        "private_key",
    ];
    let mut all: Vec<String> = anchors.chain(shapes().into_iter().map(|(_, piece)| piece)).collect();
    all.retain(|piece| piece.len() <= 64);
    // As often as all others together.
    let few = all.len() / 2;
    all.extend(GLUE.iter().cycle().take(few).map(|g| (*g).to_owned()));
    all.extend(names.iter().cycle().take(few).map(|n| (*n).to_owned()));
    all
}

/// Searches for so many seconds and prints the slowest inputs.
pub(crate) fn search(limit: u64) {
    let redactor = Redactor::new(CorrelationKey::from_bytes([7; 32])).unwrap();
    let pieces = pieces(&redactor);
    let formats = [Format::Text, Format::Json, Format::Yaml, Format::Toml, Format::Env];
    let end = Instant::now() + Duration::from_secs(limit);
    let mut random = Random::new(std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1));
    let mut slowest: Vec<(f64, Format, Vec<usize>)> = Vec::new();
    let mut all = Vec::new();
    let mut below = |limit: usize| random.below(limit as u64) as usize;
    let text = |input: &[usize]| input.iter().map(|i| pieces[*i].as_str()).collect::<String>();
    for format in formats.into_iter().cycle() {
        if Instant::now() > end {
            break;
        }
        let mut input: Vec<usize> = std::array::from_fn::<_, 4, _>(|_| below(pieces.len())).to_vec();
        let mut best = cost(&redactor, format, text(&input).as_bytes(), SMALL).unwrap_or(0.0);
        all.push(best);
        let mut failures = 0;
        while failures < PATIENCE && Instant::now() < end {
            let mut next = input.clone();
            let at = below(next.len());
            match below(4) {
                0 if next.len() < PIECES => next.insert(at, below(pieces.len())),
                1 if next.len() > 1 => drop(next.remove(at)),
                2 if next.len() < PIECES => next.insert(at, next[at]),
                _ => next[at] = below(pieces.len()),
            }
            let cost = cost(&redactor, format, text(&next).as_bytes(), SMALL).unwrap_or(0.0);
            all.push(cost);
            if cost > best * 1.02 {
                (input, best, failures) = (next, cost, 0);
            } else {
                failures += 1;
            }
        }
        slowest.push((best, format, input));
    }
    all.sort_by(f64::total_cmp);
    slowest.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("{} inputs tried, {} searches; median {:.1} ns/byte", all.len(), slowest.len(), all[all.len() / 2]);
    let usual = median(&redactor).unwrap_or(f64::NAN);
    println!("the median of the fuzzers' kept inputs: {usual:.1} ns/byte");
    println!("{:>9}{:>9}{:>10}  format  input", "32 KiB", "512 KiB", "x median");
    for (small, format, input) in slowest.iter().take(12) {
        let text = text(input);
        let large = cost(&redactor, *format, text.as_bytes(), LARGE).unwrap_or(0.0);
        println!("{small:>9.1}{large:>9.1}{:>10.1}  {:<7} {text:?}", small / usual, format!("{format:?}"));
    }
}
