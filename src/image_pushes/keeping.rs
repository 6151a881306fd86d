//! Which pushed images stay: those that a release, a wish or a workload file names, those that a container is made of, and
//! those of the last days. The others go, with the names that were given to them here and with no other one.

use std::collections::BTreeSet;
use std::time::Duration;

use cutover_domain::reference::Reference;
use cutover_domain::workload::{Teardown, Workload};
use cutover_events::deployment::ImageWish;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::ImagePushes;
use crate::adapters::images::{ImagesError, PushedImage};
use crate::execution::sparing::{needed, seeks};

/// Between two rounds: ages are counted in days.
const ROUND: Duration = Duration::from_secs(600);
/// What the names of releases begin with.
const RELEASES: &str = "cutover/rel_";

/// What is wanted of images.
#[derive(Default)]
struct Wants {
    /// By id.
    images: BTreeSet<String>,
    /// In full.
    references: BTreeSet<Reference>,
}

impl ImagePushes {
    /// Removes what nobody wants, again and again.
    pub async fn tend(&self, stop: CancellationToken) {
        loop {
            match self.tidy(self.clock.stamp().wall_ms).await {
                Ok(0) => (),
                Ok(images) => tracing::info!(images, "pushed images that nothing needs are removed"),
                Err(error) => tracing::debug!(%error, "pushed images cannot be looked at; trying again"),
            }
            match self.layers.remove_older(self.keep, self.clock.stamp().wall_ms, &BTreeSet::new()) {
                Ok(0) => (),
                Ok(layers) => tracing::info!(layers, "layers of pushes that did not end are removed"),
                Err(error) => tracing::warn!(%error, "the folder of layers cannot be read"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(ROUND) => {}
            }
        }
    }

    /// Removes the images that were pushed, and that nobody wants any more; says how many. While an image is looked for
    /// nothing goes: it is named only once that is recorded.
    ///
    /// # Errors
    /// Docker does not answer.
    pub async fn tidy(&self, now_ms: u64) -> Result<usize, ImagesError> {
        let pushed = self.images.pushed(self.commands.log().log_id()).await?;
        if pushed.is_empty() {
            return Ok(0);
        }
        let Some(wants) = self.wants() else { return Ok(0) };
        let keep_ms = u64::try_from(self.keep.as_millis()).unwrap_or(u64::MAX);
        let oldest = now_ms.saturating_sub(keep_ms);
        let mut gone = 0;
        for image in
            pushed.iter().filter(|image| !wants.has(image) && image.marks.iter().all(|mark| mark.at_ms < oldest))
        {
            // Docker would keep it, and take its names.
            if self.images.in_use(&image.id).await? {
                continue;
            }
            for name in self.own_names(image) {
                self.images.forget(&name).await?;
            }
            gone += 1;
        }
        Ok(gone)
    }

    /// The names that this engine has given to an image; the marks go last: while one is there, the image is found again.
    fn own_names(&self, image: &PushedImage) -> Vec<String> {
        let log = self.commands.log().log_id();
        let given = image
            .names
            .iter()
            .filter(|name| name.starts_with(RELEASES) || image.marks.iter().any(|mark| mark.gave(name)));
        given.cloned().chain(image.marks.iter().map(|mark| mark.name(log))).collect()
    }

    /// What is wanted now; `None` while an image is looked for.
    fn wants(&self) -> Option<Wants> {
        let mut wants = Wants::default();
        let live = self.commands.live();
        for (_, cell) in live.cells() {
            let state = cell.state();
            if seeks(&state) {
                return None;
            }
            wants.of_workload(&state);
        }
        let registry = live.registry();
        for (id, registered) in &registry.workloads {
            let gone = live.cell(*id).state().teardown == Teardown::Done;
            let image = registered.revisions.last().filter(|_| !gone).and_then(|spec| spec.source.image());
            wants.references.extend(image.and_then(|image| Reference::parse(&image.reference).ok()));
        }
        Some(wants)
    }
}

impl Wants {
    fn has(&self, image: &PushedImage) -> bool {
        let named = |name: &String| Reference::parse(name).is_ok_and(|reference| self.references.contains(&reference));
        self.images.contains(&image.id) || image.names.iter().any(named)
    }

    /// The images of the releases that it keeps, of what runs, and of what is wished.
    fn of_workload(&mut self, state: &Workload) {
        let waiting = state.waiting.iter().map(|waiting| &waiting.intent);
        let intents = state.open.iter().map(|open| &open.intent).chain(&state.queue).chain(waiting);
        self.references.extend(intents.filter_map(|intent| match intent.wish.seeks()? {
            ImageWish::Reference { reference, .. } => Reference::parse(reference).ok(),
            ImageWish::Current | ImageWish::Built { .. } => None,
        }));
        self.images.extend(needed(state));
    }
}
