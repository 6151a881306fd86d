//! The rows of the matrix: each source with each strategy, and how a version of it is made.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;
use crate::sample::{PORT, Version, replace};
use crate::stand::{Stand, Workload};

/// A source with a strategy.
pub(in crate::prove) struct Row {
    /// Of its workload.
    pub(in crate::prove) name: &'static str,
    made: Made,
    strategy: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum Made {
    Image,
    Dockerfile,
    Site,
    Stack,
}

/// Why a version does not come to serve.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::prove) enum Ill {
    /// It ends as soon as it starts.
    Exits,
    /// It runs, and says that it is not ready.
    NeverReady,
    /// There is nothing to run: the image is unknown, the build fails, the page is missing, `up` fails.
    NotMade,
    /// The command that has to run before it fails.
    Command,
}

impl Ill {
    /// For sentences.
    pub(super) fn told(self) -> &'static str {
        match self {
            Self::Exits => "a version that exits",
            Self::NeverReady => "a version that is never ready",
            Self::NotMade => "a version that cannot be made",
            Self::Command => "a release command that fails",
        }
    }
}

/// All of them.
pub(in crate::prove) const ROWS: [Row; 7] = [
    Row { name: "image-green", made: Made::Image, strategy: "blue-green" },
    Row { name: "image-again", made: Made::Image, strategy: "recreate" },
    Row { name: "built-green", made: Made::Dockerfile, strategy: "blue-green" },
    Row { name: "built-again", made: Made::Dockerfile, strategy: "recreate" },
    Row { name: "site-green", made: Made::Site, strategy: "blue-green" },
    Row { name: "site-again", made: Made::Site, strategy: "recreate" },
    Row { name: "stack-again", made: Made::Stack, strategy: "recreate" },
];

/// The drain of a stack. Where a network was made anew a moment ago, the first packets to a container may be lost, and the
/// kernel sends them again after a second: a drain that is shorter cuts requests that nobody has been slow with.
const STACK_DRAIN: &str = "1500ms";
/// Different images.
const IMAGES: u32 = 4;
/// A deployment of a site with its drain.
const SITE: Duration = Duration::from_millis(700);
/// Requests a second to what is replaced without a gap.
const RATE: u32 = 200;
/// Requests a second to what goes away in between: the proxy holds 1,024 at once, for some seconds.
const HELD_RATE: u32 = 50;

impl Row {
    /// Whether something serves at every moment.
    pub(super) fn is_gapless(&self) -> bool {
        self.made == Made::Site || self.strategy == "blue-green"
    }

    /// Requests a second.
    pub(super) fn rate(&self) -> u32 {
        if self.is_gapless() { RATE } else { HELD_RATE }
    }

    /// The name of a version. Images are few, because they stay with Docker.
    pub(in crate::prove) fn version(&self, number: u32) -> String {
        if self.made == Made::Image { format!("m{}", number % IMAGES) } else { format!("v{number}") }
    }

    /// How long a deployment takes, where one of a container takes that.
    pub(super) fn span(&self, container: Duration) -> Duration {
        if self.made == Made::Site { SITE } else { container }
    }

    /// In which ways its versions can be ill.
    pub(super) fn ills(&self) -> &'static [Ill] {
        match self.made {
            Made::Image | Made::Dockerfile => &[Ill::Exits, Ill::NeverReady, Ill::NotMade, Ill::Command],
            Made::Site => &[Ill::NotMade],
            Made::Stack => &[Ill::Exits, Ill::NotMade],
        }
    }

    /// Its folder.
    pub(super) fn folder(&self, stand: &Stand) -> PathBuf {
        stand.sources().join(self.name)
    }

    /// Prepares a version; what `deploy` has to be told of it.
    pub(in crate::prove) async fn prepare(&self, stand: &Stand, name: &str, ill: Option<Ill>) -> Result<Vec<String>> {
        let folder = self.folder(stand);
        std::fs::create_dir_all(&folder)?;
        let version = match ill {
            Some(Ill::Exits) => Version::with(name, &["EXIT_AT_START=1"]),
            Some(Ill::NeverReady) => Version::with(name, &["STATUS_500=1"]),
            Some(Ill::NotMade | Ill::Command) | None => Version::good(name),
        };
        match self.made {
            Made::Image if ill == Some(Ill::NotMade) => Ok(vec!["--image".into(), "cutover-lab/none:1".into()]),
            Made::Image => Ok(vec!["--image".into(), version.make(&stand.docker).await?]),
            Made::Dockerfile => self.context(stand, version, ill).await,
            Made::Site => site(&folder, name, ill),
            Made::Stack => stack(stand, &folder, &version, ill).await,
        }
    }

    async fn context(&self, stand: &Stand, mut version: Version, ill: Option<Ill>) -> Result<Vec<String>> {
        // The steps of no other run are found in Docker's cache.
        version.env.push(format!("RUN_OF={}", stand.project));
        let fails = ["RUN [\"/app\", \"build\"]"];
        let lines = if ill == Some(Ill::NotMade) { &fails[..] } else { &[] };
        version.context(&self.folder(stand), lines).await?;
        Ok(Vec::new())
    }

    /// Its workload file; with a command before each version, where that is the illness.
    pub(in crate::prove) async fn file(
        &self,
        stand: &Stand,
        (current, secret): (&str, &str),
        ill: Option<Ill>,
    ) -> Result<String> {
        let folder = self.folder(stand);
        let strategy = format!("strategy = \"{}\"", self.strategy);
        let source = match self.made {
            Made::Image => format!("image = \"{}\"", Version::good(current).make(&stand.docker).await?),
            Made::Dockerfile => format!("dockerfile = \"{}\"", folder.display()),
            Made::Site => format!("static = \"{}\"", folder.display()),
            Made::Stack => return Ok(self.stack_file(stand, &folder, secret)),
        };
        let mut workload = Workload::of(self.name, &format!("{source}\n{strategy}")).policy("drain", "500ms");
        if self.made != Made::Site {
            workload = workload.policy("bake", "300ms").policy("gate_timeout", "4s").env("TOKEN", secret);
        }
        if ill == Some(Ill::Command) {
            workload = workload.line("release = [\"build\"]");
        }
        Ok(workload.file(stand))
    }

    fn stack_file(&self, stand: &Stand, folder: &Path, secret: &str) -> String {
        format!(
            "project = \"{}\"\n\n[workloads.{name}]\ncompose = \"{}\"\nenv = {{ TOKEN = \"{secret}\" }}\n\n\
             [[workloads.{name}.routes]]\nhost = \"{}\"\nservice = \"web\"\nport = {PORT}\n\n\
             [workloads.{name}.policy]\nliveness = \"300ms\"\ndrain = \"{STACK_DRAIN}\"\n",
            stand.project,
            folder.join("compose.yml").display(),
            stand.host(self.name),
            name = self.name,
        )
    }
}

/// A page, and which version it is.
fn site(folder: &Path, name: &str, ill: Option<Ill>) -> Result<Vec<String>> {
    replace(&folder.join("version"), name.as_bytes())?;
    let page = folder.join("index.html");
    match ill {
        Some(_) => std::fs::remove_file(page)?,
        None => replace(&page, name.as_bytes())?,
    }
    Ok(Vec::new())
}

/// Two services, of which one is another version each time: by a file beside, so that every deployment reads it anew.
async fn stack(stand: &Stand, folder: &Path, version: &Version, ill: Option<Ill>) -> Result<Vec<String>> {
    let image = Version::good("v1").make(&stand.docker).await?;
    let web = if ill == Some(Ill::NotMade) { "cutover-lab/none:1" } else { &image };
    let file = format!(
        "services:\n  web:\n    image: {web}\n    env_file: web.env\n    environment: [TOKEN]\n  \
         other:\n    image: {image}\n"
    );
    replace(&folder.join("compose.yml"), file.as_bytes())?;
    let lines: Vec<String> = version.env.iter().map(|pair| format!("{pair}\n")).collect();
    let settings = format!("VERSION={}\n{}", version.name, lines.concat());
    replace(&folder.join("web.env"), settings.as_bytes())?;
    Ok(Vec::new())
}
