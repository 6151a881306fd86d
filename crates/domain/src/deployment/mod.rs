//! The course of a deployment: what has happened ([`evolve`]), what may happen ([`decide`]), what must happen
//! next ([`next`]). The same three functions drive a living deployment and a recovered one.

mod aim;
mod decide;
mod downtime;
mod drift;
mod drive;
mod evolve;
mod gate;
mod lists;
mod next;
mod release;
mod tend;
mod waits;

pub use aim::{Aim, aim};
pub use decide::{Command, Insist, Rejection, decide};
pub use drift::{handling, may_begin};
pub use evolve::{CorruptLog, evolve};
pub use gate::{ready, serves};
pub use next::{Decision, Next, next, probed, targets};

#[cfg(test)]
mod tests;
