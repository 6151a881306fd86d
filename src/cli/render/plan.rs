//! What an apply would do, and what it did.

use super::{Paint, Tone};
use crate::api::views::{
    ApplyView, BriefView, DifferenceView, ForetoldView, PlanView, PlannedView, RollbackCost, RollbackView,
};

/// What an apply would do.
pub(in crate::cli) fn plan(view: &PlanView, paint: Paint) -> String {
    view.workloads.iter().map(|workload| one(workload, paint)).collect()
}

fn one(planned: &PlannedView, paint: Paint) -> String {
    let name = paint.tone(Tone::Strong, &planned.workload);
    let action = match planned.action.as_str() {
        "register and deploy" => "would be registered and deployed",
        "revise and deploy" => "would be revised and deployed",
        other => other,
    };
    let mut text = format!("{name}  {action}");
    if !planned.strategy.is_empty() {
        text.push_str(&format!(", replaced {}", planned.strategy));
    }
    text.push('\n');
    text.extend(planned.differences.iter().map(|difference| differing(difference, paint)));
    text.extend(planned.images.iter().map(|image| format!("  image: {image}\n")));
    text.push_str(&steps(&planned.steps));
    text.extend(planned.notes.iter().map(|note| format!("  note: {note}\n")));
    text
}

fn differing(difference: &DifferenceView, paint: Paint) -> String {
    let (tone, sign) = match (difference.from.is_empty(), difference.to.is_empty()) {
        (true, _) => (Tone::Good, "+"),
        (_, true) => (Tone::Bad, "-"),
        _ => (Tone::Moving, "~"),
    };
    let values = [&difference.from, &difference.to].map(String::as_str).into_iter().filter(|v| !v.is_empty());
    let line = format!("{sign} {}: {}", difference.key, values.collect::<Vec<_>>().join(" -> "));
    format!("  {}\n", paint.tone(tone, &line))
}

fn steps(steps: &[String]) -> String {
    steps.iter().enumerate().map(|(index, step)| format!("  {:>2}. {step}\n", index + 1)).collect()
}

/// What a deployment would do, and how it is held to that; `image` is what was asked for besides the spec.
pub(in crate::cli) fn foretold(view: &ForetoldView, image: Option<&str>, paint: Paint) -> String {
    let name = paint.tone(Tone::Strong, &view.workload);
    let mut text =
        format!("{name}  would be deployed with spec revision {}, replaced {}\n", view.revision, view.strategy);
    text.push_str(&format!("  image: {}\n  serving now: {}\n", view.reference, view.serving));
    text.push_str(&steps(&view.steps));
    text.extend(view.notes.iter().map(|note| format!("  note: {note}\n")));
    let image = image.map(|image| format!(" --image {image}")).unwrap_or_default();
    text.push_str(&format!("  just so: cutover deploy {}{image} --plan {}\n", view.workload, view.hash));
    text
}

/// What a rollback would change, and what it would take.
pub(in crate::cli) fn rollback(view: &RollbackView, paint: Paint) -> String {
    let brief = |release: &BriefView| format!("{} ({})", release.release, release.reference);
    let from = view.from.as_ref().map_or_else(|| "nothing".to_owned(), brief);
    let name = paint.tone(Tone::Strong, &view.workload);
    let mut text = format!("{name}  from {from} to {}\n", brief(&view.to));
    text.extend(view.differences.iter().map(|difference| differing(difference, paint)));
    if view.differences.is_empty() && view.from.is_some() {
        text.push_str("  nothing differs\n");
    }
    let cost = match view.cost {
        RollbackCost::Live => "it is live already: its containers are replaced",
        RollbackCost::Instant => "instant: it stands by",
        RollbackCost::Start => "a new container is started, its image is here",
        RollbackCost::Pull => "its image must be pulled",
        RollbackCost::Impossible => "not possible: its image was made here and is gone",
    };
    text.push_str(&format!("  takes: {cost}\n"));
    text.extend(view.notes.iter().map(|note| format!("  note: {note}\n")));
    text
}

/// What an apply did.
pub(in crate::cli) fn applied(view: &ApplyView) -> String {
    let line = |w: &crate::api::views::AppliedView| {
        let what = if w.changed { format!("spec revision {}", w.revision) } else { "unchanged".to_owned() };
        let note = if w.note.is_empty() { String::new() } else { format!("; {}", w.note) };
        format!("{}: {what}{note}\n", w.workload)
    };
    view.workloads.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_shows_what_changes_and_what_it_takes() {
        let brief = |n: &str, digest: &str| BriefView {
            release: format!("rel_{n}"),
            reference: format!("shop:v{n}"),
            digest: digest.into(),
            revision: 1,
            sha: String::new(),
        };
        let view = RollbackView {
            workload: "shop/web".into(),
            from: Some(brief("2", "sha256:bb")),
            to: brief("1", "sha256:aa"),
            cost: RollbackCost::Pull,
            differences: vec![DifferenceView { key: "env KEY".into(), from: "(sealed)".into(), to: String::new() }],
            notes: Vec::new(),
        };
        let expected = "\
shop/web  from rel_2 (shop:v2) to rel_1 (shop:v1)
  - env KEY: (sealed)
  takes: its image must be pulled
";
        assert_eq!(rollback(&view, Paint::Plain), expected);
    }

    #[test]
    fn a_plan_of_a_workload_ends_with_how_to_deploy_just_that() {
        let view = ForetoldView {
            workload: "shop/web".into(),
            hash: "5f3a".into(),
            position: 9,
            revision: 2,
            reference: "shop:v2".into(),
            serving: "shop:v1 (rel_1)".into(),
            strategy: "blue-green (default)".into(),
            steps: vec!["create and start 1 new container".into()],
            notes: Vec::new(),
        };
        let text = foretold(&view, Some("shop:v2"), Paint::Plain);
        assert!(text.ends_with("   1. create and start 1 new container\n  just so: cutover deploy shop/web --image shop:v2 --plan 5f3a\n"), "{text}");
    }

    #[test]
    fn a_plan_shows_differences_steps_and_notes() {
        let difference =
            |key: &str, from: &str, to: &str| DifferenceView { key: key.into(), from: from.into(), to: to.into() };
        let planned = PlannedView {
            workload: "shop/web".into(),
            action: "revise and deploy".into(),
            differences: vec![difference("replicas", "1", "2"), difference("host", "", "shop.example.com")],
            strategy: "blue-green (the default of images)".into(),
            steps: vec!["create 2 containers".into()],
            images: vec!["ghcr.io/acme/shop:v2".into()],
            notes: vec!["a second copy runs for 10s".into()],
        };
        let expected = "\
shop/web  would be revised and deployed, replaced blue-green (the default of images)
  ~ replicas: 1 -> 2
  + host: shop.example.com
  image: ghcr.io/acme/shop:v2
   1. create 2 containers
  note: a second copy runs for 10s
";
        assert_eq!(plan(&PlanView { position: 1, workloads: vec![planned] }, Paint::Plain), expected);
    }
}
