//! Style and layering as tests: what the compiler, rustfmt and clippy cannot hold.
//!
//! A rule that is in the way is changed here, with its reason, and not worked around.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of a file without blanks, comments and tests. Projects are lost to the one file that ate everything.
const MAX_NET_LINES: usize = 500;

/// Modules of the engine by layer, as in `docs/architecture.md`; calls go down only.
const LAYERS: &[(&str, u8)] = &[
    ("clock", 0),
    ("crash", 0),
    ("telemetry", 0),
    ("store", 2),
    ("adapters", 2),
    ("secrets", 2),
    ("commands", 3),
    ("projections", 3),
    ("intake", 3),
    ("logs", 3),
    ("execution", 4),
    ("image_pushes", 4),
    ("schedule", 4),
    ("services", 4),
    ("outbox", 4),
    ("api", 5),
    ("recovery", 5),
    ("web", 5),
    ("config", 6),
    ("server", 6),
    ("cli", 7),
];

/// Where layer 2 uses itself: sealed values are blobs, and files that survive a power cut are written by one function.
const WITHIN_LAYER: &[(&str, &[&str])] =
    &[("secrets", &["crate::store::blobs", "crate::store::files"]), ("adapters", &["crate::store::files"])];

/// What a module never uses although its layer would let it.
const NEVER: &[(&str, &str, &str)] = &[
    ("commands", "crate::adapters", "the write path knows no world"),
    ("projections", "crate::adapters", "read models come from the log alone"),
    ("intake", "crate::adapters", "a delivery is decided without looking at the world"),
    ("logs", "crate::adapters", "output is handed in"),
    ("api", "crate::adapters", "the API speaks of the log; the world is the executor's"),
    ("web", "crate::adapters", "as the API"),
    ("execution", "Strategy::BlueGreen", "a plan holds its strategy as steps"),
    ("execution", "Strategy::Recreate", "a plan holds its strategy as steps"),
    ("execution", "Source::Image", "recipes and plans know sources"),
    ("execution", "Source::Dockerfile", "recipes and plans know sources"),
    ("execution", "Source::Static", "recipes and plans know sources"),
    ("execution", "Source::Compose", "recipes and plans know sources"),
    ("execution", "Makes::Image", "what a recipe makes is the builder's"),
    ("execution", "Makes::Site", "what a recipe makes is the builder's"),
    ("execution", "Makes::Program", "what a recipe makes is the builder's"),
    ("execution", "Makes::Stack", "what a recipe makes is the builder's"),
    ("api", ".append(", "the API appends through commands only"),
    ("cli", "cutover_domain::deployment", "the command line knows the domain for workload files only"),
    ("cli", "cutover_domain::plan", "the command line knows the domain for workload files only"),
];

/// Enums whose variants execution must not tell apart: where each is, and its name.
const NO_BRANCH: &[(&str, &str)] =
    &[("events/src/source.rs", "Source"), ("events/src/plan.rs", "Strategy"), ("crates/domain/src/recipe.rs", "Makes")];

/// Who may know one source from another: what reads and judges a file, what lowers it, and what fetches and builds.
const KNOWS_SOURCES: &[&str] = &[
    "events/src/",
    "crates/domain/src/file/",
    "crates/domain/src/ability.rs",
    "crates/domain/src/plan/lower.rs",
    "crates/domain/src/recipe.rs",
    "crates/domain/src/registry.rs",
    "crates/domain/src/strategy.rs",
    "crates/explorer/",
    "src/adapters/builder/",
    "src/adapters/source/",
    "src/api/",
    "src/cli/commands/",
];

/// Implementations of ports: only the composition root and the adapters themselves name them.
const IMPLEMENTATIONS: &[&str] = &[
    "crate::adapters::runtime::docker",
    "crate::adapters::runtime::memory",
    "crate::adapters::world",
    "cutover_world",
];

/// Crates that one place imports, so that they can be replaced there. The lab looks at Docker by itself: what measures
/// must not trust what is measured.
const ONLY_THERE: &[(&str, &[&str])] = &[
    ("sled", &["src/store/"]),
    ("bincode", &["events/src/codec.rs"]),
    ("mime_guess", &["crates/site/src/kinds.rs"]),
    ("bollard", &["src/adapters/runtime/docker/", "src/adapters/images/", "crates/lab/"]),
    ("hickory_proto", &["crates/proxy/src/names/answer.rs"]),
    ("age::x25519", &["src/secrets/"]),
    ("tokio_cron_scheduler", &["src/schedule.rs", "src/schedule/"]),
    ("granit_parser", &["crates/compose/src/tree/read.rs", "src/cli/secret/sops/tree.rs"]),
    ("toml_edit", &["crates/domain/src/file/strict/", "src/config/"]),
];

/// Crates that know no time, chance, file, thread or order of a hash.
const PURE: &[&str] = &["events/", "crates/domain/", "crates/world/", "crates/compose/src/", "crates/site/src/answer/"];

/// What the pure crates never say.
const IMPURE: &[&str] = &[
    "tokio",
    "async ",
    ".await",
    "std::time",
    "SystemTime",
    "Instant::",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::io",
    "rand::",
    "tracing",
    "println!",
    "HashMap",
    "HashSet",
];

/// The protocol. What walks through it takes these from the domain, and has none of its own.
const PROTOCOL: &[&str] = &["evolve", "decide", "next", "plan", "probed", "targets", "aim"];

/// Where there is no second protocol: the world that is acted on, and the explorer.
const WALKERS: &[&str] = &["crates/explorer/", "crates/world/"];

/// Names of modules that say nothing.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "core", "manager", "misc"];

/// Licences that dependencies may have: no conditions on what is linked with them.
const LICENCES: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unlicense",
    "0BSD",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
];

/// Where a test may sleep: what waits for a condition, with a deadline, lies in a module `support`.
const MAY_SLEEP: &[&str] = &["/support/", "/support.rs"];

/// A Rust source file.
struct Source {
    /// From the root of the workspace.
    path: String,
    /// The lines without comments and without the contents of texts.
    code: Vec<String>,
    /// Which lines belong to tests.
    test: Vec<bool>,
}

impl Source {
    fn read(path: String, text: &str) -> Self {
        let code: Vec<String> = code_of(text).lines().map(str::to_owned).collect();
        let whole = path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/");
        let test = if whole { vec![true; code.len()] } else { test_lines(&code) };
        Self { path, code, test }
    }

    /// Lines of code outside of tests, with their numbers.
    fn product(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.iter().enumerate().filter(|(n, _)| !self.test[*n]).map(|(n, line)| (n + 1, line.as_str()))
    }

    /// The module of the engine that it belongs to.
    fn module(&self) -> Option<&str> {
        let rest = self.path.strip_prefix("src/")?;
        let first = rest.split('/').next()?;
        Some(first.strip_suffix(".rs").unwrap_or(first))
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the workspace with one of these endings, from its root, in order.
fn files(endings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let hidden = name.starts_with('.') || name == "target";
            if entry.path().is_dir() && !hidden {
                open.push(entry.path());
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(entry.path().strip_prefix(root()).unwrap_or(Path::new("")).to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

fn sources() -> Vec<Source> {
    files(&[".rs"]).into_iter().map(|path| Source::read(path.clone(), &text_of(&path))).collect()
}

fn text_of(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text with comments and the contents of texts and characters blanked; line ends stay.
fn code_of(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = comment(rest).or_else(|| literal(rest));
        match length {
            Some(length) => out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' })),
            None => out.push(c),
        }
        rest = &rest[length.unwrap_or(c.len_utf8())..];
    }
    out
}

fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    rest.starts_with("/*").then(|| rest.find("*/").map_or(rest.len(), |end| end + 2))
}

fn literal(rest: &str) -> Option<usize> {
    let raw = rest.strip_prefix('r').filter(|after| after.starts_with(['"', '#']));
    if let Some(after) = raw {
        let hashes = after.len() - after.trim_start_matches('#').len();
        let body = after[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(rest.len() - body.len() + body.find(&end).map_or(body.len(), |at| at + end.len()));
    }
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let lifetime = quote == '\'' && rest.chars().nth(1) != Some('\\') && rest.chars().nth(2) != Some('\'');
    if lifetime {
        return None;
    }
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

/// Which lines lie in a `#[cfg(test)]` module.
fn test_lines(code: &[String]) -> Vec<bool> {
    let mut test = vec![false; code.len()];
    let mut inside = false;
    for (n, line) in code.iter().enumerate() {
        inside |= line.starts_with("#[cfg(test)]");
        test[n] = inside;
        let declared = inside && line.starts_with("mod ") && line.ends_with(';');
        inside &= !(line.starts_with('}') || declared);
    }
    test
}

/// Whether `word` stands in `line` on its own, or as the first part of a path.
fn says(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let edges = |at: usize| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let path = word.contains("::") || line[..at].ends_with("use ") || line[at + word.len()..].starts_with("::");
        !before.is_some_and(|c| part(c) || c == '.') && !after.is_some_and(part) && path
    };
    line.match_indices(word).any(|(at, _)| edges(at))
}

/// Fails with one line per finding.
fn none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

fn collect<'a>(sources: &'a [Source], judge: impl Fn(&'a Source) -> Vec<String>) -> Vec<String> {
    sources.iter().flat_map(judge).collect()
}

#[test]
fn files_stay_small() {
    let found = collect(&sources(), |source| {
        let all = source.path.starts_with("tests/");
        let counts = |at: &usize| !source.code[*at].trim().is_empty() && (all || !source.test[*at]);
        let net = (0..source.code.len()).filter(counts).count();
        if net > MAX_NET_LINES { vec![format!("{}: {net}", source.path)] } else { Vec::new() }
    });
    none("files of at most 500 net lines", &found);
}

#[test]
fn calls_go_down_only() {
    let layers: BTreeMap<&str, u8> = LAYERS.iter().copied().collect();
    let sources = sources();
    let found = collect(&sources, |source| {
        let Some(module) = source.module().filter(|module| !matches!(*module, "lib" | "main" | "crash_main")) else {
            return Vec::new();
        };
        let Some(own) = layers.get(module) else { return vec![format!("{}: {module} has no layer", source.path)] };
        let above = |line: &str| {
            let grouped = |other: &str| line.contains("crate::{") && line.contains(other);
            let uses = |other: &str| says(line, &format!("crate::{other}")) || grouped(other);
            let named = |(of, places): &(&str, &[&str])| *of == module && places.iter().any(|place| says(line, place));
            let within = WITHIN_LAYER.iter().any(named);
            let used = LAYERS.iter().filter(|(other, _)| *other != module && !within && uses(other));
            used.filter(|(_, layer)| layer > own || (*layer == 2 && *own == 2)).map(|(other, _)| *other).next()
        };
        source
            .product()
            .filter_map(|(n, line)| Some(format!("{}:{n}: {module} uses {}", source.path, above(line)?)))
            .collect()
    });
    none("calls go down only, and layer 2 does not use itself", &found);
}

#[test]
fn modules_keep_their_distance() {
    let sources = sources();
    let found = collect(&sources, |source| {
        let never = NEVER.iter().filter(|(module, _, _)| source.module() == Some(module));
        let said = |used: &'static str, why: &'static str| {
            source
                .product()
                .filter(move |(_, line)| if used.starts_with('.') { line.contains(used) } else { says(line, used) })
                .map(move |(n, _)| format!("{}:{n}: {used}: {why}", source.path))
        };
        let inner = matches!(source.module(), None | Some("adapters" | "server" | "main"));
        let named = |line: &str| IMPLEMENTATIONS.iter().copied().find(|used| !inner && line.contains(used));
        let ports = source.product().filter_map(|(n, line)| {
            Some(format!("{}:{n}: {}: only its port is for use here", source.path, named(line)?))
        });
        never.flat_map(|(_, used, why)| said(used, why)).chain(ports).collect()
    });
    none("modules keep their distance", &found);
}

/// The variants of an enum, as its file has them.
fn variants(path: &str, name: &str) -> Vec<String> {
    let code = code_of(&text_of(path));
    let (_, rest) = code.split_once(&format!("pub enum {name}")).unwrap_or_else(|| panic!("{path}: no enum {name}"));
    let (body, _) = rest.split_once("\n}").unwrap_or((rest, ""));
    let of = |line: &str| {
        let line = line.strip_prefix("    ").filter(|line| line.starts_with(char::is_uppercase))?;
        Some(line.split(|c: char| !c.is_alphanumeric()).next()?.to_owned())
    };
    body.lines().filter_map(of).collect()
}

#[test]
fn execution_has_no_branch_on_source_or_strategy() {
    let forbidden = |name: &str| NEVER.iter().any(|(module, used, _)| *module == "execution" && *used == name);
    let mut missing = Vec::new();
    for (path, name) in NO_BRANCH {
        let all = variants(path, name);
        assert!(all.len() >= 2, "{path}: {all:?}");
        missing.extend(all.iter().map(|variant| format!("{name}::{variant}")).filter(|full| !forbidden(full)));
    }
    none("execution must not know these apart: add them to NEVER", &missing);
}

#[test]
fn what_knows_a_source_has_its_place() {
    let names: Vec<String> = [&NO_BRANCH[0], &NO_BRANCH[2]]
        .iter()
        .flat_map(|(path, name)| variants(path, name).into_iter().map(move |variant| format!("{name}::{variant}")))
        .collect();
    let sources = sources();
    let found = collect(&sources, |source| {
        let elsewhere = !KNOWS_SOURCES.iter().any(|place| source.path.starts_with(place));
        let told = |line: &str| names.iter().find(|name| elsewhere && says(line, name)).cloned();
        source.product().filter_map(|(n, line)| Some(format!("{}:{n}: {}", source.path, told(line)?))).collect()
    });
    none("what is particular to a source lies in the places of sources", &found);
}

#[test]
fn one_place_imports_what_may_be_replaced() {
    let sources = sources();
    let found = collect(&sources, |source| {
        let away = ONLY_THERE.iter().filter(|(_, places)| !places.iter().any(|place| source.path.starts_with(place)));
        let said = away.flat_map(|(name, places)| {
            let lines = source.product().filter(move |(_, line)| says(line, name));
            lines.map(move |(n, _)| format!("{}:{n}: {name} belongs to {}", source.path, places.join(", ")))
        });
        said.collect()
    });
    none("one place imports what may be replaced", &found);
}

#[test]
fn the_pure_crates_are_pure() {
    let sources = sources();
    let found = collect(&sources, |source| {
        if !PURE.iter().any(|place| source.path.starts_with(place)) {
            return Vec::new();
        }
        // Not in the middle of a word: an errand is no chance.
        let begins = |line: &str, at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let holds = |line: &str, word: &str| line.match_indices(word).any(|(at, _)| begins(line, at));
        let said = |line: &str| IMPURE.iter().find(|word| holds(line, word)).copied();
        source.product().filter_map(|(n, line)| Some(format!("{}:{n}: {}", source.path, said(line)?))).collect()
    });
    none("the pure crates know no time, chance, file, thread or order of a hash", &found);
}

#[test]
fn there_is_one_protocol() {
    let sources = sources();
    let walkers = || sources.iter().filter(|source| WALKERS.iter().any(|place| source.path.starts_with(place)));
    let mut found = Vec::new();
    for source in walkers() {
        for (n, line) in source.product() {
            let defines = |name: &&&str| line.contains(&format!("fn {name}(")) || line.contains(&format!("fn {name}<"));
            // What the world shows of its routes has the name of what the domain wants of them.
            let own =
                PROTOCOL.iter().find(defines).filter(|name| !line.contains(&format!("pub fn {name}(&self, workload")));
            found.extend(own.map(|name| format!("{}:{n}: {name} of its own", source.path)));
        }
    }
    none("what walks through the protocol has none of its own", &found);
    let text: String = walkers().flat_map(|source| source.product().map(|(_, line)| format!("{line}\n"))).collect();
    let imported = |name: &&&str| {
        let statements = text.split(';').filter(|statement| statement.contains("use cutover_domain::"));
        !statements
            .into_iter()
            .any(|statement| statement.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == **name))
    };
    let missing: Vec<_> = PROTOCOL.iter().filter(imported).map(|name| (*name).to_owned()).collect();
    none("the explorer takes the protocol from the domain", &missing);
    let switched = |path: &String| {
        let text = text_of(path);
        let dependency = text
            .lines()
            .any(|line| line.contains("cutover-") && line.contains("\"mutants\"") && !line.starts_with("mutants = "));
        dependency || text.lines().any(|line| line.starts_with("default = ") && line.contains("mutants"))
    };
    let leaks: Vec<_> = files(&["Cargo.toml"]).into_iter().filter(switched).collect();
    none("no build has mutants unless it is asked for them", &leaks);
}

#[test]
fn tests_are_honest() {
    let sources = sources();
    let found = collect(&sources, |source| {
        let may_sleep = MAY_SLEEP.iter().any(|place| source.path.contains(place));
        let mut lines = Vec::new();
        for (n, line) in source.code.iter().enumerate() {
            let sleeps = !may_sleep && (line.contains("thread::sleep") || line.contains("time::sleep"));
            let before = source.code[..n].iter().rev().find(|line| !line.trim().is_empty());
            let starts = before.is_none_or(|line| line.trim_end().ends_with([';', '{', '}']));
            let bare = line.trim().starts_with("matches!(") && line.trim().ends_with(';') && starts;
            let why = match () {
                () if line.contains("#[ignore") => "a test that is skipped silently",
                () if bare => "matches! as a statement asserts nothing",
                () if sleeps && source.test[n] => "wait for a condition with a deadline instead",
                () => continue,
            };
            lines.push(format!("{}:{}: {why}", source.path, n + 1));
        }
        lines
    });
    none("tests are honest", &found);
}

#[test]
fn nothing_is_left_for_later_or_belongs_to_one_machine() {
    let words =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    let mut found = Vec::new();
    for path in files(&[".rs", ".md", ".toml", ".sh", "justfile"]) {
        for (n, line) in text_of(&path).lines().enumerate() {
            let word = words.iter().find(|word| line.contains(*word));
            found.extend(word.map(|word| format!("{path}:{}: {word}", n + 1)));
        }
    }
    none("nothing is left for later, no path of one machine", &found);
}

#[test]
fn modules_have_names_that_say_something() {
    let all = files(&[".rs"]);
    let mut found = Vec::new();
    for path in &all {
        let named = |part: &str| EMPTY_NAMES.contains(&part.strip_suffix(".rs").unwrap_or(part));
        if path.split('/').any(named) {
            found.push(format!("{path}: a name that says nothing"));
        }
        let folder = path.strip_suffix(".rs").unwrap_or(path);
        if all.iter().any(|other| other.starts_with(&format!("{folder}/"))) {
            found.push(format!("{path}: belongs into {folder}/mod.rs"));
        }
        if path.starts_with("crates/") && path.split('/').nth(2) == Some("tests") {
            found.push(format!("{path}: integration tests live in tests/ of the workspace"));
        }
    }
    none("modules have names that say something", &found);
}

#[test]
fn every_crate_takes_the_lints() {
    let missing = |path: &String| !text_of(path).contains("[lints]\nworkspace = true");
    let found: Vec<String> = files(&["Cargo.toml"]).into_iter().filter(missing).collect();
    none("every crate has [lints] workspace = true", &found);
}

#[test]
fn every_dependency_may_be_linked() {
    // For this platform only: what others need may not be here, and is checked by cargo-deny.
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", host])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50);
    let refused = |package: &serde_json::Value| {
        let licence = package["license"].as_str().unwrap_or("none");
        (!allowed(licence)).then(|| format!("{} {}: {licence}", package["name"], package["version"]))
    };
    none("licences of dependencies", &packages.iter().filter_map(refused).collect::<Vec<_>>());
}

#[test]
fn both_lists_of_licences_are_the_same() {
    let deny = text_of("deny.toml");
    let list = deny.split_once("allow = [").and_then(|(_, rest)| rest.split_once(']')).map_or("", |(list, _)| list);
    let listed: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    assert_eq!(listed, LICENCES);
}

/// Whether one alternative of a licence expression has only licences of the list. `/` is the old way to write OR.
fn allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    if let Some((before, rest)) = expression.split_once('(') {
        let (inside, after) = rest.split_once(')').unwrap_or((rest, ""));
        let inside = if allowed(inside) { "MIT" } else { "refused" };
        return allowed(&format!("{before}{inside}{after}"));
    }
    let each = |alternative: &str| alternative.split(" AND ").all(|licence| LICENCES.contains(&licence.trim()));
    expression.split(" OR ").any(each)
}

#[test]
fn the_rules_see_what_they_forbid() {
    let code = code_of("let a = \"sled::x\"; // sled::open\nuse sled::Db; let c = '\"'; fn f<'a>() {} r#\"x\"#");
    assert!(!code.lines().next().unwrap().contains("sled") && says(code.lines().nth(1).unwrap(), "sled"));
    assert!(says("use sled;", "sled") && says("sled::open(", "sled") && !says("my_sled::open", "sled"));
    assert!(!says("let age = 1;", "age") && says("use age::x", "age") && !says("self.age::<u8>()", "age"));
    let lines: Vec<String> = ["a", "#[cfg(test)]", "mod tests {", "  b", "}", "c"].map(str::to_owned).to_vec();
    assert_eq!(test_lines(&lines), [false, true, true, true, true, false]);
    assert!(allowed("MIT OR GPL-3.0") && allowed("(MIT OR Apache-2.0) AND Unicode-3.0") && allowed("MIT/Apache-2.0"));
    assert!(!allowed("GPL-3.0") && !allowed("MIT AND GPL-3.0") && !allowed("none"));
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("events").is_dir());
}
