//! What opens a private repository: handed over by the caller, never on a command line, in an address or in a log.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::address::{Address, Protocol};
use crate::adapters::source::scratch::make_private;

/// How long ssh tries to connect, s.
const SSH_CONNECT: u32 = 10;

/// What opens a private repository.
#[derive(Clone, Default)]
pub enum Credential {
    /// It is public.
    #[default]
    None,
    /// A token, or a password, over http.
    Token {
        /// Empty where the host wants none: `x-access-token` is sent then, which GitHub, GitLab and Gitea take.
        user: String,
        /// The value.
        token: Zeroizing<String>,
    },
    /// A private key for ssh, in the form that ssh itself writes.
    Key(Zeroizing<Vec<u8>>),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Token { .. } => "Token",
            Self::Key(_) => "Key",
        })
    }
}

/// The setting that makes git send a token, to the host of the address and to no other.
pub(super) fn header(address: &Address, credential: &Credential) -> Option<(String, Zeroizing<String>)> {
    let Credential::Token { user, token } = credential else { return None };
    if !matches!(address.protocol(), Protocol::Http | Protocol::Https) {
        return None;
    }
    let user = if user.is_empty() { "x-access-token" } else { user };
    let pair = Zeroizing::new(format!("{user}:{}", token.as_str()));
    let value = Zeroizing::new(format!("Authorization: Basic {}", STANDARD.encode(pair.as_bytes())));
    Some((format!("http.{}.extraHeader", address.origin()), value))
}

/// A private key in a file, for as long as one call of git lasts.
#[derive(Debug)]
pub(super) struct KeyFile(PathBuf);

impl KeyFile {
    /// Writes it where only this user may read it.
    pub(super) fn write(folder: &Path, key: &[u8]) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        make_private(folder)?;
        let path = folder.join(format!("key-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let mut file: File = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let made = Self(path);
        file.write_all(key)?;
        // ssh reads no key whose last line has no end.
        if !key.ends_with(b"\n") {
            file.write_all(b"\n")?;
        }
        Ok(made)
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "the file of a deploy key stays behind: remove it");
        }
    }
}

/// How git calls ssh: with this key and no other, no agent, no settings of a user, no question; a host whose key is not
/// known is pinned, one whose key has changed is refused.
pub(super) fn ssh(program: &Path, key: Option<&KeyFile>, known_hosts: &Path) -> String {
    let mut words = vec![program.display().to_string(), "-F".to_owned(), "/dev/null".to_owned()];
    let mut option = |text: String| words.extend(["-o".to_owned(), text]);
    option("BatchMode=yes".to_owned());
    option("IdentityAgent=none".to_owned());
    option("IdentitiesOnly=yes".to_owned());
    option("StrictHostKeyChecking=accept-new".to_owned());
    option("GlobalKnownHostsFile=/dev/null".to_owned());
    option(format!("UserKnownHostsFile={}", inner(known_hosts)));
    option("ClearAllForwardings=yes".to_owned());
    option(format!("ConnectTimeout={SSH_CONNECT}"));
    option(format!("IdentityFile={}", key.map_or_else(|| "none".to_owned(), |key| inner(&key.0))));
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A path inside of an option of ssh, which splits at blanks and reads `%`.
fn inner(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

/// Git hands the line to a shell: in single quotes everything stands for itself.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_goes_to_its_host_alone() {
        let token = Credential::Token { user: String::new(), token: Zeroizing::new("s3cret".to_owned()) };
        let (key, value) = header(&"https://h.example:8443/a".parse().unwrap(), &token).unwrap();
        assert_eq!(key, "http.https://h.example:8443/.extraHeader");
        assert_eq!(value.as_str(), "Authorization: Basic eC1hY2Nlc3MtdG9rZW46czNjcmV0");
        assert!(header(&"git://h/a".parse().unwrap(), &token).is_none());
        assert_eq!(format!("{token:?}"), "Token");
    }

    #[test]
    fn a_key_is_private_and_gone_after_use() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("keys");
        let key = KeyFile::write(&below, b"KEY").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&below), mode(&key.0)), (0o700, 0o600));
        assert_eq!(fs::read(&key.0).unwrap(), b"KEY\n");
        let command = ssh(Path::new("ssh"), Some(&key), Path::new("/data/it's/known_hosts"));
        assert!(command.starts_with("'ssh' '-F' '/dev/null' '-o' 'BatchMode=yes'"), "{command}");
        assert!(command.contains("it'\\''s/known_hosts\"'"), "{command}");
        drop(key);
        assert_eq!(fs::read_dir(&below).unwrap().count(), 0);
    }
}
