//! What an engine must have for a spec: so that one that lacks it says so, instead of doing half.

use cutover_events::workload::{SourceKind, Spec};

/// Something that an engine has, or does not have yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ability {
    /// Images by reference.
    Image,
    /// Registries that want a name and a password.
    Credentials,
    /// Images that are built here.
    Dockerfile,
    /// Secrets that a build may read.
    BuildSecrets,
    /// Sites that the proxy serves.
    StaticFiles,
    /// Sites with a program of their own.
    StaticDeno,
    /// Sites whose files a command makes.
    StaticBuild,
    /// The same for a program of the site's own.
    DenoBuild,
    /// Stacks.
    Compose,
}

impl Ability {
    /// What it is called in a workload file.
    const fn told(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Credentials => "image.credentials",
            Self::Dockerfile => "dockerfile",
            Self::BuildSecrets => "dockerfile.secrets",
            Self::StaticFiles => "static with mode = \"files\"",
            Self::StaticDeno => "static with mode = \"deno\"",
            Self::StaticBuild => "static.build",
            Self::DenoBuild => "static.build with mode = \"deno\"",
            Self::Compose => "compose",
        }
    }
}

/// What a spec needs of an engine.
#[must_use]
pub fn needed(spec: &Spec) -> Vec<Ability> {
    use cutover_events::workload::Source;
    let when = |wanted: bool, ability| wanted.then_some(ability);
    match &spec.source {
        Source::Image(image) => {
            [Some(Ability::Image), when(!image.credentials.is_empty(), Ability::Credentials)].into_iter().flatten()
        }
        Source::Dockerfile(build) => {
            [Some(Ability::Dockerfile), when(!build.secrets.is_empty(), Ability::BuildSecrets)].into_iter().flatten()
        }
        Source::Static(site) => {
            let (served, made) = match site.mode.is_files() {
                true => (Ability::StaticFiles, Ability::StaticBuild),
                false => (Ability::StaticDeno, Ability::DenoBuild),
            };
            [Some(served), when(site.build.is_some(), made)].into_iter().flatten()
        }
        Source::Compose(_) => [Some(Ability::Compose), None].into_iter().flatten(),
    }
    .collect()
}

/// Why an engine with these abilities cannot carry out a spec; `None` when it can.
#[must_use]
pub fn lacking(spec: &Spec, abilities: &[Ability]) -> Option<String> {
    let missing = needed(spec).into_iter().find(|ability| !abilities.contains(ability))?;
    let sources: Vec<&str> = SourceKind::ALL
        .into_iter()
        .filter(|kind| abilities.iter().any(|ability| ability.told().split(' ').next() == Some(kind.word())))
        .map(SourceKind::word)
        .collect();
    Some(format!(
        "this engine cannot deploy {} yet: `cutover check` judges the file, a newer engine runs it; it deploys {}",
        missing.told(),
        sources.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;

    #[test]
    fn what_an_engine_lacks_is_named() {
        let cases = [
            ("image = \"x\"", None),
            ("image = { ref = \"x\", credentials = \"c\" }", Some("image.credentials")),
            ("dockerfile = \".\"", Some("dockerfile yet")),
            ("dockerfile = { context = \".\", secrets = [\"s\"] }", Some("dockerfile yet")),
            ("static = \".\"", Some("\"files\"")),
            ("static = { path = \".\", mode = \"deno\" }", Some("\"deno\"")),
            ("compose = \"c.yml\"", Some("compose yet")),
        ];
        for (text, word) in cases {
            let text = format!("workloads.w = {{ {text} }}");
            let spec = file::read("f.toml", text.as_bytes()).unwrap_or_else(|bad| panic!("{bad}")).remove(0).spec;
            let why = lacking(&spec, &[Ability::Image]);
            assert_eq!(why.is_some(), word.is_some(), "{text}: {why:?}");
            let named = why.as_ref().zip(word).is_none_or(|(why, word)| why.contains(word) && why.ends_with("image"));
            assert!(named, "{text}: {why:?}");
            let all = needed(&spec);
            assert_eq!(lacking(&spec, &all), None);
            assert!(all.split_last().is_none_or(|(_, others)| lacking(&spec, others).is_some()));
        }
    }
}
