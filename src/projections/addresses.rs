//! Which addresses of our networks are in use, and which rest: an address that a container had goes to another one
//! only after a while, so that a stale connection cannot reach the wrong application.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use cutover_events::{Event, Stamp, UnitId};

/// How long an address rests after its container was seen gone, ms: longer than any connection that we keep (design §4).
const REST_MS: u64 = 10 * 60_000;

/// The address book of all networks.
#[derive(Debug, Default)]
pub struct Addresses {
    taken: BTreeMap<Ipv4Addr, UnitId>,
    units: BTreeMap<UnitId, Ipv4Addr>,
    resting: BTreeMap<Ipv4Addr, Stamp>,
    last: BTreeMap<Ipv4Addr, Ipv4Addr>,
}

impl Addresses {
    /// Takes in what happened to a workload.
    pub fn fold(&mut self, events: &[Event], at: Stamp) {
        for event in events {
            if let Some((_, plan)) = event.plan() {
                plan.units.iter().for_each(|unit| self.assign(unit.unit, unit.address));
            }
            if let Event::UnitRemoved(e) = event
                && let Some(address) = self.units.remove(&e.unit)
            {
                self.taken.remove(&address);
                self.resting.insert(address, at);
            }
        }
    }

    fn assign(&mut self, unit: UnitId, address: Ipv4Addr) {
        self.taken.insert(address, unit);
        self.units.insert(unit, address);
        self.resting.remove(&address);
    }

    /// An address between `first` and `last` that is free and has rested; the one that rested longest when none has.
    /// Never one of `routed`, where the proxy leads to, whether anything is there or not. It is reserved for `unit` until
    /// the plan that names it is in the log.
    pub fn take(
        &mut self,
        (first, last): (Ipv4Addr, Ipv4Addr),
        (unit, now): (UnitId, Stamp),
        routed: &BTreeSet<Ipv4Addr>,
    ) -> Option<Ipv4Addr> {
        let (low, high) = (u32::from(first), u32::from(last));
        let from = self.last.get(&first).map_or(low, |last| u32::from(*last) + 1);
        let mut around = (from..=high).chain(low..from.min(high + 1)).map(Ipv4Addr::from);
        let rested = |at: &Stamp| at.boot != now.boot || now.mono_ms.saturating_sub(at.mono_ms) >= REST_MS;
        let open = |a: &Ipv4Addr| !self.taken.contains_key(a) && !routed.contains(a);
        let free = around.find(|a| open(a) && self.resting.get(a).is_none_or(rested));
        let oldest = || {
            let here = self.resting.iter().filter(|(a, _)| (first..=last).contains(*a) && !routed.contains(*a));
            here.min_by_key(|(_, at)| at.wall_ms).map(|(a, _)| *a)
        };
        let address = free.or_else(oldest)?;
        self.last.insert(first, address);
        self.assign(unit, address);
        Some(address)
    }

    /// Gives back what was taken for a plan that did not come about.
    pub fn give_back(&mut self, unit: UnitId) {
        if let Some(address) = self.units.remove(&unit) {
            self.taken.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_events::deployment::UnitRemoved;

    #[test]
    fn an_address_rests_before_it_is_used_again() {
        let mut book = Addresses::default();
        let range = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 4));
        let now = Stamp { mono_ms: 1000, ..Stamp::default() };
        let unit = |n: u8| UnitId([n; 16]);
        let none = BTreeSet::new();
        let first = book.take(range, (unit(1), now), &none).unwrap();
        book.fold(&[Event::from(UnitRemoved { unit: unit(1) })], now);
        assert_ne!(book.take(range, (unit(2), now), &none), Some(first));
        assert_ne!(book.take(range, (unit(3), now), &none), Some(first));
        assert_eq!(book.take(range, (unit(4), now), &BTreeSet::from([first])), None, "the proxy leads there");
        assert_eq!(
            book.take(range, (unit(4), now), &none),
            Some(first),
            "the one that rested longest, when nothing else is left"
        );
        assert_eq!(book.take(range, (unit(5), now), &none), None);
    }
}
