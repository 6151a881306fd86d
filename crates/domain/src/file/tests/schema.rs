//! The schema and the reader say the same, as far as a schema can say it.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use boon::{Compiler, SchemaIndex, Schemas};
use cutover_events::workload::SourceKind;
use serde_json::{Map, Value, json};
use toml_edit::{Document, Item, TableLike, Value as Toml};

use super::super::read;
use super::super::schema::{sample, schema};

/// The schema of all sources, ready to judge.
struct Judge {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Judge {
    fn new(only: Option<SourceKind>) -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("workloads.json", schema(only)).unwrap_or_else(|error| panic!("{error}"));
        // Judges the schema itself by that of its dialect, too.
        let index = compiler.compile("workloads.json", &mut schemas).unwrap_or_else(|error| panic!("{error:#}"));
        Self { schemas, index }
    }

    fn judge(&self, text: &str) -> Result<(), String> {
        let document = Document::parse(text).map_err(|bad| bad.to_string())?;
        self.schemas.validate(&of_table(document.as_table()), self.index).map_err(|why| format!("{why:#}"))
    }
}

thread_local! {
    static ALL: RefCell<Option<Judge>> = const { RefCell::new(None) };
}

/// What the schema of all sources says of a file.
pub(super) fn judged(text: &str) -> Result<(), String> {
    ALL.with_borrow_mut(|judge| judge.get_or_insert_with(|| Judge::new(None)).judge(text))
}

fn of_table(table: &dyn TableLike) -> Value {
    let pairs = table.iter().filter(|(_, item)| !item.is_none());
    Value::Object(pairs.map(|(key, item)| (key.to_owned(), of_item(item))).collect::<Map<_, _>>())
}

fn of_item(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(value) => of_value(value),
        Item::Table(table) => of_table(table),
        Item::ArrayOfTables(tables) => tables.iter().map(|table| of_table(table)).collect(),
    }
}

fn of_value(value: &Toml) -> Value {
    match value {
        Toml::String(text) => json!(text.value()),
        Toml::Integer(number) => json!(number.value()),
        Toml::Float(number) => json!(number.value()),
        Toml::Boolean(truth) => json!(truth.value()),
        Toml::Datetime(time) => json!({"time": time.value().to_string()}),
        Toml::Array(array) => array.iter().map(of_value).collect(),
        Toml::InlineTable(table) => of_table(table),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The workload files of `examples/`, by name.
fn examples() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join("examples")).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            found.push((name, std::fs::read_to_string(path).unwrap()));
        }
    }
    found.sort();
    found
}

/// The workload files that a page shows.
fn shown(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("docs").join(page)).unwrap();
    let blocks = text.split("```toml\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_example_is_accepted_by_reader_and_schema() {
    let all = examples();
    for (name, text) in &all {
        let read = read(name, text.as_bytes()).unwrap_or_else(|bad| panic!("{bad}"));
        assert!(!read.is_empty());
        judged(text).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(text.contains(&format!("examples/{name}")), "{name} names how it is judged");
    }
    for kind in SourceKind::ALL {
        for word in super::super::check::strategies(kind) {
            let name = format!("{}-{word}.toml", kind.word());
            let (_, text) = all.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name} is missing"));
            let spec = read(&name, text.as_bytes()).unwrap().remove(0).spec;
            let chosen = crate::strategy::effective(&spec).strategy;
            assert_eq!((spec.source.kind(), crate::strategy::word(chosen)), (kind, *word), "{name}");
        }
    }
}

#[test]
fn the_page_for_new_users_shows_files_that_are_accepted_and_short() {
    let blocks = shown("sources.md");
    assert_eq!(blocks.len(), 3);
    for text in blocks {
        assert!(text.lines().count() <= 12, "{text}");
        let read = read("sources.md", text.as_bytes()).unwrap_or_else(|bad| panic!("{bad}\n{text}"));
        assert_eq!(read[0].warnings, Vec::<String>::new());
        judged(&text).unwrap_or_else(|why| panic!("{text}\n{why}"));
    }
}

#[test]
fn a_sample_fits_the_schema_of_its_source_and_no_other() {
    for kind in SourceKind::ALL {
        let judge = Judge::new(Some(kind));
        for other in SourceKind::ALL {
            assert_eq!(judge.judge(sample(other)).is_ok(), kind == other, "{kind:?} {other:?}");
        }
        judged(sample(kind)).unwrap_or_else(|why| panic!("{kind:?}: {why}"));
    }
}

#[test]
fn what_the_reader_refuses_for_its_form_the_schema_refuses_too() {
    let cases = [
        "image = \"x\"\nimge = 1",
        "image = { ref = \"x\", pul = \"always\" }",
        "image = { pull = \"always\" }",
        "image = { ref = \"x\", pull = \"sometimes\" }",
        "image = \"x\"\ndockerfile = \".\"",
        "host = \"a.b\"",
        "image = \"x\"\nstrategy = \"Blue-Green\"",
        "image = \"x\"\nstrategy = 7",
        "compose = \"c\"\nstrategy = \"blue-green\"",
        "compose = { file = \"c\", deploy_strategy = \"blue-green\" }",
        "compose = \"c\"\nreplicas = 1",
        "compose = \"c\"\nhost = \"a.b\"",
        "static = \"s\"\nport = 1",
        "static = { path = \"s\" }\nvolumes = [\"a:/b\"]",
        "static = { path = \"s\", mode = \"node\" }",
        "static = { path = \"s\", build = { image = \"n\" } }",
        "dockerfile = { file = \"x\" }",
        "dockerfile = { context = \".\", args = { A = 1 } }",
        "image = \"x\"\nport = 0",
        "image = \"x\"\nreplicas = 65",
        "image = \"x\"\ncommand = []",
        "image = \"x\"\nmemory = \"512\"",
        "image = \"x\"\npolicy.drain = \"soon\"",
        "image = \"x\"\npolicy.drian = \"1s\"",
        "image = \"x\"\nhealth = \"healthz\"",
        "image = \"x\"\nprocesses = { a = {} }",
        "image = \"x\"\nroutes = [{ path = \"/\" }]",
        "image = \"x\"\ntriggers = [{ branch = \"main\" }]",
    ];
    for lines in cases {
        let text = format!("[workloads.w]\n{lines}\n");
        assert!(read("f.toml", text.as_bytes()).is_err(), "{lines}");
        assert!(judged(&text).is_err(), "{lines}");
    }
    for text in ["", "project = \"a\"", "[workloads]", "[workloads.\"-rf\"]\nimage = \"x\"", "projet = \"a\""] {
        assert!(read("f.toml", text.as_bytes()).is_err() && judged(text).is_err(), "{text}");
    }
}
