//! Programs of people over the in-memory world: what goes over the connection, and how many there may be.

use cutover::adapters::world::Program;
use cutover::execution::errands::frame::{self, Frame};
use cutover::execution::errands::{Asked, Duplex, NotBegun, Where};
use cutover_domain::errand::MAX_ERRANDS;
use cutover_events::Event;
use cutover_events::errand::ErrandEnd;
use futures_util::FutureExt;
use tokio::io::DuplexStream;

use crate::whole::{Whole, person, policy};

async fn live() -> Whole {
    let whole = Whole::begin(policy()).await;
    whole.publish("web", 1, Program::default());
    whole.push("web", 1).await;
    whole.live(whole.web, 1).await;
    whole
}

async fn begin(whole: &Whole, command: &[&str], place: Where) -> Result<DuplexStream, NotBegun> {
    let (person_side, engine_side) = tokio::io::duplex(64 * 1024);
    let wire = async move { Ok(Box::new(engine_side) as Box<dyn Duplex>) }.boxed();
    let asked = Asked { command: command.iter().map(|word| (*word).to_owned()).collect(), terminal: None, place };
    whole.backend.execution.errand(person("alice").actor, whole.web, (asked, wire)).await?;
    Ok(person_side)
}

/// Every frame to the last, signs of life left out.
async fn told(wire: &mut DuplexStream) -> Vec<Frame> {
    let mut all = Vec::new();
    while let Some(frame) = frame::read(wire).await.unwrap() {
        if frame != Frame::Ping {
            all.push(frame);
        }
    }
    all
}

async fn ends(whole: &Whole) -> Vec<ErrandEnd> {
    let ended = whole.events(whole.web).await.into_iter().filter_map(|event| match event {
        Event::ErrandEnded(e) => Some(e.end),
        _ => None,
    });
    ended.collect()
}

#[tokio::test]
async fn what_is_printed_and_the_code_go_over_the_connection_once_the_end_is_recorded() {
    let whole = live().await;
    for place in [Where::Inside(None, None), Where::Alone] {
        let before = ends(&whole).await.len();
        let mut wire = begin(&whole, &["say", "one", "two", "7"], place).await.unwrap();
        let all = told(&mut wire).await;
        assert_eq!(all, [Frame::Out("one".into()), Frame::Err("two".into()), Frame::Exit(7)]);
        assert_eq!(ends(&whole).await[before..], [ErrandEnd::Exited(7)]);
        assert!(whole.state(whole.web).errands.is_empty());
    }
    let mut wire = begin(&whole, &["cat"], Where::Inside(None, None)).await.unwrap();
    frame::write(&mut wire, &Frame::Input("typed".into())).await.unwrap();
    frame::write(&mut wire, &Frame::InputEnd).await.unwrap();
    assert_eq!(told(&mut wire).await, [Frame::Out("typed".into()), Frame::Exit(0)]);
    // Whoever sends what is no frame of a person is gone.
    let mut wire = begin(&whole, &["cat"], Where::Inside(None, None)).await.unwrap();
    frame::write(&mut wire, &Frame::Exit(0)).await.unwrap();
    assert!(matches!(told(&mut wire).await.as_slice(), [Frame::Lost(_)]));
    assert_eq!(ends(&whole).await.last(), Some(&ErrandEnd::Left));
}

#[tokio::test]
async fn there_are_so_many_at_once_and_a_place_is_free_when_a_person_has_gone() {
    let whole = live().await;
    let mut wires = Vec::new();
    for _ in 0..MAX_ERRANDS {
        wires.push(begin(&whole, &["hang"], Where::Inside(None, None)).await.unwrap());
    }
    let one_more = begin(&whole, &["hang"], Where::Inside(None, None)).await.unwrap_err().to_string();
    assert!(one_more.contains("people run 16 programs"), "{one_more}");
    drop(wires.pop());
    whole.until(whole.web, "one has ended", |state| state.errands.len() < MAX_ERRANDS).await;
    assert_eq!(ends(&whole).await, [ErrandEnd::Left]);
    wires.push(begin(&whole, &["hang"], Where::Alone).await.unwrap());
    drop(wires);
    whole.until(whole.web, "all have ended", |state| state.errands.is_empty()).await;
}
