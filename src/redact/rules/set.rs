//! The compiled rules.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use sha2::{Digest, Sha256};

use super::class::Class;
use super::load::{Source, locate, sources};
use super::{Boundary, RuleDef, RuleInfo, builtin};
use crate::redact::RedactError;
use crate::redact::scan::literals::Literals;
use crate::redact::token;

/// Longest pattern.
const MAX_PATTERN: usize = 4 << 10;
/// Largest window behind an anchor.
const MAX_WINDOW: usize = 8 << 10;
/// Largest window before an anchor.
const MAX_LOOKBACK: usize = 128;
/// Most bytes of a compiled pattern.
const MAX_PROGRAM: usize = 1 << 20;
/// Most memory for the states of one pattern, each direction and each thread.
const CACHE: usize = 256 << 10;

/// Detectors that are code. Their index is their place in this table.
pub(in crate::redact) mod engine {
    /// Id, kind, description.
    pub(in crate::redact) const TABLE: [(&str, &str, &str); 17] = [
        ("key-password", "password", "value of a setting named like a password"),
        ("key-token", "token", "value of a setting named like a token"),
        ("key-secret", "secret", "value of a setting named like a secret"),
        ("key-api-key", "api-key", "value of a setting named like an API or access key"),
        ("key-private-key", "private-key", "value of a setting named like a private key, wallet keys included"),
        ("key-credential", "credential", "value of a setting named like credentials or authorization"),
        ("key-session", "session", "value of a session id or cookie"),
        ("key-mnemonic", "mnemonic", "wallet recovery phrase under a key that says so"),
        ("key-signature", "signature", "signature of a request or URL"),
        (
            "pem-private-key",
            "private-key",
            "PEM private key in any shape: lines, escaped, block scalar, base64, truncated",
        ),
        ("url-password", "password", "password or token in the userinfo of a URL or DSN"),
        ("jwt", "jwt", "JSON web token"),
        ("authorization", "credential", "credentials behind Bearer, Basic and other schemes"),
        ("cookie", "cookie", "cookie values"),
        ("encoded", "encoded", "a secret inside base64"),
        ("kubernetes-secret", "secret", "values of a Kubernetes Secret"),
        ("known-value", "secret", "value that is secret elsewhere, wherever it stands and however it is encoded"),
    ];
    pub(in crate::redact) const PASSWORD: u16 = 0;
    pub(in crate::redact) const TOKEN: u16 = 1;
    pub(in crate::redact) const SECRET: u16 = 2;
    pub(in crate::redact) const API_KEY: u16 = 3;
    pub(in crate::redact) const PRIVATE_KEY: u16 = 4;
    pub(in crate::redact) const CREDENTIAL: u16 = 5;
    pub(in crate::redact) const SESSION: u16 = 6;
    pub(in crate::redact) const MNEMONIC: u16 = 7;
    pub(in crate::redact) const SIGNATURE: u16 = 8;
    pub(in crate::redact) const PEM: u16 = 9;
    pub(in crate::redact) const URL: u16 = 10;
    pub(in crate::redact) const JWT: u16 = 11;
    pub(in crate::redact) const AUTHORIZATION: u16 = 12;
    pub(in crate::redact) const COOKIE: u16 = 13;
    pub(in crate::redact) const ENCODED: u16 = 14;
    pub(in crate::redact) const KUBERNETES_SECRET: u16 = 15;
    pub(in crate::redact) const KNOWN: u16 = 16;
}

/// How a rule checks a candidate.
pub(in crate::redact) enum Check {
    Run {
        class: Box<Class>,
        min: usize,
        max: usize,
    },
    Pattern {
        regex: Regex,
        group: usize,
        lookback: usize,
        max_len: usize,
    },
    /// A rule of keys only.
    Never,
}

/// One rule, compiled.
pub(in crate::redact) struct Compiled {
    pub(in crate::redact) id: String,
    pub(in crate::redact) kind: String,
    pub(in crate::redact) left: Boundary,
    pub(in crate::redact) check: Check,
}

/// What an anchor leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redact) enum Anchor {
    /// A rule with this index.
    Rule(u16),
    /// `://`
    Url,
    /// `@tcp(` and the like: a DSN without a scheme.
    Dsn,
    /// `eyJ`
    Jwt,
    /// `PRIVATE KEY`
    Pem,
    /// `Private-Lines:` of a PuTTY key.
    PrivateLines,
    /// `kind: Secret` in YAML.
    SecretKind,
    /// `data:` or `stringData:` in YAML.
    SecretData,
    /// `\u00`: an escaped ASCII character.
    Escape,
    /// `value:` or `"value":`, whose name may follow on another line.
    PairValue,
    /// `data:` or `"data":` in front of a mapping on its line.
    FlowData,
}

/// The stamp of the next rule set.
static STAMP: AtomicU64 = AtomicU64::new(0);

/// All rules of a run. Shared, immutable.
pub(in crate::redact) struct RuleSet {
    pub(in crate::redact) rules: Vec<Compiled>,
    pub(in crate::redact) literals: Literals,
    /// Normalised setting names of rules with `keys`.
    pub(in crate::redact) keys: HashMap<Vec<u8>, u16>,
    disabled: HashSet<u16>,
    kinds: HashSet<Vec<u8>>,
    pub(in crate::redact) infos: Vec<RuleInfo>,
    pub(in crate::redact) sha256: String,
    /// Tells this set from all others of the process.
    pub(in crate::redact) stamp: u64,
}

impl RuleSet {
    /// The built-in rules; compiled once a process.
    pub(in crate::redact) fn builtin() -> Result<Arc<Self>, RedactError> {
        static SET: OnceLock<Result<Arc<RuleSet>, String>> = OnceLock::new();
        SET.get_or_init(|| Self::build(&builtin::sources().map_err(|p| p.0)?, &[]).map(Arc::new))
            .clone()
            .map_err(RedactError::Rules)
    }

    /// The built-in rules, those of `dirs`, and without those in `disabled`.
    pub(in crate::redact) fn with(dirs: &[&Path], disabled: &[String]) -> Result<Arc<Self>, RedactError> {
        if dirs.is_empty() && disabled.is_empty() {
            return Self::builtin();
        }
        let wrap = |p: super::Problem| RedactError::Rules(p.0);
        let mut all = builtin::sources().map_err(wrap)?;
        for dir in dirs {
            all.extend(sources(dir).map_err(wrap)?);
        }
        Self::build(&all, disabled).map(Arc::new).map_err(RedactError::Rules)
    }

    pub(in crate::redact) fn build(sources: &[Source], disabled: &[String]) -> Result<Self, String> {
        let mut set = Self {
            rules: Vec::new(),
            literals: Literals::default(),
            keys: HashMap::new(),
            disabled: HashSet::new(),
            kinds: HashSet::new(),
            infos: Vec::new(),
            sha256: String::new(),
            stamp: STAMP.fetch_add(1, Ordering::Relaxed),
        };
        for (id, kind, description) in engine::TABLE {
            set.add_engine_rule(id, kind, description);
        }
        let mut anchors: Vec<(Vec<u8>, Anchor)> = [
            ("://", Anchor::Url),
            ("@tcp(", Anchor::Dsn),
            ("@unix(", Anchor::Dsn),
            ("eyJ", Anchor::Jwt),
            ("PRIVATE KEY", Anchor::Pem),
            ("Private-Lines:", Anchor::PrivateLines),
            ("\\u00", Anchor::Escape),
            ("kind: Secret", Anchor::SecretKind),
            ("data:", Anchor::SecretData),
            ("stringData:", Anchor::SecretData),
            ("data:", Anchor::FlowData),
            ("Data:", Anchor::FlowData),
            ("data\":", Anchor::FlowData),
            ("Data\":", Anchor::FlowData),
            ("data\\\"", Anchor::FlowData),
            ("Data\\\"", Anchor::FlowData),
            ("data\\\\", Anchor::FlowData),
            ("Data\\\\", Anchor::FlowData),
            ("value:", Anchor::PairValue),
            ("value\":", Anchor::PairValue),
            ("Value:", Anchor::PairValue),
            ("Value\":", Anchor::PairValue),
        ]
        .map(|(text, anchor)| (text.as_bytes().to_vec(), anchor))
        .to_vec();
        let mut ids: HashSet<String> = set.rules.iter().map(|r| r.id.clone()).collect();
        let mut digest = Sha256::new();
        for source in sources {
            digest.update(source.name.rsplit('/').next().unwrap_or_default());
            digest.update([0]);
            digest.update(&source.text);
            digest.update([0]);
            for rule in &source.rules {
                let place = || format!("{}: rule `{}`", locate(source, &rule.id), rule.id);
                if !ids.insert(rule.id.clone()) {
                    return Err(format!("{}: the id is taken; choose another one", place()));
                }
                set.add(rule, &source.name, &mut anchors).map_err(|what| format!("{}: {what}", place()))?;
            }
        }
        for id in disabled {
            let index = set.rules.iter().position(|r| r.id == *id).and_then(|i| u16::try_from(i).ok());
            let index = index.ok_or_else(|| {
                format!("cannot switch off `{id}`: there is no such rule (`casefile redact rules list` names them)")
            })?;
            set.disabled.insert(index);
        }
        set.literals = Literals::new(&anchors, set.keys.keys());
        set.sha256 = digest.finalize().iter().map(|b| format!("{b:02x}")).collect();
        Ok(set)
    }

    fn add_engine_rule(&mut self, id: &str, kind: &str, description: &str) {
        self.kinds.insert(kind.as_bytes().to_vec());
        self.rules.push(Compiled {
            id: id.to_owned(),
            kind: kind.to_owned(),
            left: Boundary::None,
            check: Check::Never,
        });
        self.infos.push(RuleInfo {
            id: id.to_owned(),
            kind: kind.to_owned(),
            description: description.to_owned(),
            source: "engine".to_owned(),
            definition: None,
        });
    }

    fn add(&mut self, rule: &RuleDef, source: &str, anchors: &mut Vec<(Vec<u8>, Anchor)>) -> Result<(), String> {
        let index = u16::try_from(self.rules.len()).map_err(|_| "too many rules")?;
        let word = |text: &str, max: usize| {
            text.len() <= max && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if rule.id.len() < 3 || !word(&rule.id, 48) {
            return Err("`id` must be 3 to 48 of a-z, 0-9 and -".to_owned());
        }
        let kind_ok = |b: u8| b.is_ascii_lowercase() || b == b'-';
        if !(2..=16).contains(&rule.kind.len()) || !rule.kind.bytes().all(kind_ok) {
            return Err("`kind` must be 2 to 16 of a-z and -".to_owned());
        }
        if rule.examples.is_empty() {
            return Err("a rule needs `examples` that it must redact".to_owned());
        }
        if rule.anchors.is_empty() && rule.keys.is_empty() {
            return Err("a rule needs `anchors` (literals of three bytes or more) or `keys`".to_owned());
        }
        for anchor in &rule.anchors {
            if !(3..=64).contains(&anchor.len()) {
                return Err(format!("the anchor {anchor:?} must have 3 to 64 bytes"));
            }
            anchors.push((anchor.as_bytes().to_vec(), Anchor::Rule(index)));
        }
        for key in &rule.keys {
            let normal = normal_key(key.as_bytes());
            if normal.len() < 4 {
                return Err(format!("the key {key:?} must have at least 4 letters or digits"));
            }
            self.keys.insert(normal, index);
        }
        let check = check(rule)?;
        self.kinds.insert(rule.kind.as_bytes().to_vec());
        self.rules.push(Compiled { id: rule.id.clone(), kind: rule.kind.clone(), left: rule.left, check });
        self.infos.push(RuleInfo {
            id: rule.id.clone(),
            kind: rule.kind.clone(),
            description: rule.description.clone(),
            source: source.to_owned(),
            definition: Some(rule.clone()),
        });
        Ok(())
    }

    pub(in crate::redact) fn is_on(&self, rule: u16) -> bool {
        self.disabled.is_empty() || !self.disabled.contains(&rule)
    }

    pub(in crate::redact) fn rule(&self, rule: u16) -> Option<&Compiled> {
        self.rules.get(usize::from(rule))
    }

    pub(in crate::redact) fn kind(&self, rule: u16) -> &str {
        self.rule(rule).map_or("secret", |r| r.kind.as_str())
    }

    pub(in crate::redact) fn disabled(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.disabled.iter().filter_map(|i| self.rule(*i)).map(|r| r.id.clone()).collect();
        ids.sort();
        ids
    }

    /// The text with a letter in the place of each replacement of ours; none when there is no replacement.
    pub(in crate::redact) fn without_own(&self, value: &[u8]) -> Option<Vec<u8>> {
        token::without_own(value, |kind| self.kinds.contains(kind))
    }

    /// Whether a part of a text stands inside of one replacement of ours.
    pub(in crate::redact) fn is_inside_own(&self, bytes: &[u8], start: usize, end: usize) -> bool {
        let floor = start.saturating_sub(token::MAX_LEN);
        let roof = bytes.len().min(start + token::PREFIX.len());
        memchr::memmem::find_iter(&bytes[floor..roof], token::PREFIX).map(|i| floor + i).any(|at| {
            token::own_head(&bytes[at..]).is_some_and(|(len, kind)| end <= at + len && self.kinds.contains(kind))
        })
    }

    /// Whether nothing of a text is left but replacements of ours and a little punctuation around them.
    pub(in crate::redact) fn is_redacted(&self, value: &[u8]) -> bool {
        self.is_own(value) || self.without_own(value).is_some_and(|rest| is_leftover(&rest))
    }

    /// Whether a text is exactly one replacement of ours. A text that only looks like one has an unknown kind or no id.
    pub(in crate::redact) fn is_own(&self, value: &[u8]) -> bool {
        token::kind_of_own(value).is_some_and(|kind| self.kinds.contains(kind))
    }
}

/// Whether a text without its replacements is short and holds no letter or digit of its own, but for those of escapes.
fn is_leftover(rest: &[u8]) -> bool {
    const MOST: usize = 12;
    let mut escaped = false;
    rest.len() <= MOST
        && rest.iter().all(|b| {
            let fine = *b == token::STAND_IN
                || b.is_ascii_punctuation()
                || b.is_ascii_whitespace()
                || (escaped && matches!(b, b'n' | b'r' | b't'));
            escaped = *b == b'\\';
            fine
        })
}

/// A setting's name without case and separators.
pub(in crate::redact) fn normal_key(key: &[u8]) -> Vec<u8> {
    key.iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect()
}

fn check(rule: &RuleDef) -> Result<Check, String> {
    match (&rule.run, &rule.pattern) {
        (Some(_), Some(_)) => Err("a rule has `run` or `pattern`, not both".to_owned()),
        (None, None) if rule.anchors.is_empty() => Ok(Check::Never),
        (None, None) => Err("a rule with `anchors` needs `run` or `pattern`".to_owned()),
        (Some(_), None) if rule.anchors.is_empty() => Err("`run` needs `anchors`".to_owned()),
        (Some(run), None) => {
            if run.min == 0 || run.max.is_some_and(|max| max < run.min) {
                return Err("`run` needs 1 <= min <= max".to_owned());
            }
            Ok(Check::Run {
                class: Box::new(Class::parse(&run.class)?),
                min: run.min,
                max: run.max.unwrap_or(usize::MAX),
            })
        }
        (None, Some(pattern)) => pattern_check(rule, pattern),
    }
}

fn pattern_check(rule: &RuleDef, pattern: &str) -> Result<Check, String> {
    if rule.anchors.is_empty() {
        return Err("`pattern` needs `anchors`: a pattern never runs over a whole text".to_owned());
    }
    if pattern.len() > MAX_PATTERN {
        return Err(format!("`pattern` is longer than {MAX_PATTERN} bytes"));
    }
    if rule.max_len > MAX_WINDOW || rule.lookback > MAX_LOOKBACK {
        return Err(format!("`max_len` is at most {MAX_WINDOW} and `lookback` at most {MAX_LOOKBACK}"));
    }
    let regex = Regex::builder()
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .configure(
            Regex::config()
                .utf8_empty(false)
                .nfa_size_limit(Some(MAX_PROGRAM))
                .hybrid_cache_capacity(CACHE)
                .onepass_size_limit(Some(256 << 10))
                .dfa(false),
        )
        .build(pattern)
        .map_err(|e| {
            let detail = e.syntax_error().map_or_else(|| e.to_string(), ToString::to_string);
            format!("`pattern` does not compile: {detail}")
        })?;
    if regex.is_match(b"") {
        return Err("`pattern` matches the empty text".to_owned());
    }
    let group = match &rule.mask {
        None => 0,
        Some(name) => regex
            .group_info()
            .to_index(regex_automata::PatternID::ZERO, name)
            .ok_or_else(|| format!("`mask` names the group {name:?}, which `pattern` does not have"))?,
    };
    Ok(Check::Pattern { regex, group, lookback: rule.lookback, max_len: rule.max_len })
}
