//! The data plane of Cutover. It knows nothing of the engine.
//!
//! Bottom-up: [`wire`] is the contract; [`config`] what it is told; [`moment`] its clocks; [`metrics`] and
//! [`access_log`] what it tells; [`pool`] connections to targets; [`drain`] claims on them; [`table`] who may change
//! which route; [`probe`] the gate's verdict at the switch; [`forward`] a request's way; [`serving`] connections of
//! clients; [`names`] by what workloads find one another, and [`holder`] who keeps their port; [`admin`] the engine's socket; [`process`] parent and child.

pub mod access_log;
pub mod admin;
pub mod config;
pub mod drain;
pub mod forward;
pub mod holder;
pub mod metrics;
pub mod moment;
pub mod names;
pub mod pool;
pub mod probe;
pub mod process;
pub mod serving;
pub mod table;
pub mod wire;
