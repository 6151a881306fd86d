//! The log: through the engine, or read from a folder.

use std::path::Path;

use cutover_domain::registry::Registry;
use cutover_events::{Sealed, StreamId};
use http_body_util::BodyExt;

use super::Session;
use super::state::tell;
use crate::api::event_view;
use crate::api::views::{ExportLine, HeadView, VerifyView};
use crate::cli::client::{Call, CallError};
use crate::cli::exit::{Exit, Failure};
use crate::cli::grammar::{Json, Log, LogData, LogExport};
use crate::cli::output::Output;
use crate::projections::{Live, Written};
use crate::store::{self, VerifyReport};

/// Whether a command reads a folder instead of asking the engine.
pub(super) fn offline(log: &Log) -> bool {
    let (Log::Verify(data) | Log::Head(data) | Log::Export(LogExport { log: data, .. })) = log;
    data.data.is_some()
}

/// `log …` through the engine.
pub(super) async fn ask(session: &mut Session, log: &Log) -> Result<Exit, Failure> {
    match log {
        Log::Verify(data) => {
            let call = Call::get("/api/v1/log/verify");
            let view = tell::<VerifyView>(session, call, data.json, |view, _| verified(view)).await?;
            verdict(&view)
        }
        Log::Head(data) => {
            tell::<HeadView>(session, Call::get("/api/v1/log/head"), data.json, |view, _| head(view)).await?;
            Ok(Exit::Ok)
        }
        Log::Export(export) => self::export(session, export.after).await,
    }
}

/// Passes the export on as it comes; one that breaks off is a failure.
async fn export(session: &mut Session, after: u64) -> Result<Exit, Failure> {
    let call = Call::get(format!("/api/v1/log/export?after={after}"));
    let opened = session.client.open(&call).await.map_err(|e| session.client.failure(&e))?;
    let mut body = opened.body;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| session.client.failure(&CallError::Broken(e.to_string())))?;
        if let Ok(data) = frame.into_data() {
            session.output.text(&String::from_utf8_lossy(&data))?;
        }
    }
    Ok(Exit::Ok)
}

/// `log … --data DIR`: read-only, without an engine.
pub(super) fn read(log: &Log) -> Result<Exit, Failure> {
    let (Log::Verify(data) | Log::Head(data) | Log::Export(LogExport { log: data, .. })) = log;
    let dir = folder(data)?;
    let mut output = Output::new();
    let exit = match log {
        Log::Verify(data) => read_verify(&mut output, dir, data.json)?,
        Log::Head(data) => read_head(&mut output, dir, data.json)?,
        Log::Export(export) => read_export(&mut output, dir, export.after)?,
    };
    output.flush()?;
    Ok(exit)
}

fn folder(data: &LogData) -> Result<&Path, Failure> {
    let dir = data.data.as_deref().unwrap_or(Path::new("."));
    if dir.join("journal").is_dir() {
        return Ok(dir);
    }
    let text =
        format!("{}: there is no log in this folder: expected a data folder, which has journal/ in it", dir.display());
    Err(Failure::usage(text))
}

fn read_verify(output: &mut Output, dir: &Path, json: Json) -> Result<Exit, Failure> {
    let view = match store::verify(dir) {
        Ok(report) => view(&report),
        Err(damage) => {
            let text = damage.to_string();
            VerifyView { ok: false, position: 0, chain: String::new(), commits: 0, text }
        }
    };
    if json.json {
        output.json(&view)?;
    } else {
        output.text(&verified(&view))?;
    }
    output.flush()?;
    verdict(&view)
}

fn view(report: &VerifyReport) -> VerifyView {
    let torn = match report.torn {
        0 => String::new(),
        bytes => format!("; {bytes} bytes at the end were never acknowledged"),
    };
    VerifyView {
        ok: true,
        position: report.head.position,
        chain: report.head.chain.to_string(),
        commits: report.commits,
        text: format!("{} commits to position {}, the chain is intact{torn}", report.commits, report.head.position),
    }
}

/// What a person reads of a log that holds; damage is told on stderr.
fn verified(view: &VerifyView) -> String {
    if view.ok { format!("{}\nchain {}\n", view.text, view.chain) } else { String::new() }
}

fn verdict(view: &VerifyView) -> Result<Exit, Failure> {
    if view.ok { Ok(Exit::Ok) } else { Err(Failure::new(Exit::Other, view.text.clone())) }
}

fn head(view: &HeadView) -> String {
    format!("{}  position {}\nchain {}\nstate {}\n", view.log_id, view.position, view.chain, view.state)
}

fn read_head(output: &mut Output, dir: &Path, json: Json) -> Result<Exit, Failure> {
    let mut log_id = String::new();
    let (live, mut folded) = (Live::default(), Ok(()));
    let mut each = |sealed: Sealed| {
        if folded.is_ok() {
            folded = live.fold(Written::from(&sealed));
        }
        let events = event_view::lines(&sealed.commit, |_| None);
        if let Some(begun) = events.iter().find(|line| line.event == "LogBegun") {
            begun.text("log_id").clone_into(&mut log_id);
        }
    };
    let report = store::export(dir, 0, &mut each).map_err(damaged)?;
    folded.map_err(|lie| Failure::new(Exit::Other, lie.to_string()))?;
    let (position, chain) = (report.head.position, report.head.chain.to_string());
    let view = HeadView { log_id, position, chain, state: live.digest().to_string() };
    if json.json {
        output.json(&view)?
    } else {
        output.text(&head(&view))?
    }
    Ok(Exit::Ok)
}

fn read_export(output: &mut Output, dir: &Path, after: u64) -> Result<Exit, Failure> {
    let mut registry = Registry::default();
    let mut written = Ok(());
    // From the beginning, because the names of workloads are there.
    let mut each = |sealed: Sealed| {
        if sealed.commit.stream == StreamId::Registry {
            sealed.commit.events.iter().for_each(|event| registry.evolve(event));
        }
        if sealed.commit.last_position() > after && written.is_ok() {
            written = output.json(&line(&sealed, &registry));
        }
    };
    store::export(dir, 0, &mut each).map_err(damaged)?;
    written.map(|()| Exit::Ok)
}

fn line(sealed: &Sealed, registry: &Registry) -> ExportLine {
    ExportLine {
        position: sealed.commit.position,
        stream: sealed.commit.stream.to_string(),
        version: sealed.commit.version,
        chain: sealed.chain.to_string(),
        body: hex::encode(&sealed.body),
        events: event_view::lines(&sealed.commit, |id| registry.full_name(id)),
    }
}

fn damaged(error: store::ReadError) -> Failure {
    Failure::new(Exit::Other, error.to_string())
}
