//! What people ran in containers: never more of a command than its program's name.

use cutover_events::errand::{ErrandBegun, ErrandEnd, ErrandEnded, Place};
use serde_json::{Value, json};

pub(super) fn begun(e: &ErrandBegun) -> Value {
    let (place, unit) = match e.place {
        Place::Unit(unit) => ("unit", Some(unit.to_string())),
        Place::Own => ("own", None),
    };
    json!({
        "errand_id": e.errand.to_string(),
        "program": e.program,
        "place": place,
        "unit": unit,
        "container": e.container,
        "release": e.release.to_string(),
        "terminal": e.terminal,
    })
}

pub(super) fn ended(e: &ErrandEnded) -> Value {
    let (end, code, why) = match &e.end {
        ErrandEnd::Exited(code) => ("exited", Some(*code), None),
        ErrandEnd::Left => ("left", None, None),
        ErrandEnd::Idle => ("idle", None, None),
        ErrandEnd::Refused(why) => ("refused", None, Some(why)),
        ErrandEnd::Stopped => ("stopped", None, None),
        ErrandEnd::Unknown => ("unknown", None, None),
        ErrandEnd::TornDown => ("torn-down", None, None),
    };
    json!({"errand_id": e.errand.to_string(), "end": end, "exit_code": code, "why": why, "lasted_ms": e.lasted_ms})
}
