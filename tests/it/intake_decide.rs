//! Decisions: in order, once, and the same after a crash at any commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cutover::clock::Clock;
use cutover::intake::decide::{Decider, NotQueued, Wishes};
use cutover::intake::deliveries::{list, show};
use cutover::intake::open::{OpenDeliveries, TriggeredWish};
use cutover::store::{Append, AppendError, Expected, Log};
use cutover_domain::rules::{Changed, Question, Standing, WorkloadRules};
use cutover_events::deployment::{ImageWish, IntentQueued, Wish, WorkloadTornDown};
use cutover_events::workload::Trigger;
use cutover_events::{Event, StreamId, WorkloadId};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::intake_log::{Mood, TestLog};
use crate::intake_support::{GITHUB, Hooks, SECRET, Served, fixture, headers, serve, sign};

pub(crate) const SHOP: WorkloadId = WorkloadId([5; 16]);

pub(crate) fn shop() -> WorkloadRules {
    let on_main = Trigger {
        hook: "github".into(),
        repo: "Acme/Shop".into(),
        branch: "main".into(),
        tag: String::new(),
        image: String::new(),
        paths: Vec::new(),
    };
    WorkloadRules {
        workload: SHOP,
        name: "shop/web".into(),
        triggers: vec![on_main],
        image: "r.example.com/shop:{sha}".into(),
        files: String::new(),
        opened: String::new(),
        standing: Standing::Open,
        rejected: Vec::new(),
        deployed: String::new(),
    }
}

/// Writes intents into the log as the engine would.
pub(crate) struct Queue {
    log: Arc<TestLog>,
    pub(crate) rules: Mutex<Vec<WorkloadRules>>,
    refuse: Mutex<Option<NotQueued>>,
    asked: Mutex<usize>,
    /// What has changed since what is deployed, by the commit of the change.
    pub(crate) changed: Mutex<BTreeMap<String, Changed>>,
    /// What it was asked for that, in order.
    pub(crate) questions: Mutex<Vec<Question>>,
    /// How many answers the repository gives from here on.
    pub(crate) answers: Semaphore,
}

impl Queue {
    pub(crate) fn new(log: &Arc<TestLog>) -> Arc<Self> {
        let (log, refuse, asked) = (log.clone(), Mutex::default(), Mutex::default());
        Arc::new(Self {
            log,
            rules: Mutex::new(vec![shop()]),
            refuse,
            asked,
            changed: Mutex::default(),
            questions: Mutex::default(),
            answers: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }
}

#[async_trait]
impl Wishes for Queue {
    fn rules(&self) -> Vec<WorkloadRules> {
        self.rules.lock().clone()
    }

    async fn changed(&self, question: &Question) -> Changed {
        self.questions.lock().push(question.clone());
        self.answers.acquire().await.unwrap().forget();
        self.changed.lock().get(&question.to).cloned().unwrap_or(Changed::Unknown("nobody knows".into()))
    }

    async fn queue(&self, wish: TriggeredWish) -> Result<(), NotQueued> {
        *self.asked.lock() += 1;
        if let Some(error) = self.refuse.lock().take() {
            return Err(error);
        }
        let image = ImageWish::Reference { reference: wish.reference.clone(), ask_registry: wish.ask_registry };
        let intent = IntentQueued {
            deployment: wish.deployment,
            workload: wish.workload,
            wish: Wish::Deploy(image),
            revision: 1,
            person: false,
            change: Some(wish.change.clone()),
        };
        let append = Append {
            stream: StreamId::Workload(wish.workload),
            expected: Expected::Any,
            events: vec![intent.into()],
            cause: wish.cause(),
            actor: wish.actor(),
            key: Some(wish.key()),
        };
        match self.log.append(append).await {
            Ok(_) | Err(AppendError::Duplicate { .. }) => Ok(()),
            Err(error) => Err(NotQueued::Final(error.to_string())),
        }
    }
}

pub(crate) fn decider(log: &Arc<TestLog>, queue: &Arc<Queue>) -> Decider {
    Decider::new(log.clone(), Hooks::both(), queue.clone(), Clock::system())
}

/// What a new start of the engine does with its deliveries.
pub(crate) async fn restart(log: &Arc<TestLog>, queue: &Arc<Queue>) {
    let open = OpenDeliveries::read(&**log).await.unwrap();
    decider(log, queue).beginning_with(open).settle().await.unwrap();
}

pub(crate) fn push(number: u64) -> Vec<u8> {
    let text = String::from_utf8(fixture("github-push.json")).unwrap();
    text.replace(&"2".repeat(40), &format!("{number:0>40x}")).into_bytes()
}

pub(crate) async fn take(served: &Served, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let answer = served.github("push", &format!("d{number}"), &push(number)).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
}

/// References of the intents, in the order of the workload's stream.
pub(crate) fn intents(log: &TestLog) -> Vec<String> {
    let of = |event: &Event| match event {
        Event::IntentQueued(IntentQueued { wish: Wish::Deploy(ImageWish::Reference { reference, .. }), .. }) => {
            Some(reference.clone())
        }
        _ => None,
    };
    log.events().iter().filter_map(of).collect()
}

pub(crate) fn references(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| format!("r.example.com/shop:{number:0>40x}")).collect()
}

#[tokio::test]
async fn deliveries_are_decided_in_their_order() {
    let log = Arc::new(TestLog::new());
    let queue = Queue::new(&log);
    let served = serve(log.clone()).await;
    let mut working = JoinSet::new();
    working.spawn(decider(&log, &queue).listening(served.intake.hints.clone()).run());
    take(&served, 1..150).await;
    until(&log, || intents(&log).len() == 149).await;
    assert_eq!(intents(&log), references(1..150));
}

#[tokio::test]
async fn a_sender_that_hangs_up_is_decided_all_the_same() {
    let log = Arc::new(TestLog::new());
    let queue = Queue::new(&log);
    let served = serve(log.clone()).await;
    let mut working = JoinSet::new();
    working.spawn(decider(&log, &queue).listening(served.intake.hints.clone()).run());
    log.turn(Mood::Holds);
    let body = push(1);
    let signature = sign(SECRET, &body);
    let headers = headers(&[("x-github-event", "push"), ("x-hub-signature-256", &signature)]);
    let id = GITHUB.to_string();
    let mut call = Box::pin(served.intake.clone().handle(&id, headers, body.into()));
    while log.held() == 0 {
        tokio::select! {
            answer = &mut call => panic!("answered before it was durable: {answer:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(call);
    log.turn(Mood::Works);
    until(&log, || intents(&log) == references(1..2)).await;
    served.intake.finish().await;
}

/// Waits until the log shows it.
pub(crate) async fn until(log: &TestLog, shown: impl Fn() -> bool) {
    let changes = async {
        let mut changes = log.subscribe();
        while !shown() {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), changes).await.unwrap();
}

#[tokio::test]
async fn a_crash_at_any_commit_changes_nothing_but_the_moment() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    take(&served, 1..4).await;
    let queue = Queue::new(&log);
    restart(&log, &queue).await;
    let whole = log.events();
    assert_eq!(intents(&log), references(1..4));
    for kept in 3..log.len() {
        let log = Arc::new(TestLog::new());
        let served = serve(log.clone()).await;
        take(&served, 1..4).await;
        let queue = Queue::new(&log);
        restart(&log, &queue).await;
        assert_eq!(log.events().len(), whole.len());
        log.cut(kept);
        let before = log.events();
        restart(&log, &queue).await;
        assert_eq!(intents(&log), references(1..4), "cut at {kept}");
        assert_eq!(log.events()[..before.len()], before, "cut at {kept}");
        let decided = promised(&log);
        let mut queued = queued(&log);
        queued.sort_unstable();
        assert_eq!(decided, queued, "cut at {kept}: the ids of the decisions are those of the intents");
        let asked = *queue.asked.lock();
        restart(&log, &queue).await;
        assert_eq!(*queue.asked.lock(), asked, "nothing is left to do");
    }
}

/// Ids that decisions name, sorted.
fn promised(log: &TestLog) -> Vec<cutover_events::DeploymentId> {
    let events = log.events();
    let decided = events.iter().filter_map(|event| match event {
        Event::DeliveryDecided(decided) => Some(&decided.verdicts),
        _ => None,
    });
    let mut ids: Vec<_> = decided.flatten().filter_map(|verdict| verdict.intent).collect();
    ids.sort_unstable();
    ids
}

fn queued(log: &TestLog) -> Vec<cutover_events::DeploymentId> {
    let events = log.events();
    events.iter().filter_map(|e| if let Event::IntentQueued(i) = e { Some(i.deployment) } else { None }).collect()
}

#[tokio::test]
async fn a_deletion_is_recorded_and_deploys_nothing() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    served.github("push", "gone", &fixture("github-branch-deleted.json")).await;
    served.github("ping", "ping", &fixture("github-ping.json")).await;
    let queue = Queue::new(&log);
    restart(&log, &queue).await;
    assert_eq!(intents(&log), Vec::<String>::new());
    let page = list(&*log, GITHUB, None, 10).await.unwrap();
    let whys: Vec<_> = page.deliveries.iter().map(|d| d.decision.clone().unwrap().verdicts[0].why.clone()).collect();
    assert_eq!(
        whys,
        ["a test call: the hook works, nothing is deployed", "branch main was deleted, nothing is left to deploy"]
    );
}

#[tokio::test]
async fn an_intent_that_is_put_off_is_tried_again_and_a_refused_one_is_not() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    take(&served, 1..3).await;
    let queue = Queue::new(&log);
    *queue.refuse.lock() = Some(NotQueued::Later("no room".into()));
    restart(&log, &queue).await;
    assert_eq!((intents(&log), *queue.asked.lock()), (references(1..3), 3));
    take(&served, 3..5).await;
    *queue.refuse.lock() = Some(NotQueued::Refused("torn down".into()));
    restart(&log, &queue).await;
    assert_eq!(intents(&log).len(), 3);
}

#[tokio::test]
async fn an_engine_that_cannot_write_halts() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    take(&served, 1..2).await;
    let queue = Queue::new(&log);
    log.turn(Mood::Poisoned);
    let open = OpenDeliveries::read(&*log).await.unwrap();
    let halt = decider(&log, &queue).beginning_with(open).settle().await.unwrap_err();
    assert!(halt.to_string().contains("the disk is gone"), "{halt}");
}

#[tokio::test]
async fn more_than_memory_holds_is_decided_from_the_log() {
    let log = Arc::new(TestLog::new());
    let queue = Queue::new(&log);
    queue.rules.lock().clear();
    fill(&log, 4200).await;
    restart(&log, &queue).await;
    let decided = log.events().iter().filter(|event| matches!(event, Event::DeliveryDecided(_))).count();
    assert_eq!(decided, 4200);
    restart(&log, &queue).await;
    assert_eq!(log.len(), 8400);
    // Decisions that come after what did not fit into memory must not hide it.
    log.cut(4250);
    restart(&log, &queue).await;
    assert_eq!(log.len(), 8400);
}

#[tokio::test]
async fn who_decides_second_goes_by_the_first_decision() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    take(&served, 1..3).await;
    let queue = Queue::new(&log);
    let before = OpenDeliveries::read(&*log).await.unwrap();
    restart(&log, &queue).await;
    log.cut(4);
    assert_eq!((promised(&log).len(), queued(&log).len()), (2, 0));
    decider(&log, &queue).beginning_with(before).settle().await.unwrap();
    let mut ids = queued(&log);
    ids.sort_unstable();
    assert_eq!(ids, promised(&log));
}

#[tokio::test]
async fn what_was_wished_before_a_teardown_does_not_come_back() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    take(&served, 1..2).await;
    let queue = Queue::new(&log);
    *queue.refuse.lock() = Some(NotQueued::Refused("torn down".into()));
    restart(&log, &queue).await;
    let gone = WorkloadTornDown { deployment: cutover_events::DeploymentId([8; 16]) };
    let append = Append {
        stream: StreamId::Workload(SHOP),
        expected: Expected::Any,
        events: vec![gone.into()],
        cause: cutover_events::Cause::Engine,
        actor: cutover_events::Actor::Engine,
        key: None,
    };
    log.append(append).await.unwrap();
    restart(&log, &queue).await;
    assert_eq!(intents(&log), Vec::<String>::new());
}

/// Deliveries straight into the log.
async fn fill(log: &TestLog, count: u64) {
    let clock = Clock::system();
    for number in 0..count {
        let received = cutover_events::delivery::DeliveryReceived {
            delivery: cutover_events::DeliveryId::from_ulid(clock.ulid()),
            hook: GITHUB,
            sender_id: number.to_string(),
            event: "push".into(),
            body: cutover_events::Digest::default(),
            items: vec![cutover_events::delivery::Change::default()],
            secret: 0,
            lists: Vec::new(),
        };
        let append = Append {
            stream: StreamId::Hook(GITHUB),
            expected: Expected::Any,
            cause: cutover_events::Cause::Delivery(received.delivery),
            actor: cutover_events::Actor::Hook(GITHUB),
            key: None,
            events: vec![received.into()],
        };
        log.append(append).await.unwrap();
    }
}

#[tokio::test]
async fn deliveries_are_read_newest_first_page_by_page() {
    let log = Arc::new(TestLog::new());
    fill(&log, 700).await;
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = list(&*log, GITHUB, before, 90).await.unwrap();
        assert!(page.deliveries.len() == 90 || page.before.is_none());
        seen.extend(page.deliveries.iter().map(|d| d.received.sender_id.parse::<u64>().unwrap()));
        before = page.before;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..700).rev().collect::<Vec<_>>());
    let (queue, log) = (Queue::new(&log), Arc::new(TestLog::new()));
    for _ in 0..20 {
        fill(&log, 30).await;
        restart(&log, &queue).await;
    }
    for size in [131, 150, 170, 199] {
        let mut seen = Vec::new();
        let mut page = list(&*log, GITHUB, None, size).await.unwrap();
        while let Some(before) = page.before {
            seen.append(&mut page.deliveries);
            page = list(&*log, GITHUB, Some(before), size).await.unwrap();
        }
        seen.append(&mut page.deliveries);
        assert_eq!(seen.len(), 600);
        assert!(seen.is_sorted_by(|a, b| a.version > b.version) && seen.iter().all(|d| d.decision.is_some()));
    }
    assert_eq!(list(&*log, crate::intake_support::GENERIC, None, 5).await.unwrap().deliveries, []);
}

#[tokio::test]
async fn one_delivery_is_found_with_and_without_its_decision() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    take(&served, 1..3).await;
    let Event::DeliveryReceived(first) = &log.events()[0] else { panic!() };
    let open = show(&*log, GITHUB, first.delivery).await.unwrap().unwrap();
    assert_eq!((&open.received, &open.decision), (first, &None));
    restart(&log, &Queue::new(&log)).await;
    let decided = show(&*log, GITHUB, first.delivery).await.unwrap().unwrap().decision.unwrap();
    assert_eq!(decided.summary, format!("deploys shop/web: {}", decided.verdicts[0].why));
    assert_eq!(show(&*log, GITHUB, cutover_events::DeliveryId([9; 16])).await.unwrap(), None);
}
