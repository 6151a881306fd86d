//! Files become one tree: variables filled in, `extends` and `include` followed, overrides merged.

mod extends;
mod include;
mod merge;
mod rebase;

use std::collections::{BTreeMap, BTreeSet};

use cutover_domain::file::strict::quoted;

pub(crate) use merge::{merge, pairs};

use crate::fault::{Code, Fault};
use crate::interpolate::{self, Unfilled};
use crate::tree::{self, At, Files, Kind, Map, Node, Value};
use crate::variables::{Asked, Values, Variables};
use crate::{dotenv, text};

/// Files that one stack may be read from: some of the largest public ones have thirty.
const MAX_FILES: usize = 64;
/// Bytes that all texts of a stack may come to once variables are filled in.
const MAX_FILLED_BYTES: usize = 16 * 1024 * 1024;
/// Files and services that lead to one another by `extends` and `include`.
const MAX_CHAIN: usize = 16;

/// A file beside the compose file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// There is none.
    Missing,
    /// It is not read, and why: one line for a person.
    Refused(String),
}

/// What lies beside the compose file. Nothing else of the world is asked.
pub trait Beside {
    /// The file at a path as the compose file writes it, relative to its folder; it may be absolute or lead out of it.
    fn read(&self, path: &str) -> Found;
}

/// A stack without companions, as one that is written inline.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Beside for Nothing {
    fn read(&self, _: &str) -> Found {
        Found::Missing
    }
}

/// Companions in memory, by path.
impl Beside for BTreeMap<String, Vec<u8>> {
    fn read(&self, path: &str) -> Found {
        self.get(path).map_or(Found::Missing, |bytes| Found::Bytes(bytes.clone()))
    }
}

/// What is known while files are read.
pub(crate) struct Loader<'a> {
    beside: &'a dyn Beside,
    pub(crate) files: Files,
    pub(crate) faults: Vec<Fault>,
    pub(crate) asked: Asked,
    /// Companions that were read or looked for.
    pub(crate) companions: BTreeSet<String>,
    /// Env files that are read once, each.
    env_files: BTreeMap<String, Option<Values>>,
    filled: usize,
}

/// In whose words a file speaks: where its paths begin, and what its variables are.
#[derive(Clone)]
struct Scope {
    /// The folder of the file, relative to that of the stack; empty for the same.
    folder: String,
    variables: Variables,
    /// The files and services that led here.
    chain: Vec<String>,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(beside: &'a dyn Beside) -> Self {
        Self {
            beside,
            files: Files::default(),
            faults: Vec::new(),
            asked: Asked::default(),
            companions: BTreeSet::new(),
            env_files: BTreeMap::new(),
            filled: 0,
        }
    }

    pub(crate) fn fault(&mut self, code: Code, at: At, text: impl Into<String>) {
        let fault = self.files.fault(code, at, text);
        self.faults.push(fault);
    }

    /// The variables of `.env` beside the stack, where there is one.
    pub(crate) fn dotenv(&mut self, variables: &mut Variables) {
        variables.dotenv = self.env_file(".env", variables, At::default()).unwrap_or_default();
    }

    /// The files of a stack as one tree.
    pub(crate) fn stack(&mut self, files: &[(&str, &[u8])], variables: &Variables) -> Option<Node> {
        let scope = Scope { folder: String::new(), variables: variables.clone(), chain: Vec::new() };
        self.layers(files, &scope)
    }

    fn layers(&mut self, files: &[(&str, &[u8])], scope: &Scope) -> Option<Node> {
        let mut whole: Option<Node> = None;
        for (name, bytes) in files {
            for mut document in self.documents(name, bytes, scope)? {
                self.extend_all(&mut document, name, scope);
                self.include(&mut document, scope);
                whole = Some(match whole {
                    None => merge::cleaned(document),
                    Some(before) => merge(before, document),
                });
            }
        }
        whole
    }

    /// The documents of one file, variables filled in.
    fn documents(&mut self, name: &str, bytes: &[u8], scope: &Scope) -> Option<Vec<Node>> {
        let number = self.files.number(name);
        let text = text::decode(name, bytes).map_err(|fault| self.faults.push(fault)).ok()?;
        let read = tree::read(number, &text).map_err(|bad| self.fault(bad.code, bad.at, bad.text)).ok()?;
        let at = At { file: number, line: 0 };
        let mut documents: Vec<Node> = read.into_iter().filter(|document| !document.is_null()).collect();
        if documents.is_empty() {
            self.fault(Code::Shape, at, "the file is empty; expected services");
            return None;
        }
        for document in &mut documents {
            if document.as_map().is_none() {
                let text = format!("expected a mapping with \"services\", found {}", document.kind());
                self.fault(Code::Shape, document.at, text);
                return None;
            }
            self.fill(document, &scope.variables);
        }
        Some(documents)
    }

    /// Fills in the variables of a tree; keys stay as they are, as with Compose.
    fn fill(&mut self, node: &mut Node, variables: &Variables) {
        let at = node.at;
        match &mut node.value {
            Value::Null => {}
            Value::List(list) => list.iter_mut().for_each(|node| self.fill(node, variables)),
            Value::Map(map) => map.values_mut().for_each(|node| self.fill(node, variables)),
            Value::Scalar(scalar) => {
                if scalar.kind != Kind::Text || !scalar.text.contains('$') {
                    return;
                }
                let room = MAX_FILLED_BYTES.saturating_sub(self.filled);
                match interpolate::fill(&scalar.text, variables, room) {
                    Ok(filled) => {
                        self.filled += filled.text.len();
                        self.asked.names.extend(filled.asked);
                        self.asked.unset.extend(filled.unset.iter().cloned());
                        let written = std::mem::replace(&mut scalar.text, filled.text);
                        scalar.written = Some(written.into_boxed_str());
                        scalar.unset = filled.unset;
                    }
                    Err(error) => {
                        let shown = quoted(&scalar.text);
                        let (code, text) = unfilled(error, &shown);
                        self.fault(code, at, text);
                    }
                }
            }
        }
    }

    /// A companion's bytes; `None` when there is none, or too many were asked for.
    fn companion(&mut self, path: &str, at: At) -> Option<Found> {
        self.companions.insert(path.to_owned());
        if self.companions.len() > MAX_FILES {
            self.fault(Code::Limit, at, format!("the stack consists of more than {MAX_FILES} files"));
            return None;
        }
        Some(self.beside.read(path))
    }

    /// A compose file that another one names.
    fn named(&mut self, path: &str, at: At, what: &str) -> Option<Vec<u8>> {
        let text = match self.companion(path, at)? {
            Found::Bytes(bytes) => return Some(bytes),
            Found::Missing => format!("there is no file {} to {what}", quoted(path)),
            Found::Refused(why) => format!("the file {} to {what} is not read: {why}", quoted(path)),
        };
        self.fault(Code::Missing, at, text);
        None
    }

    /// Whether there is no such file beside the stack.
    pub(crate) fn is_missing(&mut self, path: &str, at: At) -> bool {
        self.companion(path, at) == Some(Found::Missing)
    }

    /// The values of an env file; `None` where there is none.
    pub(crate) fn env_file(&mut self, path: &str, variables: &Variables, at: At) -> Option<Values> {
        if let Some(known) = self.env_files.get(path) {
            return known.clone();
        }
        let found = self.companion(path, at)?;
        let values = match found {
            Found::Missing => None,
            Found::Refused(why) => {
                self.fault(Code::Missing, at, format!("the env file {} is not read: {why}", quoted(path)));
                Some(Values::new())
            }
            Found::Bytes(bytes) => Some(self.env_values(path, &bytes, variables)),
        };
        self.env_files.insert(path.to_owned(), values.clone());
        values
    }

    fn env_values(&mut self, path: &str, bytes: &[u8], variables: &Variables) -> Values {
        let number = self.files.number(path);
        let parsed = text::decode(path, bytes).and_then(|text| {
            dotenv::parse(&text, variables).map_err(|bad| {
                let at = At { file: number, line: bad.line };
                self.files.fault(Code::Syntax, at, bad.why)
            })
        });
        parsed.unwrap_or_else(|fault| {
            self.faults.push(fault);
            Values::new()
        })
    }
}

fn unfilled(error: Unfilled, shown: &str) -> (Code, String) {
    match error {
        Unfilled::Form => {
            (Code::Syntax, format!("{shown} is no form of a variable; write \"${{NAME}}\", or \"$$\" for a \"$\""))
        }
        Unfilled::Required { name, why } if why.is_empty() => {
            (Code::Unset, format!("the variable {name} is required, and is not set"))
        }
        Unfilled::Required { name, why } => {
            (Code::Unset, format!("the variable {name} is required, and is not set: {}", quoted(&why)))
        }
        Unfilled::Limit => (Code::Limit, format!("{shown} is larger than is read once its variables are filled in")),
    }
}

/// The pairs under a key.
pub(crate) fn pairs_of(node: &Node, key: &str) -> Map {
    node.get(key).map(pairs).unwrap_or_default()
}

/// A path in a file of a folder, as seen from the folder of the stack: `.` and `..` resolved as far as that goes.
pub(crate) fn joined(folder: &str, path: &str) -> String {
    let absolute = path.starts_with(['/', '~']);
    let whole = if absolute || folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (whole.starts_with('/'), joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// The folder of a file; empty for that of the stack.
fn folder_of(path: &str) -> String {
    path.rsplit_once('/').map(|(folder, _)| folder.to_owned()).unwrap_or_default()
}

/// The mapping under a key of a tree, made where there is none.
fn section<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Map> {
    let at = node.at;
    let Value::Map(map) = &mut node.value else { return None };
    let under = map.entry(key.to_owned()).or_insert_with(|| Node::new(at, Value::Map(Map::new())));
    if under.is_null() {
        under.value = Value::Map(Map::new());
    }
    if let Value::Map(map) = &mut under.value { Some(map) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_files_in_other_folders() {
        for (folder, path, expected) in [
            ("", "./a/b", "a/b"),
            ("sub", "./a", "sub/a"),
            ("sub", "../a", "a"),
            ("", "../a", "../a"),
            ("sub", "../../a", "../a"),
            ("sub", "/etc/x", "/etc/x"),
            ("sub", "~/x", "~/x"),
            ("", ".", "."),
            ("a", "..", "."),
        ] {
            assert_eq!(joined(folder, path), expected, "{folder} {path}");
        }
    }
}
