//! Stacks as images: a judged set of files is kept for the release, and nothing is built before Compose brings it up.

use cutover_domain::recipe::Makes;
use zeroize::Zeroizing;

use super::{Build, BuildError, BuiltImage};
use crate::adapters::compose::{Around, Draft, DraftError, Stacks, Wished};
use crate::adapters::source::{Content, Files};

/// What a recipe is carried out with, of what was gathered and of what was sent; `None` when there is neither.
#[must_use]
pub fn content(
    makes: &Makes<'_>,
    gathered: Option<(Content, Stays)>,
    sent: Option<Zeroizing<String>>,
) -> Option<Content> {
    let Makes::Stack { file, name, adopt, .. } = makes else { return gathered.map(|(content, _)| content) };
    let beside = match gathered {
        Some((Content::Files(files), stays)) => stays.around(files),
        Some((Content::Context(_) | Content::Stack(_), _)) | None => Around::Nothing,
    };
    let draft = Draft { name: (*name).to_owned(), adopt: *adopt, file: (*file).to_owned(), text: sent, beside };
    Some(Content::Stack(draft))
}

/// What becomes of gathered files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stays {
    /// They are a folder of this host.
    Here,
    /// They were fetched for this, and go.
    Fetched,
}

impl Stays {
    fn around(self, files: Files) -> Around {
        match self {
            Self::Here => Around::Here(files),
            Self::Fetched => Around::Fetched(files),
        }
    }
}

/// What is wished of a stack by a build.
pub(super) fn wished(build: &Build, draft: &Draft) -> Wished {
    Wished {
        workload: build.workload,
        full_name: build.full_name.clone(),
        draft: draft.clone(),
        variables: build.args.clone(),
        routed: build.routed.clone(),
    }
}

pub(super) fn failed(error: DraftError) -> BuildError {
    match error {
        DraftError::Refused(why) => BuildError::Refused(why),
        DraftError::Unavailable(why) => BuildError::Unavailable(why),
    }
}

/// All stacks that are kept, as images.
pub(super) fn all(stacks: &Stacks) -> Result<Vec<BuiltImage>, BuildError> {
    let all = stacks.all().map_err(|error| BuildError::Unavailable(format!("the stacks: {error}")))?;
    let image = |(id, workload, deployment)| BuiltImage { id, workload, deployment, size: 0 };
    Ok(all.into_iter().map(image).collect())
}
