//! What has happened, and why.

use super::Session;
use super::state::tell;
use crate::api::views::{EventLine, EventsPage, ExplainView};
use crate::cli::client::{Call, encoded};
use crate::cli::exit::{Exit, Failure};
use crate::cli::grammar::{Events, Explain, Json, Range, Timeline};
use crate::cli::output::Output;
use crate::cli::render::timeline::Timeline as Told;
use crate::cli::{follow, render, values};

/// Events of one page.
const PAGE: usize = 1_000;

/// `timeline`.
pub(super) async fn timeline(session: &mut Session, timeline: &Timeline) -> Result<Exit, Failure> {
    values::workload(&timeline.name)?;
    let query = format!("&workload={}{}", encoded(&timeline.name), query(&timeline.range));
    read(session, &query, &timeline.range, timeline.json).await
}

/// `events`.
pub(super) async fn events(session: &mut Session, events: &Events) -> Result<Exit, Failure> {
    read(session, &query(&events.range), &events.range, events.json).await
}

fn query(range: &Range) -> String {
    let deployment = range.deployment.as_ref().map_or_else(String::new, |id| format!("&deployment={id}"));
    let kinds = if range.kind.is_empty() { String::new() } else { format!("&kind={}", range.kind.join(",")) };
    format!("{deployment}{kinds}")
}

async fn read(session: &mut Session, query: &str, range: &Range, json: Json) -> Result<Exit, Failure> {
    let mut after = range.after;
    let mut told = Told::default();
    loop {
        let call = Call::get(format!("/api/v1/events?after={after}&limit={PAGE}{query}"));
        let page: EventsPage = session.client.ask(call).await?;
        let now = session.now_ms();
        for line in &page.items {
            write(&mut session.output, &mut told, (line, now), json)?;
        }
        session.output.flush()?;
        if page.next_after <= after || page.next_after >= page.head {
            after = after.max(page.next_after);
            break;
        }
        after = page.next_after;
    }
    if range.follow {
        let (clock, output) = (session.clock, &mut session.output);
        let mut write_through = |line: &EventLine| {
            write(output, &mut told, (line, clock.stamp().wall_ms), json)?;
            output.flush()
        };
        follow::events(&session.client, (query, after), &mut write_through).await?;
    }
    Ok(Exit::Ok)
}

fn write(output: &mut Output, told: &mut Told, (line, now): (&EventLine, u64), json: Json) -> Result<(), Failure> {
    if json.json {
        return output.json(line);
    }
    let paint = output.paint();
    told.tell(line, now, paint).iter().try_for_each(|line| output.line(line))
}

/// `explain`.
pub(super) async fn explain(session: &mut Session, explain: &Explain) -> Result<Exit, Failure> {
    let call = Call::get(format!("/api/v1/explain?about={}", encoded(&explain.about)));
    tell::<ExplainView>(session, call, explain.json, render::lists::explain).await?;
    Ok(Exit::Ok)
}
