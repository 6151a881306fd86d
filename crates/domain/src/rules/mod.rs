//! Which change from outside deploys which workload, and why not the others.
//!
//! A rule that names the hook of a delivery says yes or no to every change in it; each verdict has a reason that a
//! person can read, the negative ones too.

mod decision;
pub mod glob;
pub mod image;
pub mod paths;
mod since;
mod verdict;

use cutover_events::WorkloadId;
use cutover_events::workload::Trigger;

pub use decision::{MAX_REFUSALS, decide};
pub use since::{Answers, Changed, Question, questions};
pub use verdict::{Ruling, moves, rule};

/// What the rules of one workload say, and whether it may be deployed by them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkloadRules {
    /// Whose rules.
    pub workload: WorkloadId,
    /// `project/name`, for people.
    pub name: String,
    /// In the order of the spec: a verdict names a rule by its index.
    pub triggers: Vec<Trigger>,
    /// The image reference of the spec, with its placeholders; empty for what is made of files.
    pub image: String,
    /// Where the files are that it is made of; empty for an image.
    pub files: String,
    /// The secret that opens the repository, as `project/name`; empty for none.
    pub opened: String,
    /// Whether wishes from outside are taken.
    pub standing: Standing,
    /// Commits that have failed, or that a person went back from.
    pub rejected: Vec<RejectedChange>,
    /// The commit that is deployed; empty where nothing is, or where it came from none.
    pub deployed: String,
}

/// A commit that no change from outside deploys again, because what it deploys is known before a registry is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RejectedChange {
    /// The commit.
    pub sha: String,
    /// What it was deployed as.
    pub reference: String,
    /// One line for a person.
    pub why: String,
}

/// Whether a workload takes wishes from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It does.
    Open,
    /// A person stopped it; a start or a deploy by a person opens it again.
    Stopped {
        /// Who.
        by: String,
    },
    /// It was torn down, or is about to be; an apply opens it again.
    TornDown,
}
