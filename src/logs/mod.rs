//! What programs print, kept beside the log and never in it: the last output of containers that failed, and the logs of
//! builds. Secret values are taken out before anything is written.

mod builds;
mod outputs;
mod redact;

pub use builds::{BuildLog, BuildLogs, Found, LogBounds, MAX_FOUND, Piece};
pub use outputs::Outputs;
pub use redact::{MASK, MIN_VALUE, Redaction, Redactor};
