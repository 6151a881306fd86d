//! What containers print, as it is told.

use std::collections::BTreeMap;

use cutover_events::WorkloadId;
use cutover_events::workload::Source;
use futures_util::stream::{self, BoxStream, StreamExt};

use super::LiveBackend;
use crate::api::backend::{OutputAsk, Refusal, WorkloadName};
use crate::api::time::{parse_when, rfc3339};
use crate::api::views::{OutputKind, OutputLine, OutputView};
use crate::execution::following::{Follow, Following, Goes, Said};
use crate::services::output;

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
        if self.is_stack(id) {
            let following = output::follow(&self.execution, id, follow).await?;
            let next =
                |mut following: output::Following| async move { Some((told(following.next().await?), following)) };
            return Ok(stream::unfold(following, next).boxed());
        }
        let following = self.execution.follow(id, follow).await?;
        let next = |mut following: Following| async move { Some((told(following.next().await?), following)) };
        Ok(stream::unfold(following, next).boxed())
    }

    /// Whether a workload is a stack: by what serves, and by its newest revision where nothing does.
    fn is_stack(&self, id: WorkloadId) -> bool {
        if let Some((_, plan)) = self.commands.live().cell(id).state().serving() {
            return plan.template.is_stack();
        }
        let registry = self.registry();
        let spec = registry.workloads.get(&id).and_then(|registered| registered.revisions.last());
        spec.is_some_and(|spec| matches!(spec.source, Source::Compose(_)))
    }

    /// The newest lines of each service of a stack, at most so many; nothing for any other workload.
    pub(super) async fn output_of_services(&self, id: WorkloadId, lines: usize) -> Vec<OutputView> {
        if !self.is_stack(id) {
            return Vec::new();
        }
        let tail = Some(u32::try_from(lines).unwrap_or(u32::MAX));
        let ask = Follow { tail, on: Goes::NoFurther, ..Follow::default() };
        let mut following = match output::follow(&self.execution, id, ask).await {
            Ok(following) => following,
            Err(error) => {
                let told = format!("(cannot be read: {error})");
                return vec![of_service((&self.full_name(id), "services"), vec![told])];
            }
        };
        let mut all: BTreeMap<(String, usize), OutputView> = BTreeMap::new();
        while let Some(said) = following.next().await {
            let Said::Line { from, text, .. } = said else { continue };
            let role = format!("service {}", from.process);
            let of = || of_service((&from.container, &role), Vec::new());
            all.entry((from.process.clone(), from.replica)).or_insert_with(of).lines.push(text);
        }
        all.into_values().collect()
    }
}

fn of_service((container, role): (&str, &str), lines: Vec<String>) -> OutputView {
    let (container, role) = (container.to_owned(), role.to_owned());
    OutputView { container, role, deployment_id: String::new(), time: String::new(), lines }
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
