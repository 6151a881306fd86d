//! Header hygiene: what is for one hop stays on it, what says where a request came from is ours.

use http::header::{
    CONNECTION, COOKIE, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};

use crate::config::Trust;
use crate::serving::Client;

/// The id of a request, in and out.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const HTTP: HeaderValue = HeaderValue::from_static("http");

/// Longest request id taken over from a client, bytes: any known scheme fits.
const MAX_REQUEST_ID: usize = 128;

/// What one walk over the fields found.
#[derive(Clone, Copy, Default)]
struct Seen(u32);

impl Seen {
    const CONNECTION: u32 = 1;
    const KEEP_ALIVE: u32 = 1 << 1;
    const PROXY_CONNECTION: u32 = 1 << 2;
    const TE: u32 = 1 << 3;
    const TRANSFER_ENCODING: u32 = 1 << 4;
    const UPGRADE: u32 = 1 << 5;
    const PROXY_AUTH: u32 = 1 << 6;
    const EXPECT: u32 = 1 << 7;
    const FORWARDING: u32 = 1 << 8;
    const COOKIE: u32 = 1 << 9;
    const REQUEST_ID: u32 = 1 << 10;
    const HOP_BY_HOP: u32 = 0x7f;

    fn of(headers: &HeaderMap) -> Self {
        headers.keys().fold(Self::default(), |seen, name| Self(seen.0 | Self::bit(name.as_str())))
    }

    fn bit(name: &str) -> u32 {
        match name {
            "connection" => Self::CONNECTION,
            "keep-alive" => Self::KEEP_ALIVE,
            "proxy-connection" => Self::PROXY_CONNECTION,
            "te" => Self::TE,
            "transfer-encoding" => Self::TRANSFER_ENCODING,
            "upgrade" => Self::UPGRADE,
            "proxy-authenticate" | "proxy-authorization" => Self::PROXY_AUTH,
            "expect" => Self::EXPECT,
            "forwarded" | "x-forwarded-for" | "x-forwarded-host" | "x-forwarded-port" | "x-forwarded-proto"
            | "x-real-ip" => Self::FORWARDING,
            "cookie" => Self::COOKIE,
            "x-request-id" => Self::REQUEST_ID,
            _ => 0,
        }
    }

    fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
}

/// Makes the fields of a client's request those that the target gets.
pub(super) fn for_target(headers: &mut HeaderMap, host: &HeaderValue, client: &Client) -> HeaderValue {
    let seen = Seen::of(headers);
    if seen.has(Seen::HOP_BY_HOP) {
        let trailers = seen.has(Seen::TE) && has_token(headers, &TE, "trailers");
        strip(headers, seen);
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
    if seen.has(Seen::EXPECT) {
        // The server side has already answered 100 by the time that the body is asked for.
        headers.remove(EXPECT);
    }
    if seen.has(Seen::COOKIE) {
        join_cookies(headers);
    }
    headers.insert(HOST, host.clone());
    if seen.has(Seen::FORWARDING) && client.trust == Trust::Listed {
        extend_forwarding(headers, host, client);
    } else {
        if seen.has(Seen::FORWARDING) {
            headers.remove(X_FORWARDED_PORT);
            headers.remove(X_REAL_IP);
        }
        headers.insert(X_FORWARDED_FOR, client.peer_value.clone());
        headers.insert(X_FORWARDED_HOST, host.clone());
        headers.insert(X_FORWARDED_PROTO, HTTP);
        headers.insert(FORWARDED, forwarded(host, client));
    }
    if seen.has(Seen::REQUEST_ID)
        && let Some(given) = given_id(headers)
    {
        return given;
    }
    let id = super::ids::request_id();
    headers.insert(REQUEST_ID, id.clone());
    id
}

/// The id of a request that goes nowhere: the client's own, when it is plain, or a new one.
pub(super) fn id_of(headers: &HeaderMap) -> HeaderValue {
    given_id(headers).unwrap_or_else(super::ids::request_id)
}

fn given_id(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(REQUEST_ID).filter(|id| is_request_id(id)).cloned()
}

/// Makes the fields of a target's answer those that the client gets; returns the seconds of `Keep-Alive: timeout=`.
pub(super) fn for_client(headers: &mut HeaderMap, request_id: HeaderValue) -> Option<u64> {
    let seen = Seen::of(headers);
    let timeout = if seen.has(Seen::KEEP_ALIVE) { keep_alive_timeout(headers) } else { None };
    if seen.has(Seen::HOP_BY_HOP) {
        strip(headers, seen);
    }
    headers.insert(REQUEST_ID, request_id);
    timeout
}

fn strip(headers: &mut HeaderMap, seen: Seen) {
    if seen.has(Seen::CONNECTION) {
        strip_named(headers);
    }
    for (bit, name) in [
        (Seen::KEEP_ALIVE, KEEP_ALIVE),
        (Seen::PROXY_CONNECTION, PROXY_CONNECTION),
        (Seen::TE, TE),
        (Seen::TRANSFER_ENCODING, TRANSFER_ENCODING),
        (Seen::UPGRADE, UPGRADE),
        (Seen::PROXY_AUTH, PROXY_AUTHENTICATE),
        (Seen::PROXY_AUTH, PROXY_AUTHORIZATION),
    ] {
        if seen.has(bit) {
            headers.remove(name);
        }
    }
}

/// Removes `Connection` and the fields that it names.
fn strip_named(headers: &mut HeaderMap) {
    let mut named: Vec<HeaderName> = Vec::new();
    for value in headers.get_all(CONNECTION) {
        for token in value.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii) {
            if !token.eq_ignore_ascii_case(b"keep-alive") && !token.eq_ignore_ascii_case(b"close") {
                named.extend(HeaderName::from_bytes(token));
            }
        }
    }
    headers.remove(CONNECTION);
    for name in named.into_iter().filter(|name| *name != HOST) {
        headers.remove(name);
    }
}

/// Whether a comma-separated field has this token.
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        value.as_bytes().split(|b| *b == b',').any(|part| {
            let part = part.split(|b| *b == b';').next().unwrap_or_default();
            part.trim_ascii().eq_ignore_ascii_case(token.as_bytes())
        })
    })
}

/// HTTP/2 splits cookies into crumbs; HTTP/1 has one field.
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    if crumbs.next().is_none() || crumbs.next().is_none() {
        return;
    }
    let all: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

fn forwarded(host: &HeaderValue, client: &Client) -> HeaderValue {
    let mut last = client.forwarded.lock();
    if let Some((known, value)) = last.as_ref().filter(|(known, _)| known == host) {
        debug_assert_eq!(known, host);
        return value.clone();
    }
    let peer = client.peer.ip().to_canonical();
    let mut text = if peer.is_ipv6() { format!("for=\"[{peer}]\"") } else { format!("for={peer}") }.into_bytes();
    if !host.is_empty() {
        text.extend_from_slice(b";host=\"");
        text.extend_from_slice(host.as_bytes());
        text.push(b'"');
    }
    text.extend_from_slice(b";proto=http");
    let value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("for=unknown"));
    *last = Some((host.clone(), value.clone()));
    value
}

/// From a proxy that is believed: our peer is added to the lists, what it says of host and protocol stays.
fn extend_forwarding(headers: &mut HeaderMap, host: &HeaderValue, client: &Client) {
    let ours = forwarded(host, client);
    for (name, own) in [(X_FORWARDED_FOR, client.peer_value.clone()), (FORWARDED, ours)] {
        let mut list: Vec<&[u8]> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
        list.push(own.as_bytes());
        let joined = HeaderValue::from_bytes(&list.join(&b", "[..])).unwrap_or(own);
        headers.insert(name, joined);
    }
    headers.entry(X_FORWARDED_HOST).or_insert_with(|| host.clone());
    headers.entry(X_FORWARDED_PROTO).or_insert(HTTP);
}

fn is_request_id(id: &HeaderValue) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(b);
    (1..=MAX_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(plain)
}

fn keep_alive_timeout(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(KEEP_ALIVE)?.to_str().ok()?;
    text.split(',').find_map(|part| part.trim().strip_prefix("timeout=")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trust: Trust) -> std::sync::Arc<Client> {
        Client::new("192.0.2.7:4000".parse().unwrap(), trust)
    }

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn one_hop_fields_and_those_named_by_connection_go() {
        let mut map = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Secret"),
            ("connection", "host"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=3"),
            ("te", "gzip, trailers;q=1"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "x"),
            ("proxy-connection", "x"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("accept", "*/*"),
        ] {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        for_target(&mut map, &HeaderValue::from_static("a.test"), &client(Trust::Stranger));
        let mut names: Vec<_> = map.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let ours = ["accept", "forwarded", "host", "te", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
        assert_eq!(names[..7], ours);
        assert_eq!(names[7..], ["x-request-id"]);
        assert_eq!(map["te"], "trailers");
    }

    #[test]
    fn forwarding_fields_of_strangers_are_replaced() {
        let claims = [
            ("x-forwarded-for", "1.1.1.1"),
            ("forwarded", "for=1.1.1.1"),
            ("x-real-ip", "1.1.1.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.test"),
        ];
        let host = HeaderValue::from_static("a.test");
        let mut map = headers(&claims);
        for_target(&mut map, &host, &client(Trust::Stranger));
        assert_eq!(map["x-forwarded-for"], "192.0.2.7");
        assert_eq!(map["forwarded"], "for=192.0.2.7;host=\"a.test\";proto=http");
        assert_eq!((&map["x-forwarded-proto"], &map["x-forwarded-host"]), (&HTTP, &host));
        assert!(!map.contains_key("x-real-ip"));
        let mut map = headers(&claims);
        for_target(&mut map, &host, &client(Trust::Listed));
        assert_eq!(map["x-forwarded-for"], "1.1.1.1, 192.0.2.7");
        assert_eq!(map["x-forwarded-proto"], "https");
        assert_eq!(map["forwarded"], "for=1.1.1.1, for=192.0.2.7;host=\"a.test\";proto=http");
    }

    #[test]
    fn a_request_id_is_kept_when_it_is_plain() {
        let host = HeaderValue::from_static("a.test");
        let mut map = headers(&[("x-request-id", "abc-1")]);
        assert_eq!(for_target(&mut map, &host, &client(Trust::Stranger)), "abc-1");
        let mut map = headers(&[("x-request-id", "a b\"c")]);
        let made = for_target(&mut map, &host, &client(Trust::Stranger));
        assert_eq!(made.len(), 32);
        assert_eq!(map["x-request-id"], made);
    }

    #[test]
    fn the_idle_limit_of_an_origin_is_read() {
        let mut map = headers(&[("keep-alive", "max=5, timeout=7"), ("connection", "keep-alive")]);
        assert_eq!(for_client(&mut map, HeaderValue::from_static("i")), Some(7));
        assert_eq!(map.len(), 1);
    }
}
