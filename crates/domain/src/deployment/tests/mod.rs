//! Histories: given these events and this look at the world, that comes next.

mod course;
mod downtime;
mod people;
mod processes;
mod queue;
mod rejected;
mod release;
mod repair;
mod stop;
mod story;
mod waits;
