//! Processor time per request of the proxy, against nginx.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use cutover_proxy::wire;
use tokio::process::{Child, Command};

use super::nginx::{Nginx, Serves};
use super::{Bound, Measured, ROUNDS, wrk};
use crate::report::{Verdict, progress};
use crate::stand::Stand;
use crate::{Result, process};

/// One measurement, seconds.
const SECONDS: u32 = 4;
/// Before the first measurement, seconds: connections are opened, code and pools are warm.
const WARM_SECONDS: u32 = 2;
/// Host of the route.
pub(super) const HOST: &str = "bench.test";

pub(super) async fn measure(stand: &Stand) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let origin = crate::stand::free_port()?;
    let backend = Command::new(std::env::current_exe()?)
        .args(["bench", "backend", &origin.to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    stand.start_proxy().await?;
    route(stand, origin).await?;
    let nginx = Nginx::start(stand, Serves::Origin(origin)).await?;
    let ours = Side { addr: stand.proxy, pids: stand.proxy_pids()? };
    let peer = Side { addr: nginx.addr, pids: nginx.pids() };
    for side in [&ours, &peer] {
        wrk::run(side.addr, HOST, "/1k", (16, WARM_SECONDS)).await?;
    }
    for (path, connections, must) in [("/1k", 16, 1.35), ("/1k", 64, 1.35), ("/64k", 16, 1.0), ("/64k", 64, 1.0)] {
        let mut values = [Vec::new(), Vec::new()];
        let mut rates = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            // Who goes first changes, so that a drift of the machine favours nobody.
            for turn in 0..2 {
                let which = (round + turn) % 2;
                let (cpu, rate) = [&ours, &peer][which].run(path, connections).await?;
                values[which].push(cpu);
                rates[which].push(rate);
            }
        }
        let [mine, theirs] = values;
        progress(&format!("{path} at {connections}: requests/s {:.0?} and nginx {:.0?}", rates[0], rates[1]));
        let metric = format!("cpu per request, {} KiB, {connections} connections", path.trim_matches(['/', 'k']));
        Measured { bench: "proxy", metric, unit: "us", values: mine, peer: Some(("nginx", theirs)) }.judge(
            Some(Bound::ratio_at_most(must)),
            Some(Bound::ratio_at_most(1.0)),
            &mut verdict,
        );
    }
    nginx.end().await;
    end(backend).await;
    Ok(verdict)
}

/// What is measured, or its peer.
pub(super) struct Side {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its processes.
    pub pids: Vec<u32>,
}

impl Side {
    /// Microseconds of processor time per request, and requests per second.
    pub(super) async fn run(&self, path: &str, connections: u32) -> Result<(f64, f64)> {
        let before = process::cpu(&self.pids);
        let run = wrk::run(self.addr, HOST, path, (connections, SECONDS)).await?;
        // The last lines of the access log may still be written.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let spent = process::cpu(&self.pids).saturating_sub(before);
        Ok((spent.as_secs_f64() * 1e6 / run.requests, run.rate))
    }
}

async fn end(mut child: Child) {
    drop(child.start_kill());
    drop(child.wait().await);
}

/// Leads the host to the origin, as the engine would.
async fn route(stand: &Stand, origin: SocketAddr) -> Result {
    let target = wire::Target { unit: "bench".into(), place: wire::Place::Address(origin.ip()) };
    put(stand, 1, origin.port(), target).await
}

/// Leads the host to one target, as the engine would.
pub(super) async fn put(stand: &Stand, generation: u64, port: u16, target: wire::Target) -> Result {
    let socket = stand.data().join("proxy").join("admin.sock");
    let table: wire::Table = serde_json::from_str(&crate::http::unix(&socket, "GET", "/v1/table", "").await?)?;
    let put = wire::Put {
        workload: "bench".into(),
        name: "bench/bench".into(),
        log: "bench".into(),
        generation,
        router_boot: table.router_boot,
        writer_epoch: 1,
        witness: wire::Witness::default(),
        routes: vec![wire::Route { host: HOST.into(), path: "/".into(), port, strip: false, address: None }],
        targets: vec![target],
        former: Vec::new(),
        probe: None,
        names: None,
        policy: wire::RoutePolicy { drain_ms: 1000, half_close: false },
    };
    crate::http::unix(&socket, "PUT", "/v1/routes", &serde_json::to_string(&put)?).await.map(drop)
}
