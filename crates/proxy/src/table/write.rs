//! The one place that changes the table.
//!
//! Order of a put: validate, probe, validate again under the lock, persist, store, begin the drains, answer. A fence
//! overtakes a put that still probes, which then loses by its generation.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use cutover_site::site::Site;
use tokio::sync::{Mutex, watch};
use tokio_util::task::TaskTracker;

use super::releases::{self, Opened};
use super::rules::{self, Credentials, check_content, check_writer};
use super::store::{StoreError, Stored, StoredEntry};
use super::{Entry, NameIndex, RouteIndex, Snapshot};
use crate::drain::Target;
use crate::metrics::WorkloadFigures;
use crate::probe;
use crate::wire::{self, Fence, Put, PutRefused, RefusedCode};

/// Pause between two looks at a drain past its deadline, ms: a claim made just before it is cut by the second.
const CUT_AGAIN: Duration = Duration::from_millis(100);
/// After so many rounds what does not end by itself is closed with its whole connection.
const FORCE_AFTER: u32 = 10;
/// How often a drain past its deadline is cut; what is open then has been signalled and ends by itself.
const MAX_CUTS: u32 = 50;

/// Holds the table: requests read it, the engine's writes replace it.
#[derive(Debug)]
pub struct Switchboard {
    current: ArcSwap<Snapshot>,
    boot: String,
    path: PathBuf,
    listen: Vec<SocketAddr>,
    writing: Mutex<()>,
    changed: watch::Sender<u64>,
    tasks: TaskTracker,
}

impl Switchboard {
    /// Restores the last table from the file `path`, for a process that accepts traffic at `listen`.
    ///
    /// # Errors
    /// When the file is there and is damaged or cannot be read.
    pub fn restore(path: PathBuf, boot: String, listen: Vec<SocketAddr>) -> Result<Self, StoreError> {
        let stored = Stored::read(&path)?;
        let entries = stored.entries.into_iter().map(|kept| (kept.workload.clone(), Arc::new(revive(kept)))).collect();
        let table = assemble(stored.log, stored.writer_epoch, stored.witness, entries);
        Ok(Self {
            current: ArcSwap::from_pointee(table),
            boot,
            path,
            listen,
            writing: Mutex::new(()),
            changed: watch::Sender::new(0),
            tasks: TaskTracker::new(),
        })
    }

    /// The table of this moment.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Tells of every write from now on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// For the engine; what becomes of the gateways is known elsewhere.
    #[must_use]
    pub fn view(&self) -> wire::Table {
        let table = self.load();
        wire::Table {
            router_boot: self.boot.clone(),
            pid: std::process::id(),
            log: table.log.clone(),
            witness: table.witness.clone(),
            listen: self.listen.clone(),
            gateways: Vec::new(),
            entries: table.entries.values().map(|entry| entry.view()).collect(),
        }
    }

    /// Replaces the entry of a workload: durable and in force on return, the drain of former targets begun.
    ///
    /// # Errors
    /// A refusal by the rules, a probe or the disk; then nothing was changed.
    pub async fn put(&self, put: &Put) -> Result<(), PutRefused> {
        self.check(put)?;
        if let Some(asked) = &put.probe {
            probe::all(asked, &self.new_targets(put)).await?;
        }
        let opened = self.open_folders(put).await?;
        let _writing = self.writing.lock().await;
        self.check(put)?;
        let before = self.current.load_full();
        let (entry, former) = replace(before.entries.get(&put.workload), put, &opened);
        let witness = newest(before.witness.as_ref(), &put.witness);
        let writer = Credentials::from(put);
        self.commit(&before, &writer, Some(witness), entry).await?;
        for target in &former {
            target.begin_drain();
        }
        if !former.is_empty() {
            self.tasks.spawn(cut_at_deadline(former, put.policy.drain_ms));
        }
        Ok(())
    }

    /// Raises the generation of an entry, makes a tombstone where there is none, and changes nothing else.
    ///
    /// # Errors
    /// A refusal by the rules or the disk; then nothing was changed.
    pub async fn fence(&self, fence: &Fence) -> Result<(), PutRefused> {
        let _writing = self.writing.lock().await;
        let before = self.current.load_full();
        let writer = Credentials::from(fence);
        check_writer(&before, &self.boot, &writer)?;
        let entry = fenced(before.entries.get(&fence.workload), fence);
        self.commit(&before, &writer, before.witness.clone(), entry).await
    }

    fn check(&self, put: &Put) -> Result<(), PutRefused> {
        let table = self.load();
        check_writer(&table, &self.boot, &put.into())?;
        check_content(&table, put)
    }

    fn new_targets(&self, put: &Put) -> Vec<wire::Target> {
        let table = self.load();
        let serving = table.entries.get(&put.workload).map_or(&[][..], |entry| &entry.targets);
        let is_new = |target: &&wire::Target| !serving.iter().any(|known| known.is(target));
        put.targets.iter().filter(is_new).cloned().collect()
    }

    /// Reads the release folders of a write that are not in the table yet.
    async fn open_folders(&self, put: &Put) -> Result<Opened, PutRefused> {
        let has_folder = put.targets.iter().any(|target| target.place.address().is_none());
        if !has_folder && put.former.is_empty() {
            return Ok(Opened::new());
        }
        let (known, put) = (releases::known(self.load().entries.get(&put.workload)), put.clone());
        let opened = self.tasks.spawn_blocking(move || releases::open(&put, known)).await;
        opened.unwrap_or_else(|e| rules::refuse(RefusedCode::Probe, format!("the release was not read: {e}")))
    }

    async fn commit(
        &self,
        before: &Snapshot,
        writer: &Credentials<'_>,
        witness: Option<wire::Witness>,
        entry: Entry,
    ) -> Result<(), PutRefused> {
        let mut entries = before.entries.clone();
        entries.insert(entry.workload.clone(), Arc::new(entry));
        let next = assemble(Some(writer.log.to_owned()), writer.writer_epoch, witness, entries);
        let (stored, path) = (Stored::of(&next), self.path.clone());
        let written = self.tasks.spawn_blocking(move || stored.write(&path)).await;
        let failed = match written {
            Ok(Ok(())) => None,
            Ok(Err(e)) => Some(e.to_string()),
            Err(e) => Some(e.to_string()),
        };
        if let Some(why) = failed {
            return rules::refuse(RefusedCode::Disk, format!("not written, the former table stays in force: {why}"));
        }
        self.current.store(Arc::new(next));
        self.changed.send_modify(|n| *n += 1);
        Ok(())
    }
}

fn assemble(
    log: Option<String>,
    writer_epoch: u64,
    witness: Option<wire::Witness>,
    entries: BTreeMap<String, Arc<Entry>>,
) -> Snapshot {
    let index = RouteIndex::build(entries.values());
    let names = NameIndex::build(entries.values());
    Snapshot { log, writer_epoch, witness, entries, index, names }
}

fn revive(kept: StoredEntry) -> Entry {
    Entry {
        workload: kept.workload,
        name: kept.name,
        generation: kept.generation,
        routes: kept.routes,
        names: kept.names,
        targets: kept.targets.iter().map(|target| made(target, releases::read)).collect(),
        draining: Vec::new(),
        former: releases::revived(&kept.former),
        policy: kept.policy,
        figures: Arc::default(),
    }
}

fn made(asked: &wire::Target, site: impl FnOnce(&Path) -> Option<Arc<Site>>) -> Arc<Target> {
    match &asked.place {
        wire::Place::Address(address) => Target::new(&asked.unit, *address),
        wire::Place::Folder(folder) => Target::folder(&asked.unit, folder, site(folder)),
    }
}

fn newest(known: Option<&wire::Witness>, given: &wire::Witness) -> wire::Witness {
    known.filter(|known| known.position > given.position).unwrap_or(given).clone()
}

/// The new entry, and the targets that it no longer has.
fn replace(before: Option<&Arc<Entry>>, put: &Put, opened: &Opened) -> (Entry, Vec<Arc<Target>>) {
    let serving = before.map_or(&[][..], |entry| &entry.targets);
    let targets: Vec<_> = put
        .targets
        .iter()
        // A folder that could not be read at the start is read anew.
        .map(|asked| {
            match serving.iter().find(|known| known.is(asked) && (known.address().is_some() || known.site().is_some()))
            {
                Some(known) => Arc::clone(known),
                None => made(asked, |folder| opened.get(folder).cloned()),
            }
        })
        .collect();
    let stays = |former: &Arc<Target>| targets.iter().any(|target| Arc::ptr_eq(target, former));
    let former: Vec<_> = serving.iter().filter(|target| !stays(target)).cloned().collect();
    let undone = before.map_or(&[][..], |entry| &entry.draining).iter().filter(|target| !target.is_drained());
    let draining = undone.chain(&former).cloned().collect();
    let figures = before.map_or_else(|| Arc::new(WorkloadFigures::default()), |entry| Arc::clone(&entry.figures));
    let entry = Entry {
        workload: put.workload.clone(),
        name: put.name.clone(),
        generation: put.generation,
        routes: put.routes.clone(),
        names: put.names.clone(),
        targets,
        draining,
        former: releases::former(&put.former, opened),
        policy: put.policy.clone(),
        figures,
    };
    (entry, former)
}

fn fenced(before: Option<&Arc<Entry>>, fence: &Fence) -> Entry {
    let tombstone = || StoredEntry {
        workload: fence.workload.clone(),
        name: fence.workload.clone(),
        generation: fence.generation,
        routes: Vec::new(),
        names: None,
        targets: Vec::new(),
        former: Vec::new(),
        policy: wire::RoutePolicy { drain_ms: 0, half_close: false },
    };
    match before {
        None => revive(tombstone()),
        Some(entry) => Entry {
            workload: entry.workload.clone(),
            name: entry.name.clone(),
            generation: fence.generation,
            routes: entry.routes.clone(),
            names: entry.names.clone(),
            targets: entry.targets.clone(),
            draining: entry.draining.clone(),
            former: entry.former.clone(),
            policy: entry.policy.clone(),
            figures: Arc::clone(&entry.figures),
        },
    }
}

async fn cut_at_deadline(former: Vec<Arc<Target>>, drain_ms: u64) {
    tokio::time::sleep(Duration::from_millis(drain_ms)).await;
    for round in 0..MAX_CUTS {
        for target in &former {
            let cut = target.cut_open();
            if round >= FORCE_AFTER {
                target.force_open();
            }
            if cut > 0 {
                tracing::info!(unit = %target.unit, cut, "cut what was open at the end of the drain");
            }
        }
        if former.iter().all(|target| target.is_drained()) {
            return;
        }
        tokio::time::sleep(CUT_AGAIN).await;
    }
}
