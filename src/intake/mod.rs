//! Deliveries from outside: verified over raw bytes, durable before the 202, decided afterwards.
//!
//! A call goes through [`listener`] (limits, [`receive`]), [`providers`] (who signed it, what it says), the log (one
//! `DeliveryReceived`, deduped by its key) and back out as a status. [`decide`] then asks the rules of the domain what
//! comes of it, writes the verdicts down and queues the intents; `asking` asks repositories what rules by path have to know;
//! [`open`] finds what a crash has left undecided. [`deliveries`] is what people read afterwards.

mod answer;
mod asking;
pub mod bodies;
pub mod decide;
pub mod deliveries;
pub mod hints;
pub mod hooks;
pub mod listener;
pub mod open;
pub mod providers;
pub mod receive;
mod recent;
mod refusal;

pub use refusal::Refusal;
