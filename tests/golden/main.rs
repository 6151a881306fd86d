//! Golden bytes: what was written once is read for ever.
//!
//! Every kind of event has `events/golden/<number>-<name>.v<version>.bin` with its samples, and a `.txt` that shows
//! them. Missing files are written by `CUTOVER_BLESS=missing cargo test --test golden`; files that exist are never
//! touched by that. Before the first release, `CUTOVER_BLESS=all` writes all of them again, on purpose.

mod deployments;
mod others;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cutover_events::codec::{chain, decode_commit, encode_commit};
use cutover_events::kind::CATALOGUE;
use cutover_events::{Digest, Event};

/// Bytes of the length before each sample, little endian.
const LENGTH_BYTES: usize = 4;
/// The shape of a commit has no number of its own.
const COMMIT: &str = "commit.v1";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("events/golden")
}

fn samples() -> Vec<Event> {
    others::samples().into_iter().chain(deployments::samples()).collect()
}

/// The samples of each kind under the name of its files.
fn by_name() -> Vec<(String, Vec<Event>)> {
    let all = samples();
    let of = |number: u16| all.iter().filter(|event| event.kind().number == number).cloned().collect();
    CATALOGUE.iter().map(|kind| (format!("{}-{}.v{}", kind.number, kind.name, kind.version), of(kind.number))).collect()
}

fn pack(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}

fn unpack(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() {
        let (part, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        parts.push(part.to_vec());
        bytes = rest;
    }
    assert!(bytes.is_empty(), "bytes are left over");
    parts
}

fn shown<T: std::fmt::Debug>(values: &[T]) -> String {
    values.iter().map(|value| format!("{value:#?}\n")).collect()
}

/// The golden bytes and text; written first where that was asked for.
fn golden(name: &str, bytes: &[u8], text: &str) -> (Vec<u8>, String) {
    let (bin, txt) = (folder().join(format!("{name}.bin")), folder().join(format!("{name}.txt")));
    let wish = std::env::var_os("CUTOVER_BLESS");
    let all = wish.as_ref().is_some_and(|wish| wish == "all");
    if all || (wish.is_some() && !bin.exists()) {
        std::fs::create_dir_all(folder()).expect("the folder can be made");
        std::fs::write(&bin, bytes).expect("bytes can be written");
        std::fs::write(&txt, text).expect("text can be written");
    }
    let hint = "is missing; write it with CUTOVER_BLESS=missing cargo test --test golden";
    let bytes = std::fs::read(&bin).unwrap_or_else(|_| panic!("{} {hint}", bin.display()));
    let text = std::fs::read_to_string(&txt).unwrap_or_else(|_| panic!("{} {hint}", txt.display()));
    (bytes, text)
}

#[test]
fn every_kind_has_golden_bytes_that_still_mean_the_same() {
    for (name, events) in by_name() {
        assert!(!events.is_empty(), "{name}: no sample in tests/golden");
        let parts: Vec<Vec<u8>> = events.iter().map(|event| event.payload().unwrap()).collect();
        let text = shown(&events);
        let (bytes, written) = golden(&name, &pack(&parts), &text);
        let kind = events[0].kind();
        let decoded: Vec<Event> = unpack(&bytes)
            .iter()
            .map(|part| {
                Event::from_payload(kind.number, kind.version, part).unwrap_or_else(|bad| panic!("{name}: {bad}"))
            })
            .collect();
        assert_eq!(shown(&decoded), written, "{name}: old bytes mean something else now");
        assert_eq!(decoded, events, "{name}: the sample has changed; a new shape is a new version");
        assert_eq!(unpack(&bytes), parts, "{name}: the same value is written in other bytes");
    }
}

#[test]
fn commits_have_golden_bytes_and_a_golden_chain() {
    let commits = others::commits();
    let bodies: Vec<Vec<u8>> = commits.iter().map(|commit| encode_commit(commit).unwrap()).collect();
    let links = bodies.iter().scan(Digest::default(), |last, body| {
        *last = chain(*last, body);
        Some(*last)
    });
    let links: Vec<Digest> = links.collect();
    let text = shown(&commits) + &shown(&links);
    let (bytes, written) = golden(COMMIT, &pack(&bodies), &text);
    let decoded: Vec<_> = unpack(&bytes).iter().map(|body| decode_commit(body).unwrap()).collect();
    assert_eq!(decoded, commits);
    assert_eq!(unpack(&bytes), bodies);
    assert_eq!(text, written, "the chain of the same commits has changed");
}

#[test]
fn every_version_that_was_ever_written_decodes() {
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let stem = file.strip_suffix(".bin").or_else(|| file.strip_suffix(".txt")).unwrap_or(&file);
        if stem == COMMIT {
            continue;
        }
        let parts = stem.split_once('-').and_then(|(number, rest)| Some((number, rest.rsplit_once(".v")?)));
        let (number, (name, version)) = parts.unwrap_or_else(|| panic!("{file}: not <number>-<name>.v<version>"));
        let (number, version) = (number.parse().unwrap(), version.parse().unwrap());
        let kind = CATALOGUE.iter().find(|kind| kind.number == number && kind.name == name);
        let kind = kind.unwrap_or_else(|| panic!("{file}: no such kind; numbers and names are never given up"));
        assert!(version <= kind.version, "{file}");
        for part in unpack(&std::fs::read(path.with_extension("bin")).unwrap()) {
            Event::from_payload(number, version, &part).unwrap_or_else(|bad| panic!("{file}: {bad}"));
        }
    }
}

#[test]
fn every_variant_is_in_some_sample() {
    let shown = shown(&samples()) + &shown(&others::commits());
    let words: BTreeSet<&str> = shown.split(|c: char| !c.is_alphanumeric()).collect();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("events/src");
    let mut seen = 0;
    for file in ["workload", "deployment", "plan", "delivery", "engine", "envelope"] {
        let text = std::fs::read_to_string(sources.join(format!("{file}.rs"))).unwrap();
        for variant in variants(&text) {
            seen += 1;
            assert!(words.contains(variant.as_str()), "{file}.rs: no sample holds the variant {variant}");
        }
    }
    assert!(seen > 50, "only {seen} variants found");
}

/// The names of variants of the enums in a source that is formatted by rustfmt.
fn variants(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        inside = (inside || line.starts_with("pub enum ")) && line != "}";
        let name =
            line.strip_prefix("    ").filter(|rest| inside && rest.starts_with(|c: char| c.is_ascii_uppercase()));
        let name = name.map(|rest| rest.chars().take_while(char::is_ascii_alphanumeric).collect());
        found.extend(name);
    }
    found
}

#[test]
fn the_catalogue_is_written_down() {
    let rows: String = CATALOGUE
        .iter()
        .map(|kind| {
            format!("| {} | {} | {} | {} | {} |\n", kind.number, kind.name, kind.version, kind.stream, kind.meaning)
        })
        .collect();
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("events/README.md")).unwrap();
    let table: String = readme
        .lines()
        .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit())
        .fold(String::new(), |table, line| table + line + "\n");
    assert_eq!(table, rows, "events/README.md has this table:\n{rows}");
}
