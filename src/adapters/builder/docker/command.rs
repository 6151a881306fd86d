//! A command that makes files, in a container of its own: the files that it is given are copied in, what it has made is
//! copied out, and nothing of the host is mounted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cutover_domain::recipe::{SITE_FOLDER, shown};
use cutover_events::LogId;
use futures_util::TryStreamExt;
use http::Method;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::call::chunk;
use super::http::{Answer, Sent, nothing, request};
use super::images::path;
use super::steps::{End, Steps};
use super::{Build, BuildCommand, BuildError, DockerBuilder, Progress, labels};
use crate::adapters::source::context::{ContextLimits, unpack};
use crate::clock::Clock;

/// What a command may use, bytes: twice what the largest bundlers ask for, and less than what takes a host down.
const MEMORY: u64 = 4 << 30;
/// Processes and threads of a command: a bundler has hundreds, and what forks without end has more.
const PIDS: u64 = 4_096;
/// Largest piece of output, bytes: Docker sends at most 32 KiB at once.
const MAX_PIECE: usize = 16 << 20;
/// What stands before each piece: which stream it is of, three zeros, its length.
const HEAD: usize = 8;
/// What the names of containers begin with.
const NAMES: &str = "cutover-build-";
/// Exit code of what the kernel has killed (128 + SIGKILL).
const KILLED: i64 = 137;

/// The containers that commands of this process run in: every other one is left by a process before.
#[derive(Clone, Debug, Default)]
pub(super) struct Running(Arc<Mutex<BTreeSet<String>>>);

/// One of them; it counts as left when this goes.
struct Name {
    text: String,
    all: Running,
}

impl Running {
    fn named(&self) -> Name {
        let text = format!("{NAMES}{}", Clock::system().ulid().to_string().to_lowercase());
        self.0.lock().insert(text.clone());
        Name { text, all: self.clone() }
    }

    fn has(&self, name: &str) -> bool {
        self.0.lock().contains(name)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.all.0.lock().remove(&self.text);
    }
}

impl DockerBuilder {
    /// Runs the command of a build; what it has made is below `into` then. Its container is gone however it ends.
    pub(super) async fn run_command(
        &self,
        (build, command): (&Build, &BuildCommand),
        into: &Path,
        (progress, stop): (&mpsc::Sender<Progress>, &CancellationToken),
    ) -> Result<PathBuf, BuildError> {
        let name = self.running.named();
        let work = async {
            self.create(&name.text, build, command).await?;
            self.work((&name.text, command), build, progress).await?;
            self.copy_out(&name.text, command, into).await
        };
        let made = tokio::select! {
            biased;
            () = stop.cancelled() => Err(BuildError::Cancelled),
            made = timeout(build.deadline, work) => made.unwrap_or(Err(BuildError::Late(build.deadline))),
        };
        if let Err(error) = self.remove_container(&name.text).await {
            tracing::warn!(%error, container = name.text, "the container of a command stays for now; trying again");
        }
        made
    }

    async fn create(&self, name: &str, build: &Build, command: &BuildCommand) -> Result<(), BuildError> {
        let (program, arguments) = command
            .command
            .split_first()
            .ok_or_else(|| BuildError::Refused("the command that makes the files is empty".to_owned()))?;
        let env: Vec<String> = build.args.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let body = json!({
            "Image": command.image,
            // Whoever the image names may not write into what is copied in.
            "User": "0:0",
            "Entrypoint": [program],
            "Cmd": arguments,
            "WorkingDir": SITE_FOLDER,
            "Env": env,
            "Labels": {
                labels::COMMAND: build.log.to_string(),
                labels::WORKLOAD: build.workload.to_string(),
            },
            "HostConfig": {
                "Memory": MEMORY,
                "PidsLimit": PIDS,
                "Init": true,
                "LogConfig": { "Type": "none" },
                "SecurityOpt": ["no-new-privileges"],
            },
        });
        match self.daemon.tell(&path("/containers/create", &[("name", name)]), &body).await? {
            Some(_) => Ok(()),
            None => Err(BuildError::Unavailable(format!("the image {} has gone meanwhile", command.reference))),
        }
    }

    /// Copies the files in, and has the command run on them.
    async fn work(
        &self,
        (name, command): (&str, &BuildCommand),
        build: &Build,
        progress: &mpsc::Sender<Progress>,
    ) -> Result<(), BuildError> {
        let frames = build.context()?.stream().map_ok(Frame::data);
        let body: Sent = StreamBody::new(frames).boxed_unsync();
        let into = path(&format!("/containers/{name}/archive"), &[("path", "/")]);
        drop(self.daemon.stream(request(Method::PUT, &into, &[], body)?).await?);
        let attach = [("stream", "1"), ("stdout", "1"), ("stderr", "1")];
        let attach = path(&format!("/containers/{name}/attach"), &attach);
        let output = self.daemon.stream(request(Method::POST, &attach, &[], nothing())?).await?;
        let mut steps = Steps::default();
        let step = steps.begin(&format!("{} (in {})", shown(&command.command), command.reference));
        tell(&mut steps, progress).await;
        let started = self.daemon.ask(Method::POST, &format!("/containers/{name}/start")).await?;
        started.ok_or_else(|| BuildError::Unavailable("the container of the command is gone".to_owned()))?;
        let mut pieces = Pieces { answer: output, held: Vec::new() };
        while let Some(piece) = pieces.next().await? {
            steps.output(step, &piece);
            tell(&mut steps, progress).await;
        }
        let failed = self.ended_with(name).await?;
        steps.end(step, failed.as_deref().map_or(End::Done, End::Failed));
        tell(&mut steps, progress).await;
        steps.error().map_or(Ok(()), Err)
    }

    /// Why the command failed; `None`: it did not.
    async fn ended_with(&self, name: &str) -> Result<Option<String>, BuildError> {
        let gone = || BuildError::Unavailable("somebody has removed the container of the command".to_owned());
        let ended = self.daemon.ask(Method::POST, &format!("/containers/{name}/wait")).await?.ok_or_else(gone)?;
        let code = ended["StatusCode"].as_i64().unwrap_or(-1);
        if code == 0 {
            return Ok(None);
        }
        let found = self.daemon.ask(Method::GET, &format!("/containers/{name}/json")).await?.ok_or_else(gone)?;
        let memory = code == KILLED && found["State"]["OOMKilled"] == true;
        let why = if memory { format!(": it used more than {} GiB of memory", MEMORY >> 30) } else { String::new() };
        Ok(Some(format!("exit code: {code}{why}")))
    }

    /// Unpacks what is in the folder of the command; gives that folder.
    async fn copy_out(&self, name: &str, command: &BuildCommand, into: &Path) -> Result<PathBuf, BuildError> {
        let place = Path::new(SITE_FOLDER).join(&command.output);
        let place: PathBuf = place.components().collect();
        let missing = || BuildError::Refused(format!("the command has made no folder {}", command.output));
        let from = path(&format!("/containers/{name}/archive"), &[("path", &place.to_string_lossy())]);
        let answer = self.daemon.stream(request(Method::GET, &from, &[], nothing())?).await;
        let mut answer = answer.map_err(|error| match error {
            BuildError::Refused(_) => missing(),
            other => other,
        })?;
        let (archive, files) = (into.join("output.tar"), into.join("output"));
        let limits = ContextLimits::default();
        let unwritable = |error: std::io::Error| BuildError::Unavailable(format!("{}: {error}", into.display()));
        tokio::fs::create_dir(&files).await.map_err(unwritable)?;
        let mut file = tokio::fs::File::create(&archive).await.map_err(unwritable)?;
        let mut length = 0;
        while let Some(bytes) = chunk(answer.response.body_mut()).await? {
            length += bytes.len() as u64;
            if length > limits.bytes {
                let text = format!("{} holds more than {} bytes", command.output, limits.bytes);
                return Err(BuildError::Refused(text));
            }
            file.write_all(&bytes).await.map_err(unwritable)?;
        }
        file.flush().await.map_err(unwritable)?;
        drop(file);
        let folder = files.join(place.file_name().unwrap_or_default());
        let unpacking = move || {
            let archive = std::fs::File::open(archive).map_err(|error| error.to_string())?;
            unpack(archive, &files, limits).map_err(|error| error.to_string())
        };
        let unpacked = tokio::task::spawn_blocking(unpacking).await;
        let unpacked = unpacked.unwrap_or_else(|error| Err(error.to_string()));
        unpacked.map_err(|why| BuildError::Refused(format!("{} cannot be served: {why}", command.output)))?;
        // A link in its place is no folder of its own.
        let real = std::fs::symlink_metadata(&folder).is_ok_and(|meta| meta.is_dir());
        if real { Ok(folder) } else { Err(missing()) }
    }

    async fn remove_container(&self, name: &str) -> Result<(), BuildError> {
        self.daemon.ask(Method::DELETE, &path(&format!("/containers/{name}"), &[("force", "1"), ("v", "1")])).await?;
        Ok(())
    }

    /// Removes the containers of commands that no process of ours waits for.
    pub(super) async fn remove_left(&self, log: LogId) -> Result<u64, BuildError> {
        let own = format!("{}={log}", labels::COMMAND);
        let listing = path("/containers/json", &[("all", "1"), ("filters", &json!({ "label": [own] }).to_string())]);
        let Some(Value::Array(all)) = self.daemon.ask(Method::GET, &listing).await? else {
            return Err(BuildError::Unavailable("it gives no list of containers".to_owned()));
        };
        let names = all.iter().filter_map(|container| container["Names"][0].as_str());
        let names = names.map(|name| name.trim_start_matches('/')).filter(|name| name.starts_with(NAMES));
        let mut gone = 0;
        for name in names.filter(|name| !self.running.has(name)) {
            self.remove_container(name).await?;
            gone += 1;
        }
        Ok(gone)
    }
}

/// Nobody has to listen.
async fn tell(steps: &mut Steps, progress: &mpsc::Sender<Progress>) {
    for told in steps.told() {
        progress.send(told).await.ok();
    }
}

/// What a command prints, as Docker sends it: both of its streams in one.
struct Pieces {
    answer: Answer,
    held: Vec<u8>,
}

impl Pieces {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, BuildError> {
        loop {
            if let Some(piece) = piece(&mut self.held)? {
                return Ok(Some(piece));
            }
            let Some(bytes) = chunk(self.answer.response.body_mut()).await? else { return Ok(None) };
            self.held.extend_from_slice(&bytes);
        }
    }
}

/// The first whole piece of what is held.
fn piece(held: &mut Vec<u8>) -> Result<Option<Vec<u8>>, BuildError> {
    let Some(&[_, _, _, _, a, b, c, d]) = held.first_chunk::<HEAD>() else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > MAX_PIECE {
        return Err(BuildError::Unavailable(format!("it sends more than {MAX_PIECE} bytes of output at once")));
    }
    if held.len() < HEAD + length {
        return Ok(None);
    }
    let rest = held.split_off(HEAD + length);
    let mut whole = std::mem::replace(held, rest);
    Ok(Some(whole.split_off(HEAD)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_taken_in_whole_pieces() {
        let mut held = vec![1, 0, 0, 0, 0, 0, 0, 2, b'h'];
        assert_eq!(piece(&mut held), Ok(None));
        held.extend([b'i', 2, 0, 0]);
        assert_eq!(piece(&mut held), Ok(Some(b"hi".to_vec())));
        assert_eq!(held, [2, 0, 0]);
        assert_eq!(piece(&mut held), Ok(None));
        held.extend([0, 255, 0, 0, 0]);
        assert!(matches!(piece(&mut held), Err(BuildError::Unavailable(_))));
    }
}
