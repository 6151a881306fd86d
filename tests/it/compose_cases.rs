//! Compose files and what must come of them: each folder of `tests/fixtures/compose` says it in lines that begin with `#=`.
//!
//! `ok`, `fault LINE CODE TEXT`, `services …`, `inactive …`, `ports SERVICE HOST…`, `env SERVICE NAME=VALUE…` (`_` is a
//! space), `mount SERVICE SOURCE`, `image SERVICE REF`, `variable NAME`, `demand TEXT`, `demand-none`, `warning TEXT`; `set`
//! and `given NAME=VALUE…` are the environment and the workload's own variables.

use std::path::{Path, PathBuf};

use cutover_compose::{Beside, Found, Nothing, Service, Stack, Values, Variables, Verdict, judge};

/// A folder of this host.
struct Folder(PathBuf);

impl Beside for Folder {
    fn read(&self, path: &str) -> Found {
        std::fs::read(self.0.join(path)).map_or(Found::Missing, Found::Bytes)
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/compose")
}

fn pairs(text: &str) -> Values {
    text.split(' ').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_owned(), v.replace('_', " "))).collect()
}

/// The lines of a case, each with its first word apart.
fn said(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("#= "));
    lines.map(|line| line.split_once(' ').unwrap_or((line, ""))).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

fn verdict(case: &Path, said: &[(String, String)]) -> Verdict {
    let names = ["compose.yml", "compose.override.yml"];
    let files: Vec<(&str, Vec<u8>)> =
        names.iter().filter_map(|name| Some((*name, std::fs::read(case.join(name)).ok()?))).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    let of = |word: &str| {
        let found = said.iter().filter(|(key, _)| key == word).flat_map(|(_, text)| pairs(text));
        found.collect::<Values>()
    };
    let variables = Variables { given: of("given"), environment: of("set"), ..Variables::default() };
    judge(&Stack { project: "stack", files: &files, beside: &Folder(case.to_owned()), variables, profiles: &[] })
}

#[test]
fn each_case_gets_the_verdict_that_it_says() {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let wrong: Vec<String> = cases.iter().flat_map(|case| wrong(case)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn wrong(case: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(case.join("compose.yml")).unwrap();
    let said = said(&text);
    let verdict = verdict(case, &said);
    let name = case.file_name().unwrap().to_string_lossy();
    let mut wrong: Vec<String> = said.iter().filter_map(|one| judged(&verdict, one)).collect();
    let faults = said.iter().filter(|(word, _)| word == "fault").count();
    let ok = said.iter().any(|(word, _)| word == "ok");
    if faults != verdict.faults.len() || ok != verdict.accepted() {
        let found: Vec<String> = verdict.faults.iter().map(|fault| format!("{:?} {fault}", fault.code)).collect();
        wrong.push(format!("{faults} faults said, found {found:?}"));
    }
    if verdict.faults.iter().any(|fault| fault.text.contains("hunter2") || fault.text.contains('\n')) {
        wrong.push(format!("a value is repeated, or a line is broken: {:?}", verdict.faults));
    }
    wrong.iter().map(|text| format!("{name}: {text}")).collect()
}

/// What is wrong about one line of a case.
fn judged(verdict: &Verdict, (word, text): &(String, String)) -> Option<String> {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let of = |active: bool| {
        let names = verdict.services.values().filter(|one| one.active == active).map(|one| one.name.as_str());
        names.collect::<Vec<_>>().join(" ")
    };
    let service = || verdict.services.get(first);
    let (expected, found) = match word.as_str() {
        "ok" | "set" | "given" => return None,
        "services" => (text.clone(), of(true)),
        "inactive" => (text.clone(), of(false)),
        "fault" => return fault(verdict, first, rest),
        "ports" => return ports(verdict, text),
        "env" => {
            let environment = service().map(|one| one.environment.0.clone()).unwrap_or_default();
            let has = |(name, value): &(String, String)| environment.get(name) == Some(value);
            let missing: Vec<_> = pairs(rest).into_iter().filter(|pair| !has(pair)).collect();
            (String::new(), missing.iter().map(|(name, _)| format!("{name} is {:?}", environment.get(name))).collect())
        }
        "image" => (rest.to_owned(), service().and_then(|one| one.image.clone()).unwrap_or_default()),
        "mount" => {
            let sources: Vec<&str> = service().map(sources).unwrap_or_default();
            (rest.to_owned(), sources.first().map(|one| one.trim_start_matches("./")).unwrap_or_default().to_owned())
        }
        "variable" => (text.clone(), verdict.variables.get(text).cloned().unwrap_or_default()),
        "demand" => return missing(&verdict.demands, text),
        "demand-none" => (String::new(), verdict.demands.iter().map(ToString::to_string).collect()),
        "warning" => return missing(&verdict.warnings, text),
        other => return Some(format!("the word {other:?} means nothing")),
    };
    let expected = if word == "mount" { expected.trim_start_matches("./").to_owned() } else { expected };
    (expected != found).then(|| format!("{word}: {expected:?} is said, found {found:?}"))
}

fn sources(service: &Service) -> Vec<&str> {
    service.mounts.iter().map(|mount| mount.source.as_str()).collect()
}

fn missing<T: std::fmt::Display>(found: &[T], text: &str) -> Option<String> {
    let all: Vec<String> = found.iter().map(ToString::to_string).collect();
    (!all.iter().any(|one| one.contains(text))).then(|| format!("{text:?} is said, found {all:#?}"))
}

fn fault(verdict: &Verdict, line: &str, rest: &str) -> Option<String> {
    let (code, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let is = |fault: &&cutover_compose::Fault| {
        let at = line == "0" || fault.place.line.to_string() == line;
        at && format!("{:?}", fault.code) == code && fault.text.contains(text)
    };
    let found: Vec<String> = verdict.faults.iter().map(|fault| format!("{:?} {fault}", fault.code)).collect();
    verdict.faults.iter().find(is).is_none().then(|| format!("{line} {rest} is said, found {found:#?}"))
}

/// Ports of the host: `SERVICE PORT…`, again and again.
fn ports(verdict: &Verdict, text: &str) -> Option<String> {
    let mut expected: Vec<String> = Vec::new();
    let mut found: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let Some(service) = verdict.services.get(word) else {
            expected.push(word.to_owned());
            continue;
        };
        found.extend(service.ports.iter().map(|port| match port.host {
            None => "*".to_owned(),
            Some((low, high)) if low == high => low.to_string(),
            Some((low, high)) => format!("{low}-{high}"),
        }));
    }
    (expected != found).then(|| format!("ports {expected:?} are said, found {found:?}"))
}

fn alone(bytes: &[u8]) -> Verdict {
    let files = [("compose.yml", bytes)];
    judge(&Stack { project: "stack", files: &files, beside: &Nothing, variables: Variables::default(), profiles: &[] })
}

#[test]
fn encodings_line_ends_and_what_is_no_text() {
    let text = "services:\n  web:\n    image: busybox\n    labels: { who: \"Jürgen 漢字\" }\n";
    let crlf = text.replace('\n', "\r\n");
    let utf16 = |text: &str| -> Vec<u8> {
        [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
    };
    let bom = format!("\u{feff}{text}");
    for bytes in [text.as_bytes(), crlf.as_bytes(), bom.as_bytes(), &utf16(text), &utf16(&crlf)] {
        let verdict = alone(bytes);
        assert!(verdict.accepted(), "{:?}", verdict.faults);
        assert_eq!(verdict.active().collect::<Vec<_>>(), ["web"]);
    }
    for bytes in [&[0x1f, 0x8b, 8, 0, 1][..], &[0xff, 0xfe, 0x00, 0xd8], b"a: \x00", b"", b"# nothing\n", b"\xc3\x28"] {
        assert!(!alone(bytes).accepted(), "{bytes:?}");
    }
    let large = vec![b'#'; cutover_compose::MAX_FILE_BYTES + 1];
    assert_eq!(alone(&large).faults[0].code, cutover_compose::Code::Limit);
}
