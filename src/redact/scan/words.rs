//! Decides by its words whether the name of a setting says that the value is secret.

use std::cell::RefCell;

use super::vocabulary::{
    ALWAYS, CREDENTIAL, GLUED, HARMLESS, KEY_OF, MNEMONIC, NEGATIVE_FIRST, NEGATIVE_LAST, NEUTRAL_LAST, PASSWORD,
    SECRET, TOKEN, WEAK,
};
use crate::redact::rules::engine;
use crate::redact::token;

/// What a name says about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redact) enum Class {
    /// Nothing secret.
    Benign,
    /// Secret, whatever the value looks like.
    Secret(u16),
    /// Secret if the value looks random.
    Weak(u16),
    /// Secret if the value is 32 bytes of hex: a wallet key.
    Hex(u16),
    /// `PWD`: the working directory of a shell, or a password.
    Directory,
}

/// Longest name that is looked at.
const MAX_KEY: usize = 160;
const MAX_WORDS: usize = 24;

/// The length of a name, its first and its last eight bytes, which are all of a short name.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
struct Ends {
    len: usize,
    head: u64,
    tail: u64,
}

impl Ends {
    fn of(key: &[u8]) -> Self {
        let four = |four: &[u8; 4]| u64::from(u32::from_le_bytes(*four));
        let (head, tail) = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
            (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
            _ => match (key.first_chunk::<4>(), key.last_chunk::<4>()) {
                (Some(head), Some(tail)) => (four(head), four(tail)),
                _ => (key.iter().fold(0, |head, b| head << 8 | u64::from(*b)), 0),
            },
        };
        Self { len: key.len(), head, tail }
    }

    fn hash(self) -> u64 {
        const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
        let hash = (self.head ^ self.len as u64).wrapping_mul(ODD).rotate_left(29);
        (hash ^ self.tail).wrapping_mul(ODD) >> 40
    }
}

/// A name that was met.
#[derive(Default, Clone)]
struct Known {
    ends: Ends,
    class: Option<Class>,
}

/// What is needed less often of a name that was met.
#[derive(Default, Clone)]
struct More {
    /// A name of more bytes than its ends have.
    name: Vec<u8>,
    /// The class that the names of a rule set give, and which rule set.
    ruled: Option<(u64, Class)>,
}

/// Classes of names that were met, because content has few names and many of each. Each name has a few places that it
/// shares with others and takes from the one that has been there longest, so that a look-up costs the same whatever the
/// names are.
struct Classes {
    places: Vec<Known>,
    more: Vec<More>,
}

impl Classes {
    /// Places for names: a power of two.
    const PLACES: usize = 1 << 12;
    /// Places that a name may have.
    const SHARED: usize = 4;

    /// The place of a name.
    fn of(&mut self, key: &[u8]) -> usize {
        if self.places.is_empty() {
            self.places.resize(Self::PLACES, Known::default());
            self.more.resize(Self::PLACES, More::default());
        }
        let ends = Ends::of(key);
        let first = ends.hash() as usize & (Self::PLACES - Self::SHARED);
        let all = first..first + Self::SHARED;
        let is = |place: &usize| self.places[*place].ends == ends && (key.len() <= 16 || self.more[*place].name == key);
        all.clone().find(is).unwrap_or_else(|| {
            self.places[all.clone()].rotate_right(1);
            self.more[all].rotate_right(1);
            self.places[first] = Known { ends, class: None };
            let more = &mut self.more[first];
            more.name.clear();
            more.name.extend_from_slice(if key.len() > 16 { key } else { b"" });
            more.ruled = None;
            first
        })
    }
}

thread_local! {
    /// A class depends on nothing but the name and the rule set, so all streams of a thread share them.
    static CLASSES: RefCell<Classes> = const { RefCell::new(Classes { places: Vec::new(), more: Vec::new() }) };
}

/// Classifies a name as it stands in the content.
pub(in crate::redact) fn classify(key: &[u8]) -> Class {
    if key.len() > MAX_KEY {
        // Only the end of it counts, but for replacements.
        return match memchr::memmem::find(key, token::PREFIX) {
            Some(_) => decide(key),
            None => classify(&key[key.len() - MAX_KEY..]),
        };
    }
    CLASSES.with(|c| {
        let Ok(mut classes) = c.try_borrow_mut() else { return decide(key) };
        let place = classes.of(key);
        *classes.places[place].class.get_or_insert_with(|| decide(key))
    })
}

/// Classifies a name where a rule set has names of its own: `ruled` asks it, and `stamp` tells it from other rule sets.
pub(super) fn classify_ruled(key: &[u8], stamp: u64, ruled: impl Fn() -> Option<Class>) -> Class {
    let decide = || ruled().unwrap_or_else(|| decide(key));
    if key.len() > MAX_KEY {
        return ruled().unwrap_or_else(|| classify(key));
    }
    CLASSES.with(|c| {
        let Ok(mut classes) = c.try_borrow_mut() else { return decide() };
        let place = classes.of(key);
        let ruled = &mut classes.more[place].ruled;
        match *ruled {
            Some((of, class)) if of == stamp => class,
            _ => ruled.insert((stamp, decide())).1,
        }
    })
}

fn decide(key: &[u8]) -> Class {
    let plain = token::without_own(key, |_| true);
    let key = plain.as_deref().unwrap_or(key);
    let mut lower = [0_u8; MAX_KEY];
    let key = &key[key.len().saturating_sub(MAX_KEY)..];
    let mut bounds = [(0_usize, 0_usize); MAX_WORDS];
    let count = split(key, &mut lower, &mut bounds);
    let lower = &lower[..key.len()];
    let mut words: Vec<&str> =
        bounds[..count].iter().filter_map(|(s, e)| std::str::from_utf8(&lower[*s..*e]).ok()).collect();
    while words.len() > 1 && words.last().is_some_and(|w| w.bytes().all(|b| b.is_ascii_digit())) {
        words.pop();
    }
    let Some(mut last) = words.last().copied() else { return Class::Benign };
    // `checksum/secret` of a pod template.
    if words[0] == "checksum" {
        return Class::Benign;
    }
    let glued: String = words.concat();
    if HARMLESS.iter().any(|h| glued == *h || (h.len() > 9 && glued.ends_with(h))) {
        return Class::Benign;
    }
    if let Some((_, rule)) = ALWAYS.iter().find(|(end, _)| glued.ends_with(end)) {
        return Class::Secret(*rule);
    }
    if words.len() == 1 && last == "authorization" {
        return Class::Secret(engine::AUTHORIZATION);
    }
    if is_cookie(last) {
        return Class::Secret(engine::COOKIE);
    }
    if NEGATIVE_LAST.contains(&last) {
        return if matches!(last, "signer") { wallet(&words) } else { Class::Benign };
    }
    while words.len() > 1 && NEUTRAL_LAST.contains(&last) {
        words.pop();
        last = words.last().copied().unwrap_or_default();
    }
    if NEGATIVE_LAST.contains(&last) {
        return Class::Benign;
    }
    let any = |list: &[&str]| words.iter().any(|w| list.contains(w));
    let quiet = words.len() > 1 && words.first().is_some_and(|w| NEGATIVE_FIRST.contains(w));
    if any(PASSWORD) {
        let asks = words.first().is_some_and(|w| {
            matches!(
                *w,
                "has"
                    | "is"
                    | "use"
                    | "enable"
                    | "disable"
                    | "reset"
                    | "min"
                    | "max"
                    | "num"
                    | "no"
                    | "allow"
                    | "require"
                    | "show"
                    | "skip"
            )
        });
        // "pass" alone is also a verb and a test result.
        let weak = asks || (!PASSWORD.contains(&last)) && !any(&["password", "passwd", "passphrase", "pwd"]);
        if words == ["pwd"] && key.len() == 3 {
            return Class::Directory;
        }
        // `userPasswordKey: password` names the key of a Secret.
        let named = last == "key" && words.len() > 1 && PASSWORD.contains(&words[words.len() - 2]);
        return if weak || named || (words == ["pass"] && key.len() == 4) {
            Class::Weak(engine::PASSWORD)
        } else {
            Class::Secret(engine::PASSWORD)
        };
    }
    if let Some((_, rule)) = GLUED.iter().find(|(end, _)| words.iter().any(|w| w.ends_with(end)) && last.ends_with(end))
    {
        if quiet && *rule != engine::PASSWORD {
            return Class::Benign;
        }
        let weak = ["signingkey", "encryptionkey", "accountkey", "masterkey"].iter().any(|w| last.ends_with(w));
        return if weak { Class::Weak(*rule) } else { Class::Secret(*rule) };
    }
    if any(MNEMONIC) {
        return Class::Secret(engine::MNEMONIC);
    }
    if quiet {
        return Class::Benign;
    }
    if last == "key" && words.len() > 1 && KEY_OF.contains(&words[words.len() - 2]) {
        let of = words[words.len() - 2];
        let rule = if matches!(of, "private" | "priv" | "wallet") { engine::PRIVATE_KEY } else { engine::API_KEY };
        let rule = if of == "secret" { engine::SECRET } else { rule };
        // `shared_key`, `session_key`, `auth_key`... also name ids; the value has to look like a key.
        let weak = matches!(
            of,
            "session" | "certificate" | "app" | "storage" | "account" | "master" | "signing" | "encryption"
        );
        return if weak { Class::Weak(rule) } else { Class::Secret(rule) };
    }
    for (list, rule) in [(SECRET, engine::SECRET), (TOKEN, engine::TOKEN), (CREDENTIAL, engine::CREDENTIAL)] {
        if list.contains(&last) {
            return Class::Secret(rule);
        }
        if any(list) {
            return Class::Weak(rule);
        }
    }
    if let Some((_, rule)) = WEAK.iter().find(|(w, _)| *w == last) {
        return Class::Weak(*rule);
    }
    wallet(&words)
}

fn is_cookie(last: &str) -> bool {
    matches!(last, "cookie" | "cookies")
}

fn wallet(words: &[&str]) -> Class {
    if words.iter().any(|w| matches!(*w, "signer" | "deployer" | "wallet" | "priv" | "private")) {
        Class::Hex(engine::PRIVATE_KEY)
    } else {
        Class::Benign
    }
}

/// Splits at separators, camel humps and digits; writes the lower-case name and the bounds of its words.
fn split(key: &[u8], lower: &mut [u8; MAX_KEY], bounds: &mut [(usize, usize); MAX_WORDS]) -> usize {
    let kind = |b: u8| match b {
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        b'0'..=b'9' => 3,
        _ => 0,
    };
    let mut count = 0;
    let mut start = 0;
    for i in 0..=key.len() {
        let here = key.get(i).map_or(0, |b| kind(*b));
        if let Some(b) = key.get(i) {
            lower[i] = b.to_ascii_lowercase();
        }
        let before = if i == 0 { 0 } else { kind(key[i - 1]) };
        let next = key.get(i + 1).map_or(0, |b| kind(*b));
        // `dbPassword`, `APIKey` and `token2` end a word in front of the hump, the last capital and the digit.
        let cut = here == 0
            || (before == 1 && here == 2)
            || (before == 2 && here == 2 && next == 1 && i > start)
            || (here == 3) != (before == 3);
        if cut && i > start && before != 0 {
            if count == MAX_WORDS {
                bounds.rotate_left(1);
                count -= 1;
            }
            bounds[count] = (start, i);
            count += 1;
            start = i;
        }
        if here == 0 {
            start = i + 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_say_secret() {
        for key in [
            "password",
            "DB_PASSWORD",
            "dbPassword",
            "spring.datasource.password",
            "PGPASSWORD",
            "rootpw.passwd",
            "api_key",
            "apiKey",
            "API-KEY",
            "X-Api-Key",
            "client_secret",
            "clientSecret",
            "AWS_SECRET_ACCESS_KEY",
            "aws_access_key_id",
            "GITHUB_TOKEN",
            "token",
            "accessToken",
            "refresh_token",
            "private_key",
            "PRIVATE_KEY",
            "KMS_CONNECTOR_PRIVATE_KEY",
            "privkey",
            "client-key-data",
            "mnemonic",
            "WALLET_MNEMONIC",
            "authorization",
            "Set-Cookie",
            "POSTGRES_PASSWORD_PROD",
            "_pass",
            "redis_pass",
            "POSTGRES_PASSWORD_1",
            "X-Vault-Token",
            "secret",
            "identitytoken",
            "password_hash",
            "SECRET_KEY",
            "root_password",
        ] {
            assert!(matches!(classify(key.as_bytes()), Class::Secret(_)), "{key}: {:?}", classify(key.as_bytes()));
        }
    }

    #[test]
    fn names_that_do_not() {
        for key in [
            "root_key_id",
            "root_key_spec",
            "key_id",
            "keyspace",
            "monkey",
            "primary_key",
            "foreign_key",
            "partitionKey",
            "objectKey",
            "cacheKey",
            "idempotency-key",
            "keyboard",
            "turkey",
            "tokens_used",
            "max_tokens",
            "total_tokens",
            "tokenizer",
            "nextPageToken",
            "token_type",
            "tokenExpirationSeconds",
            "password_policy",
            "passwordMinLength",
            "password_file",
            "passwordChanged",
            "secretName",
            "secretRef",
            "secretKeyRef",
            "imagePullSecrets",
            "existingSecret",
            "credentialsSecret",
            "author",
            "authority",
            "authMode",
            "authentication",
            "accessModes",
            "access_log",
            "token-file",
            "tls-private-key-file",
            "web_identity_token_port",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_ROLE_ARN",
            "KMS_KEY_ID",
            "KMS_SIGNER_ADDRESS_3",
            "fhe_key_ids",
            "preprocessing_key_ids",
            "public_key_hex",
            "verification_address",
            "attest_private_vault_root_key_id",
            "secret_sharing",
            "serviceAccountToken",
            "public_key",
            "kmsGenKeys",
            "eifSignKey",
            "keyGenArgs",
            "sort_key",
            "routing_key",
            "KMS_CONNECTOR__TX_SENDER_AWS_KMS_KEY_ID",
            "key",
            "keys",
            "automountServiceAccountToken",
            "kms_fhe_key_cache_size",
            "compass",
            "secret_store",
            "auth_type",
            "session_timeout",
            "external_signature",
            "password_encryption",
            "checksum/secret",
        ] {
            assert_eq!(classify(key.as_bytes()), Class::Benign, "{key}");
        }
    }

    #[test]
    fn names_that_need_the_value_too() {
        assert!(matches!(classify(b"attest_private_vault_root_key"), Class::Hex(_)));
        assert!(matches!(classify(b"DEPLOYER"), Class::Hex(_)));
        assert!(matches!(classify(b"userPasswordKey"), Class::Weak(_)));
        assert!(matches!(classify(b"auth"), Class::Weak(_)));
        assert!(matches!(classify(b"token_bucket_refill"), Class::Weak(_)));
    }
}
