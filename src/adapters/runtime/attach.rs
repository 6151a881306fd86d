//! The port to programs that people run in containers: in one that serves, or in one of their own.

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use cutover_domain::observed::DockerId;
use cutover_events::{ErrandId, LogId};
use futures_util::stream::BoxStream;
use tokio::io::AsyncWrite;

use super::{CreateContainer, Labels, RuntimeError};

/// What is run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// The program and its arguments; at least one.
    pub command: Vec<String>,
    /// Its terminal; `None`: it has pipes, and what it prints as an error comes apart.
    pub terminal: Option<Size>,
}

/// Of a terminal, in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// A container that a person's program has for itself.
#[derive(Clone, Debug)]
pub struct Alone {
    /// For the label.
    pub errand: ErrandId,
    /// What it is made from; its unit and deployment are nobody's and not in its labels.
    pub container: CreateContainer,
    /// Whether its program has a terminal.
    pub terminal: bool,
}

/// What a container of its own is made like, where it is not made of an image alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Like {
    /// A container that is there, whether it runs or not. Its image, environment, networks and all that is mounted in it are
    /// taken over; its ports, its names on its networks and its restart policy stay with it.
    pub container: DockerId,
    /// What it carries beside the labels of every such container.
    pub labels: Labels,
}

/// What a program has printed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Printed {
    /// On its output, or on its terminal.
    Out(Bytes),
    /// As an error.
    Err(Bytes),
}

/// Which part of what a container prints is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// Nothing before this second, since 1970.
    pub since_s: u64,
    /// Of what was printed before, at most so many lines; all where missing.
    pub tail: Option<u32>,
    /// How far.
    pub until: Until,
}

/// How far an output is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// To what is printed by now.
    Now,
    /// To the end of the container.
    End,
}

/// A line that a container has printed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// When, by Docker's clock, ns since 1970.
    pub at_ns: u64,
    /// Where.
    pub pipe: Pipe,
    /// What, without the end of the line; bytes that are no text are replaced.
    pub text: String,
}

/// Where something is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pipe {
    /// As output.
    Out,
    /// As an error.
    Err,
}

/// A program that runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Running {
    /// In a container that runs by itself.
    Inside {
        /// As the runtime names it.
        exec: String,
        /// The container.
        container: DockerId,
    },
    /// As the program of a container.
    Alone(DockerId),
}

/// How hard a program is told to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Push {
    /// As a terminal does that is closed.
    HangUp,
    /// So that it cannot refuse.
    Kill,
}

/// A program with what it reads and prints.
pub struct Attached {
    /// What it reads. Shut down, it reads the end; that is how a pipe is closed.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// What it prints, until it is over. Nothing is read ahead: who does not read holds the program up.
    pub output: BoxStream<'static, Result<Printed, RuntimeError>>,
    /// Which one it is.
    pub running: Running,
}

/// Runs programs of people, and reads for them what containers print. Every call has a deadline of its own.
#[async_trait]
pub trait Attaches: Send + Sync + 'static {
    /// Runs a program in a container that runs.
    async fn exec(&self, container: DockerId, program: &Program) -> Result<Attached, RuntimeError>;

    /// Creates a container for one program. It is in no listing but [`Attaches::alone`].
    async fn create_alone(&self, log: LogId, alone: &Alone) -> Result<DockerId, RuntimeError>;

    /// Creates a container for one program, made like another one: of `alone` it has its name, its labels and its command.
    /// It is in no listing but [`Attaches::alone`].
    async fn create_alone_like(&self, log: LogId, alone: &Alone, like: &Like) -> Result<DockerId, RuntimeError>;

    /// Starts such a container with somebody at its program from its first byte on.
    async fn start_alone(&self, container: DockerId, terminal: Option<Size>) -> Result<Attached, RuntimeError>;

    /// Every container of this log that a program has for itself. Complete, or an error.
    async fn alone(&self, log: LogId) -> Result<Vec<(DockerId, ErrandId)>, RuntimeError>;

    /// Ends and removes such a container; gone is success.
    async fn remove_alone(&self, container: DockerId) -> Result<(), RuntimeError>;

    /// Reads what a container prints, line by line, each pipe in its order.
    async fn read(
        &self,
        container: DockerId,
        reading: Reading,
    ) -> Result<BoxStream<'static, Result<Line, RuntimeError>>, RuntimeError>;

    /// Sets the size of a program's terminal.
    async fn resize(&self, running: &Running, size: Size) -> Result<(), RuntimeError>;

    /// The code that a program has ended with; waits a little for one that is about to.
    async fn exit_code(&self, running: &Running) -> Result<i32, RuntimeError>;

    /// Tells a program to end that nobody is at any more. One that has a container for itself ends with it.
    async fn push(&self, running: &Running, push: Push) -> Result<(), RuntimeError>;
}
