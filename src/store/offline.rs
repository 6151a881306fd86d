//! The log of a folder, read-only: verify, export and head on a stopped, copied or running data folder.

use std::path::Path;

use cutover_events::Sealed;

use super::journal::{Damage, scan};
use super::journaled::replay;
use super::{Head, ReadError};

/// What verifying has shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VerifyReport {
    /// Where the log ends.
    pub head: Head,
    /// Commits.
    pub commits: u64,
    /// Bytes at the end that were never acknowledged, or are being written.
    pub torn: u64,
}

/// Verifies every byte of the journal in a data folder. Never writes.
///
/// # Errors
/// The first damage, with its place.
pub fn verify(dir: &Path) -> Result<VerifyReport, Damage> {
    let scanned = scan(&dir.join("journal"), 0, &mut |_, _, _| ())?;
    let torn = scanned.torn.as_ref().map_or(0, |torn| torn.segment.metadata().map_or(0, |meta| meta.len() - torn.good));
    let head = Head { position: scanned.position, chain: scanned.chain };
    Ok(VerifyReport { head, commits: scanned.commits, torn })
}

/// Gives every commit whose last position is at least `from` to `each`, in order, until it says to end.
///
/// # Errors
/// Damage, or a commit that does not decode.
pub fn export(dir: &Path, from: u64, each: &mut dyn FnMut(Sealed)) -> Result<VerifyReport, ReadError> {
    let mut failed = None;
    let scanned = scan(&dir.join("journal"), 0, &mut |_, body, _| {
        for sealed in replay(body) {
            match sealed {
                Ok(sealed) if sealed.commit.last_position() >= from => each(sealed),
                Ok(_) => (),
                Err(error) => failed = Some(error),
            }
        }
    });
    let scanned = scanned.map_err(|damage| ReadError::Damaged(damage.to_string()))?;
    let head = Head { position: scanned.position, chain: scanned.chain };
    failed.map_or(Ok(VerifyReport { head, commits: scanned.commits, torn: 0 }), Err)
}
