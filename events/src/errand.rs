//! What people run in containers, beside what a workload runs by itself. Never what they typed, and of a command nothing
//! but the name of its program: arguments hold passwords.

use serde::{Deserialize, Serialize};

use crate::id::{ErrandId, ReleaseId, UnitId};

/// A person is about to run a program in a container.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ErrandBegun {
    /// Its id.
    pub errand: ErrandId,
    /// The name of the program, without its folder and without any argument.
    pub program: String,
    /// Where it runs.
    pub place: Place,
    /// Name of the container.
    pub container: String,
    /// What the container was made of.
    pub release: ReleaseId,
    /// Whether it has a terminal.
    pub terminal: bool,
}

/// Where a person's program runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Place {
    /// In a container that serves.
    Unit(UnitId),
    /// In a container of its own, which goes with it.
    Own,
}

/// What a person ran in a container is over.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ErrandEnded {
    /// Which one.
    pub errand: ErrandId,
    /// How.
    pub end: ErrandEnd,
    /// How long it took, ms; `None` when nobody knows.
    pub lasted_ms: Option<u64>,
}

/// How a person's program ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ErrandEnd {
    /// By itself, with this code.
    Exited(i32),
    /// The person went away, and the program was told to end.
    Left,
    /// Nothing was typed or printed for too long, and the program was told to end.
    Idle,
    /// It was not begun; why, one line.
    Refused(String),
    /// The engine was stopped, and told the program to end.
    Stopped,
    /// The engine, or Docker, was not there to see it.
    Unknown,
    /// Its workload was torn down, and the program was told to end.
    TornDown,
}
