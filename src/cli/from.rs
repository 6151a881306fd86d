//! `--from`: what a deployment is made of in place of what the workload file names.

use std::path::PathBuf;

/// Endings of what is sent as it is.
const TARBALLS: &[&str] = &[".tar", ".tar.gz", ".tgz"];

/// What `--from` names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum From {
    /// A folder of this machine, which is packed and sent.
    Folder(PathBuf),
    /// An archive of this machine, which is sent as it is.
    Tarball(PathBuf),
    /// An archive on standard input.
    Stdin,
}

impl From {
    /// Reads `.`, `./DIR`, `/DIR`, `FILE.tar`, `FILE.tar.gz`, `FILE.tgz` or `-`.
    ///
    /// # Errors
    /// It is none of them.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        if TARBALLS.iter().any(|ending| text.ends_with(ending)) {
            return Ok(Self::Tarball(PathBuf::from(text)));
        }
        if text.starts_with(['.', '/']) {
            return Ok(Self::Folder(PathBuf::from(text)));
        }
        Err("expected a folder as in \".\", \"./site\" or \"/srv/site\", an archive (.tar, .tar.gz, .tgz), or - for one on \
             standard input"
            .to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_by_how_it_is_written() {
        for (text, from) in [
            (".", From::Folder(".".into())),
            ("..", From::Folder("..".into())),
            ("./site", From::Folder("./site".into())),
            ("/srv/site", From::Folder("/srv/site".into())),
            ("build/site.tgz", From::Tarball("build/site.tgz".into())),
            ("./a.tar", From::Tarball("./a.tar".into())),
            ("a.tar.gz", From::Tarball("a.tar.gz".into())),
            ("-", From::Stdin),
        ] {
            assert_eq!(From::read(text), Ok(from), "{text}");
        }
        for other in ["", "site", "project/other", "a.zip", "~/site"] {
            assert!(From::read(other).is_err(), "{other}");
        }
    }
}
