//! Compose files, read as Compose reads them and judged before anything is touched. No time, no chance, no world: files
//! beside the one that is judged are handed in by [`Beside`].
//!
//! Bottom-up: `text` (bytes to text), `tree` (YAML within limits), `interpolate` and `dotenv` (variables), `load`
//! (`extends`, `include`, overrides), `schema` (known keys and kinds), `model` (services in types), `rules` (what must
//! hold of the whole, and what a server would have to allow), `import` (a workload file out of a stack).

mod dotenv;
mod fault;
mod import;
mod interpolate;
mod load;
mod model;
mod name;
mod rules;
mod schema;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod variables;
mod verdict;

pub use fault::{Code, Fault, Place};
pub use import::{Import, Imported, Note, import};
pub use load::{Beside, Found, Nothing};
pub use model::{Build, Command, Condition, Environment, Health, Mount, Origin, Port, Service};
pub use name::{MAX_NAME_CHARS, project_name};
pub use rules::{Asks, Demand};
pub use text::MAX_FILE_BYTES;
pub use variables::{Values, Variables};
pub use verdict::{Stack, Verdict, judge, variables};
