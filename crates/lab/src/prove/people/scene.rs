//! A web of two replicas with a volume and a limit, under light load.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::judge::{Promised, judge};
use crate::load::{Load, Plan};
use crate::report::{Verdict, line};
use crate::sample::Version;
use crate::stand::{Stand, Workload, field};
use crate::{Result, labels};

/// The workload that people work at.
pub(super) const WEB: &str = "web";
/// What a container of it may use, bytes.
pub(super) const MEMORY: i64 = 64 << 20;
/// How long containers may take to be as they should be again: the slowest is seen by the general look every 10 s, counts
/// as lost 3 s later, and is replaced with a gate, a bake of 4 s and a removal.
pub(super) const HEALED: Duration = Duration::from_secs(45);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Engine, proxy and the web.
pub(super) struct Crowd<'a> {
    pub(super) stand: &'a Stand,
    pub(super) image: String,
    /// Of the sample in this run's image.
    pub(super) print: String,
    /// Log id.
    pub(super) log: String,
    version: Version,
}

/// A container as `status` tells it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) phase: String,
}

impl<'a> Crowd<'a> {
    pub(super) async fn open(stand: &'a Stand) -> Result<Self> {
        // An image of its own: others on this daemon must not miss theirs when it is removed.
        let version = Version::good(&format!("people-{}", stand.project));
        let image = version.make(&stand.docker).await?;
        let print = version.fingerprint();
        stand.start_proxy().await?;
        stand.start_engine().await?;
        let file = stand.write("web.toml", &Self::shape(WEB, &image).file(stand))?;
        stand.must(&["apply", &file]).await?;
        let log = stand.log_id().await?.ok_or("no log id after the first deployment")?;
        let scene = Self { stand, image, print, log, version };
        scene.whole().await?;
        Ok(scene)
    }

    /// The image, where somebody has removed it.
    pub(super) async fn make_image(&self) -> Result {
        self.version.make(&self.stand.docker).await.map(drop)
    }

    pub(super) fn shape(name: &str, image: &str) -> Workload {
        Workload::new(name, image)
            .policy("bake", "4s")
            .line("replicas = 2")
            .line("memory = \"64MiB\"")
            .line(&format!("volumes = [\"{name}-data:/data:shared\"]"))
    }

    /// 40 requests a second, no streams: what a person would hardly notice.
    pub(super) fn load(&self) -> Load {
        let (addr, host) = (self.stand.proxy, self.stand.host(WEB));
        Load::start(&Plan { addr, host, rate: 40, websockets: 0, sse: 0 })
    }

    /// Events after a position, of the whole log.
    pub(super) async fn events(&self, after: u64) -> Result<Vec<Value>> {
        let socket = self.stand.data().join("engine.sock");
        let path = format!("/api/v1/events?after={after}");
        let page: Value = serde_json::from_str(&crate::http::unix(&socket, "GET", &path, "").await?)?;
        Ok(page["items"].as_array().cloned().unwrap_or_default())
    }

    /// The position of the newest event.
    pub(super) async fn head(&self) -> Result<u64> {
        let socket = self.stand.data().join("engine.sock");
        let head: Value = serde_json::from_str(&crate::http::unix(&socket, "GET", "/api/v1/log/head", "").await?)?;
        head["position"].as_u64().ok_or_else(|| "the head has no position".into())
    }

    /// `status` of one workload.
    async fn status(&self, name: &str) -> Result<Value> {
        let socket = self.stand.data().join("engine.sock");
        let path = format!("/api/v1/workloads/{}", self.stand.full_name(name).replace('/', "%2F"));
        let view: Value = serde_json::from_str(&crate::http::unix(&socket, "GET", &path, "").await?)?;
        view["workloads"].get(0).cloned().ok_or_else(|| "no such workload".into())
    }

    /// Active containers of the web.
    pub(super) async fn members(&self) -> Result<Vec<Member>> {
        self.members_of(WEB).await
    }

    pub(super) async fn members_of(&self, name: &str) -> Result<Vec<Member>> {
        let status = self.status(name).await?;
        let text = |container: &Value, key: &str| container[key].as_str().unwrap_or_default().to_owned();
        let all = field(&status, "containers").and_then(Value::as_array).cloned().unwrap_or_default();
        let active = all.iter().filter(|container| container["role"] == "active");
        let mut active: Vec<_> =
            active.map(|c| Member { id: text(c, "id"), name: text(c, "name"), phase: text(c, "phase") }).collect();
        active.sort();
        Ok(active)
    }

    /// Waits until the web is as it should be: two containers, which run under their own names with their own limits and
    /// policy on their network, nothing else, and nothing to do.
    pub(super) async fn whole(&self) -> Result<Vec<Member>> {
        let deadline = Instant::now() + HEALED;
        loop {
            let why = match self.judge().await? {
                Ok(members) => return Ok(members),
                Err(why) => why,
            };
            if Instant::now() > deadline {
                return Err(format!("not as it should be within {HEALED:?}: {why}").into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn judge(&self) -> Result<std::result::Result<Vec<Member>, String>> {
        let status = self.status(WEB).await?;
        let members = self.members().await?;
        let waits = field(&status, "waits").and_then(Value::as_array).map_or(0, Vec::len);
        if status["state"] != "running" || members.len() != 2 || waits > 0 {
            return Ok(Err(format!("{}, {} containers, {}", status["state"], members.len(), status["waits"])));
        }
        let on_docker = self.stand.docker.containers(labels::NAME, &self.stand.full_name(WEB)).await?;
        if on_docker.len() != 2 {
            return Ok(Err(format!("Docker holds {} containers", on_docker.len())));
        }
        for member in &members {
            let Some(seen) = self.stand.docker.look(&member.id).await else {
                return Ok(Err(format!("{} is gone", member.name)));
            };
            let own = seen.name.starts_with("cutover-") && !seen.name.ends_with("-taken");
            if !(own && seen.phase == "running" && seen.always && seen.memory == MEMORY && seen.networks == 1) {
                return Ok(Err(format!("{seen:?}")));
            }
        }
        Ok(Ok(members))
    }

    /// Waits for an event that is so.
    pub(super) async fn awaits(
        &self,
        after: u64,
        what: &str,
        within: Duration,
        so: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let deadline = Instant::now() + within;
        loop {
            let events = self.events(after).await?;
            if let Some(found) = events.into_iter().find(&so) {
                return Ok(found);
            }
            if Instant::now() > deadline {
                return Err(format!("no {what} within {within:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What must hold at the end; then everything is torn down.
    pub(super) async fn close(&self, verdict: &mut Verdict) -> Result {
        verdict.worked("at the end", self.whole().await);
        line(&judge(&self.stand.subject(), &Promised::default(), verdict).await?);
        self.stand.must(&["teardown", &self.stand.full_name(WEB), "--volumes"]).await?;
        verdict.same("containers and networks left after the teardown", self.stand.left_on_docker().await?, 0);
        self.stand.docker.remove_image(&self.image).await.unwrap_or_default();
        Ok(())
    }
}
