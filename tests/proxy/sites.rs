//! Release folders as targets: what clients get, over swaps, removals and restarts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cutover_proxy::wire::{Former, Place, Put, RefusedCode, Target};
use cutover_site::manifest::Settings;
use cutover_site::release::{Sites, Source};

use crate::support::{Origin, Plane, Raw, route, target, until};

/// What must never be sent: it lies beside the releases.
const SECRET: &str = "not-for-anybody";

/// Release folders, made of files that a test names.
struct Releases {
    sites: Sites,
    folder: Arc<tempfile::TempDir>,
}

impl Releases {
    fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(folder.path().join("sites/wl_app")).unwrap();
        std::fs::write(folder.path().join("sites/wl_app/secret.txt"), SECRET).unwrap();
        std::fs::write(folder.path().join("secret.txt"), SECRET).unwrap();
        Self { sites: Sites::of(folder.path()), folder }
    }

    fn make(&self, unit: &str, files: &[(&str, &str)]) -> PathBuf {
        self.make_with(unit, files, &Settings::default())
    }

    fn make_with(&self, unit: &str, files: &[(&str, &str)], settings: &Settings) -> PathBuf {
        let source = self.folder.path().join("source").join(unit);
        for (name, text) in [("index.html", "home"), (".env", SECRET)].iter().chain(files) {
            let path = source.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self.sites.make(("wl_app", unit), Source::Folder(&source), settings).unwrap().folder
    }
}

fn site(unit: &str, folder: &Path) -> Target {
    Target { unit: unit.into(), place: Place::Folder(folder.to_owned()) }
}

/// A write that leads `app.test` to a release folder.
fn write(plane: &Plane, unit: &str, folder: &Path) -> Put {
    let mut put = plane.write(&[]);
    put.routes = vec![route("app.test", "/", 0)];
    put.targets = vec![site(unit, folder)];
    put
}

async fn asking(plane: &Plane, path: &str, fields: &str) -> String {
    plane.ask(&format!("GET {path} HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n{fields}\r\n")).await
}

/// The value of a field of an answer.
fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap();
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_folder_is_served_with_types_tags_ranges_and_compressed_files() {
    let (plane, releases) = (Plane::new().await, Releases::new());
    let large = "0123456789".repeat(40_000);
    let files = [("a/b.css", "body{}"), ("a/b.css.br", "br"), ("large.txt", large.as_str()), ("a/index.html", "a")];
    plane.put(&write(&plane, "u1", &releases.make("u1", &files))).await;
    let home = plane.get("/").await;
    assert!(home.starts_with("HTTP/1.1 200 OK\r\n") && home.ends_with("\r\n\r\nhome"), "{home}");
    assert_eq!(field(&home, "content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(field(&home, "cache-control"), Some("public, max-age=0, must-revalidate"));
    assert!(field(&home, "x-request-id").is_some_and(|id| id.len() == 32));
    let etag = field(&home, "etag").unwrap();
    let unchanged = asking(&plane, "/", &format!("If-None-Match: {etag}\r\n")).await;
    assert!(unchanged.starts_with("HTTP/1.1 304 ") && body(&unchanged).is_empty(), "{unchanged}");
    let head = plane.ask("HEAD / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n").await;
    assert_eq!((field(&head, "content-length"), body(&head)), (Some("4"), ""));
    assert_eq!(body(&asking(&plane, "/a/b.css", "Accept-Encoding: br\r\n").await), "br");
    assert_eq!(body(&plane.get("/a/b.css").await), "body{}");
    assert_eq!(field(&plane.get("/a").await, "location"), Some("/a/"));
    assert!(body(&plane.get("/large.txt").await) == large);
    for (range, wanted) in
        [("5-14", &large[5..15]), ("399995-", &large[399_995..]), ("100-300099", &large[100..300_100])]
    {
        let part = asking(&plane, "/large.txt", &format!("Range: bytes={range}\r\n")).await;
        assert!(part.starts_with("HTTP/1.1 206 ") && body(&part) == wanted, "{range}");
    }
    let parts = asking(&plane, "/large.txt", "Range: bytes=0-1,-2\r\n").await;
    let length: usize = field(&parts, "content-length").unwrap().parse().unwrap();
    assert!(body(&parts).contains("\r\n\r\n01\r\n--") && body(&parts).contains("\r\n\r\n89\r\n--"), "{parts}");
    assert_eq!(body(&parts).len(), length);
    assert!(asking(&plane, "/large.txt", "Range: bytes=400000-\r\n").await.starts_with("HTTP/1.1 416 "));
    let posted =
        plane.ask("POST / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi").await;
    assert!(posted.starts_with("HTTP/1.1 405 ") && field(&posted, "allow") == Some("GET, HEAD, OPTIONS"), "{posted}");
    let missing = plane.get("/nothing").await;
    assert!(missing.starts_with("HTTP/1.1 404 ") && missing.contains("There is no page at this address"), "{missing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_headers_and_the_page_of_an_application_are_those_of_the_site() {
    let (plane, releases) = (Plane::new().await, Releases::new());
    let files = [
        ("_redirects", "/old/* /new/:splat 301\n"),
        ("_headers", "/assets/*\n  Cache-Control: public, max-age=31536000, immutable\n"),
        ("assets/1.js", "1"),
    ];
    let settings = Settings { fallback: Some("index.html".into()), ..Settings::default() };
    let folder = releases.make_with("u1", &files, &settings);
    let mut put = write(&plane, "u1", &folder);
    put.routes = vec![route("app.test", "/", 0), route("other.test", "/site", 0)];
    put.routes[1].strip = true;
    plane.put(&put).await;
    let old = plane.get("/old/x?q=1").await;
    assert!(old.starts_with("HTTP/1.1 301 ") && field(&old, "location") == Some("/new/x?q=1"), "{old}");
    let asset = plane.get("/assets/1.js").await;
    assert_eq!(field(&asset, "cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(body(&plane.get("/users/7").await), "home");
    assert!(plane.get("/assets/2.js").await.starts_with("HTTP/1.1 404 "));
    assert!(plane.get("/_redirects").await.ends_with("home"), "the rules are no page");
    let other = async |path: &str| {
        plane.ask(&format!("GET {path} HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n")).await
    };
    assert_eq!(field(&other("/site").await, "location"), Some("/site/"));
    assert_eq!(body(&other("/site/").await), "home");
    assert_eq!(field(&other("/site/index.html").await, "location"), Some("/site/"));
    assert_eq!(field(&other("/site/old/x").await, "location"), Some("/site/new/x"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_next_release_lacks_is_answered_from_the_former_one_while_its_grace_lasts() {
    let (plane, releases) = (Plane::new().await, Releases::new());
    let blue = releases.make("u1", &[("assets/1.js", "one"), ("both.txt", "blue")]);
    let green = releases.make("u2", &[("assets/2.js", "two"), ("both.txt", "green")]);
    plane.put(&write(&plane, "u1", &blue)).await;
    assert_eq!(body(&plane.get("/both.txt").await), "blue");
    let mut put = write(&plane, "u2", &green);
    put.former = vec![Former { folder: blue.clone(), for_ms: 60_000 }];
    plane.put(&put).await;
    assert_eq!(body(&plane.get("/both.txt").await), "green");
    assert_eq!(body(&plane.get("/assets/1.js").await), "one");
    let log = plane.access_log(3).await;
    assert_eq!((&log[2]["unit"], &log[2]["status"]), (&"u2".into(), &200.into()));
    let mut put = write(&plane, "u2", &green);
    put.former = vec![Former { folder: blue, for_ms: 0 }, Former { folder: "/nowhere".into(), for_ms: 60_000 }];
    plane.put(&put).await;
    assert!(plane.get("/assets/1.js").await.starts_with("HTTP/1.1 404 "));
    assert_eq!(body(&plane.get("/assets/2.js").await), "two");
}

/// Begins a download of 32 MiB and reads its head: it cannot be in the buffers of the sockets as a whole.
async fn begin_download(plane: &Plane) -> Raw {
    let mut slow = plane.connect().await;
    slow.send("GET /large.bin HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n").await;
    let head = slow.expect("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    slow
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_goes_on_over_a_swap_and_a_removal_and_the_drain_waits_for_it() {
    let (plane, releases) = (Plane::new().await, Releases::new());
    let large = "x".repeat(32 << 20);
    plane.put(&write(&plane, "u1", &releases.make("u1", &[("large.bin", large.as_str())]))).await;
    let mut slow = begin_download(&plane).await;
    plane.put(&write(&plane, "u2", &releases.make("u2", &[]))).await;
    assert_eq!(plane.get("/large.bin").await.split(' ').nth(1), Some("404"));
    let draining = plane.table().await.entries[0].draining.clone();
    assert_eq!((draining[0].unit.as_str(), draining[0].in_flight, draining[0].done), ("u1", 1, false));
    releases.sites.remove("wl_app", "u1").unwrap();
    assert!(slow.rest().await == large);
    until("the drain", async || plane.table().await.entries[0].draining[0].done).await;
    assert_eq!(plane.table().await.entries[0].draining[0].cut_requests, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_is_cut_and_counted_at_the_end_of_the_drain() {
    let (plane, releases) = (Plane::new().await, Releases::new());
    let large = "x".repeat(32 << 20);
    plane.put(&write(&plane, "u1", &releases.make("u1", &[("large.bin", large.as_str())]))).await;
    let mut slow = begin_download(&plane).await;
    let mut put = write(&plane, "u2", &releases.make("u2", &[]));
    put.policy.drain_ms = 1;
    plane.put(&put).await;
    until("the cut", async || plane.table().await.entries[0].draining[0].done).await;
    assert_eq!(plane.table().await.entries[0].draining[0].cut_requests, 1);
    assert!(slow.rest().await.len() < large.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_no_release_is_refused_and_the_former_table_stays() {
    let (plane, releases) = (Plane::new().await, Releases::new());
    let good = releases.make("u1", &[]);
    plane.put(&write(&plane, "u1", &good)).await;
    let nothing = releases.folder.path().join("nothing");
    assert_eq!(plane.refusal(&write(&plane, "u2", &nothing)).await, RefusedCode::Probe);
    assert_eq!(plane.refusal(&write(&plane, "u2", Path::new("sites/x"))).await, RefusedCode::Invalid);
    let mut two = write(&plane, "u2", &good);
    two.targets.push(site("u3", &good));
    assert_eq!(plane.refusal(&two).await, RefusedCode::Invalid);
    let mut address = write(&plane, "u2", &good);
    address.targets = vec![target("u2", plane.address)];
    assert_eq!(plane.refusal(&address).await, RefusedCode::Invalid, "an address needs a port");
    assert_eq!(body(&plane.get("/").await), "home");
    assert_eq!(plane.table().await.entries[0].targets[0].place, Place::Folder(good));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_started_again_serves_what_its_table_names() {
    let releases = Releases::new();
    let plane = Plane::new().await;
    let (blue, green) = (releases.make("u1", &[("1.js", "one")]), releases.make("u2", &[]));
    let mut put = write(&plane, "u2", &green);
    put.former = vec![Former { folder: blue, for_ms: 60_000 }];
    plane.put(&put).await;
    let folder = Arc::clone(&plane.folder);
    plane.serving.stop().await;
    let plane = Plane::on(Arc::clone(&folder), |_| {}).await;
    assert_eq!((body(&plane.get("/").await), body(&plane.get("/1.js").await)), ("home", "one"));
    plane.serving.stop().await;
    let aside = releases.folder.path().join("aside");
    std::fs::rename(&green, &aside).unwrap();
    let plane = Plane::on(folder, |_| {}).await;
    assert!(plane.get("/").await.starts_with("HTTP/1.1 500 "));
    std::fs::rename(&aside, &green).unwrap();
    let mut again = write(&plane, "u2", &green);
    again.generation = 9;
    plane.put(&again).await;
    assert_eq!(body(&plane.get("/").await), "home");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_request_is_answered_by_what_comes_a_site_or_an_address() {
    let (plane, releases) = (Plane::new().await, Releases::new());
    let folder = releases.make("u1", &[("page.html", "page")]);
    let held = async |comes: Put| {
        let mut put = plane.write(&[]);
        put.generation = comes.generation - 1;
        plane.put(&put).await;
        let mut raw = plane.connect().await;
        raw.send("GET /page?q HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n").await;
        let waiting = async || metric(&plane, "cutover_proxy_held_total").await;
        let before = waiting().await;
        until("the hold", async || waiting().await >= before.max(1)).await;
        plane.put(&comes).await;
        raw.rest().await
    };
    let mut comes = write(&plane, "u1", &folder);
    comes.generation = 10;
    assert_eq!(body(&held(comes).await), "page");
    let origin = Origin::named("origin").await;
    let mut comes = plane.write(&[("u2", origin.address)]);
    comes.generation = 20;
    assert_eq!(body(&held(comes).await), "origin");
}

/// A figure of the metrics, summed over its labels.
async fn metric(plane: &Plane, name: &str) -> u64 {
    let socket = plane.folder.path().join("proxy/admin.sock");
    let mut raw = tokio::net::UnixStream::connect(socket).await.unwrap();
    let call = b"GET /v1/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut raw, call).await.unwrap();
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut raw, &mut text).await.unwrap();
    let of_name = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    of_name.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_source_of_a_workload_may_change_its_kind_under_load() {
    let (plane, releases) = (Plane::new().await, Releases::new());
    let folder = releases.make("u1", &[("page.html", "site")]);
    let origin = Origin::named("origin").await;
    plane.put(&write(&plane, "u0", &folder)).await;
    let next = |n: usize| {
        let unit = format!("u{n}");
        if n.is_multiple_of(2) { write(&plane, &unit, &folder) } else { plane.write(&[(&unit, origin.address)]) }
    };
    let ended = tokio_util::sync::CancellationToken::new();
    let load = async |path: &'static str| {
        let mut answers = [0, 0];
        while !ended.is_cancelled() {
            let answer = plane.get(path).await;
            let which = ["site", "origin"].iter().position(|wanted| body(&answer) == *wanted);
            answers[which.unwrap_or_else(|| panic!("{answer}"))] += 1;
        }
        answers
    };
    let swaps = async {
        for n in 1..41 {
            plane.put(&next(n)).await;
        }
        ended.cancel();
    };
    let ((), first, second) = tokio::join!(swaps, load("/page"), load("/page"));
    assert!(first[0] + second[0] > 0 && first[1] + second[1] > 0, "{first:?} {second:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_leads_out_of_the_release() {
    let (plane, releases) = (Plane::new().await, Releases::new());
    plane.put(&write(&plane, "u1", &releases.make("u1", &[("a/b.txt", "b"), (".well-known/x", "known")]))).await;
    assert_eq!(body(&plane.get("/.well-known/x").await), "known");
    let climbs =
        ["..", "%2e%2e", ".%2e", "%2E.", "%252e%252e", "..%00", "..%5c", "\\..", "..;", "%c0%ae%c0%ae", "a/.."];
    let slashes = ["/", "%2f", "%5c", "//", "/./", "%252f"];
    let ends = ["secret.txt", "manifest.json", ".env", "u1/manifest.json", "%2eenv", "files/index.html", ".git/config"];
    let ways = climbs.iter().flat_map(|climb| slashes.map(|slash| format!("{climb}{slash}")));
    let ways = ways.flat_map(|way| (1..4).map(move |depth| way.repeat(depth)));
    let paths: Vec<_> = ways.flat_map(|way| ends.map(|end| format!("/{way}{end}"))).collect();
    assert!(paths.len() > 1_000);
    for path in paths {
        let answer = plane.get(&path).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["400", "404"].contains(&status) && !answer.contains(SECRET), "{path}: {answer}");
    }
    for end in ends {
        let answer = plane.get(&format!("/{end}")).await;
        assert!(answer.starts_with("HTTP/1.1 404 ") && !answer.contains(SECRET), "{end}: {answer}");
    }
}
