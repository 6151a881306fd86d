//! Builds: files are fetched, an image is made of them unless there is one, and what is said meanwhile is kept and shown.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cutover_domain::context::Context;
use cutover_domain::file::Declared;
use cutover_domain::observed::Class;
use cutover_domain::recipe::{Recipe, recipe};
use cutover_events::deployment::{BuiltFrom, ImageWish, ReasonKind};
use cutover_events::secret::SecretUsed;
use cutover_events::workload::{EnvVar, Pull, SealedText, Spec, StaticBuild};
use cutover_events::{DeploymentId, WorkloadId};
use cutover_site::manifest::Settings;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::Execution;
use super::fitting::Unfit;
use super::perform::Failed;
use super::secrets::Opens;
use super::seeking::{Order, Resolved};
use crate::adapters::builder::{self, Build, BuildCommand, BuildError, BuilderKind, Built, Progress, Stays};
use crate::adapters::runtime::Image;
use crate::adapters::source::git::{Credential, GitError};
use crate::adapters::source::{self, Content, Found, Origin, SourceError, Wanted};
use crate::logs::{BuildLog, Redactor};
use crate::secrets::Owner;

/// Characters of a reason that the last lines of a failed step may take: the rest of the 400 says which step it was.
const LAST_CHARS: usize = 200;
/// Characters of a step that are shown: Docker gives the whole text of an instruction of many lines.
const STEP_CHARS: usize = 120;

/// Whether what a workload is made of is what its current release was made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Files {
    /// As far as can be seen.
    Same,
    /// It is something else, although the spec may be the same.
    Changed,
}

/// Build arguments, or the variables of a stack.
struct Given {
    clear: BTreeMap<String, String>,
    /// Keyed hash of all of them.
    mac: [u8; 16],
    /// The secrets inside of them.
    used: Vec<SecretUsed>,
}

/// What something is made of.
struct Material {
    content: Content,
    /// Where that is, as exactly as it can be said.
    reference: String,
    /// Empty for what is in no repository.
    commit: String,
    /// The secret that has opened it.
    opened: Option<SecretUsed>,
}

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
        let Material { content, reference, commit, opened } = self.material(order, recipe, log).await?;
        let Given { clear: args, mac: args_mac, used } = self.arguments(order, recipe.given(&order.spec))?;
        let command = self.command(order, recipe.makes.command(), args_mac).await?;
        // Of what a command makes, the files count.
        let digest = content.digest().filter(|_| command.is_none());
        let (readable, mut secrets): (_, Vec<_>) =
            self.build_secrets(order.workload, recipe.secrets)?.into_iter().unzip();
        secrets.extend(used.into_iter().chain(opened));
        let build = Build { command, secrets: readable, ..self.ordered(order, recipe, (content, args)) };
        let built = self.has_built(order, &build, (log, redactor)).await?;
        let content = digest.unwrap_or(built.key);
        let image = Image { id: built.image, repo_digest: String::new(), exposed: Vec::new() };
        let built = BuiltFrom { commit, content, args: args_mac, reused: built.reused, secrets };
        Ok(Resolved { deployment: order.intent.deployment, reference, image, built: Some(built) })
    }

    /// What it is made of: what is at its place, and what was sent.
    async fn material(&self, order: &Order, recipe: &Recipe<'_>, log: &mut BuildLog) -> Result<Material, Failed> {
        let bad = |why: String| Failed::for_good(ReasonKind::BuildFailed, why);
        let upload = order.intent.wish.upload();
        // An upload has the file of its own that the text was read from.
        let text = recipe.makes.text().filter(|_| upload.is_none() || recipe.context.is_empty());
        let sent = text.map(|text| self.unsealed(order.workload, text)).transpose()?;
        let place = if upload.is_some() { None } else { recipe.place(order.intent.change.as_ref()).map_err(bad)? };
        let opens = self.opens(order.workload, recipe.credentials)?;
        let found = match (upload, place) {
            (Some(upload), _) => Some(self.uploaded(upload)?),
            (None, None) => None,
            (None, Some(place)) => tokio::select! {
                found = self.find(place, opens.as_ref()) => match found {
                    Err(failed) if sent.is_none() => return Err(failed),
                    // What was sent may need nothing beside it.
                    found => found.ok(),
                },
                () = order.stop.cancelled() => return Err(Failed::ends()),
            },
        };
        let opened = opens.map(|opens| opens.used).filter(|_| upload.is_none());
        let Some(found) = found else {
            let reference = recipe.origin();
            self.note(log, &reference);
            let content = builder::content(&recipe.makes, None, sent).ok_or_else(|| bad(nothing(recipe)))?;
            return Ok(Material { content, reference, commit: String::new(), opened });
        };
        let files = self.source.gather(&found.origin, Wanted::by(&recipe.makes), &order.stop).await?;
        let reference = found.place.clone();
        for noted in self.source.pinned() {
            self.note(log, &noted);
        }
        self.note(log, &format!("{reference}{files}"));
        let stays = if matches!(found.origin, Origin::Folder(_)) { Stays::Here } else { Stays::Fetched };
        let content =
            builder::content(&recipe.makes, Some((files, stays)), sent).ok_or_else(|| bad(nothing(recipe)))?;
        Ok(Material { content, reference, commit: found.commit, opened })
    }

    /// The command that makes the files; its image is pulled where it is missing, as any other.
    async fn command(
        &self,
        order: &Order,
        build: Option<&StaticBuild>,
        mac: [u8; 16],
    ) -> Result<Option<BuildCommand>, Failed> {
        let Some(StaticBuild { image: reference, command, output }) = build.cloned() else { return Ok(None) };
        self.shows(order, &format!("looks for the image {reference}"));
        let image = tokio::select! {
            image = self.runtime.resolve(&reference, (Pull::Missing, ""), None) => image?.id,
            () = order.stop.cancelled() => return Err(Failed::ends()),
        };
        Ok(Some(BuildCommand { image, reference, command, output, mac }))
    }

    fn unsealed(&self, workload: WorkloadId, text: &SealedText) -> Result<Zeroizing<String>, Failed> {
        let text = self.secrets.unseal(Owner::Workload(workload), text.sealed);
        text.map_err(|error| Failed::for_good(ReasonKind::Refused, format!("the text of the stack: {error}")))
    }

    /// Whether what a declared workload is made of can be had here, where that is judged before it is recorded: nothing is
    /// made and nothing is kept. Says whether it is another content than that of the current release.
    ///
    /// # Errors
    /// It cannot, or could not be judged.
    pub async fn judge(&self, workload: WorkloadId, declared: &Declared) -> Result<Files, Unfit> {
        let Some(recipe) = recipe(&declared.spec.source).filter(|recipe| recipe.makes.is_judged_first()) else {
            return Ok(Files::Same);
        };
        let sent = declared.values.compose_yaml.clone().map(Zeroizing::new);
        let gathered = match recipe.place(None).map_err(Unfit::Content)? {
            // What is in a repository is fetched by the deployment.
            Some(Context::Git(_)) => return Ok(Files::Same),
            None => None,
            Some(place) => match self.find(place, None).await {
                Ok(Found { origin: Origin::Folder(folder), .. }) => {
                    Some((Content::Files(source::Files::here(folder)), Stays::Here))
                }
                Ok(_) => None,
                Err(_) if sent.is_some() => None,
                Err(failed) => return Err(Unfit::Content(failed.text)),
            },
        };
        let Some(content) = builder::content(&recipe.makes, gathered, sent) else {
            return Err(Unfit::Content(nothing(&recipe)));
        };
        let build = Build {
            full_name: declared.full_name(),
            args: declared.values.env.clone(),
            routed: routed(&declared.spec),
            ..self.empty((workload, DeploymentId([0; 16])), content)
        };
        self.builder.judge(&build).await.map_err(unfit)?;
        // One that never ran has nothing to be compared with.
        let known = self.commands.live().registry().workloads.contains_key(&workload);
        let state = known.then(|| self.commands.live().cell(workload).state());
        let built = state.and_then(|state| Some(state.current_release()?.built.as_ref()?.content));
        let Some(built) = built else { return Ok(Files::Same) };
        let content = self.builder.content(&build).await.map_err(unfit)?;
        Ok(if content.is_none_or(|content| content == built) { Files::Same } else { Files::Changed })
    }

    fn ordered(
        &self,
        order: &Order,
        recipe: &Recipe<'_>,
        (content, args): (Content, BTreeMap<String, String>),
    ) -> Build {
        Build {
            full_name: self.full_name(order.workload),
            settings: builder::settings(&recipe.makes),
            routed: routed(&order.spec),
            target: recipe.makes.target().to_owned(),
            args,
            fresh: matches!(order.intent.wish.seeks(), Some(ImageWish::Built { fresh: true, .. })),
            ..self.empty((order.workload, order.intent.deployment), content)
        }
    }

    /// A build of this content with nothing said about it.
    pub(super) fn empty(&self, (workload, deployment): (WorkloadId, DeploymentId), content: Content) -> Build {
        Build {
            log: self.log,
            workload,
            full_name: String::new(),
            deployment,
            content,
            command: None,
            settings: Settings::default(),
            routed: Vec::new(),
            target: String::new(),
            args: BTreeMap::new(),
            secrets: Vec::new(),
            logins: Vec::new(),
            platform: String::new(),
            fresh: false,
            kind: BuilderKind::Auto,
            deadline: builder::DEADLINE,
        }
    }

    /// Where the files are: a path is judged again, because links can have moved since the apply.
    pub(super) async fn find(&self, place: Context, opens: Option<&Opens>) -> Result<Found, Failed> {
        match &place {
            Context::Git(repository) => {
                let credential = opens.map_or(Ok(Credential::None), |opens| opens.credential(repository))?;
                Ok(Found::at(&*self.source, repository, &credential).await?)
            }
            Context::Folder(path) | Context::Tarball(path) => {
                let (host, path) = (self.host.clone(), PathBuf::from(path));
                let judged = tokio::task::spawn_blocking(move || host.source(&path)).await;
                let judged = judged.map_err(|_| Failed::ends())?;
                let real = judged.map_err(|why| Failed::for_good(ReasonKind::BuildFailed, why.to_string()))?;
                Ok(Found::here(&place, real))
            }
        }
    }

    /// The arguments in the clear, as Docker takes them, and a keyed hash of all of them.
    fn arguments(&self, order: &Order, args: &[EnvVar]) -> Result<Given, Failed> {
        let owner = Owner::Workload(order.workload);
        let refused = |name: &str| {
            let name = name.to_owned();
            move |error: crate::secrets::SecretsError| Failed::for_good(ReasonKind::Refused, format!("{name}: {error}"))
        };
        let (mut clear, mut used) = (BTreeMap::new(), Vec::new());
        let project = self.project(order.workload);
        for arg in args {
            let value = self.secrets.unseal(owner, arg.sealed).map_err(refused(&arg.name))?;
            clear.insert(arg.name.clone(), self.newest_in(&project, &value, &mut used)?);
        }
        let named = args.iter().flat_map(|arg| [arg.name.as_bytes(), &[0], &arg.mac].concat());
        // A secret that has another value makes another thing of the same text.
        let all: Vec<u8> = named.chain(used.iter().flat_map(|used| used.mac)).collect();
        let mac = self.secrets.mac(owner, &all).map_err(refused("build arguments"))?;
        Ok(Given { clear, mac, used })
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

/// The services that routes lead to.
fn routed(spec: &Spec) -> Vec<String> {
    spec.routes.iter().map(|route| route.service.clone()).collect()
}

pub(super) fn unfit(error: BuildError) -> Unfit {
    match error {
        BuildError::Unavailable(_) | BuildError::Cancelled => Unfit::Unknown(error.to_string()),
        BuildError::Refused(_)
        | BuildError::Step { .. }
        | BuildError::NoSecrets
        | BuildError::Late(_)
        | BuildError::Context(_) => Unfit::Content(error.to_string()),
    }
}

fn nothing(recipe: &Recipe<'_>) -> String {
    format!("there is nothing to make it of: {}", recipe.origin())
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
