//! How far the pulls are that go on, and which try it is: for whoever waits for one.

use std::collections::BTreeMap;

use bollard::models::CreateImageInfo;
use parking_lot::Mutex;

/// Bytes in a megabyte as Docker counts them.
const MEGABYTE: f64 = 1_000_000.0;
/// How long a pull that was lost is remembered, ms: the next try of the same deployment begins within 5 s.
const REMEMBERED_MS: u64 = 30_000;

/// The pulls that go on, and those that were lost a moment ago, by reference.
#[derive(Debug, Default)]
pub(super) struct Pulls(Mutex<BTreeMap<String, Tries>>);

/// The tries to pull one image.
#[derive(Debug, Default)]
struct Tries {
    /// How many of them go on now: two workloads may want the same image.
    going: usize,
    /// How many have begun.
    begun: u32,
    /// Why the one before was lost, and when, `CLOCK_MONOTONIC`, ms.
    lost: Option<(&'static str, u64)>,
    layers: Layers,
}

/// The layers of one image, by id.
#[derive(Debug, Default)]
struct Layers {
    by_id: BTreeMap<String, Layer>,
    /// How often the connection broke off under one of them, and Docker went on with it.
    broken: u32,
}

#[derive(Debug, Default, Clone, Copy)]
struct Layer {
    stage: Stage,
    got: u64,
    whole: u64,
}

/// What becomes of a layer.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Comes,
    /// The connection broke off, and Docker waits before it goes on.
    Waits,
    Here,
}

/// One pull that is shown for as long as this lives.
pub(super) struct Shown<'a> {
    pulls: &'a Pulls,
    reference: &'a str,
    /// Why it was lost, and when.
    lost: Option<(&'static str, u64)>,
}

impl Pulls {
    /// A pull begins at this time on the monotonic clock, ms.
    pub(super) fn begin<'a>(&'a self, reference: &'a str, now_ms: u64) -> Shown<'a> {
        let mut all = self.0.lock();
        all.retain(|_, tries| !tries.forgotten(now_ms));
        let tries = all.entry(reference.to_owned()).or_default();
        if tries.going == 0 {
            tries.layers = Layers::default();
            tries.begun += 1;
        }
        tries.going += 1;
        Shown { pulls: self, reference, lost: None }
    }

    /// What the pull of a reference does now, one line; `None` when none goes on, and none was lost a moment ago.
    pub(super) fn told(&self, reference: &str, now_ms: u64) -> Option<String> {
        let all = self.0.lock();
        let tries = all.get(reference).filter(|tries| !tries.forgotten(now_ms))?;
        Some(match tries.lost {
            _ if tries.begun <= 1 && tries.going > 0 => format!("pulls {reference}{}", tries.layers.told()),
            Some((why, _)) if tries.going > 0 => {
                format!("pulls {reference}, try {} (before: {why}){}", tries.begun, tries.layers.told())
            }
            Some((why, _)) => format!("pulls {reference}: {why}, try {} follows", tries.begun + 1),
            None => format!("pulls {reference}, try {}{}", tries.begun, tries.layers.told()),
        })
    }
}

impl Tries {
    fn forgotten(&self, now_ms: u64) -> bool {
        let old = |(_, at_ms): (_, u64)| now_ms.saturating_sub(at_ms) > REMEMBERED_MS;
        self.going == 0 && self.lost.is_none_or(old)
    }
}

impl Shown<'_> {
    pub(super) fn hear(&self, step: &CreateImageInfo) {
        if let Some(tries) = self.pulls.0.lock().get_mut(self.reference) {
            tries.layers.hear(step);
        }
    }

    /// It has ended at this time on the monotonic clock, ms: with an answer, or lost, and why.
    pub(super) fn ended(mut self, lost: Option<&'static str>, now_ms: u64) {
        self.lost = lost.map(|why| (why, now_ms));
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        let mut all = self.pulls.0.lock();
        let Some(tries) = all.get_mut(self.reference) else { return };
        tries.going -= 1;
        tries.lost = self.lost;
        if tries.going == 0 && self.lost.is_none() {
            all.remove(self.reference);
        }
    }
}

impl Layers {
    fn hear(&mut self, step: &CreateImageInfo) {
        let (Some(id), Some(status)) = (&step.id, &step.status) else { return };
        // The first line names the tag where others name a layer.
        if status.starts_with("Pulling from") {
            return;
        }
        let layer = self.by_id.entry(id.clone()).or_default();
        // Docker counts down, a line each second.
        let waits = status.starts_with("Retrying in");
        self.broken += u32::from(waits && layer.stage != Stage::Waits);
        layer.stage = match status.as_str() {
            _ if layer.stage == Stage::Here => Stage::Here,
            "Pull complete" | "Already exists" => Stage::Here,
            _ if waits => Stage::Waits,
            _ => Stage::Comes,
        };
        let detail = step.progress_detail.as_ref().filter(|_| status == "Downloading");
        if let Some(detail) = detail {
            let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
            let rest = bytes(detail.total).unwrap_or(layer.whole);
            layer.whole = layer.whole.max(rest);
            // What Docker had of it before the connection broke off is not in its figures.
            layer.got = bytes(detail.current).map_or(layer.got, |got| layer.whole - rest + got);
        }
        if layer.stage == Stage::Here || status == "Download complete" {
            layer.got = layer.whole;
        }
    }

    fn told(&self) -> String {
        if self.by_id.is_empty() {
            return String::new();
        }
        let here = self.by_id.values().filter(|layer| layer.stage == Stage::Here).count();
        let (got, whole) =
            self.by_id.values().fold((0, 0), |(got, whole), layer| (got + layer.got, whole + layer.whole));
        let bytes = if whole == 0 { String::new() } else { format!(", {} of {} MB", megabytes(got), megabytes(whole)) };
        let broken = match self.broken {
            0 => String::new(),
            1 => "; the connection broke off once, Docker goes on from there".to_owned(),
            often => format!("; the connection broke off {often} times, Docker goes on from there"),
        };
        format!(": {here} of {} layers are here{bytes}{broken}", self.by_id.len())
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / MEGABYTE)
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    fn step(id: &str, status: &str, bytes: Option<(i64, i64)>) -> CreateImageInfo {
        let detail = bytes.map(|(current, total)| ProgressDetail { current: Some(current), total: Some(total) });
        CreateImageInfo {
            id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: detail,
            ..CreateImageInfo::default()
        }
    }

    #[test]
    fn a_pull_is_told_by_layers_and_bytes_while_it_goes_on() {
        let pulls = Pulls::default();
        let told = || pulls.told("shop:1", 0).unwrap();
        assert_eq!(pulls.told("shop:1", 0), None);
        let shown = pulls.begin("shop:1", 0);
        assert_eq!(told(), "pulls shop:1");
        for told in [
            step("1", "Pulling from shop", None),
            step("aa", "Already exists", None),
            step("bb", "Pulling fs layer", None),
            step("cc", "Downloading", Some((500_000, 2_000_000))),
            step("bb", "Downloading", Some((1_000_000, 4_000_000))),
            step("bb", "Extracting", Some((9, 9))),
        ] {
            shown.hear(&told);
        }
        assert_eq!(told(), "pulls shop:1: 1 of 3 layers are here, 1.5 of 6.0 MB");
        shown.hear(&step("bb", "Download complete", None));
        shown.hear(&step("cc", "Pull complete", None));
        assert_eq!(told(), "pulls shop:1: 2 of 3 layers are here, 6.0 of 6.0 MB");
        drop(shown);
        assert_eq!(pulls.told("shop:1", 0), None);
    }

    #[test]
    fn a_layer_that_broke_off_counts_from_where_it_was() {
        let pulls = Pulls::default();
        let shown = pulls.begin("shop:1", 0);
        for told in [
            step("aa", "Downloading", Some((1_000_000, 4_000_000))),
            step("aa", "Retrying in 2 seconds", None),
            step("aa", "Retrying in 1 second", None),
            step("aa", "Downloading", Some((500_000, 3_000_000))),
        ] {
            shown.hear(&told);
        }
        let once = "pulls shop:1: 0 of 1 layers are here, 1.5 of 4.0 MB; the connection broke off once, Docker goes on from there";
        assert_eq!(pulls.told("shop:1", 0).unwrap(), once);
        shown.hear(&step("aa", "Retrying in 9 seconds", None));
        assert!(pulls.told("shop:1", 0).unwrap().contains("broke off 2 times"));
    }

    #[test]
    fn a_pull_that_was_lost_is_counted_until_nobody_tries_again() {
        let pulls = Pulls::default();
        let told = |now_ms| pulls.told("shop:1", now_ms);
        pulls.begin("shop:1", 0).ended(Some("time-out"), 1_000);
        assert_eq!(told(1_000).unwrap(), "pulls shop:1: time-out, try 2 follows");
        let second = pulls.begin("shop:1", 1_050);
        assert_eq!(told(60_000).unwrap(), "pulls shop:1, try 2 (before: time-out)");
        // Another workload's: it is one pull to Docker.
        let beside = pulls.begin("shop:1", 60_000);
        drop(second);
        assert_eq!(told(60_000).unwrap(), "pulls shop:1, try 2");
        beside.ended(Some("connection"), 61_000);
        assert!(told(61_000 + REMEMBERED_MS).is_some());
        assert_eq!(told(61_001 + REMEMBERED_MS), None);
        let later = pulls.begin("shop:1", 61_001 + REMEMBERED_MS);
        assert_eq!(told(100_000).unwrap(), "pulls shop:1");
        later.ended(None, 100_000);
        assert_eq!(told(100_000), None);
    }
}
