//! The engine itself, its log and its tokens as the API shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::asks::HeldWord;

/// Why destructive effects are refused until a person decides.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct HeldView {
    /// What is to be confirmed.
    pub cause: HeldWord,
    /// What was seen, and what can be done.
    pub text: String,
}

/// A person is at work: the engine does nothing by itself to what is frozen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct FreezeView {
    /// `project/name`; missing where everything is frozen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub workload: Option<String>,
    /// Who froze it.
    pub by: String,
    /// Since when (RFC 3339).
    pub since: String,
    /// Why, in the words of the person; may be empty.
    pub reason: String,
}

/// Where the log ends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct HeadView {
    /// The id of the log.
    pub log_id: String,
    /// Position of the last event.
    pub position: u64,
    /// Chain value after it, hex.
    pub chain: String,
    /// One value for all that the log says up to there, hex: two folds of the same log have the same one.
    #[serde(default)]
    pub state: String,
}

/// What verifying the log came to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct VerifyView {
    /// Whether every byte is as it was written.
    pub ok: bool,
    /// The last position that holds.
    pub position: u64,
    /// Chain value after it, hex.
    pub chain: String,
    /// Commits that were read.
    pub commits: u64,
    /// One line for a person; names segment, offset and position of the first damage.
    pub text: String,
}

/// One commit of the log as an export carries it: the raw bytes prove it, the rest is for reading.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportLine {
    /// Position of its first event.
    pub position: u64,
    /// Whose history.
    pub stream: String,
    /// Version of its first event within the stream.
    pub version: u64,
    /// Chain value after it, hex.
    pub chain: String,
    /// The stored bytes, hex.
    pub body: String,
    /// The same, decoded.
    pub events: Vec<super::event::EventLine>,
}

/// A token, never its value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// Its id.
    pub token_id: String,
    /// As people know it.
    pub name: String,
}

/// Every token that is accepted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TokensView {
    /// In the order of their making.
    pub tokens: Vec<TokenView>,
}

/// A new token: its value is shown once and kept nowhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenAddedView {
    /// Its id.
    pub token_id: String,
    /// As people know it.
    pub name: String,
    /// The value, to be sent as `Authorization: Bearer`.
    #[schema(example = "cut_…")]
    pub token: String,
}

/// What a check found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It holds.
    Holds,
    /// It does not hold.
    Broken,
    /// It could not be seen whether it holds.
    Unknown,
    /// It holds, and a person should know something.
    Note,
}

/// One invariant, looked at on the real thing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct CheckView {
    /// A stable word.
    pub name: String,
    /// What was found.
    pub finding: Finding,
    /// One line for a person.
    pub text: String,
}

/// The invariants on the real thing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DoctorView {
    /// Whether none is broken or unknown.
    pub ok: bool,
    /// One per invariant.
    pub checks: Vec<CheckView>,
}

/// One link of an explanation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct LinkView {
    /// The event that it rests on; 0 when it rests on the whole state.
    pub position: u64,
    /// When (RFC 3339), empty without an event.
    pub time: String,
    /// One line for a person.
    pub text: String,
}

/// Why something is as it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExplainView {
    /// What was asked about.
    pub about: String,
    /// The answer in one line.
    pub answer: String,
    /// How it came about, first cause first.
    pub chain: Vec<LinkView>,
}

/// What health probes are told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct HealthzView {
    /// `ok`, or what is missing.
    pub status: String,
}
