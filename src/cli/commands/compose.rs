//! Compose files: judged without an engine, and made into workload files.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cutover_compose::{Beside, Found, Import, Nothing, Origin, Stack, Values, Variables, Verdict, judge, project_name};
use cutover_domain::context::Context;
use cutover_domain::file::{self, Declared};
use cutover_events::workload::Source;
use serde_json::json;

use super::files;
use crate::adapters::compose::is_reserved;
use crate::cli::exit::{Exit, Failure};
use crate::cli::grammar::{Files, ImportCompose};
use crate::cli::output::Output;

/// What follows the name of the file that is merged over a compose file.
const OVERRIDES: [&str; 2] = [".override.yml", ".override.yaml"];
/// What a compose file is called where nobody chose a name.
const USUAL: &str = "compose";
/// Where variables stand beside a compose file.
const DOTENV: &str = ".env";
/// The variable that names a stack, as with Compose.
const NAME: &str = "COMPOSE_PROJECT_NAME";

/// The folder of a compose file, as whoever calls may read it.
struct Folder {
    path: PathBuf,
    home: String,
    /// What was found in it.
    found: RefCell<BTreeSet<String>>,
}

impl Folder {
    fn resolved(&self, path: &str) -> PathBuf {
        match path.strip_prefix('~') {
            Some(rest) => PathBuf::from(format!("{}{rest}", self.home)),
            None => self.path.join(path),
        }
    }

    fn opened(path: &str, resolved: &Path) -> Found {
        match resolved.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Found::Missing,
            Err(error) => Found::Refused(error.to_string()),
            // A pipe would be waited for.
            Ok(meta) if !meta.is_file() => Found::Refused("it is not a file".to_owned()),
            Ok(_) => match std::fs::File::open(resolved) {
                Ok(mut file) => match files::bounded(path, &mut file) {
                    Ok(bytes) => Found::Bytes(bytes),
                    Err(failure) => Found::Refused(failure.text),
                },
                Err(error) => Found::Refused(error.to_string()),
            },
        }
    }
}

impl Beside for Folder {
    fn read(&self, path: &str) -> Found {
        let found = Self::opened(path, &self.resolved(path));
        if matches!(found, Found::Bytes(_)) {
            self.found.borrow_mut().insert(path.to_owned());
        }
        found
    }
}

/// The environment of the command, as far as it is text.
fn environment() -> Values {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// A stack with the judgement on it.
struct Judged {
    verdict: Verdict,
    folder: Folder,
    /// The name under which Compose runs it.
    stack: String,
    /// The file, and what is merged over it, with their names for messages.
    files: Vec<(String, Vec<u8>)>,
    /// What variables stand for.
    variables: Variables,
}

/// Judges a compose file, with the file that is merged over it and everything that lies beside it.
fn judged(path: &Path, given: &Values) -> Result<Judged, Failure> {
    let name = path.display().to_string();
    let unreadable = |e: std::io::Error| Failure::usage(format!("{name}: the file cannot be read: {e}"));
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let environment = environment();
    let home = environment.get("HOME").cloned().unwrap_or_default();
    let folder = Folder { path: parent.canonicalize().map_err(unreadable)?, home, found: RefCell::default() };
    let mut paths = vec![path.to_owned()];
    paths.extend(override_of(path));
    let mut files = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        let mut file =
            std::fs::File::open(&path).map_err(|e| Failure::usage(format!("{name}: the file cannot be read: {e}")))?;
        files.push((name.clone(), files::bounded(&name, &mut file)?));
    }
    let read: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let variables = Variables { given: given.clone(), environment: environment.clone(), ..Variables::default() };
    let own = folder.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stack = project_name(environment.get(NAME).map_or(own, String::as_str), "stack", "");
    let asked = Stack { project: &stack, files: &read, beside: &folder, variables, profiles: &[] };
    let verdict = judge(&asked);
    accepted(&verdict)?;
    let variables = cutover_compose::variables(&asked);
    // What the file says counts where nobody said it outside.
    let said = verdict.name.as_ref().filter(|_| !environment.contains_key(NAME));
    let stack = said.map_or(stack.clone(), |name| project_name(name, "stack", ""));
    Ok(Judged { verdict, folder, stack, files, variables })
}

/// What is wrong first.
fn accepted(verdict: &Verdict) -> Result<(), Failure> {
    let Some(first) = verdict.faults.first() else { return Ok(()) };
    let more = match verdict.faults.len() {
        1 => String::new(),
        many => format!(" (and {} more)", many - 1),
    };
    Err(Failure::new(Exit::Refused, format!("{first}{more}")))
}

/// A declared stack with what is known of it here: it is judged, its text is sent along where nothing beside it is needed,
/// and variables that it asks for are taken from the environment and from `.env`.
///
/// # Errors
/// It is no stack that Compose would take.
pub(super) fn stack_here(mut declared: Declared) -> Result<Declared, Failure> {
    let Source::Compose(stack) = &declared.spec.source else { return Ok(declared) };
    let path = PathBuf::from(&stack.file);
    if let Some(text) = declared.values.compose_yaml.clone() {
        let environment = environment();
        let variables = Variables { given: declared.values.env.clone(), environment, ..Variables::default() };
        let files = [("compose_yaml", text.as_bytes())];
        let name = declared.name.clone();
        let asked = Stack { project: &name, files: &files, beside: &Nothing, variables, profiles: &[] };
        let verdict = judge(&asked);
        accepted(&verdict)
            .map_err(|failure| Failure::new(Exit::Refused, format!("{}: {}", declared.full_name(), failure.text)))?;
        told(&mut declared, &verdict, &asked.variables)?;
        return Ok(declared);
    }
    if matches!(Context::parse(&stack.file), Ok(Context::Git(_)) | Err(_)) {
        return Ok(declared);
    }
    if !path.is_file() {
        declared.warnings.push(format!("compose: there is no {} here, so it is not judged", path.display()));
        return Ok(declared);
    }
    let judged = judged(&path, &declared.values.env)?;
    told(&mut declared, &judged.verdict, &judged.variables)?;
    // Its values are among the variables.
    judged.folder.found.borrow_mut().remove(DOTENV);
    if let ([(_, bytes)], true) = (judged.files.as_slice(), judged.folder.found.borrow().is_empty()) {
        declared.values.compose_yaml = std::str::from_utf8(bytes).ok().map(str::to_owned);
    }
    Ok(declared)
}

/// `check` of a compose file: judges it as the file of a stack.
pub(super) fn check(asked: &Files) -> Result<Exit, Failure> {
    let judged = judged(&asked.file, &Values::new())?;
    let name = asked.file.display().to_string();
    let mut output = Output::new();
    let warnings = warnings(&judged.verdict);
    if asked.json.json {
        output.json(&json!({"file": name, "ok": true, "warnings": warnings}))?;
    } else {
        output.line(&format!("{name}: ok"))?;
        warnings.iter().try_for_each(|warning| output.line(&format!("  warning: {warning}")))?;
    }
    output.flush()?;
    Ok(Exit::Ok)
}

/// What is probably not meant so, and what a server would have to allow.
fn warnings(verdict: &Verdict) -> Vec<String> {
    let demands = verdict.demands.iter().map(|demand| format!("the server must allow {demand}"));
    verdict.warnings.iter().cloned().chain(demands).collect()
}

/// Takes in what a verdict says.
///
/// # Errors
/// A route leads to a service that does not run.
fn told(declared: &mut Declared, verdict: &Verdict, variables: &Variables) -> Result<(), Failure> {
    let runs: BTreeSet<&str> = verdict.active().collect();
    if let Some(route) = declared.spec.routes.iter().find(|route| !runs.contains(route.service.as_str())) {
        let all = runs.into_iter().collect::<Vec<_>>().join(", ");
        let text = format!("the stack does not run the service {} of {}{}", route.service, route.host, route.path);
        return Err(Failure::new(Exit::Refused, format!("{}: {text}; it runs {all}", declared.full_name())));
    }
    for name in verdict.variables.iter().filter(|name| !is_reserved(name)) {
        if let (Some(value), false) = (variables.get(name), declared.values.env.contains_key(name)) {
            declared.values.env.insert(name.clone(), value.to_owned());
        }
    }
    declared.warnings.extend(warnings(verdict).into_iter().map(|warning| format!("compose: {warning}")));
    Ok(())
}

/// What is merged over a compose file: the file with its name and `override`, or `compose.override.yml`.
fn override_of(path: &Path) -> Option<PathBuf> {
    let own = path.file_stem()?.to_str()?;
    let names = [own, USUAL].into_iter().flat_map(|stem| OVERRIDES.map(|end| format!("{stem}{end}")));
    names.map(|name| path.with_file_name(name)).find(|other| other != path && other.is_file())
}

/// `import compose`: prints the workload file; what it does not keep goes to stderr too.
pub(super) fn import(ask: &ImportCompose) -> Result<Exit, Failure> {
    let Judged { verdict, folder, stack, .. } = judged(&ask.file, &Values::new())?;
    let import = Import {
        project: ask.project.clone().unwrap_or_else(|| project_of(&stack)),
        stack,
        folder: folder.path.display().to_string(),
        home: folder.home.clone(),
        files: files_of(&verdict, &folder),
    };
    let imported = cutover_compose::import(&verdict, &import);
    let mut output = Output::new();
    verdict.warnings.iter().for_each(|warning| output.aside(&format!("warning: {warning}")));
    imported.notes.iter().for_each(|note| output.aside(&note.to_string()));
    if imported.workloads == 0 {
        let text = format!("{}: none of its services can be a workload", ask.file.display());
        return Err(Failure::new(Exit::Refused, text));
    }
    // What is printed is a workload file, or nothing is.
    file::read("the workload file that came of it", imported.text.as_bytes()).map_err(files::refused)?;
    output.text(&imported.text)?;
    output.flush()?;
    Ok(Exit::Ok)
}

/// The nearest name of a project.
fn project_of(stack: &str) -> String {
    let name: String =
        stack.chars().map(|c| if c == '_' { '-' } else { c }).take(file::check::MAX_NAME_CHARS).collect();
    name.trim_matches('-').to_owned()
}

/// The mounts whose source is a file.
fn files_of(verdict: &Verdict, folder: &Folder) -> BTreeSet<String> {
    let mounts = verdict.services.values().flat_map(|service| &service.mounts);
    let sources = mounts.filter(|mount| mount.from == Origin::Host).map(|mount| mount.source.clone());
    sources.filter(|source| folder.resolved(source).is_file()).collect()
}
