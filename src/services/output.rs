//! What the services of a stack print, one beside another and across deployments: each container from its first line to its
//! last, whether a deployment makes it anew or leaves it as it is, with a mark where another release serves.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use cutover_domain::observed::DockerId;
use cutover_domain::workload::{Teardown, Workload};
use cutover_events::{ReleaseId, UnitId, WorkloadId};
use futures_util::stream::{BoxStream, SelectAll, StreamExt};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use super::{full_name, names};
use crate::adapters::runtime::{Line, RuntimeError, Service, ServiceContainer};
use crate::execution::Execution;
use crate::execution::errands::NotBegun;
use crate::execution::following::{Follow, From, Goes, Said};
use crate::execution::printing::{Source, said};
use crate::logs::Redactor;
use crate::store::Head;

/// Between two looks at what runs, where the log tells nothing new: a service that runs once and has ended is looked for
/// again and again, and each look asks Docker for every container of the stack.
const LOOK: Duration = Duration::from_secs(2);
type Lines = BoxStream<'static, (DockerId, Option<Result<Line, RuntimeError>>)>;

/// The output of a stack that is followed. `process` of what is asked for is a service, `replica` one of its containers.
pub struct Following {
    shell: Arc<Execution>,
    workload: WorkloadId,
    ask: Follow,
    /// Takes the secrets that the workload is given out of the lines.
    redactor: Redactor,
    head: watch::Receiver<Head>,
    looks: Interval,
    open: SelectAll<Lines>,
    sources: BTreeMap<DockerId, Source>,
    /// The units that served at the last look; none of them: nothing did.
    served: Option<Vec<UnitId>>,
    reads: Reads,
    waiting: VecDeque<Said>,
}

/// How much of what is asked for is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reads {
    /// A container is missing, or has ended.
    Some,
    /// Every container.
    All,
    /// Nothing more comes.
    Over,
}

/// Which look it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    First,
    Later,
}

impl std::fmt::Debug for Following {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Following").field("workload", &self.workload).finish_non_exhaustive()
    }
}

/// Follows the output of a stack, beginning with what the containers of its services have printed.
///
/// # Errors
/// There is no such service or container of it, or Docker is away.
pub async fn follow(shell: &Arc<Execution>, workload: WorkloadId, ask: Follow) -> Result<Following, NotBegun> {
    let mut following = Following {
        shell: shell.clone(),
        workload,
        ask,
        redactor: shell.redactor(workload),
        head: shell.commands.log().subscribe(),
        looks: tokio::time::interval(LOOK),
        open: SelectAll::new(),
        sources: BTreeMap::new(),
        served: None,
        reads: Reads::Some,
        waiting: VecDeque::new(),
    };
    following.looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    following.look().await?;
    if following.ask.on == Goes::NoFurther {
        following.reads = Reads::Over;
    }
    Ok(following)
}

impl Following {
    /// What is said next; `None` once the workload is torn down, or nothing further was asked for.
    pub async fn next(&mut self) -> Option<Said> {
        loop {
            if let Some(said) = self.waiting.pop_front() {
                return Some(said);
            }
            if self.reads == Reads::Over {
                return None;
            }
            let piece = tokio::select! {
                piece = self.open.next(), if !self.open.is_empty() => piece,
                _ = self.head.changed() => None,
                _ = self.looks.tick() => None,
            };
            match piece {
                Some((container, piece)) => self.printed(container, piece),
                // Docker may be away for a while, and a service may be there again with the next deployment.
                None => drop(self.look().await),
            }
        }
    }

    /// Something that is asked for is not read: it is looked for again.
    fn missing(&mut self) {
        if self.reads == Reads::All {
            self.reads = Reads::Some;
        }
    }

    fn printed(&mut self, container: DockerId, piece: Option<Result<Line, RuntimeError>>) {
        let Some(source) = self.sources.get_mut(&container) else { return };
        match piece {
            Some(Ok(line)) if line.at_ns > source.after_ns => {
                source.last_ns = line.at_ns;
                self.waiting.push_back(said(&source.from, line, &self.redactor));
            }
            Some(Ok(_)) => (),
            // It has ended, or Docker has: it is read again from there if it runs again, and forgotten if it is gone.
            Some(Err(_)) | None => {
                source.open = false;
                self.missing();
            }
        }
    }

    /// Takes up what serves now.
    async fn look(&mut self) -> Result<(), NotBegun> {
        let state = self.shell.commands.live().cell(self.workload).state();
        let Some((release, plan)) = state.serving() else {
            self.nothing(&state);
            return Ok(());
        };
        let changed = self.served.as_ref() != Some(&plan.slot);
        if !changed && self.reads == Reads::All {
            return Ok(());
        }
        let all = self.shell.runtime.list(self.shell.log, Some(self.workload)).await?;
        let Some(unit) = all.into_iter().find(|unit| plan.slot.contains(&unit.unit)) else { return Ok(()) };
        let wanted = self.wanted(&unit.services)?;
        let look = if self.served.is_none() { Look::First } else { Look::Later };
        if changed {
            // What serves now may be given other versions.
            self.redactor = self.shell.redactor(self.workload);
            self.waiting.push_back(Said::Serves(release, wanted.len()));
            self.served = Some(plan.slot.clone());
        }
        let there: Vec<_> = wanted.into_iter().filter_map(|(service, one)| Some((service, one?))).collect();
        self.sources.retain(|id, source| source.open || there.iter().any(|(_, one)| one.id == *id));
        self.read(release, &there, look).await
    }

    /// Reads containers that are not read yet: what they have printed before where it is the first look, and what comes.
    async fn read(
        &mut self,
        release: ReleaseId,
        there: &[(String, ServiceContainer)],
        look: Look,
    ) -> Result<(), NotBegun> {
        let now_ms = self.shell.clock.stamp().wall_ms;
        let mut history = Vec::new();
        if self.reads == Reads::Some {
            self.reads = Reads::All;
        }
        for (service, one) in there {
            let anew = !self.sources.contains_key(&one.id);
            if anew {
                let (container, process) = (one.name.clone(), service.clone());
                let from = From { container, process, replica: one.number, release };
                self.sources.insert(one.id, Source::new(from, &self.ask));
            }
            if anew
                && look == Look::First
                && let Some(source) = self.sources.get_mut(&one.id)
            {
                let place = (&*self.shell.attaches, one.id);
                history.extend(source.history(place, (&self.ask, now_ms)).await?);
            }
            if self.ask.on == Goes::On {
                self.go_on(one).await?;
            }
        }
        // Stable: lines of one container stay in their order.
        history.sort_by_key(|(_, line): &(Arc<From>, Line)| line.at_ns);
        self.waiting.extend(history.into_iter().map(|(from, line)| said(&from, line, &self.redactor)));
        Ok(())
    }

    fn nothing(&mut self, state: &Workload) {
        if self.served.as_ref().is_none_or(|units| !units.is_empty()) {
            let why = state.stopped.as_ref().map(|stopped| format!("it was stopped by {}", stopped.by));
            self.waiting.push_back(Said::Nothing(why.unwrap_or_else(|| "nothing of it runs".to_owned())));
            self.served = Some(Vec::new());
        }
        if state.teardown == Teardown::Done {
            self.reads = Reads::Over;
        }
    }

    /// Reads a container that runs and is not read yet, from its newest line on.
    async fn go_on(&mut self, one: &ServiceContainer) -> Result<(), NotBegun> {
        let id = one.id;
        let Some(source) = self.sources.get_mut(&id).filter(|source| !source.open) else { return Ok(()) };
        if !one.runs {
            self.missing();
            return Ok(());
        }
        let lines = source.read_on(&*self.shell.attaches, id).await?;
        let ends = futures_util::stream::once(async move { (id, None) });
        self.open.push(lines.map(move |line| (id, Some(line))).chain(ends).boxed());
        Ok(())
    }

    /// The containers that are asked for, by service and number; a service without any counts as one that may come.
    fn wanted(&self, services: &[Service]) -> Result<Vec<(String, Option<ServiceContainer>)>, NotBegun> {
        let name = full_name(&self.shell, self.workload);
        if let Some(missing) = self.ask.process.as_ref().filter(|asked| services.iter().all(|s| s.name != **asked)) {
            let text = format!("{name} has no service {missing}: it has {}", names(services));
            return Err(NotBegun::Unknown(text));
        }
        let asked =
            services.iter().filter(|service| self.ask.process.as_ref().is_none_or(|asked| *asked == service.name));
        let of = |service: &Service| {
            let there = service.containers.iter().cloned().map(Some);
            let missing = service.containers.is_empty().then_some(None);
            there.chain(missing).map(|one| (service.name.clone(), one)).collect::<Vec<_>>()
        };
        let Some(number) = self.ask.replica.map(usize::from) else { return Ok(asked.flat_map(of).collect()) };
        let is = |(_, one): &(String, Option<ServiceContainer>)| one.as_ref().is_none_or(|one| one.number == number);
        let wanted: Vec<_> = asked.flat_map(of).filter(is).collect();
        if wanted.is_empty() {
            let text = format!("{name} has no container {number} of a service: they are counted from 1");
            return Err(NotBegun::Unknown(text));
        }
        Ok(wanted)
    }
}
