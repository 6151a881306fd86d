//! Which names an archive may hold: nothing that leads out of the folder that it is unpacked into.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Longest name of an entry, bytes: what Linux takes as a path.
const MAX_NAME: usize = 4096;

/// Why a name is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameRefused {
    /// `../`.
    #[error("its name leads out of the folder by `..`: make the archive from inside of the folder")]
    Upwards,
    /// `/etc/passwd`.
    #[error("its name is absolute: make the archive from inside of the folder, with relative names")]
    Absolute,
    /// A link to somewhere else.
    #[error("it is a link that leads out of the folder: replace it by what it links to")]
    LeadsOut,
    /// A device, a pipe, a socket.
    #[error("it is neither file, folder nor link: remove devices, pipes and sockets")]
    Device,
    /// It has two meanings.
    #[error("it is a link, and also a folder or file: the archive contradicts itself")]
    Twice,
    /// Nothing in the site can be begun.
    #[error(
        "there is no such file, and a site with mode = \"deno\" begins with its program: call it main.ts, main.tsx, main.js, \
         main.mjs, server.ts or server.js, at the top"
    )]
    NoProgram,
    /// Longer than a path may be, or with a byte that no path has.
    #[error("its name is empty, too long, or holds a zero byte")]
    Malformed,
}

/// The name of an entry: relative, with `/` between its parts, none of which is empty, `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name(Vec<u8>);

impl Name {
    /// Reads a name as archives write it; `None` for the folder itself.
    ///
    /// # Errors
    /// It leads out, or is not a name.
    pub fn read(raw: &[u8]) -> Result<Option<Self>, NameRefused> {
        if raw.is_empty() || raw.len() > MAX_NAME || raw.contains(&0) {
            return Err(NameRefused::Malformed);
        }
        if raw.starts_with(b"/") {
            return Err(NameRefused::Absolute);
        }
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in raw.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err(NameRefused::Upwards),
                part => parts.push(part),
            }
        }
        Ok((!parts.is_empty()).then(|| Self(parts.join(&b'/'))))
    }

    /// The name of a file that was written for others, in lists where these have theirs.
    pub(super) fn written(name: &Self) -> Self {
        Self([b"/", name.bytes()].concat())
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As a relative path.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// For patterns and people.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

/// Whether a symbolic link can only lead to what is in the folder, through whatever other links that stay too.
///
/// `..` may stand at the start alone: behind the name of another link it would lead from where that one ends.
#[must_use]
pub fn link_stays(name: &Name, target: &[u8]) -> bool {
    if target.is_empty() || target.len() > MAX_NAME || target.starts_with(b"/") || target.contains(&0) {
        return false;
    }
    let mut depth = name.0.iter().filter(|byte| **byte == b'/').count();
    let mut down = false;
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if down || depth == 0 => return false,
            b".." => depth -= 1,
            _ => down = true,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::read(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn names_stay_inside() {
        assert_eq!(name("./a//b/./c/").text(), "a/b/c");
        assert_eq!(Name::read(b"./"), Ok(None));
        for (bad, why) in [
            ("../a", NameRefused::Upwards),
            ("a/../../b", NameRefused::Upwards),
            ("a/..", NameRefused::Upwards),
            ("/etc/passwd", NameRefused::Absolute),
            ("", NameRefused::Malformed),
            ("a\0b", NameRefused::Malformed),
        ] {
            assert_eq!(Name::read(bad.as_bytes()), Err(why), "{bad:?}");
        }
        assert_eq!(name("..a/b..").text(), "..a/b..");
    }

    #[test]
    fn links_stay_inside() {
        for (link, target) in [("a", "b"), ("a/b", "../c"), ("a/b/c", "../../d/e"), ("a", "./b/"), ("a", "..b")] {
            assert!(link_stays(&name(link), target.as_bytes()), "{link} -> {target}");
        }
        for (link, target) in [
            ("a", "../b"),
            ("a/b", "../../c"),
            ("a", "/b"),
            ("a/b", "c/../../.."),
            ("a", "b/.."),
            ("a/b/c", "../d/.."),
            ("a", ""),
            ("a", "b\0"),
        ] {
            assert!(!link_stays(&name(link), target.as_bytes()), "{link} -> {target}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_is_read_is_clean(raw in proptest::collection::vec(prop_oneof![Just(b'/'), Just(b'.'), Just(b'a')], 1..40)) {
            if let Ok(Some(name)) = Name::read(&raw) {
                let clean = name.bytes().split(|b| *b == b'/').all(|part| !matches!(part, b"" | b"." | b".."));
                prop_assert!(clean);
                prop_assert_eq!(Name::read(name.bytes()), Ok(Some(name.clone())));
            }
        }

        /// By what a link means: each `..` goes up one real folder, and never above the first.
        #[test]
        fn a_link_that_stays_never_counts_below_zero(
            link in "[ab](/[ab]){0,3}",
            target in "(\\.\\./){0,5}[ab]?(/[ab.]{1,2}){0,3}",
        ) {
            if link_stays(&name(&link), target.as_bytes()) {
                let mut depth = link.matches('/').count() as i64;
                for part in target.split('/') {
                    depth += match part { "" | "." => 0, ".." => -1, _ => 1 };
                    prop_assert!(depth >= 0);
                }
            }
        }
    }
}
