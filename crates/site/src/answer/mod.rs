//! What a request to a site gets. Pure: nothing is read here.
//!
//! In this order: a redirect that is forced, a file of the newest release, a redirect, a file of a former release while
//! its grace lasts, a rewrite, the page of a single-page application, 404.

mod condition;
mod encoding;
mod range;

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LOCATION,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::kinds;
use crate::path;
use crate::site::{File, Place, Site};
use condition::Verdict;
use range::Wanted;

/// What a cache may do unless `_headers` says otherwise: keep it, and ask each time whether it is still the same. That is
/// what Netlify and Cloudflare Pages say, and what makes a release visible at once.
const REVALIDATE: HeaderValue = HeaderValue::from_static("public, max-age=0, must-revalidate");
/// The methods that there are.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// A request, as far as a site looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Method.
    pub method: &'a Method,
    /// Path within the site, as it was sent, with a slash in front; empty: what was cut off was all of it.
    pub path: &'a str,
    /// After the `?`.
    pub query: Option<&'a str>,
    /// What was cut off in front of the path, without a slash at its end: addresses within the site begin with it.
    pub base: &'a str,
    /// Fields.
    pub headers: &'a HeaderMap,
}

/// What is sent.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Fields, `Content-Length` too.
    pub headers: HeaderMap,
    /// Body; nothing for HEAD.
    pub content: Content,
}

/// The body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// None.
    Nothing,
    /// No file: for 404 without a page of the site's own, whoever sends may put a page of its own here.
    Missing,
    /// Bytes of a file.
    File {
        /// Whose: 0 is the newest release, `n` the n-th former one.
        release: usize,
        /// Its number there.
        file: usize,
        /// Which.
        spans: Spans,
    },
}

/// Which bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spans {
    /// All.
    Whole,
    /// One range.
    One(Range<u64>),
    /// Several, each after a head of its own, and what ends them.
    Many(Vec<(Bytes, Range<u64>)>, Bytes),
}

/// Where a request leads.
enum Way {
    Send { release: usize, file: usize, status: StatusCode },
    Move { status: StatusCode, to: String },
    Nothing,
}

/// Answers a request to the newest release and those former ones whose grace lasts, the newest of them first.
#[must_use]
pub fn answer(newest: &Site, former: &[&Site], ask: &Ask<'_>) -> Answer {
    if ask.method != Method::GET && ask.method != Method::HEAD {
        return other_method(newest, ask);
    }
    if ask.path.is_empty() {
        // The folder of the site itself, without its slash.
        return moved(StatusCode::TEMPORARY_REDIRECT, "/", ask);
    }
    let Some(path) = path::decode(ask.path) else { return missing(newest, "/", ask) };
    match way(newest, former, &path, ask.query) {
        Way::Send { release, file, status } => {
            let site = if release == 0 { Some(newest) } else { former.get(release - 1).copied() };
            let shown = Shown { newest, site: site.unwrap_or(newest), release, path: &path };
            shown.send(file, status, ask)
        }
        Way::Move { status, to } => moved(status, &to, ask),
        Way::Nothing => missing(newest, &path, ask),
    }
}

fn way(newest: &Site, former: &[&Site], path: &str, query: Option<&str>) -> Way {
    let rule = newest.redirects().find(path, query);
    if let Some((rule, to)) = rule.as_ref().filter(|(rule, _)| rule.forced) {
        return ruled(newest, rule.status, to);
    }
    if let Some(way) = placed(newest, 0, path) {
        return way;
    }
    if let Some((rule, to)) = rule.as_ref().filter(|(rule, _)| rule.status.is_redirection()) {
        return ruled(newest, rule.status, to);
    }
    if let Some(way) = former.iter().enumerate().find_map(|(n, site)| placed(site, n + 1, path)) {
        return way;
    }
    if let Some((rule, to)) = rule {
        return ruled(newest, rule.status, &to);
    }
    match newest.fallback().filter(|_| !kinds::is_asset(path)) {
        Some(file) => Way::Send { release: 0, file, status: StatusCode::OK },
        None => Way::Nothing,
    }
}

fn placed(site: &Site, release: usize, path: &str) -> Option<Way> {
    match site.find(path) {
        Place::File(file) => Some(Way::Send { release, file, status: StatusCode::OK }),
        // For a while only: the file may get another address, and browsers keep permanent ones for ever.
        Place::Moved(to) => Some(Way::Move { status: StatusCode::TEMPORARY_REDIRECT, to: path::encode(&to) }),
        Place::Nothing => None,
    }
}

fn ruled(site: &Site, status: StatusCode, to: &str) -> Way {
    if status.is_redirection() {
        return Way::Move { status, to: to.to_owned() };
    }
    let path = to.split(['?', '#']).next().unwrap_or(to);
    let place = path::decode(path).map_or(Place::Nothing, |path| match site.find(&path) {
        Place::Moved(address) => site.find(&address),
        place => place,
    });
    match place {
        Place::File(file) => Way::Send { release: 0, file, status },
        Place::Moved(_) | Place::Nothing => Way::Nothing,
    }
}

fn other_method(site: &Site, ask: &Ask<'_>) -> Answer {
    let mut headers = HeaderMap::new();
    let status = if ask.method == Method::OPTIONS {
        // A browser asks so whether another site may use this one; `_headers` answers.
        if let Some(path) = path::decode(ask.path) {
            site.headers().apply(&path, &mut headers);
        }
        StatusCode::NO_CONTENT
    } else {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
        StatusCode::METHOD_NOT_ALLOWED
    };
    headers.insert(ALLOW, METHODS);
    Answer { status, headers, content: Content::Nothing }
}

fn moved(status: StatusCode, to: &str, ask: &Ask<'_>) -> Answer {
    let base = if to.starts_with('/') { ask.base } else { "" };
    let (to, mark) = to.split_at(to.find('#').unwrap_or(to.len()));
    let location = match ask.query.filter(|query| !query.is_empty() && !to.contains('?')) {
        Some(query) => format!("{base}{to}?{query}{mark}"),
        None => format!("{base}{to}{mark}"),
    };
    let mut headers = HeaderMap::new();
    match HeaderValue::try_from(&*ascii(&location)) {
        Ok(location) => headers.insert(LOCATION, location),
        Err(_) => return missing_page(),
    };
    headers.insert(CACHE_CONTROL, REVALIDATE);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
    Answer { status, headers, content: Content::Nothing }
}

/// An address with everything escaped that is not ASCII: not every client and not every line of `_redirects` does that.
fn ascii(address: &str) -> Cow<'_, str> {
    if address.is_ascii() {
        return Cow::Borrowed(address);
    }
    address.chars().map(|c| if c.is_ascii() { c.to_string() } else { path::encode(&c.to_string()) }).collect()
}

fn missing(site: &Site, path: &str, ask: &Ask<'_>) -> Answer {
    match site.not_found(path) {
        Some(file) => Shown { newest: site, site, release: 0, path }.send(file, StatusCode::NOT_FOUND, ask),
        None => missing_page(),
    }
}

fn missing_page() -> Answer {
    Answer { status: StatusCode::NOT_FOUND, headers: HeaderMap::new(), content: Content::Missing }
}

/// A file that is sent, and under which path.
struct Shown<'a> {
    newest: &'a Site,
    site: &'a Site,
    release: usize,
    path: &'a str,
}

impl Shown<'_> {
    fn send(&self, number: usize, status: StatusCode, ask: &Ask<'_>) -> Answer {
        let Some(plain) = self.site.file(number) else { return missing_page() };
        let coding = encoding::choose(&plain.variants, ask.headers);
        let (sent, file) = match coding.and_then(|(_, number)| Some((number, self.site.file(number)?))) {
            Some(variant) => variant,
            None => (number, plain),
        };
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(CONTENT_TYPE, plain.kind.clone());
        headers.insert(CACHE_CONTROL, REVALIDATE);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some((coding, _)) = coding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.token()));
        }
        if !self.newest.headers().is_empty() {
            self.newest.headers().apply(self.path, &mut headers);
        }
        if !plain.variants.is_empty() {
            headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        let body = Body { release: self.release, number: sent, file, kind: &plain.kind };
        if status == StatusCode::OK { body.conditional(headers, ask) } else { body.whole(status, headers, ask) }
    }
}

/// The bytes that are sent, once it is clear which.
struct Body<'a> {
    release: usize,
    number: usize,
    file: &'a File,
    kind: &'a HeaderValue,
}

impl Body<'_> {
    fn conditional(&self, mut headers: HeaderMap, ask: &Ask<'_>) -> Answer {
        headers.insert(ETAG, self.file.etag.clone());
        match condition::judge(ask.headers, &self.file.etag) {
            Verdict::Send => {}
            Verdict::Unchanged => {
                headers.remove(CONTENT_TYPE);
                headers.remove(CONTENT_ENCODING);
                return Answer { status: StatusCode::NOT_MODIFIED, headers, content: Content::Nothing };
            }
            Verdict::Changed => {
                let mut headers = HeaderMap::new();
                headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
                return Answer { status: StatusCode::PRECONDITION_FAILED, headers, content: Content::Nothing };
            }
        }
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let wanted = if ask.method == Method::GET && condition::ranges_apply(ask.headers, &self.file.etag) {
            range::wanted(ask.headers, self.file.length)
        } else {
            Wanted::Whole
        };
        match wanted {
            Wanted::Whole => self.whole(StatusCode::OK, headers, ask),
            Wanted::Nothing => {
                headers.remove(CONTENT_TYPE);
                headers.remove(CONTENT_ENCODING);
                headers.insert(CONTENT_RANGE, range::unsatisfied(self.file.length));
                headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
                Answer { status: StatusCode::RANGE_NOT_SATISFIABLE, headers, content: Content::Nothing }
            }
            Wanted::Parts(parts) => self.partial(&parts, headers),
        }
    }

    fn whole(&self, status: StatusCode, mut headers: HeaderMap, ask: &Ask<'_>) -> Answer {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(self.file.length));
        let content = if ask.method == Method::HEAD || self.file.length == 0 {
            Content::Nothing
        } else {
            Content::File { release: self.release, file: self.number, spans: Spans::Whole }
        };
        Answer { status, headers, content }
    }

    fn partial(&self, parts: &[Range<u64>], mut headers: HeaderMap) -> Answer {
        let (spans, length) = match parts {
            [only] => {
                headers.insert(CONTENT_RANGE, range::described(only, self.file.length));
                (Spans::One(only.clone()), only.end - only.start)
            }
            several => {
                let kind = headers.get(CONTENT_TYPE).unwrap_or(self.kind).clone();
                let joined = range::Joined::of(several, &self.file.digest, &kind, self.file.length);
                headers.insert(CONTENT_TYPE, joined.kind);
                (Spans::Many(joined.parts, joined.end), joined.length)
            }
        };
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        let content = Content::File { release: self.release, file: self.number, spans };
        Answer { status: StatusCode::PARTIAL_CONTENT, headers, content }
    }
}

#[cfg(test)]
mod tests;
