//! Cutover: the code map, bottom-up.

pub mod adapters;
pub mod clock;
pub mod config;
pub mod store;
