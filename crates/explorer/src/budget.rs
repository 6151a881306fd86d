//! How many faults of each kind a history may hold.

use std::fmt;

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub(crate) enum Fault {
    /// The engine dies, before or after whatever it does, and starts again.
    Crash,
    /// A request of the engine gets no answer and is done at any later time; a late create may hold its name first.
    Late,
    /// A ready container answers 500 for a while.
    Flap,
    /// A person's `docker rm -f`.
    Remove,
    /// An answer is lost, the request done or not; a client does not hear that its wish was accepted.
    Lost,
    /// The proxy restarts, with its table or without.
    Router,
    /// The process of a container ends.
    Exit,
    /// The daemon restarts, with live-restore or without.
    Daemon,
    /// The host restarts.
    Reboot,
    /// The tail of the log is gone when the engine starts.
    Tail,
    /// Nothing runs for ten minutes: the host slept.
    Stall,
    /// Connections to a former target are cut at the deadline of its drain.
    Cut,
    /// A person stops, starts, restarts, pauses, renames, changes or disconnects a container.
    Hand,
}

impl Fault {
    /// Every kind, in the order of a budget in figures.
    pub(crate) const ALL: [Self; 13] = [
        Self::Crash,
        Self::Late,
        Self::Flap,
        Self::Remove,
        Self::Lost,
        Self::Router,
        Self::Exit,
        Self::Daemon,
        Self::Reboot,
        Self::Tail,
        Self::Stall,
        Self::Cut,
        Self::Hand,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Late => "late",
            Self::Flap => "flap",
            Self::Remove => "rm",
            Self::Lost => "lost",
            Self::Router => "router",
            Self::Exit => "exit",
            Self::Daemon => "daemon",
            Self::Reboot => "reboot",
            Self::Tail => "tail",
            Self::Stall => "stall",
            Self::Cut => "cut",
            Self::Hand => "hand",
        }
    }
}

/// What is left of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Budget([u8; Fault::ALL.len()]);

impl Budget {
    /// This many of these, and none of the others.
    pub(crate) const fn of(kinds: &[(Fault, u8)]) -> Self {
        let mut counts = [0; Fault::ALL.len()];
        let mut at = 0;
        while at < kinds.len() {
            counts[kinds[at].0 as usize] = kinds[at].1;
            at += 1;
        }
        Self(counts)
    }

    /// Whether one more may happen.
    pub(crate) fn allows(&self, fault: Fault) -> bool {
        self.0[fault as usize] > 0
    }

    /// One has happened.
    pub(crate) fn spend(&mut self, fault: Fault) {
        self.0[fault as usize] = self.0[fault as usize].saturating_sub(1);
    }

    /// These and those.
    pub(crate) fn and(&self, more: &Self) -> Self {
        let mut sum = *self;
        sum.0.iter_mut().zip(more.0).for_each(|(count, more)| *count = count.saturating_add(more));
        sum
    }

    /// Whether as many are left of these kinds as of `whole`.
    pub(crate) fn untouched(&self, whole: &Self, kinds: &[Fault]) -> bool {
        kinds.iter().all(|kind| self.0[*kind as usize] == whole.0[*kind as usize])
    }

    /// As people write it: `crash=2,late=1`, or six figures for crash, late, flap, rm, lost, router.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut budget = Self::default();
        for (at, part) in text.split(',').filter(|part| !part.is_empty()).enumerate() {
            let (kind, count) = match part.split_once('=') {
                Some((name, count)) => (Fault::ALL.into_iter().find(|kind| kind.name() == name), count),
                None => (Fault::ALL.get(at).copied(), part),
            };
            let names: Vec<_> = Fault::ALL.iter().map(|kind| kind.name()).collect();
            let kind = kind.ok_or_else(|| format!("\"{part}\" is no kind of fault: {}", names.join(", ")))?;
            let count = count.parse().map_err(|_| format!("\"{part}\" needs a number below 256"))?;
            budget.0[kind as usize] = count;
        }
        Ok(budget)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = Fault::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0);
        let parts: Vec<_> = kinds.map(|(kind, count)| format!("{}={count}", kind.name())).collect();
        f.write_str(if parts.is_empty() { "none" } else { "" })?;
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_read_as_it_is_shown() {
        let budget = Budget::of(&[(Fault::Crash, 2), (Fault::Router, 1)]);
        assert_eq!(budget.to_string(), "crash=2,router=1");
        assert_eq!(Budget::parse(&budget.to_string()), Ok(budget));
        assert_eq!(Budget::parse("2,0,0,0,0,1"), Ok(budget));
        assert!(Budget::parse("thunder=1").is_err() && Budget::parse("crash=many").is_err());
    }
}
