//! The events of the YAML parser become a tree, within limits that hold before anything grows.

use std::collections::BTreeMap;

use cutover_domain::file::strict::quoted;
use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::scalar::{self, Kind};
use super::{At, Map, Mark, Node, Scalar, Value};
use crate::fault::Code;

/// Levels of lists and mappings within one another: Compose has ten.
pub(crate) const MAX_DEPTH: usize = 64;
/// Bytes that a file may come to once its aliases are followed, a value counted as [`VALUE_BYTES`] and its text.
/// Sixteen times the largest file: anchors repeat what services have in common, and nothing that does not end.
pub(crate) const MAX_EXPANDED_BYTES: usize = 16 * 1024 * 1024;
/// Bytes that a value takes in memory besides its text, about.
const VALUE_BYTES: usize = 128;
/// Documents in one file.
const MAX_DOCUMENTS: usize = 16;

/// What is wrong, and where.
#[derive(Debug)]
pub(crate) struct Bad {
    pub(crate) at: At,
    pub(crate) code: Code,
    pub(crate) text: String,
}

/// A finished value with what it costs.
#[derive(Clone)]
struct Grown {
    node: Node,
    bytes: usize,
    depth: usize,
}

/// A list or mapping that is not finished.
struct Open {
    at: At,
    mark: Mark,
    anchor: usize,
    bytes: usize,
    depth: usize,
    inner: Inner,
}

enum Inner {
    List(Vec<Node>),
    Map { entries: Map, key: Option<Key>, merged: Option<Node> },
}

/// A key that waits for its value.
struct Key {
    name: String,
    at: At,
    merge: bool,
}

struct Reader {
    file: u16,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Grown>,
    documents: Vec<Node>,
    /// What the documents before the one that is read have cost.
    spent: usize,
}

/// All documents of a file, aliases followed and merge keys resolved.
///
/// # Errors
/// Not YAML, a key twice, an alias that leads nowhere or into itself, or more than the limits allow.
pub(crate) fn read(file: u16, text: &str) -> Result<Vec<Node>, Bad> {
    let mut reader = Reader { file, open: Vec::new(), anchors: BTreeMap::new(), documents: Vec::new(), spent: 0 };
    // Where YAML 1.2 and libyaml differ: both programs of Compose read as libyaml does.
    let options = granit_parser::options! {
        strict_indentation: false,
        block_scalar_eof_without_line_feed: true,
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let line = u32::try_from(error.marker().line()).unwrap_or(u32::MAX);
            Bad { at: At { file, line }, code: Code::Syntax, text: format!("not YAML: {}", error.info()) }
        })?;
        reader.take(event, span)?;
    }
    Ok(reader.documents)
}

impl Reader {
    fn at(&self, span: Span) -> At {
        At { file: self.file, line: u32::try_from(span.start.line()).unwrap_or(u32::MAX) }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Bad> {
        let at = self.at(span);
        match event {
            Event::DocumentStart(..) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::Scalar(text, style, anchor, tag) => self.scalar(at, &text, (style, tag.as_deref()), anchor),
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(at, anchor, mark(tag.as_deref()), Inner::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                let inner = Inner::Map { entries: Map::new(), key: None, merged: None };
                self.begin(at, anchor, mark(tag.as_deref()), inner)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            // Nothing that a tree holds.
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        at: At,
        text: &str,
        (style, tag): (ScalarStyle, Option<&Tag>),
        anchor: usize,
    ) -> Result<(), Bad> {
        let mark = mark(tag);
        let forced = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
        let value = if style == ScalarStyle::Plain && !forced {
            scalar::resolve(text).map(|(kind, text)| Scalar { kind, ..Scalar::plain(text) })
        } else {
            Some(Scalar { kind: Kind::Text, ..Scalar::plain(text) })
        };
        if self.wants_key() {
            let plain = style == ScalarStyle::Plain && !forced;
            let merge = text == "<<" && plain;
            if plain && !matches!(scalar::resolve(text), Some((Kind::Text, _))) {
                let text = format!("the key {} is not a text; put it in quotes", quoted(text));
                return Err(Bad { at, code: Code::Syntax, text });
            }
            if anchor != 0 {
                let node = Node::text(at, text);
                self.anchors.insert(anchor, Grown { node, bytes: VALUE_BYTES + text.len(), depth: 0 });
            }
            return self.key(Key { name: text.to_owned(), at, merge });
        }
        let bytes = VALUE_BYTES + value.as_ref().map_or(0, |value| value.text.len());
        let node = Node { at, mark, value: value.map_or(Value::Null, Value::Scalar) };
        self.put(Grown { node, bytes, depth: 0 }, anchor)
    }

    fn alias(&mut self, anchor: usize, at: At) -> Result<(), Bad> {
        let bad = |code, text: &str| Bad { at, code, text: text.to_owned() };
        let Some(found) = self.anchors.get(&anchor) else {
            return Err(bad(Code::Syntax, "an alias that leads into itself, or to nothing"));
        };
        if self.wants_key() {
            return match found.node.as_str() {
                Some(text) => {
                    let text = text.to_owned();
                    self.key(Key { name: text, at, merge: false })
                }
                None => Err(bad(Code::Syntax, "a key that is a list or a mapping")),
            };
        }
        // Before the copy is made.
        self.judge_size(found.bytes, found.depth, at)?;
        let mut copy = found.clone();
        copy.node.at = at;
        self.put(copy, 0)
    }

    fn judge_size(&self, more: usize, depth: usize, at: At) -> Result<(), Bad> {
        let all = self.spent + self.open.iter().map(|open| open.bytes).sum::<usize>() + more;
        if all > MAX_EXPANDED_BYTES {
            let text = format!("its aliases make it larger than {} MiB", MAX_EXPANDED_BYTES >> 20);
            return Err(Bad { at, code: Code::Limit, text });
        }
        if self.open.len() + depth > MAX_DEPTH {
            let text = format!("more than {MAX_DEPTH} levels of lists and mappings");
            return Err(Bad { at, code: Code::Limit, text });
        }
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { inner: Inner::Map { key: None, .. }, .. }))
    }

    fn key(&mut self, Key { name, at, merge }: Key) -> Result<(), Bad> {
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        open.bytes += name.len();
        let Inner::Map { entries, key, merged } = &mut open.inner else { return Ok(()) };
        let before = if merge { merged.as_ref() } else { entries.get(&name) };
        if let Some(before) = before {
            let text = format!("the key {} is there twice: line {} has it already", quoted(&name), before.at.line);
            return Err(Bad { at, code: Code::Syntax, text });
        }
        *key = Some(Key { name, at, merge });
        Ok(())
    }

    fn begin(&mut self, at: At, anchor: usize, mark: Mark, inner: Inner) -> Result<(), Bad> {
        if self.wants_key() {
            let text = "a key that is a list or a mapping; is a value with \"{{\" without quotes meant?".to_owned();
            return Err(Bad { at, code: Code::Syntax, text });
        }
        self.judge_size(VALUE_BYTES, 1, at)?;
        self.open.push(Open { at, mark, anchor, bytes: VALUE_BYTES, depth: 0, inner });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Bad> {
        let Some(Open { at, mark, anchor, mut bytes, depth, inner }) = self.open.pop() else { return Ok(()) };
        let value = match inner {
            Inner::List(list) => Value::List(list),
            Inner::Map { mut entries, merged, .. } => {
                if let Some(merged) = merged {
                    // What is merged was counted when its alias was followed.
                    bytes += merge_into(&mut entries, merged)?;
                }
                Value::Map(entries)
            }
        };
        self.put(Grown { node: Node { at, mark, value }, bytes, depth: depth + 1 }, anchor)
    }

    /// A finished value goes where it belongs.
    fn put(&mut self, grown: Grown, anchor: usize) -> Result<(), Bad> {
        self.judge_size(grown.bytes, 0, grown.node.at)?;
        if anchor != 0 {
            // The copy costs too.
            self.spent += grown.bytes;
            self.anchors.insert(anchor, grown.clone());
        }
        let Grown { mut node, bytes, depth } = grown;
        let Some(open) = self.open.last_mut() else {
            self.spent += bytes;
            self.documents.push(node);
            if self.documents.len() > MAX_DOCUMENTS {
                let at = self.documents.last().map_or_else(At::default, |node| node.at);
                return Err(Bad { at, code: Code::Limit, text: format!("more than {MAX_DOCUMENTS} documents") });
            }
            return Ok(());
        };
        open.bytes += bytes;
        open.depth = open.depth.max(depth);
        match &mut open.inner {
            Inner::List(list) => list.push(node),
            Inner::Map { entries, key, merged } => {
                let Some(key) = key.take() else { return Ok(()) };
                node.at = key.at;
                if key.merge {
                    *merged = Some(node);
                } else {
                    entries.insert(key.name, node);
                }
            }
        }
        Ok(())
    }
}

/// Adds what is merged where nothing is written; of several the first wins. Returns the bytes of the new keys.
fn merge_into(entries: &mut Map, merged: Node) -> Result<usize, Bad> {
    let at = merged.at;
    let maps = match merged.value {
        Value::Map(map) => vec![map],
        Value::List(list) => {
            let maps = list.into_iter().map(|node| if let Value::Map(map) = node.value { Some(map) } else { None });
            maps.collect::<Option<Vec<Map>>>().unwrap_or_default()
        }
        Value::Null | Value::Scalar(_) => Vec::new(),
    };
    if maps.is_empty() {
        let text = "\"<<\" merges mappings: expected an alias of one, or a list of such".to_owned();
        return Err(Bad { at, code: Code::Syntax, text });
    }
    let mut bytes = 0;
    for (key, node) in maps.into_iter().flatten() {
        bytes += key.len();
        entries.entry(key).or_insert(node);
    }
    Ok(bytes)
}

fn mark(tag: Option<&Tag>) -> Mark {
    match tag.map(Tag::suffix) {
        Some("reset") => Mark::Reset,
        Some("override") => Mark::Override,
        _ => Mark::None,
    }
}
