//! One build: its request, its stream, its end, and what it leaves when it gives no image.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::Method;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::super::key;
use super::http::{Answer, Sent, broken, request};
use super::images::{path, tag_of};
use super::{Build, BuildError, DockerBuilder, Progress, buildkit, classic, labels, session};
use crate::clock::Clock;

/// Largest message of a stream, bytes: `BuildKit` tells the output of many steps in one.
const MAX_MESSAGE: usize = 16 << 20;
/// How long a build that was ended may take to end.
const ENDING: Duration = Duration::from_secs(20);
/// How often a classic build is made when the image of a step is taken away under it, a count: a prune comes once.
const CLASSIC_TRIES: u32 = 5;
/// Between two looks whether the container of a step is gone.
const LOOK: Duration = Duration::from_millis(50);

/// What reads a stream.
trait Reading {
    fn take(&mut self, message: &Value) -> Vec<Progress>;
}

impl Reading for buildkit::Reading {
    fn take(&mut self, message: &Value) -> Vec<Progress> {
        buildkit::Reading::take(self, message)
    }
}

impl Reading for classic::Reading {
    fn take(&mut self, message: &Value) -> Vec<Progress> {
        classic::Reading::take(self, message)
    }
}

/// Why a stream is read no further.
enum Halt {
    Cancelled,
    Late,
    Broken(BuildError),
}

impl DockerBuilder {
    /// By `BuildKit`. What it has finished of a build that ends early stays in the daemon's cache, without a name.
    pub(super) async fn build_by_buildkit(
        &self,
        build: &Build,
        progress: &mpsc::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<String, BuildError> {
        // Also of each try: two builds of one deployment have nothing in common.
        let id = Clock::system().ulid().to_string().to_lowercase();
        let session = session::open(&self.daemon, &id).await?;
        let building = async {
            let query = [("version", "2"), ("session", id.as_str()), ("buildid", id.as_str())];
            let answer = self.send(build, &query).await.map_err(Halt::Broken);
            let mut reading = buildkit::Reading::default();
            let (ended, mut stream) = match answer {
                Ok(answer) => {
                    let mut stream = Messages::of(answer);
                    (stream.read(build, (progress, stop), &mut reading).await, Some(stream))
                }
                Err(halt) => (Err(halt), None),
            };
            if ended.is_err() {
                self.end_buildkit(&id, stream.as_mut()).await;
            }
            finished(build, ended, || reading.finish())
        };
        let mut building = std::pin::pin!(building);
        tokio::select! {
            done = &mut building => done,
            // The daemon closes the session when it needs it no more.
            () = session::serve(session, build) => building.await,
        }
    }

    /// Ends a build, and waits until the daemon has.
    async fn end_buildkit(&self, id: &str, stream: Option<&mut Messages>) {
        if let Err(error) = self.daemon.ask(Method::POST, &path("/build/cancel", &[("id", id)])).await {
            tracing::debug!(%error, "a build that is ended early is gone already");
        }
        if let Some(stream) = stream
            && timeout(ENDING, stream.drain()).await.is_err()
        {
            tracing::warn!(seconds = ENDING.as_secs(), "Docker has not ended a build that was cancelled");
        }
    }

    /// By the classic builder. The images of its steps have no name while it goes on: a prune, or the end of another
    /// build, may take one away under it. Then it is made again.
    pub(super) async fn build_by_classic(
        &self,
        build: &Build,
        progress: &mpsc::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<String, BuildError> {
        let mut tries = 1;
        loop {
            match self.try_by_classic(build, progress, stop).await {
                Err(BuildError::Step { why, .. }) if tries < CLASSIC_TRIES && lost_an_image(&why) => tries += 1,
                other => return other,
            }
        }
    }

    async fn try_by_classic(
        &self,
        build: &Build,
        progress: &mpsc::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<String, BuildError> {
        let answer = self.send(build, &[("version", "1")]).await?;
        let mut reading = classic::Reading::default();
        let ended = {
            let mut stream = Messages::of(answer);
            // With the connection the daemon ends the build.
            stream.read(build, (progress, stop), &mut reading).await
        };
        let made = reading.made();
        let image = finished(build, ended, || reading.finish());
        if image.is_err() {
            self.remove_made(&made).await;
        }
        image
    }

    /// Removes what a classic build has made that gave no image: nothing of it has a label, and nobody would find it.
    async fn remove_made(&self, made: &classic::Made) {
        if let Some(container) = &made.container
            && let Err(error) = self.see_gone(container).await
        {
            tracing::warn!(%error, container, "the container of a build step stays behind: remove it");
        }
        for image in made.images.iter().rev() {
            if let Err(error) = self.remove_nameless(image).await {
                tracing::warn!(%error, image, "the image of a build step stays behind: docker image prune removes it");
            }
        }
    }

    /// Waits for the daemon to remove the container of a step, as it was told to, and removes it when it does not.
    async fn see_gone(&self, container: &str) -> Result<(), BuildError> {
        let deadline = Instant::now() + ENDING;
        let inspect = format!("/containers/{container}/json");
        while self.daemon.ask(Method::GET, &inspect).await?.is_some() {
            if Instant::now() > deadline {
                self.daemon.ask(Method::DELETE, &format!("/containers/{container}?force=1&v=1")).await?;
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    async fn remove_nameless(&self, image: &str) -> Result<(), BuildError> {
        let path = format!("/images/{image}");
        let Some(found) = self.daemon.ask(Method::GET, &format!("{path}/json")).await? else { return Ok(()) };
        let named = found["RepoTags"].as_array().is_some_and(|names| !names.is_empty());
        if !named {
            self.daemon.ask(Method::DELETE, &path).await?;
        }
        Ok(())
    }

    async fn send(&self, build: &Build, more: &[(&str, &str)]) -> Result<Answer, BuildError> {
        let context = build.context()?;
        let labels = json!({
            labels::LOG: build.log.to_string(),
            labels::WORKLOAD: build.workload.to_string(),
            labels::KEY: key(build, context).to_string(),
        });
        let (labels, args) = (labels.to_string(), json!(build.args).to_string());
        let (file, tag) = (context.dockerfile().text(), tag_of(build.log, build.deployment));
        let mut query = vec![
            ("dockerfile", file.as_str()),
            ("t", &tag),
            ("labels", &labels),
            ("buildargs", &args),
            ("rm", "1"),
            ("forcerm", "1"),
        ];
        query.extend(more);
        for (name, value) in [("target", &build.target), ("platform", &build.platform)] {
            if !value.is_empty() {
                query.push((name, value));
            }
        }
        if build.fresh {
            query.extend([("pull", "1"), ("nocache", "1")]);
        }
        let frames = context.stream().map_ok(Frame::data);
        let body: Sent = StreamBody::new(frames).boxed_unsync();
        let logins = logins(build);
        self.daemon
            .stream(request(Method::POST, &path("/build", &query), &[("X-Registry-Config", &logins)], body)?)
            .await
    }
}

/// What the classic builder is told of registries.
fn logins(build: &Build) -> String {
    let all: serde_json::Map<String, Value> = build
        .logins
        .iter()
        .map(|login| {
            let hub = login.registry == "docker.io";
            let name = if hub { "https://index.docker.io/v1/".to_owned() } else { login.registry.clone() };
            (name, json!({ "username": login.user, "password": login.password.as_str() }))
        })
        .collect();
    URL_SAFE.encode(Value::Object(all).to_string())
}

/// What a build comes to, once its stream is read to its end or as far as it was.
fn finished(
    build: &Build,
    ended: Result<(), Halt>,
    finish: impl FnOnce() -> Result<String, BuildError>,
) -> Result<String, BuildError> {
    match ended {
        Ok(()) => finish(),
        Err(Halt::Cancelled) => Err(BuildError::Cancelled),
        Err(Halt::Late) => Err(BuildError::Late(build.deadline)),
        Err(Halt::Broken(error)) => Err(error),
    }
}

/// The messages of a build, one JSON value each.
struct Messages {
    answer: Answer,
    held: Vec<u8>,
}

impl Messages {
    fn of(answer: Answer) -> Self {
        Self { answer, held: Vec::new() }
    }

    /// Reads to the end and passes on what is told.
    async fn read(
        &mut self,
        build: &Build,
        (progress, stop): (&mpsc::Sender<Progress>, &CancellationToken),
        reading: &mut impl Reading,
    ) -> Result<(), Halt> {
        let deadline = Instant::now() + build.deadline;
        loop {
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Halt::Cancelled),
                next = timeout_at(deadline, self.next()) => next.map_err(|_| Halt::Late)?.map_err(Halt::Broken)?,
            };
            let Some(message) = next else { return Ok(()) };
            for told in reading.take(&message) {
                // Nobody has to listen.
                tokio::select! {
                    () = stop.cancelled() => return Err(Halt::Cancelled),
                    _ = progress.send(told) => {}
                }
            }
        }
    }

    /// Reads what is left, and drops it.
    async fn drain(&mut self) {
        while let Ok(Some(_)) = self.next().await {}
    }

    /// The first whole message of what is held; what is none is passed over.
    fn held_message(&mut self) -> Option<Value> {
        loop {
            let at = self.held.iter().position(|byte| *byte == b'\n')?;
            let line: Vec<u8> = self.held.drain(..=at).collect();
            if let Ok(message) = serde_json::from_slice(&line) {
                return Some(message);
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Value>, BuildError> {
        loop {
            if let Some(message) = self.held_message() {
                return Ok(Some(message));
            }
            let Some(chunk) = chunk(self.answer.response.body_mut()).await? else {
                return Ok(serde_json::from_slice(&std::mem::take(&mut self.held)).ok());
            };
            self.held.extend_from_slice(&chunk);
            if self.held.len() > MAX_MESSAGE {
                return Err(BuildError::Unavailable(format!("it sends a message of more than {MAX_MESSAGE} bytes")));
            }
        }
    }
}

pub(super) async fn chunk(body: &mut Incoming) -> Result<Option<Bytes>, BuildError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Whether Docker does not find an image that it has just made.
fn lost_an_image(why: &str) -> bool {
    why.contains("unable to find image \"sha256:") || why.contains("No such image: sha256:")
}
