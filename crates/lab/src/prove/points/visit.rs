//! One visit of one point: the engine dies there, is started again, and the same deployment goes on.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::history::History;
use super::list::{START, met};
use super::stage::{Stage, Wish};
use crate::Result;
use crate::load::Load;
use crate::report::{Verdict, line, progress};

/// Where the engine of a visit is told what to do; `src/crash.rs` reads them.
const AT: &str = "CUTOVER_CRASH_AT";
const TRACE: &str = "CUTOVER_CRASH_TRACE";
/// The first thing that a recovery does.
const NEXT: &str = "next";
/// How long a history may take to come to a point: a gate, a drain and a bake, on a busy machine.
const MET: Duration = Duration::from_secs(30);
/// How long a recovery may take to do its first thing; where it has nothing to do, it does none.
const AGAIN: Duration = Duration::from_secs(3);

/// How often the engine is killed in a visit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kills {
    Once,
    /// Once more, after the first thing that the recovery did.
    Twice,
}

/// A point of a history, `before NAME` or `after NAME`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Visit {
    pub history: History,
    pub point: String,
}

impl Visit {
    /// As people name it.
    pub(super) fn told(&self) -> String {
        format!("{}: {}", self.history.name(), self.point)
    }
}

impl Stage<'_> {
    /// The history without a death; the points that the real engine met.
    pub(super) async fn rehearse(&self, history: History, verdict: &mut Verdict) -> Result<Vec<String>> {
        let wish = self.prepare(history).await?;
        let path = self.stand.folder().join(format!("trace-{}", history.name()));
        self.stand.kill_engine().await?;
        self.stand.arm_engine(&[(TRACE, &path.display().to_string())])?;
        self.stand.engine_answers().await?;
        let said = self.ask(&wish, &[]).await?;
        self.judge(&wish, said.as_ref(), verdict).await?;
        let points = met(&std::fs::read_to_string(&path)?);
        Ok(points.into_iter().filter(|point| (point == START) == (history == History::EngineStart)).collect())
    }

    /// Visits one point; what does not hold is in the verdict.
    pub(super) async fn visit(
        &self,
        visit: &Visit,
        kills: Kills,
        (load, verdict): (&Load, &mut Verdict),
    ) -> Result<()> {
        let began = Instant::now();
        let failed_before = load.so_far().0;
        let wish = self.prepare(visit.history).await?;
        self.stand.kill_engine().await?;
        self.stand.arm_engine(&[(AT, &visit.point)])?;
        let died = self.until_death(visit, &wish).await?;
        let mut again = false;
        if !died {
            verdict.short(format!("{}: never met", visit.told()));
            self.stand.kill_engine().await?;
        } else if kills == Kills::Twice {
            self.stand.arm_engine(&[(AT, NEXT)])?;
            again = self.until_death_or(AGAIN, &wish).await?;
            if !again {
                self.stand.kill_engine().await?;
            }
        }
        let restart = self.stand.start_engine().await?;
        let said = self.ask(&wish, &[]).await?;
        let id = self.judge(&wish, said.as_ref(), verdict).await?;
        // An apply whose revision is recorded answers without an id; the judge looks for the one that was promised.
        if let (Some(accepted), Some(id)) = (wish.accepted.borrow().as_ref(), &id) {
            verdict.same(&format!("{}: the id under the key", visit.told()), id, accepted);
        }
        let (failed, of) = load.so_far();
        if failed > failed_before {
            verdict.short(format!("{}: {} requests failed", visit.told(), failed - failed_before));
        }
        line(&json!({
            "prove": "points", "scenario": 1, "history": visit.history.name(), "point": visit.point, "met": died,
            "died_again": again, "deployment_id": id, "restart_ms": restart.as_millis() as u64,
            "ms": began.elapsed().as_millis() as u64, "failed": failed, "requests": of,
        }));
        progress(&format!(
            "{}: {:.1} s; failed requests: {failed} of {of}",
            visit.told(),
            began.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    /// Makes the wish and waits for the death; an engine that dies of its start takes none.
    async fn until_death(&self, visit: &Visit, wish: &Wish) -> Result<bool> {
        if visit.history == History::EngineStart {
            return self.stand.engine_dies(MET).await;
        }
        self.stand.engine_answers().await?;
        self.until_death_or(MET, wish).await
    }

    /// The wish is made while the engine is waited for; what its maker is told counts only when it is a promise.
    async fn until_death_or(&self, within: Duration, wish: &Wish) -> Result<bool> {
        let dies = self.stand.engine_dies(within);
        let mut dies = std::pin::pin!(dies);
        let told = tokio::select! {
            died = &mut dies => return died,
            told = self.ask(wish, &["--detach"]) => told,
        };
        if let Ok(Some(said)) = told
            && said.code == 0
            && let Ok(id) = said.text("deployment_id")
        {
            wish.accepted.borrow_mut().get_or_insert(id.clone());
            self.promised.borrow_mut().deployments.insert(id);
        }
        dies.await
    }
}
