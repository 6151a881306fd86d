//! The commands, a file per group. Each checks its values, asks the engine, and tells the answer.

mod ask;
mod compose;
mod errands;
mod files;
mod history;
mod hooks;
mod log;
mod logs;
mod processes;
mod push;
mod schema;
mod secrets;
pub(crate) use processes::CHILD;
mod state;
mod uploads;
mod wishes;

use std::path::PathBuf;
use std::process::ExitCode;

use super::client::Client;
use super::exit::{Exit, Failure};
use super::grammar::{Cli, Command, Global, Import};
use super::output::Output;
use super::values;
use crate::api::serve::ENGINE_SOCKET;
use crate::clock::Clock;
use crate::config::{BadConfig, Config};

/// What every command that speaks to an engine has.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) output: Output,
    pub(super) clock: Clock,
}

impl Session {
    fn new(global: &Global) -> Result<Self, Failure> {
        Ok(Self { client: client(global)?, output: Output::new(), clock: Clock::system() })
    }

    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64 {
        self.clock.stamp().wall_ms
    }

    /// The person's key, or a new one: a call whose answer was lost is sent again without harm.
    fn key(&self, given: Option<String>) -> String {
        given.unwrap_or_else(|| format!("cli-{}", self.clock.ulid().to_string().to_ascii_lowercase()))
    }
}

/// Runs a command to its end.
pub(super) fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let exit = match cli.command {
        Command::Serve => processes::serve(&config(&cli.global)?),
        Command::Proxy => processes::proxy(&config(&cli.global)?),
        Command::Check(files) => files::check(&files),
        Command::Schema(asked) => schema::print(&asked),
        Command::Import(Import::Compose(import)) => compose::import(&import),
        Command::Log(log) if log::offline(&log) => log::read(&log),
        Command::Exec(_) | Command::Run(_) => return at_a_program(&cli.global, cli.command),
        command => asking(&cli.global, command),
    };
    exit.map(Exit::code)
}

/// The commands whose exit code is that of a person's program.
fn at_a_program(global: &Global, command: Command) -> Result<ExitCode, Failure> {
    let session = Session::new(global)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::new(Exit::Other, format!("the runtime cannot be started: {e}")))?;
    runtime.block_on(async {
        match command {
            Command::Exec(exec) => errands::exec(&session, exec).await,
            Command::Run(run) => errands::run(&session, run).await,
            _ => Ok(Exit::Ok.code()),
        }
    })
}

fn asking(global: &Global, command: Command) -> Result<Exit, Failure> {
    let mut session = Session::new(global)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::new(Exit::Other, format!("the runtime cannot be started: {e}")))?;
    runtime.block_on(async {
        let exit = ask::run(&mut session, command).await;
        let flushed = session.output.flush();
        let exit = exit?;
        flushed.map(|()| exit)
    })
}

fn config(global: &Global) -> Result<Config, Failure> {
    Config::of_process(global.config.as_deref(), &[]).map_err(|error| Failure {
        excerpt: match &error {
            BadConfig::File(file) => file.excerpt.clone(),
            BadConfig::Unreadable { .. } | BadConfig::Value { .. } => None,
        },
        ..Failure::usage(error.to_string())
    })
}

/// The socket of the configured data folder, or the address of `--url` with its token.
fn client(global: &Global) -> Result<Client, Failure> {
    let Some(url) = &global.url else {
        let socket: PathBuf = config(global)?.data_dir.join(ENGINE_SOCKET);
        return Ok(Client::local(socket));
    };
    let authority = authority(url)?;
    let token = match &global.token_file {
        Some(path) => values::secret_file(path)?,
        None => environment_token()?,
    };
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Failure::usage("the token is not one: expected cut_… as `cutover token add` printed it"));
    }
    Ok(Client::remote(authority, token))
}

#[expect(clippy::disallowed_methods, reason = "the token is given to the command line, not configured")]
fn environment_token() -> Result<String, Failure> {
    std::env::var("CUTOVER_TOKEN")
        .map_err(|_| Failure::usage("--url needs a token: set CUTOVER_TOKEN, or name its file with --token-file"))
}

/// Host and port of a URL.
fn authority(url: &str) -> Result<String, Failure> {
    let shown: String = url.chars().take(80).collect();
    let bad = |why: &str| Failure::usage(format!("--url \"{shown}\": {why}; expected http://HOST:PORT"));
    if url.starts_with("https://") {
        return Err(bad("https is not yet supported"));
    }
    let uri: http::Uri = url.parse().map_err(|_| bad("this is no URL"))?;
    let plain = uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/") && uri.query().is_none();
    let host = uri.host().filter(|host| !host.is_empty() && plain).ok_or_else(|| bad("this is no address"))?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(bad("a user does not belong here"));
    }
    Ok(format!("{host}:{}", uri.port_u16().unwrap_or(80)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_and_port() {
        assert_eq!(authority("http://10.0.0.5:7070").unwrap(), "10.0.0.5:7070");
        assert_eq!(authority("http://[::1]:7070/").unwrap(), "[::1]:7070");
        for bad in ["", "ftp://a", "https://a", "http://", "http://a/b", "http://a b", "http://u@a", "10.0.0.5:7070"] {
            assert_eq!(authority(bad).unwrap_err().exit, Exit::Usage, "{bad}");
        }
    }
}
