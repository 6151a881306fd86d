//! One deployment, told from its events; and pages of the log.

use cutover_domain::workload::Workload;
use cutover_events::deployment::{ImageWish, Reason, ReasonKind, Wish};
use cutover_events::{DeploymentId, Event, Sealed, Stamp, StreamId, UnitId};

use super::LiveBackend;
use crate::api::backend::{Filter, Refusal, Span};
use crate::api::event_view;
use crate::api::time::rfc3339;
use crate::api::views::{DeploymentView, EventsPage, Outcome, OutputView, ReasonView, Stage, WishKind};
use crate::projections::deployments::Begins;

/// The word for a failure that has a log of its own.
const BUILD_FAILED: &str = event_view::reason_word(ReasonKind::BuildFailed);
/// Commits of one workload that are read at once: a deployment has about ten.
const PAGE: usize = 256;
/// Commits that are looked at for one page of events: a filter that fits little ends there, and goes on with the next.
const LOOKED_AT: usize = 4_096;

impl LiveBackend {
    pub(super) async fn told(&self, id: DeploymentId) -> Result<DeploymentView, Refusal> {
        let begins = self.commands.live().with_deployments(|all| all.begins(id));
        let begins = begins.ok_or_else(|| {
            Refusal::UnknownName(format!("no deployment is {id}: `cutover timeline NAME` lists those of a workload"))
        })?;
        let mut tale = Tale::new(self.full_name(begins.workload), id, begins);
        let mut from = begins.version;
        while !tale.over {
            let commits = self.commands.log().read(StreamId::Workload(begins.workload), from, PAGE).await?;
            let Some(last) = commits.last() else { break };
            from = last.commit.last_version() + 1;
            commits.iter().for_each(|sealed| tale.hear(sealed));
        }
        let state = self.commands.live().cell(begins.workload).state();
        let of_build = tale.view.reason.as_ref().is_some_and(|reason| reason.kind == BUILD_FAILED);
        let ended = || rfc3339(tale.ended.map_or(tale.queued.wall_ms, |at| at.wall_ms));
        let output = match of_build {
            true => self.last_of_build(id, ended()),
            false => tale.units.iter().find_map(|unit| self.output(unit, &tale)),
        };
        let doing = self.doing(begins.workload, id);
        Ok(DeploymentView { doing, ..tale.view(&state, output) })
    }

    fn output(&self, (unit, name): &(UnitId, String), tale: &Tale) -> Option<OutputView> {
        let text = self.outputs.read(*unit)?;
        Some(OutputView {
            container: name.clone(),
            role: "green".into(),
            deployment_id: tale.view.deployment_id.clone(),
            time: rfc3339(tale.ended.map_or(tale.queued.wall_ms, |at| at.wall_ms)),
            lines: text.lines().map(str::to_owned).collect(),
        })
    }

    pub(super) async fn page(&self, filter: Filter, span: Span) -> Result<EventsPage, Refusal> {
        let head = self.commands.log().head().position;
        let workload = filter.workload.as_ref().map(|name| self.find(name)).transpose()?;
        let registry = self.registry();
        let name = |id| registry.full_name(id);
        let (mut items, mut next, mut looked) = (Vec::new(), span.after, 0);
        while items.len() < span.limit && next < head && looked < LOOKED_AT {
            let commits = self.commands.log().read_all(next + 1, PAGE).await?;
            let Some(last) = commits.last() else { break };
            looked += commits.len();
            next = last.commit.last_position();
            let lines = commits.iter().flat_map(|sealed| event_view::lines(&sealed.commit, name));
            let fits = |line: &crate::api::views::EventLine| {
                // A freeze of everything is one of this workload too.
                let of_all = line.workload.is_none() && matches!(line.event.as_str(), "Frozen" | "Thawed");
                let of_workload = workload.is_none_or(|id| of_all || line.workload == registry.full_name(id));
                let of_deployment = filter.deployment.is_none_or(|id| line.deployment_id == Some(id.to_string()));
                let of_kind = filter.kinds.is_empty() || filter.kinds.contains(&line.event);
                line.position > span.after && of_workload && of_deployment && of_kind
            };
            items.extend(lines.filter(fits));
        }
        if items.len() > span.limit {
            items.truncate(span.limit);
            next = items.last().map_or(next, |line| line.position);
        }
        Ok(EventsPage { items, next_after: next, head })
    }
}

/// What a deployment's events say so far.
struct Tale {
    id: DeploymentId,
    view: DeploymentView,
    queued: Stamp,
    ended: Option<Stamp>,
    units: Vec<(UnitId, String)>,
    /// What brings the release of before back, which is not what was wished.
    restored: Vec<UnitId>,
    over: bool,
}

impl Tale {
    fn new(workload: String, id: DeploymentId, begins: Begins) -> Self {
        let view = DeploymentView {
            deployment_id: id.to_string(),
            workload,
            position: begins.position,
            wish: WishKind::Deploy,
            stage: Stage::Queued,
            outcome: None,
            release: None,
            reference: None,
            reason: None,
            routed_back: false,
            superseded_by: None,
            live_after_ms: None,
            bake_ms: None,
            output: None,
            serving: String::new(),
            doing: None,
        };
        Self { id, view, queued: Stamp::default(), ended: None, units: Vec::new(), restored: Vec::new(), over: false }
    }

    fn hear(&mut self, sealed: &Sealed) {
        let commit = &sealed.commit;
        let ours = commit.events.iter().zip(commit.position..).filter(|(event, _)| event.deployment() == Some(self.id));
        for (event, position) in ours.collect::<Vec<_>>() {
            self.view.position = position;
            self.course(event, commit.at);
            self.end(event, commit.at);
        }
    }

    fn course(&mut self, event: &Event, at: Stamp) {
        if let Event::IntentQueued(e) = event {
            self.queued = at;
            (self.view.wish, self.view.reference) = wish(&e.wish);
        }
        if let Event::DeploymentBegun(_) = event {
            self.view.stage = Stage::Preparing;
        }
        if let Event::ImageAwaited(_) = event {
            self.view.stage = Stage::Waiting;
        }
        if let Event::ReleaseResolved(e) = event {
            (self.view.release, self.view.reference) = (Some(e.release.to_string()), Some(e.reference.clone()));
        }
        if let Event::DeploymentPlanned(e) = event {
            self.view.release = e.plan.release.map(|release| release.to_string());
            self.view.bake_ms = Some(e.plan.policy.bake_ms);
        }
        if let Some((_, plan)) = event.plan() {
            self.units.extend(plan.units.iter().map(|unit| (unit.unit, unit.name.clone())));
        }
        if let Event::RestorePlanned(e) = event {
            self.restored.clone_from(&e.plan.slot);
        }
        if let Event::SwapCommitted(_) = event {
            self.view.stage = Stage::Swapping;
        }
        if let Event::Swapped(e) = event
            && self.view.stage == Stage::Swapping
            && !e.to.iter().any(|unit| self.restored.contains(unit))
        {
            self.view.stage = Stage::Watching;
            self.view.live_after_ms = Some(at.wall_ms.saturating_sub(self.queued.wall_ms));
        }
        if let Event::RouteBackCommitted(e) = event {
            (self.view.stage, self.view.reason) = (Stage::RoutingBack, Some(told_reason(&e.reason)));
        }
    }

    fn end(&mut self, event: &Event, at: Stamp) {
        let outcome = match event {
            Event::DeploymentSucceeded(_) => Outcome::Succeeded,
            Event::DeploymentFailed(e) => {
                (self.view.reason, self.view.routed_back) = (Some(told_reason(&e.reason)), e.routed_back);
                Outcome::Failed
            }
            Event::IntentSuperseded(e) => {
                self.view.superseded_by = Some(e.by.to_string());
                Outcome::Superseded
            }
            Event::IntentCancelled(_) => Outcome::Cancelled,
            Event::Parked(e) => {
                self.view.reason = Some(told_reason(&e.reason));
                self.view.outcome = Some(Outcome::Parked);
                return;
            }
            Event::Resumed(_) => {
                self.view.outcome = None;
                return;
            }
            _ => return,
        };
        (self.view.stage, self.view.outcome) = (Stage::Ended, Some(outcome));
        (self.ended, self.over) = (Some(at), true);
    }

    fn view(self, state: &Workload, output: Option<OutputView>) -> DeploymentView {
        let mut view = self.view;
        view.output = output.filter(|_| view.outcome == Some(Outcome::Failed));
        view.serving = serving(state);
        view
    }
}

/// Who serves now, for a person.
pub(super) fn serving(state: &Workload) -> String {
    match state.serving().and_then(|(release, _)| state.release(release)) {
        Some(release) => format!("{} ({})", release.reference, release.id),
        None => "nothing".into(),
    }
}

fn wish(wish: &Wish) -> (WishKind, Option<String>) {
    match wish {
        Wish::Deploy(ImageWish::Reference { reference, .. }) => (WishKind::Deploy, Some(reference.clone())),
        Wish::Deploy(ImageWish::Current | ImageWish::Built { .. }) => (WishKind::Deploy, None),
        Wish::Rollback(_) => (WishKind::Rollback, None),
        Wish::Restart => (WishKind::Restart, None),
        Wish::Heal => (WishKind::Heal, None),
        Wish::Teardown => (WishKind::Teardown, None),
        Wish::Stop { .. } => (WishKind::Stop, None),
        Wish::Start => (WishKind::Start, None),
    }
}

pub(super) fn told_reason(reason: &Reason) -> ReasonView {
    let kind = event_view::reason_word(reason.kind);
    ReasonView { kind: kind.into(), text: reason.text.clone() }
}
