//! Switches each rule off and looks for the history that shows why it is there.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cutover_domain::protocol::{Rule, off};
use serde_json::json;

use crate::Cli;
use crate::budget::{Budget, Fault};
use crate::moves::Move;
use crate::scenario::ALL;
use crate::scene::{Case, Lie};
use crate::trace::tell;
use crate::walk::{Limits, Verdict, Walk};

/// Moves after which a case is given up: the rules that are caught are caught long before.
const LIMITS: Limits = Limits { moves: 400_000, depth: 5_000 };

/// Small budgets first: the shortest history tells most.
const BUDGETS: [Budget; 10] = [
    Budget::of(&[]),
    Budget::of(&[(Fault::Crash, 1)]),
    Budget::of(&[(Fault::Late, 1)]),
    Budget::of(&[(Fault::Lost, 1)]),
    Budget::of(&[(Fault::Flap, 1), (Fault::Late, 1)]),
    Budget::of(&[(Fault::Late, 1), (Fault::Router, 1)]),
    Budget::of(&[(Fault::Remove, 1), (Fault::Router, 1)]),
    Budget::of(&[(Fault::Crash, 1), (Fault::Late, 1), (Fault::Flap, 1)]),
    Budget::of(&[(Fault::Late, 2)]),
    Budget::of(&[(Fault::Late, 2), (Fault::Remove, 1)]),
];

/// What nothing else notices when it alone is missing: each stands behind another rule, which catches the same.
const IN_DEPTH: [(Rule, &str); 3] = [
    (Rule::AtomicDone, "an event carries the lists with it, so that no append can be cut between them"),
    (Rule::CheckPhase, "a standby that ended is taken off the list by the next look, before it can be adopted"),
    (
        Rule::Retire,
        "what is exclusive starts only when everything else is gone, and beside the others a revived one harms nobody",
    ),
];

/// Rules that stand in for one another are switched off together.
const PAIRS: [(Rule, Rule); 1] = [(Rule::Trash, Rule::SweepLoop)];

struct Caught {
    case: Case,
    lie: Lie,
    trail: Vec<Move>,
}

/// Every mutant; fails when one that should be caught is not.
pub(crate) fn all(cli: &Cli) -> ExitCode {
    let named = |rule: &Rule| cli.only.as_ref().is_none_or(|only| name(*rule).contains(only.as_str()));
    let rules: Vec<Rule> = Rule::ALL.into_iter().filter(named).collect();
    let (next, survived) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..cli.jobs.max(1) {
            let taken = std::iter::repeat_with(|| rules.get(next.fetch_add(1, Ordering::Relaxed)));
            let survived = &survived;
            scope.spawn(move || taken.map_while(|rule| rule).for_each(|rule| judge(*rule, survived)));
        }
    });
    let survived = survived.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let missed: Vec<_> = survived.iter().filter(|rule| reason(**rule).is_none()).map(|rule| name(*rule)).collect();
    let caught = rules.len() - survived.len();
    if missed.is_empty() {
        println!("ok mutants: {caught} of {} rules caught, {} as defence in depth", rules.len(), survived.len());
        return ExitCode::SUCCESS;
    }
    println!("short mutants: {caught} of {} rules caught; not caught: {}", rules.len(), missed.join(", "));
    ExitCode::FAILURE
}

fn judge(rule: Rule, survived: &Mutex<Vec<Rule>>) {
    let (line, caught) = one(rule);
    let mut survived = survived.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    println!("{line}");
    survived.extend((!caught).then_some(rule));
}

fn one(rule: Rule) -> (serde_json::Value, bool) {
    let partner = PAIRS.iter().find(|(first, _)| *first == rule).map(|(_, second)| *second);
    let switched: Vec<_> = [rule].into_iter().chain(partner).collect();
    off(&switched);
    let caught = caught();
    let with = partner.map(name);
    let line = match &caught {
        Some(Caught { case, lie, trail }) => {
            let told = tell(case, trail);
            json!({
                "rule": name(rule), "with": with, "caught": true, "scenario": case.scenario.name,
                "budget": case.budget.to_string(), "violation": lie, "moves": trail.len(), "crash_points": told.points,
                "trace": told.lines,
            })
        }
        None => json!({ "rule": name(rule), "with": with, "caught": false, "defence_in_depth": reason(rule) }),
    };
    off(&[]);
    (line, caught.is_some())
}

fn caught() -> Option<Caught> {
    for budget in &BUDGETS {
        for scenario in ALL {
            let case = Case::new(*scenario, budget.and(&scenario.own));
            if let Verdict::Violated(lie, trail) = Walk::through(&case, LIMITS).verdict {
                return Some(Caught { case, lie, trail });
            }
        }
    }
    None
}

fn reason(rule: Rule) -> Option<&'static str> {
    IN_DEPTH.iter().find(|(listed, _)| *listed == rule).map(|(_, reason)| *reason)
}

/// As in the table of rules: PLAN_FIRST.
fn name(rule: Rule) -> String {
    let mut name = String::new();
    for (at, letter) in format!("{rule:?}").char_indices() {
        name.extend((at > 0 && letter.is_ascii_uppercase()).then_some('_'));
        name.push(letter.to_ascii_uppercase());
    }
    name
}
