//! Cutover: the code map, bottom-up.

pub mod adapters;
pub mod clock;
pub mod intake;
pub mod store;
