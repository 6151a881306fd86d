//! A workload that is built from a folder by its Dockerfile: swapped under load, built once for the same files, told when
//! it fails, and going on after a kill in the middle of a build.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::Result;
use crate::judge::{Promised, judge, no_failures};
use crate::load::{Load, Plan};
use crate::report::{Verdict, line, progress};
use crate::sample::{self, PORT};
use crate::stand::{Stand, Workload, field};

/// Swapped beside what runs.
const WEB: &str = "web";
/// Recreated.
const ALONE: &str = "alone";
/// Refused, or never built.
const BAD: &str = "bad";
/// Failed before the swap.
const BEFORE_SWAP: i32 = 10;
/// Superseded.
const SUPERSEDED: i32 = 13;
/// Cancelled.
const CANCELLED: i32 = 14;
/// Refused.
const REFUSED: i32 = 15;
/// A step that goes on until it is ended: the program serves.
const HANGS: &str = "RUN [\"/app\"]\n";
/// A step that cannot run.
const FAILS: &str = "RUN [\"/not-there\"]\n";
/// How long a build may take to come to its step: Docker gets the whole context first.
const STEP: Duration = Duration::from_secs(30);

/// The folder that is built, and who builds it.
struct Folder<'a> {
    stand: &'a Stand,
    path: PathBuf,
}

pub(super) async fn prove(stand: &Stand, n: u32) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let folder = Folder::make(stand).await?;
    stand.start_proxy().await?;
    stand.start_engine().await?;
    folder.refused(&mut verdict).await?;
    folder.write("v0", "")?;
    stand.must(&["apply", &folder.apply(WEB, "blue-green")?]).await?;
    folder.answers(&mut verdict, WEB, "v0").await?;
    let load = Load::start(&Plan::mixed(stand.proxy, &stand.host(WEB)));
    for number in 1..=n {
        let version = format!("v{number}");
        folder.write(&version, "")?;
        let (began, said) = (Instant::now(), folder.deploy(WEB).await?);
        verdict.same(&format!("the exit code of build {number}"), said, 0);
        folder.answers(&mut verdict, WEB, &version).await?;
        let (failed, of) = load.so_far();
        let ms = began.elapsed().as_millis() as u64;
        line(&json!({"prove": "sources", "n": number, "ms": ms, "failed": failed, "requests": of}));
        progress(&format!("build {number} of {n}; failed requests: {failed} of {of}"));
    }
    let version = format!("v{n}");
    folder.once(&mut verdict).await?;
    folder.failures(&mut verdict, &version).await?;
    folder.write("after", "")?;
    folder.middle(&mut verdict).await?;
    let summary = load.stop().await;
    line(&summary);
    progress(&summary.sentence());
    no_failures(&mut verdict, &summary, u64::from(n) + 2);
    folder.recreated(&mut verdict).await?;
    line(&judge(&stand.subject(), &Promised::default(), &mut verdict).await?);
    for name in [WEB, ALONE, BAD] {
        for _ in 0..2 {
            stand.ask(&["teardown", &stand.full_name(name)]).await?;
        }
    }
    verdict.same("containers and networks left after the teardown", stand.left_on_docker().await?, 0);
    Ok(verdict)
}

impl<'a> Folder<'a> {
    /// A folder that sources may be read from, with the program in it.
    async fn make(stand: &'a Stand) -> Result<Self> {
        let sources = stand.folder().join("src");
        let path = sources.join("app");
        std::fs::create_dir_all(&path)?;
        std::fs::copy(sample::program().await?, path.join("app"))?;
        let config = std::fs::read_to_string(stand.config())?;
        std::fs::write(stand.config(), format!("{config}\n[limits]\nsources = [\"{}\"]\n", sources.display()))?;
        Ok(Self { stand, path })
    }

    /// The Dockerfile of a version, with more instructions before its end.
    fn write(&self, version: &str, more: &str) -> Result {
        let text = format!(
            "FROM scratch\nCOPY app /app\nENV VERSION={version}\nEXPOSE {PORT}\n{more}ENTRYPOINT [\"/app\"]\n"
        );
        Ok(std::fs::write(self.path.join("Dockerfile"), text)?)
    }

    /// The file of a workload that is built from the folder.
    fn apply(&self, name: &str, strategy: &str) -> Result<String> {
        self.file(name, &self.path.display().to_string(), strategy)
    }

    fn file(&self, name: &str, context: &str, strategy: &str) -> Result<String> {
        let workload = Workload::new(name, "").policy("bake", "1s").line(&format!("strategy = \"{strategy}\""));
        let file = workload.file(self.stand).replace("image  = \"\"", &format!("dockerfile = \"{context}\""));
        self.stand.write(&format!("{name}.toml"), &file)
    }

    async fn deploy(&self, name: &str) -> Result<i32> {
        Ok(self.stand.ask(&["deploy", &self.stand.full_name(name), "--json"]).await?.code)
    }

    async fn answers(&self, verdict: &mut Verdict, name: &str, version: &str) -> Result {
        let served = self.stand.get(name, "/version").await?;
        verdict.same(&format!("what {name} serves"), served, (200, version.to_owned()));
        Ok(())
    }

    /// What may not be read is refused, and what has no Dockerfile fails; both say why, and nothing runs.
    async fn refused(&self, verdict: &mut Verdict) -> Result {
        let outside = self.stand.folder().display().to_string();
        let said = self.stand.ask(&["apply", &self.file(BAD, &outside, "blue-green")?]).await?;
        let told = said.err.contains("[limits] sources");
        verdict.same("a folder outside of [limits] sources: exit code, key told", (said.code, told), (REFUSED, true));
        let said = self.stand.ask(&["apply", &self.apply(BAD, "blue-green")?]).await?;
        let told = said.err.contains("there is no Dockerfile");
        verdict.same("a folder without a Dockerfile: exit code, told", (said.code, told), (BEFORE_SWAP, true));
        Ok(())
    }

    /// The same files are built once, and it is said.
    async fn once(&self, verdict: &mut Verdict) -> Result {
        verdict.same("the exit code of a deployment of the same files", self.deploy(WEB).await?, 0);
        let timeline = self.stand.timeline(WEB).await?;
        let resolved = timeline.iter().rev().find(|event| event["event"] == "ReleaseResolved");
        let reused = resolved.and_then(|event| field(event, "built")).map(|built| built["reused"].clone());
        verdict.same("whether the same files were built once", reused, Some(Value::Bool(true)));
        Ok(())
    }

    /// A step that fails and a version that ends leave what runs as it is.
    async fn failures(&self, verdict: &mut Verdict, serves: &str) -> Result {
        self.write("fails", FAILS)?;
        let said = self.stand.ask(&["deploy", &self.stand.full_name(WEB)]).await?;
        let told = said.err.contains("/not-there") && said.err.contains("last output of its build");
        verdict.same("a step that fails: exit code, told", (said.code, told), (BEFORE_SWAP, true));
        let name = self.stand.full_name(WEB);
        let said = self.stand.must(&["logs", &name, "--build", "--grep", "NOT-THERE"]).await?;
        verdict.same("whether the step is found in the log", said.out.contains("/not-there"), true);
        let said = self.stand.must(&["logs", &name, "--build"]).await?;
        verdict.same("whether the log is whole", said.out.contains("FROM scratch"), true);
        self.write("ends", "ENV EXIT_AT_START=1\n")?;
        verdict.same("the exit code of a version that ends", self.deploy(WEB).await?, BEFORE_SWAP);
        self.answers(verdict, WEB, serves).await
    }

    /// Kill, supersede and cancel in the middle of a build.
    async fn middle(&self, verdict: &mut Verdict) -> Result {
        let id = self.hanging().await?;
        self.stand.kill_engine().await?;
        self.write("killed", "")?;
        self.stand.start_engine().await?;
        verdict.same("the exit code after a kill in mid-build", self.wait(&id).await?, 0);
        self.answers(verdict, WEB, "killed").await?;
        let id = self.hanging().await?;
        self.write("newer", "")?;
        verdict.same("the exit code of what supersedes a build", self.deploy(WEB).await?, 0);
        verdict.same("the exit code of a superseded build", self.wait(&id).await?, SUPERSEDED);
        self.answers(verdict, WEB, "newer").await?;
        let id = self.hanging().await?;
        self.stand.must(&["cancel", &id]).await?;
        verdict.same("the exit code of a cancelled build", self.wait(&id).await?, CANCELLED);
        self.answers(verdict, WEB, "newer").await
    }

    /// A deployment whose build is in a step that does not end by itself.
    async fn hanging(&self) -> Result<String> {
        self.write("hangs", HANGS)?;
        let name = self.stand.full_name(WEB);
        let id = self.stand.must(&["deploy", &name, "--detach", "--json"]).await?.text("deployment_id")?;
        let began = Instant::now();
        loop {
            let said = self.stand.ask(&["logs", &name, "--build", "--deployment", &id]).await?;
            if said.out.contains("RUN [\"/app\"]") || said.out.contains("RUN /app") {
                return Ok(id);
            }
            if began.elapsed() > STEP {
                return Err(format!("{id} does not come to its step: {}", said.told()).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn wait(&self, id: &str) -> Result<i32> {
        Ok(self.stand.ask(&["wait", id, "--json"]).await?.code)
    }

    /// Recreated: requests are held meanwhile, and answered.
    async fn recreated(&self, verdict: &mut Verdict) -> Result {
        self.write("one", "")?;
        self.stand.must(&["apply", &self.apply(ALONE, "recreate")?]).await?;
        self.answers(verdict, ALONE, "one").await?;
        self.write("two", "")?;
        let (mut answered, mut bad) = (0, Vec::new());
        let deploying = self.deploy(ALONE);
        tokio::pin!(deploying);
        let code = loop {
            tokio::select! {
                code = &mut deploying => break code?,
                got = self.stand.get(ALONE, "/version") => match got {
                    Ok((200, _)) => answered += 1,
                    other => bad.push(format!("{other:?}")),
                },
            }
        };
        verdict.same("the exit code of a recreated build", code, 0);
        verdict.same("requests that were not answered while it was recreated", bad, Vec::<String>::new());
        self.answers(verdict, ALONE, "two").await?;
        line(&json!({"prove": "sources", "case": "recreate", "answered": answered}));
        Ok(())
    }
}
