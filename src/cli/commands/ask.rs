//! Which command is which.

use super::{Session, files, history, hooks, log, logs, push, secrets, state, wishes};
use crate::cli::exit::{Exit, Failure};
use crate::cli::grammar::Command;

/// Runs a command that speaks to an engine.
pub(super) async fn run(session: &mut Session, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Apply(apply) => wishes::apply(session, apply).await,
        Command::Plan(plan) => files::plan(session, &plan).await,
        Command::Show(show) => state::show(session, &show).await,
        Command::Deploy(deploy) => wishes::deploy(session, deploy).await,
        Command::Push(push) => push::push(session, push).await,
        Command::Rollback(rollback) => wishes::rollback(session, rollback).await,
        Command::Restart(wished) => wishes::restart(session, wished).await,
        Command::Teardown(removal) => wishes::teardown(session, removal).await,
        Command::Stop(wished) => wishes::stop(session, wished).await,
        Command::Start(wished) => wishes::start(session, wished).await,
        Command::Accept(accept) => wishes::accept(session, accept).await,
        Command::Cancel(cancel) => wishes::cancel(session, &cancel).await,
        Command::Resume(deployment) => wishes::resume(session, &deployment).await,
        Command::Wait(wait) => wishes::wait(session, &wait).await,
        Command::Confirm(confirm) => state::confirm(session, &confirm).await,
        Command::Freeze(freeze) => state::freeze(session, freeze).await,
        Command::Thaw(thaw) => state::thaw(session, thaw).await,
        Command::Status(status) => state::status(session, &status).await,
        Command::Releases(named) => state::releases(session, &named).await,
        Command::Logs(logs) => logs::logs(session, &logs).await,
        Command::Doctor(json) => state::doctor(session, json).await,
        Command::Timeline(timeline) => history::timeline(session, &timeline).await,
        Command::Events(events) => history::events(session, &events).await,
        Command::Explain(explain) => history::explain(session, &explain).await,
        Command::Hook(hook) => hooks::hook(session, hook).await,
        Command::Secret(secret) => secrets::secret(session, secret).await,
        Command::Token(token) => hooks::token(session, token).await,
        Command::Log(log) => log::ask(session, &log).await,
        Command::Serve
        | Command::Proxy
        | Command::Check(_)
        | Command::Schema(_)
        | Command::Import(_)
        | Command::Exec(_)
        | Command::Run(_) => Ok(Exit::Ok),
    }
}
