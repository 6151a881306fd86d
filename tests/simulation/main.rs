//! A random simulation of the real domain over the in-memory world, with crashes, late requests, lost answers and
//! people's hands. `CUTOVER_SIM_SEED=N cargo nextest run --test simulation` repeats one run with its trace.

mod arrive;
mod course;
mod drill;
mod faults;
mod journal;
mod lane;
mod meets;
mod nature;
mod perform;
mod plans;
mod points;
mod random;
mod shop;
mod sim;
mod swarm;
mod watch;
mod wishes;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sim::Sim;

/// Deployments of all runs together, when `CUTOVER_SIM_DEPLOYMENTS` does not say otherwise.
const DEPLOYMENTS: u64 = 100_000;
/// Deployments of one run: few enough that one alone takes well under a second.
const PER_RUN: u64 = 60;
/// The first seed, when `CUTOVER_SIM_FIRST` does not say otherwise.
const FIRST_SEED: u64 = 1;

#[expect(clippy::disallowed_methods, reason = "the seed of a failed run is given from outside")]
fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// One run; with a trace when a list to write it to is given.
fn run(seed: u64, trace: Option<Vec<String>>) -> Result<Sim, String> {
    let ran = catch_unwind(AssertUnwindSafe(|| Sim::drawn(seed, PER_RUN, trace)));
    ran.map_err(|panic| match panic.downcast_ref::<String>() {
        Some(text) => format!("panicked: {text}"),
        None => "panicked".into(),
    })
}

fn told(seed: u64) -> String {
    let again = run(seed, Some(Vec::new()));
    let lines = again.ok().and_then(|sim| sim.trace).unwrap_or_default();
    let from = lines.len().saturating_sub(given("CUTOVER_SIM_LINES").unwrap_or(150) as usize);
    lines[from..].join("\n")
}

#[test]
fn every_invariant_holds_whatever_happens() {
    if let Some(seed) = given("CUTOVER_SIM_SEED") {
        println!("{}", told(seed));
        let ran = run(seed, None);
        assert_eq!(ran.map(|sim| sim.violation), Ok(None), "seed {seed}");
        return;
    }
    let wanted = given("CUTOVER_SIM_DEPLOYMENTS").unwrap_or(DEPLOYMENTS);
    let first = given("CUTOVER_SIM_FIRST").unwrap_or(FIRST_SEED);
    let mut seed = first;
    let (mut begun, mut kinds) = (0, BTreeMap::<&str, u64>::new());
    while begun < wanted {
        match run(seed, None).map(|sim| (sim.violation.clone(), sim.watch)) {
            Ok((None, watch)) => {
                begun += watch.begun;
                watch.kinds.into_iter().for_each(|(kind, count)| *kinds.entry(kind).or_default() += count);
            }
            Ok((Some(violation), _)) | Err(violation) => panic!(
                "{}\nseed {seed}: {violation}\nafter {begun} deployments; again: CUTOVER_SIM_SEED={seed} cargo nextest run --test simulation",
                told(seed)
            ),
        }
        seed += 1;
    }
    println!("{begun} deployments in {} runs: {kinds:?}", seed - first);
}
