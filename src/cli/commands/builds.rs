//! What a build has printed.

use super::Session;
use super::state::tell;
use crate::api::views::BuildLogView;
use crate::cli::client::Call;
use crate::cli::exit::{Exit, Failure};
use crate::cli::grammar::Logs;
use crate::cli::render;
use crate::cli::values;

/// How long one question waits for more, ms: shorter than what a proxy between may allow.
const WAIT_MS: u64 = 20_000;

/// `logs --build`.
pub(super) async fn log(session: &mut Session, logs: &Logs) -> Result<Exit, Failure> {
    let name = values::workload(&logs.name)?;
    let deployment = logs.deployment.as_ref().map_or_else(String::new, |id| format!("&deployment={id}"));
    let path = |rest: String| format!("/api/v1/workloads/{name}/build?{rest}{deployment}");
    if let Some(text) = &logs.of.grep {
        let call = Call::get(path(format!("search={}", escaped(text))));
        tell::<BuildLogView>(session, call, logs.json, |view, _| render::builds::found(view)).await?;
        return Ok(Exit::Ok);
    }
    if logs.json.json {
        tell::<BuildLogView>(session, Call::get(path("from=0".to_owned())), logs.json, |_, _| String::new()).await?;
        return Ok(Exit::Ok);
    }
    let wait_ms = if logs.follow { WAIT_MS } else { 0 };
    let mut from = 0;
    loop {
        let call = Call::get(path(format!("from={from}&wait_ms={wait_ms}")));
        let view: BuildLogView = session.client.ask(call).await?;
        let screen = session.output.screen(session.now_ms());
        session.output.text(&render::builds::shown(&view, from, &screen))?;
        session.output.flush()?;
        if view.ended || (view.text.is_empty() && !logs.follow) {
            return Ok(Exit::Ok);
        }
        from = view.next;
    }
}

fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
