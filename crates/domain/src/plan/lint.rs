//! What every plan must satisfy, whoever made it.

use cutover_events::plan::{Plan, Step, Undo};

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
    for unit in &plan.units {
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
    if !plan.steps.is_empty() {
        let swap = at(Step::Swap);
        must(swap.is_some() && swap < at(Step::Settle), "the swap is not followed by its settling".into());
        must(plan.slot.is_empty() || at(Step::Gate) < at(Step::Keep), "policies are set before the gate".into());
        must(plan.slot.is_empty() || at(Step::Keep) < swap, "the swap comes before the gate".into());
        must(plan.slot.is_empty() || at(Step::Gate).is_some(), "there is no gate".into());
    }
    must(plan.release.is_some() != plan.slot.is_empty() || plan.steps.is_empty(), "slot and release disagree".into());
    must(!plan.adopts || plan.units.is_empty(), "an adopting plan creates units".into());
    found
}
