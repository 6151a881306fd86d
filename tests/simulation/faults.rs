//! Faults that are moves of their own.

use cutover_events::UnitId;
use cutover_world::{Hand, LiveRestore, Request, TableFate};

use crate::sim::Sim;
use crate::swarm::Fault;

/// How long Docker or the proxy is away, ms.
const AWAY_MS: &[u64] = &[300, 2_000, 150_000];

impl Sim {
    pub(crate) fn strike(&mut self, fault: Fault) {
        self.say(|| format!("fault {fault:?}"));
        match fault {
            Fault::Crash => self.crash(),
            Fault::HumanRemove | Fault::Hands | Fault::Exit | Fault::Flap => self.harm(fault),
            Fault::DaemonKept => self.daemon(LiveRestore::On),
            Fault::DaemonLost => self.daemon(LiveRestore::Off),
            Fault::DockerAway => self.host.docker_back_ms = self.world.now_ms() + self.random.pick(AWAY_MS),
            Fault::RouterKept => self.router(TableFate::Kept),
            Fault::RouterLost => self.router(TableFate::Lost),
            Fault::RouterAway => {
                self.world.router_stop();
                self.host.router_back_ms = self.world.now_ms() + self.random.pick(AWAY_MS);
            }
            Fault::Reboot => self.reboot(),
            Fault::Pause => self.advance(60_000),
            _ => {}
        }
        self.hint_all();
    }

    fn hint_all(&mut self) {
        for lane in 0..self.shops.len() {
            self.hint(lane);
        }
    }

    /// Somebody, or something, lays hands on one container.
    fn harm(&mut self, fault: Fault) {
        let units: Vec<UnitId> = self.world.containers().map(|body| body.unit).collect();
        if units.is_empty() {
            return;
        }
        let unit = self.random.pick(&units);
        self.say(|| format!("{fault:?} {unit}"));
        match fault {
            Fault::HumanRemove => {
                self.world.human_remove(unit);
            }
            Fault::Hands => {
                let hand = self.random.pick(&Hand::ALL);
                self.say(|| format!("{hand:?}"));
                self.world.human(unit, hand);
            }
            Fault::Exit => {
                self.world.exit(unit, 9);
            }
            // How what is not probed answers, nobody can tell.
            _ if self.runs.get(&unit).is_some_and(|runs| runs.unprobed) => (),
            _ => {
                self.world.flap(unit);
            }
        }
    }

    fn daemon(&mut self, live_restore: LiveRestore) {
        self.world.daemon_restart(live_restore);
    }

    fn router(&mut self, table: TableFate) {
        self.world.router_restart(table);
        self.host.router_back_ms = 0;
        self.host.drains.clear();
        if table == TableFate::Lost {
            self.watch.router_lost();
        }
    }

    /// Everything that runs dies at once; requests on their way are gone with their senders.
    fn reboot(&mut self) {
        while self.world.cancel(0).is_some() {}
        self.host.hidden.iter().for_each(|(unit, _)| {
            self.world.appear(*unit);
        });
        self.host.hidden.clear();
        self.world.daemon_restart(LiveRestore::Off);
        self.router(TableFate::Kept);
        self.host.docker_back_ms = 0;
        self.host.boots = self.host.boots.wrapping_add(1);
        self.host.boot_ms = self.world.now_ms();
        self.crash();
    }

    /// A request that was on its way arrives; a create may take its name before it can be inspected.
    pub(crate) fn land(&mut self, index: usize) {
        let create = matches!(self.world.pending().get(index), Some(Request::Create(_)));
        if create && self.swarm.strikes(Fault::Hidden, &mut self.random) {
            let Some(Request::Create(create)) = self.world.pending().get(index).copied() else { return };
            let unit = create.unit;
            if self.world.reserve(index) {
                self.say(|| format!("the late create of {unit} holds its name"));
                let at = self.world.now_ms() + self.random.pick(&[10, 80, 3_000]);
                self.host.hidden.push((unit, at));
            }
            return;
        }
        if let Some(request) = self.world.cancel(index) {
            self.say(|| "what was late arrives".into());
            self.arrive(request);
        }
    }
}
