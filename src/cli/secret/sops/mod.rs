//! Files that SOPS has encrypted for age: read here, with the identity of whoever imports, so that no value passes through
//! another program or a file in the clear. What is sealed belongs to its place, and the MAC to the file as a whole: a file
//! that was changed after it was encrypted gives no value at all.
//!
//! | file | holds |
//! |---|---|
//! | `tree` | the three forms, in the order in which they are written |
//! | `meta` | what a file says of itself: for whom, by which rule, its MAC |
//! | `sealed` | one value |
//! | `plain` | what stands in the clear beside them |
//! | `identities` | the keys of the person |

mod identities;
mod meta;
mod plain;
mod sealed;
mod tree;

use std::collections::BTreeMap;

use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

pub(in crate::cli) use identities::Places;
pub(in crate::cli) use sealed::BEGINS;

use identities::Identities;
use meta::Metadata;
use plain::{Plain, plain};
use sealed::Opener;
use tree::Node;

/// What opens every file of SOPS, of any kind of key.
pub(super) const BY_SOPS: &str = "`sops decrypt --output-type dotenv FILE | cutover secret import -`";
/// What heads the part of SOPS in an INI file.
const INI: &str = "[sops]";
/// With what the MAC over sealed values alone begins, so that it is never one over all: SHA-256 of `sops`.
const ONLY_SEALED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b, 0x97, 0x5b,
    0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// The values of a file by name.
pub(in crate::cli) type Values = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// In which form a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Json,
    Dotenv,
    Yaml,
}

impl Form {
    /// By what is in it: what comes by a pipe has no name.
    fn of(text: &str) -> Self {
        let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let flat =
            |line: &str| line.starts_with(meta::FLAT) && line.split_once('=').is_some_and(|(name, _)| plain(name));
        match text.trim_start().starts_with('{') {
            true => Self::Json,
            false if text.lines().any(flat) => Self::Dotenv,
            false => Self::Yaml,
        }
    }
}

/// The values of a file, opened with the identities of these places. Those of lists and mappings within one another are
/// named by all that stands above them, with `_` between.
///
/// # Errors
/// One line, which repeats no value: it is no file of SOPS in a form that is read here, is not encrypted for any of the
/// identities, or was changed since.
pub(in crate::cli) fn read(text: &str, places: &Places) -> Result<Values, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.lines().any(|line| line.trim() == INI) {
        return Err(format!("it is an INI file of SOPS, and YAML, JSON and dotenv are read here: {BY_SOPS}"));
    }
    let form = Form::of(text);
    let root = match form {
        Form::Json => tree::json(text)?,
        Form::Dotenv => tree::dotenv(text)?,
        Form::Yaml => tree::yaml(text)?,
    };
    let (entries, metadata) = meta::apart(root, form)?;
    let identities = Identities::load(places)?;
    let key = metadata.sealed_for_age.iter().find_map(|armored| identities.open(armored));
    let key = key.ok_or_else(|| {
        format!(
            "no identity of {} opens it: it is encrypted for {}",
            identities.found.join(", "),
            metadata.recipients.join(", ")
        )
    })?;
    let opener = Opener::of(&key).ok_or("the key in it is none of SOPS")?;
    let mut reading = Reading { form, metadata: &metadata, opener, hash: Sha512::new(), found: Values::new() };
    if metadata.only_sealed {
        reading.hash.update(ONLY_SEALED);
    }
    for (name, node) in &entries {
        reading.walk(node, (&mut vec![name.clone()], name))?;
    }
    reading.finish()
}

/// A file that is read.
struct Reading<'a> {
    form: Form,
    metadata: &'a Metadata,
    opener: Opener,
    hash: Sha512,
    found: Values,
}

impl Reading<'_> {
    /// A value and all below it; `path` as SOPS counts it, where the places of a list have no names.
    fn walk(&mut self, node: &Node, (path, name): (&mut Vec<String>, &str)) -> Result<(), String> {
        match node {
            Node::Null => Ok(()),
            Node::Map(entries) => entries.iter().try_for_each(|(key, node)| {
                path.push(key.clone());
                let walked = self.walk(node, (&mut *path, &format!("{name}_{key}")));
                path.pop();
                walked
            }),
            Node::List(list) => list
                .iter()
                .enumerate()
                .try_for_each(|(index, node)| self.walk(node, (&mut *path, &format!("{name}_{index}")))),
            Node::Text(text) | Node::Plain(text) if self.metadata.rule.seals(path) => self.sealed(text, (path, name)),
            Node::Text(text) => self.clear(text, text, name),
            Node::Plain(text) => match plain(text) {
                Plain::Text => self.clear(text, text, name),
                Plain::Value(counts, written) => self.clear(&counts, &written, name),
                Plain::Doubtful if self.metadata.only_sealed => self.clear("", text, name),
                Plain::Doubtful => {
                    let place = path.join(":");
                    Err(format!(
                        "{place}: what stands there in the clear means another value to each reader: {BY_SOPS}"
                    ))
                }
            },
        }
    }

    fn sealed(&mut self, text: &str, (path, name): (&[String], &str)) -> Result<(), String> {
        let place = path.join(":");
        let opened = self.opener.open(text, &format!("{place}:")).ok_or_else(|| {
            format!(
                "{place}: its value is not what SOPS has written there: the file was changed after it was encrypted"
            )
        })?;
        self.hash.update(&*opened.bytes);
        let value = match opened.kind.as_str() {
            "bool" => Zeroizing::new(opened.bytes.to_ascii_lowercase()),
            _ => opened.bytes,
        };
        self.put(name, value)
    }

    /// A value that is not sealed: as it counts for the MAC, and as it is.
    fn clear(&mut self, counts: &str, written: &str, name: &str) -> Result<(), String> {
        if !self.metadata.only_sealed {
            self.hash.update(counts);
        }
        self.put(name, Zeroizing::new(written.as_bytes().to_vec()))
    }

    fn put(&mut self, name: &str, value: Zeroizing<Vec<u8>>) -> Result<(), String> {
        let value = if self.form == Form::Dotenv { unquoted(name, &value)? } else { value };
        match self.found.insert(name.to_owned(), value) {
            None => Ok(()),
            Some(_) => Err(format!("two of its values would be called {name}: rename one of them")),
        }
    }

    /// The values, once the MAC is that of the file.
    fn finish(self) -> Result<Values, String> {
        let Metadata { mac, modified, .. } = self.metadata;
        let written = self.opener.open(mac, modified).filter(|opened| !opened.bytes.is_empty());
        let written = written.ok_or("its MAC cannot be read: the file was changed after it was encrypted")?;
        if hex::encode_upper(self.hash.finalize()).as_bytes() != written.bytes.as_slice() {
            return Err(
                "its MAC is another one: the file was changed after it was encrypted, and nothing is imported".into()
            );
        }
        Ok(self.found)
    }
}

/// A value of a dotenv file is what its line says, quotes and all, and means what it would mean without SOPS.
fn unquoted(name: &str, value: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
    let bad = |why: &str| format!("{name}: its value {why}");
    let text = std::str::from_utf8(value).map_err(|_| bad("is no text"))?;
    let line = Zeroizing::new(format!("A={}", text.replace('\n', "\\n")));
    let mut found = super::dotenv(&line).map_err(|_| bad("has a quote that does not end"))?;
    let value = found.remove("A").unwrap_or_default();
    Ok(Zeroizing::new(value.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests;
