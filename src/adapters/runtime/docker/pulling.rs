//! How far the pulls are that go on: for whoever waits for one.

use std::collections::BTreeMap;

use bollard::models::CreateImageInfo;
use parking_lot::Mutex;

/// Bytes in a megabyte as Docker counts them.
const MEGABYTE: f64 = 1_000_000.0;

/// The pulls that go on, by reference.
#[derive(Debug, Default)]
pub(super) struct Pulls(Mutex<BTreeMap<String, Layers>>);

/// The layers of one image, by id.
#[derive(Debug, Default)]
struct Layers(BTreeMap<String, Layer>);

#[derive(Debug, Default, Clone, Copy)]
struct Layer {
    here: bool,
    got: u64,
    whole: u64,
}

/// One pull that is shown for as long as this lives.
pub(super) struct Shown<'a> {
    pulls: &'a Pulls,
    reference: &'a str,
}

impl Pulls {
    pub(super) fn begin<'a>(&'a self, reference: &'a str) -> Shown<'a> {
        self.0.lock().insert(reference.to_owned(), Layers::default());
        Shown { pulls: self, reference }
    }

    /// What the pull of a reference does now, one line; `None` when none goes on.
    pub(super) fn told(&self, reference: &str) -> Option<String> {
        self.0.lock().get(reference).map(|layers| format!("pulls {reference}{}", layers.told()))
    }
}

impl Shown<'_> {
    pub(super) fn hear(&self, step: &CreateImageInfo) {
        if let Some(layers) = self.pulls.0.lock().get_mut(self.reference) {
            layers.hear(step);
        }
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.pulls.0.lock().remove(self.reference);
    }
}

impl Layers {
    fn hear(&mut self, step: &CreateImageInfo) {
        let (Some(id), Some(status)) = (&step.id, &step.status) else { return };
        // The first line names the tag where others name a layer.
        if status.starts_with("Pulling from") {
            return;
        }
        let layer = self.0.entry(id.clone()).or_default();
        layer.here |= matches!(status.as_str(), "Pull complete" | "Already exists");
        let detail = step.progress_detail.as_ref().filter(|_| status == "Downloading");
        if let Some(detail) = detail {
            layer.got = detail.current.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(layer.got);
            layer.whole = detail.total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(layer.whole);
        }
        if layer.here || status == "Download complete" {
            layer.got = layer.whole;
        }
    }

    fn told(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let here = self.0.values().filter(|layer| layer.here).count();
        let (got, whole) = self.0.values().fold((0, 0), |(got, whole), layer| (got + layer.got, whole + layer.whole));
        let bytes = if whole == 0 { String::new() } else { format!(", {} of {} MB", megabytes(got), megabytes(whole)) };
        format!(": {here} of {} layers are here{bytes}", self.0.len())
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
        assert_eq!(pulls.told("shop:1"), None);
        let shown = pulls.begin("shop:1");
        assert_eq!(pulls.told("shop:1").unwrap(), "pulls shop:1");
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
        assert_eq!(pulls.told("shop:1").unwrap(), "pulls shop:1: 1 of 3 layers are here, 1.5 of 6.0 MB");
        shown.hear(&step("bb", "Download complete", None));
        shown.hear(&step("cc", "Pull complete", None));
        assert_eq!(pulls.told("shop:1").unwrap(), "pulls shop:1: 2 of 3 layers are here, 6.0 of 6.0 MB");
        drop(shown);
        assert_eq!(pulls.told("shop:1"), None);
    }
}
