//! Integration tests in one binary, a module per subject.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod api_document;
mod api_events;
mod api_fake;
mod api_http;
mod api_live;
mod bad_sources;
mod builds;
mod cli_commands;
mod cli_waiting;
mod compose_cases;
mod compose_import;
mod compose_real;
mod contexts;
#[cfg(not(feature = "crash-points"))]
mod crash_points;
#[path = "../support/docker.rs"]
#[expect(dead_code, reason = "shared with the contracts, which need more of it")]
mod docker;
mod docker_logins;
mod engine;
mod engine_people;
mod errands;
mod errands_twin;
mod examples;
mod following;
mod from_git;
mod git_fetch;
mod git_support;
#[path = "../support/home.rs"]
mod home;
mod image_pushes;
mod inputs;
mod intake_asking;
mod intake_decide;
mod intake_fuzz;
mod intake_listener;
mod intake_log;
mod intake_providers;
mod intake_support;
mod log_limits;
mod log_opening;
mod log_support;
mod pushes;
mod pushing;
mod registries;
mod secrets;
mod secrets_docker;
mod sites;
mod sources;
mod stack_people;
mod stack_units;
mod stacks;
#[path = "../support/stand.rs"]
mod stand;
#[path = "../support/stand_in.rs"]
mod stand_in;
mod terminal;
mod uploads;
mod whole;
mod wiring;
mod wishes;
