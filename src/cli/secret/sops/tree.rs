//! A file of SOPS as a tree in the order in which it is written: the MAC goes over its values in that order.

use std::fmt;

use granit_parser::{Event, Parser, ScalarStyle};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Levels of lists and mappings within one another: far above what people write, far below what takes the stack.
const MAX_DEPTH: usize = 64;
/// What is nothing in YAML.
const NULLS: [&str; 5] = ["", "~", "null", "Null", "NULL"];

/// A value.
#[derive(Clone, PartialEq)]
pub(super) enum Node {
    /// Nothing.
    Null,
    /// A text that is written as one.
    Text(String),
    /// What is written without quotes: a text, a number, a truth or a time.
    Plain(String),
    /// Values.
    List(Vec<Node>),
    /// Values by name.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// What stands under a name.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    /// What is written, where it is one value.
    pub(super) fn written(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Plain(text) => Some(text),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// Adds a name; refused where it is there already: SOPS and we might mean two different ones.
    fn add(entries: &mut Vec<(String, Self)>, key: String, node: Self) -> Result<(), String> {
        if entries.iter().any(|(known, _)| *known == key) {
            return Err(format!("{key} is there twice"));
        }
        entries.push((key, node));
        Ok(())
    }
}

/// The tree of a JSON text.
pub(super) fn json(text: &str) -> Result<Node, String> {
    serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Ordered)
    }
}

struct Ordered;

impl<'de> Visitor<'de> for Ordered {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = all.next_element()? {
            list.push(node);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, node)) = all.next_entry::<String, Node>()? {
            Node::add(&mut entries, key, node).map_err(Error::custom)?;
        }
        Ok(Node::Map(entries))
    }
}

/// A list or mapping that is not finished; a mapping with the name that waits for its value.
enum Open {
    List(Vec<Node>),
    Map(Vec<(String, Node)>, Option<String>),
}

/// The tree of a YAML text. SOPS writes no anchors, aliases or tags, and a file that has them was not written by it.
pub(super) fn yaml(text: &str) -> Result<Node, String> {
    let options = granit_parser::options! {
        strict_indentation: false,
        block_scalar_eof_without_line_feed: true,
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
    };
    let (mut open, mut root) = (Vec::new(), None);
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) =
            event.map_err(|error| format!("line {}: not YAML: {}", error.marker().line(), error.info()))?;
        let line = span.start.line();
        let bad = |why: &str| format!("line {line}: {why}");
        match event {
            Event::DocumentStart(..) if root.is_some() => {
                return Err(bad("a second document, of which none is read: decrypt it with `sops`"));
            }
            Event::Scalar(text, style, 0, None) => {
                let node = scalar(&text, style);
                put(&mut open, &mut root, node).map_err(|why| bad(&why))?;
            }
            Event::SequenceStart(_, 0, None) => open.push(Open::List(Vec::new())),
            Event::MappingStart(_, 0, None) => open.push(Open::Map(Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match open.pop() {
                    Some(Open::List(list)) => Node::List(list),
                    Some(Open::Map(entries, _)) => Node::Map(entries),
                    None => Node::Null,
                };
                put(&mut open, &mut root, node).map_err(|why| bad(&why))?;
            }
            Event::Alias(..) | Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                return Err(bad("an anchor, alias or tag, which no file of SOPS has"));
            }
            _ => (),
        }
        if open.len() > MAX_DEPTH {
            return Err(bad(&format!("more than {MAX_DEPTH} levels of lists and mappings")));
        }
    }
    Ok(root.unwrap_or(Node::Null))
}

fn scalar(text: &str, style: ScalarStyle) -> Node {
    match style {
        ScalarStyle::Plain if NULLS.contains(&text) => Node::Null,
        ScalarStyle::Plain => Node::Plain(text.to_owned()),
        _ => Node::Text(text.to_owned()),
    }
}

/// Puts a finished value to where it belongs.
fn put(open: &mut [Open], root: &mut Option<Node>, node: Node) -> Result<(), String> {
    match open.last_mut() {
        None => *root = Some(node),
        Some(Open::List(list)) => list.push(node),
        Some(Open::Map(entries, key)) => match key.take() {
            Some(key) => Node::add(entries, key, node)?,
            None => *key = Some(node.written().ok_or("a name that is no text")?.to_owned()),
        },
    }
    Ok(())
}

/// The tree of a dotenv text as SOPS reads it: everything after the first `=`, quotes and blanks too; a backslash and an
/// `n` are a line end.
pub(super) fn dotenv(text: &str) -> Result<Node, String> {
    let mut entries = Vec::new();
    for (line, number) in text.split('\n').zip(1..).filter(|(line, _)| !line.is_empty() && !line.starts_with('#')) {
        let (key, value) =
            line.split_once('=').ok_or_else(|| format!("line {number}: no \"=\"; expected NAME=value"))?;
        let node = Node::Text(value.replace("\\n", "\n"));
        Node::add(&mut entries, key.to_owned(), node).map_err(|why| format!("line {number}: {why}"))?;
    }
    Ok(Node::Map(entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Node {
        Node::Text(text.to_owned())
    }

    fn plain(text: &str) -> Node {
        Node::Plain(text.to_owned())
    }

    fn map(entries: &[(&str, Node)]) -> Node {
        Node::Map(entries.iter().map(|(key, node)| ((*key).to_owned(), node.clone())).collect())
    }

    #[test]
    fn the_order_of_a_file_is_kept_in_each_form() {
        let expected = [
            ("z", text("1")),
            ("a", Node::List(vec![plain("2"), Node::Null, map(&[("y", plain("true")), ("b", plain("0.5"))])])),
        ];
        let read = yaml("z: \"1\" # c\na:\n  - 2\n  - ~\n  - y: true\n    b: 0.5\n");
        assert!(read == Ok(map(&expected)));
        assert!(json("{\"z\":\"1\",\"a\":[2,null,{\"y\":true,\"b\":0.5}]}") == Ok(map(&expected)));
        let expected = [("z", text("\"a\nb\" ")), ("a", text("x=y"))];
        assert!(dotenv("z=\"a\\nb\" \n\n#c=d\na=x=y\n") == Ok(map(&expected)));
    }

    #[test]
    fn what_sops_does_not_write_is_refused_with_its_line() {
        for (bad, why) in [
            ("a: 1\na: 2\n", "line 2: a is there twice"),
            ("a: &x 1\nb: *x\n", "line 1: an anchor"),
            ("a: !!binary aGk=\n", "line 1: an anchor, alias or tag"),
            ("a: 1\n---\nb: 2\n", "a second document"),
            ("a: [1\n", "not YAML"),
            ("? [1]\n: 2\n", "a name that is no text"),
        ] {
            let told = yaml(bad).err().unwrap_or_default();
            assert!(told.contains(why), "{bad}: {told}");
        }
        assert!(yaml(&"[".repeat(100)).is_err());
        assert!(json("{\"a\":1,\"a\":2}").is_err_and(|why| why.contains("a is there twice")));
        assert!(json("[[1").is_err());
        assert!(dotenv("A=1\nhunter2\n").is_err_and(|why| why.contains("line 2") && !why.contains("hunter2")));
    }
}
