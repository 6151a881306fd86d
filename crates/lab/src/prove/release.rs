//! A release command: it runs once, before anything of the new version is there, and what becomes of it decides.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::scene::{Scene, WEB};
use crate::Result;
use crate::docker::Listed;
use crate::judge::{Promised, no_failures};
use crate::report::{Verdict, line, progress};
use crate::stand::{Said, Stand, Workload};

/// Failed before the swap, parked for a person, refused because of what is under way.
const FAILED: i32 = 10;
const PARKED: i32 = 14;
const REFUSED: i32 = 4;
/// How long anything that must come may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// Long enough that it is met while it runs, s.
const RUNS_S: &str = "4";

struct Proof<'a> {
    scene: Scene<'a>,
    verdict: Verdict,
}

pub(super) async fn prove(stand: &Stand) -> Result<Verdict> {
    let scene = Scene::open(stand, |workload| workload).await?;
    let mut proof = Proof { scene, verdict: Verdict::default() };
    let load = proof.scene.load();
    proof.runs_first().await?;
    proof.fails().await?;
    proof.hangs().await?;
    proof.outlives_the_engine().await?;
    proof.is_left_to_its_end().await?;
    proof.is_asked_about().await?;
    let summary = load.stop().await;
    line(&summary);
    progress(&summary.sentence());
    let Proof { scene, mut verdict } = proof;
    no_failures(&mut verdict, &summary, 4);
    scene.close(&mut verdict, &Promised::default()).await?;
    Ok(verdict)
}

impl Proof<'_> {
    /// Records a release command: the sample takes so many seconds for it, and fails when it is told none.
    async fn commands(&self, arguments: &str, more: &str) -> Result {
        let stand = self.scene.stand;
        let command = format!("release = {{ command = \"build {arguments}\"{more} }}");
        let workload = Workload::new(WEB, &self.scene.images[0]).line(&command).policy("bake", "500ms");
        let file = stand.write("commanded.toml", &workload.file(stand))?;
        stand.must(&["apply", &file, "--no-deploy"]).await.map(drop)
    }

    async fn deploys(&self, version: usize, how: &[&str]) -> Result<Said> {
        let name = self.scene.stand.full_name(WEB);
        let all = [&["deploy", &name, "--image", &self.scene.images[version], "--json"], how].concat();
        self.scene.stand.ask(&all).await
    }

    /// Kinds of the events of one deployment.
    async fn kinds(&self, id: &str) -> Result<Vec<String>> {
        let events = self.scene.stand.timeline(WEB).await?;
        let of = events.iter().filter(|event| event["deployment_id"] == id);
        Ok(of.filter_map(|event| event["event"].as_str().map(str::to_owned)).collect())
    }

    /// The container of a release command, once it runs.
    async fn running(&self) -> Result<Listed> {
        let stand = self.scene.stand;
        let deadline = Instant::now() + DEADLINE;
        loop {
            let all = stand.docker.containers(crate::labels::NAME, &stand.full_name(WEB)).await?;
            let runs = |one: &Listed| one.name.contains("-release-") && one.state == "running";
            match all.into_iter().find(runs) {
                Some(found) => return Ok(found),
                None if Instant::now() > deadline => return Err("no release command runs".into()),
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn told(&mut self, what: &str, said: &Said, code: i32) {
        self.verdict.same(&format!("the exit code: {what}"), said.code, code);
        line(&json!({"prove": "release", "case": what, "code": said.code}));
        progress(what);
    }

    /// Where it stands among the other events, and how often it was started.
    async fn ran(&mut self, id: &str, times: usize) -> Result {
        let kinds = self.kinds(id).await?;
        let at = |kind: &str| kinds.iter().position(|known| known == kind);
        let started = kinds.iter().filter(|kind| *kind == "ReleaseCommandStarted").count();
        self.verdict.same("starts of the release command", started, times);
        let first = at("ReleaseCommandEnded").is_some() && at("ReleaseCommandEnded") < at("SwapCommitted");
        self.verdict.same("the release command ends before the swap", first, true);
        Ok(())
    }

    async fn runs_first(&mut self) -> Result {
        self.commands("0", "").await?;
        let said = self.deploys(1, &[]).await?;
        self.told("a release command that ends well", &said, 0);
        self.ran(&said.text("deployment_id")?, 1).await?;
        self.scene.answers(&mut self.verdict, "v2").await;
        let said =
            self.scene.stand.must(&["rollback", &self.scene.stand.full_name(WEB), "--dry-run", "--json"]).await?;
        let notes = said.json()?["notes"].to_string();
        self.verdict.same("a rollback over it says so", notes.contains("release command"), true);
        self.scene.only_listed(&mut self.verdict).await
    }

    async fn fails(&mut self) -> Result {
        self.commands("", "").await?;
        let said = self.deploys(0, &[]).await?;
        self.told("a release command that fails", &said, FAILED);
        let told = said.told();
        self.verdict.same("its exit code is told", told.contains("exit code 6"), true);
        let shown = self.scene.stand.must(&["logs", &self.scene.stand.full_name(WEB)]).await?;
        let kept = shown.told().contains("there is nothing to build") || told.contains("there is nothing to build");
        self.verdict.same("its last words are kept", kept, true);
        self.scene.answers(&mut self.verdict, "v2").await;
        self.scene.only_listed(&mut self.verdict).await
    }

    async fn hangs(&mut self) -> Result {
        self.commands("600", ", timeout = \"1s\"").await?;
        let said = self.deploys(0, &[]).await?;
        self.told("a release command that does not end", &said, FAILED);
        self.verdict.same("its time is told", said.told().contains("still running after 1 s"), true);
        self.scene.answers(&mut self.verdict, "v2").await;
        self.scene.only_listed(&mut self.verdict).await
    }

    async fn outlives_the_engine(&mut self) -> Result {
        self.commands(RUNS_S, "").await?;
        let id = self.deploys(0, &["--detach"]).await?.text("deployment_id")?;
        self.running().await?;
        self.scene.stand.kill_engine().await?;
        self.scene.stand.start_engine().await?;
        let said = self.scene.stand.ask(&["wait", &id, "--json"]).await?;
        self.told("a release command and kill -9 of the engine", &said, 0);
        self.ran(&id, 1).await?;
        self.scene.answers(&mut self.verdict, "v1").await;
        self.scene.only_listed(&mut self.verdict).await
    }

    /// A newer wish waits, a cancel is refused, and one with `--force` ends it in the middle.
    async fn is_left_to_its_end(&mut self) -> Result {
        self.commands("60", "").await?;
        let id = self.deploys(1, &["--detach"]).await?.text("deployment_id")?;
        self.running().await?;
        let newer = self.deploys(1, &["--detach"]).await?.text("deployment_id")?;
        let refused = self.scene.stand.ask(&["cancel", &id]).await?;
        self.told("a cancel while a release command runs", &refused, REFUSED);
        let superseded = self.kinds(&id).await?.iter().any(|kind| kind == "IntentSuperseded");
        self.verdict.same("a newer wish waits", superseded, false);
        self.scene.stand.must(&["cancel", &newer]).await?;
        let forced = self.scene.stand.ask(&["cancel", &id, "--force"]).await?;
        self.told("a cancel with --force", &forced, 0);
        self.scene.answers(&mut self.verdict, "v1").await;
        self.scene.only_listed(&mut self.verdict).await
    }

    /// Somebody removes its container: nobody knows how far it came, a person is asked, and it runs again.
    async fn is_asked_about(&mut self) -> Result {
        self.commands(RUNS_S, "").await?;
        let id = self.deploys(1, &["--detach"]).await?.text("deployment_id")?;
        let running = self.running().await?;
        self.scene.stand.docker.remove(&running.id).await?;
        let said = self.scene.stand.ask(&["wait", &id, "--json"]).await?;
        self.told("a release command whose container is gone", &said, PARKED);
        self.scene.answers(&mut self.verdict, "v1").await;
        self.scene.stand.must(&["resume", &id]).await?;
        let said = self.scene.stand.ask(&["wait", &id, "--json"]).await?;
        self.told("resumed, it runs again", &said, 0);
        self.ran(&id, 2).await?;
        self.scene.answers(&mut self.verdict, "v2").await;
        self.scene.only_listed(&mut self.verdict).await
    }
}
