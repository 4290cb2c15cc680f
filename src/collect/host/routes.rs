//! `/proc/net/route`, `/proc/net/ipv6_route` and `/etc/resolv.conf`.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

/// The route is usable.
const UP: u32 = 0x1;
/// Packets are refused instead of sent.
const REJECT: u32 = 0x200;

/// Routes of IPv4. Lines that are not of the form, such as the heading, are left out.
pub(super) fn v4(text: &str) -> Vec<Value> {
    text.lines().filter_map(v4_line).collect()
}

fn v4_line(line: &str) -> Option<Value> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    // Words in the byte order of the machine.
    let address = |i: usize| Some(Ipv4Addr::from(u32::from_str_radix(fields.get(i)?, 16).ok()?.to_ne_bytes()));
    let (destination, gateway, mask) = (address(1)?, address(2)?, address(7)?);
    let flags = u32::from_str_radix(fields.get(3)?, 16).ok()?;
    let metric: u64 = fields.get(6)?.parse().ok()?;
    Some(json!({
        "interface": fields.first()?,
        "destination": format!("{destination}/{}", u32::from(mask).leading_ones()),
        "gateway": (!gateway.is_unspecified()).then(|| gateway.to_string()),
        "metric": metric,
        "up": flags & UP != 0,
        "reject": flags & REJECT != 0,
    }))
}

/// Routes of IPv6, without those to our own and to multicast addresses, which every interface has.
pub(super) fn v6(text: &str) -> Vec<Value> {
    text.lines().filter_map(v6_line).collect()
}

fn v6_line(line: &str) -> Option<Value> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let hex = |i: usize| u32::from_str_radix(fields.get(i)?, 16).ok();
    let address = |i: usize| {
        let text = fields.get(i).filter(|t| t.len() == 32)?;
        u128::from_str_radix(text, 16).ok().map(Ipv6Addr::from)
    };
    let (destination, prefix, gateway, metric, flags) = (address(0)?, hex(1)?, address(4)?, hex(5)?, hex(8)?);
    let local = flags & 0x8000_0000 != 0;
    if local || destination.is_multicast() || prefix > 128 {
        return None;
    }
    Some(json!({
        "interface": fields.get(9)?,
        "destination": format!("{destination}/{prefix}"),
        "gateway": (!gateway.is_unspecified()).then(|| gateway.to_string()),
        "metric": metric,
        "up": flags & UP != 0,
        "reject": flags & REJECT != 0,
    }))
}

/// What the resolver is told: servers, search domains, options.
pub(super) fn resolver(text: &str) -> Value {
    let mut servers = Vec::new();
    let mut search = Vec::new();
    let mut options = Vec::new();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace().map(str::to_owned);
        match words.next().as_deref() {
            Some("nameserver") => servers.extend(words.next()),
            // The last one holds.
            Some("search" | "domain") => search = words.collect(),
            Some("options") => options.extend(words),
            _ => {}
        }
    }
    json!({ "servers": servers, "search": search, "options": options })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn routes_of_ipv4_are_understood() {
        let routes = v4("Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\nshort line\n");
        assert_eq!(routes.len(), 2);
        assert_eq!(
            (routes[0]["destination"].as_str(), routes[0]["gateway"].as_str()),
            (Some("0.0.0.0/0"), Some("192.0.2.1"))
        );
        assert_eq!(routes[0]["metric"], 100);
        assert_eq!((routes[1]["destination"].as_str(), &routes[1]["gateway"]), (Some("192.0.2.0/24"), &Value::Null));
    }

    #[test]
    fn routes_of_ipv6_are_understood_and_own_addresses_left_out() {
        let routes = v6(
            "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth0\n\
             00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001       lo\n\
             00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n",
        );
        assert_eq!(routes.len(), 2);
        assert_eq!(routes[0]["gateway"], "fd00::1");
        assert_eq!((&routes[1]["reject"], &routes[1]["up"]), (&json!(true), &json!(false)));
    }

    #[test]
    fn the_resolver_takes_comments_and_the_last_search() {
        let parsed = resolver(
            "# x\nnameserver 192.0.2.53 ; main\nnameserver ::1\nsearch a\nsearch b c\noptions ndots:5 rotate\n",
        );
        assert_eq!(
            parsed,
            json!({"servers": ["192.0.2.53", "::1"], "search": ["b", "c"], "options": ["ndots:5", "rotate"]})
        );
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,300}", words in proptest::collection::vec("[0-9a-f]{1,34}", 0..12)) {
            let joined = words.join(" ");
            for text in [&text, &joined] {
                let _ = (v4(text), v6(text), resolver(text));
            }
        }
    }
}
