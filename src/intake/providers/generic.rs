//! Any sender that can sign: HMAC-SHA256 as hexadecimal digits in a header of its choice, and a small JSON body.

use cutover_domain::rules::image::ImageRef;
use cutover_events::delivery::{Change, ChangeKind};
use http::{HeaderMap, HeaderName};
use serde::Deserialize;

use super::signature::{BYTES, Single, digits, single};
use super::{Call, fields};
use crate::intake::Refusal;

/// Longest body, bytes: four short fields need a thousandth of it.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Headers that may hold the sender's id, the first that is there counts.
const IDS: [HeaderName; 3] = [
    HeaderName::from_static("x-delivery-id"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("webhook-id"),
];

const EXPECTED: &str = r#"expected {"image": "…"} or {"ref": "…", "sha": "…", "repository": "…"}"#;

/// The signature that the header named `header` claims, with or without `sha256=`.
///
/// # Errors
/// 401: missing, empty, doubled, not 64 hexadecimal digits.
pub fn signature(header: &str, headers: &HeaderMap) -> Result<[u8; BYTES], Refusal> {
    let missing = Refusal::Unsigned("the signature header that this hook is configured with is missing");
    let Ok(name) = HeaderName::from_bytes(header.as_bytes()) else { return Err(missing) };
    match single(headers, &name) {
        Single::One(value) => digits(value.strip_prefix("sha256=").unwrap_or(value)),
        Single::Missing => Err(missing),
        Single::Unusable => Err(Refusal::Unsigned("the signature header must be there once, in ASCII")),
    }
}

#[derive(Deserialize)]
struct Body {
    image: Option<String>,
    r#ref: Option<String>,
    sha: Option<String>,
    repository: Option<String>,
    #[serde(default)]
    deleted: bool,
}

/// What a call says: one image, or one push. Other keys are ignored.
///
/// # Errors
/// 400: no JSON object, wrong types, or neither an image nor a push.
pub fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Call, Refusal> {
    let mut sender_id = None;
    for name in &IDS {
        sender_id = sender_id.or(fields::sender_id(headers, name)?);
    }
    let read: Body = fields::json(body)?;
    let (event, change) = match read.image {
        Some(ref text) => ("image", image(text.clone(), read)?),
        None => ("push", push(read)?),
    };
    Ok(Call { sender_id, event: event.into(), items: vec![change], lists: Vec::new() })
}

fn image(image: String, body: Body) -> Result<Change, Refusal> {
    ImageRef::parse(&image).map_err(|e| Refusal::unreadable(format!("image {e}; {EXPECTED}")))?;
    let reference = match body.r#ref {
        Some(text) => full_reference(text)?.1,
        None => String::new(),
    };
    let sha = body.sha.map(|text| fields::commit("sha", &text)).transpose()?.flatten().unwrap_or_default();
    let repo = fields::repo(body.repository.unwrap_or_default())?;
    Ok(Change { kind: ChangeKind::Image, repo, reference, sha, image, deleted: body.deleted })
}

fn push(body: Body) -> Result<Change, Refusal> {
    let given = |value: Option<String>, key: &str| {
        value
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Refusal::unreadable(format!("the key \"{key}\" is missing; {EXPECTED}")))
    };
    let (kind, reference) = full_reference(given(body.r#ref, "ref")?)?;
    let repo = fields::repo(given(body.repository, "repository")?)?;
    let sha = if body.deleted { None } else { fields::commit("sha", &given(body.sha, "sha")?)? };
    let deleted = sha.is_none();
    Ok(Change { kind, repo, reference, sha: sha.unwrap_or_default(), image: String::new(), deleted })
}

/// A short reference means a branch, as everywhere in git.
fn full_reference(text: String) -> Result<(ChangeKind, String), Refusal> {
    let full = if text.starts_with("refs/") { text } else { format!("refs/heads/{text}") };
    fields::reference(full)
}
