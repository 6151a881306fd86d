//! From a gateway and a name to an entry.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::Entry;
use crate::config::Network;

/// Longest name, bytes: that of DNS.
const MAX_NAME: usize = 253;

/// The names of all entries, by the gateway on which they are answered.
#[derive(Debug, Default)]
pub struct NameIndex {
    gateways: BTreeMap<Ipv4Addr, OfGateway>,
}

#[derive(Debug)]
struct OfGateway {
    network: Network,
    names: HashMap<Box<str>, Arc<Entry>>,
}

impl NameIndex {
    /// Orders the names of all entries.
    #[must_use]
    pub fn build<'a>(entries: impl Iterator<Item = &'a Arc<Entry>>) -> Self {
        let mut index = Self::default();
        for entry in entries {
            let Some(names) = &entry.names else { continue };
            let network = Network::new(IpAddr::V4(names.gateway), names.prefix);
            let of =
                index.gateways.entry(names.gateway).or_insert_with(|| OfGateway { network, names: HashMap::new() });
            of.names.extend(names.names.iter().map(|name| (name.as_str().into(), Arc::clone(entry))));
        }
        index
    }

    /// Every gateway that an entry has names on.
    pub fn gateways(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.gateways.keys().copied()
    }

    /// Whether a peer is on the network of a gateway: nobody else is answered there.
    #[must_use]
    pub fn may_ask(&self, gateway: Ipv4Addr, peer: IpAddr) -> bool {
        self.gateways.get(&gateway).is_some_and(|of| of.network.contains(peer))
    }

    /// Whose name it is on that gateway. The name may be in any case and end with a dot.
    #[must_use]
    pub fn find(&self, gateway: Ipv4Addr, name: &str) -> Option<&Arc<Entry>> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.len() > MAX_NAME {
            return None;
        }
        self.gateways.get(&gateway)?.names.get(name.to_ascii_lowercase().as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Names, RoutePolicy};

    fn entry(workload: &str, gateway: [u8; 4], names: &[&str]) -> Arc<Entry> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Arc::new(Entry {
            workload: workload.into(),
            name: workload.into(),
            generation: 1,
            routes: Vec::new(),
            names: Some(Names { gateway: gateway.into(), prefix: 24, names }),
            targets: Vec::new(),
            draining: Vec::new(),
            former: Vec::new(),
            policy: RoutePolicy { drain_ms: 0, half_close: false },
            figures: Arc::default(),
        })
    }

    #[test]
    fn a_name_is_known_on_its_own_gateway_only() {
        let (shop, blog) = ([10, 0, 1, 1], [10, 0, 2, 1]);
        let entries =
            [entry("a", shop, &["web", "web.internal"]), entry("b", blog, &["web"]), entry("c", blog, &["db"])];
        let index = NameIndex::build(entries.iter());
        let whose = |gateway: [u8; 4], name| index.find(gateway.into(), name).map(|entry| entry.workload.clone());
        assert_eq!(whose(shop, "web").as_deref(), Some("a"));
        assert_eq!(whose(shop, "WEB.").as_deref(), Some("a"));
        assert_eq!(whose(shop, "Web.Internal").as_deref(), Some("a"));
        assert_eq!(whose(blog, "web").as_deref(), Some("b"));
        assert_eq!(whose(shop, "db"), None);
        assert_eq!(whose([10, 0, 3, 1], "web"), None);
        assert_eq!(whose(shop, &"w".repeat(300)), None);
        assert_eq!(index.gateways().collect::<Vec<_>>(), [Ipv4Addr::from(shop), Ipv4Addr::from(blog)]);
    }

    #[test]
    fn only_the_network_may_ask() {
        let entries = [entry("a", [10, 0, 1, 1], &["web"])];
        let index = NameIndex::build(entries.iter());
        let may = |peer: &str| index.may_ask([10, 0, 1, 1].into(), peer.parse().unwrap());
        assert!(may("10.0.1.200") && may("::ffff:10.0.1.7"));
        assert!(!may("10.0.2.1") && !may("192.168.0.1") && !may("::1"));
    }
}
