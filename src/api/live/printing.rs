//! What containers print, as it is told.

use futures_util::stream::{self, BoxStream, StreamExt};

use super::LiveBackend;
use crate::api::backend::{OutputAsk, Refusal, WorkloadName};
use crate::api::time::{parse_when, rfc3339};
use crate::api::views::{OutputKind, OutputLine};
use crate::execution::following::{Follow, Following, Said};

impl LiveBackend {
    pub(super) async fn follow_output(
        &self,
        name: &WorkloadName,
        ask: OutputAsk,
    ) -> Result<BoxStream<'static, OutputLine>, Refusal> {
        let id = self.find(name)?;
        let since_ms = ask.since.map(|text| when(&text, self.clock.stamp().wall_ms)).transpose()?;
        let follow = Follow {
            process: ask.process,
            replica: ask.replica,
            tail: ask.tail,
            since_ms: since_ms.unwrap_or(0),
            after_ns: ask.after_ns,
            on: ask.on,
        };
        let following = self.execution.follow(id, follow).await?;
        let next = |mut following: Following| async move { Some((told(following.next().await?), following)) };
        Ok(stream::unfold(following, next).boxed())
    }
}

/// A time: one of the past, or how long ago.
fn when(text: &str, now_ms: u64) -> Result<u64, Refusal> {
    let time = parse_when(text, now_ms).or_else(|| parse_when(&format!("{text} ago"), now_ms));
    time.ok_or_else(|| {
        let expected =
            "expected how long ago, as in \"10m\", or a time in UTC, as in \"14:02\" or \"2026-01-31 14:02\"";
        Refusal::BadContent(format!("since: \"{}\" is no time; {expected}", text.escape_debug()))
    })
}

fn told(said: Said) -> OutputLine {
    let nothing = OutputLine {
        kind: OutputKind::Nothing,
        time: String::new(),
        at_ns: 0,
        container: String::new(),
        process: String::new(),
        replica: 0,
        release: String::new(),
        text: String::new(),
    };
    match said {
        Said::Nothing(text) => OutputLine { text, ..nothing },
        Said::Serves(release, replica) => {
            OutputLine { kind: OutputKind::Serves, release: release.to_string(), replica, ..nothing }
        }
        Said::Line { from, at_ns, err, text } => OutputLine {
            kind: if err { OutputKind::Err } else { OutputKind::Out },
            time: rfc3339(at_ns / 1_000_000),
            at_ns,
            container: from.container.clone(),
            process: from.process.clone(),
            replica: from.replica,
            release: from.release.to_string(),
            text,
        },
    }
}
