//! What must hold of a stack as a whole, beyond the kinds of its values.

mod conflicts;
mod declared;
mod demands;
mod references;
mod values;

use std::collections::BTreeMap;

use cutover_domain::file::strict::quoted;

pub(crate) use demands::leaves;
pub use demands::{Asks, Demand};

use crate::fault::Code;
use crate::load::Loader;
use crate::model::Service;
use crate::tree::{At, Node};

/// Services of one stack: the largest public ones have thirty, and each is a container.
const MAX_SERVICES: usize = 256;

/// A stack that was read, and is judged.
pub(crate) struct Whole<'a> {
    pub(crate) tree: &'a Node,
    pub(crate) services: &'a BTreeMap<String, Service>,
}

impl<'a> Whole<'a> {
    /// The services that are started, as written.
    fn active(&self) -> impl Iterator<Item = (&'a Service, &'a Node)> {
        let nodes = self.tree.get("services");
        let found = move |service: &'a Service| Some((service, nodes?.get(&service.name)?));
        self.services.values().filter(|service| service.active).filter_map(found)
    }

    /// Whether something is declared at the top of the file.
    fn declares(&self, part: &str, name: &str) -> bool {
        self.tree.get(part).is_some_and(|part| part.get(name).is_some())
    }
}

/// Whether there are services at all, with names that Compose takes.
pub(crate) fn services(loader: &mut Loader<'_>, tree: &Node) -> bool {
    let services = tree.get("services").and_then(Node::as_map);
    let Some(services) = services.filter(|services| !services.is_empty()) else {
        let at = tree.get("services").map_or(At { line: 0, ..tree.at }, |node| node.at);
        loader.fault(Code::Shape, at, "there are no services; expected at least one below \"services:\"");
        return false;
    };
    if services.len() > MAX_SERVICES {
        let text = format!("{} services; at most {MAX_SERVICES} are allowed in one stack", services.len());
        loader.fault(Code::Limit, tree.at, text);
        return false;
    }
    for (name, node) in services {
        let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if name.is_empty() || !name.bytes().all(inner) {
            let text = format!(
                "{} is not the name of a service; allowed are letters, digits, \".\", \"_\" and \"-\"",
                quoted(name)
            );
            loader.fault(Code::Shape, node.at, text);
        }
    }
    true
}

/// Everything else.
pub(crate) fn judge(loader: &mut Loader<'_>, whole: &Whole<'_>) -> Vec<Demand> {
    references::judge(loader, whole);
    conflicts::judge(loader, whole);
    declared::judge(loader, whole);
    values::judge(loader, whole);
    demands::of(whole)
}
