//! Static sites: a folder or an archive becomes a release folder, and a request to it becomes an answer.
//!
//! Bottom-up: [`path`] says which names there are at all; [`kinds`] what a file is; [`rules`] reads `_redirects` and
//! `_headers`; [`manifest`] is what is written beside the files of a release; [`release`] makes, lists and removes
//! release folders; [`site`] is one that was read; [`answer`] decides what a request gets, purely; [`memory`] keeps
//! small files. Nothing here waits or knows a network: the proxy sends.

pub mod answer;
pub mod kinds;
pub mod manifest;
pub mod memory;
pub mod path;
pub mod release;
pub mod rules;
pub mod site;
