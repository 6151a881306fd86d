//! What an open deployment makes current: asked by every shell before it makes a plan.

use cutover_events::ReleaseId;
use cutover_events::deployment::{ImageWish, ReleaseResolved, Wish};

use crate::workload::{Open, Release, Workload};

/// What an open deployment makes current.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Aim<'a> {
    /// Nothing: a teardown or a stop.
    Nothing,
    /// This release.
    Release(&'a Release),
    /// The image that runs, under the newest settings: a release of its own, to be recorded before the plan.
    Anew(Box<ReleaseResolved>),
    /// There is no release that it could make current.
    Missing,
}

/// What the open deployment makes current.
#[must_use]
pub fn aim<'a>(state: &'a Workload, open: &Open) -> Aim<'a> {
    let current = || state.current_release();
    // What is planned again, perhaps after its downtime took away what ran, goes on with what it has chosen.
    let chosen = open.release.and_then(|id| state.release(id));
    let release = chosen.or_else(|| match &open.intent.wish {
        Wish::Teardown | Wish::Stop { .. } => None,
        Wish::Deploy(_) | Wish::Restart | Wish::Heal | Wish::Start => current(),
        Wish::Rollback(None) => state.previous_release(),
        Wish::Rollback(Some(id)) => state.release(*id),
    });
    if open.intent.wish.ends_service() {
        return Aim::Nothing;
    }
    match release {
        None => Aim::Missing,
        Some(release) if is_outdated(release, open) => Aim::Anew(Box::new(again(open, release))),
        Some(release) => Aim::Release(release),
    }
}

fn is_outdated(release: &Release, open: &Open) -> bool {
    release.revision != open.revision && matches!(open.intent.wish, Wish::Deploy(ImageWish::Current))
}

fn again(open: &Open, release: &Release) -> ReleaseResolved {
    ReleaseResolved {
        deployment: open.id(),
        release: ReleaseId(open.id().0),
        revision: open.revision,
        reference: release.reference.to_string(),
        image: release.image.to_string(),
        repo_digest: release.repo_digest.to_string(),
        change: open.intent.change.clone(),
        built: release.built.as_deref().cloned(),
    }
}
