//! From a client's request to a target and back.

mod attempt;
mod body;
mod file;
mod headers;
mod hooks;
pub mod ids;
mod pages;
mod record;
mod request;
mod site;
mod tunnel;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cutover_site::memory::{MAX_KEPT, Memory};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, Version};
use hyper::body::{Body as _, Incoming};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

pub use body::Body;
pub use hooks::HookGate;
use pages::{Form, Page};
use record::Record;

use crate::access_log::Journal;
use crate::config::{Config, MAX_HELD};
use crate::drain::CutSignal;
use crate::metrics::ProcessFigures;
use crate::pool::{Download, Link, Upload, linger};
use crate::serving::{Client, HalfClose};
use crate::table::{Found, Switchboard};

/// What all requests share.
#[derive(Debug)]
pub struct Forwarder {
    /// Settings and limits.
    pub config: Config,
    /// The routes.
    pub switchboard: Arc<Switchboard>,
    /// Counts of the process.
    pub figures: Arc<ProcessFigures>,
    /// The access log.
    pub journal: Journal,
    /// Small files of sites.
    files: Memory,
    hooks: HookGate,
    held: Semaphore,
    turn: AtomicUsize,
    tasks: TaskTracker,
}

/// Where a request goes.
enum Way {
    Own(Page),
    Hooks(HeaderValue),
    Workload(HeaderValue, Arc<Found>),
}

impl Forwarder {
    /// Ready for requests.
    #[must_use]
    pub fn new(config: Config, switchboard: Arc<Switchboard>, journal: Journal, figures: Arc<ProcessFigures>) -> Self {
        let hooks = HookGate::new(&config);
        let (held, turn, tasks) = (Semaphore::new(MAX_HELD), AtomicUsize::new(0), TaskTracker::new());
        Self { config, switchboard, figures, journal, files: Memory::new(MAX_KEPT), hooks, held, turn, tasks }
    }

    fn way(&self, request: &Request<Incoming>) -> Way {
        if request.method() == Method::CONNECT {
            return Way::Own(Page::NotAllowed);
        }
        let host = match request::host_of(request) {
            Ok(host) => host,
            Err(page) => return Way::Own(page),
        };
        let name = host.to_str().unwrap_or_default();
        let path = request.uri().path();
        let table = self.switchboard.load();
        if hooks::is_hook(path) && self.hooks.takes(name, &table.index) {
            return Way::Hooks(host);
        }
        match table.index.find(name, path) {
            Some(found) => {
                let found = Arc::clone(found);
                Way::Workload(host, found)
            }
            None => Way::Own(Page::NoRoute),
        }
    }
}

/// Answers one request. What must happen before the socket is read again happens before the first `await`.
pub fn handle(
    forwarder: Arc<Forwarder>,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> impl Future<Output = Response<Body>> {
    let way = forwarder.way(&request);
    let half_close = match &way {
        Way::Workload(_, found) if found.entry.policy.half_close => HalfClose::Serve,
        Way::Workload(..) | Way::Own(_) | Way::Hooks(_) => HalfClose::Abort,
    };
    client.begin_request(request.version(), half_close);
    let record = Record::begin(&forwarder, &client, &request);
    async move {
        match way {
            Way::Workload(host, found) => workload(request, host, found, record).await,
            Way::Hooks(host) => Box::pin(hooks::pass(request, host, record)).await,
            Way::Own(page) => {
                forwarder.figures.unrouted.fetch_add(1, Ordering::Relaxed);
                let form = Form::wanted(request.headers());
                let mut record = record;
                record.request_id = ids::request_id();
                linger(request.into_body(), &forwarder.tasks);
                own(page, form, record)
            }
        }
    }
}

/// One of the proxy's own pages.
fn own(page: Page, form: Form, mut record: Box<Record>) -> Response<Body> {
    record.status = page.status().as_u16();
    if let (Some(found), true) = (&record.found, record.status >= 502) {
        found.entry.figures.failed.fetch_add(1, Ordering::Relaxed);
    }
    let mut response = page.render(form, &record.request_id);
    response.headers_mut().insert(headers::REQUEST_ID, record.request_id.clone());
    response.map(|text| Body::own(text, record))
}

/// The end of a claim's patience, for a stream of HTTP/2.
type Cut = Option<Pin<Box<WaitForCancellationFutureOwned>>>;

async fn workload(
    mut request: Request<Incoming>,
    host: HeaderValue,
    found: Arc<Found>,
    mut record: Box<Record>,
) -> Response<Body> {
    let form = Form::wanted(request.headers());
    let version = request.version();
    let (signal, cut) = cut_signal(&record, version);
    record.found = Some(Arc::clone(&found));
    if found.entry.may_be_site() {
        match claim_site(&signal, &mut record).await {
            Ok(Claimed::Site) => return Box::pin(from_site(request, record, cut)).await,
            // It is an address, or has become one.
            Ok(Claimed::Address) => {}
            Err(page) => {
                record.request_id = headers::id_of(request.headers());
                linger(request.into_body(), &record.forwarder.tasks);
                return own(page, form, record);
            }
        }
    }
    let upgrade = request::upgrade_of(&request);
    let on_upgrade = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    record.request_id = headers::for_target(request.headers_mut(), &host, &record.client);
    request::rewrite(request.uri_mut(), &found);
    *request.version_mut() = Version::HTTP_11;
    if let (Some(protocol), Some(on_upgrade)) = (upgrade, on_upgrade) {
        return match Box::pin(tunnel::open(request, protocol, on_upgrade, record)).await {
            Ok(response) => response,
            Err((page, record)) => own(page, form, record),
        };
    }
    let request = match upload(request, &mut record) {
        Ok(request) => request,
        Err((page, rest)) => {
            linger(rest, &record.forwarder.tasks);
            return own(page, form, record);
        }
    };
    match attempt::until_answered(request, &signal, &mut record).await {
        Ok(attempt::Answered::Target(response, link)) => answer(response, link, record, cut),
        Ok(attempt::Answered::Site(request)) => {
            let (head, _) = request.into_parts();
            let (method, uri, headers) = (&head.method, &head.uri, &head.headers);
            Box::pin(site::answer(site::Asked { method, uri, headers, prefix: site::Prefix::Cut }, record, cut)).await
        }
        Err(page) => own(page, form, record),
    }
}

/// What a claim was given on.
enum Claimed {
    Site,
    Address,
}

/// Claims the target of an entry that is a site, or has none at the moment and may become one. A claim on an address is
/// given back: the way to it takes its own.
async fn claim_site(signal: &CutSignal, record: &mut Record) -> Result<Claimed, Page> {
    let claim = match attempt::at_once(signal, record) {
        Some((claim, _)) => claim,
        None => Box::pin(attempt::claim(signal, record)).await?.0,
    };
    if claim.target().address().is_some() {
        return Ok(Claimed::Address);
    }
    record.claim = Some(claim);
    Ok(Claimed::Site)
}

async fn from_site(request: Request<Incoming>, record: Box<Record>, cut: Cut) -> Response<Body> {
    let (head, rest) = request.into_parts();
    linger(rest, &record.forwarder.tasks);
    let (method, uri, headers) = (&head.method, &head.uri, &head.headers);
    site::answer(site::Asked { method, uri, headers, prefix: site::Prefix::There }, record, cut).await
}

fn cut_signal(record: &Record, version: Version) -> (CutSignal, Cut) {
    let client = Arc::clone(&record.client);
    if version != Version::HTTP_2 {
        return (CutSignal::Connection(client), None);
    }
    let token = CancellationToken::new();
    let cut = Box::pin(token.clone().cancelled_owned());
    (CutSignal::Stream(token, client), Some(cut))
}

/// The request with its body on the way to a target, or none.
fn upload(request: Request<Incoming>, record: &mut Record) -> Result<Request<Upload>, (Page, Incoming)> {
    let (head, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok(Request::from_parts(head, Upload::none()));
    }
    let limit = record.forwarder.config.max_body.unwrap_or(u64::MAX);
    if body.size_hint().lower() > limit {
        return Err((Page::TooLarge, body));
    }
    let (upload, count) = Upload::stream(body, &record.client, limit, &record.forwarder.tasks);
    record.upload = Some(count);
    Ok(Request::from_parts(head, upload))
}

fn answer(response: Response<Incoming>, mut link: Link, mut record: Box<Record>, cut: Cut) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    record.answered(head.status.as_u16());
    if let Some(seconds) = headers::for_client(&mut head.headers, record.request_id.clone()) {
        link.heed_keep_alive(seconds);
    }
    head.version = Version::HTTP_11;
    let Some(claim) = &record.claim else { return own(Page::BadGateway, Form::Html, record) };
    let streams = |kind: &HeaderValue| kind.as_bytes().starts_with(b"text/event-stream");
    if head.headers.get(CONTENT_TYPE).is_some_and(streams) {
        claim.mark_event_stream();
    }
    let target = Arc::clone(claim.target());
    let sent = record.upload.as_ref().is_none_or(|upload| upload.done.load(Ordering::Acquire));
    let download = if sent {
        Download::inline(body, link, target)
    } else {
        Download::duplex(body, link, target, &record.forwarder.tasks)
    };
    Response::from_parts(head, Body::target(download, record, cut))
}
