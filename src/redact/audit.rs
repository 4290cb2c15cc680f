//! The independent audit of finished bytes: other code than the engine, plain regular expressions, high confidence only.
//!
//! It exists to catch a mistake of the engine, so it shares nothing with it, and it says where and by which rule, never
//! what it saw.

mod encoded;
#[cfg(test)]
mod tests;

use std::io::{self, Read};

use aho_corasick::{AhoCorasick, Input, MatchKind};
use regex::bytes::{Regex, RegexBuilder};

/// Longest piece of a line that is looked at as one.
const WINDOW: usize = 64 << 10;
/// What two pieces of a longer line have in common.
const OVERLAP: usize = 8 << 10;
/// Most hits that one file gives.
const MAX_HITS: usize = 100;

/// A detector: its id, literals of which one stands in every match, and its pattern. A group named `v` holds the value.
type Rule = (&'static str, &'static [&'static str], &'static str);

const RULES: [Rule; 16] = [
    ("audit-aws-access-key", &["AKIA", "ASIA"], r"(?:AKIA|ASIA)[A-Z2-7]{16}"),
    (
        "audit-github-token",
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}",
    ),
    ("audit-gitlab-token", &["glpat-"], r"glpat-[A-Za-z0-9_-]{20,}"),
    (
        "audit-slack-token",
        &["xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-", "xoxe-"],
        r"xox[abpsre]-[0-9]{6,}-[A-Za-z0-9-]{16,}",
    ),
    ("audit-npm-token", &["npm_"], r"npm_[A-Za-z0-9]{36}"),
    ("audit-google-key", &["AIza", "ya29."], r"AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{30,}"),
    ("audit-stripe-key", &["k_live_"], r"[sr]k_live_[A-Za-z0-9]{20,}"),
    ("audit-vault-token", &["hvs."], r"hvs\.[A-Za-z0-9_-]{24,}"),
    ("audit-jwt", &["eyJ"], r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{10,}"),
    (
        "audit-url-password",
        &["://"],
        r"[a-z][a-z0-9+.-]{1,30}://[A-Za-z0-9._%+-]{0,64}:(?P<v>[^\s/@:\x22'<>${}*\\]{3,128})@[A-Za-z0-9.\[-]",
    ),
    (
        "audit-bearer",
        &["uthorization", "UTHORIZATION"],
        r"(?i:authorization)[\x22':=\s\\]{1,6}(?i:bearer|basic)\s+(?P<v>[A-Za-z0-9._~+/-]{16,})",
    ),
    (
        "audit-password",
        &["assword", "ASSWORD", "asswd", "ASSWD"],
        r"(?i:password|passwd)\\?[\x22']?\s{0,2}[=:]\s{0,2}\\?[\x22'](?P<v>[^\x22'\s\\]{6,128})\\?[\x22']",
    ),
    (
        "audit-aws-secret",
        &["ecret_access_key", "ECRET_ACCESS_KEY"],
        r"(?i:aws_secret_access_key)[\x22':=\s\\]{1,6}(?P<v>[A-Za-z0-9/+]{40})",
    ),
    ("audit-openssh-body", &["b3BlbnNzaC1rZXktdjE"], r"b3BlbnNzaC1rZXktdjE[A-Za-z0-9+/]{40,}"),
    (
        "audit-pem-one-line",
        &["PRIVATE KEY-----"],
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\\nr\x22]{0,16}[A-Za-z0-9+/]{40,}",
    ),
    (
        "audit-pem-base64",
        &["LS0tLS1CRUdJTiB"],
        r"(?:LS0tLS1CRUdJTiBQUklWQVRF|LS0tLS1CRUdJTiBSU0EgUFJJVkFUR|LS0tLS1CRUdJTiBFQyBQUklWQVRF)[A-Za-z0-9+/]{60,}",
    ),
];
/// Encodings in each other that are taken off.
const MAX_DEPTH: u8 = 2;
/// Bytes in front of a literal that a match may have.
const BEFORE: usize = 64;
/// Bytes behind the start of a literal in which a match must show itself.
const BEHIND: usize = 512;

/// One place where a finished file seems to hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditHit {
    /// The detector.
    pub rule: String,
    /// The file.
    pub path: String,
    /// The line, counted from 1.
    pub line: u64,
}

/// The detectors, compiled once.
pub struct Audit {
    rules: Vec<(&'static str, Regex)>,
    /// Finds the literals; the value of each is the index of its rule.
    literals: Option<(AhoCorasick, Vec<usize>)>,
    own: Option<Regex>,
    /// A replacement of ours anywhere in a text.
    replacement: Option<Regex>,
    canaries: Vec<Vec<u8>>,
}

impl Default for Audit {
    fn default() -> Self {
        Self::new()
    }
}

fn compile(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).unicode(false).build().ok()
}

impl Audit {
    /// All detectors.
    #[must_use]
    pub fn new() -> Self {
        let (texts, owners): (Vec<&str>, Vec<usize>) = RULES
            .iter()
            .enumerate()
            .flat_map(|(i, (_, literals, _))| literals.iter().map(move |literal| (*literal, i)))
            .unzip();
        Self {
            rules: RULES.iter().filter_map(|(id, _, p)| compile(p).map(|r| (*id, r))).collect(),
            // This kind of match has a vectorised prefilter.
            literals: AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostFirst)
                .build(texts)
                .ok()
                .map(|searcher| (searcher, owners)),
            // Data of a Secret stays base64, so our own replacement stands there encoded.
            own: compile(r"^[\x22'\\]*(?:REDACTED-[a-z-]{2,16}-[a-z2-7]{12}|UkVEQUNURUQt[A-Za-z0-9+/]{12,48}={0,2}$)"),
            replacement: compile(r"REDACTED-[a-z-]{2,16}-[a-z2-7]{12}"),
            canaries: Vec::new(),
        }
    }

    /// Also looks for given texts, such as secrets that a test has planted. They are never shown.
    #[must_use]
    pub fn with_canaries(mut self, canaries: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.canaries.extend(canaries.into_iter().filter(|c| c.len() >= 4));
        self
    }

    /// Reads a file to its end with bounded memory.
    ///
    /// # Errors
    /// When reading fails.
    pub fn scan(&self, path: &str, reader: &mut dyn Read) -> io::Result<Vec<AuditHit>> {
        let mut hits = Vec::new();
        let mut buffer = vec![0_u8; 4 * WINDOW];
        let mut filled = 0;
        let mut line = 1;
        let mut pem: Option<u64> = None;
        loop {
            let read = match reader.read(&mut buffer[filled..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            filled += read;
            let last = read == 0;
            // Whole lines, or a piece of one that is longer than the buffer.
            let end = if last { filled } else { memchr::memrchr(b'\n', &buffer[..filled]).map_or(0, |i| i + 1) };
            let (end, keep) = if end == 0 && filled == buffer.len() { (filled, filled - OVERLAP) } else { (end, end) };
            if end > 0 {
                self.block(path, &buffer[..end], line, &mut pem, &mut hits);
                line += memchr::memchr_iter(b'\n', &buffer[..keep]).count() as u64;
                buffer.copy_within(keep..filled, 0);
                filled -= keep;
            }
            if last || hits.len() >= MAX_HITS {
                break;
            }
        }
        hits.sort();
        hits.dedup();
        hits.truncate(MAX_HITS);
        Ok(hits)
    }

    fn block(&self, path: &str, block: &[u8], first: u64, pem: &mut Option<u64>, hits: &mut Vec<AuditHit>) {
        let hit = |rule: &str, line: u64| AuditHit { rule: rule.to_owned(), path: path.to_owned(), line };
        let line_at = |at: usize| first + memchr::memchr_iter(b'\n', &block[..at]).count() as u64;
        self.text(block, 0, &mut |rule, at| {
            if hits.len() < 2 * MAX_HITS {
                hits.push(hit(rule, line_at(at)));
            }
        });
        self.key_lines(block, first, pem, |line| hits.push(hit("audit-pem-private-key", line)));
    }

    /// Shows rule and place of each secret in a text, and in the texts that it holds in an encoding.
    fn text(&self, block: &[u8], depth: u8, hit: &mut dyn FnMut(&'static str, usize)) {
        if let Some((searcher, owners)) = &self.literals {
            let mut next = 0;
            while let Some(literal) = searcher.find(Input::new(block).range(next..)) {
                // A literal may begin inside of another one.
                next = literal.start() + 1;
                let Some((id, rule)) = self.rules.get(owners[literal.pattern().as_usize()]) else { continue };
                let from = literal.start().saturating_sub(BEFORE);
                let window = &block[from..block.len().min(literal.start() + BEHIND)];
                for found in rule.captures_iter(window) {
                    let Some(value) = found.name("v").or_else(|| found.get(0)) else { continue };
                    if !self.is_harmless(value.as_bytes()) {
                        hit(id, from + value.start());
                    }
                }
            }
        }
        for canary in &self.canaries {
            if let Some(at) = memchr::memmem::find(block, canary) {
                hit("audit-canary", at);
            }
        }
        if depth < MAX_DEPTH {
            encoded::texts(block, &mut |at, text| {
                self.text(text, depth + 1, &mut |rule, _| hit(rule, at));
                self.key_lines(text, 1, &mut None, |_| hit("audit-pem-private-key", at));
            });
        }
    }

    /// Whether a value is a replacement of ours in an encoding. What else stands in it is looked at on its own.
    fn is_encoded_replacement(&self, value: &[u8], depth: u8) -> bool {
        let mut found = false;
        encoded::texts(value, &mut |_, text| {
            found = found
                || self.replacement.as_ref().is_some_and(|own| own.is_match(text))
                || (depth + 1 < MAX_DEPTH && self.is_encoded_replacement(text, depth + 1));
        });
        found
    }

    /// Lines of key material behind a header.
    fn key_lines(&self, block: &[u8], first: u64, pem: &mut Option<u64>, mut hit: impl FnMut(u64)) {
        if pem.is_none() && memchr::memmem::find(block, b"PRIVATE KEY-----").is_none() {
            return;
        }
        for (i, line) in block.split(|b| *b == b'\n').enumerate() {
            let number = first + i as u64;
            if memchr::memmem::find(line, b"-----END").is_some() {
                *pem = None;
            } else if memchr::memmem::find(line, b"-----BEGIN").is_some() {
                *pem = memchr::memmem::find(line, b"PRIVATE KEY-----").map(|_| number);
            } else if pem.is_some_and(|begin| number <= begin + 4) {
                let word = line.trim_ascii().rsplit(|b| b.is_ascii_whitespace()).next().unwrap_or_default();
                let base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
                if word.len() >= 40 && word.iter().all(base64) {
                    hit(number);
                    *pem = None;
                }
            } else if pem.is_some_and(|begin| number > begin + 4) {
                *pem = None;
            }
        }
    }

    fn is_harmless(&self, value: &[u8]) -> bool {
        self.own.as_ref().is_some_and(|own| own.is_match(value))
            || value.starts_with(b"REDACTED")
            || value.starts_with(b"***")
            || (value.starts_with(b"$")
                && value[1..].iter().all(|b| b.is_ascii_uppercase() || matches!(b, b'_' | b'(' | b')' | b'{' | b'}')))
            || (value.starts_with(b"<") && value.ends_with(b">"))
            || value.starts_with(b"{{")
            || self.is_encoded_replacement(value, 0)
    }
}
