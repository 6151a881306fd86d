//! What must hold of an engine, its log and Docker once everything has come to rest. Every proof ends with it, and it
//! can be asked for alone: `cutover-lab judge --config FILE`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::docker::Docker;
use crate::load::Summary;
use crate::report::{Verdict, line};
use crate::stand::{REMOVALS, Said, ask, field};
use crate::{Result, labels};

/// Between two looks at something that is coming to rest.
const PAUSE: Duration = Duration::from_millis(50);
/// Tries to read the log twice without anything being written in between: a look of the engine may record something.
const READS: usize = 20;
/// The events that end a deployment; each has exactly one of them.
const ENDS: [&str; 4] = ["DeploymentSucceeded", "DeploymentFailed", "IntentSuperseded", "IntentCancelled"];

/// An engine that runs, and what belongs to it.
pub(crate) struct Subject<'a> {
    /// The program.
    pub binary: &'a Path,
    /// Its config file.
    pub config: &'a Path,
    /// Its data folder.
    pub data: PathBuf,
    /// The daemon.
    pub docker: &'a Docker,
}

/// What somebody was told that it is on disk.
#[derive(Default)]
pub(crate) struct Promised {
    /// Ids of deployments that were accepted.
    pub deployments: BTreeSet<String>,
    /// Ids that senders gave to deliveries which were answered with 202.
    pub deliveries: BTreeSet<String>,
}

/// What was found; every count should be 0.
#[derive(Default, Serialize)]
pub(crate) struct Judged {
    /// Containers and networks of this log that no list of the log knows, and units of a list that are not there.
    pub orphans: usize,
    /// Accepted deployments and deliveries that the log does not hold, and decisions without their intents.
    pub lost_202: usize,
    /// Intents that have no end, or several.
    pub without_one_end: usize,
    /// Invariants that do not hold on the real thing: 1 when the doctor says so.
    pub doctor_broken: usize,
    /// Readings of the log that found damage: through the engine, and of a copy.
    pub log_damaged: usize,
    /// 1 when the fold of a copy of the log is not what the engine holds in memory.
    pub replay_differs: usize,
}

/// Judges an engine whose config is at hand, without a proof around it.
pub(crate) async fn alone(config: &Path) -> Result<ExitCode> {
    let mut verdict = Verdict::default();
    let binary = std::env::current_exe()?.with_file_name("cutover");
    let docker = Docker::connect()?;
    let text = std::fs::read_to_string(config).map_err(|error| format!("{}: {error}", config.display()))?;
    let data = text.lines().find_map(|line| line.trim().strip_prefix("data_dir"));
    let data = data.and_then(|rest| rest.split('"').nth(1)).ok_or("the config names no data_dir")?;
    let subject = Subject { binary: &binary, config, data: data.into(), docker: &docker };
    line(&judge(&subject, &Promised::default(), &mut verdict).await?);
    Ok(verdict.end("judge"))
}

/// Judges everything but the load; what does not hold is in the verdict.
pub(crate) async fn judge(subject: &Subject<'_>, promised: &Promised, verdict: &mut Verdict) -> Result<Judged> {
    let orphans = subject.orphans(verdict).await?;
    let events = subject.must(&["events", "--json"]).await?.lines()?;
    let without_one_end = one_end_each(&events, verdict);
    let lost_202 = lost(&events, promised, verdict);
    let (log_damaged, replay_differs) = subject.log(verdict).await?;
    let doctor = subject.ask(&["doctor"]).await?;
    if doctor.code != 0 {
        verdict.short(doctor.told());
    }
    let doctor_broken = usize::from(doctor.code != 0);
    Ok(Judged { orphans, lost_202, without_one_end, doctor_broken, log_damaged, replay_differs })
}

impl Subject<'_> {
    async fn ask(&self, args: &[&str]) -> Result<Said> {
        ask(self.binary, self.config, args).await
    }

    async fn must(&self, args: &[&str]) -> Result<Said> {
        let said = self.ask(args).await?;
        if said.code == 0 { Ok(said) } else { Err(said.told().into()) }
    }

    /// Containers and networks that are nobody's, once everything rests; waits as long as removals may take.
    pub(crate) async fn orphans(&self, verdict: &mut Verdict) -> Result<usize> {
        let deadline = Instant::now() + REMOVALS;
        loop {
            let found = self.look().await?;
            if found.rests && found.strangers.is_empty() {
                return Ok(0);
            }
            if Instant::now() > deadline {
                return Ok(found.told(verdict));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn look(&self) -> Result<Found> {
        let log = self.must(&["log", "head", "--json"]).await?.text("log_id")?;
        let status = self.must(&["status", "--json"]).await?.json()?;
        let workloads = status["workloads"].as_array().cloned().unwrap_or_default();
        let rests = |workload: &Value| {
            let containers = workload["containers"].as_array();
            workload["deployment"].is_null()
                && workload["queued"].as_array().is_none_or(Vec::is_empty)
                && containers.is_none_or(|all| all.iter().all(|one| one["role"] != "removing"))
        };
        // A stack is no container; its services are found by the labels of Compose.
        let services = |workload: &&Value| workload["services"].as_array().is_some_and(|services| !services.is_empty());
        let contained = workloads.iter().filter(|workload| !services(workload));
        let all = || contained.clone().filter_map(|workload| workload["containers"].as_array()).flatten();
        let kept = all().filter(|one| matches!(one["role"].as_str(), Some("active" | "standby")));
        let mut named: BTreeMap<&str, &str> = BTreeMap::new();
        let mut strangers = Vec::new();
        for one in kept {
            if let Some(folder) = one["folder"].as_str() {
                let whole = Path::new(folder).join("manifest.json").is_file();
                strangers.extend((!whole).then(|| format!("the release folder {folder} is not whole")));
                continue;
            }
            let name = one["name"].as_str().unwrap_or_default();
            match one["id"].as_str().filter(|id| !id.is_empty()) {
                Some(id) => drop(named.insert(id, name)),
                None => strangers.push(format!("{name} is in a list of the log and not on Docker")),
            }
        }
        for service in workloads.iter().filter_map(|workload| workload["services"].as_array()).flatten() {
            if service["state"] == "missing" {
                strangers.push(format!("the service {} of a stack is missing", service["service"]));
            }
        }
        for there in self.docker.containers(labels::LOG, &log).await? {
            if named.remove(there.id.as_str()).is_none() {
                strangers.push(format!("{} is in no list of the log", there.told()));
            }
        }
        strangers.extend(named.values().map(|name| format!("{name} is in a list of the log and not on Docker")));
        strangers.extend(self.stray_networks(&log).await?);
        let waits = workloads.iter().filter(|workload| !rests(workload)).map(|workload| workload["waits"].to_string());
        let waits: Vec<String> = waits.collect();
        Ok(Found { rests: waits.is_empty(), strangers, waits: waits.join(" ") })
    }

    /// Networks of this log that the log does not know.
    async fn stray_networks(&self, log: &str) -> Result<Vec<String>> {
        let events = self.must(&["events", "--kind", "NetworkMade,NetworkRemoved", "--json"]).await?.lines()?;
        let mut known = BTreeSet::new();
        for event in &events {
            let network = field(event, "network").and_then(Value::as_str).unwrap_or_default();
            if event["event"] == "NetworkMade" {
                known.insert(network)
            } else {
                known.remove(network)
            };
        }
        let there = self.docker.networks(labels::LOG, log).await?;
        Ok(there
            .into_iter()
            .filter(|network| !known.contains(network.as_str()))
            .map(|network| format!("the network {network} is not in the log"))
            .collect())
    }

    /// Readings that found damage, and whether (1) the fold of a copy of the log is not what the engine holds.
    async fn log(&self, verdict: &mut Verdict) -> Result<(usize, usize)> {
        let copy = tempfile::tempdir()?;
        let folder = copy.path().display().to_string();
        let mut read = (Value::Null, Value::Null);
        for _ in 0..READS {
            copy_of(&self.data.join("journal"), &copy.path().join("journal"))?;
            let copied = self.must(&["log", "head", "--data", &folder, "--json"]).await?.json()?;
            read = (self.must(&["log", "head", "--json"]).await?.json()?, copied);
            if read.0["position"] == read.1["position"] {
                break;
            }
        }
        let same = read.0 == read.1 && read.0["state"].as_str().is_some_and(|state| !state.is_empty());
        if !same {
            verdict.short(format!("the replay of a copy of the log is {}, the engine holds {}", read.1, read.0));
        }
        let mut damaged = 0;
        for command in [&["log", "verify"][..], &["log", "verify", "--data", &folder]] {
            let said = self.ask(command).await?;
            if said.code != 0 {
                verdict.short(said.told());
                damaged += 1;
            }
        }
        Ok((damaged, usize::from(!same)))
    }
}

/// What one look has shown.
struct Found {
    rests: bool,
    strangers: Vec<String>,
    waits: String,
}

impl Found {
    /// Says what does not hold; how many strangers there are.
    fn told(self, verdict: &mut Verdict) -> usize {
        if !self.rests {
            verdict.short(format!("it does not come to rest within {REMOVALS:?}: {}", self.waits));
        }
        let count = self.strangers.len();
        self.strangers.into_iter().for_each(|stranger| verdict.short(stranger));
        count
    }
}

/// The files of a folder, as they are at this moment.
fn copy_of(from: &Path, to: &Path) -> Result {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// The ends of every deployment that was ever queued.
pub(crate) fn ends(events: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in events {
        let (Some(kind), Some(id)) = (event["event"].as_str(), event["deployment_id"].as_str()) else { continue };
        if kind == "IntentQueued" {
            found.entry(id.into()).or_default();
        } else if ENDS.contains(&kind) {
            found.entry(id.into()).or_default().push(kind.into());
        }
    }
    found
}

fn one_end_each(events: &[Value], verdict: &mut Verdict) -> usize {
    let all = ends(events);
    let bad: Vec<_> = all.iter().filter(|(_, ends)| ends.len() != 1).collect();
    for (id, ends) in &bad {
        verdict.short(format!("deployment {id} has {} ends: {ends:?}", ends.len()));
    }
    bad.len()
}

/// What was promised and is not in the log, and what a decision promises and the log does not hold.
fn lost(events: &[Value], promised: &Promised, verdict: &mut Verdict) -> usize {
    let texts = |kind: &str, name: &str| -> BTreeSet<String> {
        let of = events.iter().filter(|event| event["event"] == kind);
        of.filter_map(|event| field(event, name)?.as_str().map(str::to_owned)).collect()
    };
    let queued = texts("IntentQueued", "deployment_id");
    let received = texts("DeliveryReceived", "delivery_id");
    let senders = texts("DeliveryReceived", "sender_id");
    let decided = texts("DeliveryDecided", "delivery_id");
    let wanted: BTreeSet<String> = events
        .iter()
        .filter(|event| event["event"] == "DeliveryDecided")
        .filter_map(|event| field(event, "verdicts")?.as_array())
        .flatten()
        .filter_map(|verdict| verdict["deployment_id"].as_str().map(str::to_owned))
        .collect();
    let missing = [
        ("accepted deployment", promised.deployments.difference(&queued).collect::<Vec<_>>()),
        ("accepted delivery", promised.deliveries.difference(&senders).collect()),
        ("decision on the delivery", received.difference(&decided).collect()),
        ("intent of a decision", wanted.difference(&queued).collect()),
    ];
    let mut count = 0;
    for (what, ids) in missing {
        count += ids.len();
        ids.iter().for_each(|id| verdict.short(format!("{what} {id} is not in the log")));
    }
    count
}

/// Requires that no request failed, and that streams were closed no more than once each per swap.
pub(crate) fn no_failures(verdict: &mut Verdict, summary: &Summary, swaps: u64) {
    if summary.failed > 0 {
        let first = summary.failures.first().cloned().unwrap_or_default();
        verdict.short(format!("{}; the first: {first}", summary.sentence()));
    }
    verdict.at_most("closes of websockets", summary.websocket_closes, 4 * swaps);
    verdict.at_most("ends of event streams", summary.event_closes, 2 * swaps);
    if summary.requests == 0 || summary.websocket_messages == 0 || summary.events == 0 {
        verdict.short("the load did not run");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_deployment_without_an_end_and_one_with_two_are_seen() {
        let event = |kind: &str, id: &str| json!({"event": kind, "deployment_id": id});
        let events = [
            event("IntentQueued", "dep_a"),
            event("IntentQueued", "dep_b"),
            event("DeploymentSucceeded", "dep_b"),
            event("DeploymentFailed", "dep_b"),
        ];
        let ends = ends(&events);
        assert_eq!(ends["dep_a"].len(), 0);
        assert_eq!(ends["dep_b"].len(), 2);
        assert_eq!(one_end_each(&events, &mut Verdict::default()), 2);
    }

    #[test]
    fn what_was_promised_and_what_a_decision_promises_is_missed() {
        let received = json!({"event": "DeliveryReceived", "delivery_id": "dlv_a", "sender_id": "1"});
        let verdicts = json!([{"deployment_id": "dep_a"}, {"deployment_id": null}]);
        let decided = json!({"event": "DeliveryDecided", "delivery_id": "dlv_a", "verdicts": verdicts});
        let queued = json!({"event": "IntentQueued", "deployment_id": "dep_a"});
        let promised = Promised { deployments: ["dep_a".into()].into(), deliveries: ["1".into()].into() };
        let lost_of = |events: &[Value]| lost(events, &promised, &mut Verdict::default());
        assert_eq!(lost_of(&[received.clone(), decided.clone(), queued]), 0);
        assert_eq!(lost_of(&[received.clone(), decided]), 2, "the wish, and the intent of the decision");
        assert_eq!(lost_of(&[received]), 2, "the wish, and the decision");
        assert_eq!(lost_of(&[]), 2, "the wish, and the delivery");
    }
}
