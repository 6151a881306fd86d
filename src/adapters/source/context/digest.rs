//! What makes two contexts the same: names, kinds, the executable bit and bytes; never times, owners or order.

use std::collections::BTreeMap;

use cutover_events::Digest;
use sha2::Digest as _;

use super::Name;

/// What the digest begins with; another form of it is another number.
const FORM: &[u8] = b"cutover context 1\0";

/// What an entry is, as far as a build can see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file.
    File {
        /// Whether its owner may execute it.
        executable: bool,
        /// Of its bytes.
        content: Digest,
    },
    /// A symbolic link, never followed.
    Link {
        /// As it stands in the link.
        target: Vec<u8>,
    },
}

/// Everything in a context, by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listing {
    entries: BTreeMap<Name, Kind>,
}

impl Listing {
    /// Adds an entry; one of the same name is replaced.
    pub fn add(&mut self, name: Name, kind: Kind) {
        self.entries.insert(name, kind);
    }

    /// What is there under a name.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&Kind> {
        self.entries.get(name)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The same for the same entries, in whatever order they were added; every text goes in with its length, so that
    /// nothing can be moved from a name into a content.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hash = sha2::Sha256::new();
        hash.update(FORM);
        let mut text = |kind: u8, name: &Name, rest: &[u8]| {
            hash.update([kind]);
            for part in [name.bytes(), rest] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        };
        for (name, kind) in &self.entries {
            match kind {
                Kind::Folder => text(b'd', name, &[]),
                Kind::File { executable: false, content } => text(b'f', name, &content.0),
                Kind::File { executable: true, content } => text(b'x', name, &content.0),
                Kind::Link { target } => text(b'l', name, target),
            }
        }
        Digest(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::read(text.as_bytes()).unwrap().unwrap()
    }

    fn kind() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::Folder),
            (any::<bool>(), any::<u8>())
                .prop_map(|(executable, byte)| Kind::File { executable, content: Digest::of(&[byte]) }),
            "[a-z]{1,5}".prop_map(|target| Kind::Link { target: target.into_bytes() }),
        ]
    }

    fn listing(entries: impl IntoIterator<Item = (String, Kind)>) -> Listing {
        let mut listing = Listing::default();
        for (text, kind) in entries {
            listing.add(name(&text), kind);
        }
        listing
    }

    proptest! {
        #[test]
        fn order_is_nothing_and_every_entry_counts(
            entries in proptest::collection::btree_map("[a-c]{1,3}(/[a-c]{1,2})?", kind(), 1..12),
            other in kind(),
        ) {
            let forward = listing(entries.clone());
            let backward = listing(entries.clone().into_iter().rev());
            prop_assert_eq!(forward.digest(), backward.digest());
            let (first, was) = entries.iter().next().unwrap();
            let mut without = entries.clone();
            without.remove(first);
            prop_assert_ne!(listing(without).digest(), forward.digest());
            let changed = listing(entries.clone().into_iter().chain([(first.clone(), other.clone())]));
            prop_assert_eq!(changed.digest() == forward.digest(), &other == was);
        }
    }

    #[test]
    fn a_digest_is_for_ever() {
        let file = |bytes: &[u8], executable| Kind::File { executable, content: Digest::of(bytes) };
        let all = listing([
            ("Dockerfile".to_owned(), file(b"FROM scratch\n", false)),
            ("bin".to_owned(), Kind::Folder),
            ("bin/run".to_owned(), file(b"#!/bin/sh\n", true)),
            ("run".to_owned(), Kind::Link { target: b"bin/run".to_vec() }),
        ]);
        // Another value means that every image is built once more after an upgrade: then FORM is to change too.
        assert_eq!(all.digest().to_string(), "fc540c95b5b0fbe06bb4f7572d9814c40412b516f4d7ba96fbe436102a9a98e3");
    }
}
