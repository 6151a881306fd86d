//! The resolvers of this host, as a container can reach them.

use std::net::Ipv4Addr;

/// Where hosts name them. The second is asked when the first names only a resolver on the host itself, which a
/// container's own loopback does not lead to: systemd keeps there what that resolver asks.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
/// Docker asks three servers at most, and the gateway comes first.
const MAX: usize = 2;

/// Those that a container can ask; read anew at each call, because networks change under a running host.
#[must_use]
pub fn host_resolvers() -> Vec<Ipv4Addr> {
    let mut texts = FILES.iter().map(|file| std::fs::read_to_string(file).unwrap_or_default());
    texts.find_map(|text| Some(reachable(&text)).filter(|found| !found.is_empty())).unwrap_or_default()
}

fn reachable(text: &str) -> Vec<Ipv4Addr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse::<Ipv4Addr>().ok()).flatten()
    };
    text.lines().filter_map(address).filter(|found| !found.is_loopback() && !found.is_unspecified()).take(MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_container_cannot_reach_is_left_out() {
        let text = "search example.com\nnameserver 127.0.0.53\nnameserver fd00::1\nnameserver 10.0.0.1\n\
                    #nameserver 9.9.9.9\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n";
        assert_eq!(reachable(text), [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)]);
        assert!(reachable("nameserver 127.0.0.1\n").is_empty());
    }
}
