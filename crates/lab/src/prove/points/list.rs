//! The names of points: as the simulation lists them for each plan, and as the real engine met them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::Result;

/// What every start records; it is met before the history begins.
pub(super) const START: &str = "append EngineStarted";

/// The points of one scenario of the simulation, each `NAME` or `NAME #N`.
#[derive(Deserialize)]
pub(super) struct Scenario {
    /// As the simulation calls it.
    pub history: String,
    /// In the order in which they are met.
    pub points: Vec<String>,
}

/// The list that the simulation has written.
pub(super) fn read(path: &Path) -> Result<Vec<Scenario>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{}: {error}; scripts/prove kill --points makes the list", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}

/// The points of a trace of the real engine, numbered as the simulation numbers them.
pub(super) fn met(trace: &str) -> Vec<String> {
    let mut times = BTreeMap::<&str, u32>::new();
    let before = trace.lines().filter_map(|line| line.strip_prefix("before "));
    let numbered = before.map(|name| {
        let time = times.entry(name).or_default();
        *time += 1;
        if *time == 1 { name.to_owned() } else { format!("{name} #{time}") }
    });
    numbered.collect()
}

/// Appends that record steps alone. Whether a step has such a record, or goes with the next event, depends on the time
/// that things take; every other point of a history is met each time.
const STEPS: &str = "append StepSucceeded";

/// Everything of both, without doubles: what the real engine met first, in its order.
pub(super) fn both(real: Vec<String>, simulated: &[String]) -> Vec<String> {
    let known: BTreeSet<&String> = real.iter().collect();
    let missing = |point: &&String| !known.contains(point) && !point.starts_with(STEPS);
    let only_simulated: Vec<_> = simulated.iter().filter(missing).cloned().collect();
    real.into_iter().chain(only_simulated).collect()
}

/// The name without its number.
pub(super) fn kind(point: &str) -> &str {
    point.rsplit_once(" #").map_or(point, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_numbered_and_joined_with_the_list() {
        let trace = "before Create\nafter Create\nbefore append Swapped\nbefore Create\nafter Create\n";
        let met = met(trace);
        assert_eq!(met, ["Create", "append Swapped", "Create #2"]);
        let simulated = ["Create", "Put Green", "append StepSucceeded Start"].map(str::to_owned);
        assert_eq!(both(met, &simulated), ["Create", "append Swapped", "Create #2", "Put Green"]);
        assert_eq!(kind("Create #2"), "Create");
    }
}
