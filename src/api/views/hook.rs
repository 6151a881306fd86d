//! Hooks and deliveries as the API shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::asks::ProviderWord;

/// A source of deliveries, never its secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct HookView {
    /// Its id.
    pub hook_id: String,
    /// As triggers name it.
    pub name: String,
    /// How its deliveries are verified.
    pub provider: ProviderWord,
    /// The header that holds the signature.
    pub header: String,
    /// Path of its address.
    #[schema(example = "/hooks/hook_01k9…")]
    pub path: String,
    /// The whole address, where the host of hooks is configured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
    /// Secrets that are accepted: two after a rotation.
    pub secrets: u32,
}

/// Every hook.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct HooksView {
    /// In the order of names.
    pub hooks: Vec<HookView>,
}

/// A hook with its new secret, shown once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct HookSecretView {
    /// The hook.
    pub hook: HookView,
    /// To be given to the sender.
    pub secret: String,
}

/// What one rule said to one change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct VerdictView {
    /// Whose rule, `project/name`.
    pub workload: String,
    /// Index of the trigger in the spec.
    pub rule: u16,
    /// The deployment that came of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deployment_id: Option<String>,
    /// The image reference that it asks for, empty without a deployment.
    pub reference: String,
    /// Why, or why not.
    pub why: String,
}

/// One delivery and what was decided on it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeliveryView {
    /// Our id for it.
    pub delivery_id: String,
    /// Position of its receipt.
    pub position: u64,
    /// When it was received (RFC 3339).
    pub time: String,
    /// Name of the hook.
    pub hook: String,
    /// The sender's id for it.
    pub sender_id: String,
    /// What the sender calls it.
    pub event: String,
    /// The decision in one line; empty before it is made.
    pub summary: String,
    /// The verdict of every rule.
    pub verdicts: Vec<VerdictView>,
}

/// Deliveries of a hook, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeliveriesView {
    /// Newest first.
    pub deliveries: Vec<DeliveryView>,
}
