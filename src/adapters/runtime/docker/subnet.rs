//! Addresses: which subnet a new network takes, and which part of it the engine assigns.

use std::net::Ipv4Addr;

/// 1022 addresses: half of them is more than a project's containers in the ten minutes in which none is used twice.
const PREFIX: u8 = 22;
/// Second bytes of 10.x.0.0/16 that subnets are taken from, in this order: 640 networks.
const SECOND_BYTES: std::ops::RangeInclusive<u8> = 210..=219;
/// The network itself and its gateway come before the first address that may be assigned.
const RESERVED: u32 = 2;
/// Smaller networks than this have no half to assign from.
const LONGEST_PREFIX: u8 = 29;

/// A range of addresses in CIDR form; the host part is zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cidr {
    base: u32,
    prefix: u8,
}

impl Cidr {
    pub(super) fn new(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        (prefix <= 32).then(|| Self { base: u32::from(address) & mask(prefix), prefix })
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        Self::new(address.parse().ok()?, prefix.parse().ok()?)
    }

    fn overlaps(self, other: Self) -> bool {
        let shared = mask(self.prefix.min(other.prefix));
        self.base & shared == other.base & shared
    }

    /// The first address: Docker's end of the bridge.
    pub(super) fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from(self.base.saturating_add(1))
    }

    /// The upper half, which Docker assigns from when nobody names an address.
    pub(super) fn dynamic(self) -> Self {
        Self { base: self.base + (1 << (31 - self.prefix)), prefix: self.prefix + 1 }
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

/// The addresses that the engine may assign in a network of ours, first and last: the lower half of its subnet without
/// network and gateway. Docker assigns from the upper half. `None` when the text is no subnet, or has no room.
#[must_use]
pub fn assignable(subnet: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let subnet = Cidr::parse(subnet).filter(|subnet| subnet.prefix <= LONGEST_PREFIX)?;
    Some((Ipv4Addr::from(subnet.base + RESERVED), Ipv4Addr::from(subnet.dynamic().base - 1)))
}

/// The host's end of a network of ours, and the bits of its prefix. `None` when the text is no subnet.
#[must_use]
pub fn gateway(subnet: &str) -> Option<(Ipv4Addr, u8)> {
    Cidr::parse(subnet).map(|subnet| (subnet.gateway(), subnet.prefix))
}

/// Subnets that nothing in `used` overlaps, in the order in which they are tried.
pub(super) fn free(used: &[Cidr]) -> impl Iterator<Item = Cidr> + '_ {
    let step = 1_usize << (24 - PREFIX);
    let all = SECOND_BYTES.flat_map(move |second| (0..=u8::MAX).step_by(step).map(move |third| (second, third)));
    all.filter_map(|(second, third)| Cidr::new(Ipv4Addr::new(10, second, third, 0), PREFIX))
        .filter(|candidate| !used.iter().any(|taken| taken.overlaps(*candidate)))
}

/// What the host routes to, from the text of `/proc/net/route`; the default route leads everywhere and does not count.
pub(super) fn host_routes(text: &str) -> Vec<Cidr> {
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok().map(u32::swap_bytes);
        let prefix = u8::try_from(number(7)?.leading_ones()).ok().filter(|prefix| *prefix > 0)?;
        Cidr::new(Ipv4Addr::from(number(1)?), prefix)
    };
    text.lines().skip(1).filter_map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        Cidr::parse(text).unwrap()
    }

    #[test]
    fn the_engine_assigns_from_the_lower_half() {
        let range = |subnet| assignable(subnet).map(|(first, last)| (first.to_string(), last.to_string()));
        assert_eq!(range("10.210.4.0/22"), Some(("10.210.4.2".to_owned(), "10.210.5.255".to_owned())));
        assert_eq!(range("10.0.0.0/29"), Some(("10.0.0.2".to_owned(), "10.0.0.3".to_owned())));
        for bad in ["10.0.0.0/30", "10.0.0.0", "x/22", "10.0.0.0/33", ""] {
            assert_eq!(range(bad), None, "{bad}");
        }
        assert_eq!(cidr("10.210.4.0/22").dynamic().to_string(), "10.210.6.0/23");
        assert_eq!(gateway("10.210.4.0/22"), Some((Ipv4Addr::new(10, 210, 4, 1), 22)));
        assert_eq!(gateway("nowhere"), None);
    }

    #[test]
    fn a_subnet_is_free_when_nobody_routes_there() {
        let first = |used: &[&str]| {
            let used: Vec<_> = used.iter().map(|text| cidr(text)).collect();
            free(&used).next().map(|found| found.to_string())
        };
        assert_eq!(first(&[]).as_deref(), Some("10.210.0.0/22"));
        assert_eq!(first(&["10.210.1.7/32", "10.210.4.0/23"]).as_deref(), Some("10.210.8.0/22"));
        assert_eq!(first(&["10.210.0.0/16"]).as_deref(), Some("10.211.0.0/22"));
        assert_eq!(first(&["10.0.0.0/8"]), None);
        assert_eq!(free(&[]).count(), 640);
    }

    #[test]
    fn host_routes_are_read() {
        let text = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
                    bad\n";
        assert_eq!(host_routes(text), [cidr("172.17.0.0/16")]);
    }
}
