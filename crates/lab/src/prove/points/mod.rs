//! Every named crash point of the real engine, visited once: before and after every append and every effect.

mod history;
mod list;
mod stage;
mod visit;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use serde_json::json;

use crate::Result;
use crate::judge::{judge, no_failures};
use crate::load::{Load, Plan};
use crate::report::{Verdict, line, progress};
use crate::stand::Stand;
use history::{ALL, History};
use list::{Scenario, both, kind};
use stage::Stage;
use visit::{Kills, Visit};

/// Streams of the load that a swap may close; one that is routed twice closes them twice.
const CLOSES: u64 = 2;

/// Which points, and how often.
#[derive(Args)]
pub(crate) struct Points {
    /// The list that the simulation has written.
    #[arg(long, requires = "points")]
    list: Option<PathBuf>,
    /// Kill again after the first thing that the recovery does.
    #[arg(long, requires = "points")]
    double: bool,
    /// Only points whose name, `HISTORY: POINT`, holds this.
    #[arg(long, requires = "points")]
    only: Option<String>,
    /// Only every N-th of them, beginning with the I-th.
    #[arg(long, value_name = "I/N", requires = "points")]
    part: Option<Part>,
}

/// `I/N`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Part {
    this: usize,
    of: usize,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parts = text.split_once('/').and_then(|(this, of)| Some((this.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((this, of)) if 1 <= this && this <= of => Ok(Self { this, of }),
            _ => Err(format!("{text:?} is no part; write 1/4 for the first of four")),
        }
    }
}

impl Points {
    /// As it is asked for.
    pub(super) fn told(&self) -> String {
        let mut told = "prove kill --points".to_owned();
        if self.double {
            told.push_str(" --double");
        }
        self.only.iter().for_each(|only| told.push_str(&format!(" --only {only:?}")));
        self.part.iter().for_each(|part| told.push_str(&format!(" --part {}/{}", part.this, part.of)));
        told
    }

    fn wants(&self, visit: &Visit) -> bool {
        self.only.as_ref().is_none_or(|only| visit.told().contains(only))
    }

    fn is_in_part(&self, index: usize) -> bool {
        self.part.is_none_or(|part| index % part.of == part.this - 1)
    }
}

pub(super) async fn prove(stand: &Stand, asked: &Points) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let path = asked.list.clone().ok_or("--points needs --list; scripts/prove makes the list")?;
    let scenarios = list::read(&path)?;
    let histories = histories(asked);
    let stage = Stage::open(stand, &histories).await?;
    let (mut visits, mut met) = (Vec::new(), BTreeSet::new());
    for history in histories {
        let real = stage.rehearse(history, &mut verdict).await?;
        progress(&format!("{}: {}", history.name(), real.join(", ")));
        let simulated = scenarios.iter().find(|scenario| scenario.history == history.name());
        let points = both(real, simulated.map_or(&[], |scenario| &scenario.points));
        met.extend(points.iter().map(|point| kind(point).to_owned()));
        let sides = points.iter().flat_map(|point| [format!("before {point}"), format!("after {point}")]);
        visits.extend(sides.map(|point| Visit { history, point }).filter(|visit| asked.wants(visit)));
    }
    if asked.only.is_none() {
        uncovered(&scenarios, &met, &mut verdict);
    }
    let visits: Vec<Visit> =
        visits.into_iter().enumerate().filter(|(index, _)| asked.is_in_part(*index)).map(|(_, visit)| visit).collect();
    if visits.is_empty() {
        verdict.short("no point has such a name");
    }
    visit_all(&stage, &visits, asked, &mut verdict).await?;
    let promised = stage.promised.into_inner();
    line(&judge(&stand.subject(), &promised, &mut verdict).await?);
    tear_down(stand, &mut verdict).await?;
    Ok(verdict)
}

/// The histories that have a point which is asked for.
fn histories(asked: &Points) -> Vec<History> {
    let named = asked.only.as_ref().and_then(|only| ALL.into_iter().find(|history| only.starts_with(&history.name())));
    named.map_or_else(|| ALL.to_vec(), |history| vec![history])
}

async fn visit_all(stage: &Stage<'_>, visits: &[Visit], asked: &Points, verdict: &mut Verdict) -> Result {
    let kills = if asked.double { Kills::Twice } else { Kills::Once };
    let load = Load::start(&Plan::mixed(stage.stand.proxy, &stage.stand.host("web")));
    for visit in visits {
        stage.visit(visit, kills, (&load, verdict)).await?;
    }
    let summary = load.stop().await;
    line(&summary);
    progress(&summary.sentence());
    no_failures(verdict, &summary, CLOSES * visits.len() as u64);
    line(&json!({"prove": "points", "scenario": 1, "visited": visits.len(), "kills": format!("{kills:?}")}));
    Ok(())
}

/// Every kind of point that any plan of the simulation meets must be met by a history of this proof.
fn uncovered(scenarios: &[Scenario], met: &BTreeSet<String>, verdict: &mut Verdict) {
    let kinds: BTreeSet<&str> =
        scenarios.iter().flat_map(|scenario| &scenario.points).map(|point| kind(point)).collect();
    for missing in kinds.into_iter().filter(|kind| !met.contains(*kind)) {
        verdict.short(format!("no history of this proof meets {missing:?}, which a plan of the simulation does"));
    }
}

async fn tear_down(stand: &Stand, verdict: &mut Verdict) -> Result {
    let status = stand.must(&["status", "--json"]).await?.json()?;
    for workload in status["workloads"].as_array().into_iter().flatten() {
        let name = workload["workload"].as_str().unwrap_or_default();
        stand.must(&["teardown", name, "--volumes"]).await?;
    }
    verdict.same("containers and networks left after the teardown", stand.left_on_docker().await?, 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_wrong_ones_are_refused() {
        let part: Part = "2/3".parse().unwrap();
        assert_eq!(part, Part { this: 2, of: 3 });
        assert!("0/3".parse::<Part>().is_err() && "4/3".parse::<Part>().is_err() && "x".parse::<Part>().is_err());
        let points = |this| Points { list: None, double: false, only: None, part: Some(Part { this, of: 3 }) };
        let taken = |index| (1..=3).filter(|this| points(*this).is_in_part(index)).count();
        assert!((0..10).all(|index| taken(index) == 1));
    }

    #[test]
    fn a_kind_of_point_that_no_history_meets_is_missed() {
        let scenarios = [Scenario { history: "Restart".into(), points: vec!["Create".into(), "Create #2".into()] }];
        let mut verdict = Verdict::default();
        uncovered(&scenarios, &["Create".to_owned()].into(), &mut verdict);
        assert!(verdict.holds());
        uncovered(&scenarios, &["Start".to_owned()].into(), &mut verdict);
        assert!(!verdict.holds());
    }
}
