//! What may happen and what must happen next: pure, without clock, randomness, async or I/O.
//!
//! [`observed`] is the vocabulary of the world; [`workload`], [`registry`] and [`engine`] are folds; [`order`] finds circles; [`deployment`] is
//! the protocol (`evolve`, `decide`, `next`) and [`protocol`] its rules by name; [`plan`] makes and checks plans; [`rejected`] says which images only a person deploys; [`errand`] says what people may run in containers; [`retry`] turns failures into delays; [`invariants`] say what must hold.
//! [`strategy`] says how a workload is replaced and why; [`ability`] what an engine must have for it; [`context`] where files of a source lie.
//! [`secret`] holds the versions of secrets and finds references to them; [`mod@file`] reads workload files; [`mod@reference`] image references; [`rules`] decide which change deploys what.

pub mod ability;
pub mod context;
pub mod deployment;
pub mod engine;
pub mod errand;
pub mod file;
pub mod invariants;
pub mod observed;
pub mod order;
pub mod plan;
pub mod protocol;
pub mod recipe;
pub mod reference;
pub mod registry;
pub mod rejected;
pub mod retry;
pub mod rules;
pub mod secret;
pub mod strategy;
pub mod template;
pub mod workload;
