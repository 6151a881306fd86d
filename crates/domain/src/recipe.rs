//! What an image is built from, whichever source asks for it: so that whoever builds knows recipes, and no source.

use cutover_events::delivery::Change;
use cutover_events::workload::{DockerfileSource, EnvVar, Source};

use crate::context::{Context, Repository};

/// The Dockerfile of a context where nobody names one.
const USUAL_FILE: &str = "Dockerfile";

/// What an image is built from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe<'a> {
    /// Where the files are, as recorded: a folder, a tarball or a repository.
    pub context: &'a str,
    /// The Dockerfile within them.
    pub file: &'a str,
    /// The stage; empty for the last one.
    pub target: &'a str,
    /// Build arguments, sealed.
    pub args: &'a [EnvVar],
    /// Names of the secrets that steps may read.
    pub secrets: &'a [String],
}

/// What the image of a source is built from; `None`: nothing is built for it.
#[must_use]
pub fn recipe(source: &Source) -> Option<Recipe<'_>> {
    match source {
        Source::Dockerfile(DockerfileSource { context, file, target, args, secrets, deploy_strategy: _ }) => {
            let file = if file.is_empty() { USUAL_FILE } else { file };
            Some(Recipe { context, file, target, args, secrets })
        }
        Source::Image(_) | Source::Static(_) | Source::Compose(_) => None,
    }
}

impl Recipe<'_> {
    /// Where the files of a build are: with a change behind it, exactly the commit of the change.
    ///
    /// # Errors
    /// The recorded text is no place, which no apply lets through: what is wrong with it.
    pub fn place(&self, change: Option<&Change>) -> Result<Context, String> {
        let place = Context::parse(self.context)?;
        let pushed = change.map(|change| change.sha.as_str()).filter(|sha| !sha.is_empty());
        Ok(match (place, pushed) {
            (Context::Git(repository), Some(sha)) => Context::Git(Repository { reference: sha.to_owned(), ..repository }),
            (place, _) => place,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;

    fn source(text: &str) -> Source {
        let text = format!("workloads.w = {{ {text} }}");
        file::read("f.toml", text.as_bytes()).unwrap_or_else(|bad| panic!("{bad}")).remove(0).spec.source
    }

    #[test]
    fn only_what_has_a_dockerfile_is_built() {
        let built = source("dockerfile = { context = \"/srv/api\", target = \"web\" }");
        let found = recipe(&built).expect("it is built");
        assert_eq!((found.context, found.file, found.target), ("/srv/api", "Dockerfile", "web"));
        let again = source("dockerfile = { context = \"/srv/api\", target = \"web\", deploy_strategy = \"blue-green\" }");
        assert_eq!(recipe(&again), Some(found), "how it is replaced makes no other image");
        assert_ne!(recipe(&source("dockerfile = \"/srv/api\"")), Some(found));
        for other in ["image = \"x\"", "static = \"/srv/www\"", "compose = \"/srv/c.yml\""] {
            assert_eq!(recipe(&source(other)), None, "{other}");
        }
    }

    #[test]
    fn a_change_is_built_at_its_commit_and_folders_are_built_as_they_are() {
        let change = Change { sha: "0123456789012345678901234567890123456789".into(), ..Change::default() };
        let place = |text: &str, change: Option<&Change>| {
            let source = source(&format!("dockerfile = \"{text}\""));
            recipe(&source).expect("it is built").place(change).expect("it is a place").to_string()
        };
        let repository = "https://git.test/shop.git";
        assert_eq!(place(&format!("{repository}#main:api"), Some(&change)), format!("{repository}#{}:api", change.sha));
        assert_eq!(place(&format!("{repository}#main:api"), None), format!("{repository}#main:api"));
        assert_eq!(place(&format!("{repository}#main"), Some(&Change::default())), format!("{repository}#main"));
        assert_eq!(place("/srv/api", Some(&change)), "/srv/api");
    }
}
