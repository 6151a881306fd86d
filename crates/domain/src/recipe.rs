//! What is made of files before it can be deployed, whichever source asks for it: so that whoever makes it knows recipes,
//! and no source.

use cutover_events::delivery::Change;
use cutover_events::workload::{
    ComposeSource, DockerfileSource, EnvVar, Mount, SealedText, Source, Spec, StaticBuild, StaticSource,
};

use crate::context::{Context, Repository};

/// The Dockerfile of a context where nobody names one.
const USUAL_FILE: &str = "Dockerfile";
/// What the file of a stack is called that came as a text.
const USUAL_STACK: &str = "compose.yml";

/// Deno, where no image is named: an exact version, so that a deployment never runs by another one than the last.
pub const DENO: &str = "denoland/deno:2.5.6";
/// Where the files of a site lie in a container.
pub const SITE_FOLDER: &str = "/site";

/// What is made, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe<'a> {
    /// Where the files are, as recorded: a folder, a tarball or a repository; empty where all that there is was sent.
    pub context: &'a str,
    /// What they become.
    pub makes: Makes<'a>,
    /// Build arguments, sealed.
    pub args: &'a [EnvVar],
    /// Names of the secrets that steps may read.
    pub secrets: &'a [String],
    /// Name of the secret that opens the repository; empty for none. It is no part of what is made.
    pub credentials: &'a str,
}

/// What files become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Makes<'a> {
    /// An image.
    Image {
        /// The Dockerfile within them.
        file: &'a str,
        /// The stage; empty for the last one.
        target: &'a str,
    },
    /// An image with the program of a site, and its files.
    Program {
        /// What runs it: an image with Deno.
        image: &'a str,
        /// What it may write to.
        storage: Option<&'a Mount>,
    },
    /// A release folder.
    Site {
        /// What makes its files of those that there are; none: they are the files.
        build: Option<&'a StaticBuild>,
        /// The page of a folder.
        index: &'a str,
        /// The page for what is not there.
        not_found: &'a str,
        /// The page for every path that no file has; empty for none.
        fallback: &'a str,
    },
    /// A stack: files for Compose, judged as a whole.
    Stack {
        /// The compose file within them.
        file: &'a str,
        /// What it says, sealed, where that was sent: it counts, whatever has become of the file.
        text: Option<&'a SealedText>,
        /// The name of its project; empty for one that is derived from the workload.
        name: &'a str,
        /// Whether containers of that project that somebody else made become ours.
        adopt: bool,
    },
}

/// What is made for a source before it is deployed; `None`: nothing is.
#[must_use]
pub fn recipe(source: &Source) -> Option<Recipe<'_>> {
    match source {
        Source::Dockerfile(DockerfileSource { context, file, target, args, secrets, credentials, .. }) => {
            let file = if file.is_empty() { USUAL_FILE } else { file };
            Some(Recipe { context, makes: Makes::Image { file, target }, args, secrets, credentials })
        }
        Source::Static(site @ StaticSource { mode, build, index, not_found, fallback, .. }) if mode.is_files() => {
            let makes = Makes::Site { build: build.as_ref(), index, not_found, fallback };
            Some(Recipe { context: &site.path, makes, args: &[], secrets: &[], credentials: &site.credentials })
        }
        Source::Static(StaticSource { path, mode, storage, credentials, .. }) => {
            let image = if mode.image().is_empty() { DENO } else { mode.image() };
            let makes = Makes::Program { image, storage: storage.as_ref() };
            Some(Recipe { context: path, makes, args: &[], secrets: &[], credentials })
        }
        Source::Compose(ComposeSource { file, text, project_name, adopt, credentials, deploy_strategy: _ }) => {
            let (context, file) = stack_of(file);
            let makes = Makes::Stack { file, text: text.as_ref(), name: project_name, adopt: *adopt };
            Some(Recipe { context, makes, args: &[], secrets: &[], credentials })
        }
        Source::Image(_) => None,
    }
}

/// The folder of a compose file, of the host or of a repository, and its name there.
fn stack_of(file: &str) -> (&str, &str) {
    if file.is_empty() {
        return ("", USUAL_STACK);
    }
    // Of a repository, what follows the reference is the path in it.
    let fragment =
        if Context::parse(file).is_ok_and(|at| matches!(at, Context::Git(_))) { file.find('#') } else { None };
    let begin = fragment.and_then(|hash| Some(hash + file.get(hash..)?.find(':')?)).map_or(0, |colon| colon + 1);
    let (before, path) = file.split_at(begin);
    match (path.rfind('/'), begin) {
        (Some(0), 0) => ("/", path.get(1..).unwrap_or_default()),
        (Some(slash), _) => {
            (file.get(..before.len() + slash).unwrap_or_default(), path.get(slash + 1..).unwrap_or_default())
        }
        (None, 0) => (".", path),
        (None, _) => (before.trim_end_matches(':').trim_end_matches('#'), path),
    }
}

impl Makes<'_> {
    /// The stage of the Dockerfile that is built; empty for the last one, and where there is none.
    #[must_use]
    pub const fn target(&self) -> &str {
        match self {
            Self::Image { target, .. } => target,
            Self::Program { .. } | Self::Site { .. } | Self::Stack { .. } => "",
        }
    }

    /// Whether a program makes its files or runs them, so that little can be said of them before.
    #[must_use]
    pub const fn is_by_a_program(&self) -> bool {
        matches!(self, Self::Program { .. } | Self::Site { build: Some(_), .. })
    }

    /// What it says itself, sealed, where that was sent.
    #[must_use]
    pub const fn text(&self) -> Option<&SealedText> {
        match self {
            Self::Stack { text, .. } => *text,
            Self::Image { .. } | Self::Program { .. } | Self::Site { .. } => None,
        }
    }

    /// The command that makes the files, and where.
    #[must_use]
    pub const fn command(&self) -> Option<&StaticBuild> {
        match self {
            Self::Site { build, .. } => *build,
            Self::Image { .. } | Self::Program { .. } | Self::Stack { .. } => None,
        }
    }

    /// Whether it makes volumes of its own, which go with it.
    #[must_use]
    pub const fn has_own_volumes(&self) -> bool {
        matches!(self, Self::Stack { .. })
    }

    /// Whether it can be judged before anything is recorded: what is wrong with it then is nobody's deployment.
    #[must_use]
    pub const fn is_judged_first(&self) -> bool {
        matches!(self, Self::Stack { .. })
    }
}

impl Recipe<'_> {
    /// What is done with the files, for a person.
    #[must_use]
    pub fn told(&self) -> String {
        match self.makes {
            Makes::Image { file, .. } => format!("build {} by its {file}", self.context),
            Makes::Program { image, .. } => format!("copy the files of {} into an image of {image}", self.context),
            Makes::Site { build: Some(build), .. } => {
                format!("run {} on the files of {} in {}", shown(&build.command), self.context, build.image)
            }
            Makes::Site { .. } => format!("copy the files of {}", self.context),
            Makes::Stack { .. } => format!("read {}", self.origin()),
        }
    }

    /// What stands for the result where a reference of an image would.
    #[must_use]
    pub fn origin(&self) -> String {
        match self.makes {
            Makes::Image { .. } => format!("built from {}", self.context),
            Makes::Site { build: Some(_), .. } => format!("built from {}", self.context),
            Makes::Program { .. } | Makes::Site { .. } => format!("the files of {}", self.context),
            Makes::Stack { .. } if self.context.is_empty() => "the stack of the workload file".to_owned(),
            Makes::Stack { file, .. } => format!("the stack {file} of {}", self.context),
        }
    }

    /// The values that it is made with: build arguments; the environment, for a stack and for a command.
    #[must_use]
    pub fn given<'s>(&self, spec: &'s Spec) -> &'s [EnvVar] {
        match (&self.makes, &spec.source) {
            (Makes::Stack { .. } | Makes::Site { build: Some(_), .. }, _) => &spec.env,
            (_, Source::Dockerfile(build)) => &build.args,
            (_, Source::Image(_) | Source::Static(_) | Source::Compose(_)) => &[],
        }
    }

    /// Whether another spec makes the same of the same.
    #[must_use]
    pub fn is_same(&self, spec: &Spec, before: &Spec) -> bool {
        let was = recipe(&before.source).map(|was| Recipe { credentials: self.credentials, ..was });
        was.is_some_and(|was| was == *self && was.given(before) == self.given(spec))
    }

    /// Where its files are: see [`place`]; `None` where all that there is was sent.
    ///
    /// # Errors
    /// The recorded text is no place, which no apply lets through: what is wrong with it.
    pub fn place(&self, change: Option<&Change>) -> Result<Option<Context>, String> {
        if self.context.is_empty() { Ok(None) } else { place(self.context, change).map(Some) }
    }
}

/// A command in one line: what a shell is given is shown as it was written.
#[must_use]
pub fn shown(command: &[String]) -> String {
    match command {
        [shell, flag, line] if shell == "sh" && flag == "-c" => line.clone(),
        words => words.join(" "),
    }
}

/// Where files are: with a change of the same repository behind it, exactly its commit.
///
/// # Errors
/// The text is no place: what is wrong with it.
pub fn place(context: &str, change: Option<&Change>) -> Result<Context, String> {
    let Context::Git(repository) = Context::parse(context)? else { return Context::parse(context) };
    let of_it = |change: &&Change| !change.sha.is_empty() && is_of(&repository, &change.repo);
    let reference = change.filter(of_it).map_or_else(|| repository.reference.clone(), |change| change.sha.clone());
    Ok(Context::Git(Repository { reference, ..repository }))
}

/// Whether a repository is the one that a delivery names, `owner/name` without case; a delivery that names none is about it.
#[must_use]
pub fn is_of(repository: &Repository, named: &str) -> bool {
    let path = repository.url.trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).to_ascii_lowercase();
    let named = named.to_ascii_lowercase();
    named.is_empty() || path.strip_suffix(&named).is_some_and(|before| before.ends_with(['/', ':']))
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
    fn only_what_comes_as_files_is_made() {
        let built = source("dockerfile = { context = \"/srv/api\", target = \"web\" }");
        let found = recipe(&built).expect("it is built");
        let makes = Makes::Image { file: "Dockerfile", target: "web" };
        assert_eq!((found.context, found.makes), ("/srv/api", makes));
        let again =
            source("dockerfile = { context = \"/srv/api\", target = \"web\", deploy_strategy = \"blue-green\" }");
        assert_eq!(recipe(&again), Some(found), "how it is replaced makes no other image");
        assert_ne!(recipe(&source("dockerfile = \"/srv/api\"")), Some(found));
        let site = source("static = { path = \"/srv/www\", fallback = \"index.html\" }");
        let makes = Makes::Site { build: None, index: "index.html", not_found: "404.html", fallback: "index.html" };
        assert_eq!(recipe(&site).map(|found| (found.context, found.makes)), Some(("/srv/www", makes)));
        assert_eq!(recipe(&source("image = \"x\"")), None);
    }

    #[test]
    fn a_program_is_made_of_the_usual_image_or_of_the_one_that_is_named() {
        let image = |more: &str| {
            let source = source(&format!("static = {{ path = \"/srv/www\", mode = \"deno\"{more} }}"));
            match recipe(&source).expect("it is made").makes {
                Makes::Program { image, storage } => (image.to_owned(), storage.map(|mount| mount.target.clone())),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(image(""), (DENO.to_owned(), None));
        let named = image(", image = \"acme/deno:1\", storage = \"s:/srv/s\"");
        assert_eq!(named, ("acme/deno:1".to_owned(), Some("/srv/s".to_owned())));
    }

    #[test]
    fn a_command_makes_files_with_the_environment() {
        let text = "workloads.w = { env = { A = \"1\" }, static = { path = \"/srv/www\", build = { image = \"node:22\", command = \"npm ci && npm run build\" } } }";
        let declared = file::read("f.toml", text.as_bytes()).unwrap_or_else(|bad| panic!("{bad}")).remove(0);
        let found = recipe(&declared.spec.source).expect("it is made");
        let build = found.makes.command().expect("a command");
        assert_eq!(build.command, ["sh", "-c", "npm ci && npm run build"]);
        assert_eq!(shown(&build.command), "npm ci && npm run build");
        assert_eq!(build.output, "dist");
        let mut changed = declared.spec.clone();
        let variable = EnvVar { name: "A".into(), sealed: cutover_events::Digest::default(), mac: [1; 16] };
        changed.env = vec![variable.clone()];
        assert_eq!(found.given(&changed), [variable]);
        assert!(!found.is_same(&declared.spec, &changed), "another value may make other files");
    }

    #[test]
    fn a_stack_is_read_from_the_folder_of_its_file() {
        let cases = [
            ("/srv/shop/c.yml", "/srv/shop", "c.yml"),
            ("/c.yml", "/", "c.yml"),
            ("https://git.test/s.git#main:c.yml", "https://git.test/s.git#main", "c.yml"),
            ("https://git.test/s.git#main:a/b/c.yml", "https://git.test/s.git#main:a/b", "c.yml"),
            ("https://git.test/s.git#:c.yml", "https://git.test/s.git", "c.yml"),
            ("git@git.test:acme/s.git#main:a/c.yml", "git@git.test:acme/s.git#main:a", "c.yml"),
        ];
        for (written, context, file) in cases {
            let stack = source(&format!("compose = \"{written}\""));
            let found = recipe(&stack).expect("it is read");
            assert_eq!(
                (found.context, found.makes),
                (context, Makes::Stack { file, text: None, name: "", adopt: false })
            );
            assert!(found.place(None).is_ok_and(|place| place.is_some()), "{written}");
        }
        let sent =
            source("compose = { compose_yaml = \"services: {}\", compose_project_name = \"Shop\", adopt = true }");
        let found = recipe(&sent).expect("it is read");
        assert_eq!(found.makes, Makes::Stack { file: "compose.yml", text: None, name: "shop", adopt: true });
        assert_eq!(found.place(None), Ok(None));
    }

    #[test]
    fn a_change_is_built_at_its_commit_and_folders_are_built_as_they_are() {
        let change = Change { sha: "0123456789012345678901234567890123456789".into(), ..Change::default() };
        let place = |text: &str, change: Option<&Change>| {
            let source = source(&format!("dockerfile = \"{text}\""));
            recipe(&source)
                .expect("it is built")
                .place(change)
                .expect("it is a place")
                .expect("and it has one")
                .to_string()
        };
        let repository = "https://git.test/shop.git";
        assert_eq!(place(&format!("{repository}#main:api"), Some(&change)), format!("{repository}#{}:api", change.sha));
        assert_eq!(place(&format!("{repository}#main:api"), None), format!("{repository}#main:api"));
        assert_eq!(place(&format!("{repository}#main"), Some(&Change::default())), format!("{repository}#main"));
        assert_eq!(place("/srv/api", Some(&change)), "/srv/api");
        let of = |repo: &str| Change { repo: repo.into(), ..change.clone() };
        let forge = "https://git.test/Acme/Shop.git#main";
        assert_eq!(place(forge, Some(&of("acme/shop"))), format!("https://git.test/Acme/Shop.git#{}", change.sha));
        for other in ["acme/infra", "cme/shop", "x/acme/shop"] {
            assert_eq!(place(forge, Some(&of(other))), forge, "{other}");
        }
    }
}
