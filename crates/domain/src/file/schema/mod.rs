//! The workload file as JSON Schema (2020-12), for editors and for programs that write such files.
//!
//! The keys come from the tables of words that the reader itself refuses by; a test holds both together. What a schema
//! cannot say (which values may stand together, which names are free) `cutover check` judges.

mod keys;
mod source;

use cutover_events::workload::SourceKind;
use serde_json::{Map, Value, json};

use super::strict::Words;
use super::{MAX_WORKLOADS, check, fits};

/// The dialect.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// The names of projects, workloads, processes and hooks, as the reader judges them.
const NAME: &str = "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$";

/// A table of the file: the words of the reader, and what each stands for.
struct Table {
    words: Words,
    about: &'static str,
    keys: Vec<(&'static str, Value)>,
    required: &'static [&'static str],
}

impl Table {
    fn schema(&self) -> Value {
        let shape = |word: &&str| self.keys.iter().find(|(key, _)| key == word).map(|(_, shape)| shape.clone());
        let known = self.words.known.iter();
        let properties: Map<String, Value> =
            known.filter_map(|word| Some(((*word).to_owned(), shape(word)?))).collect();
        let mut schema = json!({
            "type": "object",
            "description": self.about,
            "properties": properties,
            "additionalProperties": false,
        });
        if !self.required.is_empty() {
            schema["required"] = json!(self.required);
        }
        schema
    }
}

/// The schema of a workload file: of all sources, or of files whose workloads have this one.
#[must_use]
pub fn schema(only: Option<SourceKind>) -> Value {
    let mut definitions: Map<String, Value> =
        tables().into_iter().map(|(name, table)| (name.to_owned(), table.schema())).collect();
    if let Some(workload) = definitions.get_mut("workload") {
        match only {
            None => {
                workload["oneOf"] = SourceKind::ALL.iter().map(|kind| json!({"required": [kind.word()]})).collect();
                workload["allOf"] = json!([fitting(SourceKind::Static), fitting(SourceKind::Compose)]);
            }
            Some(kind) => narrowed(workload, kind),
        }
    }
    let (title, comment) = match only {
        None => ("A workload file of Cutover".to_owned(), "Of one source alone: cutover schema SOURCE".to_owned()),
        Some(kind) => (
            format!("A workload file of Cutover, {} alone", kind.word()),
            format!("A commented sample: cutover schema {} --sample", kind.word()),
        ),
    };
    let top = keys::top();
    let mut whole = top.schema();
    whole["$schema"] = json!(DIALECT);
    whole["title"] = json!(title);
    whole["$comment"] = json!(comment);
    whole["$defs"] = Value::Object(definitions);
    whole
}

/// A file with every key of one source, with a word about each, that `check` accepts.
#[must_use]
pub const fn sample(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Image => include_str!("samples/image.toml"),
        SourceKind::Dockerfile => include_str!("samples/dockerfile.toml"),
        SourceKind::Static => include_str!("samples/static.toml"),
        SourceKind::Compose => include_str!("samples/compose.toml"),
    }
}

/// All tables but the top one, by the name that others refer to them by.
fn tables() -> Vec<(&'static str, Table)> {
    vec![
        ("workload", keys::workload()),
        ("route", keys::route()),
        ("volume", keys::volume()),
        ("port", keys::port()),
        ("health", keys::health()),
        ("release", keys::release()),
        ("trigger", keys::trigger()),
        ("process", keys::process()),
        ("policy", keys::policy()),
        ("image", source::image()),
        ("dockerfile", source::dockerfile()),
        ("static", source::site()),
        ("build", source::build()),
        ("compose", source::compose()),
    ]
}

/// One source alone: the keys of the others are gone, and so are those that say nothing to it.
fn narrowed(workload: &mut Value, kind: SourceKind) {
    let Some(properties) = workload.get_mut("properties").and_then(Value::as_object_mut) else { return };
    properties.retain(|key, _| SourceKind::ALL.iter().all(|other| *other == kind || other.word() != key));
    if kind == SourceKind::Compose {
        properties.retain(|key, _| !said_nothing(kind).contains(&key.as_str()));
        properties.insert("strategy".to_owned(), strategy(kind));
    }
    workload["required"] = json!([kind.word()]);
    if kind == SourceKind::Static {
        workload["allOf"] = json!([fitting(kind)]);
    }
}

/// The keys that say nothing to a source; to a static one only where the proxy serves it.
fn said_nothing(kind: SourceKind) -> Vec<&'static str> {
    let more = if kind == SourceKind::Compose { &["host"][..] } else { &[] };
    fits::OF_CONTAINERS.iter().chain(more).copied().collect()
}

/// Where a workload has this source, the keys that say nothing to it must not be there.
fn fitting(kind: SourceKind) -> Value {
    let mut properties: Map<String, Value> =
        said_nothing(kind).into_iter().map(|key| (key.to_owned(), Value::Bool(false))).collect();
    let condition = match kind {
        SourceKind::Static => {
            let files = json!({"type": "object", "properties": {"mode": {"const": "files"}}});
            json!({"required": ["static"], "properties": {"static": {"anyOf": [{"type": "string"}, files]}}})
        }
        SourceKind::Image | SourceKind::Dockerfile | SourceKind::Compose => json!({"required": [kind.word()]}),
    };
    if kind == SourceKind::Compose {
        properties.insert("strategy".to_owned(), strategy(kind));
    }
    json!({"if": condition, "then": {"properties": properties}})
}

/// The words of a strategy, empty for the default.
fn strategy(kind: SourceKind) -> Value {
    let words: Vec<&str> = std::iter::once("").chain(check::strategies(kind).iter().copied()).collect();
    let default = crate::strategy::word(crate::strategy::default_of(kind));
    let about = match kind {
        SourceKind::Compose => {
            format!("How it is replaced; a stack has no one target that could be swapped. Default: {default}")
        }
        SourceKind::Image | SourceKind::Dockerfile | SourceKind::Static => {
            format!("How it is replaced. Default: {default}")
        }
    };
    json!({"description": about, "enum": words})
}

/// Another table, with what it is here.
fn of(table: &str, about: &str) -> Value {
    json!({"$ref": format!("#/$defs/{table}"), "description": about})
}

fn text(about: &str) -> Value {
    json!({"type": "string", "description": about})
}

fn pattern(about: &str, pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern, "description": about})
}

fn number((low, high): (i64, i64), about: &str) -> Value {
    json!({"type": "integer", "minimum": low, "maximum": high, "description": about})
}

fn truth(about: &str) -> Value {
    json!({"type": "boolean", "description": about})
}

fn words<T>(known: &[(&str, T)], about: &str) -> Value {
    let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
    json!({"enum": words, "description": about})
}

fn list(of: Value, most: usize, about: &str) -> Value {
    json!({"type": "array", "items": of, "maxItems": most, "description": about})
}

fn either(about: &str, forms: &[Value]) -> Value {
    json!({"anyOf": forms, "description": about})
}

fn duration(about: &str) -> Value {
    pattern(about, "^(0|[0-9]+(ms|s|m|h|d))$")
}

fn variables(most: usize, about: &str) -> Value {
    json!({
        "type": "object",
        "additionalProperties": {"type": "string"},
        "maxProperties": most,
        "description": about,
    })
}

fn by_name(table: &str, most: usize, about: &str) -> Value {
    json!({
        "type": "object",
        "propertyNames": {"pattern": NAME},
        "additionalProperties": {"$ref": format!("#/$defs/{table}")},
        "minProperties": 1,
        "maxProperties": most,
        "description": about,
    })
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    #[test]
    fn every_table_has_the_keys_of_the_reader() {
        let all = tables().into_iter().chain([("top", keys::top())]);
        for (name, table) in all {
            let keys: Vec<&str> = table.keys.iter().map(|(key, _)| *key).collect();
            assert_eq!(keys, table.words.known, "{name}");
            assert!(table.required.iter().all(|key| keys.contains(key)), "{name}");
            for (key, shape) in &table.keys {
                assert!(shape["description"].as_str().is_some_and(|about| !about.is_empty()), "{name}.{key}");
            }
        }
    }

    #[test]
    fn every_reference_leads_to_a_table() {
        for only in [None].into_iter().chain(SourceKind::ALL.map(Some)) {
            let whole = schema(only);
            let text = whole.to_string();
            for (_, rest) in text.match_indices("\"#/$defs/").map(|(at, found)| (at, &text[at + found.len()..])) {
                let name = rest.split('"').next().unwrap_or_default();
                assert!(whole["$defs"][name].is_object(), "{name}");
            }
        }
    }

    #[test]
    fn a_schema_of_one_source_has_no_other() {
        for kind in SourceKind::ALL {
            let whole = schema(Some(kind));
            let properties = &whole["$defs"]["workload"]["properties"];
            let found: Vec<_> = SourceKind::ALL.into_iter().filter(|one| properties[one.word()].is_object()).collect();
            assert_eq!(found, [kind]);
            assert_eq!(properties["replicas"].is_object(), kind != SourceKind::Compose);
        }
    }

    #[test]
    fn a_sample_is_accepted_and_shows_every_key_of_its_source() {
        for kind in SourceKind::ALL {
            let sample = sample(kind);
            let all = read("sample.toml", sample.as_bytes()).unwrap_or_else(|bad| panic!("{bad}"));
            assert!(all.iter().any(|one| one.spec.source.kind() == kind));
            for one in &all {
                assert_eq!(one.warnings, Vec::<String>::new(), "{}", one.name);
            }
            let (_, table) = tables().into_iter().find(|(name, _)| *name == kind.word()).unwrap();
            let shown =
                |key: &str| sample.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} ")));
            let missing: Vec<_> = table.words.known.iter().filter(|key| !shown(key)).collect();
            assert!(missing.is_empty(), "{}: {missing:?}", kind.word());
            assert!(sample.lines().all(|line| line.chars().count() <= 120), "{}", kind.word());
        }
    }
}
