//! The log of the process: to standard error, as lines for people or as JSON.

use tracing_subscriber::EnvFilter;

/// How lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object each.
    Json,
}

/// Libraries whose ordinary messages tell a person nothing; a level for one of them in the configuration goes first.
const QUIET: &str = "tokio_cron_scheduler=warn";

/// Installs the subscriber of this process for a level, or a filter of levels by module; a second call changes nothing.
pub fn init(format: Format, level: &str) {
    let filter = EnvFilter::try_new(format!("{QUIET},{level}")).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let installed = match format {
        Format::Json => builder.json().try_init(),
        Format::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
    };
    if let Err(error) = installed {
        tracing::debug!(%error, "a subscriber was installed before");
    }
}
