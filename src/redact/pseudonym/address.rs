//! Pseudonyms of IP and MAC addresses.
//!
//! IP addresses keep their common prefixes: two addresses of one network have pseudonyms of one network, whatever the
//! length of its prefix. Pseudonyms stand in ranges that no host has (240.0.0.0/4, 3fff::/20), so that they are
//! recognised and never replaced again, and so that they are told from real addresses by everyone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Mask;

/// First bytes of MAC pseudonyms: locally administered, of one receiver.
const MAC: [u8; 2] = [0x0a, 0xcf];
/// Bits of an IPv6 pseudonym that are the same in all of them.
const V6_FIXED: usize = 20;

/// The pseudonym of an address; none for addresses that say nothing about a site: loopback, unspecified, link-local,
/// multicast, reserved and documentation, and with them all pseudonyms.
pub(super) fn ip(mask: &Mask, address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => v4(mask, address).map(IpAddr::V4),
        IpAddr::V6(address) => v6(mask, address).map(IpAddr::V6),
    }
}

fn v4(mask: &Mask, address: Ipv4Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    // The first octet of the pseudonym, and how many bits of the address are kept as they are.
    let (first, kept) = match octets {
        [0 | 127 | 224..=255, ..] | [169, 254, ..] | [192, 0, 2, _] | [198, 18 | 19, ..] => return None,
        [198, 51, 100, _] | [203, 0, 113, _] => return None,
        [10, ..] => (240, 8),
        [172, 16..=31, ..] => (241, 12),
        [192, 168, ..] => (242, 16),
        [100, 64..=127, ..] => (243, 10),
        [first, ..] => (244 + mask.bytes(b"first", &[first])[0] % 11, 8),
    };
    let mut out = [0; 4];
    out.copy_from_slice(&mixed(mask, &octets, kept));
    out[0] = first;
    Some(Ipv4Addr::from(out))
}

fn v6(mask: &Mask, address: Ipv6Addr) -> Option<Ipv6Addr> {
    if let Some(inner) = address.to_ipv4_mapped() {
        return v4(mask, inner).map(|a| a.to_ipv6_mapped());
    }
    let first = address.segments()[0];
    let documentation = address.segments()[..2] == [0x2001, 0xdb8] || first == 0x3fff && address.segments()[1] < 0x1000;
    let site = matches!(first, 0x2000..=0x3fff | 0xfc00..=0xfdff) || address.segments()[..2] == [0x64, 0xff9b];
    if documentation || !site {
        return None;
    }
    let mut out = [0; 16];
    out.copy_from_slice(&mixed(mask, &address.octets(), V6_FIXED));
    (out[0], out[1], out[2]) = (0x3f, 0xff, out[2] & 0x0f);
    Some(Ipv6Addr::from(out))
}

/// Flips each bit behind the first `kept` by a bit that depends on all bits in front of it.
fn mixed(mask: &Mask, octets: &[u8], kept: usize) -> Vec<u8> {
    let mut out = octets.to_vec();
    for (i, octet) in octets.iter().enumerate().skip(kept / 8) {
        // One bit for each place in the tree of the eight bits.
        let flips = mask.bytes(b"ip", &octets[..i]);
        let mut place = 1_usize;
        for bit in 0..8 {
            if 8 * i + bit >= kept {
                out[i] ^= (flips[place / 8] >> (place % 8) & 1) << (7 - bit);
            }
            place = 2 * place + usize::from(octet >> (7 - bit) & 1);
        }
    }
    out
}

/// The pseudonym of a network: of an address with the length of its prefix. Bits behind the prefix stay zero where they
/// are zero.
pub(super) fn network(mask: &Mask, address: IpAddr, length: u32) -> Option<IpAddr> {
    let clear = |bits: u128, width: u32| if length == 0 { 0 } else { bits >> (width - length) << (width - length) };
    match address {
        IpAddr::V4(a) if length <= 32 => {
            let zeroed = |a: Ipv4Addr| Ipv4Addr::from(clear(u128::from(a.to_bits()), 32) as u32);
            if length < 8 {
                return None;
            }
            let pseudonym = v4(mask, a)?;
            Some(IpAddr::V4(if zeroed(a) == a { zeroed(pseudonym) } else { pseudonym }))
        }
        IpAddr::V6(a) if length <= 128 => {
            let zeroed = |a: Ipv6Addr| Ipv6Addr::from(clear(a.to_bits(), 128));
            if length < V6_FIXED as u32 {
                return None;
            }
            let pseudonym = v6(mask, a)?;
            Some(IpAddr::V6(if zeroed(a) == a { zeroed(pseudonym) } else { pseudonym }))
        }
        _ => ip(mask, address),
    }
}

/// The pseudonym of a MAC address; none for those of no single device, and for pseudonyms.
pub(super) fn mac(mask: &Mask, address: [u8; 6]) -> Option<[u8; 6]> {
    let group = address[0] & 1 == 1;
    if group || address == [0; 6] || address[..2] == MAC {
        return None;
    }
    let random = mask.bytes(b"mac", &address);
    Some([MAC[0], MAC[1], random[0], random[1], random[2], random[3]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::redact::CorrelationKey;

    fn mask() -> Mask {
        Mask::new(&CorrelationKey::from_bytes([7; 32])).unwrap()
    }

    fn of(text: &str) -> String {
        let address = text.parse().unwrap();
        ip(&mask(), address).unwrap_or(address).to_string()
    }

    #[test]
    fn special_addresses_and_pseudonyms_stay() {
        for text in [
            "0.0.0.0",
            "127.0.0.1",
            "127.8.9.1",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.0",
            "240.1.2.3",
            "192.0.2.7",
            "198.51.100.1",
            "203.0.113.9",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::5",
            "3fff:7::1",
        ] {
            assert_eq!(of(text), text);
        }
        for text in ["10.1.2.3", "172.20.0.9", "192.168.1.1", "100.70.0.1", "8.8.8.8", "2a01:4f8::1", "fd00:1::2"] {
            assert_ne!(of(text), text);
            assert_eq!(of(&of(text)), of(text));
        }
    }

    #[test]
    fn private_ranges_are_told_apart() {
        assert!(of("10.9.8.7").starts_with("240."));
        assert!(of("192.168.3.4").starts_with("242.168."));
        let second: u8 = of("172.31.0.1").split('.').nth(1).unwrap().parse().unwrap();
        assert!((16..32).contains(&second));
        assert!(of("::ffff:10.1.2.3").ends_with(&of("10.1.2.3")));
    }

    #[test]
    fn a_network_has_no_host_bits() {
        let network = |text: &str, length| network(&mask(), text.parse().unwrap(), length).map(|a| a.to_string());
        let IpAddr::V4(service) = network("10.96.0.0", 12).unwrap().parse().unwrap() else { panic!("not IPv4") };
        assert_eq!(service.to_bits() & 0x000f_ffff, 0);
        assert!(
            network("fd00:10:96::", 112).unwrap().ends_with(":0")
                || network("fd00:10:96::", 112).unwrap().ends_with("::")
        );
        assert_eq!(network("0.0.0.0", 0), None);
        assert_eq!(network("10.0.0.0", 7), None);
        assert_eq!(network("fd00::", 8), None);
        assert_eq!(network("10.1.2.3", 16), Some(of("10.1.2.3")));
    }

    #[test]
    fn a_mac_stays_one() {
        let mask = mask();
        let pseudonym = mac(&mask, [0x00, 0x16, 0x3e, 1, 2, 3]).unwrap();
        assert_eq!(pseudonym[0] & 3, 2, "locally administered, one receiver");
        assert_ne!(pseudonym, mac(&mask, [0x00, 0x16, 0x3e, 1, 2, 4]).unwrap());
        for kept in [[0; 6], [0xff; 6], [0x33, 0x33, 0, 0, 0, 1], pseudonym] {
            assert_eq!(mac(&mask, kept), None);
        }
    }

    proptest! {
        /// Addresses with a common prefix have pseudonyms with a common prefix of the same length, inside of one range.
        #[test]
        fn prefixes_are_kept(a: u32, b: u32, shared in 0_u32..24) {
            let mask = mask();
            let place = |bits: u32| Ipv4Addr::from(0x0a00_0000 | bits & 0x00ff_ffff);
            let a = place(a);
            let b = place((a.to_bits() >> (24 - shared) << (24 - shared)) | b & ((1 << (24 - shared)) - 1));
            let (x, y) = (v4(&mask, a).unwrap(), v4(&mask, b).unwrap());
            prop_assert_eq!((a.to_bits() ^ b.to_bits()).leading_zeros(), (x.to_bits() ^ y.to_bits()).leading_zeros());
        }

        #[test]
        fn prefixes_of_ipv6_are_kept(a: u128, b: u128, shared in 20_u32..127) {
            let mask = mask();
            let place = |bits: u128| Ipv6Addr::from(0xfd_u128 << 120 | bits >> 8);
            let a = place(a);
            let b = Ipv6Addr::from(a.to_bits() >> (128 - shared) << (128 - shared) | b & ((1 << (128 - shared)) - 1));
            let (x, y) = (v6(&mask, a).unwrap(), v6(&mask, b).unwrap());
            prop_assert_eq!((a.to_bits() ^ b.to_bits()).leading_zeros(), (x.to_bits() ^ y.to_bits()).leading_zeros());
        }
    }
}
