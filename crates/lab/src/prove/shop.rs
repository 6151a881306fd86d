//! A project as people have them: a database, a web with two replicas and a worker that talk to it by its name, and a
//! workload that calls the web by its name; and a worker that is a workload of its own, which nothing leads to.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::names::{failed, judge, told};
use super::postgres::{client, image};
use super::scene::{VERSIONS, WEB};
use crate::Result;
use crate::judge::{Promised, no_failures};
use crate::load::{Load, Plan};
use crate::report::{Verdict, line, progress};
use crate::sample::{PORT, Version};
use crate::stand::{Stand, field};

/// The database.
const DB: &str = "db";
/// Calls the web.
const CALLER: &str = "caller";
/// Works by itself: it has no route, no port and no health check.
const LONE: &str = "lone";
/// The other process of the web.
const WORKER: &str = "worker";
/// Failed before the swap.
const BEFORE_SWAP: i32 = 10;
/// How long a repair may take: Docker tells of the end at once, and the new worker is watched for a while.
const HEALED_WITHIN: Duration = Duration::from_secs(30);
/// A worker that fails its gate, in the list of what others lose.
const SCENARIO: u32 = 5;

/// The project of a run.
struct Shop<'a> {
    stand: &'a Stand,
    /// Where the host reaches the database.
    db: SocketAddr,
    /// Two versions of the web that work.
    images: [String; 2],
}

pub(super) async fn prove(stand: &Stand, n: u32) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let shop = Shop::open(stand).await?;
    shop.in_order(&mut verdict).await?;
    let load = Load::start(&Plan::mixed(stand.proxy, &stand.host(WEB)));
    for number in 1..=n {
        shop.redeploy(&mut verdict, &load, number).await?;
    }
    shop.bad_worker(&mut verdict, VERSIONS[n as usize % 2]).await?;
    shop.worker_dies(&mut verdict).await?;
    shop.replace_lone(&mut verdict).await?;
    let summary = load.stop().await;
    line(&summary);
    progress(&summary.sentence());
    no_failures(&mut verdict, &summary, u64::from(n));
    let told = told(stand, CALLER).await?;
    line(&told);
    let call = format!("{WEB}:{PORT}/version");
    judge(&mut verdict, &told[&call], &call, n);
    shop.worked(&mut verdict, n).await?;
    shop.close(&mut verdict).await?;
    Ok(verdict)
}

impl<'a> Shop<'a> {
    /// Makes the images and applies the whole project at once.
    async fn open(stand: &'a Stand) -> Result<Self> {
        let database = image::make(&stand.docker, "1", "").await?;
        let mut images = Vec::new();
        for name in VERSIONS {
            images.push(Version::good(name).make(&stand.docker).await?);
        }
        let images: [String; 2] = images.try_into().map_err(|_| "two images")?;
        let caller = Version::caller().make(&stand.docker).await?;
        let db = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        stand.start_proxy().await?;
        stand.start_engine().await?;
        let shop = Self { stand, db, images };
        let file = stand.write("shop.toml", &shop.file(&database, &caller))?;
        stand.must(&["apply", &file]).await?;
        Ok(shop)
    }

    fn file(&self, database: &str, caller: &str) -> String {
        let Self { stand, db, images: [web, _] } = self;
        let project = &stand.project;
        format!(
            "project = \"{project}\"\n\n\
             [workloads.{CALLER}]\nimage = \"{caller}\"\nhost = \"{}\"\nport = {PORT}\nhealth = \"/\"\n\
             after = [\"{WEB}\"]\nenv = {{ CALL = \"{WEB}:{PORT}/version\" }}\npolicy = {{ bake = \"0s\" }}\n\n\
             [workloads.{WEB}]\nimage = \"{web}\"\nhost = \"{}\"\nport = {PORT}\nhealth = \"/healthz\"\nreplicas = 2\n\
             after = [\"{DB}\"]\nenv = {{ DATABASE = \"{DB}:5432\" }}\n\
             policy = {{ bake = \"1s\", drain = \"2s\", liveness = \"1s\", gate_timeout = \"20s\" }}\n\
             [workloads.{WEB}.processes.{WORKER}]\ncommand = [\"work\"]\n\n\
             [workloads.{LONE}]\nimage = \"{web}\"\ncommand = [\"work\"]\nafter = [\"{DB}\"]\n\
             env = {{ DATABASE = \"{DB}:5432\", VERSION = \"{LONE}\" }}\npolicy = {{ bake = \"0s\", liveness = \"1s\" }}\n\n\
             [workloads.{DB}]\nimage = \"{database}\"\nvolumes = [\"{project}-pgdata:/data\"]\nports = [\"{db}:5432\"]\n\
             health = \"tcp:5432\"\nstrategy = \"recreate\"\n\
             policy = {{ gate_timeout = \"60s\", stop_timeout = \"30s\", stop_signal = \"SIGINT\" }}\n",
            stand.host(CALLER),
            stand.host(WEB),
        )
    }

    /// The web was created after the database had been swapped in, and the caller after the web.
    async fn in_order(&self, verdict: &mut Verdict) -> Result {
        for (first, second) in [(DB, WEB), (WEB, CALLER)] {
            let position = |events: &[Value], is: &dyn Fn(&Value) -> bool| {
                events.iter().find(|event| is(event)).and_then(|event| event["position"].as_u64())
            };
            let swapped = position(&self.stand.timeline(first).await?, &|event| event["event"] == "Swapped");
            let created = position(&self.stand.timeline(second).await?, &|event| {
                let step = field(event, "step").and_then(Value::as_str).unwrap_or_default();
                event["event"] == "StepSucceeded" && step.starts_with("create")
            });
            if swapped.is_none() || created.is_none() || created < swapped {
                verdict.short(format!("{second} was created at {created:?}, and {first} swapped in at {swapped:?}"));
            }
        }
        Ok(())
    }

    async fn redeploy(&self, verdict: &mut Verdict, load: &Load, number: u32) -> Result {
        let version = number as usize % 2;
        let began = Instant::now();
        let name = self.stand.full_name(WEB);
        let said = self.stand.ask(&["deploy", &name, "--image", &self.images[version], "--json"]).await?;
        if said.code != 0 {
            verdict.short(format!("deployment {number}: {}", said.told()));
        }
        self.serves(verdict, VERSIONS[version]).await;
        let of_worker = self.active(WEB).await?.iter().filter(|(_, process)| process == WORKER).count();
        verdict.same("workers that are active", of_worker, 1);
        let ((failed_requests, requests), calls) = (load.so_far(), told(self.stand, CALLER).await?);
        line(&json!({
            "prove": "shop", "n": number, "ms": began.elapsed().as_millis() as u64,
            "failed": failed_requests, "requests": requests, "failed_calls": failed(&calls),
        }));
        progress(&format!("swap {number}: failed requests: {failed_requests} of {requests}, calls {}", failed(&calls)));
        Ok(())
    }

    async fn serves(&self, verdict: &mut Verdict, version: &str) {
        match self.stand.get(WEB, "/version").await {
            Ok((200, body)) if body == version => {}
            other => verdict.short(format!("{version} should answer; it was {other:?}")),
        }
    }

    /// Id and process of every active container of a workload, sorted.
    async fn active(&self, name: &str) -> Result<Vec<(String, String)>> {
        let status = self.stand.must(&["status", &self.stand.full_name(name), "--json"]).await?.json()?;
        let containers = field(&status, "containers").and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |container: &Value, key: &str| container[key].as_str().unwrap_or_default().to_owned();
        let active = containers.iter().filter(|container| container["role"] == "active");
        let mut all: Vec<_> = active.map(|container| (text(container, "id"), text(container, "process"))).collect();
        all.sort();
        Ok(all)
    }

    /// A worker that fails its gate: everything is as it was.
    async fn bad_worker(&self, verdict: &mut Verdict, version: &str) -> Result {
        let before = self.active(WEB).await?;
        let image = Version::with("bad-worker", &["WORKER_EXITS=1"]).make(&self.stand.docker).await?;
        let said = self.stand.ask(&["deploy", &self.stand.full_name(WEB), "--image", &image, "--json"]).await?;
        verdict.same("the exit code of a version whose worker ends at once", said.code, BEFORE_SWAP);
        let id = said.text("deployment_id")?;
        let words = self.stand.ask(&["logs", &self.stand.full_name(WEB), "--deployment", &id]).await?;
        if !words.out.contains("a worker without work") {
            verdict.short(format!("the last words of the worker are not shown: {}", words.told()));
        }
        let after = self.active(WEB).await?;
        verdict.same("what is active after a worker failed its gate", &after, &before);
        verdict.same("containers that are active", after.len(), 3);
        self.serves(verdict, version).await;
        let reason = self.reason(&id).await?;
        if !reason.contains(WORKER) {
            verdict.short(format!("the reason does not name the worker: {reason}"));
        }
        line(&json!({
            "prove": "shop", "scenario": SCENARIO, "code": said.code, "as_before": after == before, "reason": reason,
        }));
        Ok(())
    }

    /// Somebody removes the worker: it alone is replaced.
    async fn worker_dies(&self, verdict: &mut Verdict) -> Result {
        let before = self.active(WEB).await?;
        let worker = before.iter().find(|(_, process)| process == WORKER).ok_or("no worker is active")?;
        self.stand.docker.remove(&worker.0).await?;
        let deadline = Instant::now() + HEALED_WITHIN;
        let healed = loop {
            let now = self.active(WEB).await?;
            let another = now.iter().any(|(id, process)| process == WORKER && *id != worker.0);
            if (another && now.len() == before.len()) || Instant::now() > deadline {
                break now;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let kept = |all: &[(String, String)]| all.iter().filter(|(_, process)| process != WORKER).cloned().collect();
        let (before, now): (Vec<_>, Vec<_>) = (kept(&before), kept(&healed));
        verdict.same("what is active beside a worker that was replaced", now, before);
        verdict.same("containers that are active after a repair", healed.len(), 3);
        progress("a worker was removed and replaced");
        Ok(())
    }

    /// A workload that nothing leads to is replaced by the same steps.
    async fn replace_lone(&self, verdict: &mut Verdict) -> Result {
        let before = self.active(LONE).await?;
        let name = self.stand.full_name(LONE);
        let said = self.stand.ask(&["deploy", &name, "--image", &self.images[1], "--json"]).await?;
        if said.code != 0 {
            verdict.short(format!("the lone worker: {}", said.told()));
        }
        let after = self.active(LONE).await?;
        if after.len() != 1 || after == before {
            verdict.short(format!("the lone worker was {before:?} and is {after:?}"));
        }
        Ok(())
    }

    /// Why a deployment has failed.
    async fn reason(&self, id: &str) -> Result<String> {
        let events = self.stand.timeline(WEB).await?;
        let failed = events.iter().find(|event| event["event"] == "DeploymentFailed" && event["deployment_id"] == id);
        let text = failed.and_then(|event| field(event, "reason")).and_then(|reason| field(reason, "text"));
        Ok(text.and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// The workers of both versions have written into the database, and the one that failed has not.
    async fn worked(&self, verdict: &mut Verdict, n: u32) -> Result {
        let versions = client::ask(self.db, "select distinct version from work order by version").await?;
        let mut expected = vec![LONE.to_owned()];
        expected.extend(VERSIONS.iter().take(n as usize + 1).map(|version| (*version).to_owned()));
        verdict.same("versions whose workers have worked", versions, expected);
        Ok(())
    }

    async fn close(&self, verdict: &mut Verdict) -> Result {
        line(&crate::judge::judge(&self.stand.subject(), &Promised::default(), verdict).await?);
        for name in [CALLER, WEB, LONE] {
            self.stand.must(&["teardown", &self.stand.full_name(name)]).await?;
        }
        self.stand.must(&["teardown", &self.stand.full_name(DB), "--volumes"]).await?;
        verdict.same("containers and networks after the teardown", self.stand.left_on_docker().await?, 0);
        Ok(())
    }
}
