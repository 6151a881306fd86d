//! What people read, pinned: `tests/fixtures/terminal/NAME.COLUMNS.txt`, and `NAME.COLUMNS.ansi` with colours, which the
//! screenshots of the README are made from.

use std::path::{Path, PathBuf};

use cutover_events::delivery::{Change, ChangeKind};
use cutover_events::deployment::{
    DeploymentFailed, DeploymentSucceeded, Drift, DriftSeen, Handling, IntentQueued, IntentSuperseded, Lists, Parked,
    UnitRemoved, Wish,
};
use cutover_events::{Actor, Cause, DeliveryId};

use super::folded::Folded;
use super::samples::{
    UNIT, caused, deployment_story, event, id, image, now_ms, queued, reason, routed_back_story, screen,
};
use super::screen::{Screen, width};
use super::timeline::Timeline;
use super::{Paint, lists, status};
use crate::api::time::parse_rfc3339;
use crate::api::views::{DoctorView, EventLine, ExplainView, StatusView};

/// Columns that everything is laid out for: a phone or a split window, the usual, a wide one.
const COLUMNS: [usize; 3] = [60, 80, 120];
/// Columns of the screenshots.
const PICTURE: usize = 100;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/terminal")
}

/// Compares with the file of that name; `WRITE_GOLDEN=1` writes it anew.
fn pinned(name: &str, text: &str) {
    let path = folder().join(name);
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == golden, "{name} differs; WRITE_GOLDEN=1 cargo test golden writes it anew. Now it is:\n{text}");
}

/// Pins what is rendered at every width and without a terminal; nothing but ids is wider than its screen.
fn every_width(name: &str, render: impl Fn(&Screen) -> String) {
    for columns in COLUMNS {
        let text = render(&screen(columns));
        pinned(&format!("{name}.{columns}.txt"), &text);
        for line in text.lines() {
            let one_word = !line.trim_start().contains(' ');
            assert!(width(line) <= columns || one_word, "{name} at {columns} columns: {line}");
            assert_eq!(line, line.trim_end(), "{name} at {columns} columns");
        }
    }
    let file = render(&Screen::plain(now_ms()));
    assert!(!file.contains('\u{1b}') && !file.contains(" ago"), "{file}");
    pinned(&format!("{name}.plain.txt"), &file);
}

/// What was recorded of a running engine by `scripts/screenshots --record`: when, and what a command answered.
fn recorded(name: &str) -> (u64, String) {
    let folder = folder().join("recorded");
    let now = std::fs::read_to_string(folder.join(format!("{name}.time"))).unwrap();
    let now = parse_rfc3339(now.trim()).unwrap();
    (now, std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap())
}

/// Pins a picture of a recorded answer, with colours.
fn picture(name: &str, command: &str, render: impl Fn(&str, &Screen) -> String) {
    let (now, json) = recorded(name);
    let prompt = Paint::Colour.tone(super::Tone::Strong, &format!("$ {command}"));
    let text = render(&json, &Screen::terminal(Paint::Colour, PICTURE, now));
    pinned(&format!("{name}.{PICTURE}.ansi"), &format!("{prompt}\n{text}"));
}

fn lines(json: &str) -> Vec<EventLine> {
    json.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn folded(story: &[EventLine], screen: &Screen) -> String {
    let mut folded = Folded::default();
    let mut text: String = story.iter().map(|line| folded.tell(line, screen)).collect();
    text.push_str(&folded.rest(screen));
    text
}

fn steps(story: &[EventLine], screen: &Screen) -> String {
    let mut timeline = Timeline::default();
    story.iter().map(|line| timeline.tell(line, screen)).collect()
}

/// A push that a newer one takes the place of, one that is live, one that fails, one that is parked, one that waits.
fn history() -> Vec<EventLine> {
    let mut story = vec![
        caused(
            7,
            0,
            IntentQueued { change: Some(change()), ..queued(7, image("ghcr.io/acme/shop:c0ffee1")) },
            pushed(),
        ),
        event(8, 4, IntentSuperseded { deployment: id(7), by: id(1), lists: None }),
    ];
    story.extend(deployment_story());
    let (deployment, lists) = (id(2), Lists::default());
    story.push(event(23, 60_000, queued(2, image("ghcr.io/acme/shop:v3"))));
    story.push(event(24, 121_000, DeploymentFailed { deployment, reason: reason(), routed_back: false, lists }));
    story.push(event(25, 180_000, DriftSeen { unit: UNIT, drift: Drift::Gone, handling: Handling::Repair }));
    story.push(caused(26, 180_000, queued(3, Wish::Heal), (Cause::Drift, Actor::Engine)));
    story.push(event(27, 182_000, DeploymentSucceeded { deployment: id(3), lists: Lists::default() }));
    story.push(event(27, 182_500, UnitRemoved { unit: UNIT }));
    story.push(event(28, 200_000, queued(4, Wish::Rollback(None))));
    story.push(event(29, 230_000, Parked { deployment: id(4), reason: reason() }));
    story.push(event(30, 240_000, queued(5, Wish::Restart)));
    story
}

fn change() -> Change {
    let (reference, sha) = ("refs/heads/main".into(), "c0ffee15e2f4a3b9".into());
    Change { kind: ChangeKind::Branch, repo: "acme/shop".into(), reference, sha, ..Change::default() }
}

fn pushed() -> (Cause, Actor) {
    (Cause::Delivery(DeliveryId([5; 16])), Actor::Engine)
}

#[test]
fn timelines() {
    every_width("timeline", |screen| folded(&history(), screen));
    every_width("timeline-steps", |screen| steps(&history(), screen));
    every_width("timeline-routed-back", |screen| folded(&routed_back_story(), screen));
}

#[test]
fn no_line_has_colours_without_a_terminal() {
    let story = history();
    let (file, terminal) = (Screen::plain(now_ms()), Screen::terminal(Paint::Colour, 80, now_ms()));
    assert!(!folded(&story, &file).contains('\u{1b}') && !steps(&story, &file).contains('\u{1b}'));
    assert!(folded(&story, &terminal).contains('\u{1b}') && steps(&story, &terminal).contains('\u{1b}'));
}

#[test]
fn statuses() {
    let (_, json) = recorded("status-sample");
    let view: StatusView = serde_json::from_str(&json).unwrap();
    every_width("status", |screen| status::overview(&view, screen));
    every_width("status-one", |screen| status::detail(&view, screen));
    let empty = StatusView { position: 0, held: Vec::new(), frozen: Vec::new(), workloads: Vec::new() };
    assert!(status::overview(&empty, &screen(80)).starts_with("no workloads; `cutover apply"));
}

#[test]
fn doctors() {
    let (_, json) = recorded("doctor-sample");
    let view: DoctorView = serde_json::from_str(&json).unwrap();
    every_width("doctor", |screen| lists::doctor(&view, screen));
}

#[test]
fn pictures_of_a_running_engine() {
    let view = |json: &str| serde_json::from_str::<StatusView>(json).unwrap();
    picture("status-live", "cutover status", |json, screen| status::overview(&view(json), screen));
    picture("status-web", "cutover status web", |json, screen| status::detail(&view(json), screen));
    picture("timeline-live", "cutover timeline web", |json, screen| folded(&lines(json), screen));
    picture("explain-live", "cutover explain web", |json, screen| {
        lists::explain(&serde_json::from_str::<ExplainView>(json).unwrap(), screen)
    });
}
