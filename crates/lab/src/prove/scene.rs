//! What the proofs have in common: a workload that serves, and what must hold at the end.

use crate::Result;
use crate::judge::{Promised, judge};
use crate::load::{Load, Plan};
use crate::report::{Verdict, line};
use crate::sample::Version;
use crate::stand::{Stand, Workload};

/// The workload of every proof.
pub(crate) const WEB: &str = "web";

/// Proxy, engine and one workload that serves `v1`.
pub(crate) struct Scene<'a> {
    pub stand: &'a Stand,
    /// Images of `v1` and `v2`.
    pub images: [String; 2],
    /// Log id.
    pub log: String,
}

/// The names of the two good versions; deployment `n` is of version `n % 2`.
pub(crate) const VERSIONS: [&str; 2] = ["v1", "v2"];

impl<'a> Scene<'a> {
    /// Makes the images, starts proxy and engine, applies the workload.
    pub(crate) async fn open(stand: &'a Stand, shape: impl FnOnce(Workload) -> Workload) -> Result<Self> {
        let mut images = Vec::new();
        for name in VERSIONS {
            images.push(Version::good(name).make(&stand.docker).await?);
        }
        let images: [String; 2] = images.try_into().map_err(|_| "two images")?;
        stand.start_proxy().await?;
        stand.start_engine().await?;
        let file = stand.write("web.toml", &shape(Workload::new(WEB, &images[0])).file(stand))?;
        stand.must(&["apply", &file]).await?;
        let log = stand.log_id().await?.ok_or("no log id after the first deployment")?;
        Ok(Self { stand, images, log })
    }

    /// The mixed traffic of the figures, to the workload.
    pub(crate) fn load(&self) -> Load {
        Load::start(&Plan::mixed(self.stand.proxy, &self.stand.host(WEB)))
    }

    /// Requires that this version answers through the proxy.
    pub(crate) async fn answers(&self, verdict: &mut Verdict, version: &str) {
        match self.stand.get(WEB, "/version").await {
            Ok((200, body)) if body == version => {}
            Ok((status, body)) => verdict.short(format!("{version} should answer; it was {status} {body:?}")),
            Err(error) => verdict.short(format!("{version} should answer: {error}")),
        }
    }

    /// Requires that Docker holds exactly what the lists of the log name, within the time that removals may take.
    pub(crate) async fn only_listed(&self, verdict: &mut Verdict) -> Result {
        self.stand.subject().orphans(verdict).await.map(drop)
    }

    /// What must hold at the end of every proof; then the workload is torn down.
    pub(crate) async fn close(&self, verdict: &mut Verdict, promised: &Promised) -> Result {
        line(&judge(&self.stand.subject(), promised, verdict).await?);
        self.stand.must(&["teardown", &self.stand.full_name(WEB)]).await?;
        let left = self.stand.left_on_docker().await?;
        verdict.same("containers and networks left after the teardown", left, 0);
        Ok(())
    }
}
