//! A stack that was judged: all that it is brought up from, again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::claims::Claim;
use super::{Anew, Project};

/// What one release of a stack is.
#[derive(Clone, PartialEq, Eq)]
pub struct Stack {
    /// The name of its project.
    pub name: String,
    /// Whether containers of that project that somebody else made become ours.
    pub adopt: bool,
    /// The compose files, in the order in which they are merged.
    pub order: Vec<String>,
    /// All files, by path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The variables that it asks for.
    pub asked: BTreeSet<String>,
    /// Profiles that are asked for.
    pub profiles: Vec<String>,
    /// Where relative paths begin; the folder of the project when there is none.
    pub base: Option<PathBuf>,
    /// The services that run.
    pub services: BTreeSet<String>,
    /// What nobody else may have; it is no part of what is kept.
    pub claims: Vec<Claim>,
}

/// Names only.
impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack").field("name", &self.name).field("services", &self.services).finish_non_exhaustive()
    }
}

/// As it is sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    name: String,
    adopt: bool,
    order: Vec<String>,
    files: BTreeMap<String, String>,
    asked: BTreeSet<String>,
    profiles: Vec<String>,
    base: Option<PathBuf>,
    services: BTreeSet<String>,
}

impl Stack {
    /// As one text, the same for the same stack.
    pub(super) fn text(&self) -> String {
        let files = self.files.iter().map(|(path, bytes)| (path.clone(), STANDARD.encode(bytes)));
        let text = Text {
            name: self.name.clone(),
            adopt: self.adopt,
            order: self.order.clone(),
            files: files.collect(),
            asked: self.asked.clone(),
            profiles: self.profiles.clone(),
            base: self.base.clone(),
            services: self.services.clone(),
        };
        serde_json::to_string(&text).unwrap_or_default()
    }

    /// What [`Self::text`] was made of; `None` for anything else.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text: Text = serde_json::from_str(text).ok()?;
        let decoded = |(path, text): (String, String)| Some((path, STANDARD.decode(text).ok()?));
        Some(Self {
            name: text.name,
            adopt: text.adopt,
            order: text.order,
            files: text.files.into_iter().map(decoded).collect::<Option<_>>()?,
            asked: text.asked,
            profiles: text.profiles,
            base: text.base,
            services: text.services,
            claims: Vec::new(),
        })
    }

    /// What Compose is given: of the variables only those that the stack asks for.
    #[must_use]
    pub fn project(&self, variables: &BTreeMap<String, String>, anew: Anew) -> Project {
        let asked = variables.iter().filter(|(name, _)| self.asked.contains(*name));
        Project {
            name: self.name.clone(),
            order: self.order.clone(),
            files: self.files.clone(),
            variables: asked.map(|(name, value)| (name.clone(), value.clone())).collect(),
            profiles: self.profiles.clone(),
            base: self.base.clone(),
            anew,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_the_same_after_it_was_kept() {
        let stack = Stack {
            name: "shop".to_owned(),
            adopt: true,
            order: vec!["compose.yml".to_owned()],
            files: [("compose.yml".to_owned(), vec![0, 255, 10]), ("a/b.env".to_owned(), Vec::new())].into(),
            asked: ["WHO".to_owned()].into(),
            profiles: vec!["debug".to_owned()],
            base: Some("/srv/shop".into()),
            services: ["web".to_owned()].into(),
            claims: Vec::new(),
        };
        assert_eq!(Stack::read(&stack.text()).as_ref(), Some(&stack));
        assert_eq!(Stack::read("{}"), None);
        let given = [("WHO".to_owned(), "x".to_owned()), ("OTHER".to_owned(), "y".to_owned())].into();
        assert_eq!(stack.project(&given, Anew::Changed).variables.keys().collect::<Vec<_>>(), ["WHO"]);
    }
}
