//! Pseudonyms for addresses and names: a switch of the policy, off by default.
//!
//! A value gets the same pseudonym everywhere in a bundle, made with the key of the run. Pseudonyms are recognised and
//! never replaced again. Names of Kubernetes objects and of hosts without a dot are no part of it: nothing tells them
//! from other words.

mod address;
mod find;
mod host;
mod suffixes;

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::token::base32;
use super::{CorrelationKey, RedactError};

/// Characters that stand for a name: 50 bits.
const NAME: usize = 10;

/// What can be replaced by pseudonyms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pseudonym {
    /// IPv4 and IPv6 addresses; networks keep the length of their prefix.
    Ip,
    /// MAC addresses.
    Mac,
    /// E-mail addresses.
    Email,
    /// Host names with at least one dot, label by label; public suffixes stay.
    Host,
}

impl Pseudonym {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Ip, Self::Mac, Self::Email, Self::Host];

    /// The name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Mac => "mac",
            Self::Email => "email",
            Self::Host => "host",
        }
    }
}

/// A keyed function from values to bits. It has no `Debug`, because it holds the key.
pub(super) struct Mask {
    mac: Hmac<Sha256>,
}

impl Mask {
    fn new(key: &CorrelationKey) -> Result<Self, RedactError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.bytes()).map_err(|e| RedactError::Key(e.to_string()))?;
        mac.update(b"pseudonym v1\0");
        Ok(Self { mac })
    }

    fn bytes(&self, domain: &[u8], value: &[u8]) -> [u8; 32] {
        let mut mac = self.mac.clone();
        mac.update(domain);
        mac.update(b"\0");
        mac.update(value);
        mac.finalize().into_bytes().into()
    }

    fn name(&self, domain: &[u8], value: &[u8]) -> String {
        let mut head = [0; 8];
        head.copy_from_slice(&self.bytes(domain, value)[..8]);
        base32(u64::from_be_bytes(head), NAME)
    }
}

/// Whether a text is one that [`Mask::name`] makes.
fn is_name(text: &str) -> bool {
    text.len() == NAME && text.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
}

/// Finds values and replaces them.
pub(super) struct Pseudonyms {
    kinds: Vec<Pseudonym>,
    mask: Mask,
}

/// A value to replace, with its pseudonym.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Pseudonym,
    pub(super) text: String,
}

impl Pseudonyms {
    /// None when nothing is to be replaced.
    pub(super) fn new(key: &CorrelationKey, kinds: &[Pseudonym]) -> Result<Option<Self>, RedactError> {
        let mut kinds = kinds.to_vec();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.is_empty() {
            return Ok(None);
        }
        Mask::new(key).map(|mask| Some(Self { kinds, mask }))
    }

    pub(super) fn kinds(&self) -> &[Pseudonym] {
        &self.kinds
    }

    fn has(&self, kind: Pseudonym) -> bool {
        self.kinds.contains(&kind)
    }

    fn ip(&self, address: IpAddr, length: Option<u32>) -> Option<String> {
        let pseudonym = match length {
            Some(length) => address::network(&self.mask, address, length),
            None => address::ip(&self.mask, address),
        };
        pseudonym.map(|p| p.to_string())
    }

    /// The pseudonym of a MAC address, with the separator that it was written with.
    fn mac(&self, address: [u8; 6], separator: char, upper: bool) -> Option<String> {
        let pseudonym = address::mac(&self.mask, address)?;
        let mut text = String::new();
        for (i, byte) in pseudonym.iter().enumerate() {
            let gap = if separator == '.' { i % 2 == 0 } else { true };
            if i > 0 && gap {
                text.push(separator);
            }
            text += &if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
        }
        Some(text)
    }

    /// The pseudonym of an e-mail address, with the sign that it was written with (`@` or `%40`).
    fn email(&self, local: &str, domain: &str, sign: &str) -> Option<String> {
        let own = local.strip_prefix("user-").is_some_and(is_name)
            && domain.strip_prefix("example-").and_then(|d| d.strip_suffix(".invalid")).is_some_and(is_name);
        if own {
            return None;
        }
        let (local, domain) = (local.to_ascii_lowercase(), domain.to_ascii_lowercase());
        let user = self.mask.name(b"email", format!("{local}@{domain}").as_bytes());
        let site = self.mask.name(b"email-domain", domain.as_bytes());
        Some(format!("user-{user}{sign}example-{site}.invalid"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::{CorrelationKey, Format, Redacted, Redactor};

    fn redactor(kinds: &[Pseudonym]) -> Redactor {
        let builder = Redactor::builder(CorrelationKey::from_bytes([7; 32]));
        kinds.iter().fold(builder, |b, k| b.with_pseudonym(*k)).build().unwrap()
    }

    fn of(text: &str) -> String {
        redactor(&Pseudonym::ALL).text(text).into_inner()
    }

    #[test]
    fn without_the_switch_everything_stays() {
        let text = "peer 10.1.2.3 at db.acme.com (52:54:00:12:34:56), ask jane@acme.com";
        assert_eq!(redactor(&[]).text(text).get(), text);
        let only = redactor(&[Pseudonym::Mac]).text(text).into_inner();
        assert!(only.contains("10.1.2.3 at db.acme.com (0a:cf:") && only.ends_with("jane@acme.com"), "{only}");
    }

    #[test]
    fn values_are_found_wherever_they_stand() {
        let v4 = of("10.1.2.3");
        let v6 = of("fd00:12::7");
        let mac = of("52:54:00:12:34:56");
        let host = of("db.acme.com");
        let mail = of("jane@acme.com");
        assert!(v4.starts_with("240.") && v6.starts_with("3fff:") && mac.starts_with("0a:cf:"), "{v4} {v6} {mac}");
        assert!(host.starts_with("host-") && host.ends_with(".com") && mail.ends_with(".invalid"), "{host} {mail}");
        for (text, value, pseudonym) in [
            ("dial tcp 10.1.2.3:50051: refused", "10.1.2.3", &v4),
            (r#"{"podIP":"10.1.2.3","msg":"a\n10.1.2.3\tb"}"#, "10.1.2.3", &v4),
            (r#"{"msg":"{\"ip\":\"10.1.2.3\",\"x\":\"\\n10.1.2.3\"}"}"#, "10.1.2.3", &v4),
            ("\x1b[32m10.1.2.3\x1b[0m host:10.1.2.3 http://10.1.2.3/x?a=%2F10.1.2.3", "10.1.2.3", &v4),
            ("nodes/10.1.2.3.json and 10.1.2.3-10.1.2.3 (10.1.2.3).", "10.1.2.3", &v4),
            ("server=10.1.2.3 receiver: 10.1.2.3", "10.1.2.3", &v4),
            ("[fd00:12::7]:443 fd00:12:0::7 FD00:12::7 peer:fd00:12::7, fd00:12::7: no route", "fd00:12::7", &v6),
            ("link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff mac=52:54:00:12:34:56", "52:54:00:12:34:56", &mac),
            ("https://db.acme.com:5432/x db.acme.com. a=db.acme.com, DB.ACME.com", "db.acme.com", &host),
            (r#"{"nodeName":"db.acme.com","m":"to\ndb.acme.com"}"#, "db.acme.com", &host),
            ("nodes/db.acme.com.json", "db.acme.com", &host),
            ("mailto:jane@acme.com <jane@acme.com> user=jane@acme.com", "jane@acme.com", &mail),
        ] {
            let out = of(text);
            assert!(!out.to_lowercase().contains(value), "{text}: {out}");
            assert!(out.contains(pseudonym.as_str()), "{text}: {out}");
            assert_eq!(of(&out), out, "a second pass");
        }
        let count = |text: &str| of(text).matches(v4.as_str()).count();
        assert_eq!(count("10.1.2.3-10.1.2.3 10.1.2.3:1,10.1.2.3"), 4);
        assert!(of("to=jane%40acme.com&x").contains(&mail.replace('@', "%40")));
        assert_eq!(of("52-54-00-12-34-56"), mac.replace(':', "-"));
        assert_eq!(of("52:54:00:AB:34:56"), of("52:54:00:ab:34:56").to_uppercase());
        assert!(of("ip-10-1-2-3").ends_with(&v4.replace('.', "-")));
        assert_eq!(of("10-1-2-3.kms.pod.cluster.local"), format!("{}.kms.pod.cluster.local", v4.replace('.', "-")));
    }

    #[test]
    fn a_network_keeps_its_length_and_its_hosts() {
        let out = of("podCIDR: 10.244.1.0/24, pod 10.244.1.77, service 10.96.0.0/12, all 0.0.0.0/0, fd00:10:244::/56");
        let parts: Vec<&str> = out.split([' ', ',']).filter(|p| p.contains("240.")).collect();
        let network = parts[0].strip_suffix(".0/24").unwrap();
        assert!(parts[1].starts_with(network), "{out}");
        assert!(parts[2].ends_with(".0.0/12") && out.contains("0.0.0.0/0") && out.ends_with("::/56"), "{out}");
    }

    #[test]
    fn what_only_looks_like_one_stays() {
        for text in [
            "image: registry.k8s.io/pause:1.2.3",
            "quay.io/a/b:1.2.3.4",
            "version 1.2.3.4, release=2.0.0.1, \"version\":\"1.2.3.4\" v1.2.3.4",
            "1.2.3 1.2.3.4.5 256.1.1.1 1.2.3.4-rc1 x1.2.3.4",
            "Mozilla/5.0 (X11) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36",
            "1.3.6.1.4.1.311 oid",
            "10:20:30 2026-11-21T10:00:00Z 0.001 12:34:56:78",
            "SHA1 Fingerprint=AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01",
            "std::fs::read a::b kms::engine::base dead::beef",
            "127.0.0.1:8080 ::1 0.0.0.0 255.255.255.0 169.254.169.254 224.0.0.1 192.0.2.1 2001:db8::1",
            "core-1.kms.svc.cluster.local kubernetes.default.svc localhost apps.kubernetes.io/name",
            "reflector.go:368 src/main.rs:10 core.toml metadata.name com.example.Foo",
            "getty@tty1.service react@18.2.0 image@sha256:0123 git@github.com:a/b",
            "vm.swappiness net.core.somaxconn rbac.authorization.k8s.io/v1",
        ] {
            assert_eq!(of(text), text);
        }
    }

    #[test]
    fn secrets_win_over_pseudonyms() {
        let out = of("postgres://app:Hunter2xyz@db.acme.com:5432/x password=jane@acme.com.9x");
        assert!(!out.contains("Hunter2") && !out.contains("acme") && out.contains("postgres://app:REDACTED-"), "{out}");
        assert_eq!(of(&out), out);
    }

    #[test]
    fn the_pseudonyms_depend_on_the_key_only() {
        let other =
            Redactor::builder(CorrelationKey::from_bytes([8; 32])).with_pseudonym(Pseudonym::Ip).build().unwrap();
        assert_ne!(of("10.1.2.3"), other.text("10.1.2.3").into_inner());
        assert_eq!(of("10.1.2.3"), redactor(&[Pseudonym::Ip]).text("10.1.2.3").into_inner());
    }

    #[test]
    fn they_are_counted_by_kind_and_file() {
        let redactor = redactor(&[Pseudonym::Ip, Pseudonym::Host]);
        let _ = redactor.bytes("a.log", Format::Text, b"10.1.2.3 10.1.2.4\n10.1.2.3\n").unwrap();
        let report = redactor.report();
        assert_eq!(report.pseudonyms["ip"]["a.log"], 3);
        assert!(report.pseudonyms["host"].is_empty() && report.total() == 0);
    }

    #[test]
    fn every_split_gives_the_same() {
        let redactor = redactor(&Pseudonym::ALL);
        let text = "a 10.1.2.3 b\npassword=Hunter2xyz jane@acme.com\n{\"ip\":\"fd00:12::7\",\"m\":\"\\n10.9.8.7/24\"}\r\n52:54:00:12:34:56 db.acme.com";
        for format in [Format::Text, Format::Json, Format::Yaml] {
            let whole = redactor.bytes("a", format, text.as_bytes()).unwrap().into_inner();
            for split in 0..text.len() {
                let mut out = Redacted::buffer();
                let mut stream = redactor.stream("a", format);
                stream.push(&text.as_bytes()[..split], &mut out).unwrap();
                stream.push(&text.as_bytes()[split..], &mut out).unwrap();
                stream.finish(&mut out).unwrap();
                assert_eq!(out.get(), &whole, "at {split}");
            }
        }
    }

    #[test]
    fn a_long_line_is_cut_beside_values() {
        let redactor = redactor(&Pseudonym::ALL);
        for gap in [0, 9] {
            let text = format!("{}10.1.2.3,db.acme.com;", "x".repeat(gap)).repeat(14_000);
            let mut out = Redacted::buffer();
            let mut stream = redactor.stream("a", Format::Text);
            for chunk in text.as_bytes().chunks(65_521) {
                stream.push(chunk, &mut out).unwrap();
            }
            stream.finish(&mut out).unwrap();
            let out = String::from_utf8(out.into_inner()).unwrap();
            assert!(!out.contains("10.1.2.3") || gap > 0, "gap {gap}");
            assert!(!out.contains("acme"), "gap {gap}");
            assert_eq!(
                out,
                redactor
                    .bytes("a", Format::Text, text.as_bytes())
                    .unwrap()
                    .into_inner()
                    .iter()
                    .map(|b| char::from(*b))
                    .collect::<String>()
            );
        }
    }
}
