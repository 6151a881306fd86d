//! The mark of a push: one more name of the image, `cutover/pushed-LOG:TIME-REFERENCE`. It says whose push it was, when, and
//! under which reference, so that nothing besides Docker has to remember it.

use cutover_domain::reference::Reference;
use cutover_events::{Digest, LogId};

/// What the name of every mark begins with.
const REPOSITORY: &str = "cutover/pushed-";
/// Digits of the digest of a reference: enough that no two of one image are alike.
const DIGITS: usize = 32;

/// One push of an image.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mark {
    /// When, ms since 1970.
    pub at_ms: u64,
    /// Of the reference in full.
    of: String,
}

impl Mark {
    /// The mark of a push.
    #[must_use]
    pub fn new(reference: &Reference, at_ms: u64) -> Self {
        let digest = Digest::of(reference.to_string().as_bytes()).to_string();
        Self { at_ms, of: digest.chars().take(DIGITS).collect() }
    }

    /// The repository of the marks of a log.
    #[must_use]
    pub fn repository(log: LogId) -> String {
        format!("{REPOSITORY}{log}")
    }

    /// As a name of an image.
    #[must_use]
    pub fn name(&self, log: LogId) -> String {
        format!("{}:{}-{}", Self::repository(log), self.at_ms, self.of)
    }

    /// Reads a name of an image; `None` for one that is no mark of this log.
    #[must_use]
    pub fn read(log: LogId, name: &str) -> Option<Self> {
        let (repository, tag) = name.rsplit_once(':')?;
        let (at_ms, of) = tag.split_once('-').filter(|_| repository == Self::repository(log))?;
        Some(Self { at_ms: at_ms.parse().ok()?, of: of.to_owned() })
    }

    /// Whether both are of the same reference.
    #[must_use]
    pub fn is_of(&self, other: &Self) -> bool {
        self.of == other.of
    }

    /// Whether this name of an image is what it was pushed under.
    #[must_use]
    pub fn gave(&self, name: &str) -> bool {
        Reference::parse(name).is_ok_and(|reference| Self::new(&reference, 0).of == self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let log = LogId([7; 16]);
        let mark = Mark::new(&Reference::parse("shop:1.2").unwrap(), 1_700_000_000_000);
        let name = mark.name(log);
        assert_eq!(Mark::read(log, &name), Some(mark.clone()));
        assert!(Reference::parse(&name).is_ok() && name == name.to_lowercase(), "{name}");
        assert_eq!(Mark::read(LogId([8; 16]), &name), None, "of another log");
        assert_eq!(Mark::read(log, "shop:1.2"), None);
        assert!(mark.gave("shop:1.2") && mark.gave("docker.io/library/shop:1.2"));
        assert!(!mark.gave("shop:1.3") && !mark.gave("other/shop:1.2") && !mark.gave(&name));
    }
}
