//! What the proofs have in common: a workload that serves, and what must hold at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::docker::Listed;
use crate::load::{Load, Plan, Summary};
use crate::report::Verdict;
use crate::sample::Version;
use crate::stand::{REMOVALS, Stand, Workload, field};
use crate::{Result, labels};

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

    /// Requires that Docker holds exactly the containers that the engine names as active, within the time that
    /// removals may take.
    pub(crate) async fn only_active(&self, verdict: &mut Verdict) -> Result {
        let deadline = Instant::now() + REMOVALS;
        loop {
            let on_docker = self.stand.docker.containers(labels::LOG, &self.log).await?;
            let mut there: Vec<String> = on_docker.iter().map(|container| container.id.clone()).collect();
            let mut named = self.active().await?;
            there.sort();
            named.sort();
            if there == named && !named.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let seen: Vec<String> = on_docker.iter().map(Listed::told).collect();
                verdict.short(format!("Docker holds {seen:?}, the engine names {named:?} as active"));
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Full ids of the containers that `status` gives the role `active`.
    async fn active(&self) -> Result<Vec<String>> {
        let status = self.stand.must(&["status", &self.stand.full_name(WEB), "--json"]).await?.json()?;
        let containers = field(&status, "containers").and_then(Value::as_array).cloned().unwrap_or_default();
        let active = containers.iter().filter(|container| container["role"] == "active");
        Ok(active.filter_map(|container| container["id"].as_str()).map(str::to_owned).collect())
    }

    /// What must hold at the end of every proof: the invariants, the log, exactly one end per deployment; then the
    /// workload is torn down.
    pub(crate) async fn close(&self, verdict: &mut Verdict) -> Result {
        self.only_active(verdict).await?;
        for command in [&["doctor"][..], &["log", "verify"][..]] {
            let said = self.stand.ask(command).await?;
            if said.code != 0 {
                verdict.short(said.told());
            }
        }
        for (id, ends) in ends(&self.stand.events().await?) {
            if ends.len() != 1 {
                verdict.short(format!("deployment {id} has {} ends: {ends:?}", ends.len()));
            }
        }
        self.stand.must(&["teardown", &self.stand.full_name(WEB)]).await?;
        let left = self.stand.left_on_docker().await?;
        if left > 0 {
            verdict.short(format!("{left} containers and networks are left after the teardown"));
        }
        Ok(())
    }
}

/// The ends of every deployment that was ever queued.
pub(crate) fn ends(events: &[Value]) -> BTreeMap<String, Vec<String>> {
    const ENDS: [&str; 4] = ["DeploymentSucceeded", "DeploymentFailed", "IntentSuperseded", "IntentCancelled"];
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in events {
        let (Some(kind), Some(id)) = (event["event"].as_str(), event["deployment_id"].as_str()) else { continue };
        if kind == "IntentQueued" {
            found.entry(id.into()).or_default();
        } else if ENDS.contains(&kind) {
            found.entry(id.into()).or_default().push(kind.into());
        }
    }
    found
}

/// Requires that no request failed, and that streams were closed no more than once each per swap.
pub(crate) fn no_failures(verdict: &mut Verdict, summary: &Summary, swaps: u64) {
    if summary.failed > 0 {
        let first = summary.failures.first().cloned().unwrap_or_default();
        verdict.short(format!("{}; the first: {first}", summary.sentence()));
    }
    verdict.at_most("closes of websockets", summary.websocket_closes, 4 * swaps);
    verdict.at_most("ends of event streams", summary.event_closes, 2 * swaps);
    if summary.requests == 0 || summary.websocket_messages == 0 || summary.events == 0 {
        verdict.short("the load did not run");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_deployment_without_an_end_and_one_with_two_are_seen() {
        let event = |kind: &str, id: &str| json!({"event": kind, "deployment_id": id});
        let events = [
            event("IntentQueued", "dep_a"),
            event("IntentQueued", "dep_b"),
            event("DeploymentSucceeded", "dep_b"),
            event("DeploymentFailed", "dep_b"),
        ];
        let ends = ends(&events);
        assert_eq!(ends["dep_a"].len(), 0);
        assert_eq!(ends["dep_b"].len(), 2);
    }
}
