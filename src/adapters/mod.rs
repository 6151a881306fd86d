//! The world, a port per folder, each with an in-memory twin.

pub mod builder;
pub mod compose;
pub mod host;
pub mod images;
pub mod probe;
pub mod router;
pub mod runtime;
pub mod source;
pub mod units;
pub mod world;
