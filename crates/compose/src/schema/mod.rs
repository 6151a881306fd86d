//! What may stand where: the keys that Compose knows, and the kinds of their values.

mod rest;
mod service;

use std::collections::BTreeSet;

use cutover_domain::file::strict::{nearest, quoted};

pub(crate) use rest::TOP;

use crate::fault::{Code, Fault};
use crate::tree::scalar::is_truth;
use crate::tree::{Files, Kind, Map, Node, Scalar, Value};

/// The kind of a value.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Whatever its owner makes of it.
    Any,
    /// Nothing is a value too.
    Null,
    /// A text.
    Text,
    /// A number, or a text that is one.
    Number,
    /// A truth, or a text that is one.
    Truth,
    /// A text, number or truth.
    Scalar,
    /// A list.
    List(&'static Shape),
    /// A list in which nothing is twice.
    Unique(&'static Shape),
    /// A mapping with keys of one's own.
    Names(&'static Shape),
    /// A mapping with these keys, and any that begins with `x-`.
    Keys(&'static [(&'static str, &'static Shape)]),
    /// One of them.
    Either(&'static [&'static Shape]),
}

pub(crate) use Shape::{Any, Either, Keys, List, Names, Null, Number, Text, Truth, Unique};

pub(crate) const TEXTS: &Shape = &List(&Text);
pub(crate) const DISTINCT: &Shape = &Unique(&Text);
pub(crate) const TEXT_OR_LIST: &Shape = &Either(&[&Text, TEXTS]);
pub(crate) const NUMBER_OR_TEXT: &Shape = &Either(&[&Number, &Text]);
/// A mapping to values, or a list of `NAME=value`.
pub(crate) const PAIRS: &Shape = &Either(&[&Names(&Either(&[&Null, &Shape::Scalar])), TEXTS]);
pub(crate) const OPTIONS: &Shape = &Names(NUMBER_OR_TEXT);
pub(crate) const EXTERNAL: &Shape = &Either(&[&Truth, &Keys(&[("name", &Text)])]);
pub(crate) const ULIMITS: &Shape =
    &Names(&Either(&[&Number, &Keys(&[("soft", NUMBER_OR_TEXT), ("hard", NUMBER_OR_TEXT)])]));
/// A secret or config where it is used.
pub(crate) const REFERENCES: &Shape = &List(&Either(&[
    &Text,
    &Keys(&[
        ("source", &Text),
        ("target", &Text),
        ("uid", NUMBER_OR_TEXT),
        ("gid", NUMBER_OR_TEXT),
        ("mode", NUMBER_OR_TEXT),
    ]),
]));

/// What is wrong with a tree, all of it.
pub(crate) fn judge(files: &Files, node: &Node, shape: &Shape) -> Vec<Fault> {
    let mut judge = Judge { files, path: Vec::new(), faults: Vec::new() };
    judge.value(node, shape);
    judge.faults
}

struct Judge<'a> {
    files: &'a Files,
    path: Vec<String>,
    faults: Vec<Fault>,
}

impl Judge<'_> {
    fn value(&mut self, node: &Node, shape: &Shape) {
        let chosen = match shape {
            Either(shapes) => shapes.iter().find(|shape| fits(node, shape)).copied(),
            shape => fits(node, shape).then_some(shape),
        };
        match (chosen, &node.value) {
            (None, _) => {
                let text = format!("{}: expected {}, found {}", self.at(), told(shape), node.kind());
                self.faults.push(self.files.fault(Code::Shape, node.at, text));
            }
            (Some(List(inner)), Value::List(list)) => list.iter().for_each(|node| self.value(node, inner)),
            (Some(Unique(inner)), Value::List(list)) => self.unique(list, inner),
            (Some(Names(inner)), Value::Map(map)) => {
                for (key, node) in map {
                    self.below(key, node, inner);
                }
            }
            (Some(Keys(known)), Value::Map(map)) => self.keys(map, known),
            _ => {}
        }
    }

    fn keys(&mut self, map: &Map, known: &[(&str, &'static Shape)]) {
        for (key, node) in map {
            match known.iter().find(|(word, _)| word == key) {
                Some((_, shape)) => self.below(key, node, shape),
                None if key.starts_with("x-") => {}
                None => {
                    // Looking for a near word costs; of many faults only the first are told.
                    let hinted = self.faults.len() < crate::verdict::MAX_FAULTS;
                    let near = hinted.then(|| nearest(key, known.iter().map(|(word, _)| *word))).flatten();
                    let hint = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
                    let text = format!("{}: Compose knows no key {} here{hint}", self.at(), quoted(key));
                    self.faults.push(self.files.fault(Code::Shape, node.at, text));
                }
            }
        }
    }

    fn unique(&mut self, list: &[Node], inner: &'static Shape) {
        let mut seen = BTreeSet::new();
        for node in list {
            self.value(node, inner);
            if node.as_str().is_some_and(|text| !seen.insert(text)) {
                let text = format!("{}: the same is there twice", self.at());
                self.faults.push(self.files.fault(Code::Conflict, node.at, text));
            }
        }
    }

    fn below(&mut self, key: &str, node: &Node, shape: &'static Shape) {
        self.path.push(key.to_owned());
        self.value(node, shape);
        self.path.pop();
    }

    /// The keys that lead here.
    fn at(&self) -> String {
        if self.path.is_empty() { "the file".to_owned() } else { self.path.join(".") }
    }
}

fn fits(node: &Node, shape: &Shape) -> bool {
    match (shape, &node.value) {
        (Any, _)
        | (Null, Value::Null)
        | (Shape::Scalar, Value::Scalar(_))
        | (List(_) | Unique(_), Value::List(_))
        | (Names(_) | Keys(_), Value::Map(_)) => true,
        (Either(shapes), _) => shapes.iter().any(|shape| fits(node, shape)),
        (Text, Value::Scalar(scalar)) => scalar.kind == Kind::Text,
        (Number, Value::Scalar(scalar)) => number(scalar),
        (Truth, Value::Scalar(scalar)) => {
            let text = scalar.kind == Kind::Text && is_truth(&scalar.text);
            scalar.kind == Kind::Truth || text
        }
        _ => false,
    }
}

/// Numbers may come out of variables, which are text.
fn number(scalar: &Scalar) -> bool {
    scalar.kind == Kind::Number || scalar.text.parse::<f64>().is_ok()
}

fn told(shape: &Shape) -> String {
    match shape {
        Any => "a value".to_owned(),
        Null => "nothing".to_owned(),
        Text => "a text (put it in quotes)".to_owned(),
        Number => "a number".to_owned(),
        Truth => "true or false".to_owned(),
        Shape::Scalar => "a text, a number, true or false".to_owned(),
        List(_) | Unique(_) => "a list".to_owned(),
        Names(_) | Keys(_) => "a mapping".to_owned(),
        Either(shapes) => {
            let mut words: Vec<String> = Vec::new();
            for shape in *shapes {
                let word = told(shape);
                if !words.contains(&word) {
                    words.push(word);
                }
            }
            words.join(" or ")
        }
    }
}
