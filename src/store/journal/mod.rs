//! The journal: append-only segments of checksummed, hash-chained groups. What is here is the log; all else is derived.

mod frame;
mod scan;
mod segment;

pub(super) use frame::entries;
pub use frame::{Group, Placed};
pub use scan::{Damage, Scanned, Torn, scan};
pub(super) use segment::{Disk, Journal, JournalError, SystemDisk};

/// Extension of segments.
pub const EXTENSION: &str = "cj";
