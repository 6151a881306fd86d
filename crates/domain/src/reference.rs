//! References to images as people write them: their grammar and their full form. What senders of deliveries write is read
//! more leniently, in [`crate::rules::image`]; what placeholders become is in [`crate::template`].

use std::fmt;

use crate::file::strict::{choice, nearest, quoted};
use crate::template::PLACEHOLDERS;

/// Characters of a reference without tag and digest, as the distribution specification limits them.
pub const MAX_NAME_CHARS: usize = 255;
/// Characters of a tag, as the distribution specification limits them.
pub const MAX_TAG_CHARS: usize = 128;
const DEFAULT_HOST: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";
/// Hexadecimal digits of a SHA-256 digest.
const SHA256_DIGITS: usize = 64;

/// A text that is not a reference to an image; the text says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadReference(pub String);

/// A well-formed reference, in full: with registry and, where there is no digest, with a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Registry, with port where it has one; `docker.io` when none was written.
    pub host: String,
    /// Repository in that registry; `library/…` for a plain name on `docker.io`.
    pub path: String,
    /// Tag; `None` only with a digest.
    pub tag: Option<String>,
    /// `sha256:…`.
    pub digest: Option<String>,
}

impl Reference {
    /// Reads a reference without placeholders and completes it.
    ///
    /// # Errors
    /// Not well formed; the error names the part and what is allowed there.
    pub fn parse(text: &str) -> Result<Self, BadReference> {
        let bad = |why: &str| BadReference(format!("{} is not an image reference: {why}", quoted(text)));
        if text.is_empty() {
            return Err(bad("it is empty; expected [REGISTRY/]NAME[:TAG][@sha256:DIGEST]"));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
            return Err(bad("only ASCII without spaces is allowed"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest_of(digest).map_err(|why| bad(&why))?)),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag_of(tag).map_err(|why| bad(&why))?)),
            _ => (rest, None),
        };
        if name.len() > MAX_NAME_CHARS {
            return Err(bad(&format!("its name has {} characters, at most {MAX_NAME_CHARS} are allowed", name.len())));
        }
        let (host, path) = split_host(name);
        check_host(&host).map_err(|why| bad(&why))?;
        check_path(&path).map_err(|why| bad(&why))?;
        if name.len() == SHA256_DIGITS && name.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad("64 hexadecimal digits are an image id; a name is needed"));
        }
        let tag = tag.or_else(|| digest.is_none().then(|| DEFAULT_TAG.to_owned()));
        Ok(Self { host, path, tag, digest })
    }

    /// Registry and path, without tag and digest.
    #[must_use]
    pub fn repository(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// The placeholders of a template with their braces, in its order.
///
/// # Errors
/// A brace without its partner, or a word that is not a placeholder.
pub fn placeholders(template: &str) -> Result<Vec<&str>, BadReference> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some(open) = rest.find(['{', '}']) {
        let close = rest[open..].strip_prefix('{').and_then(|inside| inside.find('}'));
        let Some(length) = close else {
            return Err(BadReference(format!("{}: a brace without its partner", quoted(template))));
        };
        let word = &rest[open..open + length + 2];
        if !PLACEHOLDERS.contains(&word) {
            let near = nearest(word, PLACEHOLDERS.into_iter());
            let hint = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
            let known = choice(&PLACEHOLDERS);
            return Err(BadReference(format!("unknown placeholder {}; {hint}allowed is {known}", quoted(word))));
        }
        found.push(word);
        rest = &rest[open + length + 2..];
    }
    Ok(found)
}

/// A template is well formed: with its placeholders filled it would be a reference.
///
/// # Errors
/// Unknown placeholders, or not a reference.
pub fn check_template(template: &str) -> Result<(), BadReference> {
    placeholders(template)?;
    let filled = PLACEHOLDERS.iter().fold(template.to_owned(), |text, word| text.replace(word, "x"));
    let shown = |bad: BadReference| BadReference(bad.0.replacen(&quoted(&filled), &quoted(template), 1));
    Reference::parse(&filled).map(drop).map_err(shown)
}

/// Docker's rule: the first part is a registry when it has a point or a port, or is `localhost`.
fn split_host(name: &str) -> (String, String) {
    match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
            let hub = matches!(first, "docker.io" | "index.docker.io");
            let host = if hub { DEFAULT_HOST } else { first };
            (host.to_owned(), if hub { on_hub(rest) } else { rest.to_owned() })
        }
        _ => (DEFAULT_HOST.to_owned(), on_hub(name)),
    }
}

fn on_hub(path: &str) -> String {
    if path.contains('/') { path.to_owned() } else { format!("library/{path}") }
}

fn check_host(host: &str) -> Result<(), String> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !host.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    if let Some(port) = port {
        let number = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse::<u16>().ok()).flatten();
        if number.is_none_or(|number| number == 0) {
            return Err(format!("the port {} of its registry is not one of 1 to 65535", quoted(port)));
        }
    }
    let six = name.strip_prefix('[').and_then(|inside| inside.strip_suffix(']'));
    let label = |l: &str| {
        !l.is_empty()
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let good = six.map_or_else(|| name.split('.').all(label), |inside| inside.parse::<std::net::Ipv6Addr>().is_ok());
    if good { Ok(()) } else { Err(format!("its registry {} is not a host name", quoted(host))) }
}

fn check_path(path: &str) -> Result<(), String> {
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("its name must be lower case".to_owned());
    }
    for part in path.split('/') {
        let edges = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
        let separators = part.contains("..")
            || part.contains("___")
            || ["._", "_.", ".-", "-.", "_-", "-_"].iter().any(|p| part.contains(p));
        if !edges(part.chars().next()) || !edges(part.chars().last()) || !part.chars().all(inside) || separators {
            return Err(format!(
                "the part {} of its name must be lower-case letters and digits, with single . _ or - between them",
                quoted(part)
            ));
        }
    }
    Ok(())
}

fn tag_of(tag: &str) -> Result<String, String> {
    let first = tag.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    let good = first && tag.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if good && tag.len() <= MAX_TAG_CHARS {
        return Ok(tag.to_owned());
    }
    Err(format!(
        "the tag {} must be at most {MAX_TAG_CHARS} letters, digits, _ . or -, beginning with a letter, digit or _",
        quoted(tag)
    ))
}

fn digest_of(digest: &str) -> Result<String, String> {
    let hex = digest.strip_prefix("sha256:");
    let good = hex
        .is_some_and(|hex| hex.len() == SHA256_DIGITS && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
    if good {
        Ok(digest.to_owned())
    } else {
        Err(format!("the digest {} must be sha256: and 64 lower-case hexadecimal digits", quoted(digest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn references_are_completed_as_docker_does() {
        let cases = [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("acme/shop", "docker.io/acme/shop:latest"),
            ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
            ("ghcr.io/acme/shop:v1", "ghcr.io/acme/shop:v1"),
            ("localhost/shop", "localhost/shop:latest"),
            ("127.0.0.1:5000/shop", "127.0.0.1:5000/shop:latest"),
            ("[::1]:5000/shop:x", "[::1]:5000/shop:x"),
            ("registry:5000/a/b__c/d--e:T_1.x", "registry:5000/a/b__c/d--e:T_1.x"),
        ];
        for (text, full) in cases {
            assert_eq!(Reference::parse(text).map(|r| r.to_string()), Ok(full.to_owned()), "{text}");
        }
        let both = format!("nginx:1@{DIGEST}");
        assert_eq!(Reference::parse(&both).map(|r| r.to_string()), Ok(format!("docker.io/library/{both}")));
        let only = format!("nginx@{DIGEST}");
        assert_eq!(Reference::parse(&only).map(|r| r.tag), Ok(None));
    }

    #[test]
    fn a_full_reference_is_a_fixed_point() {
        for text in ["nginx", "ghcr.io/acme/shop:v1", "a/b/c"] {
            let once = Reference::parse(text).unwrap();
            assert_eq!(Reference::parse(&once.to_string()), Ok(once));
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_part() {
        let cases = [
            ("", "empty"),
            ("Nginx", "lower case"),
            ("nginx latest", "spaces"),
            ("nginx\r\n", "spaces"),
            ("nginx:", "tag"),
            ("nginx:-x", "tag"),
            ("nginx@sha256:12", "digest"),
            ("nginx@md5:12", "digest"),
            ("a//b", "part"),
            ("-rf", "part"),
            ("../etc", "registry"),
            ("host:0/x", "port"),
            ("host:70000/x", "port"),
            ("a..b/x", "registry"),
            ("/x", "part"),
            ("x/", "part"),
            ("bücher", "ASCII"),
        ];
        for (text, word) in cases {
            let bad = Reference::parse(text).expect_err(text);
            assert!(bad.0.contains(word), "{text}: {bad}");
        }
        assert!(Reference::parse(&"a".repeat(300)).is_err_and(|bad| bad.0.len() < 300));
        assert!(Reference::parse(&DIGEST[7..]).is_err());
    }

    #[test]
    fn templates_know_their_placeholders() {
        assert_eq!(check_template("ghcr.io/acme/shop:{sha}"), Ok(()));
        assert!(check_template("shop:{shaa}").is_err_and(|bad| bad.0.contains("{sha}")));
        assert!(check_template("shop:{commit_number}").is_err_and(|bad| bad.0.contains("{short_sha}")));
        assert!(check_template("shop:{sha").is_err());
        assert!(check_template("shop:sha}").is_err());
        assert!(check_template("Shop:{sha}").is_err_and(|bad| bad.0.contains("\"Shop:{sha}\"")));
    }
}
