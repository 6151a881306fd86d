//! Values of the command line, each checked before anything is asked.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use cutover_domain::file::quantity;
use cutover_events::kind::CATALOGUE;
use cutover_events::{BadId, DeploymentId, TokenId};

use super::exit::{Exit, Failure};
use crate::api::request::{check_key, freeze_reason, hook_name, workload_name};

/// The longest that anybody waits: a day.
const MAX_TIMEOUT_MS: u64 = 24 * 60 * 60 * 1000;
/// Bytes of a secret or token file: far above what senders take.
const MAX_SECRET_BYTES: u64 = 4 * 1024;
/// Digits of the hash of a plan: those of a SHA-256.
const MAX_HASH_DIGITS: usize = 64;
/// Characters of the name of a process or service: what a label of the domain name system takes, and Compose with it.
const MAX_PART_CHARS: usize = 63;
/// Characters of the name of a header.
const MAX_HEADER_CHARS: usize = 64;

/// The name of a project.
pub(super) fn project(text: &str) -> Result<String, String> {
    cutover_domain::file::check::name(text)
}

/// The name of a process, or of a service as compose files have them.
pub(super) fn part(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if (1..=MAX_PART_CHARS).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err(format!("not the name of a process or service: 1 to {MAX_PART_CHARS} letters, digits, \"_\", \".\" and \"-\""))
}

pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    quantity::duration_within(text, 1, MAX_TIMEOUT_MS).map(Duration::from_millis)
}

pub(super) fn key(text: &str) -> Result<String, String> {
    check_key(text).map(|()| text.to_owned())
}

pub(super) fn reason(text: &str) -> Result<String, String> {
    freeze_reason(text)
}

pub(super) fn deployment(text: &str) -> Result<String, String> {
    text.parse::<DeploymentId>().map(|id| id.to_string()).map_err(|e: BadId| e.to_string())
}

pub(super) fn token(text: &str) -> Result<String, String> {
    text.parse::<TokenId>().map(|id| id.to_string()).map_err(|e: BadId| e.to_string())
}

pub(super) fn rollback_to(text: &str) -> Result<String, String> {
    crate::api::request::rollback_to(Some(text)).map(|_| text.to_owned())
}

pub(super) fn version(text: &str) -> Result<String, String> {
    crate::api::request::version_name(text)
}

/// The hash of a plan, as `cutover plan NAME` prints it.
pub(super) fn plan(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > MAX_HASH_DIGITS || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("not the hash of a plan: `cutover plan NAME` prints one".into());
    }
    Ok(text.to_ascii_lowercase())
}

pub(super) fn kind(text: &str) -> Result<String, String> {
    if CATALOGUE.iter().any(|kind| kind.name == text) {
        return Ok(text.to_owned());
    }
    let near = cutover_domain::file::strict::nearest(text, CATALOGUE.iter().map(|kind| kind.name));
    let hint = near.map_or_else(|| "see events/README.md".to_owned(), |near| format!("did you mean {near}?"));
    Err(format!("no such kind of event; {hint}"))
}

pub(super) fn header(text: &str) -> Result<String, String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || text.len() > MAX_HEADER_CHARS || !text.bytes().all(token) {
        return Err(format!("not the name of a header: 1 to {MAX_HEADER_CHARS} letters, digits and hyphens"));
    }
    Ok(text.to_ascii_lowercase())
}

/// The name of a workload as a part of a path.
///
/// # Errors
/// It is not well formed: exit code 15.
pub(super) fn workload(text: &str) -> Result<String, Failure> {
    workload_name(text).map_err(|text| Failure::new(Exit::Refused, text))?;
    Ok(text.replace('/', "%2F"))
}

/// The name or id of a hook.
///
/// # Errors
/// It is not well formed: exit code 15.
pub(super) fn hook(text: &str) -> Result<String, Failure> {
    hook_name(text).map(|name| name.0).map_err(|text| Failure::new(Exit::Refused, text))
}

/// A name for a hook or token.
///
/// # Errors
/// It is not well formed: exit code 15.
pub(super) fn plain_name(text: &str) -> Result<String, Failure> {
    let shown: String = text.chars().take(80).collect();
    cutover_domain::file::check::name(text)
        .map_err(|why| Failure::new(Exit::Refused, format!("\"{shown}\" is not a name: {why}")))
}

/// An image reference without placeholders.
///
/// # Errors
/// It is not well formed: exit code 15.
pub(super) fn image(text: &str) -> Result<String, Failure> {
    let checked = cutover_domain::reference::Reference::parse(text);
    checked.map(|_| text.to_owned()).map_err(|e| Failure::new(Exit::Refused, format!("--image: {e}")))
}

/// The content of a file that holds one secret, without the line end; `-` is stdin.
///
/// # Errors
/// It cannot be read, is empty, too large or no text: exit code 2.
pub(super) fn secret_file(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let read = |reader: &mut dyn Read| {
        let mut text = String::new();
        reader.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text).map(|_| text)
    };
    let text = if path.as_os_str() == "-" {
        read(&mut std::io::stdin().lock())
    } else {
        std::fs::File::open(path).and_then(|mut file| read(&mut file))
    };
    let text = text.map_err(|e| Failure::usage(format!("{shown}: the file cannot be read: {e}")))?;
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() || secret.len() as u64 > MAX_SECRET_BYTES || secret.contains(['\n', '\r', '\0']) {
        let text = format!("{shown}: expected one line of 1 to {MAX_SECRET_BYTES} bytes");
        return Err(Failure::usage(text));
    }
    Ok(secret.to_owned())
}
