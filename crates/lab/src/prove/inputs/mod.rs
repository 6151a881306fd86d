//! Bad input: one line that helps, the right exit code, no event, no container, no panic.

mod files;
mod host;
mod lines;
mod outside;
mod sources;

use serde_json::json;

use super::scene::Scene;
use crate::judge::Promised;
use crate::report::{Verdict, line, progress};
use crate::stand::{Said, Stand};
use crate::{Result, labels};

/// Longest line that a refusal may be, characters.
const LONGEST: usize = 600;
/// What a person must never read.
const PANIC_WORDS: [&str; 4] = ["panicked", "RUST_BACKTRACE", "thread '", "unwrap()"];

/// What is expected of a refusal.
pub(super) struct Expected<'a> {
    /// Any of these exit codes.
    pub codes: &'a [i32],
    /// Words that the line must hold, whatever their case.
    pub says: &'a [&'a str],
}

pub(super) async fn prove(stand: &Stand) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let scene = Scene::open(stand, |workload| workload).await?;
    scene.only_listed(&mut verdict).await?;
    let holder = host::Holder::record(stand).await?;
    let before = Trace::take(&scene).await?;
    let mut inputs = Inputs { scene: &scene, verdict: &mut verdict, before, tried: 0 };
    files::try_all(&mut inputs).await?;
    host::try_all(&mut inputs, &holder).await?;
    lines::try_all(&mut inputs).await?;
    outside::try_all(&mut inputs).await?;
    progress(&format!("{} bad inputs", inputs.tried));
    scene.close(&mut verdict, &Promised::default()).await?;
    Ok(verdict)
}

/// What would have changed if an input had had an effect.
#[derive(PartialEq, Debug)]
struct Trace {
    head: u64,
    containers: usize,
}

impl Trace {
    async fn take(scene: &Scene<'_>) -> Result<Self> {
        let events = scene.stand.events().await?;
        Ok(Self {
            head: events.last().and_then(|event| event["position"].as_u64()).unwrap_or_default(),
            containers: scene.stand.docker.containers(labels::LOG, &scene.log).await?.len(),
        })
    }
}

/// Tries inputs one by one.
pub(super) struct Inputs<'a> {
    pub scene: &'a Scene<'a>,
    pub verdict: &'a mut Verdict,
    before: Trace,
    tried: u32,
}

impl Inputs<'_> {
    /// Runs a command and judges what it said and did.
    pub(super) async fn command(&mut self, case: &str, args: &[&str], expected: Expected<'_>) -> Result {
        let said = self.scene.stand.ask(args).await?;
        self.said(case, &said, expected).await
    }

    /// Judges what a command said and did.
    pub(super) async fn said(&mut self, case: &str, said: &Said, expected: Expected<'_>) -> Result {
        self.judge(case, said, &expected);
        self.no_effect(case).await
    }

    fn judge(&mut self, case: &str, said: &Said, expected: &Expected<'_>) {
        let shown: String = said.err.trim().chars().take(LONGEST).collect();
        line(&json!({"prove": "inputs", "case": case, "code": said.code, "said": shown}));
        let mut short = |what: String| self.verdict.short(format!("{case}: {what}"));
        if !expected.codes.contains(&said.code) {
            short(format!("exit code {}, not {:?}: {shown}", said.code, expected.codes));
        }
        if said.err.trim().lines().count() != 1 {
            short(format!("{} lines on stderr, not one: {shown}", said.err.trim().lines().count()));
        }
        if said.err.trim().chars().count() > LONGEST {
            short(format!("a line of {} characters", said.err.trim().chars().count()));
        }
        if let Some(word) = PANIC_WORDS.iter().find(|word| said.err.contains(**word)) {
            short(format!("it says {word:?}: {shown}"));
        }
        for word in expected.says {
            if !said.err.to_lowercase().contains(&word.to_lowercase()) {
                short(format!("it does not say {word:?}: {shown}"));
            }
        }
    }

    /// An answer to a request that was refused: a status of the four hundreds.
    pub(super) async fn answer(&mut self, case: &str, status: u16, body: &str) -> Result {
        let shown: String = body.chars().take(LONGEST).collect();
        line(&json!({"prove": "inputs", "case": case, "status": status, "said": shown}));
        if !(400..500).contains(&status) {
            self.verdict.short(format!("{case}: status {status}: {shown}"));
        }
        if let Some(word) = PANIC_WORDS.iter().find(|word| body.contains(**word)) {
            self.verdict.short(format!("{case}: it says {word:?}: {shown}"));
        }
        self.no_effect(case).await
    }

    async fn no_effect(&mut self, case: &str) -> Result {
        self.tried += 1;
        let now = Trace::take(self.scene).await?;
        if now != self.before {
            self.verdict.short(format!("{case}: it had an effect: {:?} became {now:?}", self.before));
            self.before = now;
        }
        Ok(())
    }
}
