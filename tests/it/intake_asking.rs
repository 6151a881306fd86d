//! Rules by path: a repository is asked, and who has to wait for its answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cutover::intake::open::OpenDeliveries;
use cutover_domain::rules::Changed;
use cutover_events::delivery::DeliveryDecided;
use cutover_events::{Event, HookId, WorkloadId};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::intake_decide::{Queue, decider, intents, references, restart, take, until};
use crate::intake_log::TestLog;
use crate::intake_support::{GENERIC, GITHUB, Served, serve};

/// The commit that is deployed.
fn deployed() -> String {
    "3f2a123".repeat(6)
}

/// One workload with a rule by path, of a repository that says nothing until it may.
fn by_path(log: &Arc<TestLog>) -> Arc<Queue> {
    let queue = Queue::new(log);
    {
        let mut rules = queue.rules.lock();
        rules[0].deployed = deployed();
        rules[0].triggers[0].paths = vec!["services/api/**".into()];
    }
    queue.answers.forget_permits(Semaphore::MAX_PERMITS);
    queue
}

/// A log, such a workload, and who takes its deliveries.
async fn begin() -> (Arc<TestLog>, Arc<Queue>, Served) {
    let log = Arc::new(TestLog::new());
    let queue = by_path(&log);
    let served = serve(log.clone()).await;
    (log, queue, served)
}

/// The engine decides until the test ends.
fn deciding(log: &Arc<TestLog>, queue: &Arc<Queue>, served: &Served) -> JoinSet<()> {
    let mut working = JoinSet::new();
    let decider = decider(log, queue).listening(served.intake.hints.clone());
    working.spawn(async move { panic!("the decider ended: {:?}", decider.run().await) });
    working
}

fn decisions(log: &TestLog) -> Vec<DeliveryDecided> {
    let of = |event: Event| if let Event::DeliveryDecided(decided) = event { Some(decided) } else { None };
    log.events().into_iter().filter_map(of).collect()
}

/// Deliveries of a hook that are decided.
fn decided(log: &TestLog, hook: HookId) -> usize {
    let received = log.events().into_iter().filter_map(|event| match event {
        Event::DeliveryReceived(received) if received.hook == hook => Some(received.delivery),
        _ => None,
    });
    let received: Vec<_> = received.collect();
    decisions(log).iter().filter(|decided| received.contains(&decided.delivery)).count()
}

fn whys(log: &TestLog) -> Vec<String> {
    decisions(log).into_iter().flat_map(|decided| decided.verdicts).map(|verdict| verdict.why).collect()
}

/// Waits until so many questions were asked.
async fn asked(queue: &Queue, count: usize) {
    let asked = async {
        while queue.questions.lock().len() < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked).await.unwrap();
}

fn known(number: u64, path: &str) -> (String, Changed) {
    (format!("{number:0>40x}"), Changed::Paths(vec![path.to_owned()]))
}

/// A push whose rule is by path, and what the repository says has changed since what is deployed.
#[tokio::test]
async fn a_rule_by_path_is_decided_by_what_is_deployed() {
    let (log, queue, served) = begin().await;
    let _working = deciding(&log, &queue, &served);
    *queue.changed.lock() = BTreeMap::from([known(1, "docs/a"), known(2, "services/api/main.rs")]);
    queue.answers.add_permits(3);
    take(&served, 1..4).await;
    until(&log, || decisions(&log).len() == 3).await;
    let whys = whys(&log);
    assert_eq!(whys[0], "no path of services/api/** has changed since 3f2a123, which is deployed");
    assert!(whys[1].ends_with("; services/api/main.rs has changed since 3f2a123"), "{whys:?}");
    assert!(whys[2].contains("is not known, so all of it counts: nobody knows"), "{whys:?}");
    until(&log, || intents(&log) == references(2..4)).await;
}

/// Workloads of one repository, each with a rule by path.
#[tokio::test]
async fn a_repository_is_asked_once_for_all_workloads_that_ask_the_same() {
    let (log, queue, served) = begin().await;
    {
        let mut rules = queue.rules.lock();
        rules[0].files = "https://git.test/acme/shop.git#main:a".into();
        rules[0].triggers[0].paths = vec!["a/**".into()];
        let mut other = rules[0].clone();
        (other.workload, other.name) = (WorkloadId([77; 16]), "shop/other".into());
        other.files = "https://git.test/acme/shop.git#main:b".into();
        let mut private = other.clone();
        (private.workload, private.name) = (WorkloadId([78; 16]), "shop/private".into());
        private.opened = "shop/token".into();
        rules.extend([other, private]);
    }
    let _working = deciding(&log, &queue, &served);
    queue.answers.add_permits(9);
    take(&served, 1..2).await;
    until(&log, || decisions(&log).len() == 1).await;
    assert_eq!(queue.questions.lock().len(), 2, "one for both that are opened alike");
    let whys = whys(&log);
    assert_eq!(whys.iter().filter(|why| why.contains("nobody knows")).count(), 3, "{whys:?}");
}

#[tokio::test]
async fn while_a_repository_is_silent_other_hooks_are_decided_and_its_own_deliveries_keep_their_order() {
    let (log, queue, served) = begin().await;
    let _working = deciding(&log, &queue, &served);
    take(&served, 1..2).await;
    asked(&queue, 1).await;
    take(&served, 2..4).await;
    for number in 0..3 {
        let answer =
            served.generic(&[], format!(r#"{{"id": "{number}", "image": "r.example.com/a:1"}}"#).as_bytes()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    until(&log, || decided(&log, GENERIC) == 3).await;
    assert_eq!(decided(&log, GITHUB), 0);
    queue.answers.add_permits(3);
    until(&log, || intents(&log) == references(1..4)).await;
}

#[tokio::test]
async fn a_start_waits_for_no_repository() {
    let (log, queue, served) = begin().await;
    take(&served, 1..3).await;
    let mut open = decider(&log, &queue).beginning_with(OpenDeliveries::read(&*log).await.unwrap());
    open.settle().await.unwrap();
    assert_eq!(decided(&log, GITHUB), 0, "nothing is known yet");
    let mut working = JoinSet::new();
    working.spawn(async move { panic!("the decider ended: {:?}", open.run().await) });
    queue.answers.add_permits(2);
    until(&log, || intents(&log) == references(1..3)).await;
    let questions = queue.questions.lock().len();
    restart(&log, &queue).await;
    assert_eq!(queue.questions.lock().len(), questions, "what is decided is not asked about");
}

#[tokio::test]
async fn what_is_deployed_when_the_answer_is_there_counts() {
    let (log, queue, served) = begin().await;
    let _working = deciding(&log, &queue, &served);
    *queue.changed.lock() = BTreeMap::from([known(1, "docs/a")]);
    take(&served, 1..2).await;
    asked(&queue, 1).await;
    let newer = "9b8c7d6".repeat(6);
    queue.rules.lock()[0].deployed.clone_from(&newer);
    queue.answers.add_permits(2);
    until(&log, || decisions(&log).len() == 1).await;
    let from: Vec<_> = queue.questions.lock().iter().map(|question| question.from.clone()).collect();
    assert_eq!(from, [deployed(), newer]);
    assert_eq!(whys(&log), ["no path of services/api/** has changed since 9b8c7d6, which is deployed"]);
}

/// It is given up after some rounds, and what is not known is deployed.
#[tokio::test]
async fn what_is_deployed_may_change_for_ever() {
    let (log, queue, served) = begin().await;
    let _working = deciding(&log, &queue, &served);
    take(&served, 1..2).await;
    for round in 1..=3 {
        asked(&queue, round).await;
        queue.rules.lock()[0].deployed = format!("{round:0>40x}");
        queue.answers.add_permits(1);
    }
    until(&log, || intents(&log) == references(1..2)).await;
    assert!(whys(&log)[0].contains("all of it counts: it changed again and again"), "{:?}", whys(&log));
    assert_eq!(queue.questions.lock().len(), 3);
}

/// A repository that has hung, and many pushes to it.
#[tokio::test]
async fn a_hook_asks_few_questions_at_once_and_not_for_long() {
    let (log, queue, served) = begin().await;
    take(&served, 1..30).await;
    let decider = decider(&log, &queue).listening(served.intake.hints.clone()).patient(Duration::from_millis(40));
    let mut working = JoinSet::new();
    working.spawn(async move { panic!("the decider ended: {:?}", decider.run().await) });
    until(&log, || decisions(&log).len() == 29).await;
    assert_eq!(queue.questions.lock().len(), 4, "the others had no place");
    until(&log, || intents(&log) == references(1..30)).await;
    assert!(whys(&log).iter().all(|why| why.contains("it was not said within 0.04 s")));
}
