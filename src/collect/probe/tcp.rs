//! Whether a port takes connections.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::net::TcpStream;

use super::dns::millis;

/// How a connection attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connected {
    /// The connection stands.
    Open,
    /// The host answers, and nothing listens on the port or a firewall rejects.
    Refused,
    /// Nothing answers: packets disappear.
    TimedOut,
    /// A router says that there is no way.
    Unreachable,
    /// Anything else.
    Failed,
}

/// One attempt.
#[derive(Debug, Clone, Serialize)]
pub struct Tcp {
    /// Where to.
    pub address: SocketAddr,
    /// How it ended.
    pub result: Connected,
    /// Milliseconds until then.
    pub latency_ms: f64,
    /// What the system said.
    pub error: Option<String>,
}

/// Connects, and gives the connection where it stands.
pub(super) async fn connect(address: SocketAddr, limit: Duration) -> (Tcp, Option<TcpStream>) {
    let began = Instant::now();
    let attempt = tokio::time::timeout(limit, TcpStream::connect(address)).await;
    let latency_ms = millis(began.elapsed());
    let (result, error, stream) = match attempt {
        Ok(Ok(stream)) => (Connected::Open, None, Some(stream)),
        Ok(Err(error)) => {
            let result = match error.kind() {
                ErrorKind::ConnectionRefused => Connected::Refused,
                ErrorKind::TimedOut => Connected::TimedOut,
                ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Connected::Unreachable,
                _ => Connected::Failed,
            };
            (result, Some(error.to_string()), None)
        }
        Err(_) => (Connected::TimedOut, Some(format!("no answer within {}", humantime::format_duration(limit))), None),
    };
    (Tcp { address, result, latency_ms, error }, stream)
}
