//! A site out of a tar archive, plain or compressed with gzip. It is read once, from front to end.

use std::io::{BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use super::MakeError;
use super::writer::Writer;
use crate::path::MAX_PATH;

/// What gzip begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// What Zstandard begins with.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Bytes of an entry that only describes the next one: a path, and times and owners as text.
const MAX_DESCRIPTION: u64 = 64 * 1024;
/// What a compressed stream may unpack to beside the files themselves, for each of them, bytes: heads and padding.
const BESIDE: u64 = 8 * 1024;

/// Unpacks everything that is served into the release.
pub(super) fn unpack(stream: &mut dyn Read, writer: &mut Writer) -> Result<(), MakeError> {
    let mut stream = BufReader::new(stream);
    let head = stream.fill_buf().map_err(unread)?;
    if head.starts_with(&ZSTD) {
        return Err(MakeError::Source("a tar archive may be plain or compressed with gzip; this is Zstandard".into()));
    }
    if head.starts_with(&GZIP) { entries(MultiGzDecoder::new(stream), writer) } else { entries(stream, writer) }
}

fn entries(stream: impl Read, writer: &mut Writer) -> Result<(), MakeError> {
    let limits = writer.limits();
    let most = limits.bytes.saturating_add(u64::try_from(limits.files).unwrap_or(u64::MAX).saturating_mul(BESIDE));
    let mut archive = Archive::new(stream.take(most));
    let mut long_name = None;
    let mut any = false;
    // Raw: what describes the next entry is read here, within a limit.
    for entry in archive.entries().map_err(unread)?.raw(true) {
        let mut entry = entry.map_err(unread)?;
        any = true;
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName => long_name = Some(trimmed(described(&mut entry)?)),
            EntryType::XHeader => long_name = pax_path(&described(&mut entry)?)?.or(long_name),
            EntryType::XGlobalHeader => drop(described(&mut entry)?),
            _ => {
                let name = long_name.take().unwrap_or_else(|| entry.header().path_bytes().into_owned());
                content(&name, kind, &mut entry, writer)?;
            }
        }
    }
    if any { Ok(()) } else { Err(MakeError::Source("the archive is empty, or no tar archive".into())) }
}

fn content(name: &[u8], kind: EntryType, entry: &mut impl Read, writer: &mut Writer) -> Result<(), MakeError> {
    let shown = || String::from_utf8_lossy(name).escape_debug().to_string();
    let refused = |why: &str| Err(MakeError::file(shown(), why));
    let Some(kept) = writer.judge(name)? else { return Ok(()) };
    match kind {
        EntryType::Regular | EntryType::Continuous => writer.add(&kept, entry),
        EntryType::Directory => Ok(()),
        EntryType::Symlink | EntryType::Link => {
            refused("it is a link; pack the file that it leads to (tar --dereference)")
        }
        EntryType::Char | EntryType::Block => refused("it is a device and no file"),
        EntryType::Fifo => refused("it is a pipe and no file"),
        EntryType::GNUSparse => refused("it is stored as a sparse file; pack it without --sparse"),
        _ => refused("it is no file"),
    }
}

fn described<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, MakeError> {
    if entry.size() > MAX_DESCRIPTION {
        return Err(MakeError::Source(format!("an entry is described by more than {MAX_DESCRIPTION} bytes")));
    }
    let mut text = Vec::new();
    entry.take(MAX_DESCRIPTION).read_to_end(&mut text).map_err(unread)?;
    Ok(text)
}

fn trimmed(mut name: Vec<u8>) -> Vec<u8> {
    while name.last() == Some(&0) {
        name.pop();
    }
    name.truncate(MAX_PATH.saturating_mul(4));
    name
}

fn pax_path(text: &[u8]) -> Result<Option<Vec<u8>>, MakeError> {
    let mut path = None;
    for pair in tar::PaxExtensions::new(text) {
        let pair = pair.map_err(unread)?;
        match pair.key_bytes() {
            b"path" => path = Some(pair.value_bytes().to_vec()),
            b"size" => return Err(MakeError::Source("a file of 8 GiB or more is too large for a site".into())),
            key if key.starts_with(b"GNU.sparse") => {
                return Err(MakeError::Source("a file is stored as a sparse file; pack it without --sparse".into()));
            }
            _ => {}
        }
    }
    Ok(path)
}

fn unread(e: std::io::Error) -> MakeError {
    MakeError::Source(format!("the archive cannot be read: {e}"))
}
