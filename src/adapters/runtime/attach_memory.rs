//! The twin of Docker's `exec` and `attach`. It knows the words that the program of the contract's image takes: `say OUT
//! ERR CODE`, `cat`, `sizes`, `hang`.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cutover_domain::observed::{DockerId, Phase};
use cutover_events::{Digest, ErrandId, LogId};
use futures_util::stream::{self, BoxStream, StreamExt};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::sync::watch;

use super::attach::{
    Alone, Attached, Attaches, Like, Line, Pipe, Printed, Program, Push, Reading, Running, Size, Until,
};
use super::memory::MemoryRuntime;
use super::{CreateContainer, Runtime, RuntimeError};

/// Bytes that a program of the twin takes before it reads.
const PIPE: usize = 64 * 1024;
/// What a program ends with that is told to hang up: 128 and the number of the signal.
const HUNG_UP: i32 = 129;
/// What a program ends with that is killed.
const KILLED: i32 = 137;
/// What Docker says of a program that is not there, and what it ends with.
const NO_PROGRAM: (&str, i32) = ("executable file not found in $PATH", 127);

/// What people run in a world.
#[derive(Debug, Default)]
pub(crate) struct Errands {
    runs: BTreeMap<String, Arc<Run>>,
    alone: BTreeMap<DockerId, (LogId, Alone)>,
    begun: u64,
}

impl Errands {
    /// What the container of an errand was created with.
    pub(crate) fn created(&self, errand: ErrandId) -> Option<CreateContainer> {
        self.alone.values().find(|(_, alone)| alone.errand == errand).map(|(_, alone)| alone.container.clone())
    }
}

#[derive(Debug)]
struct Run {
    code: watch::Sender<Option<i32>>,
    size: Mutex<Option<Size>>,
}

impl Run {
    fn end(&self, code: i32) {
        self.code.send_if_modified(|held| held.is_none() && held.replace(code).is_none());
    }
}

impl MemoryRuntime {
    fn begin(&self, program: &Program, running: Running) -> Attached {
        let run = Arc::new(Run { code: watch::Sender::new(None), size: Mutex::new(program.terminal) });
        self.shared().lock().errands.runs.insert(key(&running), run.clone());
        let (input, read) = duplex(PIPE);
        let words: Vec<String> = program.command.iter().skip_while(|word| word.contains('/')).cloned().collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = match words.as_slice() {
            ["say", out, err, code] => said(&run, (out, err), code.parse().unwrap_or(1)),
            ["cat"] => copied(run, read),
            ["sizes"] => {
                let size = *run.size.lock();
                let text = size.map_or_else(|| "none\n".to_owned(), |size| format!("{} {}\n", size.columns, size.rows));
                said(&run, (&text, ""), 0)
            }
            ["hang"] => hung(run),
            _ => said(&run, ("", NO_PROGRAM.0), NO_PROGRAM.1),
        };
        Attached { input: Box::pin(input), output, running }
    }

    fn run(&self, running: &Running) -> Result<Arc<Run>, RuntimeError> {
        let run = self.shared().lock().errands.runs.get(&key(running)).cloned();
        run.ok_or_else(|| RuntimeError::NotFound("no such program".to_owned()))
    }
}

fn key(running: &Running) -> String {
    match running {
        Running::Inside { exec, .. } => exec.clone(),
        Running::Alone(container) => hex::encode(container.0),
    }
}

fn said(run: &Run, (out, err): (&str, &str), code: i32) -> BoxStream<'static, Result<Printed, RuntimeError>> {
    run.end(code);
    let pieces = [
        (!out.is_empty()).then(|| Ok(Printed::Out(Bytes::copy_from_slice(out.as_bytes())))),
        (!err.is_empty()).then(|| Ok(Printed::Err(Bytes::copy_from_slice(err.as_bytes())))),
    ];
    stream::iter(pieces.into_iter().flatten()).boxed()
}

fn copied(run: Arc<Run>, read: DuplexStream) -> BoxStream<'static, Result<Printed, RuntimeError>> {
    stream::unfold((run, read), |(run, mut read)| async move {
        let mut ended = run.code.subscribe();
        let mut piece = vec![0; PIPE];
        let count = tokio::select! {
            count = read.read(&mut piece) => count.unwrap_or(0),
            _ = ended.wait_for(Option::is_some) => 0,
        };
        if count == 0 {
            run.end(0);
            return None;
        }
        piece.truncate(count);
        Some((Ok(Printed::Out(piece.into())), (run, read)))
    })
    .boxed()
}

fn hung(run: Arc<Run>) -> BoxStream<'static, Result<Printed, RuntimeError>> {
    stream::once(async move {
        drop(run.code.subscribe().wait_for(Option::is_some).await);
        Ok(Printed::Out(Bytes::new()))
    })
    .boxed()
}

#[async_trait]
impl Attaches for MemoryRuntime {
    async fn exec(&self, container: DockerId, program: &Program) -> Result<Attached, RuntimeError> {
        let exec = {
            let mut twin = self.shared().lock();
            super::memory::check(&twin)?;
            let body = twin.world.container(container);
            let body = body.ok_or_else(|| RuntimeError::NotFound("no such container".to_owned()))?;
            if body.phase != Phase::Running {
                return Err(RuntimeError::Refused("the container is not running".to_owned()));
            }
            twin.errands.begun += 1;
            format!("exec {}", twin.errands.begun)
        };
        Ok(self.begin(program, Running::Inside { exec, container }))
    }

    async fn create_alone(&self, log: LogId, alone: &Alone) -> Result<DockerId, RuntimeError> {
        let mut twin = self.shared().lock();
        super::memory::check(&twin)?;
        if !twin.programs.contains_key(&alone.container.image) {
            return Err(RuntimeError::ImageMissing(format!("the image {} is not here", alone.container.image)));
        }
        let id = DockerId(Digest::of(alone.errand.to_string().as_bytes()).0);
        twin.errands.alone.insert(id, (log, alone.clone()));
        Ok(id)
    }

    async fn create_alone_like(&self, log: LogId, alone: &Alone, like: &Like) -> Result<DockerId, RuntimeError> {
        let known = {
            let twin = self.shared().lock();
            super::memory::check(&twin)?;
            let unit = twin.world.container(like.container).map(|body| body.unit);
            unit.and_then(|unit| twin.details.get(&unit).cloned())
        };
        let known = known.ok_or_else(|| RuntimeError::NotFound("the container that it is made like".to_owned()))?;
        let CreateContainer { image, env, mounts, network, .. } = known.create;
        let container = CreateContainer { image, env, mounts, network, ..alone.container.clone() };
        self.create_alone(log, &Alone { container, ..alone.clone() }).await
    }

    async fn start_alone(&self, container: DockerId, terminal: Option<Size>) -> Result<Attached, RuntimeError> {
        let found =
            self.shared().lock().errands.alone.get(&container).map(|(_, alone)| alone.container.command.clone());
        let command = found.ok_or_else(|| RuntimeError::NotFound("no such container".to_owned()))?;
        let program = Program { command: command.unwrap_or_default(), terminal };
        Ok(self.begin(&program, Running::Alone(container)))
    }

    async fn alone(&self, log: LogId) -> Result<Vec<(DockerId, ErrandId)>, RuntimeError> {
        let twin = self.shared().lock();
        super::memory::check(&twin)?;
        let ours = twin.errands.alone.iter().filter(|(_, (its, _))| *its == log);
        Ok(ours.map(|(id, (_, alone))| (*id, alone.errand)).collect())
    }

    async fn remove_alone(&self, container: DockerId) -> Result<(), RuntimeError> {
        super::memory::check(&self.shared().lock())?;
        if let Ok(run) = self.run(&Running::Alone(container)) {
            run.end(KILLED);
        }
        self.shared().lock().errands.alone.remove(&container);
        Ok(())
    }

    async fn read(
        &self,
        container: DockerId,
        reading: Reading,
    ) -> Result<BoxStream<'static, Result<Line, RuntimeError>>, RuntimeError> {
        let text = self.output(container, usize::MAX).await?;
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let tail = reading.tail.and_then(|lines| usize::try_from(lines).ok()).unwrap_or(usize::MAX);
        let lines: Vec<_> =
            lines.into_iter().zip(1..).map(|(text, at_ns)| Line { at_ns, pipe: Pipe::Out, text }).collect();
        let said = stream::iter(lines.clone().into_iter().skip(lines.len().saturating_sub(tail)).map(Ok));
        // No container of the twin prints another word, and whoever follows one waits for it.
        Ok(match reading.until {
            Until::Now => said.boxed(),
            Until::End => said.chain(stream::pending()).boxed(),
        })
    }

    async fn resize(&self, running: &Running, size: Size) -> Result<(), RuntimeError> {
        *self.run(running)?.size.lock() = Some(size);
        Ok(())
    }

    async fn exit_code(&self, running: &Running) -> Result<i32, RuntimeError> {
        let code = *self.run(running)?.code.borrow();
        code.ok_or_else(|| RuntimeError::Unavailable("a program has closed its output and goes on".to_owned()))
    }

    async fn push(&self, running: &Running, push: Push) -> Result<(), RuntimeError> {
        if let Running::Inside { .. } = running {
            self.run(running)?.end(if push == Push::HangUp { HUNG_UP } else { KILLED });
        }
        Ok(())
    }
}
