//! Secrets of projects: which versions there are, which one a plan takes, and references to them in values.

use std::collections::{BTreeMap, BTreeSet};

use cutover_events::Digest;
use cutover_events::secret::{SecretRekeyed, SecretRemoved, SecretSet, SecretUse, SecretUsed, SecretWay};

use crate::file::strict::nearest;

/// How a reference begins: `${secret:NAME}`.
const REFERENCE: &str = "${secret:";
/// The same text without a meaning: what stands here as itself.
const ESCAPED: &str = "$${secret:";
/// Characters of the name of a secret: what managers of secrets take, and what a file can be called.
pub const MAX_NAME_CHARS: usize = 64;
/// Secrets of one project: many times of what projects have, and each is sealed anew when the identity is.
pub const MAX_SECRETS: usize = 512;
/// Versions of one secret that are kept: enough to go back in, and old ones are better gone.
pub const MAX_VERSIONS: usize = 10;

/// The secrets of all projects, by project and name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Vault(BTreeMap<String, BTreeMap<String, Secret>>);

/// One secret. What was removed stays without versions, so that no number is given out twice.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Secret {
    /// Those that are kept, oldest first; none once it is removed.
    pub versions: Vec<Version>,
    /// The highest number that was given out.
    pub last: u32,
}

/// One value that a secret has, or had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version {
    /// Counts from 1.
    pub number: u32,
    /// The blob that holds the value.
    pub sealed: Digest,
    /// Keyed hash of the value.
    pub mac: [u8; 16],
    /// Version of the event in the registry's stream: who and when.
    pub event: u64,
}

/// Why a secret is not set or removed, or a spec not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretRefused {
    /// There is none of that name.
    #[error(
        "the secret {name} does not exist in the project {project}: `cutover secret set {project}/{name}` sets it{hint}"
    )]
    Missing {
        /// Whose.
        project: String,
        /// The name.
        name: String,
        /// The nearest one that there is, as an end of the sentence; empty for none.
        hint: String,
    },
    /// Workloads need it.
    #[error("the secret {name} is needed by {users}: take it out of their files and apply them, then remove it")]
    Needed {
        /// The name.
        name: String,
        /// Full names.
        users: String,
    },
    /// The project has as many as it may have.
    #[error("the project {project} has {MAX_SECRETS} secrets, the most that one may have: remove some first")]
    Full {
        /// Which one.
        project: String,
    },
}

impl Vault {
    /// A secret that has at least one version.
    #[must_use]
    pub fn get(&self, project: &str, name: &str) -> Option<&Secret> {
        self.0.get(project)?.get(name).filter(|secret| !secret.versions.is_empty())
    }

    /// The secrets of a project that have a version, in the order of their names.
    pub fn of(&self, project: &str) -> impl Iterator<Item = (&str, &Secret)> {
        let all = self.0.get(project).into_iter().flatten();
        all.filter(|(_, secret)| !secret.versions.is_empty()).map(|(name, secret)| (name.as_str(), secret))
    }

    /// Every project that has a secret.
    pub fn projects(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|project| self.of(project).next().is_some())
    }

    /// A version that is kept.
    #[must_use]
    pub fn version(&self, project: &str, used: &SecretUsed) -> Option<&Version> {
        let secret = self.get(project, &used.name)?;
        secret.versions.iter().find(|version| version.number == used.version && version.mac == used.mac)
    }

    /// Refuses the first name that has no version.
    ///
    /// # Errors
    /// [`SecretRefused::Missing`].
    pub fn has<'a>(&self, project: &str, names: impl IntoIterator<Item = &'a str>) -> Result<(), SecretRefused> {
        let missing = names.into_iter().find(|name| self.get(project, name).is_none());
        missing.map_or(Ok(()), |name| Err(self.missing(project, name)))
    }

    /// That there is no secret of that name, with the nearest one.
    #[must_use]
    pub fn missing(&self, project: &str, name: &str) -> SecretRefused {
        let near = nearest(name, self.of(project).map(|(known, _)| known));
        let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        SecretRefused::Missing { project: project.to_owned(), name: name.to_owned(), hint }
    }

    /// The versions that a new plan takes: the newest ones, but for those that `kept` names and that are still here.
    ///
    /// # Errors
    /// [`SecretRefused::Missing`].
    pub fn chosen(
        &self,
        project: &str,
        needed: &[SecretUse],
        kept: &[SecretUsed],
    ) -> Result<Vec<SecretUsed>, SecretRefused> {
        let choose = |used: &SecretUse| {
            let before = kept.iter().find(|before| before.name == used.name && before.way == used.way);
            if let Some(before) = before.filter(|before| self.version(project, before).is_some()) {
                return Ok(before.clone());
            }
            self.newest(project, &used.name, used.way)
        };
        needed.iter().map(choose).collect()
    }

    /// The newest version of a secret.
    ///
    /// # Errors
    /// [`SecretRefused::Missing`].
    pub fn newest(&self, project: &str, name: &str, way: SecretWay) -> Result<SecretUsed, SecretRefused> {
        let newest = self.get(project, name).and_then(|secret| secret.versions.last());
        let newest = newest.ok_or_else(|| self.missing(project, name))?;
        Ok(SecretUsed { name: name.to_owned(), version: newest.number, mac: newest.mac, way })
    }

    /// What setting a value comes to; nothing when the newest version has it already. `held` are versions that something
    /// which runs was made with: they are kept beyond their number.
    ///
    /// # Errors
    /// [`SecretRefused::Full`].
    pub fn set(
        &self,
        (project, name): (&str, &str),
        (sealed, mac): (Digest, [u8; 16]),
        held: &BTreeSet<(String, u32)>,
    ) -> Result<Option<SecretSet>, SecretRefused> {
        let known = self.0.get(project).and_then(|all| all.get(name));
        let versions = known.map_or(&[][..], |secret| &secret.versions);
        if versions.last().is_some_and(|newest| newest.mac == mac) {
            return Ok(None);
        }
        if versions.is_empty() && self.of(project).count() >= MAX_SECRETS {
            return Err(SecretRefused::Full { project: project.to_owned() });
        }
        let surplus = (versions.len() + 1).saturating_sub(MAX_VERSIONS);
        let free = |number: &u32| !held.contains(&(name.to_owned(), *number));
        let dropped = versions.iter().take(surplus).map(|version| version.number).filter(free).collect();
        let version = known.map_or(0, |secret| secret.last) + 1;
        Ok(Some(SecretSet { project: project.to_owned(), name: name.to_owned(), version, sealed, mac, dropped }))
    }

    /// Takes in one more event of the registry's stream; `version` is its own.
    pub(crate) fn set_done(&mut self, e: &SecretSet, version: u64) {
        let secret = self.0.entry(e.project.clone()).or_default().entry(e.name.clone()).or_default();
        secret.versions.retain(|kept| !e.dropped.contains(&kept.number));
        secret.versions.push(Version { number: e.version, sealed: e.sealed, mac: e.mac, event: version });
        secret.last = e.version;
    }

    pub(crate) fn removed(&mut self, e: &SecretRemoved) {
        if let Some(secret) = self.0.get_mut(&e.project).and_then(|all| all.get_mut(&e.name)) {
            secret.versions.clear();
        }
    }

    pub(crate) fn rekeyed(&mut self, e: &SecretRekeyed) {
        let Some(secret) = self.0.get_mut(&e.project).and_then(|all| all.get_mut(&e.name)) else { return };
        for version in &mut secret.versions {
            if let Some((_, sealed)) = e.sealed.iter().find(|(number, _)| *number == version.number) {
                version.sealed = *sealed;
            }
        }
    }
}

/// A part of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Piece<'a> {
    Text(&'a str),
    Secret(&'a str),
}

/// Whether a text refers to a secret, or looks as if it did.
#[must_use]
pub fn refers(text: &str) -> bool {
    text.contains(REFERENCE)
}

/// The names that a value refers to by `${secret:NAME}`; `$${secret:` stands for itself.
///
/// # Errors
/// A reference that does not end, or whose name is none. The text is not repeated: it may hold more than the name.
pub fn names(text: &str) -> Result<BTreeSet<&str>, String> {
    let named = |piece: &Piece<'_>| matches!(piece, Piece::Secret(_));
    let pieces = pieces(text)?;
    Ok(pieces
        .into_iter()
        .filter(named)
        .map(|piece| match piece {
            Piece::Secret(name) | Piece::Text(name) => name,
        })
        .collect())
}

/// The value with each reference replaced by what `value_of` gives for its name.
///
/// # Errors
/// As [`names`], and what `value_of` refuses.
pub fn filled<E: From<String>>(
    text: &str,
    mut value_of: impl FnMut(&str, &mut String) -> Result<(), E>,
) -> Result<String, E> {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Secret(name) => value_of(name, &mut out)?,
        }
    }
    Ok(out)
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(REFERENCE) {
        if rest[..at].ends_with('$') {
            pieces.push(Piece::Text(&rest[..at - 1]));
            pieces.push(Piece::Text(REFERENCE));
            rest = &rest[at + REFERENCE.len()..];
            continue;
        }
        pieces.push(Piece::Text(&rest[..at]));
        let after = &rest[at + REFERENCE.len()..];
        let Some((name, more)) = after.split_once('}') else {
            return Err(format!(
                "a reference to a secret does not end; expected {REFERENCE}NAME}}, or {ESCAPED} for that text itself"
            ));
        };
        if !is_name(name) {
            return Err(format!(
                "a reference holds no name of a secret; expected {REFERENCE}NAME}} with {}",
                allowed()
            ));
        }
        pieces.push(Piece::Secret(name));
        rest = more;
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// Whether a text can be the name of a secret.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    first && text.len() <= MAX_NAME_CHARS && text.bytes().all(inner)
}

/// What a name may be, for messages.
#[must_use]
pub fn allowed() -> String {
    format!("1 to {MAX_NAME_CHARS} letters, digits, \"_\", \"-\" and \".\"")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mac(n: u8) -> [u8; 16] {
        [n; 16]
    }

    fn set(vault: &mut Vault, name: &str, value: u8, held: &[u32]) -> Option<SecretSet> {
        let held = held.iter().map(|number| (name.to_owned(), *number)).collect();
        let event = vault.set(("shop", name), (Digest([value; 32]), mac(value)), &held).unwrap()?;
        vault.set_done(&event, 7);
        Some(event)
    }

    fn env(name: &str) -> SecretUse {
        SecretUse { name: name.into(), way: SecretWay::Env }
    }

    #[test]
    fn numbers_go_up_and_are_never_given_out_twice() {
        let mut vault = Vault::default();
        assert_eq!(set(&mut vault, "a", 1, &[]).unwrap().version, 1);
        assert_eq!(set(&mut vault, "a", 1, &[]), None, "the same value is no new version");
        assert_eq!(set(&mut vault, "a", 2, &[]).unwrap().version, 2);
        assert_eq!(set(&mut vault, "a", 1, &[]).unwrap().version, 3, "an old value comes back as a new version");
        vault.removed(&SecretRemoved { project: "shop".into(), name: "a".into() });
        assert!(vault.get("shop", "a").is_none() && vault.projects().next().is_none());
        assert_eq!(set(&mut vault, "a", 1, &[]).unwrap().version, 4);
        assert!(vault.get("blog", "a").is_none(), "another project has its own");
    }

    #[test]
    fn old_versions_go_but_for_those_that_something_runs_with() {
        let mut vault = Vault::default();
        for value in 0..MAX_VERSIONS as u8 {
            assert_eq!(set(&mut vault, "a", value, &[]).unwrap().dropped, [] as [u32; 0]);
        }
        assert_eq!(set(&mut vault, "a", 100, &[1]).unwrap().dropped, [] as [u32; 0]);
        assert_eq!(set(&mut vault, "a", 101, &[1]).unwrap().dropped, [2]);
        assert_eq!(set(&mut vault, "a", 102, &[]).unwrap().dropped, [1, 3]);
        assert_eq!(vault.get("shop", "a").unwrap().versions.len(), MAX_VERSIONS);
    }

    #[test]
    fn a_plan_takes_the_newest_and_a_repair_what_runs() {
        let mut vault = Vault::default();
        set(&mut vault, "a", 1, &[]);
        let before = vault.chosen("shop", &[env("a")], &[]).unwrap();
        set(&mut vault, "a", 2, &[]);
        assert_eq!(vault.chosen("shop", &[env("a")], &[]).unwrap()[0].version, 2);
        assert_eq!(vault.chosen("shop", &[env("a")], &before).unwrap(), before);
        vault.removed(&SecretRemoved { project: "shop".into(), name: "a".into() });
        let gone = vault.chosen("shop", &[env("a")], &before).unwrap_err();
        assert!(matches!(gone, SecretRefused::Missing { .. }));
        set(&mut vault, "a", 1, &[]);
        assert_eq!(vault.chosen("shop", &[env("a")], &before).unwrap()[0].version, 3, "what was removed is not taken");
        set(&mut vault, "db_password", 1, &[]);
        let near = vault.has("shop", ["a", "db_pasword"]).unwrap_err().to_string();
        assert!(near.contains("did you mean db_password?") && near.contains("secret set shop/db_pasword"), "{near}");
    }

    #[test]
    fn a_renewal_changes_where_values_lie_and_nothing_else() {
        let mut vault = Vault::default();
        set(&mut vault, "a", 1, &[]);
        set(&mut vault, "a", 2, &[]);
        let before = vault.get("shop", "a").unwrap().clone();
        let sealed = vec![(1, Digest([11; 32])), (2, Digest([12; 32])), (9, Digest([13; 32]))];
        vault.rekeyed(&SecretRekeyed { project: "shop".into(), name: "a".into(), sealed });
        let after = vault.get("shop", "a").unwrap();
        let where_ = |secret: &Secret| secret.versions.iter().map(|v| v.sealed.0[0]).collect::<Vec<_>>();
        let what = |secret: &Secret| secret.versions.iter().map(|v| (v.number, v.mac)).collect::<Vec<_>>();
        assert_eq!((where_(after), what(after)), (vec![11, 12], what(&before)));
    }

    #[test]
    fn references_are_found_and_filled() {
        let fill = |text: &str| {
            filled::<String>(text, |name, out| {
                out.push_str(&format!("<{name}>"));
                Ok(())
            })
        };
        let cases = [
            ("", "", &[][..]),
            ("plain $ {secret} ${other:x}", "plain $ {secret} ${other:x}", &[]),
            ("${secret:a}", "<a>", &["a"]),
            ("x${secret:a}y${secret:b.c-d}${secret:a}", "x<a>y<b.c-d><a>", &["a", "b.c-d"]),
            ("$${secret:a}", "${secret:a}", &[]),
            ("$$${secret:a}", "$${secret:a}", &[]),
        ];
        for (text, told, found) in cases {
            assert_eq!(fill(text).as_deref(), Ok(told), "{text}");
            assert_eq!(names(text).unwrap().into_iter().collect::<Vec<_>>(), found, "{text}");
        }
        for bad in ["${secret:hunter2", "${secret:}", "${secret:hunter 2}", "a ${secret:${secret:b}}", "${secret:../x}"]
        {
            let why = names(bad).unwrap_err();
            assert!(!why.contains("hunter") && fill(bad).is_err(), "{bad}: {why}");
        }
    }

    proptest! {
        /// What holds no reference stays as it is, and what was filled in is not looked at again.
        #[test]
        fn only_references_are_replaced(before in "[a$}{:]{0,12}", after in "[a$}{:]{0,12}", value in "[ab${}:secrt]{0,20}") {
            let text = format!("{before}-${{secret:n}}{after}");
            prop_assume!(!refers(&before) && !refers(&after));
            let told = filled::<String>(&text, |_, out| { out.push_str(&value); Ok(()) });
            prop_assert_eq!(told, Ok(format!("{before}-{value}{after}")));
        }
    }
}
