//! What the containers of a workload print, one after another and across deployments: those of blue, a mark that says what
//! serves now, and those of green.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use cutover_domain::observed::Phase;
use cutover_domain::workload::{Teardown, Workload};
use cutover_events::plan::Plan;
use cutover_events::{ReleaseId, UnitId, WorkloadId};
use futures_util::stream::{BoxStream, SelectAll, StreamExt};
use tokio::sync::watch;
use tokio::time::Interval;

use super::Execution;
use super::errands::NotBegun;
use super::printing::{Source, said};
use crate::adapters::runtime::{Container, Line, RuntimeError};
use crate::logs::Redactor;
use crate::store::Head;

/// Between two looks at what runs, where the log tells nothing new: Docker restarts a container without a word to it.
const LOOK: Duration = Duration::from_secs(1);
/// Which output is asked for.
#[derive(Clone, Debug, Default)]
pub struct Follow {
    /// Of this process; the workload itself where it is its name; of all without it.
    pub process: Option<String>,
    /// Of this replica, from 1 on; of all without it.
    pub replica: Option<u16>,
    /// Of what was printed before, at most so many lines of each container; all where missing.
    pub tail: Option<u32>,
    /// Nothing that was printed before this time, ms since 1970; 0: everything.
    pub since_ms: u64,
    /// Nothing that was printed at this time or before, ns since 1970; 0: everything.
    pub after_ns: u64,
    /// Whether it goes on.
    pub on: Goes,
}

/// Whether an output goes on after what was printed before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Goes {
    /// It does, for as long as the workload is there.
    #[default]
    On,
    /// It does not.
    NoFurther,
}

/// What is said of an output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// From here on this release serves, in so many containers that are followed.
    Serves(ReleaseId, usize),
    /// Nothing serves; why.
    Nothing(String),
    /// A line.
    Line {
        /// Who has printed it.
        from: Arc<From>,
        /// Docker's time of it, ns since 1970.
        at_ns: u64,
        /// Whether it was printed as an error.
        err: bool,
        /// The line, without its end.
        text: String,
    },
}

/// A container that prints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct From {
    /// Its name.
    pub container: String,
    /// Name of its process; that of the workload for the workload itself.
    pub process: String,
    /// Its replica, from 1 on.
    pub replica: usize,
    /// What it was made of.
    pub release: ReleaseId,
}

type Lines = BoxStream<'static, (UnitId, Option<Result<Line, RuntimeError>>)>;

/// An output that is followed.
pub struct Following {
    shell: Arc<Execution>,
    workload: WorkloadId,
    name: String,
    ask: Follow,
    /// Takes the secrets that the workload is given out of the lines.
    redactor: Redactor,
    head: watch::Receiver<Head>,
    looks: Interval,
    open: SelectAll<Lines>,
    sources: BTreeMap<UnitId, Source>,
    /// The units that served at the last look.
    served: Option<Vec<UnitId>>,
    waiting: VecDeque<Said>,
    over: bool,
}

impl std::fmt::Debug for Following {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Following").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Execution {
    /// Follows the output of a workload, beginning with what its containers have printed.
    ///
    /// # Errors
    /// There is no such process or replica, it has no container at all, or Docker is away.
    pub async fn follow(self: &Arc<Self>, workload: WorkloadId, ask: Follow) -> Result<Following, NotBegun> {
        let mut following = Following {
            shell: self.clone(),
            workload,
            name: self.full_name(workload),
            ask,
            redactor: self.redactor(workload),
            head: self.commands.log().subscribe(),
            looks: tokio::time::interval(LOOK),
            open: SelectAll::new(),
            sources: BTreeMap::new(),
            served: None,
            waiting: VecDeque::new(),
            over: false,
        };
        following.looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let state = following.state();
        if let Some((_, plan)) = state.serving() {
            following.wanted(&plan)?;
        }
        following.look(&state).await?;
        following.over |= following.ask.on == Goes::NoFurther;
        Ok(following)
    }
}

impl Following {
    fn state(&self) -> Arc<Workload> {
        self.shell.commands.live().cell(self.workload).state()
    }

    /// What is said next; `None` once the workload is torn down, or nothing further was asked for.
    pub async fn next(&mut self) -> Option<Said> {
        loop {
            if let Some(said) = self.waiting.pop_front() {
                return Some(said);
            }
            if self.over {
                return None;
            }
            let piece = tokio::select! {
                piece = self.open.next(), if !self.open.is_empty() => piece,
                _ = self.head.changed() => None,
                _ = self.looks.tick() => None,
            };
            match piece {
                Some((unit, piece)) => self.printed(unit, piece),
                // Docker may be away for a while, and a process may be there again with the next deployment.
                None => drop(self.look(&self.state()).await),
            }
        }
    }

    fn printed(&mut self, unit: UnitId, piece: Option<Result<Line, RuntimeError>>) {
        let served = self.served.as_ref().is_some_and(|units| units.contains(&unit));
        let Some(source) = self.sources.get_mut(&unit) else { return };
        match piece {
            Some(Ok(line)) if line.at_ns > source.after_ns => {
                source.last_ns = line.at_ns;
                self.waiting.push_back(said(&source.from, line, &self.redactor));
            }
            Some(Ok(_)) => (),
            // It has ended, or Docker has: it is read again from there if it runs again.
            Some(Err(_)) | None if served => source.open = false,
            Some(Err(_)) | None => drop(self.sources.remove(&unit)),
        }
    }

    /// Takes up what serves now.
    async fn look(&mut self, state: &Workload) -> Result<(), NotBegun> {
        let Some((release, plan)) = state.serving() else {
            self.nothing(state);
            return Ok(());
        };
        if self.shell.runtime.folder(&plan.template.image).is_some() {
            let why = format!("{} prints nothing: the proxy serves its files by itself", self.name);
            return Err(NotBegun::NothingRuns(why));
        }
        let wanted = self.wanted(&plan)?;
        let first = self.served.is_none();
        let changed = self.served.as_ref() != Some(&plan.slot);
        if !changed && wanted.iter().all(|(unit, ..)| self.sources.get(unit).is_some_and(|source| source.open)) {
            return Ok(());
        }
        let all = self.shell.runtime.list(self.shell.log, Some(self.workload)).await?;
        if changed {
            // What serves now may be given other versions.
            self.redactor = self.shell.redactor(self.workload);
            self.waiting.push_back(Said::Serves(release, wanted.len()));
            self.served = Some(plan.slot.clone());
        }
        let now_ms = self.shell.clock.stamp().wall_ms;
        let mut history = Vec::new();
        for (unit, process, replica) in wanted {
            let Some(container) = all.iter().find(|container| container.unit == unit) else { continue };
            let anew = !self.sources.contains_key(&unit);
            if anew {
                let from = From { container: container.name.clone(), process, replica, release: container.release };
                self.sources.insert(unit, Source::new(from, &self.ask));
            }
            if anew
                && first
                && let Some(source) = self.sources.get_mut(&unit)
            {
                let place = (&*self.shell.attaches, container.id);
                history.extend(source.history(place, (&self.ask, now_ms)).await?);
            }
            if self.ask.on == Goes::On {
                self.go_on(container).await?;
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
        self.over |= state.teardown == Teardown::Done;
    }

    /// Reads a container that runs and is not read yet, from its newest line on.
    async fn go_on(&mut self, container: &Container) -> Result<(), NotBegun> {
        let unit = container.unit;
        let Some(source) = self.sources.get_mut(&unit).filter(|source| !source.open) else { return Ok(()) };
        if container.phase != Phase::Running {
            return Ok(());
        }
        let lines = source.read_on(&*self.shell.attaches, container.id).await?;
        let ends = futures_util::stream::once(async move { (unit, None) });
        self.open.push(lines.map(move |line| (unit, Some(line))).chain(ends).boxed());
        Ok(())
    }

    /// The units that are asked for, each with its process and its replica.
    fn wanted(&self, plan: &Plan) -> Result<Vec<(UnitId, String, usize)>, NotBegun> {
        let itself = self.name.rsplit('/').next().unwrap_or_default();
        let processes = plan.processes.iter().map(|process| (process.name.as_str(), process.units.as_slice()));
        let all: Vec<_> = std::iter::once((itself, plan.routed())).chain(processes).collect();
        let asked = self.ask.process.as_deref();
        if asked.is_some_and(|name| all.iter().all(|(known, _)| *known != name)) {
            let known: Vec<_> = all.iter().map(|(name, _)| *name).collect();
            let text =
                format!("{} has no process {}: it has {}", self.name, asked.unwrap_or_default(), known.join(", "));
            return Err(NotBegun::Unknown(text));
        }
        let of_process = all.into_iter().filter(|(name, _)| asked.is_none_or(|asked| asked == *name));
        let units = of_process.flat_map(|(name, units)| {
            units.iter().zip(1..).map(move |(unit, replica)| (*unit, name.to_owned(), replica))
        });
        let number = self.ask.replica.map(usize::from);
        let wanted: Vec<_> = units.filter(|(_, _, replica)| number.is_none_or(|number| number == *replica)).collect();
        match number {
            Some(number) if wanted.is_empty() => {
                Err(NotBegun::Unknown(format!("{} has no replica {number}: they are counted from 1", self.name)))
            }
            _ => Ok(wanted),
        }
    }
}
