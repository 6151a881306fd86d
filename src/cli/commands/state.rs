//! What is: workloads, releases, invariants.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Session;
use crate::api::views::{ConfirmAsk, DoctorView, FreezeAsk, ReleasesView, ShowView, StatusView, ThawAsk};
use crate::cli::client::Call;
use crate::cli::exit::{Exit, Failure};
use crate::cli::grammar::{Confirm, Freeze, Json, Named, Show, Status, Thaw};
use crate::cli::render;
use crate::cli::render::screen::Screen;
use crate::cli::values;

/// Asks for a view and tells it: as JSON, or as a person reads it.
pub(super) async fn tell<T: DeserializeOwned + Serialize>(
    session: &mut Session,
    call: Call,
    json: Json,
    render: impl FnOnce(&T, &Screen) -> String,
) -> Result<T, Failure> {
    let view: T = session.client.ask(call).await?;
    if json.json {
        session.output.json(&view)?;
    } else {
        let text = render(&view, &session.output.screen(session.now_ms()));
        session.output.text(&text)?;
    }
    Ok(view)
}

/// `status`.
pub(super) async fn status(session: &mut Session, status: &Status) -> Result<Exit, Failure> {
    match &status.name {
        None => {
            let call = Call::get("/api/v1/workloads");
            tell::<StatusView>(session, call, status.json, render::status::overview).await?;
        }
        Some(name) => {
            let call = Call::get(format!("/api/v1/workloads/{}", values::workload(name)?));
            tell::<StatusView>(session, call, status.json, render::status::detail).await?;
        }
    }
    Ok(Exit::Ok)
}

/// `show`.
pub(super) async fn show(session: &mut Session, show: &Show) -> Result<Exit, Failure> {
    let name = values::workload(&show.name)?;
    let revision = show.revision.map_or_else(String::new, |revision| format!("?revision={revision}"));
    let call = Call::get(format!("/api/v1/workloads/{name}/spec{revision}"));
    tell::<ShowView>(session, call, show.json, |view, _| render::spec::show(view)).await?;
    Ok(Exit::Ok)
}

/// `releases`.
pub(super) async fn releases(session: &mut Session, named: &Named) -> Result<Exit, Failure> {
    let call = Call::get(format!("/api/v1/workloads/{}/releases", values::workload(&named.name)?));
    tell::<ReleasesView>(session, call, named.json, render::lists::releases).await?;
    Ok(Exit::Ok)
}

/// `doctor`: 0 when all invariants hold.
pub(super) async fn doctor(session: &mut Session, json: Json) -> Result<Exit, Failure> {
    let call = Call::get("/api/v1/doctor");
    let view = tell::<DoctorView>(session, call, json, render::lists::doctor).await?;
    Ok(if view.ok { Exit::Ok } else { Exit::Other })
}

/// `confirm`.
pub(super) async fn confirm(session: &mut Session, confirm: &Confirm) -> Result<Exit, Failure> {
    let call = Call::post("/api/v1/confirm", &ConfirmAsk { cause: confirm.cause })?.once(session.key(None));
    tell::<StatusView>(session, call, confirm.json, render::status::overview).await?;
    Ok(Exit::Ok)
}

/// `freeze`.
pub(super) async fn freeze(session: &mut Session, freeze: Freeze) -> Result<Exit, Failure> {
    freeze.name.as_deref().map(values::workload).transpose()?;
    let name = freeze.name.clone();
    let ask = FreezeAsk { workload: freeze.name, reason: freeze.reason };
    let call = Call::post("/api/v1/freeze", &ask)?.once(session.key(None));
    let told = |_: &StatusView, _: &Screen| {
        let (what, thaw) = match &name {
            Some(name) => (format!("{name} is frozen"), format!("cutover thaw {name}")),
            None => ("everything is frozen".to_owned(), "cutover thaw".to_owned()),
        };
        format!("{what}: nothing is repaired, and pushes wait; what you ask for goes on. `{thaw}` ends it\n")
    };
    tell::<StatusView>(session, call, freeze.json, told).await?;
    Ok(Exit::Ok)
}

/// `thaw`.
pub(super) async fn thaw(session: &mut Session, thaw: Thaw) -> Result<Exit, Failure> {
    thaw.name.as_deref().map(values::workload).transpose()?;
    let what = thaw.name.clone().unwrap_or_else(|| "everything".to_owned());
    let call = Call::post("/api/v1/thaw", &ThawAsk { workload: thaw.name })?.once(session.key(None));
    let told = |view: &StatusView, _: &Screen| {
        let left = |freeze: &crate::api::views::FreezeView| match &freeze.workload {
            Some(name) => format!("{name} is still frozen: `cutover thaw {name}`\n"),
            None => "everything is still frozen: `cutover thaw`\n".to_owned(),
        };
        let left: String = view.frozen.iter().map(left).collect();
        format!("{what} goes on by itself\n{left}")
    };
    tell::<StatusView>(session, call, thaw.json, told).await?;
    Ok(Exit::Ok)
}
