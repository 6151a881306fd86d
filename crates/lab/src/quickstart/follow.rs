//! Watching the log.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use super::acts::PATIENCE;
use crate::Result;
use crate::stand::Stand;

/// The events of the log as they come.
pub(super) struct Follow {
    lines: Lines<BufReader<ChildStdout>>,
    /// Ends with this.
    _child: Child,
}

impl Follow {
    /// From the next event on.
    pub(super) async fn new(stand: &Stand) -> Result<Self> {
        let head = stand.events().await?.last().and_then(|event| event["position"].as_u64()).unwrap_or_default();
        let after = head.to_string();
        let mut child =
            stand.command(&["events", "--follow", "--json", "--after", &after]).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or("no output of the events")?;
        Ok(Self { lines: BufReader::new(out).lines(), _child: child })
    }

    /// The next event of that kind.
    pub(super) async fn until(&mut self, kind: &str) -> Result<Value> {
        let found = tokio::time::timeout(PATIENCE, self.find(kind)).await;
        found.map_err(|_| format!("no {kind} within {PATIENCE:?}"))?
    }

    async fn find(&mut self, kind: &str) -> Result<Value> {
        while let Some(line) = self.lines.next_line().await? {
            let event: Value = serde_json::from_str(&line)?;
            if event["event"] == kind {
                return Ok(event);
            }
        }
        Err(format!("the events ended before {kind}").into())
    }
}
