//! `compose`: the file of a stack, or a table with all its keys.

use cutover_events::workload::{ComposeSource, SourceKind};

use super::source;
use super::strict::{Entry, Fault, Section, Words, quoted};
use crate::context::Context;

/// Bytes of a stack: more than any that was met (the largest of 70 has 60 KiB), and soon read.
pub(super) const MAX_TEXT_BYTES: usize = 512 * 1024;
/// Characters of a project name: with a service and a number the name of a container stays below the 128 that Docker
/// takes well.
const MAX_PROJECT_CHARS: usize = 63;

pub(super) const WORDS: Words = Words {
    known: &["file", "compose_yaml", "compose_project_name", "adopt", "credentials", "deploy_strategy"],
    later: &[],
};

/// A stack as it is declared.
#[derive(Default)]
pub(super) struct Stack {
    /// Without its text.
    pub(super) source: ComposeSource,
    /// Its text, in the clear, where it stands in the file.
    pub(super) text: Option<String>,
    /// What became of its project name, where that is not what was written.
    pub(super) note: Option<String>,
}

pub(super) fn read(entry: &Entry<'_>) -> Result<Stack, Fault> {
    if let Some(section) = entry.as_section() {
        return table(&section);
    }
    if entry.as_string().is_none() {
        return Err(entry.wrong(
            "a string with the path of a compose file, or a table { file or compose_yaml, compose_project_name, adopt, credentials, deploy_strategy }",
        ));
    }
    if entry.as_string().is_some_and(|text| text.contains('\n')) {
        return Err(entry.fault("more than one line, found where a path is expected; a whole stack goes to compose = { compose_yaml = \"\"\"…\"\"\" }"));
    }
    let source = ComposeSource { file: entry.text(file)?, ..ComposeSource::default() };
    Ok(Stack { source, ..Stack::default() })
}

fn table(section: &Section<'_>) -> Result<Stack, Fault> {
    section.expect(WORDS)?;
    let named = section.read("file", |entry| entry.text(file))?;
    let written = section.read("compose_yaml", |entry| entry.text(text))?;
    if named.is_some() == written.is_some() {
        return Err(section.fault("exactly one of file = \"PATH\" and compose_yaml = \"\"\"…\"\"\" is needed"));
    }
    let name = section.read("compose_project_name", Entry::string)?.unwrap_or_default();
    let source = ComposeSource {
        file: named.unwrap_or_default(),
        text: None,
        project_name: project_name(name),
        adopt: section.read("adopt", Entry::boolean)?.unwrap_or(false),
        credentials: source::credentials_in(section)?,
        deploy_strategy: source::strategy_in(section, SourceKind::Compose)?,
    };
    Ok(Stack { source, text: written, note: note(name) })
}

/// What became of a project name, where that is not what was written.
pub(super) fn note(written: &str) -> Option<String> {
    let name = project_name(written);
    match name.as_str() {
        kept if kept == written => None,
        "" => Some(format!(
            "compose_project_name: nothing of {} may be in a project name, so that one is derived from the workload",
            quoted(written)
        )),
        name => Some(format!("compose_project_name: {} becomes \"{name}\"", quoted(written))),
    }
}

/// Where the file of a stack is: on the host of the engine, or in a repository, as its folder.
pub(super) fn file(text: &str) -> Result<String, String> {
    match Context::parse(text)? {
        Context::Tarball(_) => Err(format!("{} is a tarball; expected the path of a compose file", quoted(text))),
        Context::Git(repository) if repository.folder.is_empty() => Err(format!(
            "{} names no file; write it after the reference, as in \"https://github.com/acme/stack.git#main:compose.yml\"",
            quoted(text)
        )),
        context @ (Context::Folder(_) | Context::Git(_)) => Ok(context.to_string()),
    }
}

/// The text of a stack. It is never repeated in the error.
pub(super) fn text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("an empty text; expected a compose file with its services".to_owned());
    }
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!("the text has {} bytes; at most {MAX_TEXT_BYTES} are allowed", text.len()));
    }
    if text.contains('\0') {
        return Err("the text holds a NUL character, which no YAML has".to_owned());
    }
    Ok(text.to_owned())
}

/// A project name in the form that Compose takes, which never looks like a flag: lower case, without what is not
/// `[a-z0-9_-]`, beginning with a letter or digit. Empty when nothing is left.
#[must_use]
pub fn project_name(text: &str) -> String {
    let lower = text.chars().flat_map(char::to_lowercase);
    let kept = lower.filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'));
    kept.skip_while(|c| matches!(c, '_' | '-')).take(MAX_PROJECT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_name_is_never_a_flag() {
        let cases = [
            ("shop", "shop"),
            ("Shop App!", "shopapp"),
            ("--force", "force"),
            ("__a-b_c", "a-b_c"),
            ("ÄÖ", ""),
            ("$(rm)", "rm"),
            ("", ""),
        ];
        for (text, name) in cases {
            assert_eq!(project_name(text), name, "{text}");
            assert_eq!(project_name(name), name);
        }
        assert_eq!(project_name(&"a".repeat(500)).len(), MAX_PROJECT_CHARS);
    }
}
