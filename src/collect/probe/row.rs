//! One row a peer, and all of them at once.

use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use hickory_resolver::TokioResolver;
use serde::Serialize;

use super::dns::{self, Dns};
use super::targets::Target;
use super::tcp::{self, Connected, Tcp};
use super::tls::{self, Tls};
use crate::collect::placeholder::Values;
use crate::collect::{CollectError, Sink};
use crate::profile::Probe;
use crate::redact::Format;

/// What came of one peer, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The port takes connections, and its certificate, if it was looked at, is what it should be.
    Reachable,
    /// The name has no address.
    NotResolved,
    /// The name is one of the cluster's own and has no address outside of it.
    NotResolvableHere,
    /// Nothing listens.
    Refused,
    /// Packets disappear.
    BlackHoled,
    /// There is no way.
    Unreachable,
    /// The connection failed in another way.
    Failed,
    /// The handshake failed, or the certificate is not what it should be.
    TlsProblem,
}

/// What was tried for one peer.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Who.
    #[serde(flatten)]
    pub target: Target,
    /// In one word.
    pub verdict: Verdict,
    /// The name.
    pub dns: Dns,
    /// The port.
    pub tcp: Option<Tcp>,
    /// The certificate.
    pub tls: Option<Tls>,
    /// What programs inside of the pod say.
    pub inside: Option<Inside>,
}

/// What `getent` and `nc` in the pod say.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Inside {
    /// Addresses of the name.
    pub addresses: Vec<String>,
    /// Whether the name has any; none when there is no `getent`.
    pub resolved: Option<bool>,
    /// Whether the port takes connections; none when there is no `nc`.
    pub connected: Option<bool>,
    /// What failed, in the words of the program.
    pub error: Option<String>,
}

/// A whole table.
#[derive(Debug, Serialize)]
pub struct Reachability {
    /// Whose peers these are: `<namespace>/<pod>`.
    pub of: String,
    /// Where the connections came from.
    pub from: &'static str,
    /// When.
    pub at: DateTime<Utc>,
    /// Where peers are known from, and what each source gave.
    pub sources: Vec<(String, String)>,
    /// One a peer.
    pub peers: Vec<Row>,
}

impl Reachability {
    /// Writes the table.
    ///
    /// # Errors
    /// When the spool fails.
    pub(in crate::collect) fn store(&self, sink: &Sink, path: &str) -> Result<(), CollectError> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|e| CollectError::Failed(format!("the table cannot be written as JSON: {e}")))?;
        text.push(b'\n');
        sink.put(path, Format::Json, &text)
    }
}

/// How the peers of one probe are tried.
pub(in crate::collect) struct Plan {
    pub(in crate::collect) names: Names,
    pub(in crate::collect) limit: Duration,
    pub(in crate::collect) with_tls: bool,
}

impl Plan {
    /// Fills in the parameters.
    ///
    /// # Errors
    /// When one of them is not what it should be.
    pub(in crate::collect) fn of(probe: &Probe, values: &Values) -> Result<Self, CollectError> {
        let limit = values.duration(&probe.timeout).map_err(CollectError::Failed)?;
        let server = probe.dns_server.as_ref().and_then(|t| values.fill(t).ok()).filter(|text| !text.is_empty());
        let server = server.map(|text| {
            text.parse::<SocketAddr>()
                .map_err(|_| CollectError::Failed(format!("`{text}` is no address such as 10.0.0.10:53")))
        });
        Ok(Self { names: Names { server: server.transpose()? }, limit, with_tls: values.fill(&probe.tls)? == "yes" })
    }
}

/// How names are resolved.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names {
    /// Name server to ask; the machine's own when none.
    pub server: Option<SocketAddr>,
}

/// Tries all targets at the same time. Each step of each has the deadline `limit`, so all end within three times that.
pub async fn probe_all(targets: Vec<Target>, names: Names, limit: Duration, with_tls: bool) -> Vec<Row> {
    let resolver = dns::resolver(names.server, limit);
    let resolver = resolver.as_ref().map_err(String::as_str);
    let mut rows = join_all(targets.into_iter().map(|target| probe(target, resolver, names, limit, with_tls))).await;
    rows.sort_by(|a, b| order(&a.target).cmp(&order(&b.target)));
    rows
}

/// By number where ids are numbers.
fn order(target: &Target) -> (u64, &str, &str, u16) {
    let id = target.id.as_deref().unwrap_or_default();
    (id.parse().unwrap_or(u64::MAX), id, &target.host, target.port)
}

async fn probe(
    target: Target,
    resolver: Result<&TokioResolver, &str>,
    names: Names,
    limit: Duration,
    with_tls: bool,
) -> Row {
    // A name server that was chosen is the only one to believe.
    let with_system = names.server.is_none();
    let dns = dns::look_up(resolver, target.connect_host(), with_system, limit).await;
    let Some(address) = dns.first() else {
        let host = target.connect_host();
        let local = !host.contains('.') || host.ends_with(".svc") || host.ends_with(".local");
        let verdict = if local { Verdict::NotResolvableHere } else { Verdict::NotResolved };
        return Row { target, verdict, dns, tcp: None, tls: None, inside: None };
    };
    let (tcp, stream) = tcp::connect(SocketAddr::new(address, target.port), limit).await;
    let tls = match stream {
        Some(stream) if with_tls => Some(tls::shake(stream, &target, limit, Utc::now()).await),
        _ => None,
    };
    let verdict = match tcp.result {
        Connected::Refused => Verdict::Refused,
        Connected::TimedOut => Verdict::BlackHoled,
        Connected::Unreachable => Verdict::Unreachable,
        Connected::Failed => Verdict::Failed,
        Connected::Open => match &tls {
            Some(tls) if !tls.problems.is_empty() || tls.chain.is_empty() => Verdict::TlsProblem,
            _ => Verdict::Reachable,
        },
    };
    Row { target, verdict, dns, tcp: Some(tcp), tls, inside: None }
}
