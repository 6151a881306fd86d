//! Senders: one pure file each. Which one a hook has is its configuration, never guessed from headers.

mod fields;
pub mod generic;
pub mod github;
mod signature;

use cutover_events::delivery::{Change, PathList};
use cutover_events::workload::Provider;
use http::HeaderMap;

use super::Refusal;
use super::hooks::Secrets;

/// What a call says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The sender's id for it, the same when it is sent again; `None` where the sender gives none.
    pub sender_id: Option<String>,
    /// What the sender calls it.
    pub event: String,
    /// What it tells of; never empty.
    pub items: Vec<Change>,
    /// Every path that a change has touched, where all of them are told.
    pub lists: Vec<PathList>,
}

/// What the headers of a call have to be, seen before its body is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claimed {
    encoding: Encoding,
    signature: [u8; signature::BYTES],
}

/// How the body holds the JSON text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Encoding {
    /// It is the text.
    Json,
    /// It is a form whose field `payload` is the text.
    Form,
}

/// Longest body that a provider's hooks take, in bytes.
#[must_use]
pub fn limit(provider: &Provider) -> usize {
    match provider {
        Provider::GitHub => github::MAX_BODY_BYTES,
        Provider::Generic { .. } => generic::MAX_BODY_BYTES,
    }
}

/// Reads the headers: the content type is one that the provider sends, and there is exactly one well-formed signature.
///
/// # Errors
/// 415 and 401.
pub fn claimed(provider: &Provider, headers: &HeaderMap) -> Result<Claimed, Refusal> {
    let encoding = encoding(provider, headers)?;
    let signature = match provider {
        Provider::GitHub => github::signature(headers)?,
        Provider::Generic { header } => generic::signature(header, headers)?,
    };
    Ok(Claimed { encoding, signature })
}

/// Which of the hook's secrets signed exactly these bytes; 0 is the newest.
///
/// # Errors
/// 401: none did.
pub fn verify(claimed: &Claimed, body: &[u8], secrets: &Secrets) -> Result<u8, Refusal> {
    signature::verify(&claimed.signature, body, secrets)
}

/// What a verified call says.
///
/// # Errors
/// 400, with what is wrong and where.
pub fn parse(provider: &Provider, claimed: &Claimed, headers: &HeaderMap, body: &[u8]) -> Result<Call, Refusal> {
    match (provider, claimed.encoding) {
        (Provider::GitHub, Encoding::Form) => github::parse(headers, fields::payload(body)?.as_bytes()),
        (Provider::GitHub, Encoding::Json) => github::parse(headers, body),
        (Provider::Generic { .. }, _) => generic::parse(headers, body),
    }
}

fn encoding(provider: &Provider, headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let encoded = headers.get(http::header::CONTENT_ENCODING).is_some_and(|value| value.as_bytes() != b"identity");
    if encoded {
        return Err(Refusal::UnsupportedType("a compressed body is not taken; send it without Content-Encoding"));
    }
    let Some(value) = headers.get(http::header::CONTENT_TYPE) else { return Ok(Encoding::Json) };
    let text = value.to_str().unwrap_or_default();
    let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"));
    match provider {
        _ if json => Ok(Encoding::Json),
        Provider::GitHub if media == "application/x-www-form-urlencoded" => Ok(Encoding::Form),
        Provider::GitHub => Err(Refusal::UnsupportedType(
            "the content type must be application/json or application/x-www-form-urlencoded",
        )),
        Provider::Generic { .. } => Err(Refusal::UnsupportedType("the content type must be application/json")),
    }
}
