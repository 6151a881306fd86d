//! What the containers that serve print, with a mark where another release takes over. Followed across restarts of the
//! engine: it is asked again for what came after the last line.

use crate::api::views::{OutputKind, OutputLine};
use crate::cli::client::{CallError, Client, Frames};
use crate::cli::commands::Session;
use crate::cli::exit::{Exit, Failure};
use crate::cli::follow::Away;
use crate::cli::grammar::Logs;
use crate::cli::output::Output;
use crate::cli::render::{self, Paint};

/// How an answer came to its end.
enum End {
    /// There is no more.
    Over,
    /// The engine went away.
    Broken,
}

/// What was told so far.
struct Told<'a> {
    name: &'a str,
    logs: &'a Logs,
    /// The time of the newest line, ns since 1970.
    after: u64,
    /// The release that serves, and in how many containers.
    serves: Option<(String, usize)>,
    /// Whether nothing was told yet by the connection that is read.
    anew: bool,
    /// Who has printed so far, in the order in which they began.
    printers: Vec<String>,
}

/// `logs` of what serves.
pub(super) async fn tell(session: &mut Session, name: &str, logs: &Logs) -> Result<Exit, Failure> {
    let mut told = Told { name, logs, after: 0, serves: None, anew: true, printers: Vec::new() };
    let Session { client, output, .. } = session;
    let follow = async {
        let (mut away, mut over) = (Away::new(None), End::Broken);
        loop {
            match client.events(&told.path()).await {
                Ok(frames) => {
                    away.back();
                    over = told.pass_on(frames, output).await?;
                }
                Err(error) => told.bear(client, (&mut away, &error))?,
            }
            if matches!(over, End::Over) {
                return Ok(Exit::Ok);
            }
            Away::pause().await;
        }
    };
    tokio::select! {
        ended = follow => ended,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "")),
    }
}

impl Told<'_> {
    fn path(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let part = &self.logs.part;
        query.extend_pairs(part.process.iter().map(|name| ("process", name.as_str())));
        query.extend_pairs(part.replica.iter().map(|number| ("replica", number.to_string())));
        query.extend_pairs(self.logs.follow.then_some(("follow", "true")));
        if self.after > 0 {
            query.append_pair("after", &self.after.to_string());
        } else {
            query.extend_pairs(part.since.iter().map(|time| ("since", time.as_str())));
            query.append_pair("tail", &self.logs.lines.to_string());
        }
        format!("/api/v1/workloads/{}/output?{}", self.name, query.finish())
    }

    /// An engine that is away is waited for by whoever follows.
    fn bear(&self, client: &Client, (away, error): (&mut Away, &CallError)) -> Result<(), Failure> {
        if self.logs.follow && self.serves.is_some() { away.bear(client, error) } else { Err(client.failure(error)) }
    }

    async fn pass_on(&mut self, mut frames: Frames, output: &mut Output) -> Result<End, Failure> {
        self.anew = true;
        while let Some(frame) = frames.next().await {
            match frame.event.as_str() {
                "end" => return Ok(End::Over),
                "bye" => break,
                _ => (),
            }
            if let Ok(line) = serde_json::from_str::<OutputLine>(&frame.data) {
                self.line(&line, output)?;
            }
        }
        if self.logs.follow {
            return Ok(End::Broken);
        }
        Err(Failure::new(Exit::Unreachable, "the engine went away before everything was told"))
    }

    fn line(&mut self, line: &OutputLine, output: &mut Output) -> Result<(), Failure> {
        self.after = self.after.max(line.at_ns);
        if line.kind == OutputKind::Serves || line.kind == OutputKind::Nothing {
            let serves = Some((line.release.clone(), line.replica));
            // After a restart of the engine it is told again.
            let again = std::mem::take(&mut self.anew) && self.serves == serves;
            self.serves = serves;
            if again {
                return Ok(());
            }
        }
        if self.logs.json.json {
            output.json(line)?;
        } else {
            let shown = self.shown(line, output.paint());
            output.line(&shown)?;
        }
        output.flush()
    }

    /// A line as a person reads it; which container it is from where there is more than one.
    fn shown(&mut self, line: &OutputLine, paint: Paint) -> String {
        match line.kind {
            OutputKind::Serves => format!("--- {} serves from here on ---", line.release),
            OutputKind::Nothing => format!("--- nothing serves from here on: {} ---", render::printed(&line.text)),
            OutputKind::Out | OutputKind::Err => {
                let one = self.serves.as_ref().is_none_or(|(_, containers)| *containers == 1);
                let text = render::printed(&line.text);
                if one {
                    return text;
                }
                let from = format!("{}.{} | ", line.process, line.replica);
                format!("{}{text}", paint.beside(self.which(&line.process), &from))
            }
        }
    }

    /// Which one of those who print this is.
    fn which(&mut self, process: &str) -> usize {
        self.printers.iter().position(|known| known == process).unwrap_or_else(|| {
            self.printers.push(process.to_owned());
            self.printers.len() - 1
        })
    }
}
