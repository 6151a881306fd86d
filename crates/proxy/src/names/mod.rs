//! Workloads of a project find one another by name: the table answers on the gateways of the projects' networks.
//!
//! | file | holds |
//! |---|---|
//! | `answer` | what is said to a question |
//! | `upstream` | the host's resolvers, for every other name |
//! | `serve` | questions by datagram and by connection |
//! | `sockets`, `holder` | listening on a gateway, and who keeps us from it |
//! | `keep` | how the sockets outlive the process |
//!
//! A name belongs to the entry and moves with it: from the moment that a write is in force the new targets are
//! answered. What was answered before may be used for its time to live, so a former target that was given out counts as
//! draining for a while longer.

mod answer;
mod keep;
mod serve;
mod sockets;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use keep::{Keeper, Kept, sort};
pub use sockets::{Pair, holder_of_the_port};
use upstream::Upstream;

use crate::config::{Config, MAX_NAME_ANSWERS, MAX_NAME_CONNECTIONS, NAME_RETRY};
use crate::drain::Target;
use crate::metrics::ProcessFigures;
use crate::table::{Entry, Switchboard};
use crate::wire;

/// How often a look at the table is repeated because a write came between: more in a row do not happen.
const LOOKS: usize = 8;

/// Answers names until it is told to stop.
#[derive(Debug)]
pub struct NameServer {
    switchboard: Arc<Switchboard>,
    figures: Arc<ProcessFigures>,
    port: u16,
    upstream: Upstream,
    connections: Arc<Semaphore>,
    turn: AtomicUsize,
    gateways: Mutex<BTreeMap<Ipv4Addr, Standing>>,
    /// From the process before, not yet served.
    inherited: Mutex<BTreeMap<Ipv4Addr, Pair>>,
    keeper: Keeper,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What becomes of a gateway that the table mentions.
#[derive(Debug)]
enum Standing {
    /// Served, until this is cancelled.
    Served(CancellationToken),
    /// Not served, for this reason; tried again.
    Wanting(String),
}

impl NameServer {
    /// Serves nothing yet.
    #[must_use]
    pub fn new(
        config: &Config,
        (switchboard, figures): (Arc<Switchboard>, Arc<ProcessFigures>),
        (inherited, keeper): (BTreeMap<Ipv4Addr, Pair>, Keeper),
    ) -> Arc<Self> {
        Arc::new(Self {
            switchboard,
            figures,
            port: config.name_port,
            upstream: Upstream::new(config),
            connections: Arc::new(Semaphore::new(MAX_NAME_CONNECTIONS)),
            turn: AtomicUsize::new(0),
            gateways: Mutex::default(),
            inherited: Mutex::new(inherited),
            keeper,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// Serves every gateway that the table mentions, from now on.
    pub fn start(self: &Arc<Self>) {
        let server = Arc::clone(self);
        self.tasks.spawn(async move {
            let stop = server.stop.clone();
            stop.run_until_cancelled(server.follow()).await;
        });
    }

    /// Answers nothing more.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Every gateway that the table mentions, as far as it was noticed.
    #[must_use]
    pub fn gateways(&self) -> Vec<wire::Gateway> {
        let problem = |standing: &Standing| match standing {
            Standing::Served(_) => None,
            Standing::Wanting(why) => Some(why.clone()),
        };
        let gateways = self.gateways.lock();
        gateways.iter().map(|(at, standing)| wire::Gateway { address: *at, problem: problem(standing) }).collect()
    }

    async fn follow(self: &Arc<Self>) {
        let mut changes = self.switchboard.changes();
        loop {
            changes.mark_unchanged();
            let wanting = self.settle().await;
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(NAME_RETRY), if wanting => {}
            }
        }
    }

    /// Serves what the table mentions and nothing else; whether something cannot be served.
    async fn settle(self: &Arc<Self>) -> bool {
        let wanted: BTreeSet<Ipv4Addr> = self.switchboard.load().names.gateways().collect();
        self.leave_all_but(&wanted);
        let mut wanting = false;
        for gateway in wanted {
            if !matches!(self.gateways.lock().get(&gateway), Some(Standing::Served(_))) {
                let served = self.serve_or_say(gateway).await;
                wanting |= !served;
            }
        }
        wanting
    }

    fn leave_all_but(&self, wanted: &BTreeSet<Ipv4Addr>) {
        self.inherited.lock().retain(|gateway, _| wanted.contains(gateway));
        self.gateways.lock().retain(|gateway, standing| {
            let stays = wanted.contains(gateway);
            if let (false, Standing::Served(served)) = (stays, standing) {
                served.cancel();
                self.keeper.forget(*gateway);
            }
            stays
        });
    }

    async fn serve_or_say(self: &Arc<Self>, gateway: Ipv4Addr) -> bool {
        let inherited = self.inherited.lock().remove(&gateway);
        let opened = match inherited {
            Some(pair) => Ok(pair),
            None => self.open(gateway).await,
        };
        let standing = opened.and_then(|pair| self.serve(gateway, pair).map_err(|e| e.to_string()));
        let served = standing.is_ok();
        let standing = standing.map_or_else(Standing::Wanting, Standing::Served);
        let before = self.gateways.lock().insert(gateway, standing);
        let said = matches!(before, Some(Standing::Wanting(_)));
        match self.gateways.lock().get(&gateway) {
            Some(Standing::Wanting(why)) if !said => tracing::warn!("{why}"),
            Some(Standing::Served(_)) => tracing::info!(%gateway, "answers names"),
            _ => {}
        }
        served
    }

    /// Finding out who has the port reads all of `/proc`.
    async fn open(&self, gateway: Ipv4Addr) -> Result<Pair, String> {
        let port = self.port;
        let opened = self.tasks.spawn_blocking(move || Pair::bind(gateway, port)).await;
        let pair = opened.map_err(|e| e.to_string())??;
        self.keeper.keep(gateway, &pair);
        Ok(pair)
    }

    fn is_ours(&self, address: IpAddr) -> bool {
        matches!(address, IpAddr::V4(v4) if self.gateways.lock().contains_key(&v4))
    }

    /// What a name on a gateway means now; `None`: it is not ours. Each address is remembered as given out before the
    /// table that it came from can be left behind.
    fn addresses(&self, gateway: Ipv4Addr, name: &str, turn: usize) -> Option<Vec<IpAddr>> {
        let mut found = None;
        for _ in 0..LOOKS {
            let table = self.switchboard.load();
            let given = choose(table.names.find(gateway, name)?, turn);
            given.iter().for_each(|target| target.give_out());
            found = Some(given.iter().filter_map(|target| target.address()).collect());
            if !given.iter().any(|target| target.is_draining()) {
                break;
            }
        }
        found
    }
}

/// The targets whose addresses are answered: those that did not refuse a moment ago, unless all did; another one first
/// at each turn.
fn choose(entry: &Entry, turn: usize) -> Vec<&Arc<Target>> {
    let mut chosen: Vec<_> = entry.targets.iter().filter(|target| !target.is_shunned()).collect();
    if chosen.is_empty() {
        chosen = entry.targets.iter().collect();
    }
    let first = turn.checked_rem(chosen.len()).unwrap_or(0);
    chosen.rotate_left(first);
    chosen.truncate(MAX_NAME_ANSWERS);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(targets: &[&str]) -> Entry {
        Entry {
            workload: "w".into(),
            name: "p/w".into(),
            generation: 1,
            routes: Vec::new(),
            names: None,
            targets: targets.iter().map(|at| Target::new(at, at.parse().unwrap())).collect(),
            draining: Vec::new(),
            former: Vec::new(),
            policy: wire::RoutePolicy { drain_ms: 0, half_close: false },
            figures: Arc::default(),
        }
    }

    fn chosen(entry: &Entry, turn: usize) -> String {
        choose(entry, turn).iter().map(|target| target.unit.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_target_comes_first_in_its_turn() {
        let three = entry(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        assert_eq!(chosen(&three, 0), "10.0.0.1 10.0.0.2 10.0.0.3");
        assert_eq!(chosen(&three, 4), "10.0.0.2 10.0.0.3 10.0.0.1");
        assert_eq!(chosen(&entry(&[]), 7), "");
    }

    #[test]
    fn what_refused_a_moment_ago_is_left_out_unless_all_did() {
        let two = entry(&["10.0.0.1", "10.0.0.2"]);
        two.targets[0].shun();
        assert_eq!(chosen(&two, 0), "10.0.0.2");
        two.targets[1].shun();
        assert_eq!(chosen(&two, 1), "10.0.0.2 10.0.0.1");
    }

    #[test]
    fn a_target_that_was_given_out_is_not_drained_at_once() {
        let [quiet, given] = ["10.0.0.1", "10.0.0.2"].map(|at| Target::new(at, at.parse().unwrap()));
        given.give_out();
        quiet.begin_drain();
        given.begin_drain();
        assert!(quiet.is_drained());
        assert!(!given.is_drained() && !given.drain_status().done);
    }
}
