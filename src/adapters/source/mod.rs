//! Where what is deployed comes from: folders and archives as build contexts, and git.

pub mod context;
pub mod git;
