//! The other parties of an embedded cluster: a name server that knows all names, and a port that shakes hands over TLS.
//!
//! Everything is on loopback. Each network has addresses of its own, so that several can run at the same time.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::certificates;

/// Largest question.
const QUESTION_MAX: usize = 512;
const HEADER: usize = 12;
const TYPE_A: [u8; 2] = [0, 1];
const TTL: u32 = 60;
/// Longest handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Parties that can be connected to. Dropping it ends them.
pub struct Peers {
    dns: SocketAddr,
    nobody: Ipv4Addr,
    stop: CancellationToken,
}

impl Peers {
    /// Starts a name server that gives one address for every name, and a listener on `port` of that address. The names in
    /// `down` get another address, on which nothing listens.
    ///
    /// # Errors
    /// When loopback has no further addresses, as on systems other than Linux, or the port is taken.
    pub async fn start(port: u16, down: BTreeSet<String>) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let dns = socket.local_addr()?;
        let [high, low] = dns.port().to_be_bytes();
        let (up, nobody) = (Ipv4Addr::new(127, 77, high, low), Ipv4Addr::new(127, 78, high, low));
        let listener = TcpListener::bind((up, port)).await?;
        let acceptor = TlsAcceptor::from(certificates::server()?);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let names = async move {
            let mut question = [0; QUESTION_MAX];
            while let Ok((length, from)) = socket.recv_from(&mut question).await {
                let answer = answer(&question[..length], |name| if down.contains(name) { nobody } else { up });
                if let Some(answer) = answer {
                    // A client that went away needs no answer.
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        };
        // A certificate is all there is to see: a connection ends after the handshake.
        let (handshakes, ended) = (tasks.clone(), stop.clone());
        let connections = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shake = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream));
                handshakes.spawn(ended.clone().run_until_cancelled_owned(async {
                    // A client without a certificate of ours is refused, and has seen enough by then.
                    let _ = shake.await;
                }));
            }
        };
        tasks.spawn(stop.clone().run_until_cancelled_owned(names));
        tasks.spawn(stop.clone().run_until_cancelled_owned(connections));
        Ok(Self { dns, nobody, stop })
    }

    /// Where the name server listens.
    #[must_use]
    pub fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// The address that names in `down` have. Nothing listens there, unless somebody else does.
    #[must_use]
    pub fn nobody(&self) -> Ipv4Addr {
        self.nobody
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The answer to a question; none to what is no question.
fn answer(question: &[u8], address: impl Fn(&str) -> Ipv4Addr) -> Option<Vec<u8>> {
    let id = question.get(..2)?;
    if question.len() < HEADER || question[2] & 0x80 != 0 || question[4..6] != [0, 1] {
        return None;
    }
    let (mut at, mut labels) = (HEADER, Vec::new());
    loop {
        let length = usize::from(*question.get(at)?);
        if length == 0 {
            break;
        }
        let label = question.get(at + 1..at + 1 + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += 1 + length;
    }
    let asked = question.get(HEADER..at + 5)?;
    let is_a = question.get(at + 1..at + 3)? == TYPE_A;
    let mut out = Vec::with_capacity(QUESTION_MAX);
    out.extend_from_slice(id);
    // An answer, recursion available, no error; one question, and one record for an address.
    out.extend_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    out.extend_from_slice(asked);
    if is_a {
        // The name is that of the question; class Internet.
        out.extend_from_slice(&[0xc0, 0x0c, 0, 1, 0, 1]);
        out.extend_from_slice(&TTL.to_be_bytes());
        out.extend_from_slice(&[0, 4]);
        out.extend_from_slice(&address(&labels.join(".")).octets());
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_question_is_answered_with_its_own_name() {
        let mut question = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        question.extend_from_slice(b"\x02P2\x03kms\x00\x00\x01\x00\x01");
        let up = answer(&question, |name| if name == "p2.kms" { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED });
        let up = up.unwrap();
        assert_eq!((&up[..2], &up[6..8], &up[up.len() - 4..]), (&[7, 9][..], &[0, 1][..], &[127, 0, 0, 1][..]));
        let kind = question.len() - 3;
        question[kind] = 28;
        assert_eq!(answer(&question, |_| Ipv4Addr::LOCALHOST).unwrap()[6..8], [0, 0], "no address of another kind");
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_or_ignored(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = answer(&bytes, |_| Ipv4Addr::LOCALHOST);
        }
    }
}
