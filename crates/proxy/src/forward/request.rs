//! What a request asks for, before anything is sent.

use http::header::{CONNECTION, HOST, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Uri, Version};
use hyper::body::{Body, Incoming};

use super::headers::has_token;
use super::pages::Page;
use crate::table::Found;

/// The host that a request is for: one, well-formed; empty only in HTTP/1.0.
pub(super) fn host_of(request: &Request<Incoming>) -> Result<HeaderValue, Page> {
    let mut fields = request.headers().get_all(HOST).iter();
    let (first, second) = (fields.next(), fields.next());
    if second.is_some() {
        return Err(Page::BadHost);
    }
    if let Some(authority) = request.uri().authority() {
        // The target's form wins over the field, which a proxy replaces.
        return HeaderValue::from_str(authority.as_str()).ok().filter(is_host).ok_or(Page::BadHost);
    }
    match first {
        Some(host) if host.is_empty() || is_host(host) => Ok(host.clone()),
        None if request.version() == Version::HTTP_10 => Ok(HeaderValue::from_static("")),
        Some(_) | None => Err(Page::BadHost),
    }
}

fn is_host(host: &HeaderValue) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~:[]%".contains(b);
    !host.is_empty() && host.as_bytes().iter().all(plain)
}

/// Makes the address that which the target gets: path and query alone, without the prefix where it is cut off.
pub(super) fn rewrite(uri: &mut Uri, found: &Found) {
    let strips = found.route.strip && !found.prefix.is_empty();
    if !strips && uri.authority().is_none() && uri.scheme().is_none() {
        return;
    }
    let Some(path) = uri.path_and_query() else { return };
    let text = path.as_str();
    let kept = if strips { text.strip_prefix(&*found.prefix).unwrap_or(text) } else { text };
    let target =
        if kept.starts_with('/') { PathAndQuery::try_from(kept) } else { PathAndQuery::try_from(format!("/{kept}")) };
    *uri = Uri::from(target.unwrap_or(PathAndQuery::from_static("/")));
}

/// The protocol of an upgrade that is passed on. HTTP/2 by upgrade is not: it would be for one hop.
pub(super) fn upgrade_of(request: &Request<Incoming>) -> Option<HeaderValue> {
    if request.version() != Version::HTTP_11 || !request.body().is_end_stream() {
        return None;
    }
    let protocol = request.headers().get(UPGRADE)?;
    let named = has_token(request.headers(), &CONNECTION, "upgrade");
    let is_http = protocol.as_bytes().trim_ascii().get(..2).is_some_and(|start| start.eq_ignore_ascii_case(b"h2"));
    (named && !is_http).then(|| protocol.clone())
}

/// Whether sending it twice does the same as sending it once.
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::table::Entry;
    use crate::wire::{Route, RoutePolicy};

    fn rewritten(uri: &str, prefix: &str) -> String {
        let (prefix, strip) = prefix.strip_suffix(" strip").map_or((prefix, false), |prefix| (prefix, true));
        let route = Route { host: "a.test".into(), path: prefix.into(), port: 80, strip, address: None };
        let entry = Entry {
            workload: "w".into(),
            name: "w".into(),
            generation: 1,
            routes: Vec::new(),
            names: None,
            targets: Vec::new(),
            draining: Vec::new(),
            former: Vec::new(),
            policy: RoutePolicy { drain_ms: 0, half_close: false },
            figures: Arc::default(),
        };
        let found = Found { entry: Arc::new(entry), route, prefix: prefix.trim_end_matches('/').into() };
        let mut uri: Uri = uri.parse().unwrap();
        rewrite(&mut uri, &found);
        uri.to_string()
    }

    #[test]
    fn the_target_gets_path_and_query() {
        assert_eq!(rewritten("/api/x?q=1", "/api"), "/api/x?q=1");
        assert_eq!(rewritten("/api/x?q=1", "/api/ strip"), "/x?q=1");
        assert_eq!(rewritten("/api?q=1", "/api strip"), "/?q=1");
        assert_eq!(rewritten("/api", "/api strip"), "/");
        assert_eq!(rewritten("http://a.test/p?q", "/ strip"), "/p?q");
        assert_eq!(rewritten("http://a.test", "/"), "/");
        assert_eq!(rewritten("*", "/"), "*");
    }
}
