//! GitHub: `X-Hub-Signature-256` over the raw body, JSON or a form with `payload=`.

use std::collections::BTreeSet;

use cutover_events::delivery::{Change, ChangeKind, PathList};
use http::{HeaderMap, HeaderName};
use serde::Deserialize;

use super::signature::{BYTES, Single, digits, single};
use super::{Call, fields};
use crate::intake::Refusal;

/// Longest body, bytes: GitHub itself sends nothing larger.
pub const MAX_BODY_BYTES: usize = 25 * 1024 * 1024;

const SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");
const EVENT: HeaderName = HeaderName::from_static("x-github-event");
const DELIVERY: HeaderName = HeaderName::from_static("x-github-delivery");

/// The signature that the headers claim.
///
/// # Errors
/// 401: missing, empty, doubled, not `sha256=` and 64 hexadecimal digits. The old `X-Hub-Signature` (SHA-1) does not
/// count: GitHub sends both whenever the hook has a secret.
pub fn signature(headers: &HeaderMap) -> Result<[u8; BYTES], Refusal> {
    match single(headers, &SIGNATURE) {
        Single::One(value) => digits(
            value
                .strip_prefix("sha256=")
                .ok_or(Refusal::Unsigned("the header X-Hub-Signature-256 must begin with \"sha256=\""))?,
        ),
        Single::Missing => Err(Refusal::Unsigned(
            "the header X-Hub-Signature-256 is missing; give the webhook on GitHub the secret of this hook",
        )),
        Single::Unusable => Err(Refusal::Unsigned("the header X-Hub-Signature-256 must be there once, in ASCII")),
    }
}

/// What a call says: pushes of branches and tags, test calls, and everything else as "nothing to deploy".
///
/// # Errors
/// 400: no event named, no JSON, or fields of another type than GitHub documents.
pub fn parse(headers: &HeaderMap, text: &[u8]) -> Result<Call, Refusal> {
    let event = fields::event(headers, &EVENT)?;
    let sender_id = fields::sender_id(headers, &DELIVERY)?;
    let mut lists = Vec::new();
    let change = match event {
        "push" => {
            let (change, list) = push(text)?;
            lists.extend(list);
            change
        }
        "ping" => named(ChangeKind::Ping, text)?,
        "create" | "delete" => reference(event, text)?,
        _ => named(ChangeKind::Other, text)?,
    };
    Ok(Call { sender_id, event: event.to_owned(), items: vec![change], lists })
}

#[derive(Deserialize)]
struct Repository {
    #[serde(default)]
    full_name: String,
}

#[derive(Deserialize)]
struct Named {
    repository: Option<Repository>,
}

#[derive(Deserialize)]
struct Created {
    r#ref: String,
    ref_type: String,
    repository: Option<Repository>,
}

#[derive(Deserialize)]
struct Push {
    r#ref: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    deleted: bool,
    head_commit: Option<HeadCommit>,
    repository: Repository,
    #[serde(default)]
    before: String,
    forced: Option<bool>,
    commits: Option<Vec<Listed>>,
}

/// The paths of one commit of a push.
#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    added: Vec<String>,
    #[serde(default)]
    modified: Vec<String>,
    #[serde(default)]
    removed: Vec<String>,
}

#[derive(Deserialize)]
struct HeadCommit {
    id: String,
}

/// Commits that GitHub lists at most: where there are so many, some are missing.
const MAX_COMMITS: usize = 2048;
/// Paths of a push that are recorded, a count: the list of a larger one counts as unknown, as git is asked first anyway.
const MAX_PATHS: usize = 300;
/// Bytes of all of them: a quarter of an event.
const MAX_PATH_BYTES: usize = 16 * 1024;

/// Every path that a push has touched; `None` where some may be missing: a branch that is new or was rewritten, and what is
/// too long.
fn listed(push: &Push) -> Option<PathList> {
    let before = fields::commit("before", &push.before).ok()??;
    let commits = push
        .commits
        .as_ref()
        .filter(|commits| (1..MAX_COMMITS).contains(&commits.len()) && push.forced != Some(true))?;
    let of = |commit: &Listed| [&commit.added, &commit.modified, &commit.removed].map(|paths| paths.clone()).concat();
    let paths: Vec<String> = commits.iter().flat_map(of).collect::<BTreeSet<_>>().into_iter().collect();
    let bytes: usize = paths.iter().map(String::len).sum();
    let fits = !paths.is_empty() && paths.len() <= MAX_PATHS && bytes <= MAX_PATH_BYTES;
    fits.then_some(PathList { item: 0, before, paths })
}

fn push(text: &[u8]) -> Result<(Change, Option<PathList>), Refusal> {
    let push: Push = fields::json(text)?;
    let list = listed(&push);
    let (kind, reference) = fields::reference(push.r#ref)?;
    let after = fields::commit("after", &push.after)?;
    // Of an annotated tag `after` is the tag object, `head_commit` the commit that is meant.
    let sha = match push.head_commit {
        Some(commit) => fields::commit("head_commit.id", &commit.id)?,
        None => after.clone(),
    };
    let deleted = push.deleted || after.is_none();
    let sha = if deleted { String::new() } else { sha.unwrap_or_default() };
    let repo = fields::repo(push.repository.full_name)?;
    Ok((Change { kind, repo, reference, sha, image: String::new(), deleted }, list))
}

fn reference(event: &str, text: &[u8]) -> Result<Change, Refusal> {
    let created: Created = fields::json(text)?;
    let folder = match created.ref_type.as_str() {
        "tag" => "refs/tags/",
        "branch" => "refs/heads/",
        _ => return named(ChangeKind::Other, text),
    };
    let (kind, reference) = fields::reference(format!("{folder}{}", created.r#ref))?;
    let repo = fields::repo(created.repository.map(|repository| repository.full_name).unwrap_or_default())?;
    Ok(Change { kind, repo, reference, deleted: event == "delete", ..Change::default() })
}

fn named(kind: ChangeKind, text: &[u8]) -> Result<Change, Refusal> {
    let named: Named = fields::json(text)?;
    let repo = fields::repo(named.repository.map(|repository| repository.full_name).unwrap_or_default())?;
    Ok(Change { kind, repo, ..Change::default() })
}
