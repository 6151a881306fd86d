//! A real PostgreSQL as an exclusive workload: its data outlives redeployments and kills of the engine, two of its
//! containers never run at once, and what fails is answered by one restore.

pub(super) mod client;
pub(super) mod image;
mod watch;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::judge::{Promised, judge};
use crate::report::{Verdict, line, progress};
use crate::stand::{REMOVALS, Said, Stand, ms_between};
use crate::{Result, labels};
use watch::{Client, Runs};

/// The workload.
const DB: &str = "db";
/// How far the downtime of the timeline may be from what a client saw, ms.
const TOLERANCE_MS: u64 = 100;
/// Longest wait for a database that starts.
const PATIENCE: Duration = Duration::from_secs(60);
/// The first repair comes after a minute; a busy machine looks a little later.
const HEAL: Duration = Duration::from_secs(100);

/// The database of a run.
struct Db<'a> {
    stand: &'a Stand,
    at: SocketAddr,
    /// Two versions that work.
    images: [String; 2],
    rows: u32,
}

pub(super) async fn prove(stand: &Stand, n: u32) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let mut db = Db::open(stand).await?;
    let runs = Runs::watch(&stand.docker, labels::NAME, &stand.full_name(DB));
    db.apply().await?;
    let client = Client::start(db.at);
    for number in 1..=n {
        db.redeploy(&mut verdict, &client, number).await?;
    }
    drop(client);
    for number in 1..=n {
        db.kill(&mut verdict, number).await?;
    }
    db.restored(&mut verdict).await?;
    db.down(&mut verdict).await?;
    let (most, all) = runs.most()?;
    verdict.same("containers of the database that ran at the same time", most, 1);
    line(&json!({"prove": "postgres", "containers": all, "at_once": most, "rows": db.rows}));
    db.close(&mut verdict).await?;
    Ok(verdict)
}

impl<'a> Db<'a> {
    async fn open(stand: &'a Stand) -> Result<Self> {
        let one = image::make(&stand.docker, "1", "").await?;
        let two = image::make(&stand.docker, "2", "").await?;
        let at = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        stand.start_proxy().await?;
        stand.start_engine().await?;
        Ok(Self { stand, at, images: [one, two], rows: 0 })
    }

    fn name(&self) -> String {
        self.stand.full_name(DB)
    }

    fn volume(&self) -> String {
        format!("{}-pgdata", self.stand.project)
    }

    async fn apply(&mut self) -> Result {
        let file = format!(
            "project = \"{}\"\n\n[workloads.{DB}]\nimage = \"{}\"\nvolumes = [\"{}:/data\"]\nports = [\"{}:5432\"]\n\
             health = \"tcp:5432\"\nstrategy = \"recreate\"\n\n[workloads.{DB}.policy]\ngate_timeout = \"30s\"\n\
             stop_timeout = \"30s\"\nstop_signal = \"SIGINT\"\nrestore_timeout = \"60s\"\n",
            self.stand.project,
            self.images[0],
            self.volume(),
            self.at,
        );
        let path = self.stand.write("db.toml", &file)?;
        self.stand.must(&["apply", &path]).await?;
        self.answers().await?;
        client::ask(self.at, "create table proof (n int primary key)").await?;
        Ok(())
    }

    /// Waits until it answers.
    async fn answers(&self) -> Result {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match client::ask(self.at, "select 1").await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(format!("the database is away: {error}").into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    async fn insert(&mut self) -> Result {
        self.rows += 1;
        client::ask(self.at, &format!("insert into proof values ({})", self.rows)).await?;
        Ok(())
    }

    /// Every row that was ever written is there.
    async fn whole(&self, verdict: &mut Verdict, when: &str) -> Result {
        self.answers().await?;
        let rows = client::ask(self.at, "select n from proof order by n").await?;
        let should: Vec<String> = (1..=self.rows).map(|row| row.to_string()).collect();
        verdict.same(&format!("{when}: the rows"), rows, should);
        Ok(())
    }

    async fn deploy(&self, image: &str, more: &[&str]) -> Result<Said> {
        let name = self.name();
        let mut args = vec!["deploy", &name, "--image", image, "--json"];
        args.extend(more);
        self.stand.ask(&args).await
    }

    async fn redeploy(&mut self, verdict: &mut Verdict, client: &Client, number: u32) -> Result {
        self.insert().await?;
        let from = Client::now();
        let said = self.deploy(&self.images[number as usize % 2], &[]).await?;
        if said.code != 0 {
            verdict.short(format!("redeployment {number}: {}", said.told()));
        }
        self.whole(verdict, &format!("redeployment {number}")).await?;
        client.once_more().await?;
        let saw = client.longest_gap(from);
        let id = said.text("deployment_id")?;
        // Without a route, the old container is told to stop right after its drain.
        let told = ms_between(&self.stand.timeline(DB).await?, &id, "BlueDrained", "Swapped")?.unsigned_abs();
        verdict.at_most(
            &format!("redeployment {number}: downtime told {told} ms, seen {saw} ms: difference"),
            told.abs_diff(saw),
            TOLERANCE_MS,
        );
        line(&json!({"prove": "postgres", "redeployment": number, "downtime_told_ms": told, "downtime_seen_ms": saw}));
        progress(&format!("redeployment {number}: away for {saw} ms, told {told} ms"));
        Ok(())
    }

    /// The engine is killed somewhere within a redeployment, which goes on under the same id.
    async fn kill(&mut self, verdict: &mut Verdict, number: u32) -> Result {
        self.insert().await?;
        let key = format!("kill-{number}");
        let image = self.images[number as usize % 2].clone();
        let after = Duration::from_millis(u64::from(number) * 170);
        let detached = ["--detach", "--key", &key];
        let (_, restart) = tokio::try_join!(self.deploy(&image, &detached), async {
            tokio::time::sleep(after).await;
            self.stand.kill_engine().await?;
            self.stand.start_engine().await
        })?;
        let said = self.deploy(&image, &["--key", &key]).await?;
        if said.code != 0 {
            verdict.short(format!("kill {number}: {}", said.told()));
        }
        self.whole(verdict, &format!("kill {number}")).await?;
        progress(&format!("kill {number} after {after:.0?}, restart in {restart:.0?}"));
        Ok(())
    }

    /// A version that does not start is answered by one restore.
    async fn restored(&mut self, verdict: &mut Verdict) -> Result {
        self.insert().await?;
        let bad = image::make(&self.stand.docker, "bad", "EXITS=1").await?;
        let said = self.deploy(&bad, &[]).await?;
        verdict.same("the exit code of a version that does not start", said.code, 10);
        let id = said.text("deployment_id")?;
        let events = self.stand.timeline(DB).await?;
        verdict.same("restores of it", count(&events, &id, "RestorePlanned"), 1);
        self.whole(verdict, "after a restore").await
    }

    /// A restore that fails too leaves it down; repairs go on with back-off, and the next wish runs.
    async fn down(&mut self, verdict: &mut Verdict) -> Result {
        self.insert().await?;
        let spoils = image::make(&self.stand.docker, "spoils", "SPOILS=1").await?;
        let said = self.deploy(&spoils, &[]).await?;
        verdict.same("the exit code of a version that spoils the data", said.code, 10);
        let id = said.text("deployment_id")?;
        let status = self.stand.must(&["status", &self.name(), "--json"]).await?;
        verdict.same("the state after the second failure", status.text("state")?, "down".to_owned());
        verdict.same("restores of it", count(&self.stand.timeline(DB).await?, &id, "RestorePlanned"), 1);
        let began = Instant::now();
        while !self.stand.timeline(DB).await?.iter().any(|event| event["wish"] == "heal") {
            if began.elapsed() > HEAL {
                verdict.short(format!("no repair within {HEAL:?}"));
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        progress(&format!("a repair was tried after {:.0?}", began.elapsed()));
        let mends = image::make(&self.stand.docker, "mends", "MENDS=1").await?;
        let said = self.deploy(&mends, &[]).await?;
        if said.code != 0 {
            verdict.short(format!("the wish after a failure: {}", said.told()));
        }
        self.whole(verdict, "after it was down").await
    }

    async fn close(&self, verdict: &mut Verdict) -> Result {
        line(&judge(&self.stand.subject(), &Promised::default(), verdict).await?);
        self.stand.must(&["teardown", &self.name()]).await?;
        verdict.same("volumes after a teardown", self.stand.docker.has_volume(&self.volume()).await, true);
        self.stand.must(&["teardown", &self.name(), "--volumes"]).await?;
        let deadline = Instant::now() + REMOVALS;
        while self.stand.docker.has_volume(&self.volume()).await && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        verdict.same(
            "volumes after a teardown with --volumes",
            self.stand.docker.has_volume(&self.volume()).await,
            false,
        );
        let left = self.stand.left_on_docker().await?;
        verdict.same("containers and networks after the teardown", left, 0);
        Ok(())
    }
}

/// Events of a kind of one deployment.
fn count(events: &[Value], deployment: &str, kind: &str) -> usize {
    events.iter().filter(|event| event["deployment_id"] == deployment && event["event"] == kind).count()
}
