//! Pulls from a registry.
