//! Where the files of a source lie: a folder, a tarball, or a commit of a repository of git.

use std::fmt;

use crate::file::strict::quoted;

/// Characters of a path or an address: a quarter of what Linux takes for a path, and far above what is written.
pub const MAX_CONTEXT_CHARS: usize = 1024;
/// Characters of a branch, tag or commit: what GitHub allows for a reference.
pub const MAX_REFERENCE_CHARS: usize = 255;
/// How a tarball is told from a folder, and what git does not serve.
const TARBALLS: &[&str] = &[".tar", ".tar.gz", ".tgz"];
/// How git is spoken to. A repository in a folder is a folder.
const SCHEMES: &[&str] = &["https", "http", "ssh", "git"];
/// Forges that people name without a scheme.
const FORGES: &[&str] = &["github.com/", "gitlab.com/", "bitbucket.org/", "codeberg.org/"];

/// Where the files of a source lie.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// A folder of the host of the engine.
    Folder(String),
    /// A tar archive on the host of the engine, plain or compressed by gzip.
    Tarball(String),
    /// A repository.
    Git(Repository),
}

/// A repository of git, as it is fetched. No part begins with a hyphen, so that none is ever taken for a flag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    /// The address, without a password and without what follows `#`.
    pub url: String,
    /// A branch, a tag or a commit; empty for the branch that the repository itself has as its default.
    pub reference: String,
    /// The folder in it, relative and without dots; empty for all of it.
    pub folder: String,
}

impl Context {
    /// Reads `DIR`, `FILE.tar.gz` or `https://HOST/PATH.git#REFERENCE:FOLDER`.
    ///
    /// # Errors
    /// Nothing, control characters, an address with a password in it, a tarball at an address, a folder that leads out
    /// of the repository: what is wrong, and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an empty path; expected a folder, a tarball or an address of git".to_owned());
        }
        if text.chars().count() > MAX_CONTEXT_CHARS {
            return Err(format!(
                "{} is longer than {MAX_CONTEXT_CHARS} characters, more than any path or address needs",
                quoted(text)
            ));
        }
        if text.contains(char::is_control) {
            return Err(format!("{} holds control characters, which no path or address has", quoted(text)));
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return of_scheme(text, scheme);
        }
        if let Some(forge) = FORGES.iter().find(|forge| text.starts_with(*forge)) {
            return Err(format!(
                "{} is a path on this host; for the repository on {} write \"https://…\"",
                quoted(text),
                forge.trim_end_matches('/')
            ));
        }
        if scp_like(text) {
            return repository(text).map(Self::Git);
        }
        if text.starts_with('~') {
            return Err(format!("{} needs a shell to be understood; write the whole path", quoted(text)));
        }
        let path = unmistakable(tidied(text));
        Ok(if is_tarball(&path) { Self::Tarball(path) } else { Self::Folder(path) })
    }

    /// The same place, seen from everywhere: what is relative is meant from `base`, an absolute path.
    #[must_use]
    pub fn below(self, base: &str) -> Self {
        let whole = |path: String| if path.starts_with('/') { path } else { tidied(&format!("{base}/{path}")) };
        match self {
            Self::Folder(path) => Self::Folder(whole(path)),
            Self::Tarball(path) => Self::Tarball(whole(path)),
            Self::Git(repository) => Self::Git(repository),
        }
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) | Self::Tarball(path) => f.write_str(path),
            Self::Git(repository) => repository.fmt(f),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, reference, folder } = self;
        match (reference.as_str(), folder.as_str()) {
            ("", "") => f.write_str(url),
            (reference, "") => write!(f, "{url}#{reference}"),
            (reference, folder) => write!(f, "{url}#{reference}:{folder}"),
        }
    }
}

fn of_scheme(text: &str, scheme: &str) -> Result<Context, String> {
    if scheme == "file" {
        return Err(format!("{} is a place on this host; write its path", quoted(text)));
    }
    if !SCHEMES.contains(&scheme) {
        return Err(format!("{} is no address of git; known are {}", quoted(text), SCHEMES.join("://, ") + "://"));
    }
    repository(text).map(Context::Git)
}

/// `user@host:path`, as git and ssh write it.
fn scp_like(text: &str) -> bool {
    let Some((before, _)) = text.split_once(':') else { return false };
    before.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty()) && !before.contains('/')
}

fn repository(text: &str) -> Result<Repository, String> {
    let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (reference, folder) = fragment.split_once(':').unwrap_or((fragment, ""));
    address(url)?;
    if !reference.is_empty() {
        git_reference(reference)?;
    }
    let folder = folder.trim_end_matches('/');
    if !folder.is_empty() {
        inside(folder).map_err(|why| format!("the folder {} of the repository {why}", quoted(folder)))?;
    }
    let folder = tidied_inside(folder);
    if folder.starts_with('-') {
        return Err(format!("the folder {} begins with a hyphen, which programs take for a flag", quoted(&folder)));
    }
    Ok(Repository { url: url.to_owned(), reference: reference.to_owned(), folder })
}

/// An address of git: a host and a path, and nobody's password.
fn address(url: &str) -> Result<(), String> {
    let shown = quoted(url.rsplit_once('@').map_or(url, |(_, rest)| rest));
    let bad = |why: &str| Err(format!("the address {shown} {why}"));
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let separator = if scheme.is_empty() { ':' } else { '/' };
    let Some((authority, path)) = rest.split_once(separator) else {
        return bad("has no path; expected one as in https://github.com/acme/shop.git");
    };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let web = matches!(scheme, "http" | "https");
    if user.contains(':') || (web && !user.is_empty()) {
        return bad("has a name or password before its host, which would be recorded; leave it out");
    }
    if host.is_empty() || path.trim_matches('/').is_empty() {
        return bad("has no host or no path; expected one as in https://github.com/acme/shop.git");
    }
    if [user, host, path].iter().any(|part| part.starts_with('-')) {
        return bad("has a part that begins with a hyphen, which programs take for a flag");
    }
    if url.contains(|c: char| c.is_whitespace() || matches!(c, '?' | '\\')) {
        return bad("holds a space, a question mark or a backslash");
    }
    if web && is_tarball(path) {
        return bad("is a tarball; download it to this host and write its path, or write the address of a repository");
    }
    Ok(())
}

/// The name of a branch, a tag or a commit, as git allows it.
fn git_reference(text: &str) -> Result<(), String> {
    let forbidden =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let parts = text.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"));
    let whole = !text.starts_with('-') && !text.contains("..") && !text.contains("@{") && !text.ends_with('.');
    if parts && whole && text.chars().count() <= MAX_REFERENCE_CHARS && !text.contains(forbidden) {
        return Ok(());
    }
    Err(format!("{} is not a branch, tag or commit", quoted(text)))
}

/// A path that stays within the folder it is meant from.
///
/// # Errors
/// Empty, absolute, `..` as a part, a backslash, control characters, or too long; the text goes on after the path.
pub fn inside(text: &str) -> Result<(), String> {
    let why = if text.is_empty() {
        "is empty"
    } else if text.starts_with('/') {
        "must be relative to the folder of the source"
    } else if text.split('/').any(|part| part == "..") {
        "leads out of the folder of the source by \"..\""
    } else if text.contains(|c: char| c.is_control() || c == '\\') {
        "holds a backslash or control characters"
    } else if text.chars().count() > MAX_CONTEXT_CHARS {
        "is longer than 1024 characters"
    } else {
        return Ok(());
    };
    Err(why.to_owned())
}

fn is_tarball(path: &str) -> bool {
    TARBALLS.iter().any(|ending| path.ends_with(ending) && path.len() > ending.len())
}

/// A path without what says nothing: `.` and empty parts, and `..` after a part that it takes back. `.` alone stays.
fn tidied(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => drop(parts.pop()),
            ("..", None) if absolute => {}
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// A relative path that could be read as something else begins with `./`.
fn unmistakable(path: String) -> String {
    let other = path.starts_with('~') || FORGES.iter().any(|forge| path.starts_with(*forge)) || scp_like(&path);
    if other { format!("./{path}") } else { path }
}

/// As [`tidied`], empty for the whole.
fn tidied_inside(path: &str) -> String {
    let tidy = tidied(path);
    if tidy == "." { String::new() } else { tidy }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn git(url: &str, reference: &str, folder: &str) -> Context {
        Context::Git(Repository { url: url.into(), reference: reference.into(), folder: folder.into() })
    }

    #[test]
    fn folders_tarballs_and_repositories_are_told_apart() {
        let cases = [
            (".", Context::Folder(".".into())),
            ("./app/", Context::Folder("app".into())),
            ("../app", Context::Folder("../app".into())),
            ("a/../../b", Context::Folder("../b".into())),
            ("/srv/app", Context::Folder("/srv/app".into())),
            ("/../srv", Context::Folder("/srv".into())),
            ("with space", Context::Folder("with space".into())),
            ("app#1", Context::Folder("app#1".into())),
            ("./~a", Context::Folder("./~a".into())),
            ("./a@b:c", Context::Folder("./a@b:c".into())),
            (".tgz", Context::Folder(".tgz".into())),
            ("build.tar.gz", Context::Tarball("build.tar.gz".into())),
            ("/srv/build.tar", Context::Tarball("/srv/build.tar".into())),
            ("https://github.com/acme/shop.git", git("https://github.com/acme/shop.git", "", "")),
            ("https://github.com/acme/shop#main", git("https://github.com/acme/shop", "main", "")),
            ("https://h/a.git#v1.2:apps/web/", git("https://h/a.git", "v1.2", "apps/web")),
            ("https://h/a.git#:web", git("https://h/a.git", "", "web")),
            ("http://127.0.0.1:8080/a.git#feature/x:.", git("http://127.0.0.1:8080/a.git", "feature/x", "")),
            ("git@github.com:acme/shop.git#main", git("git@github.com:acme/shop.git", "main", "")),
            ("ssh://git@h:2222/acme/shop.git", git("ssh://git@h:2222/acme/shop.git", "", "")),
            ("git://127.0.0.1/acme/shop", git("git://127.0.0.1/acme/shop", "", "")),
        ];
        for (text, context) in cases {
            let read = Context::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(read, context, "{text}");
            assert_eq!(Context::parse(&read.to_string()), Ok(read), "{text}");
        }
    }

    #[test]
    fn what_is_no_place_says_so() {
        let long = "a".repeat(MAX_CONTEXT_CHARS + 1);
        let cases = [
            ("", "empty"),
            (&long, "1024"),
            ("a\nb", "control"),
            ("~/app", "whole path"),
            ("github.com/acme/shop", "https://"),
            ("file:///srv/app", "write its path"),
            ("ftp://h/a", "https://, http://, ssh://, git://"),
            ("ext::sh -c id://x", "no address of git"),
            ("https://h", "no path"),
            ("https://h/", "no path"),
            ("https:///a", "no host"),
            ("https://user:hunter2@h/a.git", "would be recorded"),
            ("https://hunter2@h/a.git", "would be recorded"),
            ("ssh://git:hunter2@h/a.git", "would be recorded"),
            ("ssh://-oProxyCommand=x/a", "hyphen"),
            ("git@-oProxyCommand=x:a", "hyphen"),
            ("git@h:-a", "hyphen"),
            ("https://h/a b.git", "space"),
            ("https://h/a.tar.gz", "tarball"),
            ("https://h/a.git#--upload-pack=x", "not a branch"),
            ("https://h/a.git#a..b", "not a branch"),
            ("https://h/a.git#a b", "not a branch"),
            ("https://h/a.git#main:../x", "leads out"),
            ("https://h/a.git#main:/etc", "relative"),
        ];
        for (text, word) in cases {
            let why = Context::parse(text).expect_err(text);
            assert!(why.contains(word) && !why.contains("hunter2"), "{text}: {why}");
        }
    }

    #[test]
    fn a_relative_place_is_meant_from_a_folder() {
        let below = |text: &str| Context::parse(text).map(|context| context.below("/srv/shop").to_string());
        let cases = [
            (".", "/srv/shop"),
            ("app", "/srv/shop/app"),
            ("../other", "/srv/other"),
            ("/abs", "/abs"),
            ("b.tgz", "/srv/shop/b.tgz"),
            ("https://h/a.git#x:y", "https://h/a.git#x:y"),
        ];
        for (text, whole) in cases {
            assert_eq!(below(text).as_deref(), Ok(whole));
        }
    }

    #[test]
    fn what_is_inside_stays_inside() {
        for good in ["Dockerfile", "deploy/Dockerfile.web", "a/./b", "..a/b"] {
            assert_eq!(inside(good), Ok(()), "{good}");
        }
        for bad in ["", "/Dockerfile", "../Dockerfile", "a/../../b", "a\\b", "a\nb"] {
            assert!(inside(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_read_again(text in "[-a-z.:/@#~ ]{0,30}|(https|ssh|git)://[-a-z.:/@#]{0,24}") {
            if let Ok(context) = Context::parse(&text) {
                let shown = context.to_string();
                prop_assert_eq!(Context::parse(&shown), Ok(context.clone()), "{}", shown);
                if let Context::Git(repository) = context {
                    let parts = [&repository.url, &repository.reference, &repository.folder];
                    prop_assert!(parts.iter().all(|part| !part.starts_with('-')));
                    prop_assert!(!repository.folder.split('/').any(|part| part == ".."));
                }
            }
        }
    }
}
