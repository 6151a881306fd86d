//! The command line: grammar, calls to the API, and what people and scripts are told.
//!
//! Bottom-up: [`exit`] (codes and the one line of a failure), `values` and `grammar` (what may be written), `client`
//! (the API from outside), `follow` (waiting, across restarts of the engine), `render` (pure functions over views),
//! `output` (what is written where) and `commands`.

mod client;
mod commands;
pub mod exit;
mod follow;
mod from;
mod grammar;
mod output;
mod render;
mod secret;
mod values;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use exit::{Exit, Failure};
use grammar::Cli;

/// Runs the command of this process's arguments and returns its exit code; nothing is left running.
#[must_use]
pub fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == commands::CHILD) {
        crate::telemetry::init(crate::telemetry::Format::Text, "info");
        return cutover_proxy::process::serve();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return answered(&error),
    };
    match commands::run(cli) {
        Ok(code) => code,
        Err(failure) => {
            output::tell(&failure);
            failure.exit.code()
        }
    }
}

/// Help and version are results; everything else is one line.
fn answered(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        drop(error.print());
        return Exit::Ok.code();
    }
    let failure = Failure::usage(usage(error));
    output::tell(&failure);
    failure.exit.code()
}

/// What clap says over several lines, on one.
fn usage(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "a command is missing; `cutover --help` shows all of them".to_owned();
    }
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let told: Vec<&str> = lines.filter(|line| !line.starts_with("For more information")).collect();
    let text = told.join("; ");
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wait_takes_its_value_after_an_equals_sign_only() {
        for good in [
            "cutover deploy shop/web --wait",
            "cutover deploy shop/web --wait=live --timeout 120s",
            "cutover deploy shop/web --detach --json --key ci-1",
            "cutover deploy --wait shop/web --image a/b:c",
            "cutover --config x.toml events --follow --after 7 --json",
        ] {
            assert!(Cli::try_parse_from(good.split(' ')).is_ok(), "{good}");
        }
        for bad in [
            "cutover deploy shop/web --wait live",
            "cutover deploy shop/web --wait=soon",
            "cutover deploy shop/web --wait --detach",
            "cutover deploy shop/web --timeout 5",
            "cutover deploy shop/web --timeout 0s",
            "cutover deploy",
            "cutover apply a.toml --no-deploy --pull",
            "cutover cancel rel_01k9zzzzzzzzzzzzzzzzzzzzz0",
            "cutover events --after -1",
            "cutover events --kind Swaped",
            "cutover status --json=yes",
        ] {
            let error = Cli::try_parse_from(bad.split(' ')).unwrap_err();
            let line = Failure::usage(usage(&error)).line();
            assert!(!line.is_empty() && !line.contains('\n'), "{bad}: {line}");
        }
    }
}
