//! The HTTP API: routes, documents and errors over one border to the engine.
//!
//! Bottom-up: [`views`] (what is said and taken), [`time`], [`told`] and [`event_view`] (how events are told and shown), [`backend`] (what
//! is asked of the engine), [`problem`] (how a refusal is told), [`state`] and [`request`] (what a handler is given),
//! [`auth`] (who asks), [`routes`], [`stream`] (live events), [`layers`] (what stands around every request),
//! [`document`] (OpenAPI) and [`serve`] (sockets).

pub mod auth;
pub mod backend;
pub mod document;
pub mod event_view;
pub mod layers;
pub mod live;
pub mod problem;
pub mod request;
pub mod routes;
pub mod serve;
pub mod state;
pub mod stream;
pub mod time;
pub mod told;
pub mod views;

pub use document::{openapi_json, router};
pub use state::{ApiState, Readiness};
