//! Events as the API and the command line show them: one JSON object a line.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// One event. Its own fields stand beside these.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct EventLine {
    /// Index in the whole log.
    pub position: u64,
    /// When, by the wall clock (RFC 3339, milliseconds, UTC).
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    pub time: String,
    /// The kind of event.
    #[schema(example = "DeploymentSucceeded")]
    pub event: String,
    /// The deployment that it belongs to, where it does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deployment_id: Option<String>,
    /// `project/name`, for events of a workload.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub workload: Option<String>,
    /// `person`, `delivery:ID`, `revision:N`, `drift`, `deployment:ID` or `engine`.
    pub cause: String,
    /// `local:UID[:NAME]`, `token:ID`, `hook:ID` or `engine`.
    pub actor: String,
    /// What happened, one line for a person.
    #[serde(default)]
    #[schema(example = "deploy ghcr.io/acme/shop:v2, asked by alice")]
    pub told: String,
    /// What that means.
    #[serde(default)]
    pub tone: Tone,
    /// The event's own fields.
    #[serde(flatten)]
    #[schema(additional_properties)]
    pub fields: Map<String, Value>,
}

/// What an event means to a person who reads along.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// Nothing special.
    #[default]
    Normal,
    /// As it should be.
    Good,
    /// Something did not work.
    Bad,
    /// Something changes its course.
    Moving,
}

/// A part of the log.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct EventsPage {
    /// Oldest first.
    pub items: Vec<EventLine>,
    /// Ask with this as `after` for what follows; what was looked at and did not match lies behind it.
    pub next_after: u64,
    /// Position of the last event of the log.
    pub head: u64,
}

impl EventLine {
    /// A field of its own, when it is text.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// A field of its own, when it is a number.
    #[must_use]
    pub fn number(&self, field: &str) -> Option<u64> {
        self.fields.get(field).and_then(Value::as_u64)
    }

    /// The text of its `reason`.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.fields.get("reason").and_then(|reason| reason.get("text")).and_then(Value::as_str).unwrap_or_default()
    }
}
