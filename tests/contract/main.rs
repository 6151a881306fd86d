//! One contract per port, held by the real thing and by its in-memory twin.

#[cfg(test)]
mod builder;
#[cfg(test)]
mod compose;
#[cfg(test)]
#[path = "../support/docker.rs"]
mod docker;
#[cfg(test)]
mod host;
#[cfg(test)]
mod log;
#[cfg(test)]
mod router;
#[cfg(test)]
mod runtime;
