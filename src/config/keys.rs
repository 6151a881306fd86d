//! Every key of the configuration: how it is read, shown and explained.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use cutover_domain::file::check;
use cutover_domain::file::quantity;
use cutover_domain::file::strict::quoted;

use cutover_compose::Asks;
use cutover_proxy::config::{AccessLog, Network};

use super::parts::{Config, GitAddresses, LogFormat};

/// One key.
pub(super) struct Key {
    /// Dotted.
    pub(super) path: &'static str,
    /// Unit, what it means, and why the default is what it is.
    pub(super) doc: &'static str,
    /// Its type, and where its value is kept.
    pub(super) value: Value,
}

/// The type of a key.
pub(super) enum Value {
    /// A text.
    Text {
        /// Refuses what is not allowed.
        set: fn(&mut Config, &str) -> Result<(), String>,
        /// What `set` would take.
        get: fn(&Config) -> String,
    },
    /// Several texts.
    List {
        /// Refuses what is not allowed.
        set: fn(&mut Config, &[&str]) -> Result<(), String>,
        /// What `set` would take.
        get: fn(&Config) -> Vec<String>,
    },
    /// A whole number.
    Number {
        /// Lowest allowed.
        low: i64,
        /// Highest allowed.
        high: i64,
        /// Takes only what is within.
        set: fn(&mut Config, i64),
        /// The number.
        get: fn(&Config) -> i64,
    },
}

/// Keys and sections at the top.
pub(super) const TOP: &[&str] = &["data_dir", "api", "proxy", "hooks", "docker", "limits", "log"];

/// The keys of a section; `None` for what is no section.
pub(super) fn of_section(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "api" => &["listen"],
        "proxy" => &["listen", "trusted", "access_log"],
        "hooks" => &["host"],
        "docker" => &["socket", "compose"],
        "limits" => &[
            "effects",
            "keep_bodies",
            "keep_output",
            "bind",
            "sources",
            "git",
            "upload",
            "keep_uploads",
            "stacks",
            "builds",
        ],
        "log" => &["format", "level"],
        _ => return None,
    })
}

/// Effects on Docker at a time: beyond it only the daemon's queue grows.
const MAX_EFFECTS: i64 = 64;
/// Builds at a time: more of them than cores only wait for one another.
const MAX_BUILDS: i64 = 16;
/// Bytes of a path that sockets are made below: Linux takes 107 for a socket, and ours have up to 17 more.
const MAX_DATA_DIR_BYTES: usize = 90;
/// Bytes of an upload, at least and at most: what fits into memory anyway, and what a disk of a small server has.
const UPLOADS: std::ops::RangeInclusive<u64> = (1 << 20)..=(64 << 30);
/// What `limits.git` may say.
const GIT: &[(&str, GitAddresses)] = &[("safe", GitAddresses::Safe), ("plain", GitAddresses::Plain)];
const HOUR_MS: u64 = 60 * 60 * 1000;
const YEAR_MS: u64 = 365 * 24 * HOUR_MS;

/// In the order of the example.
pub(super) const KEYS: &[Key] = &[
    Key {
        path: "data_dir",
        doc: "Folder (absolute) of the log, sockets, bodies and secrets; at most 90 bytes, because sockets are below it.\n\
              Default: /var/lib/cutover as root, otherwise $XDG_STATE_HOME/cutover or ~/.local/state/cutover.",
        value: Value::Text { set: set_data_dir, get: |c| c.data_dir.display().to_string() },
    },
    Key {
        path: "api.listen",
        doc: "Address and port of the API over TCP, as in \"127.0.0.1:7070\"; a token is always needed there.\n\
              Empty: only the socket in the data folder, which needs no token and cannot be reached from outside.",
        value: Value::Text {
            set: |c, text| {
                c.api.listen = if text.is_empty() { None } else { Some(address(text)?) };
                Ok(())
            },
            get: |c| c.api.listen.map_or_else(String::new, |address| address.to_string()),
        },
    },
    Key {
        path: "proxy.listen",
        doc: "Addresses and ports that requests come in on; read when the proxy starts. Add \"[::]:80\" for IPv6.\n\
              Default: \"0.0.0.0:80\" as root, otherwise \"127.0.0.1:8080\": others may not have port 80.",
        value: Value::List { set: set_listen, get: |c| c.proxy.listen.iter().map(SocketAddr::to_string).collect() },
    },
    Key {
        path: "proxy.trusted",
        doc: "Addresses and networks, as in \"10.0.0.0/8\", of proxies in front of this one: what they say in\n\
              X-Forwarded-* and Forwarded is kept; what anybody else says there is replaced.",
        value: Value::List {
            set: |c, texts| {
                let networks = texts.iter().map(|text| Network::try_from((*text).to_owned()));
                c.proxy.trusted = networks.collect::<Result<_, _>>()?;
                Ok(())
            },
            get: |c| c.proxy.trusted.iter().map(|network| String::from(*network)).collect(),
        },
    },
    Key {
        path: "proxy.access_log",
        doc: "Where the line that each request leaves goes: \"stdout\", \"off\" or the path (absolute) of a file, put aside\n\
              as NAME.1 at 64 MiB. Empty: stdout, or proxy/access.log in the data folder for a proxy that serve starts.",
        value: Value::Text { set: set_access_log, get: |c| access_log_text(c.proxy.access_log.as_ref()) },
    },
    Key {
        path: "hooks.host",
        doc: "Host name that /hooks/ is answered on. Empty: on every host, unless a workload holds that path there.",
        value: Value::Text {
            set: |c, text| {
                c.hooks.host = if text.is_empty() { None } else { Some(one_host(text)?) };
                Ok(())
            },
            get: |c| c.hooks.host.clone().unwrap_or_default(),
        },
    },
    Key {
        path: "docker.socket",
        doc: "Path (absolute) of Docker's socket.",
        value: Value::Text {
            set: |c, text| {
                c.docker.socket = absolute(text)?;
                Ok(())
            },
            get: |c| c.docker.socket.display().to_string(),
        },
    },
    Key {
        path: "docker.compose",
        doc: "Path (absolute) of the program that carries out stacks. Empty: the newest among Docker's plugins and in the\n\
              usual folders of programs.",
        value: Value::Text {
            set: |c, text| {
                c.docker.compose = if text.is_empty() { None } else { Some(absolute(text)?) };
                Ok(())
            },
            get: |c| c.docker.compose.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        },
    },
    Key {
        path: "limits.effects",
        doc: "Effects on Docker that run at the same time (1 to 64), each of another workload; on two cores more than 4\n\
              only wait for one another.",
        value: Value::Number {
            low: 1,
            high: MAX_EFFECTS,
            set: |c, number| c.limits.effects = u16::try_from(number).unwrap_or(1),
            get: |c| c.limits.effects.into(),
        },
    },
    Key {
        path: "limits.keep_bodies",
        doc: "How long (1h to 365d) raw bodies of deliveries are kept, for support; decisions never need them.",
        value: Value::Text {
            set: |c, text| {
                c.limits.keep_bodies_ms = quantity::duration_within(text, HOUR_MS, YEAR_MS)?;
                Ok(())
            },
            get: |c| quantity::show_duration(c.limits.keep_bodies_ms),
        },
    },
    Key {
        path: "limits.keep_output",
        doc: "How long (1h to 365d) the last output of failed containers, and the logs of builds, are kept; they may hold\n\
              secrets of the program.",
        value: Value::Text {
            set: |c, text| {
                c.limits.keep_output_ms = quantity::duration_within(text, HOUR_MS, YEAR_MS)?;
                Ok(())
            },
            get: |c| quantity::show_duration(c.limits.keep_output_ms),
        },
    },
    Key {
        path: "limits.bind",
        doc: "Folders (absolute) of the host below which workloads may mount folders, as in [\"/srv/data\"]. Empty: none,\n\
              because who may apply a workload could otherwise read and write everything as root. Volumes need no entry.",
        value: Value::List {
            set: set_bind,
            get: |c| c.limits.bind.iter().map(|folder| folder.display().to_string()).collect(),
        },
    },
    Key {
        path: "limits.sources",
        doc: "Folders (absolute) of the host below which workloads may be built from folders and archives, as in\n\
              [\"/srv/src\"]. Empty: none, because what is read there ends up in images. Git needs no entry.",
        value: Value::List {
            set: set_sources,
            get: |c| c.limits.sources.iter().map(|folder| folder.display().to_string()).collect(),
        },
    },
    Key {
        path: "limits.git",
        doc: "Which addresses of git are taken: \"safe\" is https and ssh, \"plain\" also http:// and git://, where whoever is\n\
              in between can change what is deployed; credentials are not sent over them. Of this machine all are taken.",
        value: Value::Text {
            set: |c, text| {
                c.limits.git = check::word(text, GIT)?;
                Ok(())
            },
            get: |c| {
                GIT.iter()
                    .find(|(_, git)| *git == c.limits.git)
                    .map_or_else(String::new, |(word, _)| (*word).to_owned())
            },
        },
    },
    Key {
        path: "limits.upload",
        doc: "Largest archive (1MiB to 64GiB) that `cutover deploy NAME --from` may send: it is on the disk twice while it\n\
              is looked at. What is larger is a folder that was meant to be in .dockerignore. Largest layer that\n\
              `cutover push` may send; all layers that wait to be loaded together may have four times as much.",
        value: Value::Text {
            set: |c, text| {
                c.limits.upload_bytes = upload(text)?;
                Ok(())
            },
            get: |c| quantity::show_bytes(c.limits.upload_bytes),
        },
    },
    Key {
        path: "limits.keep_uploads",
        doc: "How long (1h to 365d) what was sent is kept after it was last asked for, so that the same is not sent again;\n\
              what a deployment still needs stays in any case. Releases do not need it: a rollback works without. Images of\n\
              `cutover push` that no workload, wish or release names are kept as long.",
        value: Value::Text {
            set: |c, text| {
                c.limits.keep_uploads_ms = quantity::duration_within(text, HOUR_MS, YEAR_MS)?;
                Ok(())
            },
            get: |c| quantity::show_duration(c.limits.keep_uploads_ms),
        },
    },
    Key {
        path: "limits.stacks",
        doc: "What stacks of Compose may ask for that reaches beyond them: \"docker-socket\", \"privileged\", \"host-network\",\n\
              \"host-namespaces\", \"devices\", \"capabilities\", \"foreign\" (networks, volumes and containers of others),\n\
              \"programs\". With most of them who may apply a workload is root. Folders of the host: see bind.",
        value: Value::List {
            set: set_stacks,
            get: |c| c.limits.stacks.iter().filter_map(|asks| asks.word()).map(str::to_owned).collect(),
        },
    },
    Key {
        path: "limits.builds",
        doc: "Builds of images that run at the same time (1 to 16), apart from everything else: deployments of images,\n\
              repairs and rollbacks never wait for one.",
        value: Value::Number {
            low: 1,
            high: MAX_BUILDS,
            set: |c, number| c.limits.builds = u16::try_from(number).unwrap_or(1),
            get: |c| c.limits.builds.into(),
        },
    },
    Key {
        path: "log.format",
        doc: "\"text\" for people, or \"json\": one object a line.",
        value: Value::Text {
            set: |c, text| {
                c.log.format = check::word(text, &[("text", LogFormat::Text), ("json", LogFormat::Json)])?;
                Ok(())
            },
            get: |c| match c.log.format {
                LogFormat::Text => "text".to_owned(),
                LogFormat::Json => "json".to_owned(),
            },
        },
    },
    Key {
        path: "log.level",
        doc: "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"; or levels by module, as in \"info,cutover::store=debug\".",
        value: Value::Text { set: set_level, get: |c| c.log.level.clone() },
    },
];

fn set_data_dir(config: &mut Config, text: &str) -> Result<(), String> {
    let path = absolute(text)?;
    if text.len() > MAX_DATA_DIR_BYTES {
        return Err(format!(
            "the path has {} bytes; at most {MAX_DATA_DIR_BYTES} are allowed, because sockets are below it",
            text.len()
        ));
    }
    config.data_dir = path;
    Ok(())
}

fn upload(text: &str) -> Result<u64, String> {
    let bytes = quantity::bytes(text)?;
    if UPLOADS.contains(&bytes) {
        return Ok(bytes);
    }
    let (low, high) = (quantity::show_bytes(*UPLOADS.start()), quantity::show_bytes(*UPLOADS.end()));
    Err(format!("{} is out of range; allowed is {low} to {high}", quoted(text)))
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    if Path::new(text).is_absolute() && !text.chars().any(char::is_control) {
        return Ok(PathBuf::from(text));
    }
    Err(format!("{} is not an absolute path; it must begin with \"/\"", quoted(text)))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "{} is not an address with a port; expected one as in \"127.0.0.1:7070\" or \"[::1]:7070\"",
            quoted(text)
        )
    })
}

fn set_listen(config: &mut Config, texts: &[&str]) -> Result<(), String> {
    if texts.is_empty() {
        return Err("an empty list; at least one address with a port is needed".to_owned());
    }
    config.proxy.listen = texts.iter().map(|text| address(text)).collect::<Result<_, _>>()?;
    Ok(())
}

/// An empty text stands for an empty list: a variable of the environment has no other way to say it.
fn set_bind(config: &mut Config, texts: &[&str]) -> Result<(), String> {
    config.limits.bind = folders(texts)?;
    Ok(())
}

fn set_stacks(config: &mut Config, texts: &[&str]) -> Result<(), String> {
    let word = |text: &&str| {
        let known = Asks::BY_WORD.iter().find(|(word, _)| word == text);
        known.map(|(_, asks)| *asks).ok_or_else(|| {
            let words = Asks::BY_WORD.map(|(word, _)| format!("\"{word}\"")).join(", ");
            format!("{} is nothing that stacks ask for; known are {words}", quoted(text))
        })
    };
    config.limits.stacks = texts.iter().map(word).collect::<Result<_, _>>()?;
    Ok(())
}

fn set_sources(config: &mut Config, texts: &[&str]) -> Result<(), String> {
    config.limits.sources = folders(texts)?;
    Ok(())
}

fn folders(texts: &[&str]) -> Result<Vec<PathBuf>, String> {
    let given = texts.iter().filter(|text| !text.is_empty());
    given.map(|text| check::folder(text).map(PathBuf::from)).collect()
}

fn set_access_log(config: &mut Config, text: &str) -> Result<(), String> {
    config.proxy.access_log = match text {
        "" => None,
        "stdout" => Some(AccessLog::Stdout),
        "off" => Some(AccessLog::Off),
        path => Some(AccessLog::File(
            absolute(path)
                .map_err(|_| format!("{} is neither \"stdout\" nor \"off\" nor an absolute path", quoted(path)))?,
        )),
    };
    Ok(())
}

pub(super) fn access_log_text(to: Option<&AccessLog>) -> String {
    match to {
        None => String::new(),
        Some(AccessLog::Stdout) => "stdout".to_owned(),
        Some(AccessLog::Off) => "off".to_owned(),
        Some(AccessLog::File(path)) => path.display().to_string(),
    }
}

fn one_host(text: &str) -> Result<String, String> {
    let host = check::host(text)?;
    if host.starts_with('*') { Err(format!("{} is not one host", quoted(text))) } else { Ok(host) }
}

fn set_level(config: &mut Config, text: &str) -> Result<(), String> {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let directive = |part: &str| {
        let (module, level) = part.split_once('=').unwrap_or(("all", part));
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':';
        !module.is_empty() && module.bytes().all(word) && levels.contains(&level)
    };
    if !text.split(',').all(directive) {
        return Err(format!(
            "{} is not a level; expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\", or levels by module as in \"info,cutover::store=debug\"",
            quoted(text)
        ));
    }
    config.log.level = text.to_owned();
    Ok(())
}
