//! A builder, contexts for it, and everything that a test has made gone after it.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cutover::adapters::builder::{
    Build, BuildCommand, BuildError, Builder, BuilderKind, Built, DEADLINE, DockerBuilder, MemoryBuilder, Progress,
    WAITING,
};
use cutover::adapters::runtime::DockerConfig;
use cutover::adapters::source::Content;
use cutover::adapters::source::context::{Context, ContextLimits, Dockerfile, Packing, pack};
use cutover_events::{DeploymentId, LogId, WorkloadId};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::docker;

/// What a test builds with.
pub(crate) struct Stand {
    pub(crate) builder: Arc<dyn Builder>,
    pub(crate) kind: BuilderKind,
    pub(crate) log: LogId,
    /// Whether it is Docker.
    pub(crate) real: bool,
    /// In the name of what a test runs, so that it finds its own processes.
    pub(crate) mark: String,
    folder: TempDir,
}

/// The outcome of a build, with what it told.
pub(crate) type Outcome = (Result<Built, BuildError>, Vec<String>);

async fn real(name: &str, kind: BuilderKind) -> Stand {
    let builder = Arc::new(DockerBuilder::new(DockerConfig::default().socket));
    let stand = Stand { real: true, ..stand(name, kind, builder) };
    sweep(stand.log).await;
    stand
}

fn stand(name: &str, kind: BuilderKind, builder: Arc<dyn Builder>) -> Stand {
    let log = docker::log_id(&format!("builder {name}"));
    let folder = tempfile::tempdir().expect("a folder");
    let mark = format!("mark-{log}");
    Stand { builder, kind, log, real: false, mark, folder }
}

pub(crate) async fn buildkit(name: &str) -> Stand {
    real(name, BuilderKind::BuildKit).await
}

pub(crate) async fn classic(name: &str) -> Stand {
    real(name, BuilderKind::Classic).await
}

pub(crate) async fn memory(name: &str) -> Stand {
    stand(name, BuilderKind::Auto, Arc::new(MemoryBuilder::default()))
}

/// Runs a test and removes what it has made, however it ends.
pub(crate) async fn run(stand: Stand, test: impl for<'a> FnOnce(&'a Stand) -> Pin<Box<dyn Future<Output = ()> + 'a>>) {
    use futures_util::FutureExt;
    let outcome = std::panic::AssertUnwindSafe(test(&stand)).catch_unwind().await;
    if stand.real {
        sweep(stand.log).await;
    }
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// Removes every image of a log.
async fn sweep(log: LogId) {
    let builder = DockerBuilder::new(DockerConfig::default().socket);
    for image in builder.images(log).await.expect("images are listed") {
        builder.remove(log, &image).await.expect("an image is removed");
    }
}

impl Stand {
    /// A context with this Dockerfile and the program that its steps run. A name of the test makes it unlike any other, so
    /// that Docker's cache knows nothing of it.
    pub(crate) fn context(&self, dockerfile: &str) -> Context {
        let folder = self.folder.path().join("context");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("Dockerfile"), dockerfile).expect("a Dockerfile");
        std::fs::write(folder.join("unique"), self.folder.path().display().to_string()).expect("a file");
        if self.real {
            std::fs::write(folder.join("shell"), docker::shell()).expect("the program");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(folder.join("shell"), mode).expect("a mode");
        }
        let packing = Packing {
            file: Dockerfile::Of("Dockerfile".to_owned()),
            scratch: self.folder.path().to_owned(),
            limits: ContextLimits::default(),
            stop: CancellationToken::new(),
        };
        pack(&folder, &packing).expect("a context")
    }

    /// A build by the `n`th deployment. Its steps come behind the program that they run.
    pub(crate) fn build(&self, n: u8, steps: &str) -> Build {
        let mut deployment = [0; 16];
        deployment[5] = n;
        Build {
            log: self.log,
            workload: WorkloadId([1; 16]),
            full_name: "test/app".to_owned(),
            deployment: DeploymentId(deployment),
            content: Content::Context(self.context(&format!("FROM scratch AS base\nCOPY unique shel[l] /\n{steps}"))),
            command: None,
            settings: Default::default(),
            routed: Vec::new(),
            target: String::new(),
            args: Default::default(),
            secrets: Vec::new(),
            logins: Vec::new(),
            platform: String::new(),
            fresh: false,
            kind: self.kind,
            deadline: DEADLINE,
        }
    }

    /// A build whose files a command makes of a page.
    pub(crate) async fn command(&self, n: u8, words: &[&str], output: &str) -> Build {
        let image = if self.real { self.image(&self.build(99, "")).await.image } else { "in memory".to_owned() };
        let folder = self.folder.path().join("page");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("index.html"), "a page").expect("a page");
        let packing = Packing {
            file: Dockerfile::Nothing,
            scratch: self.folder.path().to_owned(),
            limits: ContextLimits::default(),
            stop: CancellationToken::new(),
        };
        let command = BuildCommand {
            image,
            reference: "the-image".to_owned(),
            command: words.iter().map(|word| (*word).to_owned()).collect(),
            output: output.to_owned(),
            mac: [0; 16],
        };
        let content = Content::Context(pack(&folder, &packing).expect("a context"));
        Build { content, command: Some(command), ..self.build(n, "") }
    }

    /// Runs the command of a build, and cancels it as soon as it tells a line with `until`.
    pub(crate) async fn ran_until(&self, build: &Build, until: &str) -> (Result<PathBuf, BuildError>, Vec<String>) {
        let into = self.folder.path().join("into");
        drop(std::fs::remove_dir_all(&into));
        std::fs::create_dir_all(&into).expect("a folder");
        self.told_until(until, async |sender, stop| self.builder.run(build, &into, &sender, &stop).await).await
    }

    /// Makes a build, and cancels it as soon as it tells a line with `until`.
    pub(crate) async fn made_until(&self, build: &Build, until: &str) -> Outcome {
        self.told_until(until, async |sender, stop| self.builder.build(build, &sender, &stop).await).await
    }

    async fn told_until<T>(
        &self,
        until: &str,
        make: impl AsyncFnOnce(mpsc::Sender<Progress>, CancellationToken) -> T,
    ) -> (T, Vec<String>) {
        let (sender, mut told) = mpsc::channel::<Progress>(WAITING);
        let stop = CancellationToken::new();
        let reached = |line: &str| !until.is_empty() && line.contains(until);
        let end = || {
            assert!(!self.real || self.runs(), "the step does not run where its processes are looked for");
            stop.cancel();
        };
        let listen = async {
            let mut lines = Vec::new();
            while let Some(progress) = told.recv().await {
                lines.push(progress.to_string());
                lines.last().into_iter().filter(|line| reached(line)).for_each(|_| end());
            }
            lines
        };
        let building = make(sender, stop.clone());
        let both = async { tokio::join!(building, listen) };
        tokio::time::timeout(Duration::from_secs(120), both).await.expect("a build that ends")
    }

    /// Makes a build.
    pub(crate) async fn made(&self, build: &Build) -> Outcome {
        self.made_until(build, "").await
    }

    /// Makes a build that succeeds.
    pub(crate) async fn image(&self, build: &Build) -> Built {
        let (built, told) = self.made(build).await;
        built.unwrap_or_else(|error| panic!("{error}\n{}", told.join("\n")))
    }

    /// Whether a process of this test runs.
    pub(crate) fn runs(&self) -> bool {
        let of = |entry: &std::fs::DirEntry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).starts_with("/shell") && String::from_utf8_lossy(&line).contains(&self.mark)
        };
        std::fs::read_dir("/proc").expect("processes").flatten().any(|entry| of(&entry))
    }
}
