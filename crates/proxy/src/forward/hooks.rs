//! `/hooks/` goes to the engine's own socket, and waits there while the engine restarts: senders do not try again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::pages::{Form, Page};
use super::record::Record;
use super::{Body, headers, own};
use crate::config::{Config, HOOK_HOLD, HOOK_MEMORY_KIB, HOOK_RETRY, MAX_ADMIN_BODY, MAX_HOOK_BODY, MAX_HOOKS};
use crate::pool::linger;
use crate::table::{RouteIndex, without_port};

const PREFIX: &str = "/hooks/";

/// The way to the engine.
#[derive(Debug)]
pub struct HookGate {
    host: Option<String>,
    socket: PathBuf,
    places: Semaphore,
    memory_kib: Arc<Semaphore>,
}

impl HookGate {
    /// As the configuration says.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            host: config.hooks_host.as_ref().map(|host| host.to_ascii_lowercase()),
            socket: config.hooks_socket.clone(),
            places: Semaphore::new(MAX_HOOKS),
            memory_kib: Arc::new(Semaphore::new(HOOK_MEMORY_KIB)),
        }
    }

    /// Whether hooks on this host go to the engine.
    #[must_use]
    pub fn takes(&self, host: &str, index: &RouteIndex) -> bool {
        match &self.host {
            Some(hooks) => without_port(host).eq_ignore_ascii_case(hooks),
            None => !index.knows_host(host),
        }
    }
}

/// Whether a path is below `/hooks/`, as it stands: what would only become so by resolving dots is not.
pub(super) fn is_hook(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| !rest.split('/').any(|part| part == ".." || part == "."))
}

/// Passes a hook to the engine; waits up to [`HOOK_HOLD`] for one that is away.
pub(super) async fn pass(mut request: Request<Incoming>, host: HeaderValue, mut record: Box<Record>) -> Response<Body> {
    let forwarder = Arc::clone(&record.forwarder);
    forwarder.figures.hooks.fetch_add(1, Ordering::Relaxed);
    let form = Form::wanted(request.headers());
    record.request_id = headers::for_target(request.headers_mut(), &host, &record.client);
    let (mut head, mut body) = request.into_parts();
    if let Some(path) = head.uri.path_and_query() {
        head.uri = path.clone().into();
    }
    head.version = Version::HTTP_11;
    let Ok(_place) = forwarder.hooks.places.try_acquire() else {
        linger(body, &forwarder.tasks);
        return own(Page::Unavailable, form, record);
    };
    let (text, _memory) = match collect(&mut body, &forwarder.hooks).await {
        Ok(collected) => collected,
        Err(page) => {
            linger(body, &forwarder.tasks);
            return own(page, form, record);
        }
    };
    head.headers.remove(http::header::CONTENT_LENGTH);
    forwarder.figures.waiting.fetch_add(1, Ordering::Relaxed);
    let answer = persist(&forwarder.hooks, &head, &text).await;
    forwarder.figures.waiting.fetch_sub(1, Ordering::Relaxed);
    let Some(answer) = answer else { return own(Page::Unavailable, form, record) };
    let (mut head, text) = answer.into_parts();
    record.answered(head.status.as_u16());
    headers::for_client(&mut head.headers, record.request_id.clone());
    Response::from_parts(head, Body::own(text, record))
}

/// The whole body within the limits, and the memory that it takes.
async fn collect(body: &mut Incoming, gate: &HookGate) -> Result<(Bytes, Vec<OwnedSemaphorePermit>), Page> {
    let mut text = BytesMut::new();
    let mut memory = Vec::new();
    let mut kib = 0;
    if body.size_hint().lower() > u64::try_from(MAX_HOOK_BODY).unwrap_or(u64::MAX) {
        return Err(Page::TooLarge);
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Page::BadBody)?;
        let Some(data) = frame.data_ref() else { continue };
        if text.len() + data.len() > MAX_HOOK_BODY {
            return Err(Page::TooLarge);
        }
        let needs = (text.len() + data.len()).div_ceil(1024);
        let more = u32::try_from(needs - kib).unwrap_or(u32::MAX);
        let permit = Arc::clone(&gate.memory_kib).try_acquire_many_owned(more).map_err(|_| Page::Unavailable)?;
        memory.push(permit);
        kib = needs;
        text.extend_from_slice(data);
    }
    Ok((text.freeze(), memory))
}

/// Sends until the engine answers. A delivery may arrive twice that way, and is one by its delivery id. An engine that
/// still recovers says 503: it is asked again, and its last word passed on.
async fn persist(gate: &HookGate, head: &http::request::Parts, text: &Bytes) -> Option<Response<Bytes>> {
    let deadline = Instant::now() + HOOK_HOLD;
    let mut last = None;
    loop {
        let mut request = Request::new(Full::new(text.clone()));
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = head.uri.clone();
        *request.headers_mut() = head.headers.clone();
        match tokio::time::timeout_at(deadline, send(gate, request)).await {
            Ok(Ok(answer)) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => last = Some(answer),
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(e)) => tracing::debug!(error = %e, "the engine does not take hooks"),
            Err(_) => return last,
        }
        if Instant::now() + HOOK_RETRY >= deadline {
            return last;
        }
        tokio::time::sleep(HOOK_RETRY).await;
    }
}

async fn send(gate: &HookGate, request: Request<Full<Bytes>>) -> std::io::Result<Response<Bytes>> {
    let stream = UnixStream::connect(&gate.socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(std::io::Error::other)?;
        let (head, body) = answer.into_parts();
        let text = Limited::new(body, MAX_ADMIN_BODY).collect().await.map_err(std::io::Error::other)?;
        Ok(Response::from_parts(head, text.to_bytes()))
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        // The last bytes may have come with the end of the connection.
        _ = connection => exchange.await,
    }
}
