//! Files of a site: processor time per request against nginx, and the swap to a release of 10,000 files.

use std::path::{Path, PathBuf};

use cutover_proxy::wire;
use cutover_site::manifest::Settings;
use cutover_site::release::{Sites, Source};
use tokio::time::Instant;

use super::nginx::{Nginx, Serves};
use super::proxy::{HOST, Side, put};
use super::{Bound, Measured, ROUNDS, millis, wrk};
use crate::Result;
use crate::report::{Verdict, progress};
use crate::stand::Stand;

/// Before the first measurement, seconds.
const WARM_SECONDS: u32 = 2;
/// Files of the large release.
const MANY: usize = 10_000;
/// Most that a swap to it may take, ms.
const SWAP_MS: f64 = 50.0;

pub(super) async fn measure(stand: &Stand) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    stand.start_proxy().await?;
    serve(stand, &mut verdict).await?;
    swap(stand, &mut verdict).await?;
    Ok(verdict)
}

async fn serve(stand: &Stand, verdict: &mut Verdict) -> Result {
    let source = stand.folder().join("few");
    std::fs::create_dir_all(&source)?;
    for (name, size) in [("index.html", 1024), ("1k.html", 1024), ("64k.html", 64 * 1024), ("1m.bin", 1024 * 1024)] {
        std::fs::write(source.join(name), "x".repeat(size))?;
    }
    put(stand, 1, 0, target("few", make(stand, "few", &source)?)).await?;
    let nginx = Nginx::start(stand, Serves::Folder(&source)).await?;
    let ours = Side { addr: stand.proxy, pids: stand.proxy_pids()? };
    let peer = Side { addr: nginx.addr, pids: nginx.pids() };
    for (side, path) in [(&ours, "/1k"), (&peer, "/1k.html")] {
        wrk::run(side.addr, HOST, path, (16, WARM_SECONDS)).await?;
    }
    for (name, size, connections) in
        [("/1k.html", 1, 16), ("/1k.html", 1, 64), ("/64k.html", 64, 16), ("/64k.html", 64, 64), ("/1m.bin", 1024, 16)]
    {
        // A page has one address here: the one without its ending.
        let paths = [name.strip_suffix(".html").unwrap_or(name), name];
        let mut values = [Vec::new(), Vec::new()];
        let mut rates = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            // Who goes first changes, so that a drift of the machine favours nobody.
            for turn in 0..2 {
                let which = (round + turn) % 2;
                let (cpu, rate) = [&ours, &peer][which].run(paths[which], connections).await?;
                values[which].push(cpu);
                rates[which].push(rate);
            }
        }
        let [mine, theirs] = values;
        progress(&format!("{name} at {connections}: requests/s {:.0?} and nginx {:.0?}", rates[0], rates[1]));
        let metric = format!("cpu per request, {size} KiB, {connections} connections");
        // What is larger than a page is measured and not judged.
        let must = (size <= 64).then(|| Bound::ratio_at_most(1.15));
        Measured { bench: "static", metric, unit: "us", values: mine, peer: Some(("nginx", theirs)) }.judge(
            must,
            Some(Bound::ratio_at_most(1.0)),
            verdict,
        );
    }
    nginx.end().await;
    Ok(())
}

async fn swap(stand: &Stand, verdict: &mut Verdict) -> Result {
    let source = stand.folder().join("many");
    many_files(&source)?;
    let mut made = [Vec::new(), Vec::new()];
    let mut swaps = Vec::new();
    for round in 0..=ROUNDS {
        let unit = format!("many{round}");
        std::fs::write(source.join("index.html"), format!("home {round}"))?;
        let started = Instant::now();
        let folder = make(stand, &unit, &source)?;
        made[usize::from(round > 0)].push(millis(started));
        let started = Instant::now();
        put(stand, u64::try_from(round)? + 2, 0, target(&unit, folder)).await?;
        swaps.push(millis(started));
    }
    let [first, next] = made;
    for (metric, values) in [("make 10,000 files", first), ("make 10,000 files, one of them new", next)] {
        Measured { bench: "static", metric: metric.into(), unit: "ms", values, peer: None }.judge(None, None, verdict);
    }
    let metric = "swap to 10,000 files already there".into();
    Measured { bench: "static", metric, unit: "ms", values: swaps, peer: None }.judge(
        Some(Bound::at_most(SWAP_MS)),
        None,
        verdict,
    );
    Ok(())
}

/// Writes that many pages into a folder, and a home.
pub(super) fn many_files(folder: &Path) -> Result {
    for n in 0..MANY {
        let below = folder.join(format!("{:02}", n % 100));
        std::fs::create_dir_all(&below)?;
        std::fs::write(below.join(format!("page-{n}.html")), format!("<h1>{n}</h1>"))?;
    }
    Ok(std::fs::write(folder.join("index.html"), "home")?)
}

fn make(stand: &Stand, unit: &str, source: &Path) -> Result<PathBuf> {
    let sites = Sites::of(&stand.data());
    Ok(sites.make(("bench", unit), Source::Folder(source), &Settings::default())?.folder)
}

fn target(unit: &str, folder: PathBuf) -> wire::Target {
    wire::Target { unit: unit.into(), place: wire::Place::Folder(folder) }
}
