//! Image references as deliveries and rules write them, compared in one normal form.

use std::borrow::Cow;

/// Longest reference that is read: a host of 255, a name of 255 and a tag of 128 characters fit.
pub const MAX_REFERENCE_BYTES: usize = 640;

/// A reference in its parts: `repository[:tag][@sha256:digest]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageRef<'a> {
    /// As written, without tag and digest.
    pub repository: &'a str,
    /// Without the colon.
    pub tag: Option<&'a str>,
    /// `sha256:…`.
    pub digest: Option<&'a str>,
}

/// The text is no image reference; reads as the end of "image …".
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadReference {
    /// Nothing, or nothing before the tag.
    #[error("names no repository; allowed is repository[:tag][@sha256:digest]")]
    Empty,
    /// Longer than any registry takes.
    #[error("is longer than {MAX_REFERENCE_BYTES} characters")]
    TooLong,
    /// A character that no reference holds.
    #[error("holds {0:?}, which no image reference may hold")]
    Character(char),
    /// The part after the colon.
    #[error("has a tag that is not 1 to 128 letters, digits, dots, dashes or underscores")]
    Tag,
    /// The part after the at sign.
    #[error("has a digest that is not sha256: and 64 hexadecimal digits")]
    Digest,
}

impl<'a> ImageRef<'a> {
    /// Takes a reference apart.
    ///
    /// # Errors
    /// It is not `repository[:tag][@sha256:digest]`.
    pub fn parse(text: &'a str) -> Result<Self, BadReference> {
        if text.len() > MAX_REFERENCE_BYTES {
            return Err(BadReference::TooLong);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
        if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
            return Err(BadReference::Character(bad));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(BadReference::Digest);
        }
        let last = name.rfind('/').map_or(0, |at| at + 1);
        let (repository, tag) = match name[last..].find(':') {
            Some(at) => (&name[..last + at], Some(&name[last + at + 1..])),
            None => (name, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(BadReference::Tag);
        }
        let empty_part = repository.split('/').any(str::is_empty);
        if empty_part || repository.starts_with('-') {
            Err(BadReference::Empty)
        } else {
            Ok(Self { repository, tag, digest })
        }
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

/// The repository as it is compared: lower case, with the host of Docker Hub and its `library/` written out.
#[must_use]
pub fn normal(repository: &str) -> String {
    let lower = repository.to_ascii_lowercase();
    let (host, path) = match lower.split_once('/') {
        Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (first, Cow::Borrowed(path)),
        Some(_) => ("docker.io", Cow::Borrowed(lower.as_str())),
        None => ("docker.io", Cow::Owned(format!("library/{lower}"))),
    };
    let host = if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host };
    let path = if host == "docker.io" && !path.contains('/') { Cow::Owned(format!("library/{path}")) } else { path };
    format!("{host}/{path}")
}

/// Whether a tag names a signature, attestation or bill of materials beside an image, not an image.
#[must_use]
pub fn is_companion_tag(tag: &str) -> bool {
    tag.starts_with("sha256-") && [".sig", ".att", ".sbom"].iter().any(|end| tag.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        let image = ImageRef::parse("reg:5000/a/b").unwrap();
        assert_eq!((image.repository, image.tag), ("reg:5000/a/b", None));
        let image = ImageRef::parse("reg:5000/a/b:v1").unwrap();
        assert_eq!((image.repository, image.tag), ("reg:5000/a/b", Some("v1")));
        let digest = format!("sha256:{}", "a".repeat(64));
        let text = format!("a/b:v1@{digest}");
        let image = ImageRef::parse(&text).unwrap();
        assert_eq!((image.repository, image.tag, image.digest), ("a/b", Some("v1"), Some(digest.as_str())));
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for (text, why) in [
            ("", BadReference::Empty),
            (":v1", BadReference::Empty),
            ("a//b", BadReference::Empty),
            ("-rf", BadReference::Empty),
            ("a b", BadReference::Character(' ')),
            ("a\nb", BadReference::Character('\n')),
            ("a:", BadReference::Tag),
            ("a:.x", BadReference::Tag),
            ("a:b:c", BadReference::Tag),
            ("a@sha256:12", BadReference::Digest),
            ("a@b@c", BadReference::Digest),
        ] {
            assert_eq!(ImageRef::parse(text), Err(why), "{text:?}");
        }
        assert_eq!(ImageRef::parse(&"a".repeat(641)), Err(BadReference::TooLong));
    }

    #[test]
    fn docker_hub_has_one_form() {
        for text in ["busybox", "library/busybox", "docker.io/busybox", "index.docker.io/library/BusyBox"] {
            assert_eq!(normal(text), "docker.io/library/busybox");
        }
        assert_eq!(normal("acme/shop"), "docker.io/acme/shop");
        assert_eq!(normal("GHCR.io/Acme/Shop"), "ghcr.io/acme/shop");
        assert_eq!(normal("localhost/shop"), "localhost/shop");
        assert_eq!(normal("reg:5000/shop"), "reg:5000/shop");
    }
}
