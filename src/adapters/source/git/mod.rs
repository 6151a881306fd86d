//! Git: exactly one commit of a repository, by the git program.
//!
//! | file | holds |
//! |---|---|
//! | `address` | addresses, references and commits that can be nothing else |
//! | `credential` | how a token or a key reaches git, and nobody else |
//! | `pinned` | hosts of ssh that are trusted for the first time |
//! | `run` | one call: environment, deadline, bounds, and its end |
//! | `said` | what git's words mean |
//! | `fetch` | resolve, fetch, changed paths |

mod address;
mod credential;
mod fetch;
mod pinned;
mod run;
mod said;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pinned::Pinned;

use super::scratch::{make_empty, make_private, remove};

pub use address::{Address, BadAddress, Commit, GitContext, Protocol, Reference};
pub use credential::{BadCredential, Credential};
pub use fetch::folder_of;

/// How long a remote has to take a connection.
pub const CONNECT: Duration = Duration::from_secs(10);
/// How long a remote has to name its branches and tags.
const NAMES: Duration = Duration::from_secs(30);
/// How long one commit may take to come, with its submodules.
const FETCH: Duration = Duration::from_secs(15 * 60);
/// How long git may work on what is here.
const LOCAL: Duration = Duration::from_secs(5 * 60);
/// Most bytes of a checkout, and of what git stores beside it: 4 GiB each, as a build context.
pub const MAX_CHECKOUT: u64 = 4 << 30;

/// Which protocols an installation takes addresses of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reach {
    /// https and ssh: nobody in between can change what is deployed.
    #[default]
    Safe,
    /// Also http and git, for networks of one's own.
    Plain,
    /// Also folders of this machine: for `apply` on a person's own machine, never for what comes over the API.
    Local,
}

impl Reach {
    fn allows(self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Https | Protocol::Ssh => true,
            Protocol::Http | Protocol::Git => self != Self::Safe,
            Protocol::File => self == Self::Local,
        }
    }

    /// Whether a repository may be asked, and given this credential. What does not leave this machine has nobody in between.
    pub(super) fn takes(self, address: &Address, credential: &Credential) -> Result<(), BadAddress> {
        let protocol = address.protocol();
        if !self.allows(protocol) && !address.is_here() {
            return Err(BadAddress::Protocol { protocol: protocol.name() });
        }
        let secret = !matches!(credential, Credential::None);
        match address.endpoint() {
            Some((host, _)) if secret && protocol == Protocol::Http && !address.is_here() => {
                Err(BadAddress::Clear { host: host.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// As git takes the list. It holds for submodules too: an address in somebody's repository reaches no further than what
    /// is allowed, or than the repository itself is spoken to.
    fn list(self, address: &Address) -> String {
        let all = [Protocol::Https, Protocol::Ssh, Protocol::Http, Protocol::Git, Protocol::File];
        let own = |protocol: Protocol| protocol == address.protocol();
        let allowed = all.into_iter().filter(|protocol| self.allows(*protocol) || own(*protocol));
        allowed.map(Protocol::name).collect::<Vec<_>>().join(":")
    }
}

/// Where git works, and what it may.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GitConfig {
    /// The program.
    pub program: PathBuf,
    /// The program that git speaks ssh by; it takes the options of OpenSSH.
    pub ssh: PathBuf,
    /// A folder of its own, emptied at the start: repositories that are needed for one question.
    pub scratch: PathBuf,
    /// A folder of its own on a tmpfs, removed at the start: keys, while git uses them.
    pub keys: PathBuf,
    /// Keys of hosts, pinned at first use.
    pub known_hosts: PathBuf,
    /// Which protocols.
    pub reach: Reach,
    /// Most bytes of a checkout.
    pub max_bytes: u64,
    /// How long a remote has to take a connection.
    pub connect: Duration,
}

impl GitConfig {
    /// Below a data folder, with everything at its default.
    #[must_use]
    pub fn below(data: &Path, keys: PathBuf) -> Self {
        let folder = data.join("git");
        Self {
            program: PathBuf::from("git"),
            ssh: PathBuf::from("ssh"),
            scratch: folder.join("scratch"),
            known_hosts: folder.join("known_hosts"),
            keys,
            reach: Reach::default(),
            max_bytes: MAX_CHECKOUT,
            connect: CONNECT,
        }
    }
}

/// A repository, and what opens it.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Where.
    pub address: Address,
    /// By what.
    pub credential: Credential,
}

/// Why git did not give what was asked. Each is one line for a person; none holds a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// It does not answer, or not in time.
    #[error("{remote} cannot be reached: {why}")]
    Unreachable {
        /// Host and port.
        remote: String,
        /// What was seen, with the time that it was given.
        why: String,
    },
    /// It answers, and does not give it.
    #[error("{remote} does not give this repository: it does not exist, or the credential may not read it ({why})")]
    NotAllowed {
        /// The address.
        remote: String,
        /// What it says.
        why: String,
    },
    /// The branch, tag or commit is not there.
    #[error("{remote} has no branch, tag or commit {reference}")]
    NoReference {
        /// The address.
        remote: String,
        /// As asked for.
        reference: String,
    },
    /// The folder is not there, or leads out.
    #[error("there is no folder {folder} in {commit}")]
    NoFolder {
        /// As asked for.
        folder: String,
        /// Where.
        commit: String,
    },
    /// More than is allowed.
    #[error("the repository holds more than {limit} bytes: deploy a smaller one, or split it")]
    TooLarge {
        /// Bytes.
        limit: u64,
    },
    /// The address is not taken here.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// Git is missing, or this machine is in its way.
    #[error("git does not run here: {0}; install it (apt install git)")]
    Program(String),
    /// Everything else, as git says it.
    #[error("git failed: {0}")]
    Failed(String),
}

/// The git program, for many repositories at once.
#[derive(Clone, Debug)]
pub struct Git {
    config: GitConfig,
    pinned: Pinned,
}

impl Git {
    /// Whether the address of a repository is one that is taken here.
    ///
    /// # Errors
    /// It is none, or is spoken to in a way that is not allowed.
    pub fn takes(&self, address: &str) -> Result<(), GitError> {
        Ok(self.config.reach.takes(&address.parse()?, &Credential::None)?)
    }

    /// What is to be told of hosts that were trusted for the first time, once.
    #[must_use]
    pub fn pinned(&self) -> Vec<String> {
        self.pinned.take()
    }

    /// Makes its folders, and empties them of what an earlier process left; that of keys is made by the first key.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn open(config: GitConfig) -> io::Result<Self> {
        make_empty(&config.scratch)?;
        remove(&config.keys)?;
        config.known_hosts.parent().map_or(Ok(()), make_private)?;
        Ok(Self { config, pinned: Pinned::default() })
    }
}
