//! What a workload wishes of a stack, read and judged as a whole: what it is brought up from ever after.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use cutover_compose::{Asks, Beside, Demand, Found, Variables, Verdict, judge, project_name};
use cutover_events::WorkloadId;
use zeroize::Zeroizing;

use super::ComposeError;
use super::claims;
use super::stack::Stack;
use crate::adapters::host::{FolderRefused, Host};
use crate::adapters::source::Files;

/// What follows the name of the file that is merged over a compose file.
const OVERRIDES: [&str; 2] = [".override.yml", ".override.yaml"];
/// What a compose file is called where nobody chose a name.
const USUAL: &str = "compose";
/// Bytes of all that lies beside a stack and is kept with it: small files that are mounted, not data.
const MAX_BESIDE_BYTES: usize = 8 * 1024 * 1024;
/// Files of it.
const MAX_BESIDE_FILES: usize = 512;

/// A stack as it was found.
#[derive(Clone)]
pub struct Draft {
    /// The name of its project as it is wished; empty for one that is derived from the workload.
    pub name: String,
    /// Whether containers of that project that somebody else made become ours.
    pub adopt: bool,
    /// The compose file in its folder.
    pub file: String,
    /// What it says, where that was sent.
    pub text: Option<Zeroizing<String>>,
    /// What lies beside it.
    pub beside: Around,
}

/// What lies beside a compose file.
#[derive(Clone, Debug)]
pub enum Around {
    /// Nothing that the engine may read.
    Nothing,
    /// A folder of the host, which stays where it is.
    Here(Files),
    /// Files that were fetched, and are gone soon.
    Fetched(Files),
}

impl Around {
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Nothing => None,
            Self::Here(files) | Self::Fetched(files) => Some(files.folder()),
        }
    }
}

/// Never what it says.
impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent = self.text.is_some();
        f.debug_struct("Draft").field("name", &self.name).field("file", &self.file).field("sent", &sent).finish()
    }
}

/// For whom a stack is read.
#[derive(Clone, Copy)]
pub(super) struct For<'a> {
    pub(super) workload: WorkloadId,
    /// `project/name`.
    pub(super) full_name: &'a str,
    pub(super) variables: &'a BTreeMap<String, String>,
}

/// Why there is no stack; each text is one line for a person, and repeats no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// It never will be one.
    #[error("{0}")]
    Refused(String),
    /// It could not be judged, and may be the next time.
    #[error("{0}")]
    Unavailable(String),
}

impl From<ComposeError> for DraftError {
    fn from(error: ComposeError) -> Self {
        match error {
            ComposeError::NoProgram | ComposeError::Refused(_) | ComposeError::Unusable(_) => {
                Self::Refused(error.to_string())
            }
            ComposeError::Failed { .. }
            | ComposeError::TimedOut { .. }
            | ComposeError::Cancelled(_)
            | ComposeError::Busy { .. }
            | ComposeError::Unavailable(_) => Self::Unavailable(error.to_string()),
        }
    }
}

fn refused(text: impl Into<String>) -> DraftError {
    DraftError::Refused(text.into())
}

/// The files below one folder, and which of them were read.
struct Within {
    root: Option<PathBuf>,
    read: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl Within {
    fn of(around: &Around) -> Result<Self, DraftError> {
        let root = around.folder().map(|folder| folder.canonicalize().map_err(|error| unreadable(folder, &error)));
        Ok(Self { root: root.transpose()?, read: RefCell::default() })
    }

    /// The file that a path leads to, when it is in the folder.
    fn found(&self, path: &str) -> Result<Option<PathBuf>, String> {
        let Some(root) = &self.root else { return Ok(None) };
        match root.join(path).canonicalize() {
            Ok(real) if real.starts_with(root) => Ok(Some(real)),
            Ok(_) => Err("it is outside of the folder of the stack".to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn bytes(&self, path: &str) -> Found {
        let read = match self.found(path) {
            Ok(None) => return Found::Missing,
            Ok(Some(real)) => bounded(&real),
            Err(why) => return Found::Refused(why),
        };
        match read {
            Ok(bytes) => {
                self.read.borrow_mut().insert(plain(path), bytes.clone());
                Found::Bytes(bytes)
            }
            Err(why) => Found::Refused(why),
        }
    }
}

impl Beside for Within {
    fn read(&self, path: &str) -> Found {
        self.bytes(path)
    }
}

/// A file that is small enough; a pipe would be waited for.
fn bounded(real: &Path) -> Result<Vec<u8>, String> {
    let told = |error: std::io::Error| error.to_string();
    if !real.metadata().map_err(told)?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let limit = cutover_compose::MAX_FILE_BYTES;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(real).map_err(told)?;
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(told)?;
    if bytes.len() > limit { Err(format!("it has more than {limit} bytes")) } else { Ok(bytes) }
}

/// A path as it is within the folder.
fn plain(path: &str) -> String {
    let parts = Path::new(path).components();
    let normal = parts.filter_map(|part| if let Component::Normal(name) = part { name.to_str() } else { None });
    normal.collect::<Vec<_>>().join("/")
}

fn unreadable(folder: &Path, error: &std::io::Error) -> DraftError {
    refused(format!("the folder {} of the stack cannot be read: {error}", folder.display()))
}

/// Reads a stack and judges it, without Compose and without Docker.
pub(super) fn read(draft: &Draft, of: For<'_>, may: (&dyn Host, &[Asks])) -> Result<Stack, DraftError> {
    let within = Within::of(&draft.beside)?;
    let files = files(draft, &within)?;
    let short = of.full_name.rsplit('/').next().unwrap_or(of.full_name);
    let name = project_name(&draft.name, short, &of.workload.to_string());
    let texts: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let variables = Variables { given: of.variables.clone(), ..Variables::default() };
    let verdict =
        judge(&cutover_compose::Stack { project: &name, files: &texts, beside: &within, variables, profiles: &[] });
    if let Some(first) = verdict.faults.first() {
        return Err(refused(faulty(first, verdict.faults.len(), draft)));
    }
    let services: BTreeSet<String> =
        verdict.services.values().filter(|one| one.active && one.replicas > 0).map(|one| one.name.clone()).collect();
    if services.is_empty() {
        return Err(refused(format!(
            "{}: no service would start: each has a profile, and none is asked for",
            draft.file
        )));
    }
    allowed(&verdict, draft, may)?;
    let (base, carried) = carried(&verdict, draft, &within)?;
    let order = files.iter().map(|(name, _)| name.clone()).collect();
    let mut all = within.read.into_inner();
    all.extend(carried);
    all.extend(files);
    let claims = claims::of(&verdict);
    let (asked, profiles, adopt) = (verdict.variables, verdict.profiles, draft.adopt);
    Ok(Stack { name, adopt, order, files: all, asked, profiles, base, services, claims })
}

/// The compose file, and what is merged over it.
fn files(draft: &Draft, within: &Within) -> Result<Vec<(String, Vec<u8>)>, DraftError> {
    let file = &draft.file;
    let first = match (&draft.text, within.bytes(file)) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Found::Bytes(bytes)) => bytes,
        (None, Found::Missing) => return Err(refused(format!("there is no {file} in the folder of the stack"))),
        (None, Found::Refused(why)) => return Err(refused(format!("{file} is not read: {why}"))),
    };
    let mut files = vec![(file.clone(), first)];
    let own = file.rsplit_once('.').map_or(file.as_str(), |(stem, _)| stem);
    let names = [own, USUAL].into_iter().flat_map(|stem| OVERRIDES.map(|end| format!("{stem}{end}")));
    for name in names.filter(|name| name != file) {
        match within.bytes(&name) {
            Found::Bytes(bytes) => {
                files.push((name, bytes));
                break;
            }
            Found::Missing => {}
            Found::Refused(why) => return Err(refused(format!("{name} is not read: {why}"))),
        }
    }
    Ok(files)
}

/// The first thing that is wrong, and what helps where the engine does not see what lies beside the file.
fn faulty(first: &cutover_compose::Fault, count: usize, draft: &Draft) -> String {
    let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
    let blind = matches!(draft.beside, Around::Nothing) && first.code == cutover_compose::Code::Missing;
    let help = if blind { "; the engine reads files beside a stack below its [limits] sources only" } else { "" };
    format!("{first}{more}{help}")
}

/// What reaches beyond the stack, as far as this server allows it.
fn allowed(verdict: &Verdict, draft: &Draft, (host, asks): (&dyn Host, &[Asks])) -> Result<(), DraftError> {
    for demand in verdict.demands.iter().filter(|demand| !asks.contains(&demand.asks)) {
        if let Some(word) = demand.asks.word() {
            return Err(refused(format!(
                "the stack asks for {demand}: [limits] stacks in the configuration of the engine does not allow \"{word}\""
            )));
        }
        let path = match draft.beside.folder() {
            Some(folder) if !demand.what.starts_with(['/', '~']) => tidied(&folder.join(&demand.what)),
            _ => PathBuf::from(&demand.what),
        };
        folder(host, &path).map_err(|why| refused(told(demand, &why)))?;
    }
    Ok(())
}

fn told(demand: &Demand, why: &FolderRefused) -> String {
    let names: Vec<&str> = demand.services.iter().map(String::as_str).collect();
    if names.is_empty() { why.to_string() } else { format!("{why} ({})", names.join(", ")) }
}

/// A folder, or the folder of a file.
fn folder(host: &dyn Host, path: &Path) -> Result<(), FolderRefused> {
    match (host.folder(path), path.parent()) {
        (Err(FolderRefused::Missing { .. }), Some(parent)) => host.folder(parent).map(drop),
        (found, _) => found.map(drop),
    }
}

/// Without the parts that lead back.
fn tidied(path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(whole.pop()),
            Component::CurDir => {}
            other => whole.push(other),
        }
    }
    whole
}

/// Where relative paths begin, and what lies there.
type Carried = (Option<PathBuf>, BTreeMap<String, Vec<u8>>);

/// Where relative paths begin, when it is not the folder of the project, and what is carried there otherwise.
fn carried(verdict: &Verdict, draft: &Draft, within: &Within) -> Result<Carried, DraftError> {
    let Some(first) = verdict.paths.first() else { return Ok((None, BTreeMap::new())) };
    let root = match (&draft.beside, &within.root) {
        (Around::Here(_), Some(root)) => {
            for path in &verdict.paths {
                within.found(path).map_err(|why| refused(format!("{path} is not given to the stack: {why}")))?;
            }
            return Ok((Some(root.clone()), BTreeMap::new()));
        }
        (Around::Fetched(_), Some(root)) => root,
        (Around::Nothing | Around::Here(_) | Around::Fetched(_), _) => {
            return Err(refused(format!(
                "the stack needs {first} beside it, and the engine does not have its folder: name the file by its path \
                 below the [limits] sources of the engine"
            )));
        }
    };
    let mut found = BTreeMap::new();
    for path in &verdict.paths {
        let real = within.found(path).map_err(|why| refused(format!("{path} is not given to the stack: {why}")))?;
        if let Some(real) = real {
            carry(root, &real, &mut found)?;
        }
    }
    Ok((None, found))
}

/// Takes along a file, or everything in a folder; links are not followed out of it.
fn carry(root: &Path, real: &Path, found: &mut BTreeMap<String, Vec<u8>>) -> Result<(), DraftError> {
    let mut open = vec![real.to_owned()];
    let mut bytes: usize = found.values().map(Vec::len).sum();
    while let Some(path) = open.pop() {
        let meta = path.symlink_metadata().map_err(|error| unreadable(&path, &error))?;
        if meta.is_dir() {
            let entries = std::fs::read_dir(&path).map_err(|error| unreadable(&path, &error))?;
            for entry in entries {
                open.push(entry.map_err(|error| unreadable(&path, &error))?.path());
            }
            continue;
        }
        let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str).filter(|_| meta.is_file()) else {
            continue;
        };
        let content = bounded(&path).map_err(|why| refused(format!("{name} is not given to the stack: {why}")))?;
        bytes += content.len();
        found.insert(name.to_owned(), content);
        if bytes > MAX_BESIDE_BYTES || found.len() > MAX_BESIDE_FILES {
            return Err(refused(format!(
                "what the stack needs beside it is more than {MAX_BESIDE_FILES} files or {MAX_BESIDE_BYTES} bytes"
            )));
        }
    }
    Ok(())
}
