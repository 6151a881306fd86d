//! The data plane as clients, origins and the engine see it.

mod drain;
mod hooks;
mod messages;
mod process;
mod retry;
mod support;
mod table;
