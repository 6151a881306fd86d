//! A request that a release folder answers. It holds a claim on its target like any other, so drains, counts and the access
//! log know no difference.

use std::collections::VecDeque;
use std::fs::File;
use std::io;

use bytes::Bytes;
use cutover_site::answer::{self, Answer, Ask, Content, Spans};
use cutover_site::memory;
use cutover_site::site::{Site, read_at_once, read_waiting};
use http::header::HeaderMap;
use http::{Method, Response, Uri};

use super::file::{FileBody, Piece};
use super::pages::{Form, Page};
use super::record::Record;
use super::{Body, Cut, headers, own};
use crate::moment;
use crate::table::Found;

/// A request, as far as a site looks at it.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    /// Whether the prefix of the route is still in front of the path.
    pub(super) prefix: Prefix,
}

/// Where the prefix of a route that cuts it off is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefix {
    /// In front of the path.
    There,
    /// Cut off.
    Cut,
}

/// Answers from the release folder that the record's claim holds.
pub(super) async fn answer(asked: Asked<'_>, mut record: Box<Record>, cut: Cut) -> Response<Body> {
    let form = Form::wanted(asked.headers);
    if record.request_id == "-" {
        record.request_id = headers::id_of(asked.headers);
    }
    let Some(found) = record.found.clone() else { return own(Page::NoRoute, form, record) };
    let Some(newest) = record.claim.as_ref().and_then(|claim| claim.target().site().cloned()) else {
        return own(Page::Unreadable, form, record);
    };
    let now = moment::coarse_ms();
    let lasting = found.entry.former.iter().filter(|former| former.until_ms > now);
    let former: Vec<&Site> = lasting.filter_map(|former| former.site.as_deref()).collect();
    let answer = decide(&asked, &found, &newest, &former);
    let site = match &answer.content {
        Content::Missing => return own(Page::NoFile, form, record),
        Content::Nothing => return send(answer, record, |record| Body::own(Bytes::new(), record)),
        Content::File { release: 0, .. } => &*newest,
        Content::File { release, .. } => former.get(release - 1).copied().unwrap_or(&newest),
    };
    match body(site, &answer.content, &record).await {
        Ok(Loaded::Memory(bytes)) => send(answer, record, |record| Body::own(bytes, record)),
        Ok(Loaded::File(file)) => send(answer, record, |record| Body::file(file, record, cut)),
        Err(e) => {
            let path = asked.uri.path();
            tracing::warn!(folder = %site.folder().display(), path, error = %e, "a file of a site cannot be read");
            own(Page::Unreadable, form, record)
        }
    }
}

fn decide(asked: &Asked<'_>, found: &Found, newest: &Site, former: &[&Site]) -> Answer {
    let path = asked.uri.path();
    let base = if found.route.strip { &*found.prefix } else { "" };
    let path = if asked.prefix == Prefix::There { path.strip_prefix(base).unwrap_or(path) } else { path };
    let ask = Ask { method: asked.method, path, query: asked.uri.query(), base, headers: asked.headers };
    answer::answer(newest, former, &ask)
}

fn send(answer: Answer, mut record: Box<Record>, body: impl FnOnce(Box<Record>) -> Body) -> Response<Body> {
    let mut response = Response::new(());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response.headers_mut().insert(headers::REQUEST_ID, record.request_id.clone());
    record.status = answer.status.as_u16();
    response.map(|()| body(record))
}

enum Loaded {
    Memory(Bytes),
    File(FileBody),
}

/// What is sent of a file: out of memory when it is small, else from the file, which is open from here on.
async fn body(site: &Site, content: &Content, record: &Record) -> io::Result<Loaded> {
    let Content::File { file: number, spans, .. } = content else { return Ok(Loaded::Memory(Bytes::new())) };
    let file = site.file(*number).ok_or(io::ErrorKind::NotFound)?;
    if file.length <= memory::MAX_FILE && *spans == Spans::Whole {
        return small(site, *number, record).await.map(Loaded::Memory);
    }
    let pieces = match spans {
        Spans::Whole => VecDeque::from([Piece::Range(0..file.length)]),
        Spans::One(range) => VecDeque::from([Piece::Range(range.clone())]),
        Spans::Many(parts, end) => {
            let parts =
                parts.iter().flat_map(|(head, range)| [Piece::Bytes(head.clone()), Piece::Range(range.clone())]);
            parts.chain([Piece::Bytes(end.clone())]).collect()
        }
    };
    Ok(Loaded::File(FileBody::new(site.open_file(*number)?, pieces, &record.forwarder.tasks)))
}

async fn small(site: &Site, number: usize, record: &Record) -> io::Result<Bytes> {
    let file = site.file(number).ok_or(io::ErrorKind::NotFound)?;
    let memory = &record.forwarder.files;
    if let Some(bytes) = memory.get(&file.digest) {
        return Ok(bytes);
    }
    let opened = site.open_file(number)?;
    let mut buffer = vec![0; usize::try_from(file.length).unwrap_or(usize::MAX)];
    if read_at_once(&opened, 0, &mut buffer)? != Some(buffer.len()) {
        buffer = Box::pin(wait_for(opened, buffer, record)).await?;
    }
    let bytes = Bytes::from(buffer);
    memory.keep(file.digest, bytes.clone());
    Ok(bytes)
}

async fn wait_for(file: File, mut buffer: Vec<u8>, record: &Record) -> io::Result<Vec<u8>> {
    let read = move || read_waiting(&file, 0, &mut buffer).map(|()| buffer);
    record.forwarder.tasks.spawn_blocking(read).await?
}
