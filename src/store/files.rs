use std::{io, path::Path, time::Duration};
pub fn remove_older(_: &Path, _: Duration, _: u64) -> io::Result<usize> {
    Ok(0)
}
