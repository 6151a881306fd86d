//! The stacks of a data folder: judged with Compose and Docker, and kept sealed, one for each release, so that a rollback
//! brings up what was recorded.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cutover_compose::Asks;
use cutover_events::plan::STACK;
use cutover_events::{DeploymentId, Digest, ReleaseId, WorkloadId};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::draft::{self, For};
use super::stack::Stack;
use super::{Anew, Compose, Draft, DraftError, Row};
use crate::adapters::host::Host;
use crate::store::files::{make_folder, replace_durably};

/// Where they lie, below `compose/`; no project begins with a point.
const FOLDER: &str = ".stacks";
/// Judgements of Compose that are remembered: one takes its program up to half a second, and what an apply has had judged
/// is what its deployment is made of a moment later.
const REMEMBERED: usize = 64;

/// Keeps texts that may hold secrets, each readable for as long as its workload has its identity.
pub trait Vault: Send + Sync + 'static {
    /// Seals a text, durably.
    ///
    /// # Errors
    /// The disk does not take it: one line for a person.
    fn seal(&self, workload: WorkloadId, text: &str) -> Result<Digest, String>;

    /// What was sealed.
    ///
    /// # Errors
    /// It cannot be read any more: one line for a person.
    fn unseal(&self, workload: WorkloadId, sealed: Digest) -> Result<Zeroizing<String>, String>;

    /// A keyed hash.
    ///
    /// # Errors
    /// As [`Self::seal`].
    fn mac(&self, workload: WorkloadId, text: &str) -> Result<[u8; 16], String>;
}

/// What is wished for a workload.
#[derive(Clone, Debug)]
pub struct Wished {
    /// The workload.
    pub workload: WorkloadId,
    /// `project/name`.
    pub full_name: String,
    /// The stack as it was found.
    pub draft: Draft,
    /// Its variables in the clear.
    pub variables: BTreeMap<String, String>,
    /// The services that routes lead to.
    pub routed: Vec<String>,
}

/// A stack that is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Its image.
    pub image: String,
    /// Of all of it; says nothing to who lacks the identity of the workload.
    pub content: Digest,
    /// Whether an earlier release is the same.
    pub reused: bool,
    /// Its services.
    pub services: Vec<String>,
}

/// As it is written: where the sealed text lies, and how to see that it is the same.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    content: String,
    sealed: String,
}

/// The stacks, and what carries them out.
pub struct Stacks {
    compose: Arc<dyn Compose>,
    vault: Arc<dyn Vault>,
    host: Arc<dyn Host>,
    /// What they may ask for that reaches beyond them, besides folders of the host.
    allowed: Vec<Asks>,
    root: PathBuf,
    /// Those that were read: units are looked at again and again.
    known: Mutex<BTreeMap<String, Arc<Stack>>>,
    /// What Compose found nothing wrong with, the newest last.
    judged: Mutex<VecDeque<[u8; 32]>>,
}

impl std::fmt::Debug for Stacks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stacks").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Stacks {
    /// Those of a data folder.
    #[must_use]
    pub fn of(data: &Path, compose: Arc<dyn Compose>, vault: Arc<dyn Vault>, may: (Arc<dyn Host>, Vec<Asks>)) -> Self {
        let (host, allowed) = may;
        let root = data.join("compose").join(FOLDER);
        Self { compose, vault, host, allowed, root, known: Mutex::default(), judged: Mutex::default() }
    }

    /// What carries them out.
    #[must_use]
    pub fn compose(&self) -> &dyn Compose {
        &*self.compose
    }

    /// What keeps their texts.
    #[must_use]
    pub fn vault(&self) -> &dyn Vault {
        &*self.vault
    }

    /// The stack, when it can be brought up here. Nothing is touched and nothing is kept.
    ///
    /// # Errors
    /// It cannot, or could not be judged now.
    pub async fn judge(&self, wished: &Wished) -> Result<Stack, DraftError> {
        let stack = self.draft(wished).await?;
        self.approved(&stack, &wished.variables).await?;
        self.is_ours(&stack).await?;
        Ok(stack)
    }

    /// Compose finds nothing wrong with it: now, or since this engine began.
    async fn approved(&self, stack: &Stack, variables: &BTreeMap<String, String>) -> Result<(), DraftError> {
        let same = same(stack, variables);
        if self.judged.lock().contains(&same) {
            return Ok(());
        }
        self.compose.judge(&stack.project(variables, Anew::Changed)).await?;
        let mut judged = self.judged.lock();
        judged.push_back(same);
        if judged.len() > REMEMBERED {
            judged.pop_front();
        }
        Ok(())
    }

    /// The content that a stack would be kept with. Its workload has an identity from here on.
    ///
    /// # Errors
    /// It is none, or cannot be read now.
    pub async fn content(&self, wished: &Wished) -> Result<Digest, DraftError> {
        content(&*self.vault, wished.workload, &self.draft(wished).await?.text())
    }

    /// The stack as it is found, judged by itself.
    async fn draft(&self, wished: &Wished) -> Result<Stack, DraftError> {
        let (host, allowed, own) = (self.host.clone(), self.allowed.clone(), wished.clone());
        let read = tokio::task::spawn_blocking(move || {
            let of = For { workload: own.workload, full_name: &own.full_name, variables: &own.variables };
            draft::read(&own.draft, of, (&*host, &allowed))
        });
        let stack = read.await.unwrap_or_else(|_| Err(DraftError::Unavailable("the engine ends".to_owned())))?;
        match wished.routed.iter().find(|service| !stack.services.contains(*service)) {
            None => Ok(stack),
            Some(missing) => Err(DraftError::Refused(format!(
                "a route leads to the service {missing}, and the stack does not run it; it runs {}",
                stack.services.iter().cloned().collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    /// Nobody else has containers of its project, or they are to become ours.
    ///
    /// # Errors
    /// Somebody has, or Docker does not answer.
    pub async fn is_ours(&self, stack: &Stack) -> Result<(), DraftError> {
        let rows = self.compose.rows(&stack.name).await?;
        match rows.iter().find(|row: &&Row| !row.ours) {
            Some(row) if !stack.adopt => Err(DraftError::Refused(format!(
                "the compose project {} has containers that this engine did not make ({}): stop it there, take another \
                 compose_project_name, or write adopt = true to take them over",
                stack.name, row.service
            ))),
            _ => Ok(()),
        }
    }

    /// Judges a stack and keeps it for a deployment, unless an earlier release of the workload is the same.
    ///
    /// # Errors
    /// It cannot be brought up here, or not be kept.
    pub async fn keep(&self, deployment: DeploymentId, wished: &Wished) -> Result<Kept, DraftError> {
        let stack = self.judge(wished).await?;
        let (root, vault, workload) = (self.root.clone(), self.vault.clone(), wished.workload);
        let done = tokio::task::spawn_blocking(move || keep(&root, &*vault, (workload, deployment), &stack)).await;
        done.unwrap_or_else(|_| Err(DraftError::Unavailable("the engine ends".to_owned())))
    }

    /// Whether a stack is here.
    #[must_use]
    pub fn has(&self, image: &str) -> bool {
        self.path(image).is_some_and(|path| path.is_file())
    }

    /// A stack that is kept. Reads the disk the first time.
    ///
    /// # Errors
    /// It is not here, or cannot be read any more: one line for a person.
    pub fn read(&self, workload: WorkloadId, image: &str) -> Result<Arc<Stack>, String> {
        if let Some(known) = self.known.lock().get(image) {
            return Ok(known.clone());
        }
        let entry = self.path(image).and_then(|path| entry(&path));
        let entry = entry.ok_or_else(|| format!("the stack {image} is not here"))?;
        let sealed = entry.sealed.parse().map_err(|_| format!("the stack {image} is damaged"))?;
        let text = self.vault.unseal(workload, sealed)?;
        let stack = Arc::new(Stack::read(&text).ok_or_else(|| format!("the stack {image} is damaged"))?);
        self.known.lock().insert(image.to_owned(), stack.clone());
        Ok(stack)
    }

    /// All that are kept: image, workload and deployment.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn all(&self) -> io::Result<Vec<(String, WorkloadId, DeploymentId)>> {
        let mut all = Vec::new();
        for (name, folder) in entries(&self.root)? {
            let Ok(workload) = name.parse::<WorkloadId>() else { continue };
            let releases = entries(&folder)?.into_iter().filter_map(|(release, _)| release.parse::<ReleaseId>().ok());
            all.extend(releases.map(|id| (image((workload, id)), workload, DeploymentId(id.0))));
        }
        Ok(all)
    }

    /// Removes one; gone already is success.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove(&self, image: &str) -> io::Result<()> {
        self.known.lock().remove(image);
        let Some(path) = self.path(image) else { return Ok(()) };
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        if let Some(Err(error)) = path.parent().map(std::fs::remove_dir) {
            tracing::debug!(%error, "a folder of stacks is not empty");
        }
        Ok(())
    }

    fn path(&self, image: &str) -> Option<PathBuf> {
        let (workload, release) = image.strip_prefix(STACK)?.split_once('/')?;
        let plain = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        (plain(workload) && plain(release)).then(|| self.root.join(workload).join(release))
    }
}

/// Of everything that a judgement is about. Stays in memory: it would tell who guesses a value that it is right.
fn same(stack: &Stack, variables: &BTreeMap<String, String>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(stack.text());
    for part in variables.iter().flat_map(|(name, value)| [name, value]) {
        hash.update([0]);
        hash.update(part);
    }
    hash.finalize().into()
}

fn image((workload, release): (WorkloadId, ReleaseId)) -> String {
    format!("{STACK}{workload}/{release}")
}

fn entry(path: &Path) -> Option<Entry> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// What is in a folder, the newest id first; nothing where there is none.
fn entries(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let read = match std::fs::read_dir(folder) {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut all = Vec::new();
    for one in read {
        let one = one?;
        all.push((one.file_name().to_string_lossy().into_owned(), one.path()));
    }
    all.sort_unstable_by(|a, b| b.cmp(a));
    Ok(all)
}

fn content(vault: &dyn Vault, workload: WorkloadId, text: &str) -> Result<Digest, DraftError> {
    Ok(Digest::of(&vault.mac(workload, text).map_err(DraftError::Unavailable)?))
}

fn keep(
    root: &Path,
    vault: &dyn Vault,
    (workload, deployment): (WorkloadId, DeploymentId),
    stack: &Stack,
) -> Result<Kept, DraftError> {
    let unwritable = |error: io::Error| DraftError::Unavailable(format!("a stack cannot be kept: {error}"));
    let text = stack.text();
    let content = content(vault, workload, &text)?;
    let (folder, own) = (root.join(workload.to_string()), ReleaseId(deployment.0));
    let services = stack.services.iter().cloned().collect();
    let known = entries(&folder).map_err(unwritable)?;
    let same = known.into_iter().find(|(_, path)| entry(path).is_some_and(|e| e.content == content.to_string()));
    if let Some(release) = same.and_then(|(name, _)| name.parse::<ReleaseId>().ok()) {
        // A crash after it was kept repeats it.
        return Ok(Kept { image: image((workload, release)), content, reused: release != own, services });
    }
    let sealed = vault.seal(workload, &text).map_err(DraftError::Unavailable)?;
    let entry = Entry { content: content.to_string(), sealed: sealed.to_string() };
    let bytes = serde_json::to_vec(&entry).map_err(|error| unwritable(error.into()))?;
    make_folder(&folder).and_then(|()| replace_durably(&folder.join(own.to_string()), &bytes)).map_err(unwritable)?;
    Ok(Kept { image: image((workload, own)), content, reused: false, services })
}
