//! From host and path to an entry: exact host, then `*.` for one label; longest prefix of whole segments.

use std::collections::HashMap;
use std::sync::Arc;

use super::Entry;
use crate::wire;

/// Longest host name, bytes: that of DNS.
const MAX_HOST: usize = 253;

/// The routes of all entries, ordered for lookups.
#[derive(Debug, Default)]
pub struct RouteIndex {
    exact: HashMap<Box<str>, Vec<Arc<Found>>>,
    /// Keyed by what follows `*`, as `.example.com`.
    wildcard: HashMap<Box<str>, Vec<Arc<Found>>>,
}

/// A route and its entry.
#[derive(Debug)]
pub struct Found {
    /// Whose.
    pub entry: Arc<Entry>,
    /// Which of its routes.
    pub route: wire::Route,
    /// Path prefix without a slash at its end; empty: all paths.
    pub prefix: Box<str>,
}

impl RouteIndex {
    /// Orders the routes of all entries.
    #[must_use]
    pub fn build<'a>(entries: impl Iterator<Item = &'a Arc<Entry>>) -> Self {
        let mut index = Self::default();
        for entry in entries {
            for route in &entry.routes {
                let prefix = route.path.trim_end_matches('/').into();
                let found = Arc::new(Found { entry: Arc::clone(entry), route: route.clone(), prefix });
                let (map, key) = match route.host.strip_prefix('*') {
                    Some(suffix) => (&mut index.wildcard, suffix),
                    None => (&mut index.exact, route.host.as_str()),
                };
                let paths = map.entry(key.into()).or_default();
                let at = paths.partition_point(|other| other.prefix.len() >= found.prefix.len());
                paths.insert(at, found);
            }
        }
        index
    }

    /// The route of a request. The host may be in any case and have a port.
    #[must_use]
    pub fn find(&self, host: &str, path: &str) -> Option<&Arc<Found>> {
        let host = without_port(host);
        if host.len() > MAX_HOST {
            return None;
        }
        let mut lower = [0; MAX_HOST];
        let host = if host.bytes().any(|b| b.is_ascii_uppercase()) {
            let lower = &mut lower[..host.len()];
            lower.copy_from_slice(host.as_bytes());
            lower.make_ascii_lowercase();
            std::str::from_utf8(lower).ok()?
        } else {
            host
        };
        if let Some(found) = self.exact.get(host).and_then(|paths| longest(paths, path)) {
            return Some(found);
        }
        let (label, _) = host.split_once('.')?;
        let paths = self.wildcard.get(&host[label.len()..])?;
        if label.is_empty() { None } else { longest(paths, path) }
    }

    /// The same route in this table, which may be newer than the one it was found in.
    #[must_use]
    pub fn again(&self, found: &Found) -> Option<&Arc<Found>> {
        let paths = match found.route.host.strip_prefix('*') {
            Some(suffix) => self.wildcard.get(suffix),
            None => self.exact.get(found.route.host.as_str()),
        };
        let is_same = |other: &&Arc<Found>| other.prefix == found.prefix;
        paths?.iter().find(is_same)
    }

    /// Whether any workload has a route on this host.
    #[must_use]
    pub fn knows_host(&self, host: &str) -> bool {
        let host = without_port(host).to_ascii_lowercase();
        self.exact.contains_key(host.as_str())
            || host.split_once('.').is_some_and(|(label, _)| self.wildcard.contains_key(&host[label.len()..]))
    }
}

/// The host of an authority: without port, without the dot of the root at its end.
#[must_use]
pub fn without_port(host: &str) -> &str {
    let end = match host.strip_prefix('[').and_then(|rest| rest.find(']')) {
        Some(at) => at + 2,
        None => host.find(':').unwrap_or(host.len()),
    };
    let host = &host[..end];
    host.strip_suffix('.').unwrap_or(host)
}

fn longest<'a>(paths: &'a [Arc<Found>], path: &str) -> Option<&'a Arc<Found>> {
    paths.iter().find(|found| {
        path.strip_prefix(&*found.prefix)
            .is_some_and(|rest| found.prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Route, RoutePolicy};

    fn entry(name: &str, routes: &[(&str, &str)]) -> Arc<Entry> {
        let routes = routes
            .iter()
            .map(|(host, path)| Route {
                host: (*host).into(),
                path: (*path).into(),
                port: 80,
                strip: false,
                address: None,
            })
            .collect();
        Arc::new(Entry {
            workload: name.into(),
            name: name.into(),
            generation: 1,
            routes,
            names: None,
            targets: Vec::new(),
            draining: Vec::new(),
            former: Vec::new(),
            policy: RoutePolicy { drain_ms: 0, half_close: false },
            figures: Arc::default(),
        })
    }

    #[test]
    fn the_longest_prefix_of_whole_segments_wins() {
        let entries = [
            entry("root", &[("a.test", "/")]),
            entry("api", &[("a.test", "/api")]),
            entry("v2", &[("a.test", "/api/v2/")]),
            entry("wild", &[("*.a.test", "/")]),
            entry("deep", &[("x.a.test", "/only")]),
        ];
        let index = RouteIndex::build(entries.iter());
        let whose = |host, path| index.find(host, path).map(|found| found.entry.workload.clone());
        let is = |host, path, name: &str| assert_eq!(whose(host, path).as_deref(), Some(name), "{host}{path}");
        is("a.test", "/", "root");
        is("A.Test:8080", "/apiary", "root");
        is("a.test", "/api", "api");
        is("a.test.", "/api/v1", "api");
        is("a.test", "/api/v2", "v2");
        is("a.test", "/api/v2/x", "v2");
        is("b.a.test", "/", "wild");
        is("x.a.test", "/only/this", "deep");
        is("x.a.test", "/else", "wild");
        assert_eq!(whose("c.b.a.test", "/"), None);
        assert_eq!(whose(".a.test", "/"), None);
        assert_eq!(whose("other.test", "/"), None);
        assert_eq!(whose("[::1]:80", "/"), None);
        assert!(index.knows_host("Q.a.test:1") && !index.knows_host("b.test"));
    }
}
