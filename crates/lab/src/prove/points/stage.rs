//! One stand for all histories: their workloads, what is wished of them, and who serves.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::history::{ALL, COMMITS, FORMER, History, REPO, tag};
use crate::Result;
use crate::hook::{Hook, push};
use crate::judge::Promised;
use crate::prove::sources::rows::Row;
use crate::report::Verdict;
use crate::sample::Version;
use crate::stand::{Said, Stand, field};

/// The good versions of everything that is not pushed.
const VERSIONS: [&str; 2] = ["v1", "v2"];
/// The value of a variable of what is built or brought up.
const TOKEN: &str = "points-token";
/// How long what was wished may take to serve once everything rests.
const SERVED: Duration = Duration::from_secs(20);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Proxy, engine, and a workload for each kind of history.
pub(super) struct Stage<'a> {
    pub stand: &'a Stand,
    pub promised: RefCell<Promised>,
    images: [String; 2],
    bad: [String; 3],
    hook: Hook,
    /// Counts visits: keys, revisions and ids of deliveries are never used twice.
    number: Cell<u32>,
}

/// A wish that is made in a visit, and made again with the same key after the engine has died of it.
pub(super) struct Wish {
    history: History,
    /// What makes it happen once.
    key: String,
    number: u32,
    /// The version that serves when it has come true.
    target: String,
    /// The deployment that was promised to whoever made it first.
    pub accepted: RefCell<Option<String>>,
}

impl<'a> Stage<'a> {
    /// Makes the images, starts proxy and engine, deploys everything once.
    pub(super) async fn open(stand: &'a Stand, wanted: &[History]) -> Result<Self> {
        let [one, two] = VERSIONS.map(Version::good);
        let images = [one.make(&stand.docker).await?, two.make(&stand.docker).await?];
        for commit in COMMITS {
            Version::good(tag(commit)).make(&stand.docker).await?;
        }
        let exits = Version::with("bad-exits", &["EXIT_AT_START=1"]).make(&stand.docker).await?;
        let leaves = Version::with("bad-leaves", &["EXIT_AFTER_READY_MS=700"]).make(&stand.docker).await?;
        let worker = Version::with("bad-worker", &["WORKER_EXITS=1"]).make(&stand.docker).await?;
        stand.start_proxy().await?;
        stand.start_engine().await?;
        let hook = Hook::add(stand).await?;
        let stage = Self {
            stand,
            promised: RefCell::default(),
            images,
            bad: [exits, leaves, worker],
            hook,
            number: Cell::new(0),
        };
        // The load is on the workload of this one, whatever is asked for.
        let wanted = |history: &History| *history == History::DeployReplicas || wanted.contains(history);
        for history in ALL.into_iter().filter(wanted) {
            stage.first(history).await?;
        }
        Ok(stage)
    }

    async fn first(&self, history: History) -> Result {
        self.apply(history, 0, "--json").await?;
        match history {
            History::Delivery => {
                let image = Version::good(tag(COMMITS[0])).reference();
                self.stand.must(&["deploy", &self.name(history), "--image", &image]).await.map(drop)
            }
            History::RollbackAdopt => {
                self.stand.must(&["deploy", &self.name(history), "--image", &self.images[1]]).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    fn name(&self, history: History) -> String {
        self.stand.full_name(history.workload())
    }

    async fn apply(&self, history: History, number: u32, how: &str) -> Result<Said> {
        let image =
            if history == History::Delivery { "cutover-lab/sample:{short_sha}" } else { self.images[0].as_str() };
        let text = match history.row() {
            Some(row) => {
                let version = self.made(row, number).await?;
                row.file(self.stand, (&version, TOKEN), None).await?
            }
            None => history.file(self.stand, image, number),
        };
        let file = self.stand.write(&format!("{}.toml", history.workload()), &text)?;
        self.stand.must(&["apply", &file, how]).await
    }

    /// Brings the workload to where the history begins, and says what will be wished.
    pub(super) async fn prepare(&self, history: History) -> Result<Wish> {
        let number = self.number.get() + 1;
        self.number.set(number);
        let serving = self.serving(history).await;
        match (history, &serving) {
            (History::DeployFirst, Some(_)) => drop(self.stand.must(&["teardown", &self.name(history)]).await?),
            (History::AfterFirst, _) => {
                for name in [history.workload(), FORMER] {
                    self.stand.must(&["teardown", &self.stand.full_name(name)]).await?;
                }
            }
            (History::Teardown, _) => {
                self.apply(history, number, "--json").await?;
                self.stand.must(&["deploy", &self.name(history), "--image", &self.images[1]]).await?;
            }
            _ => {}
        }
        // What prepared it is over, removals too: its points are not those of the history.
        self.stand.subject().orphans(&mut Verdict::default()).await?;
        let (one, two) = match history {
            History::Delivery => (tag(COMMITS[0]), tag(COMMITS[1])),
            _ => (VERSIONS[0], VERSIONS[1]),
        };
        let now = self.serving(history).await.unwrap_or_default();
        let stays = history.fails() || matches!(history, History::HealOne | History::EngineStart | History::Apply);
        let target = match (history, history.row()) {
            (_, Some(row)) => self.made(row, number).await?,
            (History::Teardown, None) => String::new(),
            (History::DeployFirst | History::AfterFirst, None) => one.to_owned(),
            _ if stays => now,
            _ if now == one => two.to_owned(),
            _ => one.to_owned(),
        };
        Ok(Wish { history, key: format!("points-{number}"), number, target, accepted: RefCell::default() })
    }

    /// Another version in the folder that a workload is made of: nothing is made twice of the same.
    async fn made(&self, row: &Row, number: u32) -> Result<String> {
        let version = row.version(number);
        row.prepare(self.stand, &version, None).await?;
        Ok(version)
    }

    /// The version that answers.
    async fn serving(&self, history: History) -> Option<String> {
        match self.stand.get(history.workload(), "/version").await {
            Ok((200, version)) => Some(version),
            _ => None,
        }
    }

    /// Makes the wish, or makes it again: the same key leads to the same deployment.
    pub(super) async fn ask(&self, wish: &Wish, how: &[&str]) -> Result<Option<Said>> {
        let name = self.name(wish.history);
        let key = wish.key.as_str();
        let asked = async |args: &[&str]| {
            let all: Vec<&str> =
                args.iter().copied().chain(["--json", "--key", key]).chain(how.iter().copied()).collect();
            self.stand.ask(&all).await.map(Some)
        };
        match wish.history {
            History::EngineStart => Ok(None),
            History::HealOne => self.break_one(wish).await.map(|()| None),
            History::Delivery => self.push(wish).await.map(|()| None),
            History::Teardown => asked(&["teardown", &name]).await,
            History::RollbackAdopt => asked(&["rollback", &name]).await,
            History::DeployFirst | History::AfterFirst | History::Apply => {
                let text = wish.history.file(self.stand, &self.images[0], wish.number);
                let file = self.stand.write("revised.toml", &text)?;
                asked(&["apply", &file]).await
            }
            History::DeployReplicas | History::AloneAgain | History::CommandAgain => {
                let image = Version::good(&wish.target).reference();
                asked(&["deploy", &name, "--image", &image]).await
            }
            History::BuiltAgain | History::SiteAgain | History::StackAgain => asked(&["deploy", &name]).await,
            History::AloneRestore => asked(&["deploy", &name, "--image", &self.bad[0]]).await,
            History::WorkerEnds => asked(&["deploy", &name, "--image", &self.bad[2]]).await,
            History::RouteBack => asked(&["deploy", &name, "--image", &self.bad[1]]).await,
        }
    }

    /// A person removes one of the containers, once.
    async fn break_one(&self, wish: &Wish) -> Result {
        let marker = self.stand.folder().join(&wish.key);
        if marker.exists() {
            return Ok(());
        }
        let label = (crate::labels::NAME, self.name(wish.history));
        let there = self.stand.docker.containers(label.0, &label.1).await?;
        let one = there.first().ok_or("there is no container to remove")?;
        std::fs::write(marker, "")?;
        self.stand.docker.remove(&one.id).await
    }

    /// A sender delivers a push, and again until it is told that it was taken.
    async fn push(&self, wish: &Wish) -> Result {
        let commit = COMMITS.into_iter().find(|commit| tag(commit) == wish.target).unwrap_or(COMMITS[0]);
        let deadline = Instant::now() + SERVED;
        loop {
            let answer = self.hook.send(&wish.key, push(REPO, "main", commit, 2048)).await;
            match answer {
                Ok((status, _)) if status == 202 || status == 200 => {
                    self.promised.borrow_mut().deliveries.insert(wish.key.clone());
                    return Ok(());
                }
                Ok((status, body)) if Instant::now() > deadline => {
                    return Err(format!("a push is answered with {status} {body}").into());
                }
                Err(error) if Instant::now() > deadline => return Err(error),
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Requires that the wish has come true, or has failed as it had to, and that everything rests.
    pub(super) async fn judge(
        &self,
        wish: &Wish,
        said: Option<&Said>,
        verdict: &mut Verdict,
    ) -> Result<Option<String>> {
        let (name, history) = (&wish.key, wish.history);
        let mut id = None;
        if let Some(said) = said {
            let outcome = said.text("outcome").unwrap_or_default();
            let should = if history.fails() { "failed" } else { "succeeded" };
            // An apply that finds its revision recorded has nothing more to ask for.
            let recorded =
                matches!(history, History::Apply | History::DeployFirst | History::AfterFirst) && said.code == 0;
            if outcome != should && !recorded {
                verdict.short(format!("{history:?} {name}: should have {should}: {}", said.told()));
            }
            id = said.text("deployment_id").ok();
            self.promised.borrow_mut().deployments.extend(id.clone());
        }
        self.served(wish, verdict).await;
        self.stand.subject().orphans(verdict).await?;
        self.ended_well(wish, verdict).await?;
        Ok(id)
    }

    /// Waits until the version that should serve does.
    async fn served(&self, wish: &Wish, verdict: &mut Verdict) {
        let deadline = Instant::now() + SERVED;
        loop {
            let now = self.serving(wish.history).await.unwrap_or_default();
            if now == wish.target {
                return;
            }
            if Instant::now() > deadline {
                return verdict.short(format!("{:?}: {:?} should serve, not {now:?}", wish.history, wish.target));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What only the status tells: the revision that was applied, the repair that was made.
    async fn ended_well(&self, wish: &Wish, verdict: &mut Verdict) -> Result {
        if !matches!(wish.history, History::Apply | History::HealOne) {
            return Ok(());
        }
        let status = self.stand.must(&["status", &self.name(wish.history), "--json"]).await?.json()?;
        let containers = field(&status, "containers").and_then(Value::as_array);
        let active = containers.into_iter().flatten().filter(|one| one["role"] == "active");
        verdict.same("active containers", active.count(), 2);
        let last = field(&status, "last").and_then(|last| last["outcome"].as_str());
        let outcome = last.unwrap_or_default().to_owned();
        verdict.same(&format!("the last deployment after {:?}", wish.history), outcome, "succeeded".to_owned());
        if wish.history == History::Apply {
            // What runs is what was applied: its revision is the newest one.
            let name = self.name(wish.history);
            let releases = self.stand.must(&["releases", &name, "--json"]).await?.json()?;
            let deployed = field(&releases, "revision").and_then(Value::as_u64);
            let newest = field(&status, "revision").and_then(Value::as_u64);
            verdict.same("the revision of the newest release", deployed, newest);
        }
        Ok(())
    }
}
