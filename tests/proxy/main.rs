//! The data plane as clients, origins and the engine see it.

#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod drain;
mod hooks;
mod messages;
mod names;
mod own;
mod process;
mod retry;
mod sites;
mod support;
mod table;
