use http::HeaderName;
use http::header::{ACCEPT_ENCODING, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use proptest::prelude::*;

use super::*;
use crate::manifest::Settings;
use crate::site::tests::site;

struct Request {
    method: Method,
    url: &'static str,
    base: &'static str,
    headers: HeaderMap,
}

fn get(url: &'static str) -> Request {
    Request { method: Method::GET, url, base: "", headers: HeaderMap::new() }
}

impl Request {
    fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    fn by(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    fn of(&self, newest: &Site, former: &[&Site]) -> Answer {
        let (path, query) = self.url.split_once('?').map_or((self.url, None), |(path, query)| (path, Some(query)));
        let ask = Ask { method: &self.method, path, query, base: self.base, headers: &self.headers };
        answer(newest, former, &ask)
    }

    /// Status and what is sent, in short.
    fn told(&self, newest: &Site, former: &[&Site]) -> String {
        let answer = self.of(newest, former);
        let status = answer.status.as_u16();
        match (&answer.content, answer.headers.get(LOCATION)) {
            (_, Some(to)) => format!("{status} -> {}", to.to_str().unwrap()),
            (Content::File { release, file, spans }, None) => {
                let site = if *release == 0 { newest } else { former[release - 1] };
                let of = if *release == 0 { String::new() } else { format!(" of {release}") };
                let span = match spans {
                    Spans::Whole => String::new(),
                    Spans::One(range) => format!(" {range:?}"),
                    Spans::Many(parts, _) => format!(" {} parts", parts.len()),
                };
                format!("{status} {}{of}{span}", site.file(*file).unwrap().path)
            }
            (Content::Nothing | Content::Missing, None) => status.to_string(),
        }
    }
}

fn plain(files: &[&str]) -> Site {
    let files: Vec<_> = files.iter().map(|path| (*path, 100)).collect();
    site(&files, Settings::default(), ("", ""))
}

#[test]
fn files_pages_and_folders_are_sent_at_their_one_address() {
    let site = plain(&["index.html", "about.html", "docs/index.html", "404.html", "a b.txt"]);
    let told = |url| get(url).told(&site, &[]);
    assert_eq!(told("/"), "200 index.html");
    assert_eq!(told("/about"), "200 about.html");
    assert_eq!(told("/about.html?x=1"), "307 -> /about?x=1");
    assert_eq!(told("/docs"), "307 -> /docs/");
    assert_eq!(told("/docs/"), "200 docs/index.html");
    assert_eq!(told("/a%20b.txt"), "200 a b.txt");
    assert_eq!(told("/nothing"), "404 404.html");
    assert_eq!(told("/%2e%2e/etc/passwd"), "404 404.html");
    assert_eq!(told("/docs?q=\u{e9}"), "307 -> /docs/?q=%C3%A9");
    let based = Request { base: "/site", ..get("/docs?q") };
    assert_eq!(based.told(&site, &[]), "307 -> /site/docs/?q");
}

#[test]
fn the_fields_say_what_it_is_and_how_long_it_holds() {
    let site = plain(&["index.html", "404.html"]);
    let answer = get("/").of(&site, &[]);
    let mut fields: Vec<_> = answer.headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
    fields.sort();
    let etag = site.file(1).unwrap().etag.to_str().unwrap();
    assert_eq!(
        fields,
        [
            "accept-ranges: bytes",
            "cache-control: public, max-age=0, must-revalidate",
            "content-length: 100",
            "content-type: text/html; charset=utf-8",
            &format!("etag: {etag}"),
            "x-content-type-options: nosniff",
        ]
    );
    let missing = get("/x").of(&site, &[]);
    assert!(!missing.headers.contains_key(ETAG) && !missing.headers.contains_key(ACCEPT_RANGES));
    let head = get("/").by(Method::HEAD).of(&site, &[]);
    assert_eq!((head.content, head.headers), (Content::Nothing, answer.headers));
}

#[test]
fn other_methods_are_told_which_there_are() {
    let site = site(&[("index.html", 1)], Settings::default(), ("", "/*\n  Access-Control-Allow-Origin: *"));
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
        let answer = get("/").by(method).of(&site, &[]);
        assert_eq!((answer.status.as_u16(), &answer.headers[ALLOW]), (405, &METHODS));
    }
    let answer = get("/").by(Method::OPTIONS).of(&site, &[]);
    assert_eq!((answer.status.as_u16(), &answer.headers[ALLOW]), (204, &METHODS));
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
}

#[test]
fn conditions_are_held_against_the_strong_tag() {
    let site = plain(&["a.css"]);
    let etag = site.file(0).unwrap().etag.to_str().unwrap().to_owned();
    let status = |name: HeaderName, value: &str| get("/a.css").with(name, value).of(&site, &[]).status.as_u16();
    assert_eq!(status(IF_NONE_MATCH, &etag), 304);
    assert_eq!(status(IF_NONE_MATCH, &format!("\"x\", W/{etag}")), 304);
    assert_eq!(status(IF_NONE_MATCH, "*"), 304);
    assert_eq!(status(IF_NONE_MATCH, "\"x\""), 200);
    assert_eq!(status(IF_MATCH, &etag), 200);
    assert_eq!(status(IF_MATCH, "*"), 200);
    assert_eq!(status(IF_MATCH, &format!("W/{etag}")), 412);
    assert_eq!(status(IF_MATCH, "\"x\""), 412);
    let unchanged = get("/a.css").with(IF_NONE_MATCH, &etag).of(&site, &[]);
    assert_eq!((unchanged.content, &unchanged.headers[ETAG]), (Content::Nothing, &site.file(0).unwrap().etag));
    assert!(unchanged.headers.contains_key(CACHE_CONTROL) && !unchanged.headers.contains_key(CONTENT_LENGTH));
    assert_eq!(get("/nothing").with(IF_NONE_MATCH, "*").told(&site, &[]), "404");
}

#[test]
fn ranges_are_sent_of_what_the_client_knows() {
    let site = plain(&["a.bin"]);
    let etag = site.file(0).unwrap().etag.to_str().unwrap().to_owned();
    let ranged = |value: &str| get("/a.bin").with(RANGE, value);
    assert_eq!(ranged("bytes=10-19").told(&site, &[]), "206 a.bin 10..20");
    assert_eq!(ranged("bytes=10-19").with(IF_RANGE, &etag).told(&site, &[]), "206 a.bin 10..20");
    for other in ["\"x\"", &format!("W/{etag}"), "Wed, 21 Oct 2015 07:28:00 GMT"] {
        assert_eq!(ranged("bytes=10-19").with(IF_RANGE, other).told(&site, &[]), "200 a.bin");
    }
    assert_eq!(ranged("bytes=0-1,5-6").told(&site, &[]), "206 a.bin 2 parts");
    let unsatisfied = ranged("bytes=100-").of(&site, &[]);
    assert_eq!(
        (unsatisfied.status.as_u16(), &unsatisfied.headers[CONTENT_RANGE]),
        (416, &"bytes */100".parse().unwrap())
    );
    let one = ranged("bytes=-10").of(&site, &[]);
    assert_eq!(
        (&one.headers[CONTENT_RANGE], &one.headers[CONTENT_LENGTH]),
        (&"bytes 90-99/100".parse().unwrap(), &10.into())
    );
    assert_eq!(ranged("bytes=0-1").by(Method::HEAD).of(&site, &[]).status.as_u16(), 200);
}

#[test]
fn the_compressed_file_beside_it_is_sent_to_whom_takes_it() {
    let files = [("a.js", 100), ("a.js.br", 30), ("a.js.gz", 40), ("b.js", 5)];
    let site = site(&files, Settings::default(), ("", "/a.js\n  Vary: Origin"));
    let taking = |value: &str| get("/a.js").with(ACCEPT_ENCODING, value);
    let small = taking("gzip, br").of(&site, &[]);
    assert_eq!(taking("gzip, br").told(&site, &[]), "200 a.js.br");
    assert_eq!(
        (&small.headers[CONTENT_ENCODING], &small.headers[CONTENT_LENGTH]),
        (&"br".parse().unwrap(), &30.into())
    );
    assert_eq!(small.headers[CONTENT_TYPE], "text/javascript; charset=utf-8");
    let vary: Vec<_> = small.headers.get_all(VARY).iter().collect();
    assert_eq!(vary, ["Origin", "Accept-Encoding"]);
    let plain = get("/a.js").of(&site, &[]);
    assert!(plain.headers.get_all(VARY).iter().any(|value| value == "Accept-Encoding"));
    assert_ne!(plain.headers[ETAG], small.headers[ETAG]);
    assert!(!get("/b.js").of(&site, &[]).headers.contains_key(VARY));
    assert_eq!(taking("br").with(RANGE, "bytes=0-9").told(&site, &[]), "206 a.js.br 0..10");
}

#[test]
fn redirects_files_and_rewrites_come_in_their_order() {
    let rules = "/part/* /new#:splat 308\n/kind /a?b=1#c\n/s/ /s 301\n/about /forced 301!\n/docs/* /manual/:splat 301\n/gone /410.html 410\n/app/* /app 200\n/* /x/:splat";
    let files = [("index.html", 1), ("about.html", 1), ("docs/a.html", 1), ("410.html", 1), ("app.html", 1)];
    let site = site(&files, Settings::default(), (rules, ""));
    let told = |url| get(url).told(&site, &[]);
    assert_eq!(told("/about"), "301 -> /forced");
    assert_eq!(told("/docs/a"), "200 docs/a.html");
    assert_eq!(told("/docs/b?q=1"), "301 -> /manual/b?q=1");
    assert_eq!(told("/gone"), "410 410.html");
    assert_eq!(told("/app/users/7"), "200 app.html");
    assert_eq!(told("/other"), "302 -> /x/other");
    assert_eq!(told("/part/a?q=1"), "308 -> /new?q=1#a");
    assert_eq!(told("/kind?q=1"), "302 -> /a?b=1#c");
    assert_eq!(told("/s/"), "301 -> /s");
    assert_eq!(told("/s"), "302 -> /x/s", "not to itself");
    assert_eq!(told("//evil.test/%2e"), "404");
    assert_eq!(told("//evil.test"), "302 -> /x//evil.test");
}

#[test]
fn an_application_of_one_page_gets_its_paths_but_not_its_assets() {
    let settings = Settings { fallback: Some("index.html".into()), ..Settings::default() };
    let site = site(&[("index.html", 1), ("app.js", 1)], settings, ("", ""));
    let told = |url| get(url).told(&site, &[]);
    assert_eq!(told("/users/7"), "200 index.html");
    assert_eq!(told("/users/john.doe"), "200 index.html");
    assert_eq!(told("/assets/app-1.js"), "404");
    assert_eq!(told("/app.js"), "200 app.js");
}

#[test]
fn what_the_newest_release_lacks_comes_from_a_former_one() {
    let rules = "/old /new 301\n/* /index.html 200";
    let newest = site(&[("index.html", 1), ("new.html", 1)], Settings::default(), (rules, ""));
    let (first, second) = (plain(&["assets/1.js", "both.css", "old.html"]), plain(&["assets/2.js", "both.css"]));
    let told = |url| get(url).told(&newest, &[&second, &first]);
    assert_eq!(told("/assets/2.js"), "200 assets/2.js of 1");
    assert_eq!(told("/assets/1.js"), "200 assets/1.js of 2");
    assert_eq!(told("/both.css"), "200 both.css of 1");
    assert_eq!(told("/old"), "301 -> /new");
    assert_eq!(told("/assets/0.js"), "200 index.html");
    assert_eq!(get("/assets/1.js").told(&newest, &[]), "200 index.html");
}

#[test]
fn fields_of_the_site_win_over_the_defaults() {
    let rules = "/assets/*\n  Cache-Control: public, max-age=31536000, immutable\n/*\n  ! X-Content-Type-Options\n";
    let site = site(&[("assets/a.js", 1), ("index.html", 1)], Settings::default(), ("", rules));
    let answer = get("/assets/a.js").of(&site, &[]);
    assert_eq!(answer.headers[CACHE_CONTROL], "public, max-age=31536000, immutable");
    assert!(!answer.headers.contains_key(X_CONTENT_TYPE_OPTIONS));
    assert_eq!(get("/").of(&site, &[]).headers[CACHE_CONTROL], REVALIDATE);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever is asked for, what is sent is a file of a manifest, and a redirect within the site stays within it.
    #[test]
    fn nothing_but_files_of_a_release_is_ever_sent(
        path in "(/(\\.|\\.\\.|%2e|%2E%2e|%252e|%00|%5c|\\\\|%2f|//|a|b|index|\\.html|\\.env|%|é|%c3%a9|\\?|x=1|:|@|evil\\.test)){0,6}(/|\\.\\.|%2e)?",
        range in proptest::option::of("bytes=[0-9,-]{0,12}"),
        accept in proptest::option::of("(gzip|br|zstd|identity|\\*)(;q=[01](\\.[0-9]{0,3})?)?(, ?(gzip|br))?"),
        method in prop::sample::select(vec![Method::GET, Method::HEAD, Method::OPTIONS, Method::POST]),
    ) {
        let files = [("a/b.html", 10), ("a/b.html.gz", 5), ("a/index.html", 3), ("b.html", 7), ("index.html", 0), ("é", 1)];
        let newest = site(&files, Settings::default(), ("/b/:x /:x 301\n/c/* /:splat\n/* /a/b 404", "/*\n  X-A: :splat"));
        let former = plain(&["a/a.css", "a/b"]);
        let mut headers = HeaderMap::new();
        if let Some(range) = range { headers.insert(RANGE, range.parse().unwrap()); }
        if let Some(accept) = accept { headers.insert(ACCEPT_ENCODING, accept.parse().unwrap()); }
        let (path, query) = path.split_once('?').map_or((path.as_str(), None), |(path, query)| (path, Some(query)));
        let answer = answer(&newest, &[&former], &Ask { method: &method, path, query, base: "", headers: &headers });
        match &answer.content {
            Content::File { release, file, spans } => {
                let site = [&newest, &former][*release];
                let file = site.file(*file);
                prop_assert!(file.is_some());
                let length = file.unwrap().length;
                let inside = |range: &Range<u64>| range.start < range.end && range.end <= length;
                let good = match spans {
                    Spans::Whole => length > 0,
                    Spans::One(range) => inside(range),
                    Spans::Many(parts, _) => parts.iter().all(|(_, range)| inside(range)),
                };
                prop_assert!(good);
            }
            Content::Nothing | Content::Missing => {}
        }
        if let Some(to) = answer.headers.get(LOCATION) {
            let to = to.to_str().unwrap().split('?').next().unwrap_or_default();
            prop_assert!(to.starts_with('/') && !to.starts_with("//") && !to.contains('\\'), "{}", to);
        }
    }
}
