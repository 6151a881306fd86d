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

/// Why a value opens no repository. The value itself is not in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadCredential {
    /// ssh wants a key.
    #[error(
        "it is no private key, and ssh wants one: set it to a deploy key without a passphrase, as ssh-keygen writes it"
    )]
    NoKey,
    /// https wants a token.
    #[error(
        "it is a private key, and https wants a token: set it to TOKEN or USER:TOKEN, or write the address as ssh://…"
    )]
    NoToken,
    /// It is more than one line, or has characters that no token has.
    #[error("it is no token: expected TOKEN or USER:TOKEN in one line of visible ASCII characters")]
    Malformed,
    /// Nothing is asked for one.
    #[error("this address knows no credentials: write it as https://… or ssh://…")]
    Unknown,
}

/// What a private key begins with, in every form that ssh reads.
const PRIVATE_KEY: &str = "-----BEGIN ";

impl Credential {
    /// What a secret is for the repository of this address: a deploy key for ssh, a token for https.
    ///
    /// # Errors
    /// It is something else.
    pub fn of(address: &Address, value: &[u8]) -> Result<Self, BadCredential> {
        let key = value.starts_with(PRIVATE_KEY.as_bytes());
        match address.protocol() {
            Protocol::Ssh if key => Ok(Self::Key(Zeroizing::new(value.to_vec()))),
            Protocol::Ssh => Err(BadCredential::NoKey),
            Protocol::Https | Protocol::Http if key => Err(BadCredential::NoToken),
            Protocol::Https | Protocol::Http => token(value.trim_ascii()),
            Protocol::Git | Protocol::File => Err(BadCredential::Unknown),
        }
    }
}

fn token(value: &[u8]) -> Result<Credential, BadCredential> {
    let text = std::str::from_utf8(value).map_err(|_| BadCredential::Malformed)?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadCredential::Malformed);
    }
    let (user, token) = text.split_once(':').unwrap_or(("", text));
    Ok(Credential::Token { user: user.to_owned(), token: Zeroizing::new(token.to_owned()) })
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
    // In the clear to this machine at most.
    if address.protocol() != Protocol::Https && !(address.protocol() == Protocol::Http && address.is_here()) {
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
        assert!(header(&"http://h.example/a".parse().unwrap(), &token).is_none(), "never in the clear");
        assert!(header(&"http://127.0.0.1:80/a".parse().unwrap(), &token).is_some());
        assert_eq!(format!("{token:?}"), "Token");
    }

    #[test]
    fn a_secret_is_what_the_address_wants() {
        let of = |address: &str, value: &str| Credential::of(&address.parse().unwrap(), value.as_bytes());
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n";
        assert!(matches!(of("ssh://git@h/a", key), Ok(Credential::Key(_))));
        assert!(matches!(of("git@h:a", "t0ken"), Err(BadCredential::NoKey)));
        assert!(matches!(of("https://h/a", key), Err(BadCredential::NoToken)));
        for (value, wanted) in [("t0ken\n", ("", "t0ken")), ("deploy:t0k:en", ("deploy", "t0k:en"))] {
            let Ok(Credential::Token { user, token }) = of("https://h/a", value) else { panic!("{value}") };
            assert_eq!((user.as_str(), token.as_str()), wanted);
        }
        for bad in ["", "\n", "a b", "a\nb", "t\u{f6}ken"] {
            assert!(matches!(of("https://h/a", bad), Err(BadCredential::Malformed)), "{bad:?}");
        }
        assert!(matches!(of("git://h/a", "t0ken"), Err(BadCredential::Unknown)));
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
