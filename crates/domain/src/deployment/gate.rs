//! When a container counts as ready, and when it counts as failed.

use cutover_events::UnitId;
use cutover_events::deployment::{Reason, ReasonKind};
use cutover_events::plan::Plan;

use crate::observed::{Answer, Behind, ImageHealth, Observed, Phase, Seen};

/// Failed probes in a row after which green counts as failed while it is watched (design §4).
const FAILED_PROBES: u8 = 3;

/// Characters of a reason (see the shape of the event).
pub(super) const MAX_REASON_CHARS: usize = 400;

/// How long a container may be seen not running, or off its network, before it counts as dead, ms: Docker restarts a
/// container whose policy asks for it within 100 ms, 200 ms, 400 ms …; past this it is worth a successor.
pub(super) const DEAD_AFTER_MS: u64 = 3_000;

/// Whether a container is ready by the rules of its process: HTTP readiness when a health check is configured,
/// otherwise up for the liveness window, the image's own check healthy, and a routed port that accepts connections.
#[must_use]
pub fn ready(plan: &Plan, seen: &Seen) -> bool {
    if seen.phase != Phase::Running || seen.paused_ms > 0 || seen.apart_ms > 0 {
        return false;
    }
    let part = plan.part(seen.unit);
    if part.health.is_some() {
        return seen.probe.answer == Answer::Passed;
    }
    let healthy = matches!(seen.health, ImageHealth::None | ImageHealth::Healthy);
    let reachable = part.port.is_none() || seen.probe.answer == Answer::Passed;
    seen.up_ms >= plan.policy.liveness_ms && healthy && reachable
}

/// Whether an active container serves: it runs, and is on its network.
#[must_use]
pub fn serves(observed: &Observed, unit: UnitId) -> bool {
    observed.seen(unit).is_some_and(|seen| seen.phase == Phase::Running && seen.apart_ms < DEAD_AFTER_MS)
}

/// Whether a standby could take over: it serves, and is not paused for good.
pub(super) fn stands_by(observed: &Observed, unit: UnitId) -> bool {
    serves(observed, unit) && observed.seen(unit).is_some_and(|seen| seen.paused_ms < DEAD_AFTER_MS)
}

/// The units that are new to the route: a repair keeps others, which are not its to judge.
pub(super) fn fresh(plan: &Plan) -> impl Iterator<Item = &UnitId> {
    plan.slot.iter().filter(|unit| !plan.blue.contains(unit))
}

/// Why a container that must live does not, if so.
pub(super) fn broken(plan: &Plan, observed: &Observed, unit: UnitId) -> Option<Reason> {
    let Some(seen) = observed.seen(unit) else {
        return Some(reason(ReasonKind::Vanished, "the container is gone: somebody removed it".into()));
    };
    let made_here = plan.unit(unit).is_some();
    match seen.phase {
        Phase::Exited | Phase::Restarting => Some(exited(seen)),
        Phase::Removing => Some(reason(ReasonKind::Vanished, "the container is being removed by somebody".into())),
        Phase::Created | Phase::Running if made_here && seen.restarts > 0 => Some(reason(
            ReasonKind::Restarted,
            format!("the container ended and was restarted {} times", seen.restarts),
        )),
        Phase::Created | Phase::Running => None,
    }
}

/// Why a container that is watched counts as failed, if so.
pub(super) fn failing(plan: &Plan, observed: &Observed, unit: UnitId) -> Option<Reason> {
    let watched = broken(plan, observed, unit);
    watched.or_else(|| {
        let seen = observed.seen(unit)?;
        if seen.phase == Phase::Created {
            // A late create has put another container under the name of the one that was routed.
            let text = "the container is gone, and another one of its name was never started";
            return Some(reason(ReasonKind::Vanished, text.into()));
        }
        (seen.probe.failures >= FAILED_PROBES).then(|| {
            reason(ReasonKind::Unhealthy, format!("{} probes in a row failed: {}", seen.probe.failures, told(seen)))
        })
    })
}

/// The failure of a gate whose time is over.
pub(super) fn not_ready(observed: &Observed, unit: UnitId, waited: u64) -> Reason {
    let why = observed.seen(unit).map_or_else(|| "it is gone".into(), told);
    reason(ReasonKind::NotReady, format!("not ready within {} s: {why}", waited.div_ceil(1000)))
}

/// A reason that is about one container, with the name of its process when it is not the workload itself.
pub(super) fn named(plan: Option<&Plan>, unit: Option<UnitId>, why: Reason) -> Reason {
    let process = plan.zip(unit).map_or("", |(plan, unit)| plan.part(unit).process);
    if process.is_empty() || why.kind == ReasonKind::CommandFailed {
        why
    } else {
        reason(why.kind, format!("{process}: {}", why.text))
    }
}

/// The failure to wait for others any longer.
pub(super) fn behind(behind: &[Behind], waited: u64) -> Reason {
    let names: Vec<&str> = behind.iter().map(|one| &*one.name).collect();
    let (names, are) = (names.join(" and "), if behind.len() == 1 { "is" } else { "are" });
    let text = format!("waits for {names}, which {are} not ready; nothing was started for {} s", waited.div_ceil(1000));
    reason(ReasonKind::NotReady, text)
}

fn exited(seen: &Seen) -> Reason {
    reason(ReasonKind::Exited, format!("the container ended with exit code {}", seen.exit_code))
}

fn told(seen: &Seen) -> String {
    match (seen.probe.answer, seen.health) {
        (_, ImageHealth::Unhealthy) => "the image's own health check fails".into(),
        (_, ImageHealth::Starting) => "the image's own health check has not passed yet".into(),
        (Answer::Unknown, _) => "it was not probed yet".into(),
        (Answer::Passed, _) => "it answers, but has not been up long enough".into(),
        (Answer::NoConnection, _) => "nothing accepts connections on the port".into(),
        (Answer::TimedOut, _) => "the health check does not answer in time".into(),
        (Answer::Status(status), _) => format!("the health check answers {status}"),
    }
}

pub(super) fn reason(kind: ReasonKind, text: String) -> Reason {
    Reason { kind, text }
}
