//! `logs`: what containers and builds print.

mod output;

use super::Session;
use super::state::tell;
use crate::api::views::{BuildLogView, DeploymentView, LogsView};
use crate::cli::client::Call;
use crate::cli::exit::{Exit, Failure};
use crate::cli::grammar::Logs;
use crate::cli::render;
use crate::cli::render::screen::Screen;
use crate::cli::values;

/// `logs`.
pub(super) async fn logs(session: &mut Session, logs: &Logs) -> Result<Exit, Failure> {
    let name = values::workload(&logs.name)?;
    if logs.of.build {
        return build_log(session, &name, logs).await;
    }
    if logs.follow && logs.deployment.is_some() {
        return Err(Failure::usage(
            "--follow goes on with what serves, and a deployment is over: leave one of both out",
        ));
    }
    if logs.follow || logs.part.is_asked_for() {
        return output::tell(session, &name, logs).await;
    }
    if let Some(deployment) = &logs.deployment {
        let call = Call::get(format!("/api/v1/deployments/{deployment}"));
        let render = |view: &DeploymentView, screen: &Screen| match &view.output {
            Some(output) => render::deployment::output(output, screen),
            None => format!("nothing was kept of {}\n", view.deployment_id),
        };
        tell::<DeploymentView>(session, call, logs.json, render).await?;
        return Ok(Exit::Ok);
    }
    let call = Call::get(format!("/api/v1/workloads/{name}/logs?lines={}", logs.lines));
    let render = |view: &LogsView, screen: &Screen| {
        if view.outputs.is_empty() {
            return format!("{} has no output: nothing runs, and nothing was kept\n", view.workload);
        }
        view.outputs.iter().map(|output| render::deployment::output(output, screen)).collect()
    };
    tell::<LogsView>(session, call, logs.json, render).await?;
    Ok(Exit::Ok)
}

/// `logs --build`: the whole log, what is searched for in it, or what comes.
async fn build_log(session: &mut Session, name: &str, logs: &Logs) -> Result<Exit, Failure> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(logs.of.grep.iter().map(|text| ("grep", text.as_str())));
    query.extend_pairs(logs.follow.then_some(("follow", "true")));
    query.extend_pairs(logs.deployment.iter().map(|id| ("deployment", id.as_str())));
    let (path, mut from) = (format!("/api/v1/workloads/{name}/build?{}", query.finish()), 0);
    loop {
        let view: BuildLogView = session.client.ask(Call::get(format!("{path}&from={from}"))).await?;
        if logs.json.json {
            session.output.json(&view)?;
        } else {
            if view.left_out > 0 {
                session.output.line(&format!("… {} bytes were left out …", view.left_out))?;
            }
            session.output.text(&render::printed(&view.text))?;
            view.found.iter().try_for_each(|line| session.output.line(&render::printed(line)))?;
        }
        session.output.flush()?;
        let over = view.ended || (!logs.follow && view.text.is_empty());
        if over || logs.of.grep.is_some() {
            return Ok(Exit::Ok);
        }
        from = view.next;
    }
}
