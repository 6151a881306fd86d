//! What has happened in Cutover, readable for ever: no async, no I/O.
//!
//! Bottom-up: [`id`], the shapes ([`source`], [`workload`], [`plan`], [`delivery`], [`deployment`], [`release`], [`errand`],
//! [`engine`]), their catalogue
//! ([`kind`]), what stands around them ([`envelope`]) and the stored form ([`codec`]). How to add an event:
//! `docs/adding-an-event.md`.

mod array;
pub mod codec;
pub mod delivery;
pub mod deployment;
pub mod engine;
pub mod envelope;
pub mod errand;
pub mod id;
pub mod kind;
pub mod plan;
pub mod release;
pub mod source;
pub mod workload;

pub use envelope::{Actor, Cause, Commit, Key, Sealed, Stamp, StreamId};
pub use id::*;
pub use kind::Event;
