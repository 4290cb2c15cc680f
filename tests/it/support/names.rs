//! A name server on loopback, so that no test asks those of the machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hickory_server::Server;
use hickory_server::proto::rr::rdata::{A, SOA};
use hickory_server::proto::rr::{Name, RData, Record};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use tokio::net::UdpSocket;

/// Time to live of its addresses in seconds.
pub(crate) const TTL: u32 = 42;

/// A name server that runs.
pub(crate) struct NameServer {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    _server: Server<Catalog>,
}

/// A name server that has these addresses, and says of all other names below `origin` that they do not exist.
pub(crate) async fn name_server(origin: &str, hosts: &[(&str, Ipv4Addr)]) -> NameServer {
    let origin = Name::from_ascii(origin).unwrap();
    let mut zone: InMemoryZoneHandler = InMemoryZoneHandler::empty(origin.clone(), ZoneType::Primary, AxfrPolicy::Deny);
    let soa = SOA::new(origin.clone(), origin.clone(), 1, 60, 60, 60, 30);
    zone.upsert_mut(Record::from_rdata(origin.clone(), 60, RData::SOA(soa)), 1);
    for (name, address) in hosts {
        let name = Name::from_ascii(name).unwrap();
        zone.upsert_mut(Record::from_rdata(name, TTL, RData::A(A(*address))), 1);
    }
    let mut catalog = Catalog::new();
    catalog.upsert(origin.into(), vec![Arc::new(zone)]);
    let mut server = Server::new(catalog);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    server.register_socket(socket);
    NameServer { address, _server: server }
}
