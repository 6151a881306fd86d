//! Which images go: by age and number, never one that a release still names.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cutover_events::WorkloadId;

use super::BuiltImage;

/// What stays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keep {
    /// Image ids that releases name: they stay whatever else is said here.
    pub named: BTreeSet<String>,
    /// How many of the newest images of each workload stay beside those.
    pub newest: usize,
    /// How old the others may become.
    pub age: Duration,
}

/// The images that are to spare, oldest first: not named, and either beyond the newest of their workload or too old.
#[must_use]
pub fn spare(images: Vec<BuiltImage>, keep: &Keep, now_ms: u64) -> Vec<BuiltImage> {
    let mut by_workload: BTreeMap<WorkloadId, Vec<BuiltImage>> = BTreeMap::new();
    for image in images.into_iter().filter(|image| !keep.named.contains(&image.id)) {
        by_workload.entry(image.workload).or_default().push(image);
    }
    let oldest = now_ms.saturating_sub(u64::try_from(keep.age.as_millis()).unwrap_or(u64::MAX));
    let mut gone = Vec::new();
    for mut images in by_workload.into_values() {
        images.sort_by_key(|image| Reverse(image.deployment));
        let beyond = images.into_iter().enumerate();
        let goes = beyond.filter(|(n, image)| *n >= keep.newest || begun_ms(image) < oldest);
        gone.extend(goes.map(|(_, image)| image));
    }
    gone.sort_by_key(|image| image.deployment);
    gone
}

/// When the deployment that built it was asked for: its id begins with that time (ms since 1970).
fn begun_ms(image: &BuiltImage) -> u64 {
    image.deployment.0[..6].iter().fold(0, |ms, byte| (ms << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use cutover_events::DeploymentId;
    use proptest::prelude::*;

    use super::*;

    fn image(workload: u8, at: u64) -> BuiltImage {
        let mut deployment = [0; 16];
        deployment[..6].copy_from_slice(&at.to_be_bytes()[2..]);
        deployment[15] = workload;
        let id = format!("sha256:{workload}-{at}");
        BuiltImage { id, workload: WorkloadId([workload; 16]), deployment: DeploymentId(deployment), size: 1 }
    }

    proptest! {
        #[test]
        fn named_images_stay_and_the_rest_is_bounded(
            images in proptest::collection::btree_set((0..3_u8, 0..50_u64), 0..30),
            named in proptest::collection::btree_set((0..3_u8, 0..50_u64), 0..10),
            newest in 0..5_usize,
            age in 0..60_u64,
        ) {
            let id = |(workload, at): &(u8, u64)| image(*workload, *at).id;
            let all: Vec<_> = images.iter().map(|(workload, at)| image(*workload, *at)).collect();
            let named: BTreeSet<String> = named.iter().map(id).collect();
            let keep = Keep { named: named.clone(), newest, age: Duration::from_millis(age) };
            let gone = spare(all.clone(), &keep, 60);
            let stays = |image: &&BuiltImage| !gone.contains(image);
            prop_assert!(gone.iter().all(|image| !named.contains(&image.id)));
            for workload in 0..3 {
                let of = |image: &&BuiltImage| image.workload == WorkloadId([workload; 16]) && !named.contains(&image.id);
                let left: Vec<_> = all.iter().filter(of).filter(stays).collect();
                prop_assert!(left.len() <= newest);
                prop_assert!(left.iter().all(|image| begun_ms(image) >= 60 - age));
                // What went is older than whatever stays.
                let newest_gone = gone.iter().filter(of).map(|image| image.deployment).max();
                prop_assert!(left.iter().all(|image| newest_gone.is_none_or(|gone| image.deployment > gone)));
            }
        }
    }

    #[test]
    fn the_newest_stay_until_they_are_old() {
        let keep = |newest, age| Keep { named: BTreeSet::new(), newest, age: Duration::from_millis(age) };
        let all = || (1..=4).map(|at| image(1, at * 10)).collect::<Vec<_>>();
        let ids = |gone: Vec<BuiltImage>| gone.into_iter().map(|image| image.id).collect::<Vec<_>>();
        assert_eq!(ids(spare(all(), &keep(2, 100), 50)), ["sha256:1-10", "sha256:1-20"]);
        assert_eq!(ids(spare(all(), &keep(3, 15), 50)), ["sha256:1-10", "sha256:1-20", "sha256:1-30"]);
        assert_eq!(ids(spare(all(), &keep(9, 100), 50)), Vec::<String>::new());
    }
}
