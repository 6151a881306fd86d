//! What may happen and what must happen next: pure, without clock, randomness, async or I/O.
//!
//! [`observed`] is the vocabulary of the world; [`workload`] the fold of one stream; [`deployment`] the protocol
//! (`evolve`, `decide`, `next`); [`plan`] makes and checks plans; [`retry`] turns failures into delays; [`invariants`]
//! what must hold, whatever happened.

pub mod deployment;
pub mod engine;
pub mod invariants;
pub mod observed;
pub mod plan;
pub mod registry;
pub mod retry;
pub mod workload;
