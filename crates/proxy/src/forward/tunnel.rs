//! Websockets and other upgrades: once the target agrees, bytes pass both ways.

use std::sync::Arc;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

use super::pages::Page;
use super::record::Record;
use super::{Body, attempt, headers};
use crate::drain::CutSignal;
use crate::pool::{Download, Upload, dial_upgradeable};

/// Bytes that a tunnel holds each way.
const TUNNEL_BUFFER: usize = 8 * 1024;

type Refused = (Page, Box<Record>);

/// Asks a target for an upgrade, on a connection of its own.
pub(super) async fn open(
    request: Request<Incoming>,
    protocol: HeaderValue,
    on_client: OnUpgrade,
    mut record: Box<Record>,
) -> Result<Response<Body>, Refused> {
    let (mut head, _) = request.into_parts();
    head.headers.insert(UPGRADE, protocol);
    head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    let response = match ask(Request::from_parts(head, Upload::none()), &mut record).await {
        Ok(response) => response,
        Err(page) => return Err((page, record)),
    };
    record.answered(response.status().as_u16());
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let (mut head, body) = response.into_parts();
        headers::for_client(&mut head.headers, record.request_id.clone());
        return Ok(Response::from_parts(head, Body::target(Download::detached(body), record, None)));
    }
    Ok(switch(response, on_client, record))
}

async fn ask(request: Request<Upload>, record: &mut Record) -> Result<Response<Incoming>, Page> {
    let signal = CutSignal::Connection(Arc::clone(&record.client));
    let (claim, way) = attempt::claim(&signal, record).await?;
    let target = Arc::clone(claim.target());
    record.claim = Some(claim);
    // A site, which has taken the place of the target meanwhile, has nothing to say on a connection of its own.
    let address = way.on(&target).ok_or(Page::BadGateway)?;
    let opened = dial_upgradeable(address).await;
    let (mut sender, connection) = opened.map_err(|_| {
        target.shun();
        Page::BadGateway
    })?;
    record.forwarder.tasks.spawn(async move {
        if let Err(e) = connection.await {
            tracing::debug!(unit = %target.unit, error = %e, "connection ended");
        }
    });
    let patience = std::time::Duration::from_millis(record.forwarder.config.answer_timeout_ms);
    match tokio::time::timeout(patience, sender.send_request(request)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(_)) => Err(Page::BadGateway),
        Err(_) => Err(Page::Timeout),
    }
}

/// Answers 101 and joins both ends as soon as both have switched.
fn switch(mut response: Response<Incoming>, on_client: OnUpgrade, mut record: Box<Record>) -> Response<Body> {
    let protocol = response.headers().get(UPGRADE).cloned();
    let on_target = hyper::upgrade::on(&mut response);
    let (mut head, _) = response.into_parts();
    headers::for_client(&mut head.headers, record.request_id.clone());
    head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = protocol {
        head.headers.insert(UPGRADE, protocol);
    }
    let cut = CancellationToken::new();
    if let Some(claim) = &mut record.claim {
        claim.upgrade(cut.clone());
    }
    let tasks = record.forwarder.tasks.clone();
    tasks.spawn(async move {
        let both = async { tokio::try_join!(on_client, on_target) };
        let passed = cut.run_until_cancelled(async { join(both.await?).await }).await;
        if let Some(Ok(sent)) = passed {
            record.sent = sent;
            record.complete = true;
        }
    });
    Response::from_parts(head, Body::empty())
}

/// Passes bytes until both ends are done; returns those that went to the client.
async fn join((client, target): (Upgraded, Upgraded)) -> hyper::Result<u64> {
    let (mut client, mut target) = (TokioIo::new(client), TokioIo::new(target));
    let passed = tokio::io::copy_bidirectional_with_sizes(&mut client, &mut target, TUNNEL_BUFFER, TUNNEL_BUFFER).await;
    // A reset is how many a websocket ends; there is nobody to tell.
    Ok(passed.map_or(0, |(_, sent)| sent))
}
