//! Every source with every strategy, and what is particular to builds and sites: nothing built twice, interrupted builds,
//! files of the release before.

mod caller;
mod matrix;
pub(super) mod rows;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::Result;
use crate::judge::{Promised, judge, no_failures};
use crate::load::{Load, Plan};
use crate::report::{Verdict, line, progress};
use crate::sample::Version;
use crate::stand::{REMOVALS, Said, Stand, Workload, field};

const API: &str = "api";
const SITE: &str = "www";
const REDONE: &str = "redone";

const FAILED: i32 = 10;
const SUPERSEDED: i32 = 11;
const CANCELLED: i32 = 12;
const REFUSED: i32 = 15;

/// Swaps under load, of each.
const SWAPS: u32 = 3;
/// Between two requests of a client that waits for each answer.
const PACE: Duration = Duration::from_millis(20);
/// Until a build is seen to run: Docker takes seconds for its first one.
const BUILDS: Duration = Duration::from_secs(30);
/// A step that is still running whenever it is looked for.
const LONG: &str = "RUN [\"/app\", \"build\", \"60\"]";

/// What is proved of them.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// Kills of the engine in each row of the matrix.
    #[arg(long, default_value_t = 10)]
    n: u32,
    /// As `--n 50`.
    #[arg(long, conflicts_with = "n")]
    long: bool,
    /// Of the random instants.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only rows of the matrix that carry this in their names.
    #[arg(long, value_name = "ROW")]
    only: Option<String>,
}

/// Kills in each row of the long form.
const LONG_KILLS: u32 = 50;

impl Which {
    fn kills(&self) -> u32 {
        if self.long { LONG_KILLS } else { self.n }
    }

    /// The command line that proves the same.
    pub(crate) fn told(&self) -> String {
        let only = self.only.as_ref().map(|only| format!(" --only {only}")).unwrap_or_default();
        format!("prove sources --n {} --seed {}{only}", self.kills(), self.seed)
    }
}

pub(super) async fn prove(stand: &Stand, which: &Which) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    stand.start_proxy().await?;
    stand.start_engine().await?;
    let proof = Proof { stand, folder: stand.sources() };
    if which.only.is_none() {
        proof.particular(&mut verdict).await?;
    }
    matrix::prove(stand, which, &mut verdict).await?;
    proof.nothing_kept(&mut verdict).await?;
    Ok(verdict)
}

struct Proof<'a> {
    stand: &'a Stand,
    folder: PathBuf,
}

impl Proof<'_> {
    /// What only builds and sites have.
    async fn particular(&self, verdict: &mut Verdict) -> Result {
        let stand = self.stand;
        self.outside(verdict).await?;
        self.built(verdict).await?;
        self.interrupted(verdict).await?;
        self.recreated(verdict).await?;
        self.served(verdict).await?;
        line(&judge(&stand.subject(), &Promised::default(), verdict).await?);
        for name in [API, REDONE, SITE] {
            torn_down(stand, name, verdict).await?;
        }
        Ok(())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a version of the program as a build context, in which the steps of no other run are found in Docker's cache.
    async fn version(&self, name: &str, mut version: Version, lines: &[&str]) -> Result {
        version.env.push(format!("RUN_OF={}", self.stand.project));
        version.context(&self.at(name), lines).await
    }

    async fn apply(&self, workload: &Workload) -> Result<Said> {
        let file = self.stand.write(&format!("{}.toml", workload.name), &workload.file(self.stand))?;
        self.stand.ask(&["apply", &file]).await
    }

    async fn deploy(&self, name: &str) -> Result<Said> {
        self.stand.ask(&["deploy", &self.stand.full_name(name), "--json"]).await
    }

    async fn answers(&self, verdict: &mut Verdict, (name, path): (&str, &str), body: &str) {
        answers(self.stand, verdict, (name, path), (body, "now")).await;
    }

    fn load(&self, name: &str) -> Load {
        Load::start(&Plan::mixed(self.stand.proxy, &self.stand.host(name)))
    }

    /// A folder that the configuration does not allow is refused before anything is touched.
    async fn outside(&self, verdict: &mut Verdict) -> Result {
        for source in ["dockerfile = \"/etc\"", "static = \"/etc\""] {
            let said = self.apply(&Workload::of("outside", source)).await?;
            verdict.same(&format!("{source}: exit"), said.code, REFUSED);
            if !said.err.contains("[limits] sources") || said.err.trim().lines().count() != 1 {
                verdict.short(format!("{source} should be refused in a line with the key: {}", said.told()));
            }
        }
        Ok(())
    }

    /// Blue-green: built and swapped under load, nothing built twice, failures leave blue.
    async fn built(&self, verdict: &mut Verdict) -> Result {
        let context = self.at(API);
        self.version(API, Version::good("v0"), &[]).await?;
        let source = format!("dockerfile = \"{}\"\nstrategy = \"blue-green\"", context.display());
        let said = self.apply(&Workload::of(API, &source)).await?;
        verdict.same("exit of the first apply", said.code, 0);
        self.answers(verdict, (API, "/version"), "v0").await;
        let load = self.load(API);
        for number in 1..=SWAPS {
            let version = format!("v{number}");
            self.version(API, Version::good(&version), &[]).await?;
            let began = Instant::now();
            let said = self.deploy(API).await?;
            verdict.same(&format!("exit of the deployment of {version}: {}", said.told()), said.code, 0);
            self.answers(verdict, (API, "/version"), &version).await;
            let (failed, of) = load.so_far();
            line(&json!({
                "prove": "sources", "source": "dockerfile", "n": number, "ms": began.elapsed().as_millis() as u64,
                "failed": failed, "requests": of,
            }));
            progress(&format!("dockerfile, swap {number} of {SWAPS}; failed requests: {failed} of {of}"));
        }
        let rollback = self.stand.ask(&["rollback", &self.stand.full_name(API)]).await?;
        verdict.same(&format!("exit of the rollback: {}", rollback.told()), rollback.code, 0);
        self.answers(verdict, (API, "/version"), &format!("v{}", SWAPS - 1)).await;
        let said = self.deploy(API).await?;
        verdict.same("exit of a deployment of what was built before", said.code, 0);
        let resolved = self.last(API, "ReleaseResolved").await?;
        verdict.same("a build of the same content", field(&resolved, "reused").cloned(), Some(json!(true)));
        for (name, version, lines, told) in [
            ("a failing step", Version::good("v8"), &["RUN [\"/app\", \"build\"]"][..], "there is nothing to build"),
            ("a version that exits", Version::with("v8", &["EXIT_AT_START=1"]), &[][..], "ended with exit code 3"),
        ] {
            self.version(API, version, lines).await?;
            self.fails(verdict, name, told).await?;
        }
        std::fs::remove_file(context.join("Dockerfile"))?;
        self.fails(verdict, "no Dockerfile", "there is no Dockerfile").await?;
        let printed = self.stand.must(&["logs", &self.stand.full_name(API), "--build"]).await?.out;
        if !printed.contains("there is no Dockerfile") {
            verdict.short(format!("the log of the build should tell of the missing Dockerfile: {printed:?}"));
        }
        let summary = load.stop().await;
        line(&summary);
        no_failures(verdict, &summary, u64::from(SWAPS) + 2);
        Ok(())
    }

    /// A deployment fails before its swap and says why; what served goes on.
    async fn fails(&self, verdict: &mut Verdict, name: &str, told: &str) -> Result {
        let said = self.deploy(API).await?;
        verdict.same(&format!("{name}: exit"), said.code, FAILED);
        if !format!("{}{}", said.out, said.err).contains(told) {
            verdict.short(format!("{name}: it should say {told:?}: {}", said.told()));
        }
        self.answers(verdict, (API, "/version"), &format!("v{SWAPS}")).await;
        progress(&format!("{name}: {}", said.err.trim().lines().next().unwrap_or_default()));
        Ok(())
    }

    /// In the middle of a build: a kill of the engine, a newer wish, a person's cancel.
    async fn interrupted(&self, verdict: &mut Verdict) -> Result {
        self.version(API, Version::good("v4"), &["RUN [\"/app\", \"build\", \"4\"]"]).await?;
        let id = self.begun(API).await?;
        self.stand.kill_engine().await?;
        self.stand.start_engine().await?;
        let ended = self.stand.ask(&["wait", &id, "--json"]).await?;
        verdict.same(&format!("killed in mid-build: {}", ended.told()), ended.code, 0);
        self.answers(verdict, (API, "/version"), "v4").await;
        progress("killed in the middle of a build: it goes on under its id");

        self.version(API, Version::good("v5"), &[LONG]).await?;
        let older = self.begun(API).await?;
        self.version(API, Version::good("v6"), &[]).await?;
        let newer = self.deploy(API).await?;
        verdict.same(&format!("the newer wish: {}", newer.told()), newer.code, 0);
        let ended = self.stand.ask(&["wait", &older, "--json"]).await?;
        verdict.same(&format!("the older wish: {}", ended.told()), ended.code, SUPERSEDED);
        self.answers(verdict, (API, "/version"), "v6").await;
        progress("superseded in the middle of a build");

        self.version(API, Version::good("v7"), &[LONG]).await?;
        let id = self.begun(API).await?;
        self.stand.must(&["cancel", &id]).await?;
        let ended = self.stand.ask(&["wait", &id, "--json"]).await?;
        verdict.same(&format!("cancelled in mid-build: {}", ended.told()), ended.code, CANCELLED);
        self.answers(verdict, (API, "/version"), "v6").await;
        progress("cancelled in the middle of a build");
        Ok(())
    }

    /// A deployment whose build is seen to run.
    async fn begun(&self, name: &str) -> Result<String> {
        let name = self.stand.full_name(name);
        let id = self.stand.must(&["deploy", &name, "--detach", "--json"]).await?.text("deployment_id")?;
        let deadline = Instant::now() + BUILDS;
        loop {
            let said = self.stand.must(&["logs", &name, "--build", "--deployment", &id]).await?;
            if said.out.contains("sample: builds for") {
                return Ok(id);
            }
            if Instant::now() > deadline {
                return Err(format!("the build of {id} does not begin: {}", said.out).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Recreate: requests wait while nothing serves, and the figure is on the timeline.
    async fn recreated(&self, verdict: &mut Verdict) -> Result {
        self.version(REDONE, Version::good("r1"), &[]).await?;
        let source = format!("dockerfile = \"{}\"", self.at(REDONE).display());
        let said = self.apply(&Workload::of(REDONE, &source)).await?;
        verdict.same(&format!("exit of the first apply: {}", said.told()), said.code, 0);
        self.version(REDONE, Version::good("r2"), &[]).await?;
        let (said, (asked, failed)) = tokio::try_join!(self.deploy(REDONE), self.asks_until(REDONE, "/version", "r2"))?;
        verdict.same(&format!("exit of the redeployment: {}", said.told()), said.code, 0);
        verdict.same("requests that were not answered while it was recreated", failed, 0);
        let opened = self.last(REDONE, "DowntimeOpened").await?;
        verdict.same("the deployment with the downtime", field(&opened, "deployment_id").cloned(), said_id(&said));
        progress(&format!("dockerfile, recreated: {failed} of {asked} requests failed"));
        Ok(())
    }

    /// Asks, one request after the other, until an answer is this; how many were asked, and how many failed.
    async fn asks_until(&self, name: &str, path: &str, body: &str) -> Result<(u64, u64)> {
        let (mut asked, mut failed) = (0, 0);
        let deadline = Instant::now() + BUILDS;
        loop {
            asked += 1;
            let answer = self.stand.get(name, path).await;
            failed += u64::from(!matches!(&answer, Ok((200, _))));
            if matches!(&answer, Ok((200, found)) if found == body) {
                return Ok((asked, failed));
            }
            if Instant::now() > deadline {
                return Err(format!("{name}{path} never becomes {body:?}: {answer:?}").into());
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// A site: swapped under load, files of before answered, a rollback, failures.
    async fn served(&self, verdict: &mut Verdict) -> Result {
        let folder = self.at(SITE);
        self.page(&folder, 0)?;
        let said = self.apply(&Workload::of(SITE, &format!("static = \"{}\"", folder.display()))).await?;
        verdict.same(&format!("exit of the first apply: {}", said.told()), said.code, 0);
        self.answers(verdict, (SITE, "/"), "page 0").await;
        let mut all = (0, 0);
        for number in 1..=SWAPS {
            self.page(&folder, number)?;
            let wanted = format!("page {number}");
            let (said, (asked, failed)) = tokio::try_join!(self.deploy(SITE), self.asks_until(SITE, "/", &wanted))?;
            verdict.same(&format!("exit of the deployment of {wanted}: {}", said.told()), said.code, 0);
            self.answers(verdict, (SITE, &format!("/asset-{}.js", number - 1)), &format!("asset {}", number - 1)).await;
            all = (all.0 + asked, all.1 + failed);
        }
        verdict.same("requests to the site that failed", all.1, 0);
        progress(&format!("static: {} of {} requests failed", all.1, all.0));
        let said = self.stand.ask(&["rollback", &self.stand.full_name(SITE)]).await?;
        verdict.same(&format!("exit of the rollback: {}", said.told()), said.code, 0);
        self.answers(verdict, (SITE, "/"), &format!("page {}", SWAPS - 1)).await;
        let said = self.deploy(SITE).await?;
        verdict.same("exit of a deployment of what was released before", said.code, 0);
        let resolved = self.last(SITE, "ReleaseResolved").await?;
        verdict.same("a release of the same files", field(&resolved, "reused").cloned(), Some(json!(true)));
        std::fs::remove_file(folder.join("index.html"))?;
        let said = self.deploy(SITE).await?;
        verdict.same("without its page: exit", said.code, FAILED);
        if !format!("{}{}", said.out, said.err).contains("index.html") {
            verdict.short(format!("without its page: it should name it: {}", said.told()));
        }
        self.stand.kill_engine().await?;
        self.answers(verdict, (SITE, "/"), &format!("page {SWAPS}")).await;
        self.stand.start_engine().await?;
        self.answers(verdict, (SITE, "/"), &format!("page {SWAPS}")).await;
        Ok(())
    }

    fn page(&self, folder: &Path, number: u32) -> Result {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("index.html"), format!("page {number}"))?;
        if number > 0 {
            std::fs::remove_file(folder.join(format!("asset-{}.js", number - 1)))?;
        }
        std::fs::write(folder.join(format!("asset-{number}.js")), format!("asset {number}"))?;
        Ok(())
    }

    /// The newest event of a kind of a workload.
    async fn last(&self, name: &str, kind: &str) -> Result<Value> {
        let events = self.stand.timeline(name).await?;
        let found = events.into_iter().rfind(|event| event["event"] == kind);
        Ok(found.ok_or_else(|| format!("{name} has no {kind}"))?)
    }

    /// Release folders and images go with their workloads.
    async fn nothing_kept(&self, verdict: &mut Verdict) -> Result {
        let Some(log) = self.stand.log_id().await? else { return Ok(()) };
        let deadline = Instant::now() + REMOVALS;
        loop {
            let images = self.stand.docker.built_images(&log).await?;
            let sites = folders_below(&self.stand.data().join("sites"));
            if (images == 0 && sites == 0) || Instant::now() > deadline {
                verdict.same("images that builds have left", images, 0);
                verdict.same("folders that sites have left", sites, 0);
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn said_id(said: &Said) -> Option<Value> {
    said.json().ok().and_then(|json| field(&json, "deployment_id").cloned())
}

/// Folders whose names do not begin with a dot.
fn folders_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')).count()
}

/// It is torn down, twice.
async fn torn_down(stand: &Stand, name: &str, verdict: &mut Verdict) -> Result {
    let said = stand.ask(&["teardown", &stand.full_name(name), "--yes"]).await?;
    verdict.same(&format!("exit of the teardown of {name}: {}", said.told()), said.code, 0);
    let again = stand.ask(&["teardown", &stand.full_name(name), "--yes"]).await?;
    if !again.err.contains("torn down") {
        verdict.short(format!("a second teardown of {name} should say that it is torn down: {}", again.told()));
    }
    Ok(())
}

/// It answers so at this moment.
async fn answers(stand: &Stand, verdict: &mut Verdict, (name, path): (&str, &str), (body, when): (&str, &str)) {
    match stand.get(name, path).await {
        Ok((200, found)) if found == body => {}
        Ok((status, found)) => {
            verdict.short(format!("{name}{path} should be {body:?} {when}; it was {status} {found:?}"));
        }
        Err(error) => verdict.short(format!("{name}{path} should be {body:?} {when}: {error}")),
    }
}
