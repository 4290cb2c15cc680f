//! Who is probed: the peers that configurations and services name.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::profile::PeerFields;

/// Targets of one probe; a configuration that names more is wrong or hostile.
const TARGETS_MAX: usize = 256;
/// Longest host name that is looked at.
const HOST_MAX: usize = 253;

/// One address to try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Id of the peer, as the configuration writes it.
    pub id: Option<String>,
    /// Host name or IP address, without a port.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Name that the certificate must have.
    pub identity: Option<String>,
    /// The certificate that is expected, as PEM. It is compared and not written.
    #[serde(skip)]
    pub certificate: Option<String>,
    /// Whether it is the party itself.
    pub own: bool,
    /// Where the name of a service leads: the host that is really connected to.
    pub through: Option<String>,
    /// Where it is known from.
    pub sources: Vec<String>,
}

impl Target {
    /// The host that a connection goes to.
    #[must_use]
    pub fn connect_host(&self) -> &str {
        self.through.as_deref().unwrap_or(&self.host)
    }
}

/// The peers of a configuration: JSON (also within a JSON text) or TOML, with the list at a JSON pointer.
#[must_use]
pub fn from_document(text: &str, pointer: &str, fields: &PeerFields, port: u16, source: &str) -> Vec<Target> {
    let Some(document) = decode(text) else { return Vec::new() };
    let Some(peers) = document.pointer(pointer).and_then(Value::as_array) else { return Vec::new() };
    // The party's own id stands beside its peers.
    let beside = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    let own = document.pointer(beside).and_then(|p| p.get("my_id")).map(shown);
    let peer = |peer: &Value| {
        let text = |name: &str| peer.get(name).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
        let host = text(&fields.address)?;
        let id = peer.get(&fields.id).map(shown);
        let port = peer.get(&fields.port).and_then(Value::as_u64).and_then(|p| u16::try_from(p).ok()).unwrap_or(port);
        let certificate = peer.get(&fields.certificate);
        let certificate = certificate.and_then(|c| c.as_str().or_else(|| c.get("pem")?.as_str())).map(str::to_owned);
        let (host, port) = split(&host, port)?;
        Some(Target {
            own: id.is_some() && id == own,
            id,
            identity: text(&fields.identity).or_else(|| Some(host.clone())),
            host,
            port,
            certificate,
            through: None,
            sources: vec![source.to_owned()],
        })
    };
    peers.iter().filter_map(peer).take(TARGETS_MAX).collect()
}

/// The peers of `host:port,host`.
#[must_use]
pub fn from_list(text: &str, port: u16, source: &str) -> Vec<Target> {
    let target = |part: &str| {
        let (host, port) = split(part.trim(), port)?;
        Some(Target {
            id: None,
            identity: None,
            host,
            port,
            certificate: None,
            own: false,
            through: None,
            sources: vec![source.to_owned()],
        })
    };
    text.split(',').filter_map(target).take(TARGETS_MAX).collect()
}

/// One target for each host and port. What an earlier source says of it holds; later ones fill what it left out.
///
/// `names` are services that stand for a host elsewhere: `mpc-node-2` -> `peer.example.com`.
#[must_use]
pub fn merge(all: Vec<Target>, names: &BTreeMap<String, String>) -> Vec<Target> {
    let mut merged: Vec<Target> = Vec::new();
    for mut target in all {
        let first = target.host.split('.').next().unwrap_or_default();
        let local = !target.host.contains('.') || target.host.contains(".svc");
        if target.through.is_none() && local {
            target.through = names.get(first).cloned();
        }
        let known = merged.iter().position(|m| m.port == target.port && same(m, &target));
        match known.and_then(|at| merged.get_mut(at)) {
            Some(known) => {
                known.id = known.id.take().or(target.id);
                known.identity = known.identity.take().or(target.identity);
                known.certificate = known.certificate.take().or(target.certificate);
                known.through = known.through.take().or(target.through);
                known.own |= target.own;
                for source in target.sources {
                    if !known.sources.contains(&source) {
                        known.sources.push(source);
                    }
                }
            }
            None => merged.push(target),
        }
    }
    merged.truncate(TARGETS_MAX);
    merged
}

fn same(a: &Target, b: &Target) -> bool {
    a.host == b.host || (a.through.is_some() && a.through == b.through)
}

/// JSON, a JSON text that holds JSON, or TOML.
fn decode(text: &str) -> Option<Value> {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::String(inner)) => serde_json::from_str(&inner).ok(),
        Ok(value) => Some(value),
        Err(_) => toml::from_str(text).ok(),
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Takes `host:port` apart; IPv6 addresses may stand in brackets.
fn split(text: &str, port: u16) -> Option<(String, u16)> {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/');
    let (host, port) = if text.parse::<std::net::Ipv6Addr>().is_ok() {
        (text, port)
    } else if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        (host, after.strip_prefix(':').map_or(Some(port), |p| p.parse().ok())?)
    } else {
        match text.rsplit_once(':') {
            Some((host, number)) => (host, number.parse().ok()?),
            None => (text, port),
        }
    };
    let fits = !host.is_empty()
        && host.len() <= HOST_MAX
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'));
    fits.then(|| (host.trim_end_matches('.').to_owned(), port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOML: &str = "[threshold]\nmy_id = 1\n[[threshold.peers]]\nparty_id = 1\naddress = \"mpc-node-1\"\nport = 50001\n\
        [[threshold.peers]]\nparty_id = 2\naddress = \"mpc-node-2.kms.svc.cluster.local\"\nmpc_identity = \"p2.test\"\ntls_cert = {pem = \"PEM\"}\n";

    fn read(text: &str) -> Vec<Target> {
        from_document(text, "/threshold/peers", &PeerFields::default(), 50002, "x")
    }

    #[test]
    fn a_configuration_names_its_peers_in_any_form() {
        let peers = read(TOML);
        assert_eq!((peers[0].own, peers[0].port, peers[0].identity.as_deref()), (true, 50001, Some("mpc-node-1")));
        assert_eq!((peers[1].own, peers[1].port, peers[1].identity.as_deref()), (false, 50002, Some("p2.test")));
        assert_eq!(peers[1].certificate.as_deref(), Some("PEM"));
        let json = serde_json::to_string(&toml::from_str::<Value>(TOML).unwrap()).unwrap();
        assert_eq!(read(&json), peers);
        assert_eq!(read(&serde_json::to_string(&json).unwrap()), peers, "a JSON text that holds JSON");
        assert!(read("[threshold]\npeers = 1").is_empty() && read("{").is_empty());
    }

    #[test]
    fn services_lead_elsewhere_and_sources_are_joined() {
        let names = BTreeMap::from([("mpc-node-2".to_owned(), "vpce-2.example.com".to_owned())]);
        let mut all = read(TOML);
        all.extend(from_list("vpce-2.example.com:50002", 1, "set"));
        let mut service = from_list("mpc-node-2", 50002, "service");
        service[0].through = Some("vpce-2.example.com".to_owned());
        all.extend(service);
        let merged = merge(all, &names);
        assert_eq!(merged.len(), 3);
        assert_eq!(merged[1].connect_host(), "vpce-2.example.com");
        assert_eq!(merged[1].sources, ["x", "service"]);
        assert_eq!(merged[0].connect_host(), "mpc-node-1");
    }

    #[test]
    fn addresses_are_taken_apart() {
        for (text, want) in [
            ("a.b:1", Some(("a.b", 1))),
            ("https://a.b:1/", Some(("a.b", 1))),
            ("[::1]:7", Some(("::1", 7))),
            ("::1", Some(("::1", 9))),
            ("a", Some(("a", 9))),
            ("a:x", None),
            ("a b", None),
            ("", None),
        ] {
            assert_eq!(split(text, 9), want.map(|(h, p)| (h.to_owned(), p)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC*") {
            let _ = read(&text);
            let _ = from_list(&text, 1, "s");
        }
    }
}
