//! Cutover: the code map, bottom-up.

pub mod adapters;
pub mod api;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod crash;
pub mod execution;
pub mod image_pushes;
pub mod intake;
pub mod logs;
pub mod projections;
pub mod recovery;
pub mod schedule;
pub mod secrets;
pub mod server;
pub mod services;
pub mod store;
pub mod telemetry;
