//! `extends`: a service that is another one, with changes.

use cutover_domain::file::strict::quoted;

use super::merge::merge_service;
use super::{Loader, MAX_CHAIN, Scope, folder_of, joined, rebase, section};
use crate::fault::Code;
use crate::tree::{At, Map, Node, Value};

/// What a service extends.
struct Base {
    at: At,
    file: Option<String>,
    service: String,
}

impl Loader<'_> {
    /// Follows `extends` of all services of a document.
    pub(super) fn extend_all(&mut self, document: &mut Node, file: &str, scope: &Scope) {
        let names: Vec<String> = document.entries("services").map(|(name, _)| name.clone()).collect();
        for name in names {
            let extended = self.extended(document, &name, file, scope);
            if let (Some(extended), Some(services)) = (extended, section(document, "services")) {
                services.insert(name, extended);
            }
        }
    }

    /// A service with everything that it extends; `None` when it extends nothing, or what it extends cannot be had.
    fn extended(&mut self, document: &Node, name: &str, file: &str, scope: &Scope) -> Option<Node> {
        let own = document.get("services")?.get(name)?;
        let base = self.base(own)?;
        let mut own = own.clone();
        if let Value::Map(map) = &mut own.value {
            map.remove("extends");
        }
        let step = format!("{name} of {file}");
        if scope.chain.contains(&step) || scope.chain.len() >= MAX_CHAIN {
            self.fault(Code::Conflict, base.at, format!("the service {} extends itself in a circle", quoted(name)));
            return Some(own);
        }
        let mut scope = scope.clone();
        scope.chain.push(step);
        let mut found = match &base.file {
            None => self.found_in(document, &base, file, &scope),
            Some(other) => self.found_beside(other, &base, &scope),
        }?;
        // What only the service itself could have.
        if let Value::Map(map) = &mut found.value {
            map.remove("extends");
        }
        Some(merge_service(found, own))
    }

    fn base(&mut self, own: &Node) -> Option<Base> {
        let extends = own.get("extends")?;
        let at = extends.at;
        let text = |key| extends.text_of(key).map(str::to_owned);
        let (file, service) = match extends.as_str() {
            Some(service) => (None, Some(service.to_owned())),
            None => (text("file"), text("service")),
        };
        let Some(service) = service else {
            self.fault(Code::Shape, at, "\"extends\" needs the name of a service");
            return None;
        };
        Some(Base { at, file, service })
    }

    fn found_in(&mut self, document: &Node, base: &Base, file: &str, scope: &Scope) -> Option<Node> {
        let Some(found) = document.get("services").and_then(|services| services.get(&base.service)) else {
            let text = format!("extends the service {}, which is not there", quoted(&base.service));
            self.fault(Code::Missing, base.at, text);
            return None;
        };
        let plain = found.clone();
        Some(self.extended(document, &base.service, file, scope).unwrap_or(plain))
    }

    fn found_beside(&mut self, other: &str, base: &Base, scope: &Scope) -> Option<Node> {
        let path = joined(&scope.folder, other);
        let bytes = self.named(&path, base.at, "extend")?;
        let inner = Scope { folder: folder_of(&path), ..scope.clone() };
        let documents = self.documents(&path, &bytes, &inner)?;
        let at = base.at;
        let whole = documents.into_iter().reduce(super::merge).unwrap_or(Node::new(at, Value::Map(Map::new())));
        let mut found = self.found_in(&whole, base, &path, &inner)?;
        // Seen from the file that extends, not from that of the stack: the caller's own paths are not moved yet.
        rebase::service(&mut found, &relative(&scope.folder, &inner.folder));
        Some(found)
    }
}

/// The folder of an extended file from that of the extending one.
fn relative(from: &str, to: &str) -> String {
    let ups = if from.is_empty() { 0 } else { from.split('/').count() };
    let mut parts = vec![".."; ups];
    parts.extend(to.split('/').filter(|part| !part.is_empty()));
    let path = joined("", &parts.join("/"));
    if path == "." { String::new() } else { path }
}
