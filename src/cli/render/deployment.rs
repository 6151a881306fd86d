//! How a deployment ended, for a person.

use super::screen::Screen;
use super::{Paint, Tone};
use crate::api::told::words::duration;
use crate::api::views::{DeploymentView, Outcome, OutputView, WishKind};

/// Lines of a failed container's output that are shown with its failure.
const LAST_LINES: usize = 20;

/// One line for a deployment that is as it was wished.
pub(in crate::cli) fn success(view: &DeploymentView, paint: Paint) -> String {
    if view.wish == WishKind::Teardown {
        return format!("{} {}: {}", view.workload, view.deployment_id, paint.tone(Tone::Good, "torn down"));
    }
    if view.wish == WishKind::Stop {
        let stopped = paint.tone(Tone::Good, "stopped");
        let back = format!("`cutover start {}` brings it back", view.workload);
        return format!("{} {}: {stopped}; {back}", view.workload, view.deployment_id);
    }
    let word = match view.outcome {
        Some(outcome) => outcome.word(),
        None => "live",
    };
    let live = view.live_after_ms.map_or_else(String::new, |ms| format!(", live after {}", duration(ms)));
    let word = paint.tone(Tone::Good, word);
    format!("{} {}: {word}{live}{}", view.workload, view.deployment_id, serving(view))
}

/// One line for a deployment that is not.
pub(in crate::cli) fn failure(view: &DeploymentView) -> String {
    let id = &view.deployment_id;
    let reason = view.reason.as_ref().map_or("", |reason| reason.text.as_str());
    let what = match view.outcome {
        Some(Outcome::Failed) if view.routed_back => format!("went live, failed and was routed back: {reason}"),
        Some(Outcome::Failed) if view.is_live() => {
            format!("went live and failed, and nothing could take over: {reason}")
        }
        Some(Outcome::Failed) => format!("failed before the swap: {reason}"),
        Some(Outcome::Superseded) => {
            format!("was superseded by {}", view.superseded_by.as_deref().unwrap_or("a newer wish"))
        }
        Some(Outcome::Cancelled) => "was cancelled".to_owned(),
        Some(Outcome::Parked) => {
            format!("is parked: {reason}; `cutover resume {id}` lets it go on, `cutover cancel {id}` ends it")
        }
        Some(Outcome::Succeeded) | None => "goes on".to_owned(),
    };
    format!("{} {id} {what}{}", view.workload, serving(view))
}

/// Who serves now.
fn serving(view: &DeploymentView) -> String {
    if view.serving.is_empty() { String::new() } else { format!("; serving now: {}", view.serving) }
}

/// The last words of the container that failed; empty when nothing was kept.
pub(in crate::cli) fn last_words(view: &DeploymentView, paint: Paint) -> String {
    view.output.as_ref().map_or_else(String::new, |output| {
        let skipped = output.lines.len().saturating_sub(LAST_LINES);
        let head = format!("last output of {}:", output.container);
        lines(&head, &output.lines[skipped..], paint)
    })
}

/// The output of one container under a head.
pub(in crate::cli) fn output(output: &OutputView, screen: &Screen) -> String {
    let kept = match output.time.as_str() {
        "" => String::new(),
        time => format!(", kept {}", screen.since(time)),
    };
    let head = format!("== {} ({}{kept})", output.container, output.role);
    if output.lines.is_empty() {
        return format!("{}\n  (nothing)\n", screen.tone(Tone::Strong, &head));
    }
    lines(&head, &output.lines, screen.paint)
}

fn lines(head: &str, lines: &[String], paint: Paint) -> String {
    let mut text = paint.tone(Tone::Strong, head);
    text.push('\n');
    for line in lines {
        let shown: String = line.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect();
        text.push_str("  ");
        text.push_str(&shown);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::views::{ReasonView, Stage};

    fn ended(outcome: Outcome) -> DeploymentView {
        DeploymentView {
            deployment_id: "dep_1".into(),
            workload: "shop/web".into(),
            position: 9,
            wish: WishKind::Deploy,
            stage: Stage::Ended,
            outcome: Some(outcome),
            release: None,
            reference: None,
            reason: Some(ReasonView { kind: "not_ready".into(), text: "answered 500 for 60 s".into() }),
            routed_back: false,
            superseded_by: None,
            live_after_ms: Some(1_600),
            bake_ms: Some(10_000),
            output: Some(OutputView {
                container: "shop-web-1".into(),
                role: "failed".into(),
                deployment_id: "dep_1".into(),
                time: String::new(),
                lines: (0..30).map(|n| format!("line {n}\u{1b}[31m")).collect(),
            }),
            serving: "shop:v1 (rel_0)".into(),
            doing: None,
        }
    }

    #[test]
    fn a_failure_names_reason_and_who_serves() {
        let view = DeploymentView { live_after_ms: None, ..ended(Outcome::Failed) };
        let line = failure(&view);
        assert_eq!(line, "shop/web dep_1 failed before the swap: answered 500 for 60 s; serving now: shop:v1 (rel_0)");
        let words = last_words(&view, Paint::Plain);
        assert!(words.starts_with("last output of shop-web-1:\n  line 10 [31m\n"), "{words}");
        assert_eq!(words.lines().count(), 1 + LAST_LINES);
    }

    #[test]
    fn a_failure_after_the_swap_tells_whether_the_route_went_back() {
        let stayed = failure(&ended(Outcome::Failed));
        assert!(stayed.contains("went live and failed, and nothing could take over: answered 500"), "{stayed}");
        let back = failure(&DeploymentView { routed_back: true, ..ended(Outcome::Failed) });
        assert!(back.contains("went live, failed and was routed back: answered 500"), "{back}");
    }

    #[test]
    fn a_success_tells_how_fast() {
        let view = DeploymentView { serving: String::new(), ..ended(Outcome::Succeeded) };
        assert_eq!(success(&view, Paint::Plain), "shop/web dep_1: succeeded, live after 1.6 s");
    }
}
