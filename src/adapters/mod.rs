//! The world, a port per folder, each with an in-memory twin.

pub mod router;
pub mod runtime;
