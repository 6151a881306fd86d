//! A workload file out of a stack: what can be swapped without a gap is, what keeps data is recreated, and what cannot be
//! kept is said with its reason.

mod keys;
mod ports;
mod toml;
mod values;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};

use cutover_domain::file::check;

use crate::model::{Command, Condition, Service};
use crate::verdict::Verdict;
use toml::Table;

/// How a stack is imported.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// The project of the workloads.
    pub project: String,
    /// The name under which Compose has run the stack: its volumes on Docker begin with it.
    pub stack: String,
    /// The folder of the file, absolute: relative paths begin there.
    pub folder: String,
    /// The home folder, for paths that begin with `~`.
    pub home: String,
    /// Paths of mounts, as the file writes them, that are files and not folders.
    pub files: BTreeSet<String>,
}

/// What cannot be kept of a service, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The service.
    pub service: String,
    /// One line.
    pub text: String,
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.service, self.text)
    }
}

/// A workload file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Its text; empty when no service can be a workload.
    pub text: String,
    /// Workloads in it.
    pub workloads: usize,
    /// What it does not keep.
    pub notes: Vec<Note>,
}

/// What is known while one service is imported.
struct One<'a> {
    import: &'a Import,
    verdict: &'a Verdict,
    service: &'a Service,
    names: &'a BTreeMap<String, String>,
    notes: &'a mut Vec<Note>,
}

impl One<'_> {
    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(Note { service: self.service.name.clone(), text: text.into() });
    }
}

/// Makes a workload file of the services that would start. The stack must have been accepted.
#[must_use]
pub fn import(verdict: &Verdict, import: &Import) -> Imported {
    let mut notes = Vec::new();
    let names = names(verdict, &mut notes);
    let mut tables = Vec::new();
    for service in verdict.services.values().filter(|service| names.contains_key(&service.name)) {
        let mut one = One { import, verdict, service, names: &names, notes: &mut notes };
        tables.push(workload(&mut one));
    }
    notes.sort();
    notes.dedup();
    let workloads = tables.len();
    let text = if tables.is_empty() { String::new() } else { whole(import, &notes, &tables) };
    Imported { text, workloads, notes }
}

fn whole(import: &Import, notes: &[Note], tables: &[Table]) -> String {
    let mut text = String::from("# Made of a stack of Compose by `cutover import compose`.\n");
    if !notes.is_empty() {
        text += "# What it does not keep, or keeps in another way:\n";
        notes.iter().for_each(|note| text += &toml::comment(&format!("- {note}")));
    }
    text += &format!("project = {}\n", toml::text(&import.project));
    tables.iter().for_each(|table| text += &table.print());
    text
}

/// The names of the workloads by service; services that cannot be one are noted and left out.
fn names(verdict: &Verdict, notes: &mut Vec<Note>) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for service in verdict.services.values() {
        let mut note = |text: String| notes.push(Note { service: service.name.clone(), text });
        if !service.active {
            let profiles = service.profiles.join(", ");
            note(format!("left out: it starts with the profile {profiles} only; ask for it with COMPOSE_PROFILES"));
            continue;
        }
        if once(verdict, &service.name) {
            note("left out: others wait for its end, and what runs once and ends is no workload".to_owned());
            continue;
        }
        if service.image.is_none() {
            note(
                "left out: it has no image, but is built; give it an image, or make it a workload with a dockerfile"
                    .to_owned(),
            );
            continue;
        }
        let wished = named(&service.name);
        let free = (1..).map(|n| if n == 1 { wished.clone() } else { format!("{wished}-{n}") });
        let Some(name) = free.into_iter().find(|name| !taken.contains(name)) else { continue };
        if name != service.name {
            note(format!("its name is {name}: others have to call it so"));
        }
        taken.insert(name.clone());
        names.insert(service.name.clone(), name);
    }
    names
}

/// Whether another service starts once this one has ended.
fn once(verdict: &Verdict, name: &str) -> bool {
    let waits = |service: &Service| service.active && service.after.get(name) == Some(&Condition::Completed);
    verdict.services.values().any(waits)
}

/// The nearest name that a workload can have.
fn named(service: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    // Room for a number.
    let name: String = service.chars().map(plain).take(check::MAX_NAME_CHARS - 4).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "service".to_owned() } else { name.to_owned() }
}

fn workload(one: &mut One<'_>) -> Table {
    let service = one.service;
    let mut table = Table::new(&one.names[&service.name]);
    table.set("image", toml::text(service.image.as_deref().unwrap_or_default()));
    let volumes = volumes::of(one);
    let published = ports::of(one, &volumes);
    if volumes.writable || !published.fixed.is_empty() {
        table.set("strategy", toml::text("recreate"));
    }
    published.hints.iter().for_each(|hint| table.comment(hint));
    values::health(one, &mut table);
    command(one, &mut table);
    table.list("volumes", volumes.mounts);
    table.list("ports", published.fixed);
    values::limits(one, &mut table);
    replicas(one, &mut table);
    after(one, &mut table);
    values::policy(one, &mut table);
    values::environment(one, &mut table);
    keys::judge(one);
    table
}

fn command(one: &mut One<'_>, table: &mut Table) {
    let words = |command: &Command| match command {
        Command::Line(line) => values::words(line),
        Command::Words(words) => Some(words.clone()),
    };
    match one.service.command.as_ref().map(words) {
        None => {}
        Some(Some(words)) if !words.is_empty() && words.iter().all(|word| check::value(word).is_ok()) => {
            table.list("command", words);
        }
        Some(Some(words)) if words.is_empty() => {}
        Some(_) => one.note("its command cannot be written as words; the image's own runs"),
    }
    if one.service.entrypoint.is_some() {
        one.note(
            "entrypoint: that of the image runs; put the whole command into \"command\", or into an image of your own",
        );
    }
}

fn replicas(one: &mut One<'_>, table: &mut Table) {
    let wished = one.service.replicas;
    if wished > 1 && table.has("strategy") {
        one.note(format!("{wished} replicas: what keeps data or a port of the host is one container"));
    } else if (2..=64).contains(&wished) {
        table.set("replicas", wished.to_string());
    } else if wished != 1 {
        one.note(format!("{wished} replicas: allowed is 1 to 64"));
    }
}

fn after(one: &mut One<'_>, table: &mut Table) {
    let mut names = Vec::new();
    for (service, condition) in &one.service.after {
        if *condition == Condition::Completed {
            one.note(format!("depends_on {service}: nothing runs before it and ends"));
            continue;
        }
        match one.names.get(service) {
            Some(name) => names.push(name.clone()),
            None => one.note(format!("depends_on {service}: that one is left out")),
        }
    }
    table.list("after", names);
}
