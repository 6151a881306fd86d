//! The logins that `docker login` has kept on a person's machine: in Docker's `config.json`, or with the helpers that are named
//! there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::source::read_file;
use crate::adapters::runtime::Login;
use crate::cli::exit::{Exit, Failure};

/// Bytes of Docker's file: logins of hundreds of registries.
const MAX_FILE_BYTES: usize = 1 << 20;
/// Bytes that a helper may print: a list of hundreds of registries.
const MAX_PRINTED: usize = 1 << 20;
/// How long a helper may take: it may ask its person to open a key ring.
const LIMIT: Duration = Duration::from_secs(120);
/// Docker Hub, as it stands in references.
const HUB: &str = "docker.io";
/// Docker Hub, as logins name it.
const HUB_HOSTS: [&str; 3] = ["index.docker.io", "registry-1.docker.io", HUB];
/// Ends of what is kept of Docker Hub beside its login.
const BESIDE: [&str; 2] = ["/access-token", "/refresh-token"];
/// What a helper says of a registry that it has nothing of.
const NOT_KEPT: &str = "credentials not found";

/// Docker's file, as far as logins are in it.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Config {
    auths: BTreeMap<String, Auth>,
    #[serde(rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(rename = "credsStore")]
    store: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    auth: String,
    identitytoken: String,
}

/// A login for a registry.
pub(in crate::cli) struct Found {
    /// The registry, as it stands in references.
    pub(in crate::cli) registry: String,
    /// Where it was kept, for a person.
    pub(in crate::cli) from: String,
    /// As a secret of `image.credentials`.
    pub(in crate::cli) value: Zeroizing<Vec<u8>>,
}

impl Found {
    /// The name of its secret, always the same for a registry.
    pub(in crate::cli) fn name(&self) -> String {
        format!("registry-{}", self.registry.replace(':', "_"))
    }
}

/// Where Docker's command keeps its file.
pub(in crate::cli) fn file() -> Result<PathBuf, Failure> {
    let own = std::env::var_os("DOCKER_CONFIG").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let own = own.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")));
    let own = own.ok_or_else(|| Failure::usage("neither DOCKER_CONFIG nor HOME says where Docker's config.json is"))?;
    Ok(own.join("config.json"))
}

/// Which registries are wanted, and where lines for a person go.
type Asking<'a> = (&'a dyn Fn(&str) -> bool, &'a dyn Fn(&str));

/// Every login that is wanted, by registry. Of a registry that is named and has none, a line is told.
///
/// # Errors
/// The file cannot be read, or a helper fails.
pub(in crate::cli) async fn logins(path: &Path, (wanted, tell): Asking<'_>) -> Result<Vec<Found>, Failure> {
    let bytes = read_file(path, MAX_FILE_BYTES)?;
    // What cannot be read is not repeated: it may be a value.
    let config: Config = serde_json::from_slice(&bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Failure::new(Exit::Refused, format!("{}: not the config.json of Docker ({place})", path.display()))
    })?;
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    for (address, helper) in addresses(&config).await? {
        let registry = registry(&address);
        if found.contains_key(&registry) || !wanted(&registry) {
            continue;
        }
        let own = config.auths.get(&address).and_then(Auth::value);
        let (value, from) = match &helper {
            Some(helper) => match asked(helper, &address).await? {
                Some(value) => (Some(value), format!("docker-credential-{helper}")),
                None => (own, path.display().to_string()),
            },
            None => (own, path.display().to_string()),
        };
        let Some(value) = value.filter(|value| Login::read(&registry, value).is_ok()) else {
            tell(&format!("{registry}: named, but no login is kept for it: `docker login {registry}` makes one"));
            continue;
        };
        found.insert(registry.clone(), Found { registry, from, value });
    }
    Ok(found.into_values().collect())
}

/// The addresses that the file and its helpers name, and who is asked for each.
async fn addresses(config: &Config) -> Result<BTreeMap<String, Option<String>>, Failure> {
    let store = Some(config.store.clone()).filter(|store| !store.is_empty());
    let mut all: BTreeMap<String, Option<String>> =
        config.auths.keys().map(|address| (address.clone(), store.clone())).collect();
    if let Some(store) = &store {
        let list = run(store, "list", "").await?.map_err(|said| failed(store, &said))?;
        let list: BTreeMap<String, Value> =
            serde_json::from_slice(&list).map_err(|_| failed(store, "its list is not JSON"))?;
        let kept = list.into_keys().filter(|address| !BESIDE.iter().any(|end| address.ends_with(end)));
        all.extend(kept.map(|address| (address, Some(store.clone()))));
    }
    all.extend(config.helpers.iter().map(|(address, helper)| (address.clone(), Some(helper.clone()))));
    Ok(all)
}

impl Auth {
    /// As `image.credentials` takes it; `None` when there is nothing in it, as beside a helper.
    fn value(&self) -> Option<Zeroizing<Vec<u8>>> {
        let text = match (self.identitytoken.is_empty(), self.auth.is_empty()) {
            (false, _) => json!({ "identitytoken": self.identitytoken }).to_string(),
            (true, false) => json!({ "auth": self.auth }).to_string(),
            (true, true) => return None,
        };
        Some(Zeroizing::new(text.into_bytes()))
    }
}

/// The registry of an address, as it stands in references: `https://index.docker.io/v1/` is Docker Hub.
fn registry(address: &str) -> String {
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host).to_ascii_lowercase();
    if HUB_HOSTS.contains(&host.as_str()) { HUB.to_owned() } else { host }
}

/// What a helper has for an address; `None` when it has nothing.
async fn asked(helper: &str, address: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    match run(helper, "get", address).await? {
        Ok(value) => Ok(Some(value)),
        Err(said) if said.contains(NOT_KEPT) => Ok(None),
        Err(said) => Err(failed(helper, &format!("{address}: {said}"))),
    }
}

fn failed(helper: &str, why: &str) -> Failure {
    let text =
        format!("docker-credential-{helper} failed ({why}): nothing is changed; --only REGISTRY leaves others out");
    Failure::new(Exit::Other, text)
}

/// Runs a helper by Docker's own protocol: an address on its input, JSON on its output, or what is wrong.
/// <https://github.com/docker/docker-credential-helpers#development>
async fn run(helper: &str, verb: &str, input: &str) -> Result<Result<Zeroizing<Vec<u8>>, String>, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if helper.is_empty() || !helper.chars().all(plain) {
        return Err(Failure::new(
            Exit::Refused,
            "the config.json of Docker names a helper by other than letters and digits",
        ));
    }
    let program = format!("docker-credential-{helper}");
    let not_begun = |error| {
        let text =
            format!("{program} cannot be started ({error}): it is named in Docker's config.json, and must be in PATH");
        Failure::new(Exit::Other, text)
    };
    let mut command = Command::new(&program);
    command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    let mut child = command.spawn().map_err(not_begun)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let work = async {
        if let Some(mut stdin) = stdin {
            // One that reads nothing is no failure yet.
            drop(stdin.write_all(input.as_bytes()).await);
        }
        let mut printed = Zeroizing::new(Vec::with_capacity(MAX_PRINTED.min(4096)));
        if let Some(stdout) = stdout {
            stdout.take(MAX_PRINTED as u64).read_to_end(&mut printed).await?;
        }
        Ok::<_, std::io::Error>((printed, child.wait().await?))
    };
    let done = tokio::time::timeout(LIMIT, work).await;
    let done = done.map_err(|_| failed(helper, &format!("it has not ended within {} s", LIMIT.as_secs())))?;
    let (printed, status) = done.map_err(|error| failed(helper, &error.to_string()))?;
    if status.success() {
        return Ok(Ok(printed));
    }
    // Of a failure it prints one line, which is no value.
    let said: String = String::from_utf8_lossy(&printed).split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(Err(if said.is_empty() { status.to_string() } else { said.chars().take(200).collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_named_as_in_references() {
        for (address, named) in [
            ("https://index.docker.io/v1/", "docker.io"),
            ("docker.io", "docker.io"),
            ("ghcr.io", "ghcr.io"),
            ("https://GHCR.io/v2/", "ghcr.io"),
            ("http://10.0.0.5:5000", "10.0.0.5:5000"),
        ] {
            assert_eq!(registry(address), named, "{address}");
        }
        let found =
            |registry: &str| Found { registry: registry.into(), from: String::new(), value: Zeroizing::default() };
        assert_eq!(found("10.0.0.5:5000").name(), "registry-10.0.0.5_5000");
        assert!(crate::api::request::secret_name("shop", &found("registry.example.com:5000").name()).is_ok());
    }

    #[tokio::test]
    async fn what_is_in_the_file_is_taken_in_each_form() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let text = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "YW5uYTpwYXNz"}, "ghcr.io": {"identitytoken": "t0ken"},
            "empty.example.com": {}, "bad.example.com": {"auth": "aHVudGVyMg=="}}, "HttpHeaders": {"a": "b"}}"#;
        std::fs::write(&path, text).unwrap();
        let told = parking_lot::Mutex::new(Vec::new());
        let tell = |text: &str| told.lock().push(text.to_owned());
        let found = logins(&path, (&|registry| registry != "other", &tell)).await.unwrap();
        let names: Vec<_> = found.iter().map(Found::name).collect();
        assert_eq!(names, ["registry-docker.io", "registry-ghcr.io"]);
        assert_eq!(**found[0].value, *br#"{"auth":"YW5uYTpwYXNz"}"#);
        let told = told.into_inner();
        assert!(told.len() == 2 && told.iter().all(|line| line.contains("docker login") && !line.contains("hunter2")));
    }

    #[tokio::test]
    async fn what_is_no_file_of_docker_is_named_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let why = async |text: &str| {
            std::fs::write(&path, text).unwrap();
            logins(&path, (&|_| true, &|_| ())).await.err().map(|failure| failure.line()).unwrap_or_default()
        };
        assert!(why("{\"auths\": \"hunter2\"}").await.contains("not the config.json of Docker"));
        assert!(!why("{\"auths\": \"hunter2\"}").await.contains("hunter2"));
        assert!(why("{\"credsStore\": \"../../bin/sh\"}").await.contains("other than letters"));
        assert!(why("{\"credsStore\": \"no-such-helper\"}").await.contains("cannot be started"));
        assert!(logins(Path::new("/nowhere/config.json"), (&|_| true, &|_| ())).await.is_err());
    }
}
