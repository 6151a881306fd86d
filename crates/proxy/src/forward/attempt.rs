//! One request, tried until a target answers or the rules say stop.
//!
//! Tried again is only: what could not connect; what was handed back unsent; and an idempotent request without a body
//! to which not one byte was answered. The target is taken from the table again each time, it may be green by then.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;

use super::pages::Page;
use super::record::Record;
use super::request::is_idempotent;
use crate::config::MAX_ATTEMPTS;
use crate::drain::{Claim, CutSignal, Target, Turn};
use crate::pool::{Failed, Link, Upload};
use crate::serving::Client;
use crate::table::Found;

/// Pause before the only target is tried again that refused a connection, ms: a restart in place takes longer, a full
/// backlog less.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);

/// Who answers; the claim is in the record.
pub(super) enum Answered {
    /// A target: the head of its answer, and the connection that it came on.
    Target(Response<Incoming>, Link),
    /// A site, which has taken the place of the target meanwhile, or came while the request was held.
    Site(Request<Upload>),
}

/// Asks until there is an answer, or a reason to give up.
pub(super) async fn until_answered(
    mut request: Request<Upload>,
    signal: &CutSignal,
    record: &mut Record,
) -> Result<Answered, Page> {
    let patience = record.forwarder.config.answer_timeout_ms;
    loop {
        let Some(mut link) = connect(signal, record).await? else { return Ok(Answered::Site(request)) };
        let spare = copy(&request);
        let sending = link.send(request);
        let sent = match signal {
            CutSignal::Stream(token, _) => {
                let timed = tokio::time::timeout(Duration::from_millis(patience), sending);
                token.run_until_cancelled(timed).await.ok_or(Page::Unavailable)?.ok()
            }
            CutSignal::Connection(client) => swept(client, patience, sending).await,
            CutSignal::Tunnel(_) => Some(sending.await),
        };
        let failed = match sent {
            Some(Ok(response)) => {
                record.turn = None;
                return Ok(Answered::Target(response, link));
            }
            Some(Err(failed)) => failed,
            None => return Err(Page::Timeout),
        };
        request = again(failed, spare, record)?;
    }
}

/// The outcome, or `None` when the sweep finds it overdue.
async fn swept<T>(client: &Client, patience_ms: u64, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    client.expect_answer(patience_ms);
    let outcome = poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending if client.is_answer_overdue() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await;
    client.end_expecting();
    outcome
}

/// A request without a body, to be sent once more if need be.
fn copy(request: &Request<Upload>) -> Option<Request<Upload>> {
    if !request.body().is_none() || !is_idempotent(request.method()) {
        return None;
    }
    let mut spare = Request::new(Upload::none());
    *spare.method_mut() = request.method().clone();
    *spare.uri_mut() = request.uri().clone();
    *spare.headers_mut() = request.headers().clone();
    Some(spare)
}

fn again(failed: Failed, spare: Option<Request<Upload>>, record: &mut Record) -> Result<Request<Upload>, Page> {
    if let Some(upload) = &record.upload {
        if upload.too_large.load(Ordering::Acquire) {
            return Err(Page::TooLarge);
        }
        if failed.error.is_user() {
            return Err(Page::BadBody);
        }
    }
    let spare = spare.filter(|_| !failed.answered);
    let Some(request) = failed.unsent.or(spare) else { return Err(Page::BadGateway) };
    record.claim = None;
    count_retry(record)?;
    Ok(request)
}

fn count_retry(record: &mut Record) -> Result<(), Page> {
    record.retries += 1;
    if let Some(found) = &record.found {
        found.entry.figures.retries.fetch_add(1, Ordering::Relaxed);
    }
    if record.retries >= MAX_ATTEMPTS { Err(Page::BadGateway) } else { Ok(()) }
}

/// How a route leads to its targets.
#[derive(Clone, Copy)]
pub(super) struct Way {
    address: Option<IpAddr>,
    port: u16,
}

impl Way {
    fn of(found: &Found) -> Self {
        Self { address: found.route.address, port: found.route.port }
    }

    /// Where it ends on a target; `None` for a site.
    pub(super) fn on(self, target: &Target) -> Option<SocketAddr> {
        let own = target.address()?;
        Some(SocketAddr::new(self.address.unwrap_or(own), self.port))
    }
}

/// An open connection to a target, which the record's claim holds; `None`: that target is a site.
async fn connect(signal: &CutSignal, record: &mut Record) -> Result<Option<Link>, Page> {
    loop {
        let (claim, way) = match at_once(signal, record) {
            Some(claimed) => claimed,
            None => Box::pin(claim(signal, record)).await?,
        };
        let target = Arc::clone(claim.target());
        record.claim = Some(claim);
        let Some(address) = way.on(&target) else { return Ok(None) };
        // After a failure only a new connection tells whether the target lives.
        let pooled = if record.retries == 0 { target.pool.take(address) } else { None };
        if let Some(link) = pooled {
            return Ok(Some(link));
        }
        // Boxed, as all that is rare: a future is as large as its largest part, and is moved for each request.
        match Box::pin(Link::open(address)).await {
            Ok(link) => return Ok(Some(link)),
            Err(e) => {
                tracing::debug!(unit = %target.unit, error = %e, "cannot connect");
                target.shun();
                record.claim = None;
                count_retry(record)?;
                let others = record.found.as_ref().is_some_and(|found| found.entry.targets.len() > 1);
                if !others {
                    tokio::time::sleep(CONNECT_PAUSE).await;
                }
            }
        }
    }
}

/// A claim on a target of the route and the way to it there. Waits a bounded time while there is none.
pub(super) async fn claim(signal: &CutSignal, record: &mut Record) -> Result<(Claim, Way), Page> {
    if let Some(claimed) = at_once(signal, record) {
        return Ok(claimed);
    }
    let forwarder = Arc::clone(&record.forwarder);
    let mut changes = forwarder.switchboard.changes();
    let deadline = tokio::time::Instant::now() + Duration::from_millis(forwarder.config.hold_ms);
    let mut permit = None;
    loop {
        changes.mark_unchanged();
        let found = refind(record)?;
        if permit.is_some() && record.turn.is_none() {
            let line = in_line(&found, record);
            tokio::select! {
                biased;
                turn = line => record.turn = turn,
                changed = changes.changed() => if changed.is_ok() { continue },
                // There is a target: late is better than not at all.
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
        if let Some(claim) = take(&found, signal, record) {
            return Ok((claim, Way::of(&found)));
        }
        if !found.entry.targets.is_empty() {
            // Its drain began after this table was read: a newer one is there.
            tokio::task::yield_now().await;
            continue;
        }
        if permit.is_none() {
            permit = Some(forwarder.held.try_acquire().map_err(|_| Page::Unavailable)?);
            found.entry.figures.held.fetch_add(1, Ordering::Relaxed);
        }
        match tokio::time::timeout_at(deadline, changes.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(Page::Unavailable),
        }
    }
}

/// Stands in line before the target that has come, where it is one that accepts connections.
async fn in_line(found: &Found, record: &Record) -> Option<Turn> {
    let target = found.entry.choose(0).filter(|target| target.address().is_some())?;
    target.line.turn(&record.forwarder.tasks).await
}

/// A claim by the table that the request was routed with.
pub(super) fn at_once(signal: &CutSignal, record: &Record) -> Option<(Claim, Way)> {
    let found = record.found.as_ref().filter(|_| record.retries == 0)?;
    take(found, signal, record).map(|claim| (claim, Way::of(found)))
}

fn take(found: &Arc<Found>, signal: &CutSignal, record: &Record) -> Option<Claim> {
    let turn = match found.entry.targets.len() {
        0 | 1 => 0,
        _ => record.forwarder.turn.fetch_add(1, Ordering::Relaxed),
    };
    Claim::take(found.entry.choose(turn)?, signal.clone())
}

/// The record's route in the table of this moment.
fn refind(record: &mut Record) -> Result<Arc<Found>, Page> {
    let known = record.found.as_ref().ok_or(Page::NoRoute)?;
    let table = record.forwarder.switchboard.load();
    let found = Arc::clone(table.index.again(known).ok_or(Page::NoRoute)?);
    drop(table);
    record.found = Some(Arc::clone(&found));
    Ok(found)
}
