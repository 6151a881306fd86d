//! A person and a program: frames one way, what is printed the other, and one end whoever goes first. Nothing is buffered
//! beyond one piece: a person who does not read holds the program up, as a pipe does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cutover_events::errand::ErrandEnd;
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::super::Execution;
use super::frame::{self, Frame, MAX_PAYLOAD};
use super::opening::Errand;
use super::{Wire, size};
use crate::adapters::runtime::{Attached, Printed, Push, Running, RuntimeError};
use crate::logs::{Redaction, Redactor};

/// Between two signs of life.
const PING: Duration = Duration::from_secs(15);
/// A person whose side says nothing for this long is gone: it gives four signs of life in that time.
const SILENCE: Duration = Duration::from_secs(60);
/// Signs of life without a byte read or printed, a count: a day at a terminal that somebody has forgotten.
const IDLE_PINGS: u32 = 24 * 60 * 4;
/// How long the connection may take after the answer.
const UPGRADE: Duration = Duration::from_secs(30);
/// How long a program may take to end once nobody is at it.
const GRACE: Duration = Duration::from_secs(5);

/// How long what could be the beginning of a secret is held back from a person: less than anybody sees, and far more than
/// lies between two pieces of one value that a program prints at once.
const HOLD: Duration = Duration::from_millis(40);

/// What a program ends with that cannot be run, or is not there.
const CANNOT_BEGIN: [i32; 2] = [126, 127];

/// How the connection and the program came apart.
enum Apart {
    /// The program closed its output.
    Over,
    /// Docker did.
    Broken(RuntimeError),
    /// Whatever else ends it.
    Pushed(ErrandEnd),
}

impl Execution {
    /// Serves to the end, which is recorded before the person is told.
    pub(super) async fn serve(self: &Arc<Self>, errand: Errand, wire: Wire) {
        let Errand { id, workload, program, attached, own, begun_ms, notes, held } = errand;
        let running = attached.running.clone();
        let redactor = self.redactor(workload);
        let wire = tokio::time::timeout(UPGRADE, wire).await.ok().and_then(Result::ok);
        let (mut reader, mut writer) = match wire {
            Some(wire) => {
                let (reader, writer) = tokio::io::split(wire);
                (Some(reader), Some(writer))
            }
            None => (None, None),
        };
        let apart = match (&mut reader, &mut writer) {
            (Some(reader), Some(writer)) => {
                self.carry((reader, writer), (attached, &held.torn_down), (&notes, &redactor)).await
            }
            _ => Apart::Pushed(ErrandEnd::Left),
        };
        let (end, last) = self.ended(apart, &running).await;
        self.take_alone_away(own).await;
        self.record_end(workload, (id, end), Some(begun_ms)).await;
        drop(held);
        if let Some(writer) = &mut writer {
            // Who has gone is told nothing.
            drop(tokio::time::timeout(GRACE, tell_the_end(writer, &program, &last)).await);
        }
    }

    async fn carry(
        &self,
        (reader, writer): (&mut (impl AsyncRead + Unpin), &mut (impl AsyncWrite + Unpin)),
        (attached, torn_down): (Attached, &CancellationToken),
        (notes, redactor): (&[String], &Redactor),
    ) -> Apart {
        let (moved, running) = (AtomicBool::new(false), attached.running.clone());
        tokio::select! {
            end = self.upward(reader, (attached.input, &running), &moved) => Apart::Pushed(end),
            apart = downward(writer, (attached.output, notes), (&moved, redactor)) => apart,
            () = self.errands.stop.cancelled() => Apart::Pushed(ErrandEnd::Stopped),
            () = torn_down.cancelled() => Apart::Pushed(ErrandEnd::TornDown),
        }
    }

    /// From the person to the program, until the person goes away. What the program does not read any more is dropped.
    async fn upward(
        &self,
        reader: &mut (impl AsyncRead + Unpin),
        (mut input, running): (std::pin::Pin<Box<dyn AsyncWrite + Send>>, &Running),
        moved: &AtomicBool,
    ) -> ErrandEnd {
        loop {
            let Ok(Ok(Some(frame))) = tokio::time::timeout(SILENCE, frame::read(reader)).await else {
                return ErrandEnd::Left;
            };
            match frame {
                Frame::Input(bytes) => {
                    moved.store(true, Ordering::Relaxed);
                    drop(input.write_all(&bytes).await.and(input.flush().await));
                }
                Frame::InputEnd => drop(input.shutdown().await),
                // A terminal that keeps its size is no reason to end what runs on it.
                Frame::Resize(columns, rows) => drop(self.attaches.resize(running, size((columns, rows))).await),
                Frame::Ping => (),
                _ => return ErrandEnd::Left,
            }
        }
    }

    /// How it ended, and the last frame. A program that nobody is at any more is told to end, and made to.
    async fn ended(&self, apart: Apart, running: &Running) -> (ErrandEnd, Frame) {
        match apart {
            Apart::Over => match self.attaches.exit_code(running).await {
                Ok(code) => (ErrandEnd::Exited(code), Frame::Exit(code)),
                Err(RuntimeError::NotFound(_)) => {
                    let text = "its container was removed meanwhile: a deployment replaces it whatever runs in it";
                    (ErrandEnd::Unknown, Frame::Lost(text.to_owned()))
                }
                Err(error) => (ErrandEnd::Unknown, Frame::Lost(error.to_string())),
            },
            // Docker says why a program cannot be begun where its output would be, and not in the form of one.
            Apart::Broken(error) => match self.attaches.exit_code(running).await {
                Ok(code) if CANNOT_BEGIN.contains(&code) => (ErrandEnd::Exited(code), Frame::Exit(code)),
                _ => (ErrandEnd::Unknown, Frame::Lost(error.to_string())),
            },
            Apart::Pushed(end) => {
                self.end_program(running).await;
                let text = match &end {
                    ErrandEnd::Idle => "nothing was typed or printed for a day",
                    ErrandEnd::Stopped => "the engine was stopped",
                    ErrandEnd::TornDown => "the workload was torn down",
                    _ => "the connection ended",
                };
                (end, Frame::Lost(format!("{text}: the program was told to end")))
            }
        }
    }

    async fn end_program(&self, running: &Running) {
        for push in [Push::HangUp, Push::Kill] {
            match self.attaches.push(running, push).await {
                // One with a container for itself ends with it.
                Ok(()) if matches!(running, Running::Alone(_)) => return,
                Ok(())
                    if tokio::time::timeout(GRACE, self.attaches.exit_code(running))
                        .await
                        .is_ok_and(|code| code.is_ok()) =>
                {
                    return;
                }
                Ok(()) => (),
                Err(error) => tracing::warn!(%error, "a program that nobody is at any more may go on"),
            }
        }
    }
}

/// What a person is told of a program that could not be run.
fn cannot_begin(program: &str, last: &Frame) -> Option<Frame> {
    let cannot = matches!(last, Frame::Exit(code) if CANNOT_BEGIN.contains(code));
    let text = || format!("{program} cannot be run there: it is not in the container, or is no program");
    cannot.then(text).map(Frame::Note)
}

/// The last frames.
async fn tell_the_end(writer: &mut (impl AsyncWrite + Unpin), program: &str, last: &Frame) -> std::io::Result<()> {
    if let Some(note) = cannot_begin(program, last) {
        frame::write(writer, &note).await?;
    }
    frame::write(writer, last).await?;
    writer.shutdown().await
}

/// From the program to the person, until its output ends or the person does not take it.
async fn downward(
    writer: &mut (impl AsyncWrite + Unpin),
    (mut output, notes): (impl Stream<Item = Result<Printed, RuntimeError>> + Unpin, &[String]),
    (moved, redactor): (&AtomicBool, &Redactor),
) -> Apart {
    let mut shown = Shown { out: redactor.stream(), err: redactor.stream() };
    let left = || Apart::Pushed(ErrandEnd::Left);
    for note in notes {
        if frame::write(writer, &Frame::Note(note.clone())).await.is_err() {
            return left();
        }
    }
    let (mut pings, mut quiet) = (tokio::time::interval(PING), 0_u32);
    loop {
        let sent = tokio::select! {
            _ = pings.tick() => {
                quiet = if moved.swap(false, Ordering::Relaxed) { 0 } else { quiet + 1 };
                if quiet > IDLE_PINGS {
                    return Apart::Pushed(ErrandEnd::Idle);
                }
                frame::write(writer, &Frame::Ping).await
            }
            piece = output.next() => match piece {
                None | Some(Err(_)) => {
                    let rest = shown.give_all(writer).await;
                    return match (rest, piece) {
                        (Err(_), _) => left(),
                        (Ok(()), Some(Err(error))) => Apart::Broken(error),
                        (Ok(()), _) => Apart::Over,
                    };
                }
                Some(Ok(piece)) => {
                    moved.store(true, Ordering::Relaxed);
                    shown.pass_on(writer, piece).await
                }
            },
            () = tokio::time::sleep(HOLD), if shown.holds() => shown.give_all(writer).await,
        };
        if sent.is_err() {
            return left();
        }
    }
}

/// What is printed, without the values of secrets.
struct Shown {
    out: Redaction,
    err: Redaction,
}

impl Shown {
    fn holds(&self) -> bool {
        self.out.holds() || self.err.holds()
    }

    async fn pass_on(&mut self, writer: &mut (impl AsyncWrite + Unpin), piece: Printed) -> std::io::Result<()> {
        match piece {
            Printed::Out(bytes) => write_out(writer, self.out.push(&bytes), Frame::Out).await,
            Printed::Err(bytes) => write_out(writer, self.err.push(&bytes), Frame::Err).await,
        }
    }

    /// What was held back: it became no value.
    async fn give_all(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
        write_out(writer, self.out.finish(), Frame::Out).await?;
        write_out(writer, self.err.finish(), Frame::Err).await
    }
}

async fn write_out(
    writer: &mut (impl AsyncWrite + Unpin),
    bytes: Vec<u8>,
    wrap: fn(Bytes) -> Frame,
) -> std::io::Result<()> {
    let mut bytes = Bytes::from(bytes);
    while !bytes.is_empty() {
        let part = bytes.split_to(bytes.len().min(MAX_PAYLOAD));
        frame::write(writer, &wrap(part)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// What a person sees of pieces that come at once, and of those that come after a pause.
    async fn seen(at_once: &[&'static [u8]], later: &'static [u8]) -> Vec<u8> {
        let redactor = Redactor::new([&b"hunter22hunter22"[..]]);
        let pieces: Vec<_> = at_once.iter().map(|piece| Ok(Printed::Out(Bytes::from_static(piece)))).collect();
        let last = async move {
            drop(tokio::time::timeout(HOLD * 2, std::future::pending::<()>()).await);
            Ok(Printed::Out(Bytes::from_static(later)))
        };
        let output = Box::pin(stream::iter(pieces).chain(stream::once(last)));
        let (mut near, mut far) = tokio::io::duplex(64 << 10);
        let moved = AtomicBool::new(false);
        let apart = downward(&mut near, (output, &[]), (&moved, &redactor)).await;
        assert!(matches!(apart, Apart::Over));
        drop(near);
        let mut out = Vec::new();
        while let Ok(Some(frame)) = frame::read(&mut far).await {
            match frame {
                Frame::Out(bytes) => out.extend_from_slice(&bytes),
                other => assert!(matches!(other, Frame::Ping), "{other:?}"),
            }
        }
        out
    }

    #[tokio::test]
    async fn a_secret_in_two_pieces_is_not_shown_and_nothing_is_held_back_for_long() {
        let out = seen(&[b"the password is hunter22", b"hunter22, ok\n$ "], b"").await;
        assert_eq!(String::from_utf8_lossy(&out), "the password is [secret], ok\n$ ");
        // What a person waits for is shown, although a secret may begin so.
        let out = seen(&[b"who? hunter"], b" of deer").await;
        assert_eq!(String::from_utf8_lossy(&out), "who? hunter of deer");
        assert_eq!(seen(&[], b"at the end: hunt").await, b"at the end: hunt");
    }
}
