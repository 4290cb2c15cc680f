//! `/proc/net/{tcp,tcp6,udp,udp6}`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Which table a socket stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Protocol {
    Tcp,
    Tcp6,
    Udp,
    Udp6,
}

impl Protocol {
    pub(super) const ALL: [Self; 4] = [Self::Tcp, Self::Tcp6, Self::Udp, Self::Udp6];

    /// The name of the table.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tcp6 => "tcp6",
            Self::Udp => "udp",
            Self::Udp6 => "udp6",
        }
    }

    pub(super) fn is_tcp(self) -> bool {
        matches!(self, Self::Tcp | Self::Tcp6)
    }
}

/// One line of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) protocol: Protocol,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// Number of the state; see [`state_name`].
    pub(super) state: u8,
    /// Bytes not yet acknowledged.
    pub(super) send_queue: u32,
    /// Bytes not yet read; of a listening socket, connections not yet accepted.
    pub(super) receive_queue: u32,
    pub(super) uid: u32,
    /// 0 for sockets of the kernel and those in TIME_WAIT.
    pub(super) inode: u64,
    /// Datagrams thrown away; UDP only.
    pub(super) drops: Option<u64>,
}

impl Socket {
    /// Whether it waits for connections, or for datagrams of anybody.
    pub(super) fn listens(&self) -> bool {
        if self.protocol.is_tcp() { self.state == LISTEN } else { self.remote.port() == 0 }
    }
}

const LISTEN: u8 = 0x0a;

/// The name that `ss` and `netstat` use.
pub(super) fn state_name(protocol: Protocol, state: u8) -> &'static str {
    match (protocol.is_tcp(), state) {
        (_, 0x01) => "ESTABLISHED",
        (false, 0x07) => "UNCONNECTED",
        (true, 0x02) => "SYN_SENT",
        (true, 0x03 | 0x0c) => "SYN_RECV",
        (true, 0x04) => "FIN_WAIT1",
        (true, 0x05) => "FIN_WAIT2",
        (true, 0x06) => "TIME_WAIT",
        (true, 0x07) => "CLOSE",
        (true, 0x08) => "CLOSE_WAIT",
        (true, 0x09) => "LAST_ACK",
        (true, LISTEN) => "LISTEN",
        (true, 0x0b) => "CLOSING",
        _ => "UNKNOWN",
    }
}

/// Parses one line; none for the heading and for what is not of the form.
pub(super) fn parse_line(protocol: Protocol, line: &str) -> Option<Socket> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    let (send, receive) = fields.get(4)?.split_once(':')?;
    Some(Socket {
        protocol,
        local: address(fields.get(1)?)?,
        remote: address(fields.get(2)?)?,
        state: u8::from_str_radix(fields.get(3)?, 16).ok()?,
        send_queue: hex(send)?,
        receive_queue: hex(receive)?,
        uid: fields.get(7)?.parse().ok()?,
        inode: fields.get(9)?.parse().ok()?,
        drops: if protocol.is_tcp() { None } else { fields.get(12).and_then(|d| d.parse().ok()) },
    })
}

/// `0100007F:1F90`. The kernel prints addresses as words in the byte order of the machine, ports in that of people.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(SocketAddr::new(words(ip)?, port))
}

fn words(ip: &str) -> Option<IpAddr> {
    let word = |i: usize| Some(u32::from_str_radix(ip.get(i * 8..i * 8 + 8)?, 16).ok()?.to_ne_bytes());
    match ip.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (i, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(i)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn lines_of_a_real_kernel_are_understood() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000002 00:00000000 00000000   101        0 21484 1 000000006230105d 100 0 0 10 0";
        let socket = parse_line(Protocol::Tcp, line).unwrap();
        assert_eq!(socket.local, "127.0.0.1:8080".parse().unwrap());
        assert!(socket.listens());
        assert_eq!((socket.uid, socket.inode, socket.receive_queue, socket.drops), (101, 21_484, 2, None));

        let line = "  12: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 77 2 0000000000000000 9";
        let socket = parse_line(Protocol::Udp6, line).unwrap();
        assert_eq!(socket.local, "[::1]:53".parse().unwrap());
        assert!(socket.listens());
        assert_eq!(socket.drops, Some(9));
        let heading =
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        assert_eq!(parse_line(Protocol::Tcp, heading), None);
    }

    fn hex(ip: IpAddr) -> String {
        let bytes = match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        bytes.chunks(4).map(|c| format!("{:08X}", u32::from_ne_bytes(c.try_into().unwrap()))).collect()
    }

    proptest! {
        #[test]
        fn any_line_is_survived(line in "\\PC{0,200}") {
            for protocol in Protocol::ALL {
                let _ = parse_line(protocol, &line);
            }
        }

        #[test]
        fn any_address_is_read_back(ip: IpAddr, port: u16, state: u8, inode: u64) {
            let line = format!("0: {0}:{port:04X} {0}:{port:04X} {state:02X} 00000001:00000002 0:0 0 0 0 {inode} 1", hex(ip));
            let socket = parse_line(Protocol::Tcp, &line).unwrap();
            prop_assert_eq!(socket.local, SocketAddr::new(ip, port));
            prop_assert_eq!((socket.state, socket.inode), (state, inode));
            prop_assert!(!state_name(Protocol::Tcp, state).is_empty());
        }
    }
}
