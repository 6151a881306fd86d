//! Wishes, and waiting for what comes of them.

use http::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Session, files, uploads};
use crate::api::views::{
    AcceptAsk, AcceptedImagesView, AcceptedView, ApplyMode, ApplyView, DeployAsk, DeploymentView, Outcome, RollbackAsk,
    RollbackView,
};
use crate::cli::client::Call;
use crate::cli::exit::{Exit, Failure};
use crate::cli::follow::{self, Quiet, Reached, Waiting};
use crate::cli::grammar::{
    Accept, Apply, Cancel, Deploy, Deployment, Goal, Mode, Removal, Rollback, Wait, Wish, Wished,
};
use crate::cli::{render, values};

/// `apply`: registers or revises, then waits for every deployment that came of it.
pub(super) async fn apply(session: &mut Session, apply: Apply) -> Result<Exit, Failure> {
    let declared = files::read(&apply.file)?;
    let call = Call::post("/api/v1/apply", &files::ask(&declared, mode(apply.mode))?)?;
    let call = call.once(session.key(apply.wish.key.clone()));
    let view: ApplyView = session.client.ask(call).await?;
    if !apply.wish.json.json {
        let warnings = declared.iter().flat_map(|one| one.warnings.iter().map(|text| (one.full_name(), text)));
        warnings.for_each(|(name, text)| session.output.aside(&format!("{name}: warning: {text}")));
        session.output.text(&render::plan::applied(&view))?;
        session.output.flush()?;
    }
    let mut worst = Exit::Ok;
    for applied in &view.workloads {
        let mut told = json!({
            "workload": applied.workload,
            "revision": applied.revision,
            "changed": applied.changed,
            "position": applied.position,
            "note": applied.note,
        });
        let exit = match &applied.deployment_id {
            Some(id) => {
                let accepted = AcceptedView {
                    deployment_id: id.clone(),
                    workload: applied.workload.clone(),
                    position: applied.position,
                };
                told["deployment_id"] = Value::from(id.as_str());
                attend(session, &accepted, &apply.wish, told).await?
            }
            None => told_only(session, &apply.wish, &told)?,
        };
        if worst == Exit::Ok {
            worst = exit;
        }
        if exit == Exit::Interrupted {
            break;
        }
    }
    Ok(worst)
}

fn told_only(session: &mut Session, wish: &Wish, told: &Value) -> Result<Exit, Failure> {
    if wish.json.json {
        session.output.json(told)?;
    }
    Ok(Exit::Ok)
}

fn mode(mode: Mode) -> ApplyMode {
    match mode {
        Mode { no_deploy: true, .. } => ApplyMode::Record,
        Mode { pull: true, .. } => ApplyMode::Pull,
        Mode { .. } => ApplyMode::Deploy,
    }
}

/// `deploy`.
pub(super) async fn deploy(session: &mut Session, deploy: Deploy) -> Result<Exit, Failure> {
    let name = values::workload(&deploy.name)?;
    let image = deploy.image.as_deref().map(values::image).transpose()?;
    let upload = match &deploy.from {
        Some(from) => Some(uploads::send(session, (&name, from), &deploy.wish.json).await?),
        None => None,
    };
    let ask = DeployAsk { image, pull: deploy.pull, upload, plan: deploy.plan };
    wish(session, &format!("/api/v1/workloads/{name}/deployments"), &ask, &deploy.wish).await
}

/// Deploys an image that has just been pushed; `told` is what a program is told of the push.
pub(super) async fn deploy_image(
    session: &mut Session,
    (name, image): (&str, &str),
    wish: &Wish,
    mut told: Value,
) -> Result<Exit, Failure> {
    let ask = DeployAsk { image: Some(image.to_owned()), ..DeployAsk::default() };
    let call = Call::post(format!("/api/v1/workloads/{name}/deployments"), &ask)?.once(session.key(wish.key.clone()));
    let accepted: AcceptedView = session.client.ask(call).await?;
    told["deployment_id"] = Value::from(accepted.deployment_id.as_str());
    told["workload"] = Value::from(accepted.workload.as_str());
    told["position"] = Value::from(accepted.position);
    attend(session, &accepted, wish, told).await
}

/// `rollback`: what would change first, then the wish. A key that was used before answers by itself: what it asked for
/// then is not what a difference would show now.
pub(super) async fn rollback(session: &mut Session, rollback: Rollback) -> Result<Exit, Failure> {
    let name = values::workload(&rollback.name)?;
    let ask = RollbackAsk { to: rollback.to };
    let Wish { json, key, .. } = &rollback.wish;
    if rollback.dry_run || (!json.json && key.is_none()) {
        let call = Call::post(format!("/api/v1/workloads/{name}/rollback/plan"), &ask)?;
        let view: RollbackView = session.client.ask(call).await?;
        match (rollback.dry_run, json.json) {
            (true, true) => session.output.json(&view)?,
            (true, false) => session.output.text(&render::plan::rollback(&view, session.output.paint()))?,
            (false, _) => session.output.aside(render::plan::rollback(&view, session.output.paint_aside()).trim_end()),
        }
    }
    if rollback.dry_run {
        return Ok(Exit::Ok);
    }
    wish(session, &format!("/api/v1/workloads/{name}/rollback"), &ask, &rollback.wish).await
}

/// `stop`.
pub(super) async fn stop(session: &mut Session, wished: Wished) -> Result<Exit, Failure> {
    let name = values::workload(&wished.name)?;
    wish(session, &format!("/api/v1/workloads/{name}/stop"), &json!({}), &wished.wish).await
}

/// `start`.
pub(super) async fn start(session: &mut Session, wished: Wished) -> Result<Exit, Failure> {
    let name = values::workload(&wished.name)?;
    wish(session, &format!("/api/v1/workloads/{name}/start"), &json!({}), &wished.wish).await
}

/// `accept`.
pub(super) async fn accept(session: &mut Session, accept: Accept) -> Result<Exit, Failure> {
    let name = values::workload(&accept.name)?;
    let ask = AcceptAsk { what: accept.what };
    let call = Call::post(format!("/api/v1/workloads/{name}/accept"), &ask)?.once(session.key(None));
    let view: AcceptedImagesView = session.client.ask(call).await?;
    if accept.json.json {
        session.output.json(&view)?;
    }
    for image in view.accepted.iter().filter(|_| !accept.json.json) {
        let text = format!(
            "{} {} ({}): accepted, the next delivery of it is deployed; `cutover deploy {} --image {}` deploys it now",
            view.workload, image.release, image.reference, view.workload, image.reference
        );
        session.output.line(&text)?;
    }
    Ok(Exit::Ok)
}

/// `restart`.
pub(super) async fn restart(session: &mut Session, wished: Wished) -> Result<Exit, Failure> {
    let name = values::workload(&wished.name)?;
    wish(session, &format!("/api/v1/workloads/{name}/restart"), &json!({}), &wished.wish).await
}

/// `teardown`.
pub(super) async fn teardown(session: &mut Session, removal: Removal) -> Result<Exit, Failure> {
    let Removal { wished, volumes, spared } = removal;
    let name = values::workload(&wished.name)?;
    let more = match (volumes, spared.keep_volumes, spared.sure.yes) {
        (true, _, _) => "?volumes=true",
        (_, true, _) => "?volumes=false",
        (_, _, true) => "?yes=true",
        (false, false, false) => "",
    };
    let call = Call::delete(format!("/api/v1/workloads/{name}{more}"));
    send(session, call, &wished.wish).await
}

async fn wish<T: Serialize>(session: &mut Session, path: &str, ask: &T, wish: &Wish) -> Result<Exit, Failure> {
    let call = Call { method: Method::POST, ..Call::post(path, ask)? };
    send(session, call, wish).await
}

async fn send(session: &mut Session, call: Call, wish: &Wish) -> Result<Exit, Failure> {
    let call = call.once(session.key(wish.key.clone()));
    let accepted: AcceptedView = session.client.ask(call).await?;
    let told = json!({
        "deployment_id": accepted.deployment_id,
        "workload": accepted.workload,
        "position": accepted.position,
    });
    attend(session, &accepted, wish, told).await
}

/// Waits as asked, then tells how it ended; `told` is what a program is told besides the outcome.
async fn attend(session: &mut Session, accepted: &AcceptedView, wish: &Wish, told: Value) -> Result<Exit, Failure> {
    let Some(goal) = wish.waiting.goal() else {
        if wish.json.json {
            session.output.json(&told)?;
        } else {
            let id = &accepted.deployment_id;
            session.output.line(&format!("{} {id}: queued; `cutover wait {id}` waits for it", accepted.workload))?;
        }
        return Ok(Exit::Ok);
    };
    let quiet = if wish.json.json { Quiet::Yes } else { Quiet::No };
    if quiet == Quiet::No {
        session.output.aside(&format!("{} {}", accepted.workload, accepted.deployment_id));
    }
    let waiting = Waiting { goal, timeout: wish.waiting.timeout, quiet };
    let at = (accepted.deployment_id.as_str(), accepted.position);
    let reached = follow::wait(&session.client, at, waiting, &session.output).await?;
    ended(session, reached, (goal, quiet), told)
}

fn ended(
    session: &mut Session,
    reached: Reached,
    (goal, quiet): (Goal, Quiet),
    mut told: Value,
) -> Result<Exit, Failure> {
    let id = told["deployment_id"].as_str().unwrap_or_default().to_owned();
    match reached {
        Reached::Goal(view) => {
            told["position"] = Value::from(view.position);
            told["outcome"] = Value::from(outcome(&view, goal));
            tell_end(session, &view, quiet, &told)
        }
        Reached::TimedOut => {
            if quiet == Quiet::Yes {
                session.output.json(&told)?;
                session.output.flush()?;
            }
            let text = format!("the time for waiting is over; {id} goes on, `cutover wait {id}` comes back to it");
            Err(Failure::new(Exit::TimedOut, text))
        }
        Reached::Interrupted => {
            let text = format!("detached; {id} goes on: `cutover wait {id}` comes back, `cutover cancel {id}` ends it");
            Err(Failure::new(Exit::Interrupted, text))
        }
    }
}

/// The word for how it stands: `live` when that was waited for and it has not gone wrong since.
fn outcome(view: &DeploymentView, goal: Goal) -> &'static str {
    match (goal, view.outcome) {
        (Goal::Live, None | Some(Outcome::Succeeded)) => "live",
        (Goal::End, None) => "parked",
        (_, Some(outcome)) => outcome.word(),
    }
}

fn tell_end(session: &mut Session, view: &DeploymentView, quiet: Quiet, told: &Value) -> Result<Exit, Failure> {
    let exit = Exit::of_deployment(view);
    if quiet == Quiet::Yes {
        session.output.json(told)?;
        session.output.flush()?;
    } else if exit == Exit::Ok {
        let text = render::deployment::success(view, session.output.paint());
        session.output.line(&text)?;
    }
    if exit == Exit::Ok {
        return Ok(exit);
    }
    let words = render::deployment::last_words(view, session.output.paint_aside());
    if quiet == Quiet::No && !words.is_empty() {
        session.output.aside(words.trim_end());
    }
    Err(Failure::new(exit, render::deployment::failure(view)))
}

/// `wait`.
pub(super) async fn wait(session: &mut Session, wait: &Wait) -> Result<Exit, Failure> {
    let path = format!("/api/v1/deployments/{}", wait.deployment);
    let view: DeploymentView = session.client.ask(Call::get(path)).await?;
    let quiet = if wait.json.json { Quiet::Yes } else { Quiet::No };
    let waiting = Waiting { goal: wait.goal, timeout: wait.timeout, quiet };
    // From the beginning of the log: the events of one deployment are few, and found by their key.
    let at = (wait.deployment.as_str(), 0);
    let told = json!({"deployment_id": view.deployment_id, "workload": view.workload, "position": view.position});
    if view.outcome.is_some() {
        return ended(session, Reached::Goal(Box::new(view)), (wait.goal, quiet), told);
    }
    let reached = follow::wait(&session.client, at, waiting, &session.output).await?;
    ended(session, reached, (wait.goal, quiet), told)
}

/// `cancel`.
pub(super) async fn cancel(session: &mut Session, cancel: &Cancel) -> Result<Exit, Failure> {
    let verb = if cancel.force { "cancel?force=true" } else { "cancel" };
    word(session, &cancel.deployment, verb, "cancelled").await
}

/// `resume`.
pub(super) async fn resume(session: &mut Session, deployment: &Deployment) -> Result<Exit, Failure> {
    word(session, deployment, "resume", "goes on").await
}

async fn word(session: &mut Session, deployment: &Deployment, verb: &str, done: &str) -> Result<Exit, Failure> {
    let path = format!("/api/v1/deployments/{}/{verb}", deployment.deployment);
    let call = Call::post(path, &json!({}))?.once(session.key(None));
    let view: DeploymentView = session.client.ask(call).await?;
    if deployment.json.json {
        session.output.json(&view)?;
    } else {
        session.output.line(&format!("{} {}: {done}", view.workload, view.deployment_id))?;
    }
    Ok(Exit::Ok)
}
