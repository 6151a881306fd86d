//! Memory and processor time at rest with 10 workloads.

use std::time::Duration;

use super::{Bound, Measured, ROUNDS};
use crate::report::{Verdict, progress};
use crate::sample::Version;
use crate::stand::{Stand, Workload};
use crate::{Result, process};

/// Workloads that run meanwhile.
const WORKLOADS: usize = 10;
/// Between the last deployment and the first measurement.
const SETTLE: Duration = Duration::from_secs(10);
/// One measurement of processor time.
const WATCH: Duration = Duration::from_secs(30);

pub(super) async fn measure(stand: &Stand) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let image = Version::good("v1").make(&stand.docker).await?;
    stand.start_proxy().await?;
    stand.start_engine().await?;
    let names: Vec<String> = (1..=WORKLOADS).map(|number| format!("web{number}")).collect();
    for name in &names {
        let file = stand.write(&format!("{name}.toml"), &Workload::new(name, &image).file(stand))?;
        stand.must(&["apply", &file]).await?;
    }
    tokio::time::sleep(SETTLE).await;
    let engine = vec![stand.engine_pid()?];
    let proxy = stand.proxy_pids()?;
    let mut rest = Rest::default();
    for round in 0..ROUNDS {
        let before = (process::cpu(&engine), process::cpu(&proxy));
        tokio::time::sleep(WATCH).await;
        let part = |pids: &[u32], before: Duration| {
            process::cpu(pids).saturating_sub(before).as_secs_f64() / WATCH.as_secs_f64() * 100.0
        };
        rest.engine_cpu.push(part(&engine, before.0));
        rest.proxy_cpu.push(part(&proxy, before.1));
        let (mine, theirs) = (process::pss_mib(&engine)?, process::pss_mib(&proxy)?);
        rest.engine.push(mine);
        rest.proxy.push(theirs);
        rest.both.push(mine + theirs);
        progress(&format!("round {}: engine {mine:.1} MiB, proxy {theirs:.1} MiB", round + 1));
    }
    rest.judge(&mut verdict);
    for name in &names {
        stand.must(&["teardown", &stand.full_name(name)]).await?;
    }
    Ok(verdict)
}

/// One value per round.
#[derive(Default)]
struct Rest {
    engine: Vec<f64>,
    proxy: Vec<f64>,
    both: Vec<f64>,
    engine_cpu: Vec<f64>,
    proxy_cpu: Vec<f64>,
}

impl Rest {
    fn judge(self, verdict: &mut Verdict) {
        let figure =
            |metric: &str, unit, values| Measured { bench: "idle", metric: metric.into(), unit, values, peer: None };
        figure("engine, PSS", "MiB", self.engine).judge(Some(Bound::at_most(30.0)), None, verdict);
        figure("proxy with its parent, PSS", "MiB", self.proxy).judge(Some(Bound::at_most(15.0)), None, verdict);
        figure("both together, PSS", "MiB", self.both).judge(None, Some(Bound::at_most(30.0)), verdict);
        figure("engine, part of a core", "%", self.engine_cpu).judge(Some(Bound::at_most(0.5)), None, verdict);
        figure("proxy with its parent, part of a core", "%", self.proxy_cpu).judge(
            Some(Bound::at_most(0.5)),
            None,
            verdict,
        );
    }
}
