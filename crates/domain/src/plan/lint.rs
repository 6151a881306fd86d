//! What every plan must satisfy, whoever made it.

use cutover_events::plan::{Plan, PlannedStep, Step, Strategy, Undo};

/// A sentence that a plan breaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation(pub String);

/// The sentences that this plan breaks; none for a good one.
#[must_use]
pub fn lint(plan: &Plan) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut must = |holds: bool, sentence: String| {
        if !holds {
            found.push(Violation(sentence));
        }
    };
    let at = |step: Step| plan.steps.iter().position(|planned| planned.step == step);
    let serving = || plan.units.iter().filter(|unit| !plan.runs_command_in(unit.unit));
    for unit in serving() {
        must(
            unit.name.ends_with(&unit.unit.suffix()),
            format!("the name {} does not carry its unit's entropy", unit.name),
        );
        must(plan.slot.contains(&unit.unit), format!("{} is created and never used", unit.unit));
        let (create, start) = (at(Step::Create(unit.unit)), at(Step::Start(unit.unit)));
        must(create.is_some() && create < start, format!("{} is not created before it is started", unit.unit));
        must(start < at(Step::Gate), format!("{} is not gated after its start", unit.unit));
        let undo = create.map(|index| plan.steps[index].undo);
        must(undo == Some(Undo::Remove(unit.unit)), format!("the creation of {} has no undo", unit.unit));
        let twins = plan.units.iter().filter(|other| other.unit == unit.unit || other.address == unit.address);
        must(twins.count() == 1, format!("{} shares its id or address", unit.unit));
    }
    parts(plan, &mut must);
    command(plan, &mut must);
    let awaits = at(Step::Await);
    must(awaits.is_none() || awaits == Some(0), "others are awaited when something has been done already".into());
    must(awaits.is_some() != plan.after.is_empty(), "it comes after others and does not await them".into());
    if !plan.steps.is_empty() {
        let (swap, clear) = (at(Step::Swap), at(Step::Clear));
        // A release folder stands beside what it follows, and comes back as everything does that was taken away.
        let again = plan.strategy == Strategy::Recreate && clear.is_some();
        let turns = plan.takes_turns() || again;
        must(swap.is_some() && (turns || swap < at(Step::Settle)), "the swap is not followed by its settling".into());
        must(turns == clear.is_some(), "the way is cleared where nothing is recreated, or is not where it is".into());
        let early = serving().any(|unit| at(Step::Start(unit.unit)) < clear);
        must(clear.is_none() || !early, "a container starts before the way is clear".into());
        let late = serving().any(|unit| at(Step::Create(unit.unit)) > clear);
        must(clear.is_none() || !late, "a container is created after the way is clear".into());
        must(plan.slot.is_empty() || at(Step::Gate) < at(Step::Keep), "policies are set before the gate".into());
        must(plan.slot.is_empty() || at(Step::Keep) < swap, "the swap comes before the gate".into());
        must(plan.slot.is_empty() || at(Step::Gate).is_some(), "there is no gate".into());
    }
    must(plan.release.is_some() != plan.slot.is_empty() || plan.steps.is_empty(), "slot and release disagree".into());
    let beside = plan.strategy == Strategy::BlueGreen && plan.template.exclusive().is_some();
    must(!beside, "an exclusive workload would run beside itself".into());
    must(!plan.adopts || plan.units.is_empty(), "an adopting plan creates units".into());
    found
}

/// The release command is over before anything of the release is there, and before anything else goes.
fn command(plan: &Plan, must: &mut impl FnMut(bool, String)) {
    let runs = plan.steps.iter().filter(|planned| matches!(planned.step, Step::Run(_))).count();
    must(runs == usize::from(plan.release_command.is_some()), "a release command has no step, or two".into());
    let Some(command) = &plan.release_command else { return };
    let at = |step: Step| plan.steps.iter().position(|planned| planned.step == step);
    let (create, run) = (at(Step::Create(command.unit)), at(Step::Run(command.unit)));
    must(create.is_some() && create < run, "a release command has no container before it runs".into());
    let undo = create.map(|index| plan.steps[index].undo);
    must(undo == Some(Undo::Remove(command.unit)), "the container of a release command has no undo".into());
    must(plan.unit(command.unit).is_some() && !plan.slot.contains(&command.unit), "a release command serves".into());
    let other = |planned: &PlannedStep| {
        !matches!(planned.step, Step::Await | Step::Run(_)) && planned.step != Step::Create(command.unit)
    };
    let first = plan.steps.iter().position(other);
    must(first.is_none() || run < first, "a release command does not come first".into());
    must(run.is_some_and(|index| plan.steps[index].timeout_ms > 0), "a release command may run for ever".into());
}

/// Every unit belongs to one process, in the order of the slot, and something is left for the routes.
fn parts(plan: &Plan, must: &mut impl FnMut(bool, String)) {
    let routed = plan.routed();
    must(plan.slot.is_empty() == routed.is_empty(), "no unit is left for routes and name".into());
    let others = plan.processes.iter().flat_map(|process| &process.units);
    let ordered = routed.iter().chain(others).eq(&plan.slot);
    must(ordered, "the slot is not in the order of its processes".into());
    let empty = plan.processes.iter().find(|process| process.units.is_empty());
    must(empty.is_none(), "a process has no unit".into());
    let alone = plan.template.exclusive().is_none() || plan.slot.len() <= 1;
    must(alone, "what one container can have is given to several".into());
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::Ipv4Addr;

    use cutover_events::plan::{PlannedStep, ProcessPlan, Template, UnitPlan, Why};
    use cutover_events::workload::{Limits, OnCrash, Policy, ReleaseCommand};
    use cutover_events::{ReleaseId, UnitId};

    use super::*;
    use crate::plan::{Ids, command};

    /// What is told, and what brings it about.
    type Fault = (&'static str, fn(&mut Plan));

    /// A plan of two containers that breaks nothing.
    pub(in crate::plan) fn good() -> Plan {
        let unit = |n: u8| UnitPlan {
            unit: UnitId([n; 16]),
            name: format!("cutover-shop-web-{}", UnitId([n; 16]).suffix()),
            replica: u16::from(n),
            address: Ipv4Addr::new(10, 0, 0, n),
        };
        let step = |step, undo| PlannedStep { step, undo, timeout_ms: 0 };
        let both = [unit(1), unit(2)];
        let starts = both.iter().flat_map(|one| {
            [step(Step::Create(one.unit), Undo::Remove(one.unit)), step(Step::Start(one.unit), Undo::Nothing)]
        });
        let rest = [
            step(Step::Gate, Undo::Nothing),
            step(Step::Keep, Undo::ByLists),
            step(Step::Swap, Undo::RouteBack),
            step(Step::Settle, Undo::RouteBack),
        ];
        Plan {
            release: Some(ReleaseId([1; 16])),
            strategy: Strategy::BlueGreen,
            why: Why::Default,
            slot: both.iter().map(|one| one.unit).collect(),
            blue: Vec::new(),
            adopts: false,
            template: Template::default(),
            routes: Vec::new(),
            health: None,
            policy: Policy::default(),
            steps: starts.chain(rest).collect(),
            units: both.to_vec(),
            processes: Vec::new(),
            after: Vec::new(),
            release_command: None,
        }
    }

    fn process(units: Vec<UnitId>) -> ProcessPlan {
        let command = vec!["work".into()];
        ProcessPlan { name: "worker".into(), units, command, limits: Limits::default(), health: None }
    }

    /// The same, with a release command.
    fn commanded() -> Plan {
        let command = ReleaseCommand { command: vec!["migrate".into()], timeout_ms: 1, on_crash: OnCrash::Ask };
        struct Third;
        impl Ids for Third {
            fn unit(&mut self) -> UnitId {
                UnitId([3; 16])
            }
            fn address(&mut self) -> Ipv4Addr {
                Ipv4Addr::new(10, 0, 0, 3)
            }
        }
        command::first(good(), command, "shop/web", &mut Third)
    }

    #[test]
    fn a_release_command_comes_first_and_each_fault_is_told() {
        assert_eq!(lint(&commanded()), []);
        let faults: [Fault; 6] = [
            ("no step, or two", |plan| plan.release_command = None),
            ("before it runs", |plan| plan.steps.swap(0, 1)),
            ("does not come first", |plan| plan.steps.swap(1, 2)),
            ("has no undo", |plan| plan.steps[0].undo = Undo::Nothing),
            ("command serves", |plan| plan.units.truncate(2)),
            ("for ever", |plan| plan.steps[1].timeout_ms = 0),
        ];
        for (sentence, fault) in faults {
            let mut plan = commanded();
            fault(&mut plan);
            let found = lint(&plan);
            assert!(found.iter().any(|violation| violation.0.contains(sentence)), "{sentence}: {found:?}");
        }
    }

    #[test]
    fn a_good_plan_breaks_nothing_and_each_fault_is_told() {
        assert_eq!(lint(&good()), []);
        let faults: [Fault; 15] = [
            ("entropy", |plan| plan.units[0].name = "cutover-shop-web".into()),
            ("never used", |plan| plan.slot.truncate(1)),
            ("before it is started", |plan| plan.steps.swap(0, 1)),
            ("not gated after", |plan| plan.steps.swap(3, 4)),
            ("no undo", |plan| plan.steps[0].undo = Undo::Nothing),
            ("shares its id or address", |plan| plan.units[1].address = plan.units[0].address),
            ("settling", |plan| plan.steps.truncate(7)),
            ("before the gate", |plan| plan.steps.swap(4, 5)),
            ("slot and release", |plan| plan.release = None),
            ("adopting plan", |plan| plan.adopts = true),
            ("left for routes", |plan| plan.processes = vec![process(vec![UnitId([1; 16]), UnitId([2; 16])])]),
            ("order of its processes", |plan| plan.processes = vec![process(vec![UnitId([1; 16])])]),
            ("has no unit", |plan| plan.processes = vec![process(Vec::new())]),
            ("does not await them", |plan| plan.after = vec!["shop/db".into()]),
            ("done already", |plan| plan.steps[1].step = Step::Await),
        ];
        for (sentence, fault) in faults {
            let mut plan = good();
            fault(&mut plan);
            let found = lint(&plan);
            assert!(found.iter().any(|violation| violation.0.contains(sentence)), "{sentence}: {found:?}");
        }
    }
}
