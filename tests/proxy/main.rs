//! The data plane as clients, origins and the engine see it.

mod drain;
mod hooks;
mod messages;
mod retry;
mod support;
mod table;
