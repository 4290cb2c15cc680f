//! Whether peers can be reached from this machine: name, port, certificate.
//!
//! A probe records and does not judge: a refused connection or an expired certificate is a row, not an error. It never
//! speaks the protocol behind the port. All peers are tried at once, so the whole takes as long as the slowest one.

mod dns;
mod row;
mod targets;
mod tcp;
mod tls;

pub use dns::Dns;
pub(in crate::collect) use row::Plan;
pub use row::{Inside, Names, Reachability, Row, Verdict, probe_all};
pub use targets::{Target, from_document, from_list, merge};
pub use tcp::{Connected, Tcp};
pub use tls::{Certificate, Problem, Tls};
