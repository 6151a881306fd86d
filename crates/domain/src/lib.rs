//! What may happen and what must happen next: pure, without clock, randomness, async or I/O.

pub mod observed;
pub mod rules;
pub mod template;
