//! Which addresses are somebody's on the public internet: none of IANA's special-purpose registries (RFC 6890), and none by which a cloud
//! tells its machines their secrets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First octets and bits of the IPv4 blocks that are not global.
const NOT_GLOBAL_4: [([u8; 4], u32); 17] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10), // carriers' shared space, RFC 6598
    ([127, 0, 0, 0], 8),
    ([168, 63, 129, 16], 32), // Azure's machine agent
    ([169, 254, 0, 0], 16),   // link local; most clouds' metadata
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 52, 193, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15), // benchmarks, RFC 2544
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 3), // multicast, reserved, broadcast
];

/// Whether an address is a public one. IPv6 inside IPv4's clothes is looked at as IPv4.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_4(address),
        IpAddr::V6(address) => is_public_6(address),
    }
}

fn is_public_4(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    !NOT_GLOBAL_4.iter().any(|(base, prefix)| {
        let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
        bits & mask == u32::from(Ipv4Addr::from(*base)) & mask
    })
}

fn is_public_6(address: Ipv6Addr) -> bool {
    let bits = u128::from(address);
    let [a, b, ..] = address.segments();
    // NAT64 (RFC 6052): where only IPv6 is spoken, every IPv4 address looks so.
    if bits >> 32 == 0x0064_ff9b_0000_0000_0000_0000 {
        let low = u32::try_from(bits & u128::from(u32::MAX)).unwrap_or(0);
        return is_public_4(Ipv4Addr::from(low));
    }
    let global_unicast = a & 0xe000 == 0x2000;
    let protocols = a == 0x2001 && b & 0xfe00 == 0; // 2001::/23: Teredo, ORCHID and others
    let documents = (a == 0x2001 && b == 0x0db8) || (a == 0x3fff && b & 0xf000 == 0);
    let six_to_four = a == 0x2002; // has an IPv4 address in it
    let delegated = a == 0x2620 && b == 0x004f; // AS112
    global_unicast && !protocols && !documents && !six_to_four && !delegated
}
