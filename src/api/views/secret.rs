//! Secrets as the API takes and shows them: values go in, and never come out.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What a value may be, for everybody who sends another thing. The thing itself is not repeated.
const EXPECTED: &str = "expected {\"values\": {NAME: \"TEXT\" or {\"base64\": \"BYTES\"}}, \"deploy\": true or false}";

/// New values of secrets of one project: all are recorded, or none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct SecretsAsk {
    /// By name.
    pub values: BTreeMap<String, SecretValue>,
    /// Whether the workloads that need what has changed, and that run, are deployed with it.
    pub deploy: bool,
}

/// A value: a text, or any bytes.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum SecretValue {
    /// As it is.
    Text(String),
    /// Any bytes.
    Bytes {
        /// In the usual alphabet, with padding.
        base64: String,
    },
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(a value)")
    }
}

/// By hand: the messages of serde repeat what they did not expect.
impl<'de> Deserialize<'de> for SecretsAsk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = || D::Error::custom(EXPECTED);
        let Value::Object(mut all) = Value::deserialize(deserializer)? else { return Err(expected()) };
        let deploy = match all.remove("deploy") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(deploy)) => deploy,
            Some(_) => return Err(expected()),
        };
        let Some(Value::Object(given)) = all.remove("values") else { return Err(expected()) };
        if !all.is_empty() {
            return Err(expected());
        }
        let one = |(name, value)| Some((name, read(value)?));
        let values = given.into_iter().map(one).collect::<Option<_>>().ok_or_else(expected)?;
        Ok(Self { values, deploy })
    }
}

fn read(value: Value) -> Option<SecretValue> {
    match value {
        Value::String(text) => Some(SecretValue::Text(text)),
        Value::Object(mut all) => match (all.remove("base64"), all.is_empty()) {
            (Some(Value::String(base64)), true) => Some(SecretValue::Bytes { base64 }),
            _ => None,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// What setting values came to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SecretsSetView {
    /// Whose.
    pub project: String,
    /// In the order of names.
    pub secrets: Vec<SecretSetView>,
    /// The deployments that were asked for with it.
    pub deployments: Vec<SecretDeploymentView>,
    /// Position of the log.
    pub position: u64,
}

/// One secret that was set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SecretSetView {
    /// Its name within the project.
    #[schema(example = "db_password")]
    pub name: String,
    /// Its newest version.
    pub version: u32,
    /// Whether that is a new one; false where it had this value already.
    pub changed: bool,
    /// Workloads that need it.
    pub used_by: Vec<SecretUserView>,
}

/// A deployment with a new value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SecretDeploymentView {
    /// `project/name`.
    pub workload: String,
    /// Its id.
    pub deployment_id: String,
}

/// A workload that needs a secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SecretUserView {
    /// `project/name`.
    pub workload: String,
    /// `file`, `env`, `build` or `login`.
    pub ways: Vec<String>,
    /// The version that runs; null where nothing runs, or nothing that was given it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub runs_with: Option<u32>,
}

/// A secret, never its value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SecretView {
    /// Whose.
    #[schema(example = "shop")]
    pub project: String,
    /// Its name within the project.
    #[schema(example = "db_password")]
    pub name: String,
    /// Those that are kept, newest first; a list of all secrets has only the newest one here.
    pub versions: Vec<SecretVersionView>,
    /// How many are kept.
    pub kept: u32,
    /// Workloads that need it.
    pub used_by: Vec<SecretUserView>,
}

/// One version of a secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SecretVersionView {
    /// Counts from 1.
    pub version: u32,
    /// When it was set (RFC 3339).
    pub time: String,
    /// Who set it.
    pub by: String,
    /// Keyed hash of the value: the same for the same value of this project, and of use to nobody outside.
    pub hash: String,
}

/// Every secret, without values.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SecretsView {
    /// Projects that have workloads or secrets.
    pub projects: Vec<String>,
    /// In the order of projects and names.
    pub secrets: Vec<SecretView>,
}

/// What sealing anew came to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RekeyedView {
    /// Whose.
    pub project: String,
    /// Secrets that were sealed anew.
    pub secrets: u32,
    /// Their versions.
    pub versions: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_value_is_refused_without_being_repeated() {
        let good = r#"{"values": {"a": "hunter2", "b": {"base64": "aHVudGVyMg=="}}, "deploy": true}"#;
        let ask: SecretsAsk = serde_json::from_str(good).unwrap();
        assert!(ask.deploy && ask.values.len() == 2);
        assert!(!format!("{ask:?}").contains("hunter2") && !format!("{ask:?}").contains("aHVu"));
        assert_eq!(serde_json::from_str::<SecretsAsk>(&serde_json::to_string(&ask).unwrap()).unwrap(), ask);
        for bad in [
            r#"{"values": "hunter2"}"#,
            r#"{"values": ["hunter2"]}"#,
            r#"{"values": {"a": {"text": "hunter2"}}}"#,
            r#"{"values": {"a": {"base64": "x", "hunter2": 1}}}"#,
            r#"{"values": {"a": 1}}"#,
            r#"{"values": {}, "hunter2": 1}"#,
            r#"{"values": {}, "deploy": "hunter2"}"#,
            r#"{"a": "hunter2"}"#,
        ] {
            let why = serde_json::from_str::<SecretsAsk>(bad).unwrap_err().to_string();
            assert!(why.contains("expected") && !why.contains("hunter2"), "{bad}: {why}");
        }
    }
}
