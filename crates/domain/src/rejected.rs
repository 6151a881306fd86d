//! Images that no change from outside deploys any more: their release has failed, or a person went back from it. Without
//! this, whoever asks again and again would undo every rollback.

use std::sync::Arc;

use cutover_events::deployment::{ImageWish, IntentQueued, ReasonKind, Wish};
use cutover_events::{DeploymentId, ReleaseId};

use crate::workload::{Open, Release, Workload};

/// Rejected images of one workload that are remembered, a count: they lapse with the next image that succeeds, so a row
/// of more failures than this has no end that anybody waits for.
const MAX_REJECTED: usize = 16;
/// Characters of a digest that people recognise it by, its algorithm included.
const SHORT_DIGEST: usize = 19;

/// An image that only a person deploys.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Rejected {
    /// The release that it was rejected as: what a person accepts.
    pub release: ReleaseId,
    /// The reference that it was resolved from.
    pub reference: Arc<str>,
    /// Its local id.
    pub image: Arc<str>,
    /// Its digest in the registry, empty for an image that was made here.
    pub repo_digest: Arc<str>,
    /// The commit that it came from, empty without one.
    pub sha: Arc<str>,
    /// What speaks against it.
    pub fault: Fault,
    /// The deployment that showed it.
    pub shown_by: DeploymentId,
}

/// What speaks against an image.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// Its release ended, was not ready in time, or fell ill while it was watched.
    Failed,
    /// A person went back from it.
    RolledBack,
}

impl Rejected {
    fn new(release: &Release, fault: Fault, shown_by: DeploymentId) -> Self {
        Self {
            release: release.id,
            reference: release.reference.clone(),
            image: release.image.clone(),
            repo_digest: release.repo_digest.clone(),
            sha: release.sha.clone(),
            fault,
            shown_by,
        }
    }

    /// One line for a person: what is rejected, and why.
    #[must_use]
    pub fn why(&self) -> String {
        let digest = if self.repo_digest.is_empty() { &*self.image } else { &*self.repo_digest };
        let digest = digest.rsplit('@').next().unwrap_or(digest);
        let short: String = digest.chars().take(SHORT_DIGEST).collect();
        let fault = match self.fault {
            Fault::Failed => format!("has failed as {}", self.shown_by),
            Fault::RolledBack => format!("was rolled back from by {}", self.shown_by),
        };
        format!("{} is {short}, which {fault}, and no change from outside deploys it again", self.reference)
    }
}

/// Whether a wish came with a change from outside: only such a one is held against an image that was rejected.
pub(crate) fn is_automatic(intent: &IntentQueued) -> bool {
    !intent.person && intent.change.is_some() && asks_for_image(intent)
}

fn asks_for_image(intent: &IntentQueued) -> bool {
    intent.wish.seeks().is_some()
}

/// A deployment has failed: what its release itself did wrong is held against its image. Not what Docker, a registry or
/// a person did.
pub(crate) fn failed(state: &mut Workload, open: &Open, kind: ReasonKind) {
    let own = matches!(
        kind,
        ReasonKind::Exited
            | ReasonKind::Restarted
            | ReasonKind::NotReady
            | ReasonKind::Unhealthy
            | ReasonKind::CommandFailed
    );
    let release = open.release.filter(|_| own && asks_for_image(&open.intent)).and_then(|id| state.release(id));
    if let Some(rejected) = release.map(|release| Rejected::new(release, Fault::Failed, open.id())) {
        reject(state, rejected);
    }
}

/// A deployment has succeeded; `former` ran before. Something new ends what was held against older images.
pub(crate) fn succeeded(state: &mut Workload, open: &Open, former: Option<ReleaseId>) {
    let Some(now) = state.active.as_ref().and_then(|slot| state.release(slot.release)).cloned() else { return };
    match &open.intent.wish {
        Wish::Deploy(ImageWish::Reference { .. } | ImageWish::Built { .. }) => {
            let known = state.releases.iter().any(|release| release.id != now.id && release.image == now.image);
            let known = known || state.rejected.iter().any(|rejected| rejected.image == now.image);
            if !state.rejected.is_empty() {
                Arc::make_mut(&mut state.rejected).retain(|rejected| known && rejected.image != now.image);
            }
        }
        Wish::Rollback(_) => {
            clear(state, &now.image);
            let left = former.and_then(|id| state.release(id)).filter(|former| former.image != now.image);
            if let Some(rejected) = left.map(|former| Rejected::new(former, Fault::RolledBack, open.id())) {
                reject(state, rejected);
            }
        }
        Wish::Deploy(ImageWish::Current)
        | Wish::Restart
        | Wish::Heal
        | Wish::Teardown
        | Wish::Stop { .. }
        | Wish::Start => (),
    }
}

/// A person has accepted the image of a release; whether it was rejected.
pub(crate) fn accepted(state: &mut Workload, release: ReleaseId) -> bool {
    let before = state.rejected.len();
    Arc::make_mut(&mut state.rejected).retain(|rejected| rejected.release != release);
    state.rejected.len() < before
}

fn clear(state: &mut Workload, image: &str) {
    if state.rejected.iter().any(|rejected| *rejected.image == *image) {
        Arc::make_mut(&mut state.rejected).retain(|rejected| *rejected.image != *image);
    }
}

fn reject(state: &mut Workload, rejected: Rejected) {
    clear(state, &rejected.image);
    let all = Arc::make_mut(&mut state.rejected);
    all.push(rejected);
    let surplus = all.len().saturating_sub(MAX_REJECTED);
    all.drain(..surplus);
}
