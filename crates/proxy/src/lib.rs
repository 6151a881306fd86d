//! The data plane of Cutover. It knows nothing of the engine.

pub mod wire;
