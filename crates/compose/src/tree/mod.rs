//! YAML as a tree that knows the line of each value.

mod read;
pub(crate) mod scalar;

use std::collections::BTreeMap;

pub(crate) use read::read;
pub(crate) use scalar::Kind;

use crate::fault::{Code, Fault, Place};

/// The values of a mapping, by key.
pub(crate) type Map = BTreeMap<String, Node>;

/// Where a value stands: the number of its file in [`Files`], and the line from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct At {
    pub(crate) file: u16,
    pub(crate) line: u32,
}

/// The names of the files that a stack was read from.
#[derive(Debug, Default)]
pub(crate) struct Files(Vec<String>);

impl Files {
    /// The number of a file, a new one where it is new.
    pub(crate) fn number(&mut self, name: &str) -> u16 {
        let at = self.0.iter().position(|known| known == name).unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    /// A place for a person.
    pub(crate) fn place(&self, at: At) -> Place {
        Place { file: self.0.get(usize::from(at.file)).cloned().unwrap_or_default(), line: at.line }
    }

    /// A fault at a value.
    pub(crate) fn fault(&self, code: Code, at: At, text: impl Into<String>) -> Fault {
        Fault::new(code, self.place(at), text)
    }
}

/// What a tag asks the merge to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mark {
    /// Nothing but what the key says.
    #[default]
    None,
    /// `!reset`: what was there goes.
    Reset,
    /// `!override`: what was there is replaced as a whole.
    Override,
}

/// A value and where it stands: the line of its key where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) mark: Mark,
    pub(crate) value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Map),
}

/// A text, number, truth or time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scalar {
    /// As Compose would print it, variables filled in.
    pub(crate) text: String,
    /// What it is.
    pub(crate) kind: Kind,
    /// What is written where variables were filled in: only this is repeated to people.
    pub(crate) written: Option<Box<str>>,
    /// Variables that were not set, where nothing stood in for them.
    pub(crate) unset: Vec<String>,
}

impl Scalar {
    /// A text without variables.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: Kind::Text, written: None, unset: Vec::new() }
    }

    /// What may be repeated to a person.
    pub(crate) fn shown(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.text)
    }
}

impl Node {
    pub(crate) fn new(at: At, value: Value) -> Self {
        Self { at, mark: Mark::None, value }
    }

    pub(crate) fn text(at: At, text: impl Into<String>) -> Self {
        Self::new(at, Value::Scalar(Scalar::plain(text)))
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        if let Value::Map(map) = &self.value { Some(map) } else { None }
    }

    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        if let Value::List(list) = &self.value { Some(list) } else { None }
    }

    pub(crate) fn as_scalar(&self) -> Option<&Scalar> {
        if let Value::Scalar(scalar) = &self.value { Some(scalar) } else { None }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        self.as_scalar().map(|scalar| scalar.text.as_str())
    }

    pub(crate) fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// Whether it says yes.
    pub(crate) fn is_true(&self) -> bool {
        self.as_str().is_some_and(scalar::truth)
    }

    /// What stands under a key, when this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key)
    }

    /// The text under a key.
    pub(crate) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// What stands under a key, as pairs; nothing when it is no mapping.
    pub(crate) fn entries(&self, key: &str) -> impl Iterator<Item = (&String, &Node)> {
        self.get(key).and_then(Node::as_map).into_iter().flatten()
    }

    /// What stands under a key, as a list; a single value is a list of one.
    pub(crate) fn items(&self, key: &str) -> &[Node] {
        match self.get(key) {
            None => &[],
            Some(node) if node.is_null() => &[],
            Some(node) => node.as_list().unwrap_or(std::slice::from_ref(node)),
        }
    }

    /// What it is, for a person.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Scalar(scalar) => match scalar.kind {
                Kind::Text => "a text",
                Kind::Truth => "true or false",
                Kind::Number => "a number",
                Kind::Time => "a date or time",
            },
        }
    }
}
