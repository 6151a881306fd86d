//! What one value may be. Both forms, the TOML of people and the JSON of programs, pass through here.

use cutover_events::workload::SourceKind;

use super::strict::{choice, nearest, quoted};
use crate::{secret, strategy};

/// Characters of the name of a workload, a project or a hook: with both, a separator and a unit's 26 characters, the
/// name of a container stays below the 128 that Docker takes well.
pub const MAX_NAME_CHARS: usize = 40;
/// Characters of a DNS name (RFC 1035).
pub const MAX_HOST_CHARS: usize = 253;
/// Characters of one label of a DNS name (RFC 1035).
pub const MAX_LABEL_CHARS: usize = 63;
/// Characters of a path prefix or a health path: far above what is written, far below the limit of a request line.
pub const MAX_PATH_CHARS: usize = 1024;
/// Characters of the name of an environment variable.
pub const MAX_ENV_NAME_CHARS: usize = 128;
/// Bytes of one value of the environment or one argument: Linux takes 128 KiB for one string, with its name.
pub const MAX_VALUE_BYTES: usize = 96 * 1024;
/// Characters of a repository, a branch or a tag in a trigger: what GitHub allows for a reference.
pub const MAX_PATTERN_CHARS: usize = 255;
/// Characters of the name of a volume (the rule of Docker, with a bound of ours: it is in a claim and in every plan).
pub const MAX_VOLUME_CHARS: usize = 128;
/// Characters of a path that is mounted, or mounted on: a quarter of what Linux takes, and far above what is written.
pub const MAX_MOUNT_CHARS: usize = 1024;
/// Folders of the system: what lies there belongs to the kernel, or leads to those who are root.
const OF_THE_SYSTEM: &[&str] = &["/proc", "/sys", "/dev"];
/// Folders of the host that hold the sockets of its services, that of Docker among them.
const OF_SERVICES: &[&str] = &["/run", "/var/run"];
pub use secret::MAX_NAME_CHARS as MAX_SECRET_CHARS;
/// Both names of the strategies that exist, for every message about one.
pub const STRATEGIES: &[&str] = &["recreate", "blue-green"];
/// What a stack can do: it has no one target that could be swapped.
const STRATEGIES_OF_A_STACK: &[&str] = &["recreate"];
/// How a reference to a secret begins.
const SECRET: &str = "${secret:";

/// A workload's, project's or hook's name: lower-case letters, digits and inner hyphens, at most 40.
///
/// # Errors
/// Anything else.
pub fn name(text: &str) -> Result<String, String> {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    let bytes = text.as_bytes();
    if edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner) && bytes.len() <= MAX_NAME_CHARS {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{} is not a name; a name is 1 to {MAX_NAME_CHARS} lower-case letters, digits and hyphens, beginning and ending with a letter or digit",
        quoted(text)
    ))
}

/// A DNS name, or `*.` and a DNS name; in lower case afterwards.
///
/// # Errors
/// Anything else: schemes, ports, paths, spaces, line ends, other letters than ASCII.
pub fn host(text: &str) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    let rest = lower.strip_prefix("*.").unwrap_or(&lower);
    let label = |l: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !l.is_empty() && l.len() <= MAX_LABEL_CHARS && !l.starts_with('-') && !l.ends_with('-') && l.bytes().all(inner)
    };
    if rest.len() <= MAX_HOST_CHARS && rest.split('.').all(label) {
        return Ok(lower);
    }
    let hint = if text.contains("://") || text.contains('/') {
        " (without scheme and path)"
    } else if text.contains(':') {
        " (without a port)"
    } else if !text.is_ascii() {
        " (write other letters in punycode, xn--…)"
    } else {
        ""
    };
    Err(format!(
        "{} is not a host; expected a DNS name like \"shop.example.com\" or \"*.example.com\"{hint}",
        quoted(text)
    ))
}

/// A path: begins with `/`, printable ASCII without spaces, `?`, `#`, empty parts and dots as parts.
///
/// # Errors
/// Anything else.
pub fn path(text: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'"' | b'<' | b'>' | b'\\');
    let why = if !text.starts_with('/') {
        "must begin with \"/\""
    } else if text.len() > MAX_PATH_CHARS {
        "is longer than 1024 characters"
    } else if text.contains("//") {
        "must not hold \"//\""
    } else if text.split('/').any(|part| part == ".." || part == ".") {
        "must not hold \".\" or \"..\" as a part"
    } else if !text.bytes().all(allowed) {
        "must be printable ASCII without spaces, ? and #"
    } else {
        return Ok(text.to_owned());
    };
    Err(format!("the path {} {why}", quoted(text)))
}

/// The path of a health check: a path that may carry a query.
///
/// # Errors
/// As [`path`].
pub fn health_path(text: &str) -> Result<String, String> {
    let (before, query) = text.split_once('?').unwrap_or((text, ""));
    path(before)?;
    let allowed = |b: u8| b.is_ascii_graphic() && !matches!(b, b'#' | b'"' | b'<' | b'>' | b'\\');
    if text.len() <= MAX_PATH_CHARS && query.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "the path {} must be at most {MAX_PATH_CHARS} printable ASCII characters without spaces and #",
        quoted(text)
    ))
}

/// A port.
///
/// # Errors
/// Not within 1 to 65535.
pub fn port(number: i64) -> Result<u16, String> {
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    port.ok_or_else(|| format!("{number} is not a port; allowed is 1 to 65535"))
}

/// The name of an environment variable.
///
/// # Errors
/// Empty, too long, or with `=`, control characters or spaces.
pub fn env_name(text: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_graphic() && b != b'=';
    if !text.is_empty() && text.len() <= MAX_ENV_NAME_CHARS && text.bytes().all(allowed) {
        return Ok(());
    }
    Err(format!(
        "{} is not the name of a variable; allowed are 1 to {MAX_ENV_NAME_CHARS} printable ASCII characters without = and spaces",
        quoted(text)
    ))
}

/// An argument of a command. The text itself is never repeated in the error.
///
/// # Errors
/// A reference to a secret, a NUL byte, or too long.
pub fn value(text: &str) -> Result<String, String> {
    if secret::refers(text) {
        let text = "an argument cannot hold a secret: everybody on the host sees it; write it into env, or into secrets \
                    for a file in /run/secrets";
        return Err(text.to_owned());
    }
    env_value(text)
}

/// An argument of a build. The text itself is never repeated in the error.
///
/// # Errors
/// As [`value`].
pub fn build_argument(text: &str) -> Result<String, String> {
    if secret::refers(text) {
        let text = "a build argument stays in the history of the image; write the name of the secret into \
                    dockerfile.secrets, and read it with RUN --mount=type=secret,id=NAME";
        return Err(text.to_owned());
    }
    env_value(text)
}

/// A value of the environment, which may refer to secrets. The text itself is never repeated in the error.
///
/// # Errors
/// A reference that is none, a NUL byte, or too long.
pub fn env_value(text: &str) -> Result<String, String> {
    secret::names(text)?;
    if text.contains('\0') {
        return Err("the value holds a NUL character, which no process can be given".to_owned());
    }
    if text.len() > MAX_VALUE_BYTES {
        return Err(format!("the value has {} bytes; at most {MAX_VALUE_BYTES} are allowed", text.len()));
    }
    Ok(text.to_owned())
}

/// The name of a volume of Docker.
///
/// # Errors
/// Another form.
pub fn volume(text: &str) -> Result<String, String> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if first && text.len() <= MAX_VOLUME_CHARS && text.bytes().all(inner) {
        return Ok(text.to_owned());
    }
    let hint = if text.contains('/') { " (a folder of the host begins with \"/\")" } else { "" };
    Err(format!(
        "{} is not the name of a volume; a name is 1 to {MAX_VOLUME_CHARS} letters, digits, \"_\", \".\" and \"-\", beginning with a letter or digit{hint}",
        quoted(text)
    ))
}

/// A folder of the host that may be mounted at all; whether it may on this host is said by its configuration.
///
/// # Errors
/// Not absolute, with dots, the root, folders of the system, and those that hold sockets of services: Docker's among
/// them would make a workload root.
pub fn folder(text: &str) -> Result<String, String> {
    let path = mounted(text, "the folder")?;
    let why = if path == "/" {
        "is the whole host"
    } else if below(&path, OF_THE_SYSTEM) {
        "belongs to the kernel"
    } else if below(&path, OF_SERVICES) || path.ends_with("/docker.sock") {
        "holds the sockets of services, as that of Docker, with which a workload would be root"
    } else {
        return Ok(path);
    };
    Err(format!("the folder {} {why}; it is never mounted", quoted(text)))
}

/// A path inside a container that something may be mounted on.
///
/// # Errors
/// Not absolute, with dots, the root, and folders of the system.
pub fn target(text: &str) -> Result<String, String> {
    let path = mounted(text, "the target")?;
    if path == "/" || below(&path, OF_THE_SYSTEM) {
        return Err(format!("nothing can be mounted on {} of a container", quoted(text)));
    }
    Ok(path)
}

/// A plain absolute path; a slash at the end is cut off.
fn mounted(text: &str, what: &str) -> Result<String, String> {
    let path = if text.len() > 1 { text.strip_suffix('/').unwrap_or(text) } else { text };
    let why = if !text.starts_with('/') {
        "must be an absolute path, beginning with \"/\""
    } else if text.len() > MAX_MOUNT_CHARS {
        "is longer than 1024 characters"
    } else if text.split('/').any(|part| part == ".." || part == ".") {
        "must not hold \".\" or \"..\" as a part"
    } else if text.contains("//") {
        "must not hold \"//\""
    } else if text.contains(|c: char| c.is_control() || c == ':') {
        "must not hold \":\" or control characters"
    } else {
        return Ok(path.to_owned());
    };
    Err(format!("{what} {} {why}", quoted(text)))
}

/// Whether a path is one of these folders, or lies in one.
fn below(path: &str, folders: &[&str]) -> bool {
    folders.iter().any(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// The strategies of a source.
#[must_use]
pub const fn strategies(kind: SourceKind) -> &'static [&'static str] {
    match kind {
        SourceKind::Image | SourceKind::Dockerfile | SourceKind::Static => STRATEGIES,
        SourceKind::Compose => STRATEGIES_OF_A_STACK,
    }
}

/// A strategy of a source: empty, or one of its words.
///
/// # Errors
/// Any other word: names the source and what is allowed.
pub fn strategy(text: &str, kind: SourceKind) -> Result<String, String> {
    let known = strategies(kind);
    if text.is_empty() || known.contains(&text) {
        return Ok(text.to_owned());
    }
    let (source, default) = (kind.word(), strategy::word(strategy::default_of(kind)));
    let allowed = format!("allowed is {}, or \"\" for its default ({default})", choice(known));
    if STRATEGIES.contains(&text) {
        return Err(format!(
            "{source} cannot be replaced {}: a stack has no one target that could be swapped; {allowed}",
            quoted(text)
        ));
    }
    Err(format!("{} is not a strategy of {source}; {allowed}", quoted(text)))
}

/// The name of a secret.
///
/// # Errors
/// Empty, too long, or other characters than letters, digits, `_`, `-` and `.`.
pub fn secret(text: &str) -> Result<String, String> {
    if secret::is_name(text) {
        return Ok(text.to_owned());
    }
    let hint = if text.starts_with(SECRET) { " (without \"${secret:\" and \"}\")" } else { "" };
    Err(format!("{} is not the name of a secret; allowed are {}{hint}", quoted(text), secret::allowed()))
}

/// One of a few words.
///
/// # Errors
/// Another word: names the nearest, and all.
pub fn word<T: Copy>(text: &str, known: &[(&'static str, T)]) -> Result<T, String> {
    if let Some((_, meaning)) = known.iter().find(|(word, _)| *word == text) {
        return Ok(*meaning);
    }
    let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
    let all = choice(&words);
    Err(match nearest(text, words.iter().copied()) {
        Some(near) => format!("unknown value {}; did you mean \"{near}\"? allowed is {all}", quoted(text)),
        None => format!("unknown value {}; allowed is {all}", quoted(text)),
    })
}

/// A platform, `os/arch` or `os/arch/variant`, or nothing.
///
/// # Errors
/// Another form.
pub fn platform(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let part =
        |p: &&str| !p.is_empty() && p.len() <= 16 && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if text.is_empty() || ((2..=3).contains(&parts.len()) && parts.iter().all(part)) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{} is not a platform; expected \"os/arch\" or \"os/arch/variant\", as in \"linux/amd64\"",
        quoted(text)
    ))
}

/// A repository of a forge, `owner/name`, with more parts where groups are nested.
///
/// # Errors
/// Another form.
pub fn repo(text: &str) -> Result<String, String> {
    let part = |p: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        !p.is_empty() && p != "." && p != ".." && p.bytes().all(inner)
    };
    if text.contains('/') && text.len() <= MAX_PATTERN_CHARS && text.split('/').all(part) {
        return Ok(text.to_owned());
    }
    Err(format!("{} is not a repository; expected \"owner/name\"", quoted(text)))
}

/// A branch or tag, in which `*` matches any run of characters.
///
/// # Errors
/// Empty, too long, with spaces, control characters, or what git does not allow in a reference.
pub fn pattern(text: &str) -> Result<String, String> {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '~' | '^' | ':' | '?' | '[' | '\\');
    if !text.is_empty() && text.chars().count() <= MAX_PATTERN_CHARS && !text.contains(forbidden) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{} is not a branch or tag; expected its name, in which * matches any characters, as in \"main\" or \"v*\"",
        quoted(text)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "shop", "shop-2", "9lives", &"a".repeat(40)] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in ["", "../etc", "-rf", "a-", "A", "a_b", "a.b", "ä", "a b", "a\n", &"a".repeat(41), &"a".repeat(300)]
        {
            assert!(name(bad).is_err_and(|text| text.contains("name")), "{bad}");
        }
    }

    #[test]
    fn hosts() {
        for (text, lower) in [
            ("Shop.Example.com", "shop.example.com"),
            ("*.example.com", "*.example.com"),
            ("localhost", "localhost"),
            ("10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(host(text).as_deref(), Ok(lower));
        }
        for bad in [
            "",
            "*",
            "*.",
            "a b",
            "a\r\nb",
            "a..b",
            "-a.b",
            "http://a",
            "a/b",
            "a:80",
            "ä.de",
            "a.",
            "*.*.a",
            "a.*.b",
            &"a".repeat(64),
            &"a.".repeat(150),
        ] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths() {
        for good in ["/", "/api", "/api/v1/", "/~a/%20"] {
            assert_eq!(path(good).as_deref(), Ok(good));
        }
        for bad in
            ["", "api", "/a//b", "/a/../b", "/..", "/.", "/a b", "/a\r\n", "/a?b", "/a#b", "/ä", &"/a".repeat(600)]
        {
            assert!(path(bad).is_err(), "{bad}");
        }
        assert!(health_path("/healthz?deep=1").is_ok());
        assert!(health_path("/healthz?a b").is_err() && health_path("healthz").is_err());
    }

    #[test]
    fn ports() {
        for bad in [0, -1, 65_536, 70_000, i64::MAX, i64::MIN] {
            assert!(port(bad).is_err_and(|text| text.contains("65535")));
        }
        assert_eq!((port(1), port(65_535)), (Ok(1), Ok(65_535)));
    }

    #[test]
    fn strategies_are_named_in_every_refusal() {
        for kind in SourceKind::ALL {
            for bad in ["recreat", "bluegreen", "Blue-Green", "rolling", " "] {
                let text = strategy(bad, kind).expect_err(bad);
                assert!(text.contains(kind.word()), "{text}");
                assert!(strategies(kind).iter().all(|word| text.contains(&format!("\"{word}\""))), "{text}");
            }
            for good in ["", "recreate"] {
                assert_eq!(strategy(good, kind).as_deref(), Ok(good));
            }
            assert_eq!(strategy("blue-green", kind).is_ok(), kind != SourceKind::Compose);
        }
        let stack = strategy("blue-green", SourceKind::Compose).unwrap_err();
        assert!(stack.contains("no one target that could be swapped"), "{stack}");
    }

    #[test]
    fn names_of_secrets() {
        for good in ["a", "db_password", "_x", "REGISTRY.token-1", &"a".repeat(64)] {
            assert_eq!(secret(good).as_deref(), Ok(good));
        }
        for bad in ["", "-rf", ".a", "../a", "a b", "a/b", "ä", "${secret:a}", &"a".repeat(65)] {
            assert!(secret(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn volumes_folders_and_targets() {
        for good in ["a", "pgdata", "A_b.c-9", "0", &"a".repeat(128)] {
            assert_eq!(volume(good).as_deref(), Ok(good));
        }
        for bad in ["", ".a", "-rf", "_a", "a/b", "a b", "ä", "a:b", "../x", "a\n", &"a".repeat(129)] {
            assert!(volume(bad).is_err(), "{bad}");
        }
        for good in ["/srv/data", "/srv/data/", "/procs", "/runs/x", "/srv/a b"] {
            assert_eq!(folder(good).as_deref(), Ok(good.trim_end_matches('/')));
        }
        let sockets = ["/run", "/var/run", "/run/docker.sock", "/var/run/docker.sock", "/srv/docker.sock"];
        for bad in ["", "/", "srv", "./a", "/a/../b", "/a//b", "/a/.", "/a\nb", "/proc/1", "/sys", "/dev"] {
            assert!(folder(bad).is_err(), "{bad}");
        }
        for bad in sockets {
            assert!(folder(bad).is_err_and(|text| text.contains("Docker")), "{bad}");
        }
        for good in ["/data", "/run/postgresql", "/var/run/x"] {
            assert_eq!(target(good).as_deref(), Ok(good));
        }
        for bad in ["", "/", "data", "/proc", "/sys/fs", "/dev/shm", "/a/..", "/../a", "//a"] {
            assert!(target(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn words_are_chosen_from() {
        let known = [("missing", 1), ("always", 2)];
        assert_eq!(word("always", &known), Ok(2));
        assert_eq!(
            word("allways", &known),
            Err("unknown value \"allways\"; did you mean \"always\"? allowed is \"missing\" or \"always\"".to_owned())
        );
        assert_eq!(word("zzz", &known), Err("unknown value \"zzz\"; allowed is \"missing\" or \"always\"".to_owned()));
    }

    #[test]
    fn values_are_never_repeated() {
        let bad = value("hunter2 ${secret:db}").unwrap_err();
        assert!(bad.contains("secrets") && !bad.contains("hunter2"));
        let bad = build_argument("hunter2 ${secret:db}").unwrap_err();
        assert!(bad.contains("dockerfile.secrets") && !bad.contains("hunter2"));
        assert!(env_value("a ${secret:db} b").is_ok());
        let bad = env_value("hunter2 ${secret:d b}").unwrap_err();
        assert!(bad.contains("name of a secret") && !bad.contains("hunter2"), "{bad}");
        assert!(value("a\0b").is_err() && value(&"x".repeat(MAX_VALUE_BYTES + 1)).is_err());
    }

    #[test]
    fn repositories_and_patterns() {
        assert!(repo("acme/shop").is_ok() && repo("a/b/c").is_ok());
        for bad in ["", "shop", "a//b", "../b", "a b/c", "/a", "a/"] {
            assert!(repo(bad).is_err(), "{bad}");
        }
        assert!(pattern("feature/*").is_ok() && pattern("v*").is_ok());
        for bad in ["", "a b", "a\nb", "a~b", "a:b"] {
            assert!(pattern(bad).is_err(), "{bad}");
        }
        assert!(platform("linux/arm/v7").is_ok() && platform("").is_ok() && platform("linux").is_err());
    }
}
