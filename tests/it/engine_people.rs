//! Hands on containers, and a freeze, over the whole shell on the in-memory world.

use cutover::commands::By;
use cutover_domain::workload::Workload;
use cutover_events::deployment::{Drift, Handling};
use cutover_events::engine::{Frozen, Thawed};
use cutover_events::{Cause, Event, UnitId};
use cutover_world::Hand;

use crate::engine::Engine;

fn active(state: &Workload) -> Vec<UnitId> {
    state.active.as_ref().map(|slot| slot.units.to_vec()).unwrap_or_default()
}

impl Engine {
    fn lay(&self, hand: Hand, unit: UnitId) {
        let mut twin = self.twin.lock();
        assert!(twin.world.human(unit, hand), "{hand:?}");
        twin.hint(unit);
    }

    async fn drifts(&self) -> Vec<(Drift, Handling)> {
        let events = self.events().await;
        let seen = events.iter().filter_map(|event| match event {
            Event::DriftSeen(e) => Some((e.drift, e.handling)),
            _ => None,
        });
        seen.collect()
    }

    async fn write(&self, event: Event) {
        let written =
            self.commands.engine(By::engine(Cause::Person), |_| Ok::<_, cutover::commands::Error>(vec![event]));
        written.await.unwrap();
        self.commands.live().cell(self.workload).changed.notify_one();
    }
}

#[tokio::test]
async fn what_a_person_changes_is_put_right() {
    let mut engine = Engine::begin(1).await;
    engine.until("it runs", |state| state.active.is_some()).await;
    engine.settled().await;
    let unit = active(&engine.state())[0];
    for (hand, drift) in [(Hand::Rename, Drift::Renamed), (Hand::Policy, Drift::Policy), (Hand::Limits, Drift::Limits)]
    {
        let before = engine.events().await.len();
        engine.lay(hand, unit);
        let over = |state: &Workload| state.drifts.is_empty() && state.version as usize >= before + 2;
        engine.until("the difference is over", over).await;
        assert_eq!(engine.drifts().await.last(), Some(&(drift, Handling::Repair)));
    }
    engine.lay(Hand::Pause, unit);
    engine.until("the pause is told", |state| state.drifts == [(unit, Drift::Paused)]).await;
    engine.until("it goes on", |state| state.drifts.is_empty()).await;
    assert_eq!(active(&engine.state()), [unit], "nothing of it is replaced");
    engine.lay(Hand::Disconnect, unit);
    engine.until("it is replaced", |state| !active(state).contains(&unit) && state.active.is_some()).await;
    assert_eq!(engine.drifts().await.last(), Some(&(Drift::Disconnected, Handling::Repair)));
    engine.settled().await;
    engine.end().await;
}

#[tokio::test]
async fn what_is_frozen_is_told_and_left_and_thawed_it_is_replaced() {
    let mut engine = Engine::begin(1).await;
    engine.until("it runs", |state| state.active.is_some()).await;
    engine.settled().await;
    let unit = active(&engine.state())[0];
    engine.write(Frozen { workload: None, reason: "backup".into() }.into()).await;
    engine.twin.lock().world.human_remove(unit);
    engine.twin.lock().hint(unit);
    engine.until("it is told", |state| state.drifts == [(unit, Drift::Gone)]).await;
    assert_eq!(engine.drifts().await, [(Drift::Gone, Handling::Frozen)]);
    assert!(engine.state().queue.is_empty() && engine.state().open.is_none());
    engine.write(Thawed { workload: None }.into()).await;
    engine.until("it is replaced", |state| !active(state).contains(&unit) && state.open.is_none()).await;
    assert_eq!(engine.drifts().await, [(Drift::Gone, Handling::Frozen)], "it is told once");
    engine.settled().await;
    engine.end().await;
}
