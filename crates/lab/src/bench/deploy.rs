//! From an accepted intent to Swapped, against Docker's own create to ready of the same image.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::time::Instant;

use super::{Bound, Measured, ROUNDS, median};
use crate::Result;
use crate::docker::Bare;
use crate::report::{Verdict, progress};
use crate::sample::{PORT, Version};
use crate::stand::{Stand, Workload, ms_between};

/// Deployments per round, and as many bare starts.
const DEPLOYMENTS: usize = 30;
/// Between two tries whether the bare container answers.
const TRY_EVERY: Duration = Duration::from_millis(1);
/// How long a bare container may take to answer.
const READY: Duration = Duration::from_secs(20);

pub(super) async fn measure(stand: &Stand) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let images = [Version::good("v1").make(&stand.docker).await?, Version::good("v2").make(&stand.docker).await?];
    stand.start_proxy().await?;
    stand.start_engine().await?;
    // What comes after the swap is not measured here, and is kept short.
    let workload = Workload::new("web", &images[0]).policy("bake", "200ms").policy("drain", "200ms");
    let file = stand.write("web.toml", &workload.file(stand))?;
    stand.must(&["apply", &file]).await?;
    let floor = Floor::new(stand).await?;
    let (mut ours, mut docker) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (mut deployments, mut bare) = (Vec::new(), Vec::new());
        for number in 1..=DEPLOYMENTS {
            let image = &images[number % 2];
            bare.push(floor.start(image, &format!("{round}-{number}")).await?);
            deployments.push(deploy(stand, image).await?);
        }
        progress(&format!("round {}: {:.0} ms, Docker's own {:.0} ms", round + 1, median(&deployments), median(&bare)));
        ours.push(median(&deployments));
        docker.push(median(&bare));
    }
    Measured {
        bench: "deploy",
        metric: format!("intent accepted to swapped, median of {DEPLOYMENTS}"),
        unit: "ms",
        values: ours,
        peer: Some(("docker create to ready", docker)),
    }
    .judge(Some(Bound::above_peer(150.0)), Some(Bound::ratio_at_most(1.1)), &mut verdict);
    stand.must(&["teardown", &stand.full_name("web")]).await?;
    Ok(verdict)
}

/// One deployment; milliseconds between its events.
async fn deploy(stand: &Stand, image: &str) -> Result<f64> {
    let said = stand.must(&["deploy", &stand.full_name("web"), "--image", image, "--json"]).await?;
    let id = said.text("deployment_id")?;
    let events = stand.timeline("web").await?;
    Ok(ms_between(&events, &id, "IntentQueued", "Swapped")? as f64)
}

/// What Docker needs by itself, on a network as the engine makes them.
pub(super) struct Floor<'a> {
    stand: &'a Stand,
    network: String,
    address: Ipv4Addr,
}

impl<'a> Floor<'a> {
    pub(super) async fn new(stand: &'a Stand) -> Result<Self> {
        let (network, address) = stand.docker.make_network(&stand.project).await?;
        Ok(Self { stand, network, address })
    }

    /// Milliseconds from the request to create a container to its first answer; the container is removed.
    pub(super) async fn start(&self, image: &str, name: &str) -> Result<f64> {
        let address = self.address.to_string();
        let bare = Bare {
            name: &format!("{}-floor-{name}", self.stand.project),
            image,
            network: &self.network,
            address: &address,
            run: &self.stand.project,
            labels: &[],
        };
        let began = Instant::now();
        let id = self.stand.docker.start_bare(&bare).await?;
        let target = (self.address, PORT).into();
        while !matches!(crate::http::get(target, "floor", "/healthz").await, Ok((200, _))) {
            if began.elapsed() > READY {
                return Err("the bare container does not answer".into());
            }
            tokio::time::sleep(TRY_EVERY).await;
        }
        let took = began.elapsed();
        self.stand.docker.remove(&id).await?;
        Ok(took.as_secs_f64() * 1e3)
    }
}
