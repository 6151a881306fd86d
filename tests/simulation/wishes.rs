//! What people and machines ask for.

use cutover_domain::deployment::{Command, Insist, decide};
use cutover_events::DeploymentId;
use cutover_events::delivery::Change;
use cutover_events::deployment::{ImageWish, IntentQueued, Wish};

use crate::shop::{Minted, Program, Spec};
use crate::sim::Sim;

/// Who wishes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Person,
    Machine,
}

impl Sim {
    /// Somebody wishes something of this workload.
    pub(crate) fn some_wish(&mut self, lane: usize) {
        if self.random.chance(100) {
            let spec = Spec::drawn(&mut self.random);
            self.shops[lane].specs.push(spec);
        }
        let wish = match self.random.below(100) {
            0..=46 => {
                let program = Program::drawn(&mut self.random);
                let named = self.deploy_of(program);
                let built = self.random.chance(300);
                if built { Wish::Deploy(ImageWish::Built { fresh: false, upload: None }) } else { named }
            }
            47..=50 if !self.programs.is_empty() => self.deploy_again(),
            51..=52 => Wish::Stop { by: "somebody".into() },
            53..=54 => Wish::Start,
            47..=62 => Wish::Deploy(ImageWish::Current),
            63..=74 => Wish::Rollback(None),
            75..=80 => self.some_rollback(lane),
            81..=91 => Wish::Restart,
            92..=93 => Wish::Teardown,
            _ => return self.some_word(lane),
        };
        let person = wish.ends_service() || wish == Wish::Start || self.random.chance(500);
        self.wish(lane, wish, if person { By::Person } else { By::Machine });
    }

    pub(crate) fn deploy_of(&mut self, program: Program) -> Wish {
        let pushed_ms = self.world.now_ms() + program.pushed_ms;
        self.programs.push(Program { pushed_ms, ..program });
        let reference = format!("image:{}", self.programs.len() - 1);
        Wish::Deploy(ImageWish::Reference { reference, ask_registry: false })
    }

    /// What was wished before, for this workload or another one.
    fn deploy_again(&mut self) -> Wish {
        let reference = format!("image:{}", self.random.below(self.programs.len() as u64));
        Wish::Deploy(ImageWish::Reference { reference, ask_registry: false })
    }

    fn some_rollback(&mut self, lane: usize) -> Wish {
        let releases: Vec<_> = self.engine.lanes[lane].state.releases.iter().map(|release| release.id).collect();
        Wish::Rollback((!releases.is_empty()).then(|| self.random.pick(&releases)))
    }

    /// A person cancels or resumes what there is, or accepts what is rejected.
    fn some_word(&mut self, lane: usize) {
        let state = &self.engine.lanes[lane].state;
        let waits = state.queue.iter().chain(state.waiting.iter().map(|awaited| &awaited.intent));
        let open = state.open.as_ref().map(|open| open.id());
        let ids: Vec<_> = waits.map(|intent| intent.deployment).chain(open).collect();
        if ids.is_empty() {
            return self.command(lane, Command::Accept(None));
        }
        let id = self.random.pick(&ids);
        let command = match self.random.chance(300) {
            true => Command::Resume(id),
            false if self.random.chance(500) => Command::Cancel(id, Insist::Yes),
            false => Command::Cancel(id, Insist::No),
        };
        self.command(lane, command);
    }

    /// Accepts a wish, or refuses it; gives its id.
    pub(crate) fn wish(&mut self, lane: usize, wish: Wish, by: By) -> Option<DeploymentId> {
        let deployment = DeploymentId(Minted(&mut self.minted).bytes());
        if matches!(wish, Wish::Deploy(ImageWish::Built { .. })) {
            self.built.insert(deployment, self.programs.len().saturating_sub(1));
        }
        let intent = IntentQueued {
            deployment,
            workload: self.shops[lane].id,
            wish,
            revision: self.shops[lane].specs.len() as u32,
            person: by == By::Person,
            change: (by == By::Machine).then(Change::default),
        };
        self.command(lane, Command::Queue(intent));
        self.watch.accepted.contains_key(&deployment).then_some(deployment)
    }

    pub(crate) fn command(&mut self, lane: usize, command: Command) {
        match decide(&self.engine.lanes[lane].state, command) {
            Ok(events) => {
                self.write(lane, events);
            }
            Err(rejection) => self.say(|| format!("w{lane} refused: {rejection}")),
        }
        self.engine.lanes[lane].wake_ms = 0;
    }
}
