//! Network interfaces, routes and name resolution.

use std::collections::BTreeMap;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::gather::{self, About, Gathered};
use super::roots::HostRoots;
use super::{portable, routes};
use crate::collect::{CollectError, Done, Sink};
use crate::model::Effect;

pub(super) const ITEM: About = About {
    id: "host/network",
    what: "Network interfaces with addresses and error counters, routes, and how names are resolved",
    effect: Effect::Read,
    run,
};

/// Interfaces that are listed; a node has two for each pod.
const INTERFACES_MAX: usize = 2_000;

/// Configuration that is copied as it is, below `/` and below `host/`.
const CONFIGURATION: [&str; 6] = [
    "etc/resolv.conf",
    "etc/hosts",
    "etc/nsswitch.conf",
    "etc/host.conf",
    "etc/gai.conf",
    "run/systemd/resolve/resolv.conf",
];

/// Tables that are copied as they are.
const TABLES: [&str; 9] = [
    "net/route",
    "net/ipv6_route",
    "net/sockstat",
    "net/sockstat6",
    "net/snmp",
    "net/snmp6",
    "net/netstat",
    "net/dev",
    "net/softnet_stat",
];

fn run<'a>(roots: &'a HostRoots, sink: &'a mut Sink) -> BoxFuture<'a, Result<Done, CollectError>> {
    let roots = roots.clone();
    async move { gather::run(sink, "network", move || Ok(collect(&roots))).await }.boxed()
}

fn collect(roots: &HostRoots) -> Gathered {
    let mut gathered = Gathered::default();
    let mut addresses = portable::addresses();
    let mut interfaces = interfaces(roots, &mut addresses);
    if interfaces.len() > INTERFACES_MAX {
        gathered.problem(format!("{INTERFACES_MAX} of {} interfaces are listed", interfaces.len()));
        interfaces.truncate(INTERFACES_MAX);
    }
    let table = |path: &str| roots.proc_text(path).unwrap_or_default();
    gathered.json(
        "network/host.json",
        &json!({
            "interfaces": interfaces,
            "routes": { "ipv4": routes::v4(&table("net/route")), "ipv6": routes::v6(&table("net/ipv6_route")) },
            "resolver": routes::resolver(&roots.root_text("etc/resolv.conf").unwrap_or_default()),
            "sockets": counters(&table("net/sockstat")),
            "connection_tracking": connection_tracking(roots),
        }),
    );
    for path in CONFIGURATION {
        gathered.copy(&roots.root.join(path), &format!("host/{path}"));
    }
    for path in TABLES {
        gathered.copy(&roots.proc.join(path), &format!("host/proc/{path}"));
    }
    gathered
}

/// Interfaces from `/sys/class/net`; those that only the system's own interface knows follow with their addresses alone.
fn interfaces(roots: &HostRoots, addresses: &mut BTreeMap<String, Value>) -> Vec<Value> {
    let mut names: Vec<String> = std::fs::read_dir(roots.sys.join("class/net"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        // `bonding_masters` is a file among the interfaces.
        .filter(|name| roots.sys.join("class/net").join(name).is_dir())
        .collect();
    names.sort();
    let mut interfaces: Vec<Value> = names
        .into_iter()
        .map(|name| {
            let known = addresses.remove(&name).unwrap_or_else(|| json!({}));
            interface(roots, &name, &known)
        })
        .collect();
    interfaces.extend(std::mem::take(addresses).into_values());
    interfaces
}

fn interface(roots: &HostRoots, name: &str, known: &Value) -> Value {
    let text = |file: &str| roots.sys_text(&format!("class/net/{name}/{file}"));
    let number = |file: &str| text(file)?.parse::<i64>().ok();
    let mut counters = Map::new();
    for direction in ["rx", "tx"] {
        for what in ["bytes", "packets", "errors", "dropped"] {
            let counter = format!("{direction}_{what}");
            counters.insert(counter.clone(), json!(number(&format!("statistics/{counter}"))));
        }
    }
    for counter in ["collisions", "rx_crc_errors", "rx_missed_errors", "rx_fifo_errors", "tx_carrier_errors"] {
        counters.insert(counter.to_owned(), json!(number(&format!("statistics/{counter}"))));
    }
    json!({
        "name": name,
        "state": text("operstate"),
        // Reading these two fails while an interface is down.
        "carrier": number("carrier").map(|c| c == 1),
        "speed_mbit": number("speed").filter(|s| *s > 0),
        "duplex": text("duplex"),
        "carrier_changes": number("carrier_changes"),
        "mtu": number("mtu"),
        "mac": text("address"),
        "addresses": known.get("addresses").cloned().unwrap_or_else(|| json!([])),
        "counters": counters,
    })
}

/// `TCP: inuse 1 orphan 0` as `{"TCP": {"inuse": 1, "orphan": 0}}`.
fn counters(text: &str) -> Value {
    let mut all = Map::new();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        let pairs =
            words.chunks_exact(2).filter_map(|pair| Some((pair[0].to_owned(), json!(pair[1].parse::<u64>().ok()?))));
        all.insert(name.to_owned(), Value::Object(pairs.collect()));
    }
    Value::Object(all)
}

/// Connections that the firewall tracks, and how many it can; none where it tracks none.
fn connection_tracking(roots: &HostRoots) -> Value {
    let number = |name: &str| roots.proc_text(&format!("sys/net/netfilter/{name}"))?.parse::<u64>().ok();
    match (number("nf_conntrack_count"), number("nf_conntrack_max")) {
        (Some(count), max) => json!({ "count": count, "max": max }),
        (None, _) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_become_numbers_and_odd_words_are_left_out() {
        let parsed = counters("sockets: used 16\nTCP: inuse 1 orphan x tw\nnonsense\n");
        assert_eq!(parsed, json!({"sockets": {"used": 16}, "TCP": {"inuse": 1}}));
    }
}
