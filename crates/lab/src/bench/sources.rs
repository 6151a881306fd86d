//! What is built and what Compose carries out, against the bare programs; files of many workloads; a site of many files.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;
use tokio::time::Instant;

use super::deploy::Floor;
use super::{Bound, Measured, ROUNDS, median, millis, sites};
use crate::report::{Verdict, progress};
use crate::sample::{PORT, Version};
use crate::stand::{Stand, Workload, ms_between};
use crate::{Result, labels};

/// Builds per round, and as many bare ones.
const BUILDS: usize = 6;
/// Redeployments of the stack per round, and as many bare ones.
const UPS: usize = 3;
/// A step that runs a program, so that a build is more than a copy.
const STEP: &str = "RUN [\"/app\", \"build\", \"0\"]";
/// Workloads of the large file.
const MANY: usize = 1_000;
/// Most that the judgement on that file, its plan and its record may take, ms.
const MANY_MS: f64 = 1_000.0;
/// Most that a swap to a site that is there already may take, ms.
const SWAP_MS: f64 = 50.0;
/// Most that a build with its swap may take beyond `docker build` and the start of the same container, ms.
const BUILD_MS: f64 = 200.0;
/// Most that a stack may take beyond the bare command, ms.
const UP_MS: f64 = 300.0;

pub(super) async fn measure(stand: &Stand) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    stand.start_proxy().await?;
    stand.start_engine().await?;
    many(stand, &mut verdict).await?;
    built(stand, &mut verdict).await?;
    composed(stand, &mut verdict).await?;
    swapped(stand, &mut verdict).await?;
    for name in ["api", "shop", "www"] {
        stand.must(&["teardown", &stand.full_name(name), "--yes"]).await?;
    }
    Ok(verdict)
}

/// Applies a workload; the deployment that comes of it, and the milliseconds from its durable wish to its swap.
async fn apply(stand: &Stand, name: &str, text: &str) -> Result<(String, f64)> {
    let file = stand.write(&format!("{name}.toml"), text)?;
    stand.must(&["apply", &file]).await?;
    let events = stand.timeline(name).await?;
    let queued = events.iter().rfind(|event| event["event"] == "IntentQueued");
    let id = queued.and_then(|event| event["deployment_id"].as_str()).ok_or("no deployment came of the apply")?;
    Ok((id.to_owned(), ms_between(&events, id, "IntentQueued", "Swapped")? as f64))
}

/// One deployment, and the milliseconds from its durable wish to its swap.
async fn deploy(stand: &Stand, name: &str, command: &[&str]) -> Result<(String, f64)> {
    let name_in_full = stand.full_name(name);
    let args = [&[command[0], &name_in_full, "--json"], &command[1..]].concat();
    let id = stand.must(&args).await?.text("deployment_id")?;
    let took = ms_between(&stand.timeline(name).await?, &id, "IntentQueued", "Swapped")?;
    Ok((id, took as f64))
}

/// Runs a program of the peer to its end.
async fn bare(program: &str, args: &[&str], folder: &Path) -> Result {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| format!("{program} does not run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr)).into())
}

async fn built(stand: &Stand, verdict: &mut Verdict) -> Result {
    let (ours, theirs) = (stand.sources().join("api"), stand.folder().join("bare"));
    // Each version is one that Docker has not built before, here or there.
    let version = |of: &str| Version::good(&format!("{of}-{}", stand.project));
    version("first").context(&ours, &[STEP]).await?;
    let workload = Workload::of("api", &format!("dockerfile = \"{}\"\nstrategy = \"blue-green\"", ours.display()));
    apply(stand, "api", &workload.policy("bake", "200ms").policy("drain", "200ms").file(stand)).await?;
    let floor = Floor::new(stand).await?;
    let mut values = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        let (mut mine, mut bares) = (Vec::new(), Vec::new());
        for number in 0..BUILDS {
            let unit = format!("{round}-{number}");
            let reference = format!("{}-bare:{unit}", stand.project);
            version(&format!("bare-{unit}")).context(&theirs, &[STEP]).await?;
            let began = Instant::now();
            bare("docker", &["build", "--quiet", "--tag", &reference, "."], &theirs).await?;
            let build = millis(began);
            bares.push(build + floor.start(&reference, &format!("build-{unit}")).await?);
            bare("docker", &["image", "rm", "--force", &reference], &theirs).await?;
            version(&format!("ours-{unit}")).context(&ours, &[STEP]).await?;
            mine.push(deploy(stand, "api", &["deploy"]).await?.1);
        }
        progress(&format!("builds, round {}: {:.0} ms, bare {:.0} ms", round + 1, median(&mine), median(&bares)));
        values[0].push(median(&mine));
        values[1].push(median(&bares));
    }
    let [mine, bares] = values;
    Measured {
        bench: "sources",
        metric: format!("dockerfile, intent accepted to swapped, median of {BUILDS}"),
        unit: "ms",
        values: mine,
        peer: Some(("docker build, create to ready", bares)),
    }
    .judge(Some(Bound::above_peer(BUILD_MS)), None, verdict);
    Ok(())
}

/// A stack of two services, of which one is another version each time.
fn stack(stand: &Stand, image: &str, constant: &str) -> String {
    let label = format!("labels: {{ {}: \"{}\" }}", labels::LAB, stand.project);
    format!(
        "services:\n  web:\n    image: {image}\n    {label}\n  other:\n    image: {constant}\n    {label}\n\
         networks:\n  default:\n    {label}\n"
    )
}

async fn composed(stand: &Stand, verdict: &mut Verdict) -> Result {
    let images = [Version::good("v1").make(&stand.docker).await?, Version::good("v2").make(&stand.docker).await?];
    let (ours, theirs) = (stand.sources().join("shop"), stand.folder().join("bare-shop"));
    let write = |folder: &PathBuf, number: usize| -> Result {
        std::fs::create_dir_all(folder)?;
        Ok(std::fs::write(folder.join("compose.yml"), stack(stand, &images[number % 2], &images[0]))?)
    };
    write(&theirs, 0)?;
    write(&ours, 0)?;
    let file = format!(
        "project = \"{}\"\n\n[workloads.shop]\ncompose = \"{}\"\n\n[[workloads.shop.routes]]\nhost = \"{}\"\n\
         service = \"web\"\nport = {PORT}\n\n[workloads.shop.policy]\nliveness = \"100ms\"\ndrain = \"200ms\"\n",
        stand.project,
        ours.join("compose.yml").display(),
        stand.host("shop"),
    );
    apply(stand, "shop", &file).await?;
    let project = format!("{}-bare", stand.project);
    let up = ["--project-name", &project, "up", "--detach", "--remove-orphans"];
    bare("docker-compose", &up, &theirs).await?;
    let mut values = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        let (mut mine, mut bares) = (Vec::new(), Vec::new());
        for number in 1..=UPS {
            write(&theirs, round * UPS + number)?;
            let began = Instant::now();
            bare("docker-compose", &up, &theirs).await?;
            bares.push(millis(began));
            write(&ours, round * UPS + number)?;
            mine.push(apply(stand, "shop", &file).await?.1);
        }
        progress(&format!("stacks, round {}: {:.0} ms, bare {:.0} ms", round + 1, median(&mine), median(&bares)));
        values[0].push(median(&mine));
        values[1].push(median(&bares));
    }
    bare("docker-compose", &["--project-name", &project, "down", "--volumes"], &theirs).await?;
    let [mine, bares] = values;
    Measured {
        bench: "sources",
        metric: format!("compose, intent accepted to swapped, median of {UPS}"),
        unit: "ms",
        values: mine,
        peer: Some(("docker-compose up", bares)),
    }
    .judge(Some(Bound::above_peer(UP_MS)), None, verdict);
    Ok(())
}

/// A site goes back and forth between two releases that are there.
async fn swapped(stand: &Stand, verdict: &mut Verdict) -> Result {
    let folder = stand.sources().join("www");
    sites::many_files(&folder)?;
    let file = Workload::of("www", &format!("static = \"{}\"", folder.display())).policy("drain", "200ms").file(stand);
    let first = apply(stand, "www", &file).await?.0;
    std::fs::write(folder.join("index.html"), "another home")?;
    let second = deploy(stand, "www", &["deploy"]).await?.0;
    let mut values = Vec::new();
    for to in [&first, &second].into_iter().cycle().take(2 * ROUNDS) {
        values.push(deploy(stand, "www", &["rollback", "--to", to]).await?.1);
    }
    let metric = "site of 10,000 files already there, rollback accepted to swapped".into();
    Measured { bench: "sources", metric, unit: "ms", values, peer: None }.judge(
        Some(Bound::at_most(SWAP_MS)),
        None,
        verdict,
    );
    Ok(())
}

/// Files of many workloads: judged alone, against an engine, and recorded.
async fn many(stand: &Stand, verdict: &mut Verdict) -> Result {
    let (app, site) = (stand.sources().join("one-app"), stand.sources().join("one-site"));
    Version::good("many").context(&app, &[]).await?;
    std::fs::create_dir_all(&site)?;
    std::fs::write(site.join("index.html"), "home")?;
    let sources = [
        "image = \"registry.example/app:1.4\"\nport = 8080".to_owned(),
        format!("dockerfile = \"{}\"\nport = 8080", app.display()),
        format!("static = \"{}\"", site.display()),
        "compose = { compose_yaml = \"services: { web: { image: 'registry.example/web:1' } }\" }".to_owned(),
    ];
    // Compose itself is asked about each stack that an engine plans, for a third of a second and more each.
    for (of, kinds, command) in [
        ("workloads", &sources[..], &["check"][..]),
        ("workloads without stacks", &sources[..3], &["plan"]),
        ("workloads without stacks", &sources[..3], &["apply", "--no-deploy"]),
    ] {
        let file = stand.write("many.toml", &many_of(&stand.project, kinds))?;
        let mut values = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            stand.must(&[command, &[&file]].concat()).await?;
            values.push(millis(began));
        }
        let metric = format!("{} of a file with 1,000 {of}", command[0]);
        Measured { bench: "sources", metric, unit: "ms", values, peer: None }.judge(
            Some(Bound::at_most(MANY_MS)),
            None,
            verdict,
        );
    }
    Ok(())
}

/// A file of workloads, each of the next kind.
fn many_of(project: &str, kinds: &[String]) -> String {
    let mut file = format!("project = \"{project}-many\"\n");
    for (number, kind) in (0..MANY).zip(kinds.iter().cycle()) {
        file.push_str(&format!("\n[workloads.w{number}]\n{kind}\n"));
        if !kind.starts_with("compose") {
            file.push_str(&format!("host = \"w{number}.example\"\n"));
        }
    }
    file
}
