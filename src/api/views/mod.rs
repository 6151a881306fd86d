//! What the API says and takes, as JSON: versioned with the API, apart from events and from the domain's state.

pub mod asks;
pub mod deployment;
pub mod engine;
pub mod event;
pub mod foretold;
pub mod hook;
pub mod image;
pub mod secret;
pub mod spec;
pub mod workload;

pub use asks::*;
pub use deployment::*;
pub use engine::*;
pub use event::*;
pub use foretold::*;
pub use hook::*;
pub use image::*;
pub use secret::*;
pub use spec::*;
pub use workload::*;
