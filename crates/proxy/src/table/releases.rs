//! The release folders of a write: read before the table changes, so that what is in the table can be served.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use cutover_site::site::Site;

use super::Entry;
use crate::moment;
use crate::wire::{self, Place, Put, PutRefused, RefusedCode};

/// A release from before.
#[derive(Clone, Debug)]
pub struct Former {
    /// As it was written.
    pub asked: wire::Former,
    /// What was read there; `None`: it could not be.
    pub site: Option<Arc<Site>>,
    /// On the coarse clock, ms: from here on it is not asked any more.
    pub until_ms: u64,
}

impl Former {
    fn new(asked: &wire::Former, site: Option<Arc<Site>>) -> Self {
        Self { asked: asked.clone(), site, until_ms: moment::coarse_ms().saturating_add(asked.for_ms) }
    }
}

/// What was read, by folder.
pub(super) type Opened = BTreeMap<PathBuf, Arc<Site>>;

/// What an entry has read already.
pub(super) fn known(entry: Option<&Arc<Entry>>) -> Opened {
    let Some(entry) = entry else { return Opened::new() };
    let of_targets = entry.targets.iter().chain(&entry.draining).filter_map(|target| target.site());
    let of_former = entry.former.iter().filter_map(|former| former.site.as_ref());
    of_targets.chain(of_former).map(|site| (site.folder().to_owned(), Arc::clone(site))).collect()
}

/// Reads what is not known yet. A target that cannot be read refuses the write, a release from before does not.
pub(super) fn open(put: &Put, known: Opened) -> Result<Opened, PutRefused> {
    let mut opened = known;
    for target in &put.targets {
        let Place::Folder(folder) = &target.place else { continue };
        if opened.contains_key(folder) {
            continue;
        }
        let site = Site::open(folder).map_err(|e| PutRefused {
            code: RefusedCode::Probe,
            text: format!("{} did not pass the probe (its manifest reads): {e}", target.unit),
        })?;
        opened.insert(folder.clone(), Arc::new(site));
    }
    for former in &put.former {
        if !opened.contains_key(&former.folder) {
            opened.extend(read(&former.folder).map(|site| (former.folder.clone(), site)));
        }
    }
    Ok(opened)
}

/// The releases from before of a write.
pub(super) fn former(asked: &[wire::Former], opened: &Opened) -> Vec<Former> {
    asked.iter().map(|asked| Former::new(asked, opened.get(&asked.folder).cloned())).collect()
}

/// The releases from before of a stored entry.
pub(super) fn revived(asked: &[wire::Former]) -> Vec<Former> {
    asked.iter().map(|asked| Former::new(asked, read(&asked.folder))).collect()
}

/// Reads a folder, or tells why that cannot be done.
pub(super) fn read(folder: &std::path::Path) -> Option<Arc<Site>> {
    match Site::open(folder) {
        Ok(site) => Some(Arc::new(site)),
        Err(e) => {
            tracing::warn!(folder = %folder.display(), error = %e, "a release folder cannot be read");
            None
        }
    }
}
