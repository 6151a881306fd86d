//! The crash points that every plan meets, by the names that the engine gives them: what `scripts/prove kill --points`
//! visits on the real thing. Nothing is written by hand: a new step, event or effect is in the list by itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::drill::Kind;
use crate::plans::ALL;

/// Where the list is written to, when somebody wants it.
const LIST: &str = "CUTOVER_POINTS_LIST";

/// What one scenario meets when nothing disturbs it, in order; what is met again is numbered.
fn met(names: Vec<String>) -> Vec<String> {
    let mut times = BTreeMap::<String, u32>::new();
    let numbered = names.into_iter().map(|name| {
        let time = times.entry(name.clone()).or_default();
        *time += 1;
        if *time == 1 { name } else { format!("{name} #{time}") }
    });
    numbered.collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the proof says where it wants the list")]
fn the_points_of_every_plan_have_names() {
    let scenarios = ALL.map(|scenario| (format!("{scenario:?}"), met(scenario.run(Kind::None).met)));
    let all: BTreeSet<&str> = scenarios.iter().flat_map(|(_, names)| names).map(String::as_str).collect();
    for name in [
        "append IntentQueued",
        "append SwapCommitted",
        "append StepSucceeded Start",
        "append RestorePlanned",
        "append RouteBackCommitted",
        "append WorkloadTornDown",
        "Create #2",
        "Put Green",
        "Put Held",
        "Remove: stop",
    ] {
        assert!(all.contains(name), "no plan meets {name}: {all:?}");
    }
    let Ok(path) = std::env::var(LIST) else { return };
    let list: Vec<Value> = scenarios.iter().map(|(name, points)| json!({"history": name, "points": points})).collect();
    std::fs::write(&path, serde_json::to_string_pretty(&list).unwrap()).unwrap();
}
