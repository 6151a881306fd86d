//! Which release somebody means: by id, tag, commit, digest or time; and what a rollback to it would change.

use cutover_domain::deployment::Command;
use cutover_domain::file::difference;
use cutover_domain::reference::Reference;
use cutover_domain::rejected::Rejected;
use cutover_domain::workload::{Release, Workload};
use cutover_events::{Event, ReleaseId, StreamId, WorkloadId};

use super::applying::differing;
use super::{LiveBackend, by};
use crate::api::backend::{Asker, Refusal, RollbackTo, WorkloadName};
use crate::api::time::{parse_when, rfc3339};
use crate::api::views::{AcceptedImagesView, BriefView, DifferenceView, RollbackCost, RollbackView};

/// Digits of a commit or digest that name one at least: git's own limit.
const LEAST_DIGITS: usize = 4;
/// Releases that a refusal names, a count: one line has room for them.
const NAMED: usize = 5;
/// Commits of one workload that are read at once.
const PAGE: usize = 256;

impl LiveBackend {
    /// The release that a rollback goes to; `None` for the one before.
    pub(super) async fn rollback_target(
        &self,
        id: WorkloadId,
        state: &Workload,
        to: RollbackTo,
    ) -> Result<Option<ReleaseId>, Refusal> {
        let text = match to {
            RollbackTo::Previous => return Ok(None),
            RollbackTo::Release(release) => return Ok(Some(release)),
            RollbackTo::Deployment(deployment) => {
                let made = state.releases.iter().rev().find(|release| release.deployment == deployment);
                let unknown = || Refusal::NotAllowed(format!("{deployment} made no release of {}", self.full_name(id)));
                return made.map(|release| Some(release.id)).ok_or_else(unknown);
            }
            RollbackTo::Named(text) => text,
        };
        let named: Vec<_> = state.releases.iter().filter(|release| is_named(release, &text)).collect();
        match (only(&named), parse_when(&text, self.clock.stamp().wall_ms)) {
            (Some(release), _) => Ok(Some(release.id)),
            (None, Some(at_ms)) if named.is_empty() => self.live_at(id, state, at_ms).await.map(Some),
            (None, _) => Err(Refusal::UnknownName(self.not_one(id, state, &text, &named))),
        }
    }

    /// What had proven itself last at a time, as far as it is still known.
    async fn live_at(&self, id: WorkloadId, state: &Workload, at_ms: u64) -> Result<ReleaseId, Refusal> {
        let (mut live, mut from) = (None, 1);
        loop {
            let commits = self.commands.log().read(StreamId::Workload(id), from, PAGE).await?;
            let Some(last) = commits.last() else { break };
            from = last.commit.last_version() + 1;
            let before = commits.iter().take_while(|sealed| sealed.commit.at.wall_ms <= at_ms);
            live = before.flat_map(|sealed| &sealed.commit.events).filter_map(after).last().unwrap_or(live);
            if last.commit.at.wall_ms > at_ms {
                break;
            }
        }
        let (name, when) = (self.full_name(id), rfc3339(at_ms));
        let known = live.ok_or_else(|| Refusal::UnknownName(format!("nothing of {name} was live at {when}")))?;
        let gone =
            || Refusal::UnknownName(format!("{known} was live at {when}, and is not kept any more: {}", listed(state)));
        state.release(known).map(|release| release.id).ok_or_else(gone)
    }

    /// Why a name does not mean one release, with those that it may mean.
    fn not_one(&self, id: WorkloadId, state: &Workload, text: &str, named: &[&Release]) -> String {
        let name = self.full_name(id);
        match named {
            [] => format!(
                "no release of {name} has the tag, commit or digest {text}, and it is no time: {}",
                listed(state)
            ),
            several => {
                let some: Vec<_> = several.iter().rev().take(NAMED).map(|release| brief(release)).collect();
                format!("{text} fits several releases of {name}, name one of them: {}", some.join(", "))
            }
        }
    }

    pub(super) async fn rollback_foretold(&self, name: &WorkloadName, to: RollbackTo) -> Result<RollbackView, Refusal> {
        let id = self.find(name)?;
        let state = self.commands.live().cell(id).state();
        let target = self.rollback_target(id, &state, to).await?;
        let release = match target {
            Some(release) => state.release(release).filter(|release| release.proven).ok_or_else(|| {
                Refusal::NotAllowed(cutover_domain::deployment::Rejection::NoSuchRelease(release).to_string())
            })?,
            None => state
                .previous_release()
                .ok_or_else(|| Refusal::NotAllowed(cutover_domain::deployment::Rejection::NothingBefore.to_string()))?,
        };
        let from = state.current_release();
        let cost = self.cost(&state, release).await;
        let mut notes = Vec::new();
        if cost == RollbackCost::Pull {
            notes.push("its image is not here any more: it must be pulled first".to_owned());
        }
        if from.is_some_and(|from| from.image != release.image) {
            notes.push(
                "changes from outside do not bring back what runs now, until something newer comes or you accept it"
                    .to_owned(),
            );
        }
        notes.extend(from.and_then(|from| left_behind(&state, from, release)));
        let differences = from.map(|from| self.differences(id, from, release)).unwrap_or_default();
        let (from, to) = (from.map(brief_view), brief_view(release));
        Ok(RollbackView { workload: self.full_name(id), from, to, cost, differences, notes })
    }

    fn differences(&self, id: WorkloadId, from: &Release, to: &Release) -> Vec<DifferenceView> {
        let registry = self.registry();
        let differs = |key: &str, from: &str, to: &str| {
            (from != to).then(|| DifferenceView { key: key.into(), from: from.into(), to: to.into() })
        };
        let of_image = [
            differs("reference", &from.reference, &to.reference),
            differs("digest", digest(from), digest(to)),
            differs("commit", &from.sha, &to.sha),
            differs("spec revision", &from.revision.to_string(), &to.revision.to_string()),
        ];
        let specs = registry.spec(id, from.revision).zip(registry.spec(id, to.revision));
        let of_spec = specs.map(|(from, to)| difference(from, to)).unwrap_or_default();
        of_image.into_iter().flatten().chain(of_spec.iter().map(|line| differing(line))).collect()
    }

    pub(super) async fn accepted_images(
        &self,
        asker: Asker,
        name: &WorkloadName,
        what: Option<String>,
    ) -> Result<AcceptedImagesView, Refusal> {
        let id = self.find(name)?;
        let state = self.commands.live().cell(id).state();
        let meant: Vec<_> =
            state.rejected.iter().filter(|one| what.as_ref().is_none_or(|text| means(one, text))).collect();
        let workload = self.full_name(id);
        let release = match (&what, meant.as_slice()) {
            (None, _) => None,
            (Some(_), [one]) => Some(one.release),
            (Some(text), _) => {
                let all: Vec<_> = state
                    .rejected
                    .iter()
                    .take(NAMED)
                    .map(|one| format!("{} ({})", one.release, one.reference))
                    .collect();
                let all = if all.is_empty() {
                    "nothing is rejected".to_owned()
                } else {
                    format!("rejected: {}", all.join(", "))
                };
                return Err(Refusal::UnknownName(format!(
                    "{text} does not name one rejected image of {workload}; {all}"
                )));
            }
        };
        let accepted = meant.into_iter().map(super::showing::rejected).collect();
        match self.commands.workload(id, by(&asker), Command::Accept(release)).await {
            Ok(_) | Err(crate::commands::Error::Duplicate(_)) => Ok(AcceptedImagesView { workload, accepted }),
            Err(error) => Err(error.into()),
        }
    }
}

/// What runs after an event that says so.
fn after(event: &Event) -> Option<Option<ReleaseId>> {
    let lists = match event {
        Event::DeploymentSucceeded(e) => &e.lists,
        Event::DeploymentFailed(e) => &e.lists,
        _ => return None,
    };
    Some(lists.active.as_ref().map(|slot| slot.release))
}

fn digest(release: &Release) -> &str {
    if release.repo_digest.is_empty() { &release.image } else { &release.repo_digest }
}

fn is_named(release: &Release, text: &str) -> bool {
    release.proven && fits((&release.reference, &release.sha), [&release.image, &release.repo_digest], text)
}

fn means(rejected: &Rejected, text: &str) -> bool {
    rejected.release.to_string() == text
        || fits((&rejected.reference, &rejected.sha), [&rejected.image, &rejected.repo_digest], text)
}

/// Whether a text is the reference, its tag, or the beginning of the commit or of a digest.
fn fits((reference, sha): (&str, &str), digests: [&str; 2], text: &str) -> bool {
    let tag = Reference::parse(reference).ok().and_then(|parsed| parsed.tag);
    let lower = text.to_ascii_lowercase();
    let digits = lower.rsplit("sha256:").next().unwrap_or_default();
    let hex = digits.len() >= LEAST_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let of_digest = |digest: &str| digest.rsplit("sha256:").next().is_some_and(|hex| hex.starts_with(digits));
    reference == text
        || tag.as_deref() == Some(text)
        || (hex && ((!sha.is_empty() && sha.starts_with(digits)) || digests.iter().any(|digest| of_digest(digest))))
}

/// The one release among these; the newest of several that are the same image under the same settings.
fn only<'a>(named: &[&'a Release]) -> Option<&'a Release> {
    let newest = *named.last()?;
    let same = |release: &&Release| release.image == newest.image && release.revision == newest.revision;
    named.iter().all(same).then_some(newest)
}

fn brief(release: &Release) -> String {
    let sha: String = release.sha.chars().take(7).collect();
    let sha = if sha.is_empty() { sha } else { format!(", commit {sha}") };
    format!("{} ({}{sha})", release.id, release.reference)
}

/// The newest releases that one can go back to.
fn listed(state: &Workload) -> String {
    let known: Vec<_> = state.releases.iter().rev().filter(|release| release.proven).take(NAMED).map(brief).collect();
    if known.is_empty() { "it has no release yet".into() } else { format!("its releases: {}", known.join(", ")) }
}

fn brief_view(release: &Release) -> BriefView {
    BriefView {
        release: release.id.to_string(),
        reference: release.reference.to_string(),
        digest: digest(release).to_owned(),
        revision: release.revision,
        sha: release.sha.to_string(),
    }
}

/// What release commands have changed since a release: going back to it takes nothing of that back.
fn left_behind(state: &Workload, from: &Release, to: &Release) -> Option<String> {
    let at = |id| state.releases.iter().position(|release| release.id == id);
    let (to, from) = (at(to.id)?, at(from.id)?);
    let since = state.releases.get(to + 1..=from)?.iter().filter(|release| !release.command.is_empty());
    let commands: Vec<_> = since.map(|release| format!("`{}`", release.command)).collect();
    let last = commands.last()?;
    let since = match commands.len() {
        1 => format!("since then the release command {last} has run"),
        n => format!("since then {n} release commands have run, {last} last"),
    };
    Some(format!("{since}; going back takes nothing of what it changed back"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_events::DeploymentId;

    fn release(n: u8, reference: &str, sha: &str, image: &str) -> Release {
        Release {
            id: ReleaseId([n; 16]),
            deployment: DeploymentId([n; 16]),
            revision: 1,
            reference: reference.into(),
            image: format!("sha256:{image}").into(),
            repo_digest: String::new().into(),
            sha: sha.into(),
            built: None,
            proven: true,
            command: "".into(),
        }
    }

    #[test]
    fn a_rollback_over_release_commands_says_so() {
        let ran = |n, command: &str| Release { command: command.into(), ..release(n, "shop:1", "c0ffee1", "aa") };
        let of = |releases: Vec<Release>| Workload { releases: std::sync::Arc::new(releases), ..Workload::default() };
        let state = of(vec![ran(1, "./migrate 1"), ran(2, ""), ran(3, "./migrate 3"), ran(4, "./migrate 4")]);
        let note = |from: usize, to: usize| left_behind(&state, &state.releases[from], &state.releases[to]);
        assert_eq!(note(1, 0), None);
        assert!(note(2, 0).is_some_and(|note| note.contains("`./migrate 3` has run")));
        assert!(note(3, 0).is_some_and(|note| note.contains("2 release commands have run, `./migrate 4` last")));
        assert_eq!(note(0, 3), None, "forwards");
    }

    #[test]
    fn a_release_is_named_by_what_people_know_of_it() {
        let one = release(1, "ghcr.io/acme/shop:v41", "c0ffee1234", "abcd99");
        for text in ["v41", "ghcr.io/acme/shop:v41", "c0ff", "C0FFEE1", "abcd", "sha256:abcd99", "shop@sha256:abcd99"] {
            assert!(is_named(&one, text), "{text}");
        }
        for text in ["v4", "c0f", "shop", "c0ffee12345", "ffee", ""] {
            assert!(!is_named(&one, text), "{text}");
        }
        assert!(!is_named(&Release { proven: false, ..one }, "v41"));
    }

    #[test]
    fn several_releases_of_one_image_are_one_and_of_two_are_none() {
        let (a, b, c) =
            (release(1, "s:main", "", "aaaa"), release(2, "s:main", "", "aaaa"), release(3, "s:main", "", "bbbb"));
        assert_eq!(only(&[&a, &b]).map(|release| release.id), Some(b.id));
        assert!(only(&[&a, &b, &c]).is_none() && only(&[]).is_none());
    }
}
