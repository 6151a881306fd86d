//! Compose files of other people: the verdict of `cutover check` on each, and what `cutover import compose` makes of those
//! that everybody accepts, deployed on real Docker with our image in place of theirs.
//!
//! `tests/fixtures/compose-real` has those whose licence lets everybody pass them on, with what must come of each in
//! `expectations.tsv` and where they are from in `SOURCES.md`. `CUTOVER_COMPOSE_CASES` names one more folder of this form.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cutover_compose::{Beside, Found, Stack, Values, Variables, judge};
use serde_json::Value;
use toml_edit::{DocumentMut, Item};

use crate::stand::{Stand, lossy};
use crate::stand_in::{StandIns, workloads};

/// Both generations of Compose, and a machine without one: `check` needs none.
const PROGRAMS: [&str; 3] =
    ["/usr/local/lib/cutover/docker-compose-2", "/usr/bin/docker-compose", "/nowhere/docker-compose"];
/// What the rule of a file that is too large makes it: bytes that comments fill.
const TOO_LARGE: usize = 5 * 1024 * 1024 + 1024;
/// Longest line of a refusal, characters.
const LONGEST: usize = 600;

/// A row of `expectations.tsv`.
struct Case {
    name: String,
    folder: PathBuf,
    columns: BTreeMap<String, String>,
}

impl Case {
    fn column(&self, name: &str) -> &str {
        &self.columns[name]
    }

    /// The code of a row that is debatable.
    fn code(&self) -> &str {
        self.column("note").split_once(':').map_or("", |(code, _)| code)
    }

    /// A copy of its files below a folder, with what a rule makes.
    fn copy(&self, below: &Path) -> PathBuf {
        let to = below.join(&self.name);
        copied(&self.folder, &to);
        if let Ok(mut text) = std::fs::read_to_string(to.join("base.yml")) {
            while text.len() < TOO_LARGE {
                text.push_str("# filler ................................................................\n");
            }
            std::fs::write(to.join("compose.yml"), text).unwrap();
        }
        to
    }

    /// A command in the folder of a copy, with nothing in its environment but what the table was made with.
    fn command(&self, mut command: Command, copy: &Path, home: &Path) -> Command {
        let needs = self.column("needs").split(',').filter(|name| !name.is_empty()).map(|name| (name, "x"));
        command.current_dir(copy).env("HOME", home).env("PATH", "/usr/bin:/bin").env("PWD", copy).envs(needs);
        command
    }
}

fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let there = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copied(&path, &there);
        } else {
            std::fs::write(there, std::fs::read(&path).unwrap()).unwrap();
        }
    }
}

/// Every case there is, in order.
fn cases() -> Vec<Case> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/compose-real");
    let more = std::env::var_os("CUTOVER_COMPOSE_CASES").map(PathBuf::from);
    let mut all: BTreeMap<String, Case> = BTreeMap::new();
    for folder in [own].into_iter().chain(more) {
        let table = std::fs::read_to_string(folder.join("expectations.tsv")).unwrap();
        let mut lines = table.lines();
        let heads: Vec<&str> = lines.next().unwrap().split('\t').collect();
        for line in lines {
            let columns = heads.iter().map(ToString::to_string).zip(line.split('\t').map(str::to_owned)).collect();
            let name = line.split('\t').next().unwrap().to_owned();
            all.insert(name.clone(), Case { folder: folder.join(&name), name, columns });
        }
    }
    assert!(all.len() >= 20, "{} cases", all.len());
    all.into_values().collect()
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.env_clear();
    command
}

/// Whether a refusal names a variable of a port, a volume or an image that the file leaves without a value.
fn unset(case: &Case, copy: &Path, line: &str) -> bool {
    let Some((name, rest)) = line.split_once("the variable ").and_then(|(_, rest)| rest.split_once(' ')) else {
        return false;
    };
    let text = std::fs::read_to_string(copy.join("compose.yml")).unwrap();
    let dotenv = std::fs::read_to_string(copy.join(".env")).unwrap_or_default();
    let known = case.column("needs").split(',').any(|needed| needed == name)
        || dotenv.lines().any(|line| line.starts_with(&format!("{name}=")));
    let used = text.contains(&format!("${{{name}}}")) || text.contains(&format!("${name}"));
    let kinds = ["in a port", "in a volume", "in an image"];
    used && !known && kinds.iter().any(|kind| rest.starts_with(kind)) && line.contains("is not set")
}

/// What is wrong about an answer of `check`.
fn wrong(case: &Case, copy: &Path, said: &Output) -> Option<String> {
    let (out, err) = (lossy(&said.stdout), lossy(&said.stderr));
    let accepted = said.status.code() == Some(0) && err.is_empty() && out.contains(": ok");
    let line = err.trim_end();
    let short = line.lines().count() == 1 && line.chars().count() <= LONGEST;
    let refused = said.status.code() == Some(15) && out.is_empty() && short;
    let right = match (case.column("verdict"), case.code()) {
        _ if refused && unset(case, copy, line) => true,
        ("ok", _) | ("debatable", "v1-too-old") => accepted,
        ("refuse", _) | ("debatable", "v1-laxer" | "size-limit") => refused,
        ("debatable", _) => accepted || refused,
        (verdict, _) => panic!("{}: the verdict {verdict:?}", case.name),
    };
    (!right).then(|| format!("{}: {:?} {out}{err}", case.name, said.status.code()))
}

#[test]
fn each_file_gets_the_verdict_of_its_table_with_every_compose_and_with_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut faults = Vec::new();
    for case in cases() {
        let copy = case.copy(folder.path());
        std::fs::write(copy.join("workload.toml"), "[workloads.stack]\ncompose = \"compose.yml\"\n").unwrap();
        for with in PROGRAMS {
            for file in ["compose.yml", "workload.toml"] {
                let mut command = case.command(program(), &copy, folder.path());
                let said = command.env("CUTOVER_DOCKER__COMPOSE", with).args(["check", file]).output().unwrap();
                faults.extend(wrong(&case, &copy, &said).map(|why| format!("{with}: {file}: {why}")));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A folder of this host.
struct Folder(PathBuf);

impl Beside for Folder {
    fn read(&self, path: &str) -> Found {
        std::fs::read(self.0.join(path)).map_or(Found::Missing, Found::Bytes)
    }
}

#[test]
fn what_is_accepted_has_the_services_of_its_table() {
    let folder = tempfile::tempdir().unwrap();
    for case in cases().into_iter().filter(|case| case.column("verdict") == "ok") {
        let copy = case.copy(folder.path());
        let text = std::fs::read(copy.join("compose.yml")).unwrap();
        let needs = case.column("needs").split(',').filter(|name| !name.is_empty());
        let mut environment: Values = needs.map(|name| (name.to_owned(), "x".to_owned())).collect();
        environment.insert("PWD".to_owned(), copy.display().to_string());
        let variables = Variables { environment, ..Variables::default() };
        let files = [("compose.yml", text.as_slice())];
        let stack = Stack { project: "stack", files: &files, beside: &Folder(copy), variables, profiles: &[] };
        let verdict = judge(&stack);
        let list = |names: Vec<&str>| names.join(",");
        assert_eq!(list(verdict.active().collect()), case.column("services"), "{}", case.name);
        let profiled = verdict.services.values().filter(|one| !one.active).map(|one| one.name.as_str());
        assert_eq!(list(profiled.collect()), case.column("profiled"), "{}", case.name);
    }
}

/// An import that is about to be deployed.
struct Imported {
    case: Case,
    document: DocumentMut,
    /// What the workload file says, as it came.
    file: PathBuf,
}

/// Makes the folders of the host that the workloads mount, as far as they lie where the server allows it; whether all do.
fn mounted(imported: &mut Imported, allowed: &Path) -> bool {
    let mut within = true;
    for (_, workload) in workloads(&mut imported.document) {
        let mounts = workload.get("volumes").and_then(Item::as_array).into_iter().flatten();
        for mount in mounts.filter_map(|mount| mount.as_str()).filter(|mount| mount.starts_with('/')) {
            let source = Path::new(mount.split(':').next().unwrap());
            if source.starts_with(allowed) {
                std::fs::create_dir_all(source).unwrap();
            } else {
                within = false;
            }
        }
    }
    within
}

async fn imported(stand: &Stand, case: Case, project: &str) -> Imported {
    let src = stand.folder().join("src");
    let copy = case.copy(&src);
    let mut command = case.command(program(), &copy, &src.join("home"));
    command.env("COMPOSE_PROJECT_NAME", project);
    let output = command.args(["import", "compose", "compose.yml", "--project", project]).output().unwrap();
    assert!(output.status.success(), "{}: {}", case.name, lossy(&output.stderr));
    let document = lossy(&output.stdout).parse().unwrap();
    Imported { case, document, file: copy.join("workloads.toml") }
}

/// Every `of`-th case that everybody accepts, from number `part` on; how many workloads came up.
async fn part(part: usize, of: usize) {
    let stand = Stand::begin_with("bind = [\"FOLDER\"]").await;
    let others = StandIns::begin(&stand.project, stand.folder()).await;
    let ok = cases().into_iter().filter(|case| case.column("verdict") == "ok");
    let (mut deployed, mut refused) = (0, 0);
    for (number, case) in ok.enumerate().skip(part).step_by(of) {
        let project = format!("{}-{number}", stand.project);
        let mut imported = imported(&stand, case, &project).await;
        let within = mounted(&mut imported, &stand.folder().join("src"));
        others.file(&mut imported.document, &project);
        std::fs::write(&imported.file, imported.document.to_string()).unwrap();
        let head = stand.events().await.len();
        let said = stand.ask(&["apply", &imported.file.to_string_lossy()]).await;
        let (out, err) = (lossy(&said.stdout), lossy(&said.stderr));
        if !within {
            assert_eq!((said.status.code(), err.lines().count()), (Some(15), 1), "{}: {err}", imported.case.name);
            assert!(err.contains("[limits] bind"), "{err}");
            assert_eq!(stand.events().await.len(), head);
            refused += 1;
            continue;
        }
        assert!(said.status.success(), "{}: {out}{err}", imported.case.name);
        let status: Value = serde_json::from_str(&stand.must(&["status", "--json"]).await).unwrap();
        for (name, _) in workloads(&mut imported.document) {
            let full = format!("{project}/{name}");
            let one = status["workloads"].as_array().unwrap().iter().find(|one| one["workload"] == full.as_str());
            assert_eq!(one.unwrap()["state"], "running", "{}: {full}", imported.case.name);
            deployed += 1;
        }
    }
    eprintln!("{deployed} workloads came up, {refused} files were refused for the folders that they mount");
    assert!(deployed > 0 && refused < 3);
    // What runs is gone with the stand.
    drop(others);
    drop(stand);
}

#[tokio::test]
async fn what_is_imported_comes_up_1_of_3() {
    part(0, 3).await;
}

#[tokio::test]
async fn what_is_imported_comes_up_2_of_3() {
    part(1, 3).await;
}

#[tokio::test]
async fn what_is_imported_comes_up_3_of_3() {
    part(2, 3).await;
}
