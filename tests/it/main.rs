//! Integration tests in one binary, a module per subject.

mod api_document;
mod api_events;
mod api_fake;
mod api_http;
mod cli_commands;
mod cli_waiting;
mod engine;
mod inputs;
