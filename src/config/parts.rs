//! The configuration as its components take it.

use std::net::SocketAddr;
use std::path::PathBuf;

use cutover_compose::Asks;
use cutover_proxy::config::{AccessLog, Network};

/// Everything that can be configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Where everything is kept; absolute.
    pub data_dir: PathBuf,
    /// The API.
    pub api: Api,
    /// The data plane.
    pub proxy: Proxy,
    /// Deliveries.
    pub hooks: Hooks,
    /// Docker.
    pub docker: Docker,
    /// What is bounded.
    pub limits: Limits,
    /// The log of the process, not the log of events.
    pub log: Log,
}

/// The API.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Api {
    /// Besides the local socket; `None`: only there. Over TCP a token is always needed.
    pub listen: Option<SocketAddr>,
}

/// The data plane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proxy {
    /// Where requests come in; at least one.
    pub listen: Vec<SocketAddr>,
    /// Proxies in front of this one.
    pub trusted: Vec<Network>,
    /// Where requests are written down; `None`: on standard output, or in the data folder when an engine starts it.
    pub access_log: Option<AccessLog>,
}

impl Proxy {
    fn on(listen: SocketAddr) -> Self {
        Self { listen: vec![listen], trusted: Vec::new(), access_log: None }
    }
}

/// Deliveries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hooks {
    /// The host that `/hooks/` is answered on; `None`: every host, unless a workload holds the path there.
    pub host: Option<String>,
}

/// Docker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Docker {
    /// Its socket; absolute.
    pub socket: PathBuf,
    /// The program of Compose, absolute; `None`: it is looked for.
    pub compose: Option<PathBuf>,
}

/// What is bounded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Effects on Docker that run at the same time.
    pub effects: u16,
    /// How long the bodies of deliveries are kept, ms.
    pub keep_bodies_ms: u64,
    /// How long the last output of failed containers is kept, ms.
    pub keep_output_ms: u64,
    /// Folders of the host, absolute, below which workloads may mount folders.
    pub bind: Vec<PathBuf>,
    /// Folders of the host, absolute, below which sources may be read from.
    pub sources: Vec<PathBuf>,
    /// Which addresses of git are taken.
    pub git: GitAddresses,
    /// Bytes of an archive that is sent to be deployed.
    pub upload_bytes: u64,
    /// How long such an archive is kept after it was last asked for, ms.
    pub keep_uploads_ms: u64,
    /// What stacks may ask for that reaches beyond them.
    pub stacks: Vec<Asks>,
    /// Builds of images that run at the same time.
    pub builds: u16,
}

/// Which addresses of git are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum GitAddresses {
    /// https and ssh.
    #[default]
    Safe,
    /// Also http and git.
    Plain,
}

/// The log of the process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// Lines for people, or JSON.
    pub format: LogFormat,
    /// A level, or a filter of levels by module.
    pub level: String,
}

/// How the log of the process is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where root keeps its state, as the file system hierarchy has it.
const ROOT_DATA_DIR: &str = "/var/lib/cutover";
/// What a user's state folder is below home, when nothing else is said (XDG base directories).
const STATE_HOME: &str = ".local/state";
/// Where root serves: the port of the web, on every IPv4 address.
const ROOT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 80);
/// Where others serve: they may not have port 80, and what a user tries out is not for the network.
const USER_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
/// On two cores more effects on Docker only wait for one another (facts: docker §3).
const EFFECTS: u16 = 4;
/// A build uses every core that it gets: a third one at the same time would only make all of them late.
const BUILDS: u16 = 2;
/// More than the context of any build that was met, and sent within minutes.
const UPLOAD_BYTES: u64 = 1 << 30;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Long enough to look at last month's delivery.
const KEEP_BODIES_MS: u64 = 30 * DAY_MS;
/// As long as somebody may still deploy the same again.
const KEEP_UPLOADS_MS: u64 = 7 * DAY_MS;
/// As the design promises for the last words of a container.
const KEEP_OUTPUT_MS: u64 = 7 * DAY_MS;

/// What root gets without a file.
impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from(ROOT_DATA_DIR),
            api: Api::default(),
            proxy: Proxy::on(ROOT_LISTEN),
            hooks: Hooks { host: None },
            docker: Docker { socket: PathBuf::from("/var/run/docker.sock"), compose: None },
            limits: Limits {
                effects: EFFECTS,
                keep_bodies_ms: KEEP_BODIES_MS,
                keep_output_ms: KEEP_OUTPUT_MS,
                bind: Vec::new(),
                sources: Vec::new(),
                git: GitAddresses::Safe,
                upload_bytes: UPLOAD_BYTES,
                keep_uploads_ms: KEEP_UPLOADS_MS,
                stacks: Vec::new(),
                builds: BUILDS,
            },
            log: Log { format: LogFormat::Text, level: "info".to_owned() },
        }
    }
}

impl Config {
    /// What a user who is not root gets without a file: a folder of their own, and a port that they may have.
    #[must_use]
    pub fn of_user(state_home: Option<String>, home: Option<String>) -> Self {
        let absolute = |path: String| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
        let state = state_home.and_then(absolute).or_else(|| Some(home.and_then(absolute)?.join(STATE_HOME)));
        let root = Self::default();
        Self {
            data_dir: state.map_or(root.data_dir, |state| state.join("cutover")),
            proxy: Proxy::on(USER_LISTEN),
            ..root
        }
    }
}

impl Config {
    /// What a proxy that this engine starts is told, as variables of its environment.
    #[must_use]
    pub fn for_proxy(&self) -> Vec<(String, String)> {
        let listen: Vec<_> = self.proxy.listen.iter().map(SocketAddr::to_string).collect();
        let trusted: Vec<_> = self.proxy.trusted.iter().map(|network| String::from(*network)).collect();
        let beside_its_table = AccessLog::File(self.data_dir.join("proxy/access.log"));
        let access_log = self.proxy.access_log.as_ref().unwrap_or(&beside_its_table);
        let key = |name: &str| format!("{}{name}", super::ENV_PREFIX);
        vec![
            (key("DATA_DIR"), self.data_dir.to_string_lossy().into_owned()),
            (key("PROXY__LISTEN"), listen.join(",")),
            (key("PROXY__TRUSTED"), trusted.join(",")),
            (key("PROXY__ACCESS_LOG"), super::keys::access_log_text(Some(access_log))),
            (key("HOOKS__HOST"), self.hooks.host.clone().unwrap_or_default()),
        ]
    }
}

/// Whether this process was started by systemd as a unit of its own.
#[must_use]
pub fn under_systemd() -> bool {
    std::env::var_os("INVOCATION_ID").is_some() && std::env::var_os("NOTIFY_SOCKET").is_some()
}
