//! One course for each row: deployed, redeployed, ill versions, rolled back, restarted, overtaken, cancelled, killed and
//! torn down, while somebody calls.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::time::Instant;

use super::caller::Caller;
use super::rows::{Ill, ROWS, Row};
use super::{CANCELLED, FAILED, SUPERSEDED, Which, answers, torn_down};
use crate::Result;
use crate::judge::{Promised, judge};
use crate::prove::kill::Random;
use crate::report::{Verdict, line, progress};
use crate::stand::{Said, Stand, ms_between};

/// How far the downtime of the timeline may be from what callers saw, ms.
const APART_MS: u64 = 100;
/// Events that are shown where calls have failed: those of two or three deployments.
const LAST_EVENTS: usize = 60;
/// A deployment of a container with its gate, drain, bake and removals.
const DEPLOYMENT: Duration = Duration::from_millis(3_500);

pub(super) async fn prove(stand: &Stand, which: &Which, verdict: &mut Verdict) -> Result {
    let secret = format!("matrix-secret-{}", stand.project);
    let mut random = Random::of(which.seed);
    let asked = which.only.as_deref().unwrap_or_default();
    for row in ROWS.iter().filter(|row| row.name.contains(asked)) {
        let began = Instant::now();
        let mut course = Course { stand, row, secret: &secret, current: String::new(), number: 0, failed: 0 };
        course.run(verdict, which.kills(), &mut random).await?;
        progress(&format!("{}: {} s", row.name, began.elapsed().as_secs()));
    }
    line(&judge(&stand.subject(), &Promised::default(), verdict).await?);
    for row in ROWS.iter().filter(|row| row.name.contains(asked)) {
        torn_down(stand, row.name, verdict).await?;
    }
    verdict.same("containers and networks left after the teardown", stand.left_on_docker().await?, 0);
    for place in [stand.data(), stand.folder().join("engine.log"), stand.folder().join("proxy.log")] {
        for text in [secret.clone(), STANDARD.encode(&secret)] {
            for file in found_in(&place, text.as_bytes()) {
                verdict.short(format!("a secret stands in {file}"));
            }
        }
    }
    Ok(())
}

/// The files below a place that hold these bytes.
fn found_in(place: &Path, bytes: &[u8]) -> Vec<String> {
    if let Ok(entries) = std::fs::read_dir(place) {
        return entries.flatten().flat_map(|entry| found_in(&entry.path(), bytes)).collect();
    }
    let content = std::fs::read(place).unwrap_or_default();
    let found = content.windows(bytes.len()).any(|window| window == bytes);
    found.then(|| place.display().to_string()).into_iter().collect()
}

struct Course<'a> {
    stand: &'a Stand,
    row: &'a Row,
    /// A value of its environment that must stand nowhere.
    secret: &'a str,
    /// The version that serves.
    current: String,
    number: u32,
    /// Calls that had failed by the end of the part before.
    failed: u64,
}

impl Course<'_> {
    async fn run(&mut self, verdict: &mut Verdict, kills: u32, random: &mut Random) -> Result {
        let name = self.row.name;
        self.current = self.next();
        let said = self.apply(None).await?;
        verdict.same(&format!("{name}: exit of the first apply: {}", said.told()), said.code, 0);
        self.answers(verdict, "after the first apply").await;
        let caller = Caller::start(self.stand.proxy, &self.stand.host(name), self.row.rate());
        self.redeployed(verdict, &caller).await?;
        self.nothing_failed(verdict, &caller, "a redeployment").await?;
        for ill in self.row.ills() {
            self.ill(verdict, *ill).await?;
            self.nothing_failed(verdict, &caller, ill.told()).await?;
        }
        self.back(verdict).await?;
        self.nothing_failed(verdict, &caller, "a rollback and a restart").await?;
        self.overtaken(verdict).await?;
        self.nothing_failed(verdict, &caller, "three wishes").await?;
        self.cancelled(verdict).await?;
        self.nothing_failed(verdict, &caller, "a cancel").await?;
        for number in 1..=kills {
            self.killed(verdict, random, number).await?;
            self.nothing_failed(verdict, &caller, "a kill").await?;
        }
        let calls = caller.stop().await;
        verdict.same(&format!("{name}: failed calls of {} {:?}", calls.all, calls.reasons), calls.failed, 0);
        line(&json!({"prove": "sources", "row": name, "calls": calls.all, "failed": calls.failed, "kills": kills}));
        progress(&format!("{name}: {} of {} calls failed, {kills} kills", calls.failed, calls.all));
        Ok(())
    }

    /// Tells at once in which part of the course calls failed, and what happened meanwhile.
    async fn nothing_failed(&mut self, verdict: &mut Verdict, caller: &Caller, part: &str) -> Result {
        let (failed, reasons) = caller.failed();
        if failed > self.failed {
            verdict.short(format!("{}, {part}: {} calls failed: {reasons:?}", self.row.name, failed - self.failed));
            let events = self.stand.timeline(self.row.name).await?;
            events[events.len().saturating_sub(LAST_EVENTS)..].iter().for_each(line);
            progress(&format!(
                "the proxy:\n{}\nthe engine:\n{}",
                self.stand.output("proxy"),
                self.stand.output("engine")
            ));
        }
        self.failed = failed;
        Ok(())
    }

    /// The name of a version that does not serve now, and did not a moment ago.
    fn next(&mut self) -> String {
        self.number += 1;
        self.row.version(self.number)
    }

    /// Applies its file; with `ill`, one that cannot come to serve.
    async fn apply(&self, ill: Option<Ill>) -> Result<Said> {
        self.row.prepare(self.stand, &self.current, None).await?;
        let text = self.row.file(self.stand, (&self.current, self.secret), ill).await?;
        let file = self.stand.write(&format!("{}.toml", self.row.name), &text)?;
        self.stand.ask(&["apply", &file]).await
    }

    /// Prepares a version and asks for it.
    async fn deploy(&self, version: &str, ill: Option<Ill>, more: &[&str]) -> Result<Said> {
        let of_version = self.row.prepare(self.stand, version, ill).await?;
        let name = self.stand.full_name(self.row.name);
        let mut args = vec!["deploy", &name, "--json"];
        args.extend(of_version.iter().map(String::as_str));
        args.extend(more);
        self.stand.ask(&args).await
    }

    async fn answers(&self, verdict: &mut Verdict, when: &str) {
        answers(self.stand, verdict, (self.row.name, "/version"), (&self.current, when)).await;
    }

    /// Another version; where something goes away in between, callers see what the timeline tells.
    async fn redeployed(&mut self, verdict: &mut Verdict, caller: &Caller) -> Result {
        let (name, began) = (self.row.name, Instant::now());
        self.current = self.next();
        let said = self.deploy(&self.current, None, &[]).await?;
        verdict.same(&format!("{name}: exit of the redeployment: {}", said.told()), said.code, 0);
        self.answers(verdict, "after the redeployment").await;
        if self.row.is_gapless() || said.code != 0 {
            return Ok(());
        }
        let (id, saw) = (said.text("deployment_id")?, caller.longest_gap(began));
        let told = ms_between(&self.stand.timeline(name).await?, &id, "Unrouted", "Swapped")?.unsigned_abs();
        let apart = told.abs_diff(saw);
        verdict.at_most(&format!("{name}: downtime told {told} ms, seen {saw} ms: difference"), apart, APART_MS);
        line(&json!({"prove": "sources", "row": name, "downtime_told_ms": told, "downtime_seen_ms": saw}));
        progress(&format!("{name}: away for {saw} ms, told {told} ms"));
        Ok(())
    }

    /// A version that does not come to serve: it is said, and what served goes on, or is there again.
    async fn ill(&mut self, verdict: &mut Verdict, ill: Ill) -> Result {
        let (name, told) = (self.row.name, ill.told());
        let said = match ill {
            Ill::Command => self.apply(Some(ill)).await?,
            _ => {
                let version = self.next();
                self.deploy(&version, Some(ill), &[]).await?
            }
        };
        verdict.same(&format!("{name}, {told}: exit: {}", said.told()), said.code, FAILED);
        self.answers(verdict, told).await;
        progress(&format!("{name}, {told}: {}", said.err.trim().lines().next().unwrap_or_default()));
        if ill == Ill::Command {
            let said = self.apply(None).await?;
            verdict.same(&format!("{name}: exit of the file as it was: {}", said.told()), said.code, 0);
            self.answers(verdict, "with the file as it was").await;
        }
        Ok(())
    }

    /// Back to the version before, and started anew.
    async fn back(&mut self, verdict: &mut Verdict) -> Result {
        let (name, full) = (self.row.name, self.stand.full_name(self.row.name));
        let before = self.current.clone();
        self.current = self.next();
        let said = self.deploy(&self.current, None, &[]).await?;
        verdict.same(&format!("{name}: exit: {}", said.told()), said.code, 0);
        self.answers(verdict, "before the rollback").await;
        let said = self.stand.ask(&["rollback", &full]).await?;
        verdict.same(&format!("{name}: exit of the rollback: {}", said.told()), said.code, 0);
        self.current = before;
        self.answers(verdict, "after the rollback").await;
        let said = self.stand.ask(&["restart", &full]).await?;
        verdict.same(&format!("{name}: exit of the restart: {}", said.told()), said.code, 0);
        self.answers(verdict, "after the restart").await;
        Ok(())
    }

    /// Three wishes at once: the newest serves in the end, and each has its end.
    async fn overtaken(&mut self, verdict: &mut Verdict) -> Result {
        let name = self.row.name;
        let mut ids = Vec::new();
        for _ in 0..2 {
            let version = self.next();
            ids.push(self.deploy(&version, None, &["--detach"]).await?.text("deployment_id")?);
        }
        self.current = self.next();
        let said = self.deploy(&self.current, None, &[]).await?;
        verdict.same(&format!("{name}: exit of the newest wish: {}", said.told()), said.code, 0);
        let mut superseded = 0;
        for id in &ids {
            let ended = self.stand.ask(&["wait", id, "--json"]).await?;
            superseded += u32::from(ended.code == SUPERSEDED);
            if ![0, SUPERSEDED].contains(&ended.code) {
                verdict.short(format!("{name}: an overtaken wish: {}", ended.told()));
            }
        }
        self.answers(verdict, "after three wishes").await;
        progress(&format!("{name}: {superseded} of 2 older wishes superseded"));
        Ok(())
    }

    /// A person thinks better of it: the version of before serves on, or it was too late and the new one serves.
    async fn cancelled(&mut self, verdict: &mut Verdict) -> Result {
        let (name, version) = (self.row.name, self.next());
        // What is watched in vain can be cancelled for sure.
        let watched = self.row.ills().contains(&Ill::NeverReady) && self.row.is_gapless();
        let ill = watched.then_some(Ill::NeverReady);
        let id = self.deploy(&version, ill, &["--detach"]).await?.text("deployment_id")?;
        let said = self.stand.ask(&["cancel", &id]).await?;
        let ended = self.stand.ask(&["wait", &id, "--json"]).await?;
        match ended.code {
            CANCELLED => {}
            0 if !watched => self.current = version,
            _ => verdict.short(format!("{name}: cancelled: {}, {}", said.told(), ended.told())),
        }
        self.answers(verdict, "after a cancel").await;
        progress(&format!("{name}: cancelled, ended with {}", ended.code));
        Ok(())
    }

    /// The engine is killed at some instant of a deployment, and goes on with it.
    async fn killed(&mut self, verdict: &mut Verdict, random: &mut Random, number: u32) -> Result {
        let name = self.row.name;
        let instant = self.row.span(DEPLOYMENT).mul_f64(random.part());
        self.current = self.next();
        let key = format!("matrix-{name}-{number}");
        let asked = ["--detach", "--key", &key];
        let (before, ()) = tokio::try_join!(self.deploy(&self.current, None, &asked), async {
            tokio::time::sleep(instant).await;
            self.stand.kill_engine().await?;
            self.stand.start_engine().await.map(drop)
        })?;
        let after = self.deploy(&self.current, None, &["--key", &key]).await?;
        if after.code != 0 {
            verdict.short(format!("{name}, kill {number} after {instant:.0?}: {}", after.told()));
        }
        if before.code == 0 {
            let ids = (before.text("deployment_id")?, after.text("deployment_id")?);
            verdict.same(&format!("{name}, kill {number}: the id under the key"), ids.1, ids.0);
        }
        self.answers(verdict, &format!("after kill {number} at {instant:.0?}")).await;
        self.stand.subject().orphans(verdict).await?;
        Ok(())
    }
}
