//! Read models, folded from the log as it grows.

pub mod addresses;
pub mod deployments;
mod live;
mod world;

pub use live::{Cell, Live, Planned, Written};
pub use world::{Building, ContainerRow, RouteRow, Rows, ServiceRow, World};
