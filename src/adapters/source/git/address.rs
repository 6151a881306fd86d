//! Where a repository is, what of it, and which commit: nothing of it can become an option of the git program.

use std::fmt;
use std::str::FromStr;

/// Longest address, bytes.
const MAX_ADDRESS: usize = 2_000;
/// Longest name of a branch or tag, bytes: file systems of git hosts allow no more.
const MAX_REFERENCE: usize = 250;

/// Why an address, a reference or a commit is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// It is none.
    #[error(
        "{0:?} is not the address of a git repository: write https://host/path, ssh://git@host/path or git@host:path"
    )]
    Syntax(String),
    /// The protocol is not allowed here.
    #[error(
        "{protocol}:// is not allowed for git: whoever is in between could change what is deployed; use https:// or ssh://, \
         or allow it by [limits] git = \"plain\" of the engine"
    )]
    Protocol {
        /// Without `://`.
        protocol: &'static str,
    },
    /// A credential would be sent in the clear.
    #[error("a credential is not sent to {host} over http://, where everybody in between could read it: use https://")]
    Clear {
        /// The host alone.
        host: String,
    },
    /// A password or token stands in it.
    #[error("the address of {host} holds a user or token: everybody could read it; give it as a credential")]
    Secret {
        /// The host alone.
        host: String,
    },
    /// It is no name of a branch or tag.
    #[error("{0:?} is not the name of a branch, tag or commit")]
    Reference(String),
}

/// How a repository is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// TLS.
    Https,
    /// In the clear.
    Http,
    /// With a key.
    Ssh,
    /// Git's own, in the clear and without credentials.
    Git,
    /// A folder of this machine.
    File,
}

impl Protocol {
    /// As git calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Ssh => "ssh",
            Self::Git => "git",
            Self::File => "file",
        }
    }

    fn port(self) -> Option<u16> {
        match self {
            Self::Https => Some(443),
            Self::Http => Some(80),
            Self::Ssh => Some(22),
            Self::Git => Some(9418),
            Self::File => None,
        }
    }
}

/// The address of a repository. It holds no secret and does not begin with `-`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    text: String,
    protocol: Protocol,
    host: String,
    port: Option<u16>,
}

impl Address {
    /// Which protocol.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// As git takes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port, for people and for a look whether it is there; `None` for a folder of this machine.
    #[must_use]
    pub fn endpoint(&self) -> Option<(&str, u16)> {
        Some((self.host.trim_matches(['[', ']']), self.port.or(self.protocol.port())?))
    }

    /// Whether the host is this machine, by an address that leads nowhere else.
    #[must_use]
    pub fn is_here(&self) -> bool {
        let host = self.host.trim_matches(['[', ']']);
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Scheme, host and port: what a credential is for. It is sent nowhere else.
    #[must_use]
    pub fn origin(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}/", self.protocol.name(), self.host)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress::Syntax(text.chars().take(100).collect());
        let strange = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '#' | '?' | '\\' | '"' | '\'' | '`');
        if text.is_empty() || text.len() > MAX_ADDRESS || text.starts_with('-') || text.contains(strange) {
            return Err(bad());
        }
        let Some((scheme, rest)) = text.split_once("://") else { return short(text).ok_or_else(bad) };
        let protocol = match scheme {
            "https" => Protocol::Https,
            "http" => Protocol::Http,
            "ssh" => Protocol::Ssh,
            "git" => Protocol::Git,
            "file" => Protocol::File,
            _ => return Err(bad()),
        };
        let (authority, path) = rest.split_once('/').ok_or_else(bad)?;
        if protocol == Protocol::File {
            let here = authority.is_empty() && !path.is_empty();
            return here
                .then(|| Self { text: text.to_owned(), protocol, host: String::new(), port: None })
                .ok_or_else(bad);
        }
        let (user, place) = authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
        let (host, port) = host_and_port(place).ok_or_else(bad)?;
        match user {
            Some(user) if protocol != Protocol::Ssh || user.contains(':') => {
                return Err(BadAddress::Secret { host: host.to_owned() });
            }
            Some(user) if !plain(user) => return Err(bad()),
            _ => {}
        }
        if path.is_empty() {
            return Err(bad());
        }
        Ok(Self { text: text.to_owned(), protocol, host: host.to_owned(), port })
    }
}

/// `git@host:path`, and an absolute path.
fn short(text: &str) -> Option<Address> {
    if text.starts_with('/') {
        return Some(Address { text: text.to_owned(), protocol: Protocol::File, host: String::new(), port: None });
    }
    let (place, path) = text.split_once(':')?;
    let (user, host) = place.split_once('@')?;
    // `ext::sh` and its like run programs.
    let good = plain(user) && plain(host) && !path.is_empty() && !path.starts_with([':', '-']);
    good.then(|| Address { text: text.to_owned(), protocol: Protocol::Ssh, host: host.to_owned(), port: None })
}

fn plain(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(inner)
}

fn host_and_port(place: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port.parse().ok().filter(|port| *port > 0)?)),
        _ => (place, None),
    };
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let good = v6.map_or(plain(host), |v6| v6.parse::<std::net::Ipv6Addr>().is_ok());
    good.then_some((host, port))
}

/// A branch, a tag, a full name like `refs/pull/1/head`, or `HEAD`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reference(String);

impl Reference {
    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Reference {
    type Err = BadAddress;

    /// By git's own rules for names.
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let strange = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
        let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
        let good = !text.starts_with('-')
            && text.len() <= MAX_REFERENCE
            && !text.contains(strange)
            && !text.contains("..")
            && !text.contains("@{")
            && !text.ends_with('.')
            && text != "@"
            && text.split('/').all(part);
        if good { Ok(Self(text.to_owned())) } else { Err(BadAddress::Reference(text.chars().take(100).collect())) }
    }
}

/// The full name of a commit: 40 or 64 hex digits, lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Commit(String);

impl Commit {
    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Commit {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let good = matches!(text.len(), 40 | 64) && digits;
        if good { Ok(Self(text.to_owned())) } else { Err(BadAddress::Reference(text.chars().take(100).collect())) }
    }
}

/// An address as Docker writes it: `ADDRESS#REFERENCE:FOLDER`, of which all behind the address may be missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GitContext {
    /// The repository.
    pub address: Address,
    /// What of it.
    pub reference: Option<Reference>,
    /// The folder in it, relative; empty for all of it.
    pub folder: String,
}

impl FromStr for GitContext {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (address, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (reference, folder) = fragment.split_once(':').unwrap_or((fragment, ""));
        let reference = (!reference.is_empty()).then(|| reference.parse()).transpose()?;
        Ok(Self { address: address.parse()?, reference, folder: folder.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_what_git_hosts_give() {
        for (text, protocol, endpoint, origin) in [
            ("https://github.com/acme/shop.git", Protocol::Https, Some(("github.com", 443)), "https://github.com/"),
            ("http://127.0.0.1:8080/a", Protocol::Http, Some(("127.0.0.1", 8080)), "http://127.0.0.1:8080/"),
            (
                "ssh://git@host.example:2222/a/b",
                Protocol::Ssh,
                Some(("host.example", 2222)),
                "ssh://host.example:2222/",
            ),
            ("git@github.com:acme/shop.git", Protocol::Ssh, Some(("github.com", 22)), "ssh://github.com/"),
            ("git://[::1]/a", Protocol::Git, Some(("::1", 9418)), "git://[::1]/"),
            ("file:///srv/a.git", Protocol::File, None, "file:///"),
            ("/srv/a.git", Protocol::File, None, "file:///"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(
                (address.protocol(), address.endpoint(), address.origin().as_str()),
                (protocol, endpoint, origin)
            );
            assert_eq!(address.as_str(), text);
        }
    }

    #[test]
    fn what_would_run_or_leak_something_is_refused() {
        for bad in [
            "",
            "-uhttps://h/a",
            "--upload-pack=x",
            "ext::sh -c x",
            "ext::sh",
            "https://h",
            "https:///a",
            "ssh://-oProxy/a",
            "ssh://-u@h/a",
            "git@-h:a",
            "git@h:-a",
            "-git@h:a",
            "git@h:",
            "https://h/a b",
            "https://h/a\n",
            "file://host/a",
            "https://h:0/a",
            "https://h:x/a",
            "ftp://h/a",
            "relative/path",
            "https://h/a?x",
            "https://$(x)/a",
            "git@h;x:a",
        ] {
            assert!(matches!(bad.parse::<Address>(), Err(BadAddress::Syntax(_))), "{bad}");
        }
        for secret in ["https://user:token@h/a", "https://token@h/a", "http://x@h/a", "ssh://git:pw@h/a"] {
            let said = secret.parse::<Address>().unwrap_err().to_string();
            assert!(said.contains("the address of h holds") && !said.contains("token@"), "{said}");
        }
    }

    #[test]
    fn references_are_names() {
        for good in ["main", "v1.2.3", "feature/x-1", "HEAD", "refs/pull/1/head", "üm"] {
            assert!(good.parse::<Reference>().is_ok(), "{good}");
        }
        for bad in [
            "", "-x", "--all", "a..b", "a b", "a:b", "a^", "a~1", "a*", "a[", "@{1}", "@", "a/", "/a", "a//b", ".a",
            "a/.b", "a.lock", "a.", "a\n", "a\\b", "a?",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
        assert!("0123456789012345678901234567890123456789".parse::<Commit>().is_ok());
        for bad in ["", "abc", "0123456789012345678901234567890123456A89", "-123456789012345678901234567890123456789"] {
            assert!(bad.parse::<Commit>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_context_may_name_reference_and_folder() {
        let read = |text: &str| text.parse::<GitContext>().unwrap();
        let whole = read("https://h/a.git#v1:docker/web");
        assert_eq!((whole.reference.unwrap().as_str(), whole.folder.as_str()), ("v1", "docker/web"));
        let folder = read("git@h:a.git#:web");
        assert_eq!((folder.address.as_str(), folder.reference, folder.folder.as_str()), ("git@h:a.git", None, "web"));
        assert!("https://h/a#-x".parse::<GitContext>().is_err());
    }

    proptest! {
        #[test]
        fn nothing_that_is_taken_can_be_an_option(text in "(-{0,2})[a-z:/@.-]{0,12}(://|@|:)?[a-z0-9:/@.\\[\\]-]{0,20}") {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert!(!address.as_str().starts_with('-') && !address.as_str().contains("::/"));
                if let Some((host, _)) = address.endpoint() {
                    prop_assert!(!host.is_empty() && !host.starts_with('-'));
                }
            }
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert!(!reference.as_str().starts_with('-'));
            }
        }
    }
}
