//! What people ran in containers, as sentences.

use cutover_events::Actor;
use cutover_events::errand::{ErrandBegun, ErrandEnd, ErrandEnded, Place};

pub(super) fn begun(e: &ErrandBegun, actor: &Actor) -> String {
    let place = match e.place {
        Place::Unit(_) => format!("in {}", e.container),
        Place::Own => format!("in a container of its own, {}", e.container),
    };
    format!("{} runs {} {place}", super::who(actor), e.program)
}

pub(super) fn ended(e: &ErrandEnded) -> String {
    let lasted = e.lasted_ms.map(|ms| format!(" after {}.{:03} s", ms / 1000, ms % 1000)).unwrap_or_default();
    match &e.end {
        ErrandEnd::Exited(code) => format!("a person's program ended with {code}{lasted}"),
        ErrandEnd::Left => format!("the person has gone{lasted}; the program was told to end"),
        ErrandEnd::Idle => format!("nothing happened for a day{lasted}; the program was told to end"),
        ErrandEnd::Refused(why) => format!("a person's program was not begun: {why}"),
        ErrandEnd::Stopped => format!("the engine was stopped{lasted}; a person's program was told to end"),
        ErrandEnd::TornDown => format!("the workload was torn down{lasted}; a person's program was told to end"),
        ErrandEnd::Unknown => "how a person's program ended is unknown: the engine was not there to see it".into(),
    }
}
