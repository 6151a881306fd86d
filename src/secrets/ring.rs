//! The identities of one owner as they lie in its file: one a line, the newest first, and the key of its keyed hashes.

use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::SecretsError;
use crate::store::files;

/// What stands before the key of the hashes; a comment to other readers of identity files.
const HASHING: &str = "# hashing ";

/// The identities of an owner.
pub(super) struct Ring {
    /// Seals and reads.
    pub(super) newest: Identity,
    /// Only read: there are some while a renewal goes on.
    pub(super) older: Vec<Identity>,
    /// Keys the hashes. Outlives the identities, since hashes in the log are compared for as long as the owner is there.
    pub(super) hashing: Zeroizing<[u8; 32]>,
}

impl Ring {
    /// Of an owner that had none. The hashing key is a digest of the first identity, which it does not give away.
    pub(super) fn new(newest: Identity) -> Self {
        let hashing = Zeroizing::new(Sha256::digest(newest.to_string().expose_secret().as_bytes()).into());
        Self { newest, older: Vec::new(), hashing }
    }

    /// Reads a file; one of a single line is as [`Ring::new`] of it.
    pub(super) fn read(path: &Path) -> Result<Self, SecretsError> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SecretsError::NoIdentity),
            read => Zeroizing::new(read?),
        };
        let mut identities = Vec::new();
        let mut hashing = None;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.strip_prefix(HASHING) {
                Some(key) => hashing = Some(from_hex(key).ok_or(SecretsError::Damaged)?),
                None => identities.push(Identity::from_str(line).map_err(|_| SecretsError::Damaged)?),
            }
        }
        let mut identities = identities.into_iter();
        let ring = Self::new(identities.next().ok_or(SecretsError::Damaged)?);
        let older: Vec<_> = identities.collect();
        match hashing {
            Some(hashing) => Ok(Self { older, hashing, ..ring }),
            None if older.is_empty() => Ok(ring),
            None => Err(SecretsError::Damaged),
        }
    }

    /// Replaces the file durably.
    pub(super) fn write(&self, path: &Path) -> Result<(), SecretsError> {
        let mut text = Zeroizing::new(String::with_capacity(512));
        for identity in std::iter::once(&self.newest).chain(&self.older) {
            text.push_str(identity.to_string().expose_secret());
            text.push('\n');
        }
        text.push_str(HASHING);
        for byte in self.hashing.iter() {
            for half in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(half), 16));
            }
        }
        text.push('\n');
        Ok(files::replace_durably(path, text.as_bytes())?)
    }
}

fn from_hex(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(key)
}
