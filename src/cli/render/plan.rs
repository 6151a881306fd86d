//! What an apply would do, and what it did.

use super::{Paint, Tone};
use crate::api::views::{ApplyView, PlanView, PlannedView};

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
    for difference in &planned.differences {
        let (tone, sign) = match (difference.from.is_empty(), difference.to.is_empty()) {
            (true, _) => (Tone::Good, "+"),
            (_, true) => (Tone::Bad, "-"),
            _ => (Tone::Moving, "~"),
        };
        let values = [&difference.from, &difference.to].map(String::as_str).into_iter().filter(|v| !v.is_empty());
        let line = format!("{sign} {}: {}", difference.key, values.collect::<Vec<_>>().join(" -> "));
        text.push_str(&format!("  {}\n", paint.tone(tone, &line)));
    }
    let numbered = planned.steps.iter().enumerate();
    text.extend(planned.images.iter().map(|image| format!("  image: {image}\n")));
    text.extend(numbered.map(|(index, step)| format!("  {:>2}. {step}\n", index + 1)));
    text.extend(planned.notes.iter().map(|note| format!("  note: {note}\n")));
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
    use crate::api::views::DifferenceView;

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
