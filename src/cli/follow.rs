//! Waiting for a deployment, across restarts of the engine, and following the log.

use std::time::Duration;

use tokio::time::Instant;

use super::client::{Call, CallError, Client};
use super::exit::{Exit, Failure};
use super::grammar::Goal;
use super::output::Output;
use super::render::progress::Progress;
use crate::api::problem::Code;
use crate::api::views::{DeploymentView, EventLine};

/// Between two tries to reach an engine that is away.
const PAUSE: Duration = Duration::from_millis(250);
/// Between two looks at what a build does: a person reads no faster.
const BUILD_LOOK: Duration = Duration::from_millis(500);
/// Looks at a build in a row, a count: 40 s, as long as a silent connection counts as alive.
const MOST_LOOKS: u32 = 80;
/// How long an engine may be away when nobody said how long to wait: longer than a restart after a power cut.
const AWAY: Duration = Duration::from_secs(300);

/// What is waited for, how long, and whether a person watches.
#[derive(Clone, Copy)]
pub(super) struct Waiting {
    pub(super) goal: Goal,
    pub(super) timeout: Option<Duration>,
    pub(super) quiet: Quiet,
}

/// Whether steps are told while they happen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Quiet {
    /// They are.
    No,
    /// They are not: a program reads.
    Yes,
}

/// How waiting ended, when not by a failure of its own.
pub(super) enum Reached {
    /// The goal: live, or the end.
    Goal(Box<DeploymentView>),
    /// The time is over.
    TimedOut,
    /// A person went away.
    Interrupted,
}

/// Waits for a deployment whose wish is the event at `position`.
///
/// # Errors
/// Refused, or away for too long.
pub(super) async fn wait(
    client: &Client,
    (id, position): (&str, u64),
    waiting: Waiting,
    output: &Output,
) -> Result<Reached, Failure> {
    let deadline = waiting.timeout.map(|timeout| Instant::now() + timeout);
    let (after, progress) = (position.saturating_sub(1), Progress::default());
    let mut watch = Watch { client, id, after, waiting, progress, doing: None };
    tokio::select! {
        view = watch.reached(output) => view.map(|view| Reached::Goal(Box::new(view))),
        () = until(deadline) => Ok(Reached::TimedOut),
        _ = tokio::signal::ctrl_c() => Ok(Reached::Interrupted),
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

struct Watch<'a> {
    client: &'a Client,
    id: &'a str,
    after: u64,
    waiting: Waiting,
    progress: Progress,
    /// What its build was last told to do.
    doing: Option<String>,
}

impl Watch<'_> {
    async fn reached(&mut self, output: &Output) -> Result<DeploymentView, Failure> {
        let mut away = Away::new(self.waiting.timeout);
        loop {
            while !self.connection(&mut away, output).await? {
                Away::pause().await;
            }
            let view = self.view().await?;
            // What was parked and has been resumed since goes on: the events of both follow.
            if view.outcome.is_some() || !self.progress.ended() {
                return Ok(view);
            }
        }
    }

    /// Reads one connection: whether the goal was reached before it was over.
    async fn connection(&mut self, away: &mut Away, output: &Output) -> Result<bool, Failure> {
        let path = format!("/api/v1/events?deployment={}&after={}", self.id, self.after);
        match self.client.events(&path).await {
            Ok(mut frames) => {
                away.back();
                Ok(self.read(&mut frames, output).await)
            }
            Err(error) => away.bear(self.client, &error).map(|()| false),
        }
    }

    /// Reads until the goal (`true`), or until the connection is over.
    async fn read(&mut self, frames: &mut super::client::Frames, output: &Output) -> bool {
        let mut looks = 0;
        loop {
            let frame = tokio::select! {
                frame = frames.next() => frame,
                () = tokio::time::sleep(BUILD_LOOK), if self.looks_at_build() => {
                    self.tell_build(output).await;
                    looks += 1;
                    // Whether the connection lives cannot be seen while it is looked away from: it is made anew.
                    if looks > MOST_LOOKS {
                        return false;
                    }
                    continue;
                }
            };
            let Some(frame) = frame else { return false };
            let Some(line) = line(&frame) else { continue };
            self.after = self.after.max(line.position);
            if let Some(text) = self.progress.tell(&line, output.paint_aside())
                && self.waiting.quiet == Quiet::No
            {
                output.aside(&text);
            }
            if self.progress.ended() || (self.waiting.goal == Goal::Live && self.progress.live()) {
                return true;
            }
        }
    }

    /// Whether a build may go on, and somebody reads.
    fn looks_at_build(&self) -> bool {
        self.waiting.quiet == Quiet::No && self.progress.prepares()
    }

    /// What the build does now, when that is news: no event tells of it.
    async fn tell_build(&mut self, output: &Output) {
        let call = Call::get(format!("/api/v1/deployments/{}", self.id));
        let bytes = self.client.once(&call).await.ok();
        let view = bytes.and_then(|bytes| serde_json::from_slice::<DeploymentView>(&bytes).ok());
        let Some(doing) = view.and_then(|view| view.doing) else { return };
        if self.doing.as_ref() != Some(&doing) {
            output.aside(&self.progress.beside(&doing, output.paint_aside()));
            self.doing = Some(doing);
        }
    }

    /// The deployment as it is now; the engine may be away for a while.
    async fn view(&self) -> Result<DeploymentView, Failure> {
        let call = Call::get(format!("/api/v1/deployments/{}", self.id));
        let mut away = Away::new(self.waiting.timeout);
        loop {
            match self.client.once(&call).await {
                Ok(bytes) => {
                    let not_understood =
                        |e| Failure::new(Exit::Other, format!("the engine's answer is not understood: {e}"));
                    return serde_json::from_slice(&bytes).map_err(not_understood);
                }
                Err(error) => away.bear(self.client, &error)?,
            }
            Away::pause().await;
        }
    }
}

fn line(frame: &super::client::Frame) -> Option<EventLine> {
    if frame.event.is_empty() { serde_json::from_str(&frame.data).ok() } else { None }
}

/// How long the engine has been away.
pub(super) struct Away {
    since: Option<Instant>,
    limit: Option<Duration>,
}

impl Away {
    /// With a time to wait there is no limit of its own.
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        Self { since: None, limit: timeout.is_none().then_some(AWAY) }
    }

    pub(super) fn back(&mut self) {
        self.since = None;
    }

    /// Between two tries.
    pub(super) async fn pause() {
        tokio::time::sleep(PAUSE).await;
    }

    /// Bears that the engine is away, or gives up.
    pub(super) fn bear(&mut self, client: &Client, error: &CallError) -> Result<(), Failure> {
        if let CallError::Problem(problem) = error
            && !matches!(problem.code, Code::Unavailable | Code::TooManyStreams | Code::Internal)
        {
            return Err(client.failure(error));
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        match self.limit {
            Some(limit) if since.elapsed() >= limit => Err(client.failure(error)),
            _ => Ok(()),
        }
    }
}

/// What is told of each event that is followed.
type Tell<'a> = &'a mut dyn FnMut(&EventLine) -> Result<(), Failure>;

/// Follows the log from a position on, across restarts of the engine, until a person goes away.
///
/// # Errors
/// Refused, away for too long, or what `tell` refuses.
pub(super) async fn events(client: &Client, (query, after): (&str, u64), tell: Tell<'_>) -> Result<(), Failure> {
    let follow = async {
        let mut after = after;
        let mut away = Away::new(None);
        loop {
            match client.events(&format!("/api/v1/events?after={after}{query}")).await {
                Ok(frames) => {
                    away.back();
                    after = pass_on(frames, after, &mut *tell).await?;
                }
                Err(error) => away.bear(client, &error)?,
            }
            Away::pause().await;
        }
    };
    tokio::select! {
        ended = follow => ended,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "")),
    }
}

/// Tells the events of one connection; where it was over.
async fn pass_on(mut frames: super::client::Frames, mut after: u64, tell: Tell<'_>) -> Result<u64, Failure> {
    while let Some(frame) = frames.next().await {
        let Some(line) = line(&frame) else { continue };
        after = after.max(line.position);
        tell(&line)?;
    }
    Ok(after)
}
