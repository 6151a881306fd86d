//! One file over another, by the rules of Compose.

use std::collections::BTreeMap;

use crate::model::{mount, port};
use crate::tree::{At, Map, Mark, Node, Value};

/// How what stands at a place is put over what stood there.
#[derive(Clone, Copy)]
enum Rule {
    /// Mappings by key, lists one after the other, anything else replaced.
    Natural,
    /// The later one counts as a whole.
    Replace,
    /// A list of `NAME=value` is a mapping.
    Pairs,
    /// A list of names is a mapping to nothing.
    Names,
    /// A text is the mapping with this text under `context`.
    Build,
    /// A list whose elements replace one another where this key is equal.
    Unique(fn(&Node) -> Option<String>),
}

fn rule(path: &[&str]) -> Rule {
    match path {
        ["services", _, "command" | "entrypoint"] | ["services", _, "healthcheck", "test"] => Rule::Replace,
        ["services", _, "environment" | "labels" | "annotations" | "sysctls" | "extra_hosts"]
        | ["services", _, "build", "args" | "labels" | "additional_contexts" | "extra_hosts"]
        | ["services", _, "deploy", "labels"]
        | ["networks" | "volumes" | "secrets" | "configs", _, "labels"] => Rule::Pairs,
        ["services", _, "depends_on" | "networks"] => Rule::Names,
        ["services", _, "build"] => Rule::Build,
        ["services", _, "ports"] => Rule::Unique(port::identity),
        ["services", _, "volumes"] => Rule::Unique(mount::identity),
        ["services", _, "secrets" | "configs"] => Rule::Unique(reference_target),
        _ => Rule::Natural,
    }
}

/// A file over what the files before it came to.
pub(crate) fn merge(base: Node, over: Node) -> Node {
    put(base, over, &mut Vec::new()).unwrap_or_else(|| Node::new(At::default(), Value::Map(Map::new())))
}

/// One service over the one that it extends.
pub(crate) fn merge_service(base: Node, over: Node) -> Node {
    let at = over.at;
    put(base, over, &mut vec!["services".to_owned(), String::new()])
        .unwrap_or_else(|| Node::new(at, Value::Map(Map::new())))
}

/// A file that nothing was before: what it would reset is not there.
pub(crate) fn cleaned(mut node: Node) -> Node {
    clean(&mut node);
    node
}

fn clean(node: &mut Node) {
    node.mark = Mark::None;
    match &mut node.value {
        Value::Map(map) => {
            map.retain(|_, node| node.mark != Mark::Reset);
            map.values_mut().for_each(clean);
        }
        Value::List(list) => {
            list.retain(|node| node.mark != Mark::Reset);
            list.iter_mut().for_each(clean);
        }
        Value::Null | Value::Scalar(_) => {}
    }
}

fn put(base: Node, mut over: Node, path: &mut Vec<String>) -> Option<Node> {
    match over.mark {
        Mark::Reset => return None,
        Mark::Override => {
            clean(&mut over);
            return Some(over);
        }
        Mark::None => {}
    }
    if over.is_null() {
        return Some(base);
    }
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    let rule = rule(&words);
    let (base, over) = match rule {
        Rule::Replace => (Node::new(base.at, Value::Null), over),
        Rule::Pairs => (as_pairs(base), as_pairs(over)),
        Rule::Names => (as_names(base), as_names(over)),
        Rule::Build => (as_build(base), as_build(over)),
        Rule::Natural | Rule::Unique(_) => (base, over),
    };
    let at = over.at;
    Some(match (base.value, over.value) {
        (Value::Map(base), Value::Map(over)) => Node::new(at, Value::Map(put_all(base, over, path))),
        (Value::List(base), Value::List(over)) => Node::new(at, Value::List(append(base, over, rule))),
        (_, over) => cleaned(Node::new(at, over)),
    })
}

fn put_all(mut base: Map, over: Map, path: &mut Vec<String>) -> Map {
    for (key, node) in over {
        let before = base.remove(&key);
        let merged = match before {
            Some(before) => {
                path.push(key.clone());
                let merged = put(before, node, path);
                path.pop();
                merged
            }
            None if node.mark == Mark::Reset => None,
            None => Some(cleaned(node)),
        };
        if let Some(merged) = merged {
            base.insert(key, merged);
        }
    }
    base
}

fn append(base: Vec<Node>, over: Vec<Node>, rule: Rule) -> Vec<Node> {
    let over = over.into_iter().filter(|node| node.mark != Mark::Reset).map(cleaned);
    let all = base.into_iter().chain(over);
    let Rule::Unique(identity) = rule else { return all.collect() };
    let mut order: Vec<Node> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for node in all {
        match identity(&node).map(|key| (places.get(&key).copied(), key)) {
            Some((Some(at), _)) => order[at] = node,
            Some((None, key)) => {
                places.insert(key, order.len());
                order.push(node);
            }
            None => order.push(node),
        }
    }
    order
}

/// The pairs of a mapping, or of a list of `NAME=value`; a name without a value has none.
pub(crate) fn pairs(node: &Node) -> Map {
    match &node.value {
        Value::Map(map) => map.clone(),
        Value::List(list) => list.iter().filter_map(pair).collect(),
        Value::Null | Value::Scalar(_) => Map::new(),
    }
}

fn pair(node: &Node) -> Option<(String, Node)> {
    let mut node = node.clone();
    let Value::Scalar(scalar) = &mut node.value else { return None };
    let (name, value) = match scalar.text.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (std::mem::take(&mut scalar.text), String::new()),
    };
    if node.as_str().is_some_and(str::is_empty) {
        node.value = Value::Null;
    } else if let Value::Scalar(scalar) = &mut node.value {
        scalar.written = scalar.written.take().map(|text| match text.split_once('=') {
            Some((_, value)) => value.into(),
            None => text,
        });
        scalar.text = value;
    }
    Some((name, node))
}

fn as_pairs(node: Node) -> Node {
    match &node.value {
        Value::List(_) => Node { value: Value::Map(pairs(&node)), ..node },
        Value::Null | Value::Scalar(_) | Value::Map(_) => node,
    }
}

fn as_names(node: Node) -> Node {
    let Value::List(list) = &node.value else { return node };
    let names = list.iter().filter_map(|one| Some((one.as_str()?.to_owned(), Node::new(one.at, Value::Null))));
    Node { value: Value::Map(names.collect()), ..node }
}

fn as_build(node: Node) -> Node {
    if node.as_scalar().is_none() {
        return node;
    }
    let at = node.at;
    Node::new(at, Value::Map(Map::from([("context".to_owned(), node)])))
}

/// Where a secret or config is found inside of the container.
fn reference_target(node: &Node) -> Option<String> {
    node.as_str().or_else(|| node.text_of("target")).or_else(|| node.text_of("source")).map(str::to_owned)
}
