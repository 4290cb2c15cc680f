//! What was read inside of pods: listening ports, configuration files, answers of HTTP endpoints.

use std::sync::Arc;

use serde_json::Value;

use super::{At, Key};
use crate::triage::finding::{Evidence, Place};
use crate::triage::text;

/// Ports that are kept of one file.
const PORTS_MAX: usize = 1_000;
/// Configuration texts are kept up to this size.
const TEXT_MAX: usize = 1 << 20;
/// Bytes of an HTTP answer that are kept.
const BODY_MAX: usize = 2_000;

/// A port that something listens on in a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) path: Arc<str>,
    pub(crate) pod: Key,
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) line: u64,
    pub(crate) text: String,
}

/// A configuration file of a pod, decoded.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) path: Arc<str>,
    pub(crate) pod: Key,
    pub(crate) file: String,
    pub(crate) value: Value,
    /// The text, where lines of it can be quoted.
    text: String,
}

impl Config {
    /// Evidence for a key: the line of a TOML file, or the place in a JSON document.
    pub(crate) fn evidence(&self, path: &[&str]) -> Evidence {
        let place = match toml_line(&self.text, path) {
            _ if self.text.is_empty() => Place::Pointer(path.iter().map(|p| format!("/{p}")).collect()),
            Some((line, _)) => Place::Line(line),
            None => Place::Line(1),
        };
        let excerpt = match toml_line(&self.text, path) {
            Some((_, text)) => text.trim().to_owned(),
            None => shown(&self.value, path),
        };
        At { path: Arc::clone(&self.path), place }.evidence(&excerpt)
    }
}

/// A TOML file inside of a ConfigMap, with variables that nobody has filled in.
#[derive(Debug)]
pub(crate) struct Template {
    at: At,
    /// Namespace and name of the ConfigMap.
    pub(crate) key: Key,
    pub(crate) file: String,
    pub(crate) value: Value,
    text: String,
}

impl Template {
    /// Reads one file of a ConfigMap; none when it is no TOML, whatever its variables are.
    pub(super) fn parse(at: &At, key: &Key, file: &str, text: &str) -> Option<Self> {
        if text.len() > TEXT_MAX {
            return None;
        }
        // A variable outside of a text breaks the document. As a text it is a value that nobody knows; where that does not
        // mend it, any number does.
        let value: Value = toml::from_str(text).ok().or_else(|| {
            let bare = regex::Regex::new(r"(?m)([=\[,][ \t]*)(\$\{[A-Za-z0-9_]{1,200}\})").ok()?;
            toml::from_str(&bare.replace_all(text, "$1\"$2\"")).ok().or_else(|| {
                let variable = regex::Regex::new(r"\$\{[A-Za-z0-9_]{1,200}\}").ok()?;
                toml::from_str(&variable.replace_all(text, "0")).ok()
            })
        })?;
        // Other programs have files of this kind, too.
        let sections = ["service", "threshold", "aws", "public_vault", "private_vault", "backup_vault"];
        if !sections.iter().any(|section| value.get(section).is_some_and(Value::is_object)) {
            return None;
        }
        Some(Self { at: at.clone(), key: key.clone(), file: file.to_owned(), value, text: text.to_owned() })
    }

    /// Evidence for a key.
    pub(crate) fn evidence(&self, path: &[&str]) -> Evidence {
        let excerpt = toml_line(&self.text, path)
            .map_or_else(|| shown(&self.value, path), |(n, text)| format!("line {n}: {}", text.trim()));
        self.at.evidence_at(&format!("/data/{}", self.file.replace('~', "~0").replace('/', "~1")), &excerpt)
    }
}

/// What stands at a path, shortened.
fn shown(value: &Value, path: &[&str]) -> String {
    let found = value.pointer(&path.iter().map(|p| format!("/{p}")).collect::<String>());
    format!("{} = {}", path.join("."), found.map_or_else(|| "(not there)".to_owned(), Value::to_string))
}

/// The line of a key, or of the table that it is. `["threshold", "peers", "2", "port"]` is the third `[[threshold.peers]]`.
fn toml_line<'t>(text: &'t str, path: &[&str]) -> Option<(u64, &'t str)> {
    let mut table: Vec<String> = Vec::new();
    let mut counts: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    let mut nearest = None;
    for (line, number) in text.lines().zip(1..) {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix("[[").and_then(|t| t.split("]]").next()) {
            let count = counts.entry(name.trim().to_owned()).or_default();
            table = name.split('.').map(|p| p.trim().to_owned()).collect();
            table.push(count.to_string());
            *count += 1;
        } else if let Some(name) = trimmed.strip_prefix('[').and_then(|t| t.split(']').next()) {
            table = name.split('.').map(|p| p.trim().to_owned()).collect();
        } else if let Some((key, _)) = trimmed.split_once('=') {
            let key = key.split('.').map(|p| p.trim().trim_matches('"').to_owned());
            let full: Vec<String> = table.iter().cloned().chain(key).collect();
            if full.len() >= path.len() && path.iter().zip(&full).all(|(a, b)| a == b) {
                return nearest.or(Some((number, line)));
            }
            continue;
        } else {
            continue;
        }
        // The header of the table itself, or of one inside of it.
        if table.len() >= path.len() && path.iter().zip(&table).all(|(a, b)| a == b) {
            nearest.get_or_insert((number, line));
        }
    }
    nearest
}

/// What an HTTP endpoint of a pod answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) path: Arc<str>,
    pub(crate) pod: Key,
    pub(crate) id: String,
    pub(crate) body: String,
}

/// `<root>/<namespace>/<pod>/<file>`: the pod and the file.
pub(super) fn parse_path<'a>(path: &'a str, root: &str) -> Option<(Key, &'a str)> {
    let mut parts = path.strip_prefix(root)?.strip_prefix('/')?.split('/');
    let (namespace, pod, file) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then(|| ((namespace.to_owned(), pod.to_owned()), file))
}

/// `health/<namespace>/<pod>/http-<id>.txt`: the pod and the id.
pub(super) fn parse_answer(path: &str) -> Option<(Key, &str)> {
    let (pod, file) = parse_path(path, "health")?;
    Some((pod, file.strip_prefix("http-")?.strip_suffix(".txt")?))
}

/// The answer of an endpoint.
pub(super) fn answer(path: &str, pod: Key, id: &str, bytes: &[u8]) -> Answer {
    let body = String::from_utf8_lossy(&bytes[..bytes.len().min(BODY_MAX)]).trim_end().to_owned();
    Answer { path: Arc::from(path), pod, id: id.to_owned(), body }
}

/// Listening TCP ports, from `netstat -tln` or `/proc/net/tcp`; both formats are told apart line by line.
pub(super) fn ports(path: &str, pod: &Key, bytes: &[u8]) -> Vec<Port> {
    let shared: Arc<str> = Arc::from(path);
    let content = String::from_utf8_lossy(bytes);
    let mut found: Vec<Port> = Vec::new();
    for (line, number) in content.lines().zip(1..) {
        let Some((address, port)) = netstat(line).or_else(|| proc_net(line)) else { continue };
        if found.len() < PORTS_MAX {
            let text = text::line(line, text::EXCERPT);
            found.push(Port { path: Arc::clone(&shared), pod: pod.clone(), address, port, line: number, text });
        }
    }
    found
}

/// `tcp  0  0 0.0.0.0:50100  0.0.0.0:*  LISTEN`
fn netstat(line: &str) -> Option<(String, u16)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if !words.first()?.starts_with("tcp") || !words.contains(&"LISTEN") {
        return None;
    }
    let (address, port) = words.get(3)?.rsplit_once(':')?;
    Some((address.to_owned(), port.parse().ok()?))
}

/// `0: 0100007F:C3B4 00000000:0000 0A ...`: the address is in the byte order of the machine, 0A means "listens".
fn proc_net(line: &str) -> Option<(String, u16)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.first()?.strip_suffix(':')?.parse::<u32>().ok()?;
    if *words.get(3)? != "0A" {
        return None;
    }
    let (address, port) = words.get(1)?.split_once(':')?;
    Some((proc_address(address)?, u16::from_str_radix(port, 16).ok()?))
}

/// `0100007F` or 32 digits, in words of four bytes whose order is that of the machine; all machines that run this are little-endian.
/// An address of IPv4 inside of IPv6 is shown as what it is.
fn proc_address(text: &str) -> Option<String> {
    let word = |at: usize| u32::from_str_radix(text.get(at..at + 8)?, 16).ok().map(u32::swap_bytes);
    match text.len() {
        8 => Some(std::net::Ipv4Addr::from(word(0)?).to_string()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let whole = words.into_iter().fold(0_u128, |all, word| all << 32 | u128::from(word));
            Some(std::net::Ipv6Addr::from(whole).to_canonical().to_string())
        }
        _ => None,
    }
}

/// Decodes a configuration file by its name.
///
/// # Errors
/// Why it cannot be decoded. A file of another kind is nothing.
pub(super) fn config(path: &str, pod: Key, file: &str, bytes: &[u8]) -> Result<Option<Config>, String> {
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    let mut kept = String::new();
    let value = match file.rsplit_once('.').map(|(_, extension)| extension) {
        Some("json") => {
            let value: Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
            // Some servers answer with a JSON text that holds the document.
            match &value {
                Value::String(inner) => serde_json::from_str(inner).unwrap_or(value),
                _ => value,
            }
        }
        Some("toml") => {
            let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
            if text.len() <= TEXT_MAX {
                text.clone_into(&mut kept);
            }
            toml::from_str(text).map_err(|e| e.message().to_owned())?
        }
        _ => return Ok(None),
    };
    Ok(Some(Config { path: Arc::from(path), pod, file: file.to_owned(), value, text: kept }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> Key {
        ("n".to_owned(), "p".to_owned())
    }

    #[test]
    fn both_formats_give_the_same_ports() {
        let netstat = "Proto Recv-Q Send-Q Local Address Foreign Address State\ntcp        0      0 127.0.0.1:50100           0.0.0.0:*               LISTEN     \ntcp6 0 0 :::9646 :::* LISTEN\ntcp 0 0 1.2.3.4:1 5.6.7.8:2 ESTABLISHED\n";
        let proc_net = "  sl  local_address rem_address   st\n   0: 0100007F:C3B4 00000000:0000 0A 0:0\n   1: 00000000:C351 00000000:0000 01 0:0\n";
        let show = |text: &str| {
            ports("x", &key(), text.as_bytes())
                .into_iter()
                .map(|p| format!("{}:{} line {}", p.address, p.port, p.line))
                .collect::<Vec<_>>()
        };
        assert_eq!(show(netstat), ["127.0.0.1:50100 line 2", ":::9646 line 3"]);
        assert_eq!(show(proc_net), ["127.0.0.1:50100 line 2"]);
        let tcp6 = "   0: 00000000000000000000000000000000:25AE 00000000000000000000000000000000:0000 0A 0\n   1: 0000000000000000FFFF00000100007F:C351 0:0 0A 0\n   2: B80D01200000000000000000010000FE:C3B4 0:0 0A 0\n   3: 00:0001 0:0 0A\n";
        let want = [":::9646 line 1", "127.0.0.1:50001 line 2", "2001:db8::fe00:1:50100 line 3"];
        assert_eq!(show(tcp6), want);
    }

    #[test]
    fn keys_of_a_file_have_lines() {
        let text = "[service]\nport = 1\n\n[[t.peers]]\nid = 1\n[[t.peers]]\nid = 2\ntls_cert.path = \"x\"\n[t.net]\nmax = 3\n";
        let line = |path: &[&str]| toml_line(text, path).map(|(n, _)| n);
        assert_eq!(line(&["service", "port"]), Some(2));
        assert_eq!(line(&["t", "peers", "1", "id"]), Some(7));
        assert_eq!(line(&["t", "peers", "1", "tls_cert"]), Some(8));
        assert_eq!(line(&["t", "net"]), Some(9));
        assert_eq!(line(&["t", "nothing"]), None);
    }

    #[test]
    fn a_variable_that_nobody_filled_in_is_no_value() {
        let at = At { path: Arc::from("p"), place: Place::Line(1) };
        let parse = |text: &str| Template::parse(&at, &key(), "kms-server.toml", text).unwrap().value;
        let value = parse("[service]\na = \"${X}\"\n[threshold]\nmy_id = ${MY_ID}\nl = [${A}, 2]\n");
        assert_eq!(value["threshold"], serde_json::json!({"my_id": "${MY_ID}", "l": ["${A}", 2]}));
        assert_eq!(parse("[service]\nn = 1${X}\n")["service"]["n"], 10);
    }

    #[test]
    fn configurations_are_decoded_by_their_name() {
        let value = |file: &str, text: &str| config("p", key(), file, text.as_bytes()).map(|c| c.map(|c| c.value));
        assert_eq!(value("a.toml", "[a]\nb = 1\n").unwrap().unwrap()["a"]["b"], 1);
        assert_eq!(value("a.json", "\"{\\\"a\\\": 2}\"").unwrap().unwrap()["a"], 2);
        assert_eq!(value("a.txt", "x"), Ok(None));
        assert!(value("a.toml", "a = ").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..300), line in "[ 0-9A-Fx:]{0,40}") {
            let _ = ports("x", &key(), &bytes);
            let _ = ports("x", &key(), line.as_bytes());
            let _ = config("p", key(), "a.toml", &bytes);
            let _ = config("p", key(), "a.json", &bytes);
        }
    }
}
