//! Which faults a run has: each seed switches a random subset on, because faults also hide one another.

use crate::random::Random;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The engine dies between two moves and starts again from its log.
    Crash,
    /// An append is not written, or written without an answer: the engine dies of both.
    Append,
    /// The log has no room for a moment.
    NoRoom,
    /// An effect is never sent.
    NotSent,
    /// An effect is done, its answer is lost.
    AnswerLost,
    /// An effect is sent and arrives later, perhaps after two restarts.
    Late,
    /// What was decided is done later, after the world has changed.
    Stale,
    /// A late create takes its name before it can be inspected.
    Hidden,
    /// A person's `docker rm -f`.
    HumanRemove,
    /// A person stops, starts, restarts, pauses, renames, changes or disconnects a container.
    Hands,
    /// A process ends.
    Exit,
    /// A container answers 500 for a while.
    Flap,
    /// The daemon restarts with live-restore.
    DaemonKept,
    /// The daemon restarts without live-restore.
    DaemonLost,
    /// Docker does not answer for a while.
    DockerAway,
    /// The proxy restarts and reads its table.
    RouterKept,
    /// The proxy restarts without its table.
    RouterLost,
    /// The proxy does not answer for a while.
    RouterAway,
    /// The host restarts.
    Reboot,
    /// The reference cannot be resolved, for a moment or for good.
    Resolve,
    /// The name of a unit is taken by somebody else's container.
    Foreign,
    /// The engine stands still for a minute.
    Pause,
}

use Fault::*;

/// Faults that are moves of their own.
const MOVES: &[Fault] = &[
    Crash,
    HumanRemove,
    Hands,
    Exit,
    Flap,
    DaemonKept,
    DaemonLost,
    DockerAway,
    RouterKept,
    RouterLost,
    RouterAway,
    Reboot,
    Pause,
];
const COUNT: usize = Pause as usize + 1;

#[derive(Clone, Debug, Default)]
pub(crate) struct Swarm {
    rates: [u16; COUNT],
    moves: Vec<Fault>,
}

impl Swarm {
    pub(crate) fn drawn(random: &mut Random) -> Self {
        let mut swarm = Self::default();
        for (index, rate) in swarm.rates.iter_mut().enumerate() {
            let moves = MOVES.iter().any(|fault| *fault as usize == index);
            let rates: &[u16] = if moves { &[50, 200, 800] } else { &[10, 50, 200] };
            *rate = if random.chance(400) { random.pick(rates) } else { 0 };
        }
        swarm.moves = MOVES.iter().copied().filter(|fault| swarm.rates[*fault as usize] > 0).collect();
        swarm
    }

    /// Whether this fault strikes now.
    pub(crate) fn strikes(&self, fault: Fault, random: &mut Random) -> bool {
        let rate = u64::from(self.rates[fault as usize]);
        rate > 0 && random.chance(rate)
    }

    /// A fault that is a move of its own, if one comes now: at most about one move in twenty.
    pub(crate) fn next_move(&self, random: &mut Random) -> Option<Fault> {
        if self.moves.is_empty() || !random.chance(60) {
            return None;
        }
        let fault = random.pick(&self.moves);
        self.strikes(fault, random).then_some(fault)
    }
}
