//! Placeholders in an image reference: `{sha}`, `{short_sha}`, `{branch}` and `{tag}` come from the change that asked.

use cutover_events::delivery::{Change, ChangeKind};

use crate::rules::image::ImageRef;

/// Digits in `{short_sha}`: what `git rev-parse --short` and the common build actions print.
pub const SHORT_SHA_DIGITS: usize = 7;

/// Every placeholder, as people write them.
pub const PLACEHOLDERS: [&str; 4] = ["{sha}", "{short_sha}", "{branch}", "{tag}"];

/// Why a reference could not be filled in; reads as the end of "the image reference …".
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unfilled {
    /// The change does not have what the placeholder stands for.
    #[error("wants {placeholder}, and {lacks}")]
    Lacks {
        /// With its braces.
        placeholder: &'static str,
        /// What the change is instead.
        lacks: &'static str,
    },
    /// A brace that opens no known placeholder.
    #[error("holds \"{0}\"; known are {{sha}}, {{short_sha}}, {{branch}} and {{tag}}")]
    Unknown(String),
}

/// Whether a reference depends on the change that asks.
#[must_use]
pub fn has_placeholder(template: &str) -> bool {
    PLACEHOLDERS.iter().any(|placeholder| template.contains(placeholder))
}

/// The reference with every placeholder replaced.
///
/// Branches and tags become what a registry takes as a tag: every run of other characters becomes one `-`, as the
/// common build actions do it (`feature/x` is `feature-x`).
///
/// # Errors
/// The change lacks what a placeholder stands for, or a brace opens no known placeholder.
pub fn fill(template: &str, change: &Change) -> Result<String, Unfilled> {
    let mut out = String::with_capacity(template.len() + 40);
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let known = PLACEHOLDERS.into_iter().find(|placeholder| rest.starts_with(placeholder));
        let placeholder = known.ok_or_else(|| Unfilled::Unknown(first_word(rest)))?;
        out.push_str(&value(placeholder, change)?);
        rest = &rest[placeholder.len()..];
    }
    out.push_str(rest);
    Ok(out)
}

fn value(placeholder: &'static str, change: &Change) -> Result<String, Unfilled> {
    let found = match placeholder {
        "{sha}" => some(&change.sha).map(str::to_owned),
        "{short_sha}" => some(&change.sha).map(|sha| sha.chars().take(SHORT_SHA_DIGITS).collect()),
        "{branch}" => change.branch().and_then(some).map(tag_safe),
        _ => change.tag().and_then(some).map(tag_safe).or_else(|| image_tag(change)),
    };
    found.ok_or(Unfilled::Lacks { placeholder, lacks: kind(change) })
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn image_tag(change: &Change) -> Option<String> {
    ImageRef::parse(&change.image).ok().and_then(|image| image.tag.map(str::to_owned))
}

fn kind(change: &Change) -> &'static str {
    match change.kind {
        ChangeKind::Branch => "the change is a push to a branch",
        ChangeKind::Tag => "the change is a push of a tag",
        ChangeKind::Image => "the delivery about an image does not tell it",
        ChangeKind::Ping | ChangeKind::Other => "the delivery names no change",
    }
}

fn first_word(rest: &str) -> String {
    let end = rest.find('}').map_or(rest.len(), |at| at + 1);
    rest[..end].chars().take(40).collect()
}

/// The name of a branch or git tag as a tag of an image.
#[must_use]
pub fn tag_safe(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
            out.push(c);
        } else if !out.ends_with('-') {
            out.push('-');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(reference: &str) -> Change {
        let kind = if reference.starts_with("refs/tags/") { ChangeKind::Tag } else { ChangeKind::Branch };
        Change { kind, reference: reference.into(), sha: "0123456789abcdef0123".into(), ..Change::default() }
    }

    #[test]
    fn each_placeholder_is_filled() {
        let change = push("refs/heads/feature//x+y");
        assert_eq!(
            fill("r/a:{sha}_{short_sha}_{branch}", &change).unwrap(),
            "r/a:0123456789abcdef0123_0123456_feature-x-y"
        );
        assert_eq!(fill("r/a:{tag}", &push("refs/tags/v1.2")).unwrap(), "r/a:v1.2");
        let image = Change { kind: ChangeKind::Image, image: "reg:5000/a/b:v7".into(), ..Change::default() };
        assert_eq!(fill("mirror/b:{tag}", &image).unwrap(), "mirror/b:v7");
        assert_eq!(fill("r/a:main", &change).unwrap(), "r/a:main");
    }

    #[test]
    fn what_is_lacking_is_said() {
        let text = fill("r/a:{tag}", &push("refs/heads/main")).unwrap_err().to_string();
        assert_eq!(text, "wants {tag}, and the change is a push to a branch");
        let text = fill("r/a:{commit}", &push("refs/heads/main")).unwrap_err().to_string();
        assert!(text.starts_with("holds \"{commit}\"; known are {sha}"), "{text}");
        assert!(fill("r/a:{", &push("refs/heads/main")).is_err());
    }
}
