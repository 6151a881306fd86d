//! What is still to be done: deliveries without a decision, and decisions whose intents are not in the log.

use std::collections::BTreeMap;

use cutover_domain::rules::moves;
use cutover_events::delivery::{Change, DeliveryDecided, DeliveryReceived};
use cutover_events::{Actor, Cause, Commit, DeliveryId, DeploymentId, Event, HookId, Key, StreamId, WorkloadId};

use crate::store::{Log, ReadError};

/// Deliveries of one hook that are held in memory, a count; the log holds the others until these are decided.
const MAX_WAITING: usize = 4096;
/// Commits that are read at once, a count.
const PAGE: usize = 512;

/// An intent that a verdict asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TriggeredWish {
    /// For which workload.
    pub workload: WorkloadId,
    /// Chosen by the decision: the same whoever appends the intent, and when.
    pub deployment: DeploymentId,
    /// Through which hook it came.
    pub hook: HookId,
    /// In which delivery.
    pub delivery: DeliveryId,
    /// Index of the change in it.
    pub item: u16,
    /// Index of the rule that matched.
    pub rule: u16,
    /// The image reference, without placeholders.
    pub reference: String,
    /// Whether the registry is asked even when the image is here.
    pub ask_registry: bool,
    /// The change that asked.
    pub change: Change,
}

impl TriggeredWish {
    /// What makes the intent happen once.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::Triggered { delivery: self.delivery, item: self.item, rule: self.rule }
    }

    /// What brings the intent about.
    #[must_use]
    pub fn cause(&self) -> Cause {
        Cause::Delivery(self.delivery)
    }

    /// Who brings the intent about.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::Hook(self.hook)
    }
}

/// The intents that a decision asks for, in the order of its verdicts.
pub(super) fn wishes(received: &DeliveryReceived, decided: &[DeliveryDecided]) -> Vec<TriggeredWish> {
    let verdicts = decided.iter().flat_map(|decided| &decided.verdicts);
    verdicts
        .filter_map(|verdict| {
            let change = received.items.get(usize::from(verdict.item))?.clone();
            Some(TriggeredWish {
                workload: verdict.workload,
                deployment: verdict.intent?,
                hook: received.hook,
                delivery: received.delivery,
                item: verdict.item,
                rule: verdict.rule,
                reference: verdict.reference.clone(),
                ask_registry: moves(&change, &verdict.reference),
                change,
            })
        })
        .collect()
}

/// The decisions among the events of a commit.
pub(super) fn decisions(events: &[Event]) -> Vec<DeliveryDecided> {
    let of = |event: &Event| if let Event::DeliveryDecided(decided) = event { Some(decided.clone()) } else { None };
    events.iter().filter_map(of).collect()
}

/// The fold of what is still to be done. Give it every commit of the log, in order; only hooks' and intents' count.
#[derive(Debug, Default)]
pub struct OpenDeliveries {
    hooks: BTreeMap<HookId, Inbox>,
    /// Decided, and their intents not seen yet; in the order of the decisions.
    missing: Vec<TriggeredWish>,
}

/// One hook's.
#[derive(Debug, Default)]
struct Inbox {
    /// Version up to which the stream is folded.
    version: u64,
    /// By version, so in the order in which they came.
    waiting: BTreeMap<u64, DeliveryReceived>,
    /// Whether the fold has stopped because too many wait; reading goes on from `version`.
    full: bool,
}

impl OpenDeliveries {
    /// Reads the whole log.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn read(log: &dyn Log) -> Result<Self, ReadError> {
        let mut open = Self::default();
        let mut from = 1;
        loop {
            let page = log.read_all(from, PAGE).await?;
            let Some(last) = page.last() else { return Ok(open) };
            from = last.commit.last_position() + 1;
            page.iter().for_each(|sealed| open.apply(&sealed.commit));
        }
    }

    /// Folds one commit.
    pub fn apply(&mut self, commit: &Commit) {
        match commit.stream {
            StreamId::Hook(hook) => self.of_hook(hook, commit),
            StreamId::Workload(id) if !self.missing.is_empty() => {
                commit.events.iter().for_each(|event| self.of_workload(id, event));
            }
            StreamId::Workload(_) | StreamId::Registry | StreamId::Engine => {}
        }
    }

    fn of_workload(&mut self, workload: WorkloadId, event: &Event) {
        match event {
            Event::IntentQueued(intent) => self.missing.retain(|wish| wish.deployment != intent.deployment),
            // What was wished before a teardown must not come back after a later apply.
            Event::WorkloadTornDown(_) => self.missing.retain(|wish| wish.workload != workload),
            _ => {}
        }
    }

    fn of_hook(&mut self, hook: HookId, commit: &Commit) {
        let inbox = self.hooks.entry(hook).or_default();
        if inbox.full || commit.last_version() <= inbox.version {
            return;
        }
        let received = commit.events.iter().filter_map(|event| match event {
            Event::DeliveryReceived(received) => Some(received),
            _ => None,
        });
        for received in received {
            if inbox.waiting.len() >= MAX_WAITING {
                inbox.full = true;
                return;
            }
            inbox.waiting.insert(commit.version, received.clone());
        }
        inbox.version = commit.last_version();
        let decided = decisions(&commit.events);
        let Some(delivery) = decided.first().map(|decided| decided.delivery) else { return };
        let Some(received) = self.decided(hook, delivery) else { return };
        self.missing.extend(wishes(&received, &decided));
    }

    /// Takes a delivery off those that wait.
    pub(super) fn decided(&mut self, hook: HookId, delivery: DeliveryId) -> Option<DeliveryReceived> {
        let waiting = &mut self.hooks.get_mut(&hook)?.waiting;
        let version = *waiting.iter().find(|(_, received)| received.delivery == delivery)?.0;
        waiting.remove(&version)
    }

    /// Intents that a decision asked for and that are not in the log, in the order of the decisions.
    pub(super) fn take_missing(&mut self) -> Vec<TriggeredWish> {
        std::mem::take(&mut self.missing)
    }

    /// Hooks with deliveries that wait, here or in the log.
    #[must_use]
    pub fn hooks(&self) -> Vec<HookId> {
        let open = self.hooks.iter().filter(|(_, inbox)| inbox.full || !inbox.waiting.is_empty());
        open.map(|(hook, _)| *hook).collect()
    }

    /// The first deliveries of a hook that wait, at most `count`.
    pub(super) fn first(&self, hook: HookId, count: usize) -> Vec<DeliveryReceived> {
        self.hooks.get(&hook).map(|inbox| inbox.waiting.values().take(count).cloned().collect()).unwrap_or_default()
    }

    /// Folds what the log holds of a hook past what is known; at most a page. Whether there was anything.
    pub(super) async fn read_on(&mut self, log: &dyn Log, hook: HookId) -> Result<Progress, ReadError> {
        let inbox = self.hooks.entry(hook).or_default();
        inbox.full = false;
        let page = log.read(StreamId::Hook(hook), inbox.version + 1, PAGE).await?;
        page.iter().for_each(|sealed| self.apply(&sealed.commit));
        Ok(if page.is_empty() { Progress::AtEnd } else { Progress::Read })
    }
}

/// Whether reading a stream has come to something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// Something was read.
    Read,
    /// There is nothing new.
    AtEnd,
}
