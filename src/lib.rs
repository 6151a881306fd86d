//! Cutover: the code map, bottom-up.

pub mod adapters;
pub mod clock;
pub mod commands;
pub mod projections;
pub mod store;
