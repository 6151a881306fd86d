//! The two processes that stay in the foreground.

use crate::cli::exit::{Exit, Failure};
use crate::config::Config;

/// `serve`.
pub(super) fn serve(_config: &Config) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Other, "serve"))
}

/// `proxy`.
pub(super) fn proxy(_config: &Config) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Other, "proxy"))
}
