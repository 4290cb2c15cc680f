//! Listening ports with their owners, and how many connections there are in which state.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::gather::{self, About, Gathered};
use super::owners::{self, Owners};
use super::roots::HostRoots;
use super::sockets::{self, Protocol, Socket, state_name};
use crate::collect::{CollectError, Done, Sink};
use crate::model::Effect;

pub(super) const ITEM: About = About {
    id: "host/ports",
    what: "Listening TCP and UDP ports with the processes that own them, and connections by state and port",
    effect: Effect::Read,
    run,
};

/// Longest line of a socket table; real ones have 150 bytes.
const LINE_MAX: u64 = 1_000;
/// Listening sockets that are listed.
const LISTENING_MAX: usize = 20_000;
/// Pairs of local and remote ports that are counted.
const PAIRS_MAX: usize = 200_000;

fn run<'a>(roots: &'a HostRoots, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
    let roots = roots.clone();
    async move { gather::run(sink, "ports", move || collect(&roots)).await }.boxed()
}

/// A listening socket and where it is.
struct Listening {
    socket: Socket,
    namespace: u64,
    ours: bool,
}

/// Connections, counted while the tables are read, so that a million of them costs no memory.
#[derive(Default)]
struct Counts {
    states: BTreeMap<(&'static str, &'static str), u64>,
    /// By local port, for connections to a port that listens here; by remote port for the others.
    ports: BTreeMap<(u16, u16, &'static str), u64>,
    /// Connections beyond [`PAIRS_MAX`], which only the states count.
    uncounted: u64,
}

fn collect(roots: &HostRoots) -> Result<Gathered, CollectError> {
    if !roots.has_proc() {
        return Err(CollectError::NotApplicable(
            "socket tables are read from /proc, which this system does not have (try: netstat -anv)".to_owned(),
        ));
    }
    let mut gathered = Gathered::default();
    if let Some(hidden) = roots.hidden() {
        gathered.problem(hidden);
    }
    let mut listening = Vec::new();
    let mut counts = Counts::default();
    let namespaces = owners::namespaces(roots);
    for (i, (namespace, process)) in namespaces.all.iter().enumerate() {
        for protocol in Protocol::ALL {
            let table = format!("{process}/net/{}", protocol.as_str());
            let ours = i == 0;
            let read = read_table(roots, &table, protocol, |socket| {
                if socket.listens() {
                    if listening.len() < LISTENING_MAX {
                        listening.push(Listening { socket, namespace: *namespace, ours });
                    }
                } else if ours {
                    counts.add(&socket);
                }
            });
            // IPv6 may be switched off, and a container may end meanwhile.
            if let Err(error) = read
                && ours
                && error.kind() != std::io::ErrorKind::NotFound
            {
                gathered.problem(format!("/proc/{table}: {error}"));
            }
        }
    }
    if listening.len() == LISTENING_MAX {
        gathered.problem(format!("only the first {LISTENING_MAX} listening sockets are listed"));
    }
    if counts.uncounted > 0 {
        gathered.problem(format!("{} connections are counted by state but not by port", counts.uncounted));
    }
    listening.sort_by_key(|l| (!l.ours, l.namespace, l.socket.protocol, l.socket.local));
    let wanted: HashSet<u64> = listening.iter().map(|l| l.socket.inode).filter(|inode| *inode != 0).collect();
    let owners = owners::find(roots, &wanted);
    let unknown = wanted.iter().filter(|inode| !owners.of.contains_key(inode)).count();
    let total = listening.len();
    if unknown > 0 && owners.unreadable > 0 {
        gathered.problem(format!(
            "the owner of {unknown} of {total} listening sockets is unknown; the descriptors of {} processes may not be \
             read (try: run as root on the host itself)",
            owners.unreadable
        ));
    } else if unknown > 0 {
        gathered.note(format!(
            "no process that is visible here owns {unknown} of {total} listening sockets; they belong to the kernel or to \
             another pid namespace"
        ));
    }
    if namespaces.unreadable > 0 {
        gathered.problem(format!(
            "the network namespaces of {} processes may not be read, so ports of containers may be missing (try: run as \
             root on the host itself)",
            namespaces.unreadable
        ));
    }
    gathered.json("ports/host.json", &document(&listening, &counts, &owners));
    gathered.text("ports/host.txt", table(&listening, &counts, &owners));
    Ok(gathered)
}

fn read_table(roots: &HostRoots, table: &str, protocol: Protocol, mut each: impl FnMut(Socket)) -> std::io::Result<()> {
    let mut reader = BufReader::new(File::open(roots.proc.join(table))?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if let Some(socket) = sockets::parse_line(protocol, &String::from_utf8_lossy(&line)) {
            each(socket);
        }
    }
}

impl Counts {
    fn add(&mut self, socket: &Socket) {
        let state = state_name(socket.protocol, socket.state);
        *self.states.entry((socket.protocol.as_str(), state)).or_default() += 1;
        let key = (socket.local.port(), socket.remote.port(), state);
        // Which side counts is known when all listening sockets are, so the pairs are folded at the end.
        if self.ports.len() < PAIRS_MAX || self.ports.contains_key(&key) {
            *self.ports.entry(key).or_default() += 1;
        } else {
            self.uncounted += 1;
        }
    }

    /// `(direction, port, state) -> connections`.
    fn by_port(&self, listening: &[Listening]) -> BTreeMap<(&'static str, u16, &'static str), u64> {
        let open: HashSet<u16> = listening.iter().filter(|l| l.ours).map(|l| l.socket.local.port()).collect();
        let mut folded = BTreeMap::new();
        for (&(local, remote, state), count) in &self.ports {
            let key = if open.contains(&local) { ("in", local, state) } else { ("out", remote, state) };
            *folded.entry(key).or_default() += count;
        }
        folded
    }
}

fn document(listening: &[Listening], counts: &Counts, owners: &Owners) -> Value {
    let rows: Vec<Value> = listening
        .iter()
        .map(|l| {
            let s = &l.socket;
            let holders: Vec<Value> = owners
                .of
                .get(&s.inode)
                .into_iter()
                .flatten()
                .map(|o| json!({ "pid": o.pid, "process": o.name, "user": o.user, "unit": o.unit }))
                .collect();
            json!({
                "protocol": s.protocol.as_str(),
                "address": s.local.ip().to_string(),
                "port": s.local.port(),
                "state": state_name(s.protocol, s.state),
                "uid": s.uid,
                "inode": s.inode,
                "receive_queue": s.receive_queue,
                "send_queue": s.send_queue,
                "drops": s.drops,
                "network_namespace": l.namespace,
                "own_namespace": l.ours,
                "owner": if s.inode == 0 { "kernel" } else if holders.is_empty() { "unknown" } else { "known" },
                "owners": holders,
            })
        })
        .collect();
    let states: Vec<Value> = counts
        .states
        .iter()
        .map(|((protocol, state), count)| json!({ "protocol": protocol, "state": state, "count": count }))
        .collect();
    let ports: Vec<Value> = counts
        .by_port(listening)
        .iter()
        .map(|((direction, port, state), count)| {
            json!({ "direction": direction, "port": port, "state": state, "count": count })
        })
        .collect();
    json!({ "listening": rows, "connection_states": states, "connections_by_port": ports })
}

/// Like `ss -tulpn`, followed by the counts.
fn table(listening: &[Listening], counts: &Counts, owners: &Owners) -> String {
    let mut out = format!(
        "{:<5} {:<11} {:>6} {:>6} {:<46} {:>10}  {}\n",
        "Netid", "State", "Recv-Q", "Send-Q", "Local Address:Port", "Namespace", "Process"
    );
    for l in listening {
        let s = &l.socket;
        let holders = match owners.of.get(&s.inode) {
            Some(holders) => holders
                .iter()
                .map(|o| format!("{} (pid {}, user {})", o.name, o.pid, o.user.as_deref().unwrap_or("?")))
                .collect::<Vec<_>>()
                .join(", "),
            None if s.inode == 0 => "kernel".to_owned(),
            None => format!("unknown (uid {})", s.uid),
        };
        let namespace = if l.ours { "own".to_owned() } else { l.namespace.to_string() };
        let _ = writeln!(
            out,
            "{:<5} {:<11} {:>6} {:>6} {:<46} {namespace:>10}  {holders}",
            s.protocol.as_str(),
            state_name(s.protocol, s.state),
            s.receive_queue,
            s.send_queue,
            s.local.to_string(),
        );
    }
    let _ = writeln!(out, "\nConnections by state");
    for ((protocol, state), count) in &counts.states {
        let _ = writeln!(out, "{count:>8} {protocol:<5} {state}");
    }
    let _ = writeln!(out, "\nConnections by port (in: to a port that listens here; out: to a port elsewhere)");
    for ((direction, port, state), count) in counts.by_port(listening) {
        let _ = writeln!(out, "{count:>8} {direction:<4} {port:>5} {state}");
    }
    out
}
