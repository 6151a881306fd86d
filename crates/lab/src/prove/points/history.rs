//! The histories that the real engine is led through; most are scenarios of the simulation, by the same names.

use crate::prove::sources::rows::{ROWS, Row};
use crate::stand::{Stand, Workload};

/// What is done to the engine. The name of a variant is the name of the simulation's scenario, where there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum History {
    /// A first deployment.
    DeployFirst,
    /// Everything of it is removed again, the standby too.
    Teardown,
    /// Two replicas are replaced under load.
    DeployReplicas,
    /// Back to the standby.
    RollbackAdopt,
    /// A person has removed one of two containers.
    HealOne,
    /// A workload with a volume is replaced.
    AloneAgain,
    /// Its new version does not start: the former one is restored.
    AloneRestore,
    /// The new version ends while it is watched.
    RouteBack,
    /// The worker of the new version ends at once: everything is as it was.
    WorkerEnds,
    /// Two first deployments, of which the second comes after the first.
    AfterFirst,
    /// A release command runs before the new version is there.
    CommandAgain,
    /// An image is made of a changed folder. Not in the simulation, as the next two: it has no builder.
    BuiltAgain,
    /// A site is made of a changed folder, and the proxy serves it.
    SiteAgain,
    /// Compose brings a changed stack up.
    StackAgain,
    /// A new revision, under load. Not in the simulation: it has no registry.
    Apply,
    /// A push. Not in the simulation: it has no hooks.
    Delivery,
    /// A start with nothing to do.
    EngineStart,
}

use History::*;

/// In this order: a first deployment leaves what a teardown needs, and the other way round.
pub(super) const ALL: [History; 17] = [
    DeployReplicas,
    DeployFirst,
    Teardown,
    RollbackAdopt,
    HealOne,
    AloneAgain,
    AloneRestore,
    RouteBack,
    WorkerEnds,
    AfterFirst,
    CommandAgain,
    BuiltAgain,
    SiteAgain,
    StackAgain,
    Apply,
    Delivery,
    EngineStart,
];

/// Short times, so that a visit takes seconds.
const SHORT: &str = "300ms";
/// A drain under load: the slow answers of the load take 300 ms, streams are cut at the end of it.
const LOADED: &str = "1s";
/// The repository of the trigger.
pub(super) const REPO: &str = "acme/points";
/// Commits that are pushed in turn.
pub(super) const COMMITS: [&str; 2] =
    ["1111111a1111111111111111111111111111111a", "2222222b2222222222222222222222222222222b"];

/// What another workload comes after.
pub(super) const FORMER: &str = "former";

/// How a commit names its image.
pub(super) fn tag(commit: &str) -> &str {
    &commit[..7]
}

impl History {
    pub(super) fn name(self) -> String {
        format!("{self:?}")
    }

    /// The workload that it is about. Only `web` and what is served without a gap is under load.
    pub(super) fn workload(self) -> &'static str {
        match self {
            DeployReplicas | Apply | EngineStart => "web",
            DeployFirst | Teardown => "first",
            RollbackAdopt => "kept",
            HealOne => "side",
            AloneAgain | AloneRestore => "alone",
            RouteBack => "baked",
            WorkerEnds => "working",
            AfterFirst => "later",
            CommandAgain => "migrated",
            BuiltAgain => "built-green",
            SiteAgain => "site-green",
            StackAgain => "stack-again",
            Delivery => "hooked",
        }
    }

    /// The row of the matrix of sources that its workload is, if it is one.
    pub(super) fn row(self) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.name == self.workload())
    }

    /// Whether the wish is to fail, with what was before serving on.
    pub(super) fn fails(self) -> bool {
        matches!(self, AloneRestore | RouteBack | WorkerEnds)
    }

    /// Its workload's file, where it is no row of the matrix; `number` makes it a new revision where one is wanted.
    pub(super) fn file(self, stand: &Stand, image: &str, number: u32) -> String {
        let short = Workload::new(self.workload(), image).policy("bake", SHORT).policy("drain", SHORT);
        let short = short.policy("liveness", SHORT).policy("stop_timeout", "2s");
        let workload = match self {
            DeployReplicas | EngineStart | Apply => {
                short.line("replicas = 2").policy("drain", LOADED).env("REVISION", &number.to_string())
            }
            HealOne => short.line("replicas = 2"),
            RollbackAdopt => short.policy("standby", "1h"),
            AloneAgain | AloneRestore => short.line(&format!("volumes = [\"{}-data:/data\"]", stand.project)),
            // Longer than the bad version lives, whatever disturbs it.
            RouteBack => short.policy("bake", "60s"),
            Delivery => short.deploy(&format!("{}:{REPO}@main", crate::hook::NAME)),
            WorkerEnds => short.process("worker", "stay"),
            // Nobody is there to be asked after each death.
            CommandAgain => short.line("release = { command = [\"build\", \"0\"], on_crash = \"again\" }"),
            AfterFirst => {
                let first = Workload::new(FORMER, image).policy("bake", SHORT).policy("drain", SHORT);
                let revision = number.to_string();
                let later = short.line(&format!("after = [\"{FORMER}\"]")).env("REVISION", &revision);
                return first.env("REVISION", &revision).file(stand) + &later.table(stand);
            }
            BuiltAgain | SiteAgain | StackAgain => short,
            // What was torn down comes back with a new revision only.
            DeployFirst | Teardown => short.policy("standby", "1h").env("REVISION", &number.to_string()),
        };
        workload.file(stand)
    }
}
