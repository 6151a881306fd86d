//! `exec` and `run`: a person's program, with this terminal or with pipes. Its exit code is ours.

use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::Session;
use crate::api::views::{ExecAsk, RunAsk, TerminalAsk};
use crate::cli::client::Call;
use crate::cli::exit::{Exit, Failure};
use crate::cli::grammar::{Exec, Run};
use crate::cli::values;
use crate::execution::errands::frame::{self, Frame, MAX_PAYLOAD};

/// Between two signs of life.
const PING: Duration = Duration::from_secs(15);
/// An engine that says nothing for this long is gone: it gives four signs of life in that time.
const SILENCE: Duration = Duration::from_secs(60);
/// Pieces on their way between a thread and the connection, a count: what is not taken holds the other side up.
const PIECES: usize = 4;
/// How long what was printed may take to be written once this command was told to end.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A code that no process of a shell can have been given.
const NO_CODE: u8 = 255;

/// `exec`.
pub(super) async fn exec(session: &Session, exec: Exec) -> Result<ExitCode, Failure> {
    let name = values::workload(&exec.name)?;
    let terminal = terminal();
    let ask = ExecAsk { command: exec.command, terminal, process: exec.process, replica: exec.replica };
    at(session, Call::post(format!("/api/v1/workloads/{name}/exec"), &ask)?, terminal).await
}

/// `run`.
pub(super) async fn run(session: &Session, run: Run) -> Result<ExitCode, Failure> {
    let name = values::workload(&run.name)?;
    let terminal = terminal();
    let ask = RunAsk { command: run.command, terminal, service: run.service };
    at(session, Call::post(format!("/api/v1/workloads/{name}/run"), &ask)?, terminal).await
}

/// The size of this terminal, where a person sits at both ends.
fn terminal() -> Option<TerminalAsk> {
    let whole = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let size = whole.then(|| tcgetwinsize(std::io::stdout()).ok()).flatten()?;
    Some(TerminalAsk { columns: size.ws_col, rows: size.ws_row })
}

/// Begins it and stays at it to its end.
async fn at(session: &Session, call: Call, terminal: Option<TerminalAsk>) -> Result<ExitCode, Failure> {
    let call = call.becoming(frame::PROTOCOL);
    let wire = session.client.upgrade(&call).await.map_err(|error| session.client.failure(&error))?;
    let raw = terminal.map(|_| Raw::set()).transpose()?;
    let (mut reader, mut writer) = tokio::io::split(wire);
    let printers = Printers::start();
    let ended = tokio::select! {
        ended = down(&mut reader, &printers) => ended,
        failed = up(&mut writer, terminal) => Err(failed),
        failed = told_to_end() => Err(failed),
    };
    match &ended {
        Ok(_) => printers.finish().await,
        // Somebody who does not read, such as a pager, must not hold up what was interrupted.
        Err(_) => drop(tokio::time::timeout(LAST_WORDS, printers.finish()).await),
    }
    drop(raw);
    ended
}

/// Returns when this command is told to end, so that the terminal is left as it was found. With a raw terminal it is the
/// program that reads Ctrl-C, and a signal comes from elsewhere.
async fn told_to_end() -> Failure {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
    let mut signals: Vec<_> = kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect();
    if signals.is_empty() {
        return std::future::pending().await;
    }
    let any = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
    futures_util::future::select_all(any).await;
    Failure::new(Exit::Interrupted, "")
}

/// What the program prints, until it has ended.
async fn down(reader: &mut (impl tokio::io::AsyncRead + Unpin), printers: &Printers) -> Result<ExitCode, Failure> {
    let gone = |why: &str| {
        Failure::new(Exit::Unreachable, format!("the engine went away ({why}): how the program ended is not known"))
    };
    loop {
        let frame = tokio::time::timeout(SILENCE, frame::read(reader)).await;
        let frame = frame.map_err(|_| gone("it says nothing"))?.map_err(|error| gone(&error.to_string()))?;
        match frame.ok_or_else(|| gone("the connection ended"))? {
            Frame::Out(bytes) => printers.out.pass(bytes).await?,
            Frame::Err(bytes) => printers.err.pass(bytes).await?,
            Frame::Note(text) => printers.err.pass(format!("cutover: {text}\r\n").into()).await?,
            Frame::Exit(code) => return Ok(ExitCode::from(u8::try_from(code).unwrap_or(NO_CODE))),
            Frame::Lost(why) => {
                let text = format!("how the program ended is not known: {why}");
                return Err(Failure::new(Exit::Unreachable, text));
            }
            Frame::Ping | Frame::Input(_) | Frame::InputEnd | Frame::Resize(..) => (),
        }
    }
}

/// What the person types, sizes of the terminal and signs of life, until the connection breaks.
async fn up(writer: &mut (impl AsyncWrite + Unpin), terminal: Option<TerminalAsk>) -> Failure {
    // Whether there may be more to read here.
    let (mut typed, mut open) = (typed(), true);
    let mut pings = tokio::time::interval(PING);
    let mut resized = terminal.and_then(|_| signal(SignalKind::window_change()).ok());
    loop {
        let changed = async {
            match &mut resized {
                Some(resized) => resized.recv().await,
                None => std::future::pending().await,
            }
        };
        let frame = tokio::select! {
            bytes = typed.recv(), if open => match bytes {
                Some(bytes) if bytes.is_empty() => Frame::InputEnd,
                Some(bytes) => Frame::Input(bytes),
                None => {
                    open = false;
                    continue;
                }
            },
            _ = changed => match self::terminal() {
                Some(size) => Frame::Resize(size.columns, size.rows),
                None => Frame::Ping,
            },
            _ = pings.tick() => Frame::Ping,
        };
        let sent = frame::write(writer, &frame).await.and(writer.flush().await);
        if sent.is_err() {
            // Why it broke is told by what is read.
            std::future::pending::<()>().await;
        }
    }
}

/// What is typed, and an empty piece at its end. A thread of its own: a read of a terminal cannot be given up, and ends
/// with the process.
fn typed() -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(PIECES);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut piece = vec![0; MAX_PAYLOAD];
        loop {
            let count = match input.read(&mut piece) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other.unwrap_or(0),
            };
            if sender.blocking_send(Bytes::copy_from_slice(&piece[..count])).is_err() || count == 0 {
                return;
            }
        }
    });
    receiver
}

/// Threads that write: somebody who does not read holds them up, and not the signs of life.
struct Printers {
    out: Printer,
    err: Printer,
}

struct Printer {
    pieces: mpsc::Sender<Bytes>,
    done: mpsc::Receiver<()>,
}

impl Printers {
    fn start() -> Self {
        Self { out: Printer::start(std::io::stdout()), err: Printer::start(std::io::stderr()) }
    }

    /// Returns once everything is written.
    async fn finish(self) {
        for printer in [self.out, self.err] {
            let Printer { pieces, mut done } = printer;
            drop(pieces);
            done.recv().await;
        }
    }
}

impl Printer {
    fn start(mut to: impl Write + Send + 'static) -> Self {
        let (pieces, mut waiting) = mpsc::channel::<Bytes>(PIECES);
        let (over, done) = mpsc::channel(1);
        std::thread::spawn(move || {
            // Dropped at the end, which is what is waited for.
            let _over: mpsc::Sender<()> = over;
            let pieces = std::iter::from_fn(|| waiting.blocking_recv());
            let write = |piece: Bytes| to.write_all(&piece).and_then(|()| to.flush());
            // A reader that has gone is met by whoever passes the next piece.
            drop(pieces.map(write).find(Result::is_err));
        });
        Self { pieces, done }
    }

    /// A reader that has gone ends the command, as it ends any in a pipe.
    async fn pass(&self, piece: Bytes) -> Result<(), Failure> {
        self.pieces.send(piece).await.map_err(|_| Failure::reader_gone())
    }
}

/// The terminal passes on every key as it is; afterwards it is as it was.
struct Raw(Termios);

impl Raw {
    fn set() -> Result<Self, Failure> {
        let failed = |error| Failure::new(Exit::Other, format!("the terminal cannot be used: {error}"));
        let before = tcgetattr(std::io::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no mode.
        tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0).ok();
    }
}
