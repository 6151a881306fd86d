//! Releases, tokens, checks and explanations.

use super::Tone;
use super::screen::{Screen, width};
use super::table::{Column, Table, cell};
use crate::api::told::words::{count, short_digest};
use crate::api::views::{CheckView, DoctorView, ExplainView, Finding, ReleasesView, RollbackCost, TokensView};

/// Columns of a reference that tell one version from another.
const LEAST_REFERENCE: usize = 14;
/// Columns of a finding: `unknown`.
const FINDING: usize = 7;
/// Columns of names of checks that are aligned; a longer one pushes its text to the right.
const WIDEST_NAME: usize = 32;

/// The releases of a workload, newest first.
pub(in crate::cli) fn releases(view: &ReleasesView, screen: &Screen) -> String {
    if view.releases.is_empty() {
        return format!("{} has no releases yet\n", view.workload);
    }
    let columns = [
        Column::whole("RELEASE"),
        Column::drops("MADE", 2),
        Column::shrinks("REFERENCE", LEAST_REFERENCE),
        Column::drops("DIGEST", 4),
        Column::drops("SPEC", 5),
        Column::drops("COMMIT", 3),
        Column::drops("ROLLBACK", 1),
    ];
    let mut table = Table::new(&columns);
    for release in &view.releases {
        let digest = if release.repo_digest.is_empty() { &release.image } else { &release.repo_digest };
        table.row(vec![
            cell(&release.release),
            cell(screen.since(&release.time)),
            cell(&release.reference),
            cell(short_digest(digest)),
            cell(release.revision.to_string()),
            cell(release.sha.chars().take(7).collect::<String>()),
            cost(release.rollback),
        ]);
    }
    table.render(screen)
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
pub(in crate::cli) fn tokens(view: &TokensView, screen: &Screen) -> String {
    if view.tokens.is_empty() {
        return "no tokens yet; make one with `cutover token add NAME`\n".to_owned();
    }
    let mut table = Table::new(&[Column::whole("TOKEN"), Column::whole("NAME")]);
    for token in &view.tokens {
        table.row(vec![cell(&token.token_id), cell(&token.name)]);
    }
    table.render(screen)
}

/// Every check, a line each, and the sum.
pub(in crate::cli) fn doctor(view: &DoctorView, screen: &Screen) -> String {
    let widest = view.checks.iter().map(|check| width(&check.name)).max().unwrap_or(0).min(WIDEST_NAME);
    let line = |check: &CheckView| {
        let (tone, word) = match check.finding {
            Finding::Holds => (Tone::Good, "holds"),
            Finding::Broken => (Tone::Bad, "BROKEN"),
            Finding::Unknown => (Tone::Bad, "unknown"),
            Finding::Note => (Tone::Moving, "note"),
        };
        let name = format!("{}{}", check.name, " ".repeat(widest.saturating_sub(width(&check.name))));
        let taken = FINDING + 2 + width(&name) + 2;
        let mut out = String::new();
        for (index, part) in screen.wrapped(&check.text, taken).iter().enumerate() {
            if index == 0 {
                let pad = " ".repeat(FINDING.saturating_sub(width(word)));
                out.push_str(&format!("{}{pad}  {name}  ", screen.tone(tone, word)));
            } else {
                out.push_str(&" ".repeat(taken));
            }
            out.push_str(part);
            out.push('\n');
        }
        out
    };
    let mut text: String = view.checks.iter().map(line).collect();
    let of = |wanted| view.checks.iter().filter(|check| check.finding == wanted).count() as u64;
    let (broken, unknown) = (of(Finding::Broken), of(Finding::Unknown));
    let sum = match (broken, unknown) {
        (0, 0) => (Tone::Good, "all invariants hold".to_owned()),
        (0, unknown) => (Tone::Bad, format!("{} could not be looked at", count(unknown, "thing", "things"))),
        (broken, 0) => (Tone::Bad, format!("{} broken", count(broken, "invariant is", "invariants are"))),
        (broken, unknown) => {
            let unseen = count(unknown, "thing", "things");
            (
                Tone::Bad,
                format!("{} broken, {unseen} could not be looked at", count(broken, "invariant is", "invariants are")),
            )
        }
    };
    text.push_str(&format!("\n{}\n", screen.tone(sum.0, &sum.1)));
    text
}

/// The answer, then how it came about.
pub(in crate::cli) fn explain(view: &ExplainView, screen: &Screen) -> String {
    let mut text = screen.hanging("", (Tone::Strong, &format!("{}: {}", view.about, view.answer)));
    let columns = screen.time_columns();
    for link in &view.chain {
        let when = screen.since(&link.time);
        let head = format!("{}{when}  ", " ".repeat(columns.saturating_sub(width(&when))));
        let position = if link.position == 0 { String::new() } else { format!("  ({})", link.position) };
        text.push_str(&screen.beside((Tone::Quiet, &head), (Tone::Normal, &format!("{}{position}", link.text))));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::samples::screen;
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
        let view = ReleasesView { workload: "shop/web".into(), releases: vec![release] };
        let text = releases(&view, &screen(120));
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
        let expected = "shop/web: rel_2 is live\n  5 min ago  alice asked (7)\n";
        assert_eq!(explain(&view, &screen(80)), expected);
    }
}
