//! What may be put into the path of a request: the library escapes nothing, `../images/x` would reach another call.

use cutover_domain::observed::DockerId;

use super::RuntimeError;

/// Docker's own limit for a host name, and far above ours for a container name.
const NAME: usize = 255;
/// Longest reference: a registry allows 255 for the name, 128 for the tag, and a digest.
const REFERENCE: usize = 512;

/// The id of a container as the API takes it: 64 hex digits, which need no check.
pub(super) fn container(id: DockerId) -> String {
    hex::encode(id.0)
}

/// An id or name that stands in a path: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
pub(super) fn checked(name: &str) -> Result<&str, RuntimeError> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let good = name.len() <= NAME && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(inner);
    good.then_some(name).ok_or_else(|| RuntimeError::Refused(format!("{name:?} is not a name that Docker knows")))
}

/// An image reference that stands in a path: what [`checked`] allows, between `/`, `:` and `@`, and no empty part.
pub(super) fn reference(text: &str) -> Result<&str, RuntimeError> {
    let good = text.len() <= REFERENCE && text.split(['/', ':', '@']).all(|part| checked(part).is_ok());
    good.then_some(text).ok_or_else(|| RuntimeError::Refused(format!("{text:?} is not an image reference")))
}

/// A reference, as a pull takes it: what to pull, and the tag or digest. Without one Docker would pull every tag.
pub(super) fn split_reference(reference: &str) -> (&str, &str) {
    if let Some((name, digest)) = reference.split_once('@') {
        let (name, _) = split_tag(name);
        return (name, digest);
    }
    let (name, tag) = split_tag(reference);
    (name, tag.unwrap_or("latest"))
}

fn split_tag(reference: &str) -> (&str, Option<&str>) {
    let last = reference.rfind('/').map_or(0, |at| at + 1);
    match reference[last..].find(':') {
        Some(at) => (&reference[..last + at], Some(&reference[last + at + 1..])),
        None => (reference, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_path_that_it_is_put_into() {
        for good in ["web-1", "a", "A_b.c-9"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in ["", "-rf", ".", "..", "a/b", "a?b", "ä", "a b", "../images/x", &"x".repeat(256)] {
            assert!(checked(bad).is_err(), "{bad}");
        }
        for good in ["nginx", "a:1", "host.example:5000/a/b:1.2", "a@sha256:00ff", "sha256:00ff"] {
            assert!(reference(good).is_ok(), "{good}");
        }
        for bad in ["", "a/../b", "/a", "a:", "a//b", "a\nb", "-a", "a@", "a#b"] {
            assert!(reference(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pull_names_one_tag_or_digest() {
        assert_eq!(split_reference("nginx"), ("nginx", "latest"));
        assert_eq!(split_reference("h:5000/a"), ("h:5000/a", "latest"));
        assert_eq!(split_reference("h:5000/a:2"), ("h:5000/a", "2"));
        assert_eq!(split_reference("a:2@sha256:ff"), ("a", "sha256:ff"));
    }
}
