//! What name servers say of a name, and what the operating system makes of it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{RData, RecordType};
use serde::Serialize;

use crate::collect::blocking::within;
use crate::collect::error::shortened;

/// Addresses that are kept of one name.
const ADDRESSES_MAX: usize = 32;

/// What is known of a name.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Dns {
    /// `NOERROR`, `NXDOMAIN`, ...; none when no name server answered.
    pub rcode: Option<String>,
    /// Addresses from the name server.
    pub addresses: Vec<IpAddr>,
    /// Shortest time to live among the answers, in seconds.
    pub ttl: Option<u32>,
    /// Milliseconds until the answer.
    pub latency_ms: f64,
    /// Why there is no answer.
    pub error: Option<String>,
    /// Addresses from the resolver of the operating system, which also knows `/etc/hosts`.
    pub system: Vec<IpAddr>,
    /// Why that one has none.
    pub system_error: Option<String>,
}

impl Dns {
    /// Where to connect to: what a program on this machine would use.
    pub(super) fn first(&self) -> Option<IpAddr> {
        self.system.first().or_else(|| self.addresses.first()).copied()
    }
}

/// A resolver for the machine's name servers, or for one.
///
/// # Errors
/// When the machine has no name servers that can be read.
pub(super) fn resolver(server: Option<SocketAddr>, limit: Duration) -> Result<TokioResolver, String> {
    let mut builder = match server {
        Some(server) => {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = server.port();
                connection
            });
            let server = NameServerConfig::new(server.ip(), true, connections.to_vec());
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
        None => TokioResolver::builder_tokio().map_err(|e| format!("the machine's name servers: {e}"))?,
    };
    let options = builder.options_mut();
    options.timeout = limit;
    options.attempts = 1;
    // Files of the machine are what the other resolver is asked for.
    options.use_hosts_file = ResolveHosts::Never;
    builder.build().map_err(|e| e.to_string())
}

/// Asks the name server for one host, and the operating system as well.
pub(super) async fn look_up(
    resolver: Result<&TokioResolver, &str>,
    host: &str,
    with_system: bool,
    limit: Duration,
) -> Dns {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Dns { addresses: vec![address], system: vec![address], ..Dns::default() };
    }
    let began = Instant::now();
    let system = async { if with_system { system(host, limit).await } else { Ok(Vec::new()) } };
    let (answer, system) = tokio::join!(servers(resolver, host, limit), system);
    let mut dns = Dns { latency_ms: millis(began.elapsed()), ..answer };
    match system {
        Ok(addresses) => dns.system = addresses,
        Err(error) => dns.system_error = Some(error),
    }
    dns
}

async fn servers(resolver: Result<&TokioResolver, &str>, host: &str, limit: Duration) -> Dns {
    let resolver = match resolver {
        Ok(resolver) => resolver,
        Err(error) => return Dns { error: Some(error.to_owned()), ..Dns::default() },
    };
    let ask = async { tokio::join!(resolver.lookup(host, RecordType::A), resolver.lookup(host, RecordType::AAAA)) };
    let Ok((four, six)) = tokio::time::timeout(limit, ask).await else {
        let limit = humantime::format_duration(limit);
        return Dns { error: Some(format!("no answer within {limit}")), ..Dns::default() };
    };
    let mut dns = Dns::default();
    let mut addresses = BTreeSet::new();
    for answer in [&four, &six].into_iter().flatten() {
        dns.rcode = Some("NOERROR".to_owned());
        for record in answer.answers() {
            let address = match &record.data {
                RData::A(a) => IpAddr::V4(a.0),
                RData::AAAA(a) => IpAddr::V6(a.0),
                _ => continue,
            };
            addresses.insert(address);
            dns.ttl = Some(dns.ttl.map_or(record.ttl, |ttl| ttl.min(record.ttl)));
        }
    }
    dns.addresses = addresses.into_iter().take(ADDRESSES_MAX).collect();
    if dns.rcode.is_none() {
        // Both failed; the first says why.
        if let Err(error) = four {
            dns.rcode = rcode(&error);
            if dns.rcode.as_deref() != Some("NOERROR") {
                dns.error = Some(shortened(&error.to_string()));
            }
        }
    }
    dns
}

/// The answer of a server in the words of `dig`.
fn rcode(error: &NetError) -> Option<String> {
    let code = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => none.response_code,
        NetError::Dns(DnsError::ResponseCode(code)) => *code,
        _ => return None,
    };
    Some(format!("{code:?}").to_uppercase())
}

async fn system(host: &str, limit: Duration) -> Result<Vec<IpAddr>, String> {
    let name = (host.to_owned(), 0_u16);
    let found = within(host, limit, move || name.to_socket_addrs().map(|all| all.map(|a| a.ip()).collect::<Vec<_>>()));
    match found.await {
        Ok(Ok(mut addresses)) => {
            addresses.dedup();
            addresses.truncate(ADDRESSES_MAX);
            Ok(addresses)
        }
        Ok(Err(error)) => Err(shortened(&error.to_string())),
        Err(error) => Err(error.to_string()),
    }
}

/// Milliseconds with one decimal.
pub(super) fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 10_000.0).round() / 10.0
}
