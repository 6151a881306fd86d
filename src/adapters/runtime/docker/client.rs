//! The connection to Docker: a deadline around every call, and what an error means.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use futures_util::Future;
use parking_lot::Mutex;
use tokio::time::timeout;

use super::RuntimeError;

/// A healthy daemon answers in under a millisecond, on a busy host in tens; 2 s means that it hangs.
const PING: Duration = Duration::from_secs(2);
/// `info` walks over all containers and drivers.
const INFO: Duration = Duration::from_secs(10);
/// The library's own limit until the first byte of an answer, s: above every deadline of ours, which decide.
const LIBRARY_TIMEOUT: u64 = 24 * 60 * 60;
/// Longest text of Docker that goes into an error, characters: it ends up in one line for a person.
const TEXT: usize = 300;

/// What a daemon says with status 500 that it would say again: the request is at fault, not the moment.
const LASTING: [&str; 7] = [
    "oci runtime",
    "unable to find user",
    "port is already allocated",
    "address already in use",
    "failed to initialize logging driver",
    "executable file not found",
    "no such file or directory",
];

/// A client that connects when it is first needed, and again whenever it must.
#[derive(Clone, Debug)]
pub(super) struct Client {
    socket: PathBuf,
    made: Arc<Mutex<Option<bollard::Docker>>>,
}

impl Client {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket, made: Arc::default() }
    }

    /// The library's handle; it connects anew with each request.
    pub(super) fn docker(&self) -> Result<bollard::Docker, RuntimeError> {
        let mut made = self.made.lock();
        if let Some(docker) = &*made {
            return Ok(docker.clone());
        }
        let path = self.socket.to_string_lossy();
        let docker = bollard::Docker::connect_with_unix(&path, LIBRARY_TIMEOUT, bollard::API_DEFAULT_VERSION);
        let docker = docker.map_err(|_| {
            RuntimeError::Unavailable(format!("there is no socket at {path}; start Docker (systemctl start docker)"))
        })?;
        *made = Some(docker.clone());
        Ok(docker)
    }

    /// Whether the daemon answers now. A hung one takes connections and never does.
    pub(super) async fn ping(&self) -> Result<(), RuntimeError> {
        let docker = self.docker()?;
        within("ping", PING, docker.ping()).await?.map_err(unavailable("ping"))?;
        Ok(())
    }

    pub(super) async fn daemon(&self) -> Result<String, RuntimeError> {
        self.ping().await?;
        let docker = self.docker()?;
        let info = within("info", INFO, docker.info()).await?.map_err(unavailable("info"))?;
        info.id.filter(|id| !id.is_empty()).ok_or_else(|| RuntimeError::Unavailable("it has no id".to_owned()))
    }
}

/// The outcome of a call, or `Unavailable` when the deadline passes first: whether the call happened is unknown then.
pub(super) async fn within<T>(
    call: &str,
    deadline: Duration,
    future: impl Future<Output = T>,
) -> Result<T, RuntimeError> {
    timeout(deadline, future)
        .await
        .map_err(|_| RuntimeError::Unavailable(format!("{call} was not answered within {} s", deadline.as_secs())))
}

/// The status of an answer that is an error.
pub(super) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// What Docker says, in one line of bounded length.
pub(super) fn text(error: &Error) -> String {
    bounded(&whole_text(error))
}

/// What Docker says, all of it.
pub(super) fn whole_text(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        other => other.to_string(),
    }
}

/// A text in one line of bounded length.
pub(super) fn bounded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TEXT).collect()
}

/// For calls that cannot be refused for good.
pub(super) fn unavailable(call: &str) -> impl Fn(Error) -> RuntimeError {
    move |error| RuntimeError::Unavailable(format!("{call}: {}", text(&error)))
}

/// What an error means, where the call itself does not know better.
pub(super) fn classify(call: &str) -> impl Fn(Error) -> RuntimeError {
    move |error| {
        let said = text(&error);
        let lasting = || LASTING.iter().any(|known| said.to_ascii_lowercase().contains(known));
        match status(&error) {
            Some(404) => RuntimeError::NotFound(said),
            Some(400..=499) => RuntimeError::Refused(format!("Docker refused to {call}: {said}")),
            Some(500) if lasting() => RuntimeError::Refused(format!("Docker could not {call}: {said}")),
            _ => RuntimeError::Unavailable(format!("{call}: {said}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status_code: u16, message: &str) -> Error {
        Error::DockerResponseServerError { status_code, message: message.to_owned() }
    }

    #[test]
    fn a_refusal_is_told_from_a_bad_moment() {
        let class = |status, message| classify("start")(error(status, message));
        assert!(matches!(class(404, "no such container"), RuntimeError::NotFound(_)));
        assert!(matches!(class(403, "Address already in use"), RuntimeError::Refused(_)));
        assert!(matches!(class(500, "OCI runtime create failed: x"), RuntimeError::Refused(_)));
        assert!(matches!(class(500, "no space left on device"), RuntimeError::Unavailable(_)));
        assert!(matches!(class(503, "busy"), RuntimeError::Unavailable(_)));
    }

    #[test]
    fn what_docker_says_is_one_bounded_line() {
        let long = format!("a\n  b {}", "x".repeat(1000));
        let said = text(&error(500, &long));
        assert!(said.starts_with("a b x") && said.chars().count() == TEXT);
    }
}
