//! What is open to one target, so that it can be cut and counted by kind.

use parking_lot::Mutex;

use super::CutSignal;

/// What a claim is for, as the timeline tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request with its answer.
    Request = 0,
    /// A websocket or another upgraded connection.
    Upgraded = 1,
    /// An answer of type `text/event-stream`.
    EventStream = 2,
}

/// Slots with a list of the free ones: a claim costs one short lock and, in the long run, no allocation.
#[derive(Debug, Default)]
pub(super) struct OpenSet(Mutex<Slots>);

#[derive(Debug, Default)]
struct Slots {
    used: Vec<Option<Open>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Open {
    kind: Kind,
    signal: CutSignal,
    cut: bool,
}

impl OpenSet {
    pub(super) fn enter(&self, signal: CutSignal) -> usize {
        let mut slots = self.0.lock();
        let entry = Some(Open { kind: Kind::Request, signal, cut: false });
        if let Some(at) = slots.free.pop() {
            slots.used[at] = entry;
            at
        } else {
            slots.used.push(entry);
            slots.used.len() - 1
        }
    }

    pub(super) fn mark(&self, at: usize, kind: Kind) {
        if let Some(Some(entry)) = self.0.lock().used.get_mut(at) {
            entry.kind = kind;
        }
    }

    pub(super) fn redirect(&self, at: usize, signal: CutSignal) {
        if let Some(Some(entry)) = self.0.lock().used.get_mut(at) {
            entry.signal = signal;
        }
    }

    pub(super) fn leave(&self, at: usize) {
        let mut slots = self.0.lock();
        let was = slots.used.get_mut(at).and_then(Option::take);
        slots.free.push(at);
        drop(slots);
        drop(was);
    }

    /// Signals each open claim that has not been signalled yet and returns how many of each kind there were.
    pub(super) fn cut_all(&self) -> [u32; 3] {
        let mut cut = [0; 3];
        let mut signals = Vec::new();
        for open in self.0.lock().used.iter_mut().flatten().filter(|open| !open.cut) {
            open.cut = true;
            cut[open.kind as usize] += 1;
            signals.push(open.signal.clone());
        }
        for signal in signals {
            signal.cut();
        }
        cut
    }

    /// Signals again, with all means, what was signalled and is still open.
    pub(super) fn force_all(&self) {
        let stuck: Vec<_> = self.0.lock().used.iter().flatten().map(|open| open.signal.clone()).collect();
        for signal in stuck {
            signal.force();
        }
    }
}
