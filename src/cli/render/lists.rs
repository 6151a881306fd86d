//! Releases, tokens, checks and explanations.

use super::table::{Table, cell};
use super::words::{ago, short_digest};
use super::{Paint, Tone};
use crate::api::views::{CheckView, DoctorView, ExplainView, Finding, ReleasesView, RollbackCost, TokensView};

/// The releases of a workload, newest first.
pub(in crate::cli) fn releases(view: &ReleasesView, now_ms: u64, paint: Paint) -> String {
    if view.releases.is_empty() {
        return format!("{} has no releases yet\n", view.workload);
    }
    let mut table = Table::new(&["RELEASE", "MADE", "REFERENCE", "DIGEST", "SPEC", "COMMIT", "ROLLBACK"]);
    for release in &view.releases {
        let digest = if release.repo_digest.is_empty() { &release.image } else { &release.repo_digest };
        table.row(vec![
            cell(&release.release),
            cell(ago(&release.time, now_ms)),
            cell(&release.reference),
            cell(short_digest(digest)),
            cell(release.revision.to_string()),
            cell(release.sha.chars().take(7).collect::<String>()),
            cost(release.rollback),
        ]);
    }
    table.render(paint)
}

fn cost(cost: RollbackCost) -> (Tone, String) {
    let (tone, text) = match cost {
        RollbackCost::Live => (Tone::Good, "live"),
        RollbackCost::Instant => (Tone::Normal, "instant: stands by"),
        RollbackCost::Start => (Tone::Normal, "starts a container"),
        RollbackCost::Pull => (Tone::Normal, "must pull"),
        RollbackCost::Impossible => (Tone::Quiet, "not possible"),
    };
    (tone, text.to_owned())
}

/// Every token, a line each.
pub(in crate::cli) fn tokens(view: &TokensView, paint: Paint) -> String {
    if view.tokens.is_empty() {
        return "no tokens yet; make one with `cutover token add NAME`\n".to_owned();
    }
    let mut table = Table::new(&["TOKEN", "NAME"]);
    for token in &view.tokens {
        table.row(vec![cell(&token.token_id), cell(&token.name)]);
    }
    table.render(paint)
}

/// Every check, a line each, and the sum.
pub(in crate::cli) fn doctor(view: &DoctorView, paint: Paint) -> String {
    let line = |check: &CheckView| {
        let (tone, word) = match check.finding {
            Finding::Holds => (Tone::Good, "holds  "),
            Finding::Broken => (Tone::Bad, "BROKEN "),
            Finding::Unknown => (Tone::Bad, "unknown"),
            Finding::Note => (Tone::Moving, "note   "),
        };
        format!("{}  {}: {}\n", paint.tone(tone, word), check.name, check.text)
    };
    let mut text: String = view.checks.iter().map(line).collect();
    text.push_str(if view.ok { "all invariants hold\n" } else { "not all invariants hold\n" });
    text
}

/// The answer, then how it came about.
pub(in crate::cli) fn explain(view: &ExplainView, now_ms: u64, paint: Paint) -> String {
    let mut text = format!("{}: {}\n", paint.tone(Tone::Strong, &view.about), view.answer);
    for link in &view.chain {
        let age = paint.tone(Tone::Quiet, &format!("{:>12}", ago(&link.time, now_ms)));
        let position = if link.position == 0 { String::new() } else { format!("  ({})", link.position) };
        text.push_str(&format!("{age}  {}{}\n", link.text, paint.tone(Tone::Quiet, &position)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::samples::now_ms;
    use super::*;
    use crate::api::views::{LinkView, ReleaseView};

    #[test]
    fn releases_say_what_a_rollback_takes() {
        let release = ReleaseView {
            release: "rel_2".into(),
            deployment_id: "dep_2".into(),
            time: "2026-01-31T12:00:00.000Z".into(),
            revision: 1,
            reference: "shop:v2".into(),
            image: "sha256:ffff".into(),
            repo_digest: String::new(),
            sha: "0123456789".into(),
            rollback: RollbackCost::Instant,
        };
        let text =
            releases(&ReleasesView { workload: "shop/web".into(), releases: vec![release] }, now_ms(), Paint::Plain);
        let expected = "\
RELEASE  MADE       REFERENCE  DIGEST  SPEC  COMMIT   ROLLBACK
rel_2    5 min ago  shop:v2    ffff    1     0123456  instant: stands by
";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_explanation_is_a_chain() {
        let link = LinkView { position: 7, time: "2026-01-31T12:00:00.000Z".into(), text: "alice asked".into() };
        let view = ExplainView { about: "shop/web".into(), answer: "rel_2 is live".into(), chain: vec![link] };
        assert_eq!(explain(&view, now_ms(), Paint::Plain), "shop/web: rel_2 is live\n   5 min ago  alice asked  (7)\n");
    }
}
