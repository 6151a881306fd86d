//! `image`: a reference, or a table with all its keys.

use cutover_events::workload::{ImageSource, Pull, SourceKind};

use super::check;
use super::strict::{Entry, Fault, Words};
use crate::reference;

/// What `pull` may say.
pub(super) const PULLS: &[(&str, Pull)] =
    &[("missing", Pull::Missing), ("always", Pull::Always), ("never", Pull::Never)];

pub(super) const WORDS: Words =
    Words { known: &["ref", "pull", "platform", "credentials", "deploy_strategy"], later: &[] };

pub(super) fn read(entry: &Entry<'_>) -> Result<ImageSource, Fault> {
    let Some(section) = entry.as_section() else {
        if entry.as_string().is_none() {
            return Err(entry.wrong(
                "a string with an image reference, or a table { ref, pull, platform, credentials, deploy_strategy }",
            ));
        }
        return Ok(ImageSource { reference: entry.text(reference)?, ..ImageSource::default() });
    };
    section.expect(WORDS)?;
    let Some(reference) = section.read("ref", |entry| entry.text(reference))? else {
        return Err(section.fault("\"ref\" is missing; expected the reference of an image"));
    };
    Ok(ImageSource {
        reference,
        pull: section.read("pull", |e| e.text(|t| check::word(t, PULLS)))?.unwrap_or_default(),
        platform: section.read("platform", |e| e.text(check::platform))?.unwrap_or_default(),
        credentials: section.read("credentials", |e| e.text(check::secret))?.unwrap_or_default(),
        deploy_strategy: super::source::strategy_in(&section, SourceKind::Image)?,
    })
}

/// A reference that may hold placeholders.
pub(super) fn reference(text: &str) -> Result<String, String> {
    check::value(text)?;
    reference::check_template(text).map(|()| text.to_owned()).map_err(|bad| bad.0)
}
