//! Named points at which the engine can be made to die, before and after every append and every effect.
//!
//! Only a build with the feature `crash-points` dies at them; in any other one a point does nothing, costs nothing, and
//! knows no variable. Names follow from the kinds of the events and from the effect, so that a new event, step or
//! effect has its points without a line here. A name may be met several times; `#N` says which time.

use cutover_domain::observed::Effect;
use cutover_events::Event;

/// The parts of a removal, which is carried out beside its lane: each is an effect on Docker of its own.
pub const REMOVAL: [&str; 3] = ["Remove: policy", "Remove: stop", "Remove: remove"];

/// The name of an append: the kinds of its events. Which steps were seen done since the last one depends on the time
/// that things take, so they count only where there is nothing else, and then the last of them does.
#[must_use]
pub fn append(events: &[Event]) -> String {
    let kinds: Vec<_> = events
        .iter()
        .filter(|event| !matches!(event, Event::StepSucceeded(_)))
        .map(|event| event.kind().name)
        .collect();
    match events.last() {
        Some(Event::StepSucceeded(done)) if kinds.is_empty() => {
            format!("append StepSucceeded {}", first_word(&format!("{:?}", done.step)))
        }
        _ => format!("append {}", kinds.join(" + ")),
    }
}

/// The name of an effect: what is done, without ids and generations.
#[must_use]
pub fn effect(effect: &Effect) -> String {
    match effect {
        Effect::SetRestart(_, _, restart) => format!("SetRestart {restart:?}"),
        Effect::Put { to, .. } => format!("Put {to:?}"),
        other => first_word(&format!("{other:?}")).to_owned(),
    }
}

fn first_word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default()
}

/// Something that is about to be done; dropped without a word when it was not.
#[must_use = "what was done has a point after it too"]
#[derive(Debug)]
pub struct Point {
    #[cfg(feature = "crash-points")]
    name: String,
}

/// The engine does not live past this when its environment names the point before `name`.
pub fn before(name: impl FnOnce() -> String) -> Point {
    #[cfg(feature = "crash-points")]
    {
        let name = name();
        armed::reach(&format!("before {name}"));
        Point { name }
    }
    #[cfg(not(feature = "crash-points"))]
    {
        drop(name);
        Point {}
    }
}

impl Point {
    /// The engine does not live past this when its environment names the point after it.
    pub fn after(self) {
        #[cfg(feature = "crash-points")]
        armed::reach(&format!("after {}", self.name));
    }
}

#[cfg(feature = "crash-points")]
mod armed {
    //! Which point it is, counting, and the end.

    use std::io::Write;
    use std::sync::{Mutex, OnceLock};

    use rustix::process::{Signal, getpid, kill_process};

    /// Names the point to die at: `before append Swapped`, `after Create #2`, or [`NEXT`].
    const AT: &str = "CUTOVER_CRASH_AT";
    /// A file that the name of every point is added to when it is met.
    const TRACE: &str = "CUTOVER_CRASH_TRACE";
    /// The first point after something that is not the record of the start itself: what a recovery does first.
    const NEXT: &str = "next";
    /// What every start appends.
    const START: &str = "append EngineStarted";

    struct Armed {
        at: Option<String>,
        /// How often the point is met before it is the one.
        spared: u32,
        trace: Option<std::fs::File>,
    }

    // A process dies once; what counts to it belongs to the process.
    static ARMED: OnceLock<Mutex<Armed>> = OnceLock::new();

    #[expect(clippy::disallowed_methods, reason = "a variable of builds that are made to be killed, no setting")]
    fn read() -> Mutex<Armed> {
        let asked = std::env::var(AT).ok();
        let (at, number) = match asked.as_deref().and_then(|asked| asked.rsplit_once(" #")) {
            Some((name, number)) => (Some(name.to_owned()), number.parse().unwrap_or(1)),
            None => (asked, 1),
        };
        let trace = std::env::var(TRACE).ok();
        let trace = trace.and_then(|path| std::fs::File::options().create(true).append(true).open(path).ok());
        Mutex::new(Armed { at, spared: number.max(1) - 1, trace })
    }

    pub(super) fn reach(point: &str) {
        let Ok(mut armed) = ARMED.get_or_init(read).lock() else { return };
        if let Some(trace) = &mut armed.trace {
            drop(writeln!(trace, "{point}"));
        }
        let next = point.starts_with("after ") && !point.contains(START);
        if armed.at.as_deref() != Some(point) && !(next && armed.at.as_deref() == Some(NEXT)) {
            return;
        }
        match armed.spared.checked_sub(1) {
            Some(left) => armed.spared = left,
            None => die(),
        }
    }

    /// As `kill -9` does it: nothing unwinds, nothing is flushed, nobody is told.
    fn die() -> ! {
        loop {
            if kill_process(getpid(), Signal::KILL).is_ok() {
                std::thread::park();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cutover_domain::observed::{DockerId, Restart, Targets};
    use cutover_events::{DeploymentId, UnitId};

    use super::*;

    #[test]
    fn names_follow_from_what_is_done_and_have_no_ids() {
        let (unit, id) = (UnitId([7; 16]), DockerId([7; 32]));
        let names = [
            Effect::Create(unit),
            Effect::SetRestart(unit, id, Restart::Always),
            Effect::Put { to: Targets::Green, generation: 3 },
            Effect::Fence { generation: 3 },
            Effect::Resolve(DeploymentId([7; 16])),
        ];
        let names: Vec<_> = names.iter().map(effect).collect();
        assert_eq!(names, ["Create", "SetRestart Always", "Put Green", "Fence", "Resolve"]);
    }
}
