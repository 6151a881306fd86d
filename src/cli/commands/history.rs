//! What has happened, and why.

use super::Session;
use super::state::tell;
use crate::api::views::{EventLine, EventsPage, ExplainView};
use crate::cli::client::{Call, encoded};
use crate::cli::exit::{Exit, Failure};
use crate::cli::grammar::{Events, Explain, Range, Timeline};
use crate::cli::output::Output;
use crate::cli::render::folded::Folded;
use crate::cli::render::screen::Screen;
use crate::cli::render::timeline::Timeline as Steps;
use crate::cli::{follow, render, values};

/// Events of one page.
const PAGE: usize = 1_000;

/// How events are told.
enum Told {
    /// One JSON object each.
    Json,
    /// One line each, headed by their deployment.
    Steps(Steps),
    /// One line per deployment.
    Folded(Folded, Steps),
}

/// `timeline`.
pub(super) async fn timeline(session: &mut Session, timeline: &Timeline) -> Result<Exit, Failure> {
    values::workload(&timeline.name)?;
    let query = format!("&workload={}{}", encoded(&timeline.name), query(&timeline.range));
    let range = &timeline.range;
    // A part of a deployment's events cannot be folded into its one line.
    let steps = timeline.steps || range.deployment.is_some() || !range.kind.is_empty();
    let told = match timeline.json.json {
        true => Told::Json,
        false if steps => Told::Steps(Steps::default()),
        false => Told::Folded(Folded::default(), Steps::default()),
    };
    read(session, &query, range, told).await
}

/// `events`.
pub(super) async fn events(session: &mut Session, events: &Events) -> Result<Exit, Failure> {
    let told = if events.json.json { Told::Json } else { Told::Steps(Steps::default()) };
    read(session, &query(&events.range), &events.range, told).await
}

fn query(range: &Range) -> String {
    let deployment = range.deployment.as_ref().map_or_else(String::new, |id| format!("&deployment={id}"));
    let kinds = if range.kind.is_empty() { String::new() } else { format!("&kind={}", range.kind.join(",")) };
    format!("{deployment}{kinds}")
}

async fn read(session: &mut Session, query: &str, range: &Range, mut told: Told) -> Result<Exit, Failure> {
    let mut after = range.after;
    let mut any = false;
    loop {
        let call = Call::get(format!("/api/v1/events?after={after}&limit={PAGE}{query}"));
        let page: EventsPage = session.client.ask(call).await?;
        let screen = session.output.screen(session.now_ms());
        for line in &page.items {
            any = true;
            told.write(&mut session.output, line, &screen)?;
        }
        session.output.flush()?;
        if page.next_after <= after || page.next_after >= page.head {
            after = after.max(page.next_after);
            break;
        }
        after = page.next_after;
    }
    let screen = session.output.screen(session.now_ms());
    told.caught_up(&mut session.output, &screen)?;
    if range.follow {
        session.output.flush()?;
        let (clock, output) = (session.clock, &mut session.output);
        let mut write_through = |line: &EventLine| {
            let screen = output.screen(clock.stamp().wall_ms);
            told.write(output, line, &screen)?;
            output.flush()
        };
        follow::events(&session.client, (query, after), &mut write_through).await?;
    }
    if !any && !matches!(told, Told::Json) {
        session.output.aside("no such events");
    }
    Ok(Exit::Ok)
}

impl Told {
    fn write(&mut self, output: &mut Output, line: &EventLine, screen: &Screen) -> Result<(), Failure> {
        match self {
            Self::Json => output.json(line),
            Self::Steps(steps) => output.text(&steps.tell(line, screen)),
            Self::Folded(folded, steps) => {
                steps.pass(line);
                output.text(&folded.tell(line, screen))
            }
        }
    }

    /// What has happened is told; from here on each step is, because what goes on cannot be folded yet.
    fn caught_up(&mut self, output: &mut Output, screen: &Screen) -> Result<(), Failure> {
        if let Self::Folded(folded, steps) = self {
            output.text(&folded.rest(screen))?;
            *self = Self::Steps(std::mem::take(steps));
        }
        Ok(())
    }
}

/// `explain`.
pub(super) async fn explain(session: &mut Session, explain: &Explain) -> Result<Exit, Failure> {
    let call = Call::get(format!("/api/v1/explain?about={}", encoded(&explain.about)));
    tell::<ExplainView>(session, call, explain.json, render::lists::explain).await?;
    Ok(Exit::Ok)
}
