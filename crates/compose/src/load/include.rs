//! `include`: whole stacks that become a part of this one.

use cutover_domain::file::strict::quoted;

use super::{Loader, MAX_CHAIN, Scope, folder_of, joined, rebase, section};
use crate::fault::Code;
use crate::tree::{Map, Node, Value};

/// What a stack is made of.
const PARTS: [&str; 5] = ["services", "networks", "volumes", "secrets", "configs"];

/// One entry of `include`.
struct Included {
    paths: Vec<String>,
    folder: Option<String>,
    env_files: Vec<String>,
}

impl Loader<'_> {
    /// Takes in what a document includes.
    pub(super) fn include(&mut self, document: &mut Node, scope: &Scope) {
        let entries = document.items("include").to_vec();
        for entry in entries {
            let Some(included) = self.entry(&entry, scope) else { continue };
            self.take_in(document, &entry, &included, scope);
        }
    }

    fn entry(&mut self, entry: &Node, scope: &Scope) -> Option<Included> {
        let texts = |node: &Node, key: &str| -> Vec<String> {
            node.items(key).iter().filter_map(Node::as_str).map(|path| joined(&scope.folder, path)).collect()
        };
        let unset = |node: &Node| node.as_scalar().is_some_and(|scalar| !scalar.unset.is_empty());
        let included = match entry.as_str() {
            Some(path) => Included { paths: vec![joined(&scope.folder, path)], folder: None, env_files: Vec::new() },
            None => Included {
                paths: texts(entry, "path"),
                folder: entry.text_of("project_directory").map(|path| joined(&scope.folder, path)),
                env_files: texts(entry, "env_file"),
            },
        };
        if included.paths.is_empty() || unset(entry) || entry.items("path").iter().any(unset) {
            self.fault(Code::Shape, entry.at, "\"include\" needs the path of a file, with all of its variables set");
            return None;
        }
        Some(included)
    }

    fn take_in(&mut self, document: &mut Node, entry: &Node, included: &Included, scope: &Scope) {
        let first = &included.paths[0];
        if scope.chain.contains(first) || scope.chain.len() >= MAX_CHAIN {
            self.fault(Code::Conflict, entry.at, format!("{} includes itself in a circle", quoted(first)));
            return;
        }
        let folder = included.folder.clone().unwrap_or_else(|| folder_of(first));
        let mut inner = scope.clone();
        inner.chain.push(first.clone());
        inner.folder = if folder == "." { String::new() } else { folder };
        self.variables_of(included, &mut inner);
        let mut files = Vec::new();
        for path in &included.paths {
            let Some(bytes) = self.named(path, entry.at, "include") else { return };
            files.push((path.as_str(), bytes));
        }
        let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (*path, bytes.as_slice())).collect();
        let Some(whole) = self.layers(&files, &inner) else { return };
        // Seen from the folder of the file that includes, whose own paths are moved by who includes it in turn.
        let moved = inner.folder.strip_prefix(&format!("{}/", scope.folder)).unwrap_or(&inner.folder).to_owned();
        let moved = if inner.folder == scope.folder { String::new() } else { moved };
        self.add(document, whole, &moved);
    }

    /// An included stack has an env file of its own, below what is known already.
    fn variables_of(&mut self, included: &Included, inner: &mut Scope) {
        let default = [joined(&inner.folder, ".env")];
        let files = if included.env_files.is_empty() { &default[..] } else { &included.env_files[..] };
        for path in files {
            let values = self.env_file(path, &inner.variables.clone(), crate::tree::At::default());
            for (name, value) in values.unwrap_or_default() {
                inner.variables.dotenv.entry(name).or_insert(value);
            }
        }
    }

    fn add(&mut self, document: &mut Node, whole: Node, folder: &str) {
        let Value::Map(mut whole) = whole.value else { return };
        for part in PARTS {
            let Some(Value::Map(found)) = whole.remove(part).map(|node| node.value) else { continue };
            let Some(own) = section(document, part) else { continue };
            found.into_iter().for_each(|(name, node)| self.add_one(own, (part, name), node, folder));
        }
    }

    fn add_one(&mut self, own: &mut Map, (part, name): (&str, String), mut node: Node, folder: &str) {
        match part {
            "services" => rebase::service(&mut node, folder),
            "secrets" | "configs" => rebase::resource(&mut node, folder),
            _ => {}
        }
        if own.get(&name).is_some_and(|own| own.value != node.value && !own.is_null()) {
            let text = format!("{part}: {} is included, and another one has this name", quoted(&name));
            self.fault(Code::Conflict, node.at, text);
        } else {
            own.insert(name, node);
        }
    }
}
