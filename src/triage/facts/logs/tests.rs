use proptest::prelude::*;

use super::scan::CHUNK;
use super::*;
use crate::triage::signatures::FOLLOW_LINES;

fn scan(text: &str) -> LogFacts {
    LogScanner::new(Signatures::of_profile("kms")).scan("x.log", text.as_bytes(), &mut Vec::new()).unwrap()
}

fn cause(text: &str) -> (String, u64) {
    let cause = scan(text).cause().unwrap();
    let Place::Line(line) = cause.evidence[0].place else { panic!() };
    (cause.text, line)
}

#[test]
fn the_telling_line_is_found() {
    for (log, want, line) in [
        (
            "starting\nthread main panicked at src/main.rs:42:10:\ncalled Result::unwrap() on an Err value: PoolTimedOut\n",
            "panic: called Result::unwrap() on an Err value: PoolTimedOut",
            2,
        ),
        (
            "a\nError: transport error: tcp connect error: Connection refused (os error 111)",
            "Error: transport error: tcp connect error: Connection refused (os error 111)",
            2,
        ),
        ("Error: cannot load\n\nCaused by:\n    0: reading\n    1: unknown field `x`\n", "unknown field `x`", 1),
        ("2026-11-21T06:32:20Z ERROR boom\n2026-11-21T06:32:21Z INFO bye\n", "ERROR boom", 1),
        ("Traceback (most recent call last):\n  File \"x\", line 1\nValueError: no\n", "ValueError: no", 1),
        (
            "panic: runtime error: index out of range\n\ngoroutine 1 [running]:\n",
            "panic: runtime error: index out of range",
            1,
        ),
    ] {
        assert_eq!(cause(log), (want.to_owned(), line), "{log}");
    }
    let last = scan("one\ntwo\n\nthree\nfour\n").cause().unwrap();
    assert!(!last.is_error);
    assert_eq!(last.text, "four");
    assert_eq!(last.evidence[0].place, Place::Line(2));
}

#[test]
fn what_the_kubelet_writes_is_not_a_log() {
    assert!(!scan("unable to retrieve container logs for containerd://2ae4").has_text());
    assert!(!scan("").has_text());
    assert!(scan("x").has_text());
}

#[test]
fn signatures_have_lines_and_counts() {
    let log = scan(
        "a\nNo space left on device\nb\nx: os error 28\nError: a\nCaused by: missing configuration field \"service\"\n",
    );
    let ids: Vec<_> = log.hits.values().map(|h| (h.line, h.count)).collect();
    assert_eq!(ids, vec![(6, 1), (2, 2)]);
}

/// Hits of one signature made of these keys: count, first line, whether it is enough.
fn hits(keys: &str, text: &str) -> Option<(u64, u64, bool)> {
    let file = format!(
        "schema = 1\n[[signature]]\nid = \"A\"\nregex = 'boom'\nanchors = ['boom']\nwhen = \"seen\"\nmeaning = \"m\"\nremedy = [\"r\"]\n{keys}\n"
    );
    let signatures = crate::triage::signatures::parse("s", &file).unwrap();
    let log = LogScanner::new(Some(Arc::new(signatures))).scan("x.log", text.as_bytes(), &mut Vec::new()).unwrap();
    log.hits.get(&0).map(|h| (h.count, h.line, h.enough))
}

#[test]
fn some_signatures_must_be_seen_often() {
    assert_eq!(hits("min_count = 3", "boom\nboom\n"), Some((2, 1, false)));
    assert_eq!(hits("min_count = 3", "boom\nx\nboom\nboom\n"), Some((3, 1, true)));
    let window = "min_count = 2\nwindow = \"1m\"";
    assert_eq!(hits(window, "boom\nboom\n"), Some((2, 1, false)), "lines without a time do not count");
    let at = |time: &str| format!("2026-11-21T{time}Z boom\n");
    assert_eq!(hits(window, &(at("06:00:00") + &at("06:05:00"))), Some((2, 1, false)));
    assert_eq!(hits(window, &(at("06:00:00") + &at("06:05:00") + &at("06:05:59"))), Some((3, 1, true)));
}

#[test]
fn some_signatures_need_a_line_behind_them() {
    let keys = "followed_by = 'because'";
    assert_eq!(hits(keys, "boom\nx\n"), None);
    assert_eq!(hits(keys, "boom because\nx\n"), None, "it must be another line");
    assert_eq!(hits(keys, "a\nboom\nx\nbecause of y\n"), Some((1, 2, true)));
    assert_eq!(hits(keys, &format!("boom\n{}because\n", "x\n".repeat(FOLLOW_LINES))), None);
    // The line behind it may be in another part of a large log.
    let filler = format!("{}\n", "y".repeat(99)).repeat(CHUNK / 100 * 2);
    for pad in 0..4 {
        let text = format!("{}{}boom\n{}because\n", "z".repeat(pad), &filler[..CHUNK - 7], "x\n");
        assert_eq!(hits(keys, &text).map(|h| h.0), Some(1), "{pad}");
    }
}

#[test]
fn very_long_lines_cost_one_line() {
    let text = format!("{}\nError: {}\nlast\n", "x".repeat(CHUNK * 3), "y".repeat(CHUNK));
    let log = scan(&text);
    assert_eq!(log.lines, 3);
    assert_eq!(log.tail.last().unwrap(), &(3, "last".to_owned()));
    assert_eq!(log.fatal.unwrap().line, 2);
}

/// Gives its bytes a few at a time.
struct Slow<'a>(&'a [u8], usize);

impl std::io::Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.1.min(self.0.len()).min(buffer.len());
        buffer[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

#[test]
fn the_sizes_of_reads_change_nothing() {
    let text =
        "2026-11-21T06:00:00Z INFO a\nError: failed\n\nCaused by:\n    0: x\nNo space left on device\nlast".repeat(40);
    let whole = format!("{:?}", scan(&text));
    for step in [1, 7, 4096] {
        let scanner = LogScanner::new(Signatures::of_profile("kms"));
        let log = scanner.scan("x.log", Slow(text.as_bytes(), step), &mut Vec::new()).unwrap();
        assert_eq!(format!("{log:?}"), whole, "{step}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..2000)) {
        let log = LogScanner::new(None).scan("x", bytes.as_slice(), &mut Vec::new()).unwrap();
        let lines = bytes.split(|b| *b == b'\n').count() as u64 - u64::from(bytes.is_empty() || bytes.ends_with(b"\n"));
        prop_assert_eq!(log.lines, lines);
        for (line, text) in &log.tail {
            let real = bytes.split(|b| *b == b'\n').nth(usize::try_from(*line).unwrap() - 1).unwrap();
            let real = String::from_utf8_lossy(real);
            prop_assert_eq!(text.as_str(), real.trim_end());
        }
    }
}
