//! The data plane as clients, origins and the engine see it.

mod messages;
mod support;
mod table;
