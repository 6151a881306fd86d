//! Release folders of sites: the images of what the proxy serves by itself. Making one is a copy, and what an earlier
//! release of the workload holds already is not made again.

use std::io;
use std::path::Path;

use cutover_domain::recipe::Makes;
use cutover_events::plan::SITE;
use cutover_events::{DeploymentId, Digest, ReleaseId, WorkloadId};
use cutover_site::manifest::Settings;
use cutover_site::release::{Found, FoundState, Made, MakeError, Sites, Source};

use super::made::Notes;
use super::{BuildError, BuiltImage};

/// The release folders of a data folder, as images.
#[derive(Clone, Debug)]
pub(super) struct Releases {
    sites: Sites,
    made: Notes,
}

/// A release folder that was made, or one that was there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Release {
    /// Its image.
    pub(super) image: String,
    /// Of all that it serves.
    pub(super) content: Digest,
    /// Whether an earlier release of the same content is used again.
    pub(super) reused: bool,
    /// What a person should know, a line each.
    pub(super) notes: Vec<String>,
}

/// How the release folder of a recipe is served; the usual way for what is none.
#[must_use]
pub fn settings(makes: &Makes<'_>) -> Settings {
    match makes {
        Makes::Image { .. } | Makes::Program { .. } | Makes::Stack { .. } => Settings::default(),
        Makes::Site { build: _, index, not_found, fallback } => Settings {
            index: (*index).to_owned(),
            not_found: (*not_found).to_owned(),
            fallback: Some((*fallback).to_owned()).filter(|page| !page.is_empty()),
        },
    }
}

impl Releases {
    pub(super) fn of(data: &Path) -> Self {
        Self { sites: Sites::of(data), made: Notes::of(data) }
    }

    /// Makes the release of a deployment, or finds an earlier one of the same content. Blocks for as long as the copy takes.
    pub(super) fn make(
        &self,
        (workload, deployment): (WorkloadId, DeploymentId),
        files: &Path,
        settings: &Settings,
    ) -> Result<Release, BuildError> {
        let (workload, name) = (workload.to_string(), ReleaseId(deployment.0).to_string());
        let made = self.sites.make((&workload, &name), Source::Folder(files), settings).map_err(refused)?;
        let content = made.digest.parse().map_err(|_| BuildError::Refused("a release has no digest".to_owned()))?;
        let same = self
            .others(&workload, &name)?
            .into_iter()
            .find(|other| self.sites.digest(&workload, other).is_ok_and(|digest| digest == made.digest));
        let notes = notes(&made);
        let Some(same) = same else {
            return Ok(Release { image: image(&workload, &name), content, reused: false, notes });
        };
        self.sites.remove(&workload, &name).map_err(unavailable)?;
        Ok(Release { image: image(&workload, &same), content, reused: true, notes })
    }

    /// Whether a folder has what a site cannot be without.
    pub(super) fn judge(files: &Path, settings: &Settings) -> Result<(), BuildError> {
        cutover_site::release::judge(files, settings).map_err(refused)
    }

    /// The release that a command with this key has made, where it is there and whole.
    pub(super) fn made_by(&self, workload: WorkloadId, key: Digest) -> Option<Release> {
        let image = self.made.find(workload, key)?;
        let name = image.rsplit('/').next()?;
        let content = self.sites.digest(&workload.to_string(), name).ok()?.parse().ok()?;
        Some(Release { image, content, reused: true, notes: Vec::new() })
    }

    /// Notes which command has made a release.
    pub(super) fn note(&self, workload: WorkloadId, key: Digest, image: &str) -> Result<(), BuildError> {
        self.made.write(workload, key, image).map_err(unavailable)
    }

    /// The other whole releases of a workload, the newest first.
    fn others(&self, workload: &str, name: &str) -> Result<Vec<String>, BuildError> {
        let all = self.sites.list().map_err(unavailable)?;
        let whole = all.into_iter().filter(|found| found.workload == workload && found.state == FoundState::Whole);
        let mut names: Vec<_> = whole.map(|found| found.unit).filter(|other| other != name).collect();
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names)
    }

    /// Every release folder; half of one, left by a crash, among them, so that it goes like any other.
    pub(super) fn all(&self) -> Result<Vec<BuiltImage>, BuildError> {
        let found = self.sites.list().map_err(unavailable)?;
        Ok(found.iter().filter_map(built).collect())
    }

    /// Removes a release folder; gone already is success.
    pub(super) fn remove(&self, made: &BuiltImage) -> Result<(), BuildError> {
        self.made.forget(made.workload, &made.id).map_err(unavailable)?;
        let (workload, name) = (made.workload.to_string(), ReleaseId(made.deployment.0).to_string());
        self.sites.remove(&workload, &name).map_err(unavailable)
    }
}

/// As an image; how much of it other releases share is not counted.
fn built(found: &Found) -> Option<BuiltImage> {
    let workload = found.workload.parse().ok()?;
    let release: ReleaseId = found.unit.parse().ok()?;
    Some(BuiltImage { id: image(&found.workload, &found.unit), workload, deployment: DeploymentId(release.0), size: 0 })
}

fn image(workload: &str, name: &str) -> String {
    format!("{SITE}{workload}/{name}")
}

/// What was left out, in the words of the log of a build.
fn notes(made: &Made) -> Vec<String> {
    let mut notes = vec![format!("{} files, {} bytes, {} as before", made.files, made.bytes, made.kept)];
    if !made.hidden.is_empty() {
        notes.push(format!("left out, because of the dot in front: {}", made.hidden.join(", ")));
    }
    notes.extend(made.notes.iter().map(ToString::to_string));
    notes
}

fn refused(error: MakeError) -> BuildError {
    match error {
        MakeError::Io { .. } => BuildError::Unavailable(error.to_string()),
        MakeError::File { .. } | MakeError::Source(_) | MakeError::Rule(_) => BuildError::Refused(error.to_string()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as a function for map_err")]
fn unavailable(error: io::Error) -> BuildError {
    BuildError::Unavailable(format!("the release folders: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKLOAD: WorkloadId = WorkloadId([1; 16]);

    fn site(page: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("index.html"), page).unwrap();
        folder
    }

    fn at(n: u8) -> DeploymentId {
        DeploymentId([n; 16])
    }

    fn names(releases: &Releases) -> Vec<String> {
        releases.all().unwrap().into_iter().map(|made| made.id).collect()
    }

    #[test]
    fn the_same_files_are_the_same_release() {
        let data = tempfile::tempdir().unwrap();
        let releases = Releases::of(data.path());
        let make = |n, page: &str| {
            let files = site(page);
            releases.make((WORKLOAD, at(n)), files.path(), &Settings::default()).unwrap()
        };
        let first = make(1, "one");
        assert!(!first.reused && first.image.starts_with("site:"), "{first:?}");
        let second = make(2, "two");
        assert!(!second.reused && second.content != first.content);
        let again = make(3, "one");
        assert_eq!((again.reused, &again.image, again.content), (true, &first.image, first.content));
        assert_eq!(names(&releases), [first.image, second.image]);
        // A crash after the copy repeats it.
        let repeated = make(2, "two");
        assert!(!repeated.reused && repeated.image.ends_with(&ReleaseId([2; 16]).to_string()));
    }

    #[test]
    fn what_a_crash_has_left_half_is_listed_and_goes() {
        let data = tempfile::tempdir().unwrap();
        let releases = Releases::of(data.path());
        let half = data.path().join("sites").join(WORKLOAD.to_string()).join(format!(".new-{}", ReleaseId([7; 16])));
        std::fs::create_dir_all(&half).unwrap();
        let all = releases.all().unwrap();
        assert_eq!(all.iter().map(|made| made.deployment).collect::<Vec<_>>(), [at(7)]);
        releases.remove(&all[0]).unwrap();
        assert_eq!(names(&releases), [] as [String; 0]);
        assert!(!half.exists());
        releases.remove(&all[0]).unwrap();
    }

    #[test]
    fn a_site_without_a_page_is_refused_in_its_words() {
        let data = tempfile::tempdir().unwrap();
        let empty = tempfile::tempdir().unwrap();
        let refused = Releases::of(data.path()).make((WORKLOAD, at(1)), empty.path(), &Settings::default());
        assert!(matches!(&refused, Err(BuildError::Refused(why)) if why.contains("index.html")), "{refused:?}");
    }
}
