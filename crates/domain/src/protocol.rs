//! The rules of the protocol that each proved necessary, by name.
//!
//! In a build with the feature `mutants`, which no build of the product has, each can be switched off for a thread: the
//! explorer must then find a history that breaks a sentence. Otherwise [`on`] is the constant `true`.

/// A rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Rule {
    /// The plan is in the log before a container of it is created.
    PlanFirst,
    /// What no list knows is removed, whenever it is seen.
    SweepLoop,
    /// The name of a container is never used again.
    Unique,
    /// Nothing is superseded past its point of no return.
    Ponr,
    /// The swap is in the log before the route is written.
    SwapEv,
    /// The router refuses a generation that is not above its own.
    Gen,
    /// The router asks its targets at the switch.
    Probe,
    /// What has connections is not removed, and blue is drained before the end.
    Drain,
    /// The same wish under the same key is accepted once.
    Dedup,
    /// One operation at a time.
    Lane,
    /// A refused swap is fenced before the deployment fails.
    Fence,
    /// A container that was started is never started again.
    SingleUse,
    /// The sweep knows the standby.
    KeepKept,
    /// A removal is over when the container is seen gone.
    RemovedAfter,
    /// A swap is over when the router shows it.
    SwappedAfter,
    /// The end of a deployment and the lists after it are one append.
    AtomicDone,
    /// What is routed is not removed.
    RouteGuard,
    /// An event is on disk before it is acted on.
    Fsync,
    /// A route that is behind the log is written again.
    Reassert,
    /// Only a standby that runs is adopted.
    CheckPhase,
    /// The router refuses a write that was meant for another process of it.
    Boot,
    /// A fence is written even when the router shows what is wanted.
    FenceAlways,
    /// What is dead is repaired before the route is written again, and only what is ready is routed.
    HealFirst,
    /// What goes is listed until it is seen gone.
    Trash,
    /// Green is ready before the swap.
    Gate,
    /// An answer belongs to the generation that asked.
    Answer,
    /// An adopted standby does not expire.
    Adopted,
    /// An automatic wish does not supersede a person's.
    Person,
    /// What was superseded is followed by something that is not.
    Shield,
    /// What the log does not know is not touched.
    Witness,
    /// What goes is touched only once the router has taken the generation of the commit that said so.
    Seal,
    /// Of an exclusive workload nothing starts until every other container is seen gone.
    Clear,
    /// What was is restored once.
    OneRestore,
    /// Start, stop and remove address the id that was seen, never the name.
    Ids,
    /// What is dead is kept from being revived before its successor is there.
    Retire,
    /// A release command is asked for once, by who has recorded its start.
    RunOnce,
    /// What runs its release command is not superseded.
    Undisturbed,
}

impl Rule {
    /// Every rule, in the order of its number.
    pub const ALL: [Self; 37] = [
        Self::PlanFirst,
        Self::SweepLoop,
        Self::Unique,
        Self::Ponr,
        Self::SwapEv,
        Self::Gen,
        Self::Probe,
        Self::Drain,
        Self::Dedup,
        Self::Lane,
        Self::Fence,
        Self::SingleUse,
        Self::KeepKept,
        Self::RemovedAfter,
        Self::SwappedAfter,
        Self::AtomicDone,
        Self::RouteGuard,
        Self::Fsync,
        Self::Reassert,
        Self::CheckPhase,
        Self::Boot,
        Self::FenceAlways,
        Self::HealFirst,
        Self::Trash,
        Self::Gate,
        Self::Answer,
        Self::Adopted,
        Self::Person,
        Self::Shield,
        Self::Witness,
        Self::Seal,
        Self::Clear,
        Self::OneRestore,
        Self::Ids,
        Self::Retire,
        Self::RunOnce,
        Self::Undisturbed,
    ];
}

/// Whether a rule is in force: always, but in a build with the feature `mutants`.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
#[must_use]
pub const fn on(_rule: Rule) -> bool {
    true
}

#[cfg(feature = "mutants")]
pub use switched::{off, on};

#[cfg(feature = "mutants")]
mod switched {
    use std::cell::Cell;

    use super::Rule;

    thread_local! {
        static OFF: Cell<u64> = const { Cell::new(0) };
    }

    /// Whether a rule is in force on this thread.
    #[must_use]
    pub fn on(rule: Rule) -> bool {
        OFF.get() & 1 << rule as u8 == 0
    }

    /// From here on exactly these rules are not in force on this thread.
    pub fn off(rules: &[Rule]) {
        OFF.set(rules.iter().fold(0, |bits, rule| bits | 1 << *rule as u8));
    }
}

#[cfg(not(feature = "mutants"))]
const _: () = assert!(on(Rule::PlanFirst) && on(Rule::Witness));
