//! Builds: files are fetched, an image is made of them unless there is one, and what is said meanwhile is kept and shown.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cutover_domain::context::Context as Place;
use cutover_domain::observed::Class;
use cutover_domain::recipe::{Recipe, recipe};
use cutover_events::deployment::{BuiltFrom, ImageWish, ReasonKind};
use cutover_events::workload::EnvVar;
use tokio::sync::mpsc;

use super::Execution;
use super::perform::Failed;
use super::seeking::{Order, Resolved};
use crate::adapters::builder::{self, Build, BuildError, BuilderKind, Built, Progress};
use crate::adapters::runtime::Image;
use crate::adapters::source::git::{Credential, GitError};
use crate::adapters::source::{Content, Found, SourceError, Wanted};
use crate::logs::{BuildLog, Redactor};
use crate::secrets::Owner;

/// Characters of a reason that the last lines of a failed step may take: the rest of the 400 says which step it was.
const LAST_CHARS: usize = 200;
/// Characters of a step that are shown: Docker gives the whole text of an instruction of many lines.
const STEP_CHARS: usize = 120;

impl Execution {
    /// The image of what the source of the spec holds now, or at the commit of the change.
    pub(super) async fn built(&self, order: &Order) -> Result<Resolved, Failed> {
        let Some(recipe) = recipe(&order.spec.source) else {
            return Err(Failed::for_good(ReasonKind::NoPlan, "the newest spec builds no image: deploy it anew"));
        };
        let _shown = self.world.building(order.workload, order.intent.deployment);
        self.shows(order, "waits for another build to end");
        let _permit = tokio::select! {
            permit = self.builds.acquire() => permit.map_err(|_| Failed::ends())?,
            () = order.stop.cancelled() => return Err(Failed::ends()),
        };
        let redactor = self.redactor(order.workload);
        let mut log = self.build_logs.begin(order.intent.deployment, &redactor).map_err(unwritable)?;
        let made = self.make(order, &recipe, (&mut log, &redactor)).await;
        if let Err(failed) = &made {
            self.note(&mut log, &failed.text);
        }
        if let Err(error) = log.end() {
            tracing::warn!(%error, "the end of a build log cannot be written");
        }
        made
    }

    async fn make(
        &self,
        order: &Order,
        recipe: &Recipe<'_>,
        (log, redactor): (&mut BuildLog, &Redactor),
    ) -> Result<Resolved, Failed> {
        self.shows(order, "fetches its source");
        let place = recipe.place(order.intent.change.as_ref());
        let place = place.map_err(|why| Failed::for_good(ReasonKind::BuildFailed, why))?;
        let found = tokio::select! {
            found = self.find(place) => found?,
            () = order.stop.cancelled() => return Err(Failed::ends()),
        };
        let files = self.source.gather(&found.origin, Wanted::by(&recipe.makes), &order.stop).await?;
        let reference = found.place.to_string();
        self.note(log, &format!("{reference}{files}"));
        let (args, args_mac) = self.arguments(order, recipe.args)?;
        let content = files.digest();
        let (readable, secrets) = self.build_secrets(order.workload, recipe.secrets)?.into_iter().unzip();
        let build = Build { secrets: readable, ..self.ordered(order, recipe, (files, args)) };
        let built = self.has_built(order, &build, (log, redactor)).await?;
        let content = content.unwrap_or(built.key);
        let image = Image { id: built.image, repo_digest: String::new(), exposed: Vec::new() };
        let built = BuiltFrom { commit: found.commit, content, args: args_mac, reused: built.reused, secrets };
        Ok(Resolved { deployment: order.intent.deployment, reference, image, built: Some(built) })
    }

    fn ordered(
        &self,
        order: &Order,
        recipe: &Recipe<'_>,
        (content, args): (Content, BTreeMap<String, String>),
    ) -> Build {
        Build {
            log: self.log,
            workload: order.workload,
            deployment: order.intent.deployment,
            content,
            settings: builder::settings(&recipe.makes),
            target: recipe.makes.target().to_owned(),
            args,
            secrets: Vec::new(),
            logins: Vec::new(),
            platform: String::new(),
            fresh: order.intent.wish.seeks() == Some(&ImageWish::Built { fresh: true }),
            kind: BuilderKind::Auto,
            deadline: builder::DEADLINE,
        }
    }

    /// Where the files are: a path is judged again, because links can have moved since the apply.
    async fn find(&self, place: Place) -> Result<Found, Failed> {
        match &place {
            Place::Git(repository) => Ok(Found::at(&*self.source, repository, &Credential::None).await?),
            Place::Folder(path) | Place::Tarball(path) => {
                let (host, path) = (self.host.clone(), PathBuf::from(path));
                let judged = tokio::task::spawn_blocking(move || host.source(&path)).await;
                let judged = judged.map_err(|_| Failed::ends())?;
                let real = judged.map_err(|why| Failed::for_good(ReasonKind::BuildFailed, why.to_string()))?;
                Ok(Found::here(place, real))
            }
        }
    }

    /// The arguments in the clear, as Docker takes them, and a keyed hash of all of them.
    fn arguments(&self, order: &Order, args: &[EnvVar]) -> Result<(BTreeMap<String, String>, [u8; 16]), Failed> {
        let owner = Owner::Workload(order.workload);
        let refused = |name: &str| {
            let name = name.to_owned();
            move |error: crate::secrets::SecretsError| Failed::for_good(ReasonKind::Refused, format!("{name}: {error}"))
        };
        let mut clear = BTreeMap::new();
        for arg in args {
            let value = self.secrets.unseal(owner, arg.sealed).map_err(refused(&arg.name))?;
            clear.insert(arg.name.clone(), value.to_string());
        }
        let all: Vec<u8> = args.iter().flat_map(|arg| [arg.name.as_bytes(), &[0], &arg.mac].concat()).collect();
        let mac = self.secrets.mac(owner, &all).map_err(refused("build arguments"))?;
        Ok((clear, mac))
    }

    /// Has it built, and tells what is said meanwhile.
    async fn has_built(
        &self,
        order: &Order,
        build: &Build,
        (log, redactor): (&mut BuildLog, &Redactor),
    ) -> Result<Built, Failed> {
        let (sender, mut said) = mpsc::channel(builder::WAITING);
        let building = async move {
            let built = self.builder.build(build, &sender, &order.stop).await;
            drop(sender);
            built
        };
        let telling = async {
            while let Some(progress) = said.recv().await {
                self.note(log, &progress.to_string());
                self.shows_step(order, &progress, redactor);
            }
        };
        let (built, ()) = tokio::join!(building, telling);
        built.map_err(|error| failed(error, redactor))
    }

    fn shows_step(&self, order: &Order, progress: &Progress, redactor: &Redactor) {
        if let Progress::Begun { text, .. } = progress {
            self.shows(order, &format!("builds, {}", short(&redactor.text(text), STEP_CHARS)));
        }
    }

    fn note(&self, log: &mut BuildLog, line: &str) {
        if let Err(error) = log.write(format!("{line}\n").as_bytes()) {
            tracing::warn!(%error, "a build log cannot be written");
        }
    }

    fn shows(&self, order: &Order, text: &str) {
        self.world.builds(order.workload, order.intent.deployment, text);
    }
}

/// The beginning of a text, in one line.
fn short(text: &str, chars: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= chars {
        return line;
    }
    line.chars().take(chars).chain(['…']).collect()
}

fn unwritable(error: std::io::Error) -> Failed {
    let text = format!("its build log cannot be written: {error}");
    Failed { class: Class::Transient, kind: ReasonKind::Unavailable, text }
}

/// A failed build as a reason: of a step with the last of its lines, as many as there is room for.
fn failed(error: BuildError, redactor: &Redactor) -> Failed {
    let (class, kind) = match &error {
        BuildError::Unavailable(_) | BuildError::Cancelled => (Class::Transient, ReasonKind::Unavailable),
        BuildError::Refused(_)
        | BuildError::Step { .. }
        | BuildError::NoSecrets
        | BuildError::Late(_)
        | BuildError::Context(_) => (Class::Permanent, ReasonKind::BuildFailed),
    };
    let text = match &error {
        BuildError::Step { step, why, last } => {
            let said = last_words(last);
            let said = if said.is_empty() { String::new() } else { format!("; it said: {said}") };
            format!("the build failed in {}: {}{said}", short(step, STEP_CHARS), short(why, STEP_CHARS))
        }
        other => other.to_string(),
    };
    Failed { class, kind, text: redactor.text(&text) }
}

fn last_words(lines: &[String]) -> String {
    let mut kept: Vec<String> = Vec::new();
    let mut room = LAST_CHARS;
    for line in lines.iter().rev() {
        let line = short(line, LAST_CHARS);
        let chars = line.chars().count() + 3;
        if chars > room && !kept.is_empty() {
            break;
        }
        room = room.saturating_sub(chars);
        kept.insert(0, line);
    }
    kept.join(" | ")
}

impl From<SourceError> for Failed {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Git(error) => error.into(),
            SourceError::Cancelled => Self::ends(),
            SourceError::Context(error) => Self::for_good(ReasonKind::BuildFailed, error.to_string()),
        }
    }
}

impl From<GitError> for Failed {
    fn from(error: GitError) -> Self {
        let away = matches!(error, GitError::Unreachable { .. });
        let (class, kind) = match away {
            true => (Class::Transient, ReasonKind::Unavailable),
            false => (Class::Permanent, ReasonKind::BuildFailed),
        };
        Self { class, kind, text: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(last: &[&str]) -> BuildError {
        let last = last.iter().map(|line| (*line).to_owned()).collect();
        BuildError::Step { step: "[2/3] RUN  make\n all".into(), why: "exit code: 2".into(), last }
    }

    #[test]
    fn a_failed_step_is_told_in_one_line_with_its_last_ones() {
        let told = |last: &[&str]| failed(step(last), &Redactor::new([])).text;
        assert_eq!(told(&[]), "the build failed in [2/3] RUN make all: exit code: 2");
        assert_eq!(
            told(&["one", "two  2"]),
            "the build failed in [2/3] RUN make all: exit code: 2; it said: one | two 2"
        );
        let long = "x".repeat(150);
        let text = told(&[&long, &long, "end"]);
        assert!(text.ends_with(&format!("it said: {long} | end")), "{text}");
        assert!(told(&[&"y".repeat(9_000)]).chars().count() < 400);
    }

    #[test]
    fn a_reason_holds_no_secret_and_says_whether_trying_again_can_help() {
        let redactor = Redactor::new([&b"hunter22"[..]]);
        let failed = |error| super::failed(error, &redactor);
        let of_step = failed(step(&["the password is hunter22"]));
        assert!(!of_step.text.contains("hunter22") && of_step.text.contains("the password is"), "{}", of_step.text);
        assert_eq!((of_step.class, of_step.kind), (Class::Permanent, ReasonKind::BuildFailed));
        let away = failed(BuildError::Unavailable("no such socket".into()));
        assert_eq!((away.class, away.kind), (Class::Transient, ReasonKind::Unavailable));
        let away = Failed::from(GitError::Unreachable { remote: "h:22".into(), why: "no answer in 10 s".into() });
        assert_eq!((away.class, away.kind), (Class::Transient, ReasonKind::Unavailable));
    }
}
