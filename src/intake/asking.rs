//! Asks repositories what rules by path have to know, while the deliveries of other hooks are decided.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cutover_domain::rules::{Answers, Changed, Question};
use cutover_events::HookId;
use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::decide::Wishes;

/// Questions of all hooks that are asked at the same time, a count: each may be a process of git with a connection.
const AT_ONCE: usize = 16;
/// Of them those of one hook, a count: a slow repository leaves places to the others.
const OF_ONE_HOOK: usize = 4;
/// How long the deliveries of a hook wait for all of their answers. A repository has 20 s for each of them; the rest is for
/// those that have to wait for a place, and what is not known by then is deployed.
const PATIENCE: Duration = Duration::from_secs(25);
/// How often the same deliveries ask, a count: rules, and what is deployed, may have changed by the time an answer is there.
const MAX_ROUNDS: u32 = 3;

/// What is known about the deliveries of one hook: a difference between two commits stays what it is.
#[derive(Default)]
pub(super) struct Known {
    rounds: u32,
    /// One of those that are answered alike, with the answer.
    answers: Vec<(Question, Changed)>,
}

impl Known {
    /// The answers to what one delivery asks; `None` while one is missing that is still to be asked.
    pub(super) fn answers(&self, questions: &[Question]) -> Option<Answers> {
        let answered = questions.iter().map(|question| {
            let changed = match (self.answer(question)?, &question.listed) {
                (Changed::Unknown(_), Some(listed)) => Changed::Paths(listed.clone()),
                (changed, _) => changed,
            };
            Some(((question.item, question.workload), changed))
        });
        answered.collect()
    }

    fn answer(&self, question: &Question) -> Option<Changed> {
        let known = self.answers.iter().find(|(asked, _)| asked.is_as(question)).map(|(_, changed)| changed.clone());
        let given_up = || Changed::Unknown("it changed again and again while that was asked".to_owned());
        known.or_else(|| (self.rounds >= MAX_ROUNDS).then(given_up))
    }

    /// One question for all of those that are answered alike and are not answered yet: many workloads of one repository ask
    /// it once.
    fn missing(&self, questions: impl Iterator<Item = Question>) -> Vec<Question> {
        let mut missing: Vec<Question> = Vec::new();
        for question in questions {
            if self.answer(&question).is_none() && !missing.iter().any(|asked| asked.is_as(&question)) {
                missing.push(question);
            }
        }
        missing
    }
}

/// The questions that are under way, at most one round a hook.
pub(super) struct Asking {
    wishes: Arc<dyn Wishes>,
    places: Arc<Semaphore>,
    rounds: JoinSet<(HookId, Known)>,
    hooks: BTreeSet<HookId>,
    /// How long a round takes at most.
    pub(super) patience: Duration,
}

impl Asking {
    pub(super) fn new(wishes: Arc<dyn Wishes>) -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Self { wishes, places, rounds: JoinSet::new(), hooks: BTreeSet::new(), patience: PATIENCE }
    }

    /// Whether a hook's deliveries wait for answers: they come with [`next`](Self::next).
    pub(super) fn is_about(&self, hook: HookId) -> bool {
        self.hooks.contains(&hook)
    }

    /// Asks for what a hook's deliveries want to know beyond what is known.
    pub(super) fn begin(&mut self, hook: HookId, known: Known, questions: impl Iterator<Item = Question>) {
        let missing = known.missing(questions);
        let (wishes, places, patience) = (self.wishes.clone(), self.places.clone(), self.patience);
        self.hooks.insert(hook);
        self.rounds.spawn(async move {
            let deadline = Instant::now() + patience;
            let late = || Changed::Unknown(format!("it was not said within {} s", patience.as_secs_f32()));
            let asked = missing.into_iter().map(|question| ask(wishes.clone(), places.clone(), (question, deadline)));
            let answered = stream::iter(asked).buffer_unordered(OF_ONE_HOOK);
            let known_by_then = answered.map(|(question, answer)| (question, answer.unwrap_or_else(late)));
            let new: Vec<_> = known_by_then.collect().await;
            let answers = known.answers.into_iter().chain(new).collect();
            (hook, Known { rounds: known.rounds + 1, answers })
        });
    }

    /// The next hook whose answers are there, and all that is known; `None` while nothing is asked.
    pub(super) async fn next(&mut self) -> Option<(HookId, Known)> {
        match self.rounds.join_next().await? {
            Ok((hook, known)) => {
                self.hooks.remove(&hook);
                Some((hook, known))
            }
            // Nobody aborts a round: it has panicked, and this ends as it would have without a task of its own.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// A question with its answer, if that is there in time.
async fn ask(
    wishes: Arc<dyn Wishes>,
    places: Arc<Semaphore>,
    (question, deadline): (Question, Instant),
) -> (Question, Option<Changed>) {
    let place = timeout_at(deadline, places.acquire()).await;
    if place.is_err() || Instant::now() >= deadline {
        return (question, None);
    }
    let answer = timeout_at(deadline, wishes.changed(&question)).await.ok();
    (question, answer)
}
