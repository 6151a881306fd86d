//! The world of the in-memory adapters: the plain value of `cutover-world`, which they share, and its texts.

mod twin;

pub use cutover_world::{
    Answer, Body, Create, DrainBody, LiveRestore, Refusal, Request, Route, Serving, TableFate, TooManyUnits, Units,
    World,
};
pub(crate) use twin::{Details, RouteText};
pub use twin::{Fault, OnStart, Program, Shared, Twin};
